//! Tests of the hub alone, for details that the simulation and the transcripts don't cover.

mod broadcasting;
mod classroom;
mod cluster;
mod idle;
mod login;
mod mailbox;
mod meetings;
mod metrics;
mod operator;
mod password_change;
mod requests;
// A link to the simulation's model.
mod tables;

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{
    Broadcast, Closing, Credentials, FromServer, Notice, Reply, ReplyAssembler, Request, Welcome,
};
use letschat_protocol::frame::{Decoder, Frame, Mode};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::signing::LoginStatement;

use super::*;
use crate::store::{StoreAnswer, StoreRequest, StoredEntry, Unavailable, Verdict};

const UDP: &str = "10.0.0.1:40000";

/// A hub with its recent effects.
struct TestHub {
    hub: Hub,
    now: Now,
    connections: u64,
    effects: Vec<Effect>,
}

fn stored(count: u64, text: &str, now: Now) -> StoredLog {
    let entry = |number| StoredEntry {
        broadcast: Broadcast {
            number,
            sender: "herald".parse().unwrap(),
            time_ms: 1_000 + number,
            text: text.to_owned(),
        },
        boot_ms: now.boot_ms,
        boot_id: 1,
    };
    StoredLog { epoch: 5, head: count, entries: (1..=count).map(entry).collect() }
}

fn server_key() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

impl TestHub {
    fn new(settings: Settings, entries: u64, text: &str) -> TestHub {
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        let instance =
            ServerInstance { fingerprint: server_key(), udp_port: 4400, boot_id: 1, seed: [3; 32] };
        let mut hub = Hub::new(settings, instance, stored(entries, text, now), now);
        // A start deletes expired mail.
        hub.handle(now, Input::Tick);
        TestHub { hub, now, connections: 0, effects: Vec::new() }
    }

    fn empty() -> TestHub {
        TestHub::new(Settings::default(), 0, "")
    }

    fn put(&mut self, input: Input) -> &[Effect] {
        self.effects = self.hub.handle(self.now, input);
        &self.effects
    }

    /// Commits the next broadcast as the store would.
    fn committed(&mut self) -> &[Effect] {
        let number = self.hub.log.head() + 1;
        self.put(Input::Stored(StoreAnswer::Appended { result: Ok(number) }))
    }

    /// Advances the time deadline by deadline, and returns the hub's effects.
    fn pass(&mut self, ms: u64) -> Vec<Effect> {
        let end = self.now.boot_ms + ms;
        let mut all = Vec::new();
        while let Some(due) = self.hub.next_deadline().filter(|due| *due <= end) {
            let step = due.saturating_sub(self.now.boot_ms);
            self.now.boot_ms += step;
            self.now.wall_ms += step;
            all.extend(self.put(Input::Tick).iter().cloned());
        }
        self.now.wall_ms += end - self.now.boot_ms;
        self.now.boot_ms = end;
        all
    }

    fn arrive(&mut self, from: &str) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let peer = SocketAddr::new(from.parse::<IpAddr>().unwrap(), 50_000);
        self.put(Input::Accepted { connection, peer, local: "10.0.0.100".parse().unwrap() });
        connection
    }

    fn secure(&mut self, connection: ConnectionId) {
        self.put(Input::Secured { connection, binding: [7; 32] });
    }

    fn line(&mut self, connection: ConnectionId, frame: Frame) -> &[Effect] {
        self.put(Input::Line { connection, line: Ok(frame) })
    }

    fn say(&mut self, connection: ConnectionId, request: &Request) -> &[Effect] {
        self.line(connection, request.to_frame())
    }

    fn key_login(&mut self, connection: ConnectionId, name: &str, seed: u8, take: bool) -> Reply {
        self.key_login_with(connection, name, seed, take, Verdict::Accepted)
    }

    fn key_login_with(
        &mut self,
        connection: ConnectionId,
        name: &str,
        seed: u8,
        take: bool,
        verdict: Verdict,
    ) -> Reply {
        let credentials = Credentials { take, ..credentials(name, seed) };
        self.say(connection, &Request::Key { username: name.into(), credentials });
        self.put(Input::Stored(StoreAnswer::Checked { connection, result: Ok(verdict) }));
        replies(&self.effects, connection).remove(0)
    }

    /// Logs a program in.
    fn member(&mut self, name: &str, from: &str) -> (ConnectionId, Welcome) {
        let connection = self.arrive(from);
        self.secure(connection);
        self.say(connection, &Request::Hello);
        let reply = self.key_login(connection, name, name.len() as u8, false);
        (connection, Welcome::from_reply(&reply).unwrap())
    }

    fn prove_udp(&mut self, welcome: &Welcome) {
        let session = welcome.session;
        let from = UDP.parse().unwrap();
        let effects = self.put(Input::Datagram { session, from, message: ToServer::KeepAlive });
        let Some(Effect::Datagram { message: ToClient::Challenge(token), .. }) = effects.first()
        else {
            panic!("no challenge in {effects:?}");
        };
        let message = ToServer::Answer(*token);
        self.put(Input::Datagram { session, from, message });
    }
}

/// Returns the credentials of a device, whose key this number makes.
fn credentials(name: &str, seed: u8) -> Credentials {
    let identity = Identity::from_seed(&[seed; 32]);
    let username = name.parse().unwrap();
    let statement =
        LoginStatement { server: &server_key(), username: &username, binding: &[7; 32] };
    let signature = identity.sign(&statement);
    Credentials { key: identity.public_key(), signature, port: 4401, take: false }
}

fn said(effects: &[Effect], to: ConnectionId) -> Vec<FromServer> {
    let mut decoder = Decoder::new();
    let mut assembler = ReplyAssembler::default();
    let mut all = Vec::new();
    for effect in effects {
        if let Effect::Send { connection, bytes } = effect
            && *connection == to
        {
            decoder.extend(bytes);
            while let Some(frame) = decoder.next(Mode::Frame).unwrap() {
                all.extend(assembler.take(&frame).unwrap());
            }
        }
    }
    all
}

fn replies(effects: &[Effect], to: ConnectionId) -> Vec<Reply> {
    let only_replies = |said| match said {
        FromServer::Reply(reply) => Some(reply),
        _ => None,
    };
    said(effects, to).into_iter().filter_map(only_replies).collect()
}

fn notices(effects: &[Effect], to: ConnectionId) -> Vec<Notice> {
    let only_notices = |said| match said {
        FromServer::Notice(notice) => Some(notice),
        _ => None,
    };
    said(effects, to).into_iter().filter_map(only_notices).collect()
}

fn closes(effects: &[Effect], which: ConnectionId) -> bool {
    effects.contains(&Effect::Close { connection: which })
}

fn wants_line(effects: &[Effect], from: ConnectionId) -> bool {
    let wanted =
        |effect: &Effect| matches!(effect, Effect::Read { connection, .. } if *connection == from);
    effects.iter().any(wanted)
}

#[test]
fn replay_is_whole_and_in_order_wherever_pages_end() {
    for count in 20..80 {
        let mut server = TestHub::new(Settings::default(), count, &"x".repeat(900));
        let (alice, welcome) = server.member("alice", "10.0.0.1");
        server.prove_udp(&welcome);
        let mut effects = server.say(alice, &Request::Replay { from: 1 }).to_vec();
        let mut numbers = Vec::new();
        let mut through = None;
        while through.is_none() {
            let sent = |effect: &Effect| match effect {
                Effect::Send { bytes, .. } => bytes.len(),
                _ => 0,
            };
            let page: usize = effects.iter().map(sent).sum();
            assert!(page < 2 * letschat_protocol::limits::MAX_PAGE_BYTES, "a page of {page} bytes");
            for notice in notices(&effects, alice) {
                match notice {
                    Notice::Broadcast { entry, .. } => numbers.push(entry.number),
                    Notice::Replayed { through: end } => through = Some(end),
                    other => panic!("{other:?}"),
                }
            }
            effects = server.put(Input::Drained { connection: alice }).to_vec();
        }
        assert_eq!((through, numbers), (Some(count), (1..=count).collect::<Vec<u64>>()));
        assert_eq!(effects, [], "nothing comes after the end");
    }
}

#[test]
fn udp_that_comes_up_within_a_page_ends_no_unasked_replay() {
    let mut server = TestHub::new(Settings::default(), 60, &"x".repeat(900));
    let (alice, welcome) = server.member("alice", "10.0.0.1");
    server.say(alice, &Request::Broadcast { text: "one".into() });
    let page = server.committed().to_vec();
    assert!(matches!(&notices(&page, alice)[..], [Notice::Broadcast { .. }]));
    server.say(alice, &Request::Broadcast { text: "two".into() });
    server.committed();
    server.prove_udp(&welcome);
    let rest = server.put(Input::Drained { connection: alice }).to_vec();
    assert!(
        matches!(&notices(&rest, alice)[..], [Notice::Broadcast { entry, .. }] if entry.text == "two")
    );
    assert_eq!(server.put(Input::Drained { connection: alice }), []);
}

#[test]
fn a_broadcast_rate_is_the_accounts_and_not_the_sessions() {
    let settings = Settings { broadcast_burst: 2, ..Settings::default() };
    let mut server = TestHub::new(settings, 0, "");
    for expected in ["ok", "ok", "slow_down", "slow_down"] {
        let (alice, _) = server.member("alice", "10.0.0.1");
        let mut effects = server.say(alice, &Request::Broadcast { text: "again".into() }).to_vec();
        if replies(&effects, alice).is_empty() {
            effects = server.committed().to_vec();
        }
        assert_eq!(replies(&effects, alice)[0].code.name(), expected);
    }
}

#[test]
fn typos_far_apart_are_no_flood_and_five_in_a_row_are() {
    let mut server = TestHub::empty();
    let person = server.arrive("10.0.0.3");
    server.secure(person);
    server.line(person, Frame::line("HELLO"));
    for _ in 0..10 {
        assert!(!closes(server.line(person, Frame::line("LOGON")), person));
        server.line(person, Frame::line("HELP"));
    }
    let typos = (0..5).map(|_| closes(server.line(person, Frame::line("LOGON")), person));
    assert_eq!(typos.collect::<Vec<_>>(), [false, false, false, false, true]);
}

#[test]
fn address_is_used_only_after_it_answered_its_challenge() {
    let mut server = TestHub::empty();
    let (_, welcome) = server.member("alice", "10.0.0.1");
    let (session, from, elsewhere) =
        (welcome.session, UDP.parse().unwrap(), "10.9.9.9:1".parse().unwrap());
    let effects = server.put(Input::Datagram { session, from, message: ToServer::KeepAlive });
    let [Effect::Datagram { to, message: ToClient::Challenge(token) }] = effects else {
        panic!("{effects:?}");
    };
    assert_eq!(to[..], [Destination { session, address: from }]);
    let answer = ToServer::Answer(*token);
    let stolen = server.put(Input::Datagram { session, from: elsewhere, message: answer.clone() });
    assert_eq!(stolen, [], "an answer from elsewhere proves nothing");
    let proven = server.put(Input::Datagram { session, from, message: answer }).to_vec();
    assert!(
        proven
            .iter()
            .any(|effect| matches!(effect, Effect::Datagram { message: ToClient::Head(0), .. }))
    );
}

#[test]
fn when_udp_falls_silent_broadcasts_go_over_tcp() {
    let mut server = TestHub::empty();
    let (alice, welcome) = server.member("alice", "10.0.0.1");
    server.prove_udp(&welcome);
    let broadcast = |server: &mut TestHub, number| {
        server.say(alice, &Request::Broadcast { text: format!("number {number}") });
        assert!(matches!(&server.effects[..], [.., Effect::Store(StoreRequest::Append { .. })]));
        server.committed().to_vec()
    };
    let effects = broadcast(&mut server, 1);
    assert_eq!(notices(&effects, alice), []);
    let by_udp = |effect: &Effect| {
        matches!(effect, Effect::Datagram { message: ToClient::Broadcast { .. }, .. })
    };
    assert!(effects.iter().any(by_udp));
    for _ in 0..2 {
        server.pass(50_000);
        server.say(alice, &Request::Ping);
    }
    let effects = broadcast(&mut server, 2);
    assert!(!effects.iter().any(by_udp));
    assert!(
        matches!(&notices(&effects, alice)[..], [Notice::Broadcast { entry, own: true }] if entry.number == 2)
    );
}

#[test]
fn a_quiet_client_keeps_its_place_when_its_udp_falls_silent() {
    let mut server = TestHub::empty();
    let (alice, welcome) = server.member("alice", "10.0.0.1");
    server.prove_udp(&welcome);
    for _ in 0..10 {
        server.pass(25_000);
        let (session, from) = (welcome.session, UDP.parse().unwrap());
        server.put(Input::Datagram { session, from, message: ToServer::KeepAlive });
    }
    // Four minutes without a line are allowed while UDP works, and still when it stops working.
    assert!(!closes(&server.pass(55_000 + 120_000), alice));
    assert!(closes(&server.pass(10_000), alice), "but then a line is owed");
}

#[test]
fn the_newest_number_is_repeated_after_a_pause() {
    let mut server = TestHub::empty();
    let (alice, welcome) = server.member("alice", "10.0.0.1");
    server.prove_udp(&welcome);
    server.say(alice, &Request::Broadcast { text: "hi".into() });
    server.committed();
    let heads = server.pass(5_000);
    let heads = heads
        .iter()
        .filter(|effect| matches!(effect, Effect::Datagram { message: ToClient::Head(1), .. }));
    assert_eq!(heads.count(), 4);
}

#[test]
fn broadcast_that_was_not_kept_is_refused_and_reaches_nobody() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    server.say(alice, &Request::Broadcast { text: "hi".into() });
    let effects = server
        .put(Input::Stored(StoreAnswer::Appended { result: Err(crate::store::Unavailable) }))
        .to_vec();
    assert_eq!(replies(&effects, alice)[0].code, letschat_protocol::code::Code::StoreUnavailable);
    assert_eq!(notices(&effects, alice), []);
}

#[test]
fn stores_answer_for_somebody_who_has_gone_reaches_nobody() {
    let mut server = TestHub::empty();
    let gone = server.arrive("10.0.0.1");
    server.secure(gone);
    server.say(gone, &Request::Hello);
    let credentials = Credentials {
        key: Identity::from_seed(&[1; 32]).public_key(),
        signature: "00".repeat(64).parse().unwrap(),
        port: 4401,
        take: false,
    };
    let password = letschat_protocol::dialogue::Secret("whatever".into());
    server.say(gone, &Request::Login { username: "!".into(), credentials, password });
    let effects = server.put(Input::Gone { connection: gone, why: LinkEnd::Ended });
    assert!(effects.contains(&Effect::CancelStore { connection: gone }));
    let late = StoreAnswer::Checked { connection: gone, result: Ok(Verdict::Accepted) };
    assert_eq!(server.put(Input::Stored(late)), []);
    assert_eq!(server.hub.members(), 0);
}

#[test]
fn same_key_replaces_its_ghost_and_another_has_its_own_session() {
    let mut server = TestHub::empty();
    let (ghost, _) = server.member("alice", "10.0.0.1");
    let fresh = |server: &mut TestHub| {
        let connection = server.arrive("10.0.0.2");
        server.secure(connection);
        server.say(connection, &Request::Hello);
        connection
    };
    let other = fresh(&mut server);
    assert_eq!(server.key_login(other, "alice", 99, false).code.name(), "logged_in");
    assert!(!closes(&server.effects, ghost));
    let same = fresh(&mut server);
    assert_eq!(
        server.key_login(same, "alice", "alice".len() as u8, false).code.name(),
        "logged_in"
    );
    assert!(closes(&server.effects, ghost) && !closes(&server.effects, other));
    // Version 0.1 may ask to take over, which has no effect any more.
    let third = fresh(&mut server);
    assert_eq!(server.key_login(third, "alice", 98, true).code.name(), "logged_in");
    assert!(!closes(&server.effects, same) && !closes(&server.effects, other));
    assert_eq!(server.hub.members(), 3);
}

#[test]
fn a_flood_of_commands_is_slowed_and_then_closed() {
    for pause_ms in [0, 100] {
        let mut server = TestHub::empty();
        let (alice, _) = server.member("alice", "10.0.0.1");
        let mut read_at_once = 0;
        while wants_line(server.say(alice, &Request::Ping), alice) {
            read_at_once += 1;
            assert!(read_at_once < 100, "nothing slows it");
        }
        let mut lines = 0;
        loop {
            let effects = server.pass(50);
            assert!(wants_line(&effects, alice), "one line in each interval");
            if lines % 100 == 0 {
                server.pass(pause_ms);
            }
            // After a pause some lines are read at once.
            let closed = loop {
                let effects = server.say(alice, &Request::Ping);
                if !wants_line(effects, alice) {
                    break closes(effects, alice);
                }
            };
            if closed {
                break;
            }
            lines += 1;
            assert!(lines < 5_000, "it is never enough");
        }
        assert!(lines > 600, "half a minute of haste is no flood");
    }
}
