//! Two servers of a cluster, with a model of what they share in the database.

use std::collections::{BTreeMap, VecDeque};

use letschat_protocol::code::Code;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::*;
use crate::store::cluster::{
    ClusterAnswer, ClusterRequest, Entered, Entrance, Known, News, ServerName, SessionId,
    SharedPlace, SharedSession,
};

type Device = (Username, Option<PublicKey>);

/// The tables that servers share.
#[derive(Default)]
struct Tables {
    changes: u64,
    sessions: BTreeMap<Device, SharedSession>,
    broadcasts: Vec<StoredEntry>,
    messages: Vec<(ServerName, String)>,
    /// The servers that have not asked for long.
    gone: Vec<ServerName>,
}

impl Tables {
    fn answer(&mut self, server: &ServerName, request: ClusterRequest) -> ClusterAnswer {
        match request {
            ClusterRequest::Enter { connection, entrance } => {
                let result = Ok(self.enter(server, &entrance));
                ClusterAnswer::Entered { connection, entrance, result }
            }
            ClusterRequest::Leave { sessions } => {
                for SessionId { username, device, number } in sessions {
                    let session = self.sessions.get_mut(&(username, device)).unwrap();
                    if session.id.number == number {
                        self.changes += 1;
                        session.id.number = self.changes;
                        session.place = None;
                    }
                }
                ClusterAnswer::Left { result: Ok(()) }
            }
            ClusterRequest::Ask { known } => {
                ClusterAnswer::News { result: Ok(Box::new(self.news(server, known))) }
            }
            ClusterRequest::Tell { messages } => {
                self.messages.extend(messages);
                ClusterAnswer::Told { result: Ok(()) }
            }
            ClusterRequest::Append { after, broadcasts } => {
                for broadcast in broadcasts {
                    let number = self.broadcasts.len() as u64 + 1;
                    self.broadcasts.push(broadcast.numbered(number));
                }
                ClusterAnswer::Appended { result: Ok(self.broadcasts[after as usize..].to_vec()) }
            }
        }
    }

    fn enter(&mut self, server: &ServerName, entrance: &Entrance) -> Entered {
        let Entrance { username, device, address, port, is_listed, .. } = entrance.clone();
        let key = (username.clone(), device);
        let is_there = |session: &&SharedSession| {
            session.place.as_ref().is_some_and(|at| !self.gone.contains(&at.server))
        };
        let same = self.sessions.get(&key).iter().copied().filter(is_there).count();
        if same > 0 && device.is_none() && !entrance.take {
            return Entered::NeedsTake;
        }
        if self.sessions.values().filter(is_there).count() - same >= entrance.places {
            return Entered::Full;
        }
        self.changes += 1;
        let number = self.changes;
        let (server, since_ms) = (server.clone(), entrance.now_ms);
        let place = Some(SharedPlace { server, address, port, is_listed, since_ms });
        let id = SessionId { username, device, number };
        self.sessions.insert(key, SharedSession { id, place });
        Entered::Here { number }
    }

    fn news(&mut self, server: &ServerName, known: Known) -> News {
        let mut sessions: Vec<SharedSession> = self.sessions.values().cloned().collect();
        sessions.retain(|session| session.id.number > known.sessions);
        sessions.sort_by_key(|session| session.id.number);
        let all = ["a", "b"].map(name).into_iter();
        let servers = all.filter(|other| other != server && !self.gone.contains(other)).collect();
        let (own, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.messages).into_iter().partition(|(to, _)| to == server);
        self.messages = rest;
        News {
            servers,
            sessions,
            broadcasts: self.broadcasts[known.broadcasts as usize..].to_vec(),
            messages: own.into_iter().map(|(_, text)| text).collect(),
            ..News::default()
        }
    }
}

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

/// Two servers whose requests are answered at once.
struct Servers {
    hubs: [TestHub; 2],
    tables: Tables,
    /// The effects since the last look, of each server.
    seen: [Vec<Effect>; 2],
    /// True while the database answers nobody.
    is_cut: bool,
}

const NAMES: [&str; 2] = ["a", "b"];

impl Servers {
    fn new() -> Servers {
        Servers::with(Settings::default())
    }

    fn with(settings: Settings) -> Servers {
        let hubs = NAMES.map(|own| {
            let mut server = TestHub::new(settings.clone(), 0, "");
            let hub = std::mem::replace(&mut server.hub, TestHub::empty().hub);
            server.hub = hub.in_cluster(name(own));
            server
        });
        let mut servers = Servers {
            hubs,
            tables: Tables::default(),
            seen: [Vec::new(), Vec::new()],
            is_cut: false,
        };
        (0..2).for_each(|at| servers.put(at, Input::Tick));
        servers
    }

    /// Handles an input at a server, and all that follows from it.
    fn put(&mut self, at: usize, input: Input) {
        let mut inputs = VecDeque::from([(at, input)]);
        while let Some((at, input)) = inputs.pop_front() {
            let effects = self.hubs[at].put(input).to_vec();
            for effect in &effects {
                match effect {
                    Effect::Ring => inputs.push_back((1 - at, Input::Rung)),
                    Effect::Store(StoreRequest::Cluster(request)) => {
                        let answer = match self.is_cut {
                            true => request.unavailable(),
                            false => self.tables.answer(&name(NAMES[at]), request.clone()),
                        };
                        inputs.push_back((at, Input::Stored(StoreAnswer::Cluster(answer))));
                    }
                    _ => {}
                }
            }
            self.seen[at].extend(effects);
        }
    }

    /// Lets both servers ask once.
    fn ask(&mut self) {
        (0..2).for_each(|at| self.put(at, Input::Rung));
    }

    fn look(&mut self, at: usize) -> Vec<Effect> {
        std::mem::take(&mut self.seen[at])
    }

    fn say(&mut self, at: usize, connection: ConnectionId, request: &Request) -> Vec<Effect> {
        self.look(at);
        self.put(at, Input::Line { connection, line: Ok(request.to_frame()) });
        self.look(at)
    }

    /// Logs a device in at a server.
    fn log_in(&mut self, at: usize, who: &str, seed: u8) -> (ConnectionId, Reply) {
        let hub = &mut self.hubs[at];
        let connection = hub.arrive("10.0.0.1");
        hub.secure(connection);
        hub.say(connection, &Request::Hello);
        let credentials = credentials(who, seed);
        hub.say(connection, &Request::Key { username: who.into(), credentials });
        self.look(at);
        let result = Ok(Verdict::Accepted);
        self.put(at, Input::Stored(StoreAnswer::Checked { connection, result }));
        let reply = replies(&self.seen[at], connection).remove(0);
        (connection, reply)
    }

    fn member(&mut self, at: usize, who: &str) -> ConnectionId {
        let (connection, reply) = self.log_in(at, who, who.len() as u8);
        assert_eq!(reply.code, Code::LoggedIn, "{reply:?}");
        connection
    }

    /// Returns the names that a member's LIST has.
    fn listed(&mut self, at: usize, connection: ConnectionId) -> Vec<String> {
        let effects = self.say(at, connection, &Request::List { after: None });
        let reply = replies(&effects, connection).remove(0);
        // The last line has their number.
        let names = reply.lines.iter().rev().skip(1).rev();
        names.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

#[test]
fn everybody_is_listed_until_their_server_is_gone() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    assert_eq!(servers.listed(0, alice), ["alice", "bob"]);
    assert_eq!(servers.listed(1, bob), ["alice", "bob"]);
    servers.tables.gone.push(name("b"));
    servers.ask();
    assert_eq!(servers.listed(0, alice), ["alice"]);
    servers.tables.gone.clear();
    servers.ask();
    assert_eq!(servers.listed(0, alice), ["alice", "bob"]);
    servers.put(1, Input::Gone { connection: bob, why: LinkEnd::Ended });
    assert_eq!(servers.listed(0, alice), ["alice"]);
}

#[test]
fn device_that_logs_in_elsewhere_is_logged_out_here() {
    let mut servers = Servers::new();
    let first = servers.member(0, "alice");
    servers.member(1, "alice");
    assert!(closes(&servers.look(0), first));
    // A server that was cut off learns it when it is back.
    let mut servers = Servers::new();
    let first = servers.member(0, "alice");
    servers.look(0);
    servers.tables.enter(
        &name("b"),
        &Entrance {
            username: "alice".parse().unwrap(),
            device: Some(Identity::from_seed(&[5; 32]).public_key()),
            address: "10.0.0.2".parse().unwrap(),
            port: None,
            is_listed: true,
            take: false,
            places: 50,
            now_ms: 0,
        },
    );
    assert!(!closes(&servers.look(0), first));
    servers.ask();
    assert!(closes(&servers.look(0), first));
}

#[test]
fn login_whose_answer_was_lost_keeps_no_place() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    let device = Some(Identity::from_seed(&[5; 32]).public_key());
    let (username, address) = ("alice".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let (port, is_listed, take, places, now_ms) = (None, true, false, 50, 0);
    let lost = Entrance { username, device, address, port, is_listed, take, places, now_ms };
    servers.tables.enter(&name("a"), &lost);
    servers.ask();
    assert!(closes(&servers.look(0), alice));
    servers.ask();
    assert_eq!(servers.listed(1, bob), ["bob"]);
}

#[test]
fn places_count_over_all_servers() {
    let mut servers = Servers::with(Settings { places: 2, ..Settings::default() });
    servers.member(0, "alice");
    servers.member(1, "bob");
    let carol = servers.hubs[0].arrive("10.0.0.3");
    servers.hubs[0].secure(carol);
    let effects = servers.hubs[0].effects.clone();
    assert_eq!(replies(&effects, carol)[0].code, Code::Busy);
    assert!(closes(&effects, carol));
}

#[test]
fn broadcasts_come_in_one_order_and_once() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    servers.say(0, alice, &Request::Broadcast { text: "one".into() });
    servers.say(1, bob, &Request::Broadcast { text: "two".into() });
    servers.ask();
    for (at, connection) in [(0, alice), (1, bob)] {
        let numbers = |effects: &[Effect]| -> Vec<u64> {
            let told = notices(effects, connection).into_iter();
            told.filter_map(|notice| match notice {
                Notice::Broadcast { entry, .. } => Some(entry.number),
                _ => None,
            })
            .collect()
        };
        let effects = servers.say(at, connection, &Request::Replay { from: 1 });
        let mut all = numbers(&effects);
        servers.put(at, Input::Drained { connection });
        all.extend(numbers(&servers.look(at)));
        assert!(all.ends_with(&[1, 2]), "{all:?}");
    }
}

#[test]
fn introduction_reaches_the_other_server() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    servers.look(1);
    let effects = servers.say(0, alice, &Request::Connect { who: "bob".into() });
    assert_eq!(replies(&effects, alice)[0].code, Code::Ok);
    let told = notices(&servers.look(1), bob);
    assert!(
        matches!(&told[..], [Notice::Introduction(who)] if who.username.as_str() == "alice"),
        "{told:?}"
    );
}

#[test]
fn login_needs_the_database_and_ends_are_told_later() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    servers.is_cut = true;
    assert_eq!(servers.log_in(0, "carol", 9).1.code, Code::StoreUnavailable);
    servers.put(0, Input::Gone { connection: alice, why: LinkEnd::Ended });
    assert_eq!(servers.listed(1, bob), ["alice", "bob"]);
    servers.is_cut = false;
    servers.ask();
    servers.ask();
    assert_eq!(servers.listed(1, bob), ["bob"]);
}
