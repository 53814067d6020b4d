//! Two servers of a cluster, with a model of what they share in the database.

use std::collections::VecDeque;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, MeetingToken};

use super::tables::Tables;
use super::*;
use crate::hub::cluster::LEAST_ASK_MS;
use crate::store::cluster::{
    ClusterAnswer, ClusterRequest, Entrance, MAX_SILENT_MS, News, ServerName,
};

/// The tables that servers share.
#[derive(Default)]
struct Database {
    now_ms: u64,
    tables: Tables,
    broadcasts: Vec<StoredEntry>,
}

/// The run of each server.
const RUN: u64 = 1;

impl Database {
    fn answer(&mut self, server: &ServerName, request: ClusterRequest) -> ClusterAnswer {
        let Database { now_ms, tables, broadcasts: all } = self;
        match request {
            ClusterRequest::Enter { connection, entrance } => {
                let result = tables.enter(server, RUN, *now_ms, &entrance).ok_or(Unavailable);
                ClusterAnswer::Entered { connection, entrance, result }
            }
            ClusterRequest::Leave { endings } => {
                tables.leave(endings);
                ClusterAnswer::Left { result: Ok(()) }
            }
            ClusterRequest::Ask { known, stats } => {
                let news = tables.ask(server, RUN, *now_ms, (&known, stats)).unwrap();
                let broadcasts = all[known.broadcasts as usize..].to_vec();
                ClusterAnswer::News { result: Ok(Box::new(News { broadcasts, ..news })) }
            }
            ClusterRequest::Tell { messages } => {
                tables.tell(messages);
                ClusterAnswer::Told { result: Ok(()) }
            }
            ClusterRequest::Append { after, broadcasts } => {
                for broadcast in broadcasts {
                    let number = all.len() as u64 + 1;
                    all.push(broadcast.numbered(number));
                }
                ClusterAnswer::Appended { result: Ok(all[after as usize..].to_vec()) }
            }
        }
    }
}

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

/// Two servers whose requests are answered at once.
struct Servers {
    hubs: [TestHub; 2],
    database: Database,
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
        let mut database = Database::default();
        NAMES.iter().for_each(|own| database.tables.begin(&name(own), RUN, 0));
        let mut servers = Servers { hubs, database, seen: [Vec::new(), Vec::new()], is_cut: false };
        (0..2).for_each(|at| servers.put(at, Input::Tick));
        servers
    }

    /// Handles an input at a server, and all that follows from it.
    fn put(&mut self, at: usize, input: Input) {
        let mut inputs = VecDeque::from([(at, input)]);
        while let Some((at, input)) = inputs.pop_front() {
            if input == Input::Rung {
                // It asks again only after a moment.
                self.hubs[at].now.boot_ms += LEAST_ASK_MS;
            }
            let effects = self.hubs[at].put(input).to_vec();
            for effect in &effects {
                match effect {
                    Effect::Ring => inputs.push_back((1 - at, Input::Rung)),
                    Effect::Store(StoreRequest::Cluster(request)) => {
                        let answer = match self.is_cut {
                            true => request.unavailable(),
                            false => self.database.answer(&name(NAMES[at]), request.clone()),
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

    /// Logs a device in at a server, in the database alone.
    fn enters_unheard(&mut self, at: &str, who: &str, seed: u8) -> (Username, PublicKey) {
        let device = Identity::from_seed(&[seed; 32]).public_key();
        let entrance = Entrance {
            username: who.parse().unwrap(),
            device: Some(device),
            address: "10.0.0.2".parse().unwrap(),
            port: None,
            is_listed: true,
            take: false,
            places: 50,
            now_ms: 0,
        };
        self.database.tables.enter(&name(at), RUN, 0, &entrance);
        (entrance.username, device)
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
    servers.database.now_ms += MAX_SILENT_MS;
    servers.put(0, Input::Rung);
    assert_eq!(servers.listed(0, alice), ["alice"]);
    servers.put(1, Input::Rung);
    servers.put(0, Input::Rung);
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
    let (username, device) = servers.enters_unheard("b", "alice", 5);
    assert!(servers.database.tables.is_at(&name("b"), &username, device));
    servers.ask();
    assert!(closes(&servers.look(0), first));
}

#[test]
fn changed_password_ends_a_login_that_is_not_heard_of_yet() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let (username, device) = servers.enters_unheard("b", "alice", 9);
    servers.database.tables.keyless.insert((username.clone(), Some(device)));
    let (result, name_of_b) = (Ok(Verdict::Accepted), name("b"));
    assert!(servers.database.tables.is_at(&name_of_b, &username, device));
    let changed =
        StoreAnswer::PasswordChanged { connection: alice, username: username.clone(), result };
    servers.put(0, Input::Stored(changed));
    assert!(!servers.database.tables.is_at(&name_of_b, &username, device));
    assert!(!closes(&servers.look(0), alice));
    let (_, refused) = servers.log_in(1, "alice", 9);
    assert_eq!(refused.code, Code::KeyRefused, "{refused:?}");
}

#[test]
fn request_for_a_chat_is_activity_at_another_server() {
    const IDLE_MS: u64 = 600_000;
    let mut servers = Servers::with(Settings { idle_ms: IDLE_MS, ..Settings::default() });
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    let minutes_until_idle = |servers: &mut Servers| -> u64 {
        for minute in 1..=60 {
            for (at, connection) in [(0, alice), (1, bob)] {
                servers.hubs[at].now.boot_ms += 60_000;
                let idle = Notice::Closing(Closing::Idle);
                if notices(&servers.say(at, connection, &Request::Ping), connection).contains(&idle)
                {
                    return minute;
                }
            }
            if minute == 5 {
                servers.say(0, alice, &Request::Connect { who: "bob".into() });
            }
        }
        panic!("nobody became idle")
    };
    assert_eq!(minutes_until_idle(&mut servers), 15);
}

#[test]
fn login_whose_answer_was_lost_keeps_no_place() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    servers.enters_unheard("a", "alice", 5);
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
    let idle_ms = |servers: &mut Servers| {
        servers.put(1, Input::Operator(Operator::List { after: None }));
        let answers = servers.look(1).into_iter().filter_map(|effect| match effect {
            Effect::Answer(OperatorAnswer::Sessions(page)) => Some(page.sessions),
            _ => None,
        });
        let here = answers.flatten().find_map(|session| match session.at {
            SessionPlace::Here { idle_ms, .. } => Some(idle_ms),
            SessionPlace::Elsewhere(_) => None,
        });
        here.unwrap()
    };
    servers.hubs[1].now.boot_ms += 1_000;
    assert!(idle_ms(&mut servers) >= 1_000);
    let effects = servers.say(0, alice, &Request::Connect { who: "bob".into() });
    assert_eq!(replies(&effects, alice)[0].code, Code::Ok);
    let told = notices(&servers.look(1), bob);
    assert!(
        matches!(&told[..], [Notice::Introduction(who)] if who.username.as_str() == "alice"),
        "{told:?}"
    );
    assert!(idle_ms(&mut servers) < 1_000);
}

#[test]
fn invitation_to_a_meeting_names_the_inviting_server() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    servers.look(1);
    let key = Identity::from_seed(&[3; 32]).public_key();
    let effects = servers.say(0, alice, &Request::Meet { name: "bob".into(), key });
    let reply = &replies(&effects, alice)[0];
    assert_eq!(reply.code, Code::Ok, "{reply:?}");
    let token: MeetingToken = reply.field(0).unwrap();
    let invitation = match notices(&servers.look(1), bob).remove(0) {
        Notice::Meeting(invitation) => invitation,
        other => panic!("{other:?}"),
    };
    assert_eq!(invitation.username.as_str(), "alice");
    assert_eq!(invitation.server, Some("10.0.0.100:4400".parse().unwrap()));
    // Both come to that server.
    let mut join = |token| {
        let connection = servers.hubs[0].arrive("10.0.0.1");
        servers.hubs[0].secure(connection);
        let local = "10.0.0.1:50000".parse().unwrap();
        (connection, servers.say(0, connection, &Request::Join { token, local }))
    };
    let (first, _) = join(token);
    let (second, effects) = join(invitation.token);
    for side in [first, second] {
        assert_eq!(replies(&effects, side)[0].code, Code::Ok, "{effects:?}");
    }
    // A kick at the other server ends it.
    servers.put(1, Input::Operator(Operator::Kick("bob".parse().unwrap())));
    let ended = servers.look(0);
    assert!([first, second].iter().all(|side| closes(&ended, *side)), "{ended:?}");
}

#[test]
fn operator_speaks_to_all_servers_or_to_one() {
    let mut servers = Servers::new();
    servers.member(0, "alice");
    let bob = servers.member(1, "bob");
    // What another server counts comes with its next question.
    servers.ask();
    servers.ask();
    let mut ask = |command: Operator, server: Option<&str>| {
        servers.look(0);
        servers.look(1);
        let command = match server {
            Some(server) => Operator::At { server: name(server), command: Box::new(command) },
            None => command,
        };
        servers.put(0, Input::Operator(command));
        let answers = servers.look(0).into_iter().filter_map(|effect| match effect {
            Effect::Answer(answer) => Some(answer),
            _ => None,
        });
        (answers.last().unwrap(), servers.look(1))
    };
    let mut stats = |server| match ask(Operator::Stats, server).0 {
        OperatorAnswer::Stats(stats) => (stats.servers.len(), stats.tally.logins_accepted),
        other => panic!("{other:?}"),
    };
    assert_eq!([stats(None), stats(Some("a")), stats(Some("b"))], [(2, 2), (1, 1), (1, 1)]);
    let mut listed = |server| match ask(Operator::List { after: None }, server).0 {
        OperatorAnswer::Sessions(page) => page.sessions.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!([listed(None), listed(Some("a")), listed(Some("b"))], [2, 1, 1]);
    let mut said = |server| match ask(Operator::Say("hello".into()), server) {
        (OperatorAnswer::Said { recipients, .. }, there) => {
            (recipients, notices(&there, bob).len())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!([said(None), said(Some("a")), said(Some("b"))], [(2, 1), (1, 0), (1, 1)]);
    let kick = Operator::Kick("bob".parse().unwrap());
    let (answer, _) = ask(kick.clone(), Some("a"));
    assert!(matches!(answer, OperatorAnswer::NotHere { server: Some(_), .. }), "{answer:?}");
    let (answer, _) = ask(kick.clone(), Some("z"));
    assert!(matches!(answer, OperatorAnswer::NoServer { .. }), "{answer:?}");
    let (answer, there) = ask(kick, Some("b"));
    let (username, later) = ("bob".parse().unwrap(), Vec::new());
    assert_eq!(answer, OperatorAnswer::Kicked { username, later });
    assert_eq!(notices(&there, bob), [Notice::Closing(Closing::Kicked)]);
}

#[test]
fn operator_and_callers_hear_that_a_server_is_out_of_reach() {
    let mut servers = Servers::new();
    let alice = servers.member(0, "alice");
    servers.member(1, "bob");
    servers.is_cut = true;
    servers.put(0, Input::Rung);
    servers.look(0);
    servers.put(0, Input::Operator(Operator::Say("hello".into())));
    servers.put(0, Input::Operator(Operator::Kick("bob".parse().unwrap())));
    let answers: Vec<OperatorAnswer> = servers
        .look(0)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Answer(answer) => Some(answer),
            _ => None,
        })
        .collect();
    let (text, username) = ("hello".into(), "bob".parse().unwrap());
    assert_eq!(
        answers,
        [
            OperatorAnswer::Said { text, recipients: 1, later: vec![name("b")] },
            OperatorAnswer::Kicked { username, later: vec![name("b")] },
        ]
    );
    let effects = servers.say(0, alice, &Request::Connect { who: "bob".into() });
    assert_eq!(replies(&effects, alice)[0].code, Code::StoreUnavailable);
}

#[test]
fn servers_that_come_and_go_and_other_settings_are_recorded() {
    let mut servers = Servers::new();
    let settings = Settings { places: 7, ..Settings::default() };
    servers.hubs[1].hub = TestHub::new(settings, 0, "").hub.in_cluster(name("b"));
    let records = |servers: &mut Servers| -> Vec<String> {
        servers.look(0);
        servers.put(1, Input::Rung);
        servers.put(0, Input::Rung);
        let records = servers.look(0).into_iter().filter_map(|effect| match effect {
            Effect::Record(Record::Server { server, is_there }) => {
                Some(format!("{server} {is_there}"))
            }
            Effect::Record(Record::OtherTerms { server, others, .. }) => {
                Some(format!("{server} has {} places", others.places))
            }
            _ => None,
        });
        records.collect()
    };
    assert_eq!(records(&mut servers), ["b has 7 places"]);
    // Each is told once.
    assert_eq!(records(&mut servers), [""; 0]);
    servers.database.now_ms += MAX_SILENT_MS;
    servers.look(0);
    servers.put(0, Input::Rung);
    let is_gone = Record::Server { server: name("b"), is_there: false };
    assert!(servers.look(0).contains(&Effect::Record(is_gone)));
    assert_eq!(records(&mut servers), ["b true", "b has 7 places"]);
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
