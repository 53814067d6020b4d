//! A classroom: people who talk to everyone, by broadcasts and, while the server is away, straight to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use letschat_core::conversation::MessageState;
use letschat_core::failure::Failure;
use letschat_core::session::{Input as SessionInput, KnownPeer, Reply, Request};
use letschat_protocol::identity::Identity;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::username::Username;
use letschat_server::hub::{Input, Operator};

use crate::faults::Hit;
use crate::people::{Act, Person};
use crate::promises::number_of;
use crate::world::{Event, FAULTY_MS, World};

/// The lines of one person, and those that came straight from others.
#[derive(Default)]
pub(crate) struct ClassHistory {
    lines: BTreeMap<String, Line>,
    /// The lines that were shown and were no broadcasts, also own ones: author, id, text.
    shown: Vec<(Username, MessageId, String)>,
    states: BTreeMap<(MessageId, Username), MessageState>,
}

/// An own line.
struct Line {
    /// The people whose address was known when the line was typed.
    known: BTreeSet<Username>,
    outcome: LineOutcome,
}

/// The answer to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineOutcome {
    /// None, since the client ended before.
    Unanswered,
    Broadcast,
    Straight(MessageId),
    Failed,
}

impl ClassHistory {
    pub(crate) fn typed(&mut self, text: &str, peers: BTreeMap<Username, KnownPeer>) {
        let known = peers.into_iter().filter(|(_, peer)| peer.receiver.is_some());
        let known = known.map(|(who, _)| who).collect();
        self.lines.insert(text.to_owned(), Line { known, outcome: LineOutcome::Unanswered });
    }

    pub(crate) fn answered(&mut self, text: &str, result: &Result<Reply, Failure>) {
        let line = self.lines.get_mut(text).expect("an answered line was typed");
        line.outcome = match result {
            Ok(Reply::Broadcast { .. }) => LineOutcome::Broadcast,
            Ok(Reply::Sent { message_id, state: MessageState::Sent, .. }) => {
                LineOutcome::Straight(*message_id)
            }
            Ok(reply) => panic!("{text:?} is answered {reply:?}"),
            Err(_) => LineOutcome::Failed,
        };
    }

    pub(crate) fn shown(&mut self, from: Username, id: MessageId, text: String) {
        self.shown.push((from, id, text));
    }

    pub(crate) fn state_told(&mut self, id: MessageId, to: Username, state: MessageState) {
        let last = self.states.insert((id, to), state);
        assert!(last.is_none(), "{id} is {state:?} after {last:?}");
    }

    /// Returns the number of own lines that were sent without the server.
    pub(crate) fn straight(&self) -> u64 {
        let is_straight = |line: &&Line| {
            matches!(line.outcome, LineOutcome::Straight(_)) && !line.known.is_empty()
        };
        self.lines.values().filter(is_straight).count() as u64
    }
}

/// Returns the text of a request that is for everyone.
pub(crate) fn line_of(request: &Request) -> Option<&str> {
    match request {
        Request::Broadcast(text) | Request::Say { to: None, text } => Some(text),
        _ => None,
    }
}

impl World {
    /// Schedules the actions of a class, which mostly talks to everyone. Some lines are pasted.
    pub(crate) fn plan_class(&mut self) {
        for person in 0..self.people.len() {
            let arrival = self.random.u64(0..20_000);
            self.at(arrival, Event::Act { person, act: Act::LogIn });
            for _ in 0..self.random.usize(10..50) {
                let when = self.random.u64(10_000..FAULTY_MS + 60_000);
                let (act, times) = match self.random.u64(0..100) {
                    0..75 => (Act::Say, 1),
                    75..82 => (Act::Say, self.random.u64(2..25)),
                    82..92 => (Act::Send(self.random.usize(0..self.people.len())), 1),
                    92..95 => (Act::Quit, 1),
                    95 => (Act::Leave, 1),
                    96 => (Act::Detach, 1),
                    97 => (Act::Cancel, 1),
                    _ => (Act::List, 1),
                };
                for n in 0..times {
                    self.at(when + n, Event::Act { person, act: act.clone() });
                }
            }
        }
    }

    /// Stops the server in order.
    pub(crate) fn server_stops(&mut self) {
        if self.server.is_up(0) {
            self.hit(Hit::ServerStopped);
            self.hub(0, Input::Operator(Operator::Stop));
        }
    }

    /// Knocks at the clients of the file, as the real driver does after a start.
    pub(crate) fn knock_at_all(&mut self) {
        let life = self.server.processes[0].life;
        for receiver in self.server.clients.iter().map(|entry| entry.receiver).collect::<Vec<_>>() {
            let delay = self.latency();
            self.at(delay, Event::Knock { life, receiver });
        }
    }

    pub(crate) fn knock(&mut self, life: u64, receiver: SocketAddr) {
        if life != self.server.processes[0].life {
            return;
        }
        let is_there = |person: &Person| person.address() == receiver.ip() && !person.is_down;
        let Some(person) = self.people.iter().position(is_there) else {
            self.hit(Hit::KnockRefused);
            return self.hub(0, Input::KnockRefused { receiver });
        };
        let key = Identity::from_seed(&[0xcc; 32]).public_key();
        let (link, from) = (self.peers.arriving(), "10.0.0.100:40000".parse().unwrap());
        self.session(person, SessionInput::PeerArrived { link, key, from });
        // The client hangs up after the message.
        let dials = self.people[person].dials;
        self.session(person, SessionInput::Peer { link, message: PeerMessage::Knock });
        if self.people[person].dials > dials {
            self.hit(Hit::KnockHelped);
        }
    }
}

/// Checks the lines to everyone. Those that were broadcast are also checked as broadcasts.
pub(crate) fn check(world: &World) {
    each_straight_line_was_shown_once(world);
    no_line_took_two_routes(world);
    each_line_had_one_id(world);
    straight_lines_kept_their_order(world);
    no_line_still_waits(world);
    everybody_knows_everybody(world);
}

fn each_straight_line_was_shown_once(world: &World) {
    for receiver in &world.people {
        let mut times_shown: BTreeMap<MessageId, u64> = BTreeMap::new();
        for (_, id, text) in &receiver.history.class.shown {
            let times = times_shown.entry(*id).or_default();
            *times += 1;
            // A client that ends may forget what it was just showing.
            let most = 1 + receiver.history.kills + receiver.history.quits;
            assert!(*times <= most, "{} was shown {text:?} {times} times", receiver.name);
        }
        for author in world.people.iter().filter(|author| author.name != receiver.name) {
            let class = &author.history.class;
            for (text, Line { known, outcome }) in &class.lines {
                let LineOutcome::Straight(id) = *outcome else {
                    continue;
                };
                let state = class.states.get(&(id, receiver.name.clone()));
                let is_promised = match state {
                    None => known.contains(&receiver.name),
                    Some(state) => *state == MessageState::Delivered,
                };
                let was_shown = times_shown.contains_key(&id);
                assert!(was_shown || !is_promised, "{} never saw {text:?}", receiver.name);
            }
        }
    }
}

/// Checks that no line was broadcast and also sent straight.
fn no_line_took_two_routes(world: &World) {
    let everything = || world.people.iter().map(|person| &person.history);
    let broadcasts = everything().flat_map(|history| &history.shown);
    let broadcasts: BTreeSet<&String> = broadcasts.map(|(_, _, _, text)| text).collect();
    for (_, _, text) in everything().flat_map(|history| &history.class.shown) {
        assert!(!broadcasts.contains(text), "{text:?} was broadcast and also sent straight");
    }
}

fn each_line_had_one_id(world: &World) {
    let (mut texts, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for (from, id, text) in world.people.iter().flat_map(|person| &person.history.class.shown) {
        assert_eq!(*texts.entry((from, id)).or_insert(text), text, "{id} names two lines");
        assert_eq!(*ids.entry((from, text)).or_insert(id), id, "{text:?} has two ids");
    }
}

/// Checks the lines of each author that came straight. A broadcast may overtake them.
fn straight_lines_kept_their_order(world: &World) {
    for receiver in &world.people {
        let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
        for (from, id, text) in &receiver.history.class.shown {
            if seen.insert((from, id)) {
                let number = number_of(text);
                let last = last.insert(from, number).unwrap_or(0);
                assert!(number > last, "{} was shown {text:?} after {last}", receiver.name);
            }
        }
    }
}

fn no_line_still_waits(world: &World) {
    for person in &world.people {
        let waiting = person.disk.waiting_for_everyone();
        assert_eq!(waiting, Vec::<String>::new(), "lines of {} still wait", person.name);
    }
}

fn everybody_knows_everybody(world: &World) {
    for person in &world.people {
        let peers = person.session.peers();
        for other in world.people.iter().filter(|other| other.name != person.name) {
            let known = peers.get(&other.name).and_then(|peer| peer.receiver);
            let is_there = known.is_some_and(|known| known.ip() == other.address());
            assert!(is_there, "{} knows {} at {known:?}", person.name, other.name);
        }
    }
}
