//! A classroom: the list of its clients, names without passwords, and pasted text.

use letschat_protocol::code::Code;
use letschat_protocol::identity::PublicKey;

use super::*;
use crate::clients_file::{ClientEntry, MAX_CLIENTS};

fn classroom() -> TestHub {
    with_places(50)
}

fn with_places(places: usize) -> TestHub {
    let settings = Settings { places, ..Settings::default() };
    TestHub::new(settings.in_classroom(), 0, "")
}

fn entry(name: &str, receiver: &str) -> ClientEntry {
    ClientEntry { username: name.parse().unwrap(), receiver: receiver.parse().unwrap() }
}

fn key(seed: u8) -> PublicKey {
    Identity::from_seed(&[seed; 32]).public_key()
}

/// Returns the introductions of clients: name, address, and whether it is new.
fn introductions(effects: &[Effect], to: ConnectionId) -> Vec<(String, String, bool)> {
    let client = |notice| match notice {
        Notice::Client { who, is_new } => {
            Some((who.username.to_string(), who.receiver.to_string(), is_new))
        }
        _ => None,
    };
    notices(effects, to).into_iter().filter_map(client).collect()
}

fn named(name: &str, receiver: &str, is_new: bool) -> (String, String, bool) {
    (name.into(), receiver.into(), is_new)
}

fn shown(effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| match effect {
        Effect::Show(line) => Some(line.to_string()),
        _ => None,
    };
    effects.iter().filter_map(line).collect()
}

/// Returns the last list that was written.
fn written(effects: &[Effect]) -> Option<Vec<ClientEntry>> {
    let list = |effect: &Effect| match effect {
        Effect::WriteClients(entries) => Some(entries.clone()),
        _ => None,
    };
    effects.iter().rev().find_map(list)
}

impl TestHub {
    fn greeted(&mut self, from: &str) -> ConnectionId {
        let connection = self.arrive(from);
        self.secure(connection);
        self.say(connection, &Request::Hello);
        connection
    }

    /// Logs a client in. Its key is the same each time.
    fn comes(&mut self, name: &str, from: &str) -> ConnectionId {
        let connection = self.greeted(from);
        assert_eq!(self.key_login(connection, name, name.len() as u8, false).code, Code::LoggedIn);
        connection
    }

    fn is_lost(&mut self, connection: ConnectionId) -> &[Effect] {
        self.put(Input::Gone { connection, why: LinkEnd::Failed })
    }

    /// Returns the claim of the request that a login by key sends to the store.
    fn claims(&mut self, connection: ConnectionId, name: &str) -> Option<bool> {
        let identity = Identity::from_seed(&[1; 32]);
        let username = name.parse().unwrap();
        let statement =
            LoginStatement { server: &server_key(), username: &username, binding: &[7; 32] };
        let (key, signature) = (identity.public_key(), identity.sign(&statement));
        let credentials = Credentials { key, signature, port: 4401, take: false };
        let claim = |effect: &Effect| match effect {
            Effect::Store(StoreRequest::CheckKey { claim, .. }) => Some(*claim),
            _ => None,
        };
        let request = Request::Key { username: name.into(), credentials };
        self.say(connection, &request).iter().find_map(claim)
    }
}

#[test]
fn newcomer_is_announced_to_all_and_to_itself() {
    let mut server = classroom();
    let one = server.comes("1", "127.0.0.1");
    assert_eq!(introductions(&server.effects, one), [named("1", "127.0.0.1:4401", true)]);
    let two = server.comes("22", "10.0.0.2");
    let effects = server.effects.clone();
    let itself = named("22", "10.0.0.2:4401", true);
    assert_eq!(introductions(&effects, one), std::slice::from_ref(&itself));
    // The server's own machine has another address for a client elsewhere.
    let first = named("1", "10.0.0.100:4401", false);
    assert_eq!(introductions(&effects, two), [first, itself]);
    assert!(matches!(said(&effects, two)[..], [FromServer::Reply(_), ..]), "the welcome is first");
    assert_eq!(shown(&effects), ["Client 22: initiated"]);
    let list = [entry("1", "127.0.0.1:4401"), entry("22", "10.0.0.2:4401")];
    assert_eq!(written(&effects).unwrap(), list);
}

#[test]
fn client_that_comes_back_is_known() {
    let mut server = classroom();
    let one = server.comes("1", "127.0.0.1");
    let two = server.comes("22", "127.0.0.1");
    assert_eq!(written(server.is_lost(two)), None, "a lost connection removes nobody");
    let third = server.comes("333", "127.0.0.1");
    let away = named("22", "127.0.0.1:4401", false);
    assert!(introductions(&server.effects, third).contains(&away), "the list has its address");
    let two = server.comes("22", "127.0.0.1");
    let effects = server.effects.clone();
    assert_eq!(shown(&effects), ["Client 22: reconnected"]);
    assert_eq!(introductions(&effects, one), [away]);
    assert_eq!(introductions(&effects, two).len(), 2, "it is not introduced to itself");
    assert_eq!(written(&effects), None, "nothing has changed");
    server.is_lost(two);
    server.comes("22", "127.0.0.9");
    assert_eq!(written(&server.effects).unwrap()[1], entry("22", "127.0.0.9:4401"));
}

#[test]
fn client_that_quits_leaves_the_list() {
    let mut server = classroom();
    let one = server.comes("1", "127.0.0.1");
    server.comes("22", "127.0.0.1");
    let effects = server.say(one, &Request::Quit).to_vec();
    assert_eq!(written(&effects).unwrap(), [entry("22", "127.0.0.1:4401")]);
    server.comes("1", "127.0.0.1");
    assert_eq!(shown(&server.effects), ["Client 1: initiated"]);
}

#[test]
fn stop_and_kick_remove_nobody() {
    let mut server = classroom();
    server.comes("1", "127.0.0.1");
    for operator in [Operator::Kick("1".parse().unwrap()), Operator::Stop] {
        assert_eq!(written(server.put(Input::Operator(operator))), None);
    }
}

#[test]
fn restored_client_is_introduced_once_its_key_is_known() {
    let mut server = classroom();
    server.hub.restore_clients([entry("1", "127.0.0.1:9001"), entry("22", "127.0.0.1:9002")]);
    let two = server.comes("22", "127.0.0.1");
    assert_eq!(shown(&server.effects), ["Client 22: reconnected"]);
    assert_eq!(introductions(&server.effects, two), []);
    server.comes("1", "127.0.0.1");
    assert_eq!(introductions(&server.effects, two), [named("1", "127.0.0.1:4401", false)]);
}

#[test]
fn refused_knock_removes_a_client_unless_it_came_back() {
    let mut server = classroom();
    let list = ["1", "22", "333"].map(|name| entry(name, "127.0.0.1:9001"));
    let [_, two, _] = list.clone();
    server.hub.restore_clients(list.into_iter().chain([entry("4444", "127.0.0.1:9004")]));
    server.comes("1", "127.0.0.1");
    let receiver = two.receiver;
    let effects = server.put(Input::KnockRefused { receiver }).to_vec();
    let left = [entry("1", "127.0.0.1:4401"), entry("4444", "127.0.0.1:9004")];
    assert_eq!(written(&effects).unwrap(), left);
    let receiver = "127.0.0.1:4401".parse().unwrap();
    assert_eq!(written(server.put(Input::KnockRefused { receiver })), None, "it is here");
}

#[test]
fn list_is_as_long_as_there_are_places() {
    let mut server = with_places(2);
    server.hub.restore_clients((1..9).map(|n| entry(&n.to_string(), "127.0.0.1:9001")));
    server.comes("a", "127.0.0.1");
    let list = written(&server.effects).unwrap();
    assert_eq!(list, [entry("2", "127.0.0.1:9001"), entry("a", "127.0.0.1:4401")]);
    let bb = server.comes("bb", "127.0.0.1");
    assert_eq!(shown(&server.effects), ["Client bb: initiated"]);
    server.pass(1_000);
    server.is_lost(bb);
    server.comes("ccc", "127.0.0.1");
    let list = [entry("a", "127.0.0.1:4401"), entry("ccc", "127.0.0.1:4401")];
    assert_eq!(written(&server.effects).unwrap(), list);
    let settings = Settings { places: 9_999, ..Settings::default() };
    assert_eq!(settings.in_classroom().places, MAX_CLIENTS);
}

#[test]
fn program_without_a_receiver_is_no_client() {
    let mut server = classroom();
    let connection = server.greeted("127.0.0.1");
    let identity = Identity::from_seed(&[1; 32]);
    let username = "1".parse().unwrap();
    let statement =
        LoginStatement { server: &server_key(), username: &username, binding: &[7; 32] };
    let signature = identity.sign(&statement);
    let credentials = Credentials { key: key(1), signature, port: 0, take: false };
    server.say(connection, &Request::Key { username: "1".into(), credentials });
    let result = Ok(Verdict::Accepted);
    let effects = server.put(Input::Stored(StoreAnswer::Checked { connection, result })).to_vec();
    assert_eq!((shown(&effects).len(), written(&effects)), (0, None));
}

#[test]
fn name_of_another_key_is_refused() {
    let mut server = classroom();
    for (name, words) in [("1", "belongs to another client"), ("server", "reserved")] {
        let connection = server.greeted("127.0.0.1");
        assert_eq!(server.claims(connection, name), Some(name == "1"));
        let result = Ok(Verdict::Refused);
        let refused = StoreAnswer::Checked { connection, result };
        let reply = replies(server.put(Input::Stored(refused)), connection).remove(0);
        assert_eq!(reply.code, Code::KeyRefused);
        assert!(reply.lines[0].contains(words), "{reply:?}");
    }
}

#[test]
fn outside_of_a_classroom_no_key_claims_a_name() {
    let mut server = TestHub::empty();
    let connection = server.greeted("127.0.0.1");
    assert_eq!(server.claims(connection, "1"), Some(false));
    let (member, _) = server.member("1", "127.0.0.1");
    let effects = server.effects.clone();
    assert_eq!((shown(&effects).len(), written(&effects)), (0, None));
    server.say(member, &Request::Broadcast { text: "hello".into() });
    assert_eq!(shown(server.committed()).len(), 0);
}

#[test]
fn new_names_are_limited_and_known_ones_are_not() {
    let mut server =
        TestHub::new(Settings { sign_up_burst: 1, ..Settings::default().in_classroom() }, 0, "");
    server.comes("1", "127.0.0.1");
    let connection = server.greeted("127.0.0.1");
    assert_eq!(server.claims(connection, "22"), None);
    assert_eq!(replies(&server.effects, connection)[0].code, Code::SlowDown);
    assert_eq!(server.claims(connection, "1"), Some(true));
}

#[test]
fn paste_of_many_lines_is_neither_slowed_nor_refused() {
    let mut server = classroom();
    let one = server.comes("1", "127.0.0.1");
    for number in 0..2_000 {
        let text = format!("line {number}");
        server.say(one, &Request::Broadcast { text: text.clone() });
        let effects = server.committed().to_vec();
        assert_eq!(replies(&effects, one)[0].code, Code::Ok, "{number}");
        assert!(wants_line(&effects, one), "line {number} is slowed");
        assert_eq!(shown(&effects), [format!("Client 1: {text}")]);
    }
}

#[test]
fn endless_paste_is_slowed_and_not_closed() {
    let mut server = classroom();
    let one = server.comes("1", "127.0.0.1");
    let mut slowed = 0;
    for _ in 0..20_000 {
        let effects = server.say(one, &Request::Ping).to_vec();
        assert!(!closes(&effects, one));
        if !wants_line(&effects, one) {
            slowed += 1;
            assert!(wants_line(&server.pass(1), one), "it waits for a millisecond at most");
        }
    }
    assert!(slowed > 5_000, "{slowed}");
}

#[test]
fn idle_class_is_not_dropped() {
    let mut server = classroom();
    let one = server.comes("1", "127.0.0.1");
    for _ in 0..2 * 24 * 60 {
        assert!(!closes(&server.pass(60_000), one));
        server.say(one, &Request::Ping);
    }
}

#[test]
fn whole_class_may_come_at_once() {
    let mut server = classroom();
    let all: Vec<ConnectionId> = (0..50).map(|_| server.arrive("127.0.0.1")).collect();
    for (connection, seed) in all.into_iter().zip(1..) {
        server.secure(connection);
        server.say(connection, &Request::Hello);
        let reply = server.key_login(connection, &seed.to_string(), seed, false);
        assert_eq!(reply.code, Code::LoggedIn, "{seed}");
    }
    assert_eq!(server.hub.members(), 50);
}

#[test]
fn words_of_a_client_steer_no_terminal() {
    let client = "1".parse().unwrap();
    let line = Shown::Said { client, text: "a\u{1b}[2J\u{202e}".into() };
    assert_eq!(line.to_string(), "Client 1: a\\u{1b}[2J\\u{202e}");
}
