//! Meetings and relays, as far as the hub decides about them.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Candidates, MeetingToken};

use super::*;
use crate::hub::meetings::MAX_RELAYS;

fn key_of(name: &str) -> PublicKey {
    Identity::from_seed(&[name.len() as u8; 32]).public_key()
}

fn code(effects: &[Effect], id: ConnectionId) -> Option<Code> {
    replies(effects, id).pop().map(|reply| reply.code)
}

fn relayed(effects: &[Effect]) -> Option<[ConnectionId; 2]> {
    effects.iter().find_map(|effect| match effect {
        Effect::Relay { connections } => Some(*connections),
        _ => None,
    })
}

/// Returns a server with alice and bob, whose sessions come first.
fn with_two(settings: Settings) -> (TestHub, ConnectionId, ConnectionId) {
    let mut server = TestHub::new(settings, 0, "");
    let (alice, _) = server.member("alice", "10.0.0.1");
    let (bob, _) = server.member("bob", "10.0.0.2");
    (server, alice, bob)
}

impl TestHub {
    fn meet(&mut self, asking: ConnectionId, name: &str) -> Reply {
        let request = Request::Meet { name: name.into(), key: key_of(name) };
        replies(self.say(asking, &request), asking).remove(0)
    }

    /// Invites, and returns the tokens of both sides.
    fn tokens(
        &mut self,
        asking: ConnectionId,
        invited: ConnectionId,
        name: &str,
    ) -> [MeetingToken; 2] {
        let reply = self.meet(asking, name);
        let invitation = notices(&self.effects, invited).remove(0);
        let Notice::Meeting(invitation) = invitation else { panic!("{invitation:?}") };
        [reply.field(0).unwrap(), invitation.token]
    }

    /// Returns a connection that has said JOIN, from port 50,000 of this address.
    fn join(&mut self, from: &str, token: MeetingToken) -> ConnectionId {
        let id = self.arrive(from);
        self.secure(id);
        let local = "192.168.1.2:50000".parse().unwrap();
        self.say(id, &Request::Join { token, local });
        id
    }

    /// Has both sides of a new meeting join. Returns their connections.
    fn joined(&mut self, alice: ConnectionId, bob: ConnectionId) -> [ConnectionId; 2] {
        let [one, other] = self.tokens(alice, bob, "bob");
        [self.join("10.0.0.1", one), self.join("10.0.0.2", other)]
    }
}

#[test]
fn both_sides_learn_the_addresses_once_both_are_there() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [one, other] = server.tokens(alice, bob, "bob");
    let first = server.join("10.0.0.1", one);
    assert_eq!(replies(&server.effects, first), [], "the other side has not come");
    let second = server.join("10.0.0.2", other);
    for (id, from) in [(first, "10.0.0.2:50000"), (second, "10.0.0.1:50000")] {
        let reply = replies(&server.effects, id).remove(0);
        let (seen, local) = (from.parse().unwrap(), "192.168.1.2:50000".parse().unwrap());
        assert_eq!(Candidates::parse(reply.last_line()), Some(Candidates { seen, local }));
        assert!(wants_line(&server.effects, id));
    }
}

#[test]
fn token_is_good_once_in_time_and_for_nothing_else() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [one, other] = server.tokens(alice, bob, "bob");
    let first = server.join("10.0.0.1", one);
    for wrong in [one, MeetingToken(7)] {
        let third = server.join("10.0.0.3", wrong);
        assert_eq!(code(&server.effects, third), Some(Code::TokenInvalid));
        assert!(closes(&server.effects, third));
    }
    let effects = server.pass(10_000);
    assert_eq!(code(&effects, first), Some(Code::NotHere));
    assert!(closes(&effects, first));
    let late = server.join("10.0.0.2", other);
    assert_eq!(code(&server.effects, late), Some(Code::TokenInvalid));
}

#[test]
fn relay_begins_when_both_have_asked_for_it() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [first, second] = server.joined(alice, bob);
    assert_eq!(relayed(server.say(second, &Request::Relay)), None);
    assert_eq!(relayed(server.say(first, &Request::Relay)), Some([first, second]));
    for id in [first, second] {
        assert_eq!(code(&server.effects, id), Some(Code::Ok));
        assert!(!wants_line(&server.effects, id), "what follows is not for the hub");
    }
    assert_eq!(server.stats().relays, 1);
    // The other connection still has to get what is on its way.
    let why = LinkEnd::Ended;
    assert!(!closes(server.put(Input::Gone { connection: first, why }), second));
    assert_eq!(server.stats().relays, 1, "it takes up memory until then");
    server.put(Input::Gone { connection: second, why });
    assert_eq!(server.stats().relays, 0);
    assert_eq!(server.stats().occupancy.before_login, 0);
}

#[test]
fn side_that_has_found_another_way_ends_the_meeting() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [first, second] = server.joined(alice, bob);
    server.say(second, &Request::Relay);
    let effects = server.put(Input::Gone { connection: first, why: LinkEnd::Ended }).to_vec();
    assert!(closes(&effects, second) && !closes(&effects, first));
    assert_eq!(server.meet(alice, "bob").code, Code::Ok, "the next one may begin");
}

#[test]
fn meeting_without_an_end_is_ended() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [first, second] = server.joined(alice, bob);
    server.say(first, &Request::Relay);
    let effects = server.pass(10_000);
    assert!(closes(&effects, first) && closes(&effects, second));
}

#[test]
fn anything_but_relay_ends_the_meeting() {
    let (mut server, alice, bob) = with_two(Settings::default());
    for request in [
        Request::Ping,
        Request::Hello,
        Request::Join { token: MeetingToken(1), local: "10.0.0.1:1".parse().unwrap() },
    ] {
        let [first, second] = server.joined(alice, bob);
        let effects = server.say(first, &request).to_vec();
        assert!(closes(&effects, first) && closes(&effects, second), "{request:?}");
    }
}

#[test]
fn device_is_invited_to_eight_meetings_and_once_by_each() {
    let mut server = TestHub::empty();
    let (victim, _) = server.member("v", "10.0.0.1");
    let mut codes = Vec::new();
    for length in 2..12 {
        let (id, _) = server.member(&"m".repeat(length), "10.0.0.2");
        codes.push(server.meet(id, "v").code);
        assert_eq!(server.meet(id, "v").code, Code::SlowDown, "one at a time");
    }
    let (ok, no) = (Code::Ok, Code::SlowDown);
    assert_eq!(codes, [ok, ok, ok, ok, ok, ok, ok, ok, no, no]);
    server.pass(10_000);
    let (id, _) = server.member("somebody", "10.0.0.2");
    server.tokens(id, victim, "v");
}

#[test]
fn tokens_of_one_account_are_few() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("a", "10.0.0.1");
    let names: Vec<String> = (2..=31).map(|length| "b".repeat(length)).collect();
    for name in &names {
        server.member(name, "10.0.0.2");
    }
    let mut given = 0;
    // Some more would be a flood.
    for name in names.iter().cycle().take(1_000) {
        given += usize::from(server.meet(alice, name).code == Code::Ok);
    }
    assert_eq!(given, 8);
}

#[test]
fn relays_are_limited_for_an_account_and_in_all() {
    let (mut server, alice, bob) = with_two(Settings { relays: 3, ..Settings::default() });
    for expected in [true, true, true, false] {
        let [first, second] = server.joined(alice, bob);
        server.say(first, &Request::Relay);
        let effects = server.say(second, &Request::Relay).to_vec();
        assert_eq!(relayed(&effects).is_some(), expected);
        if !expected {
            assert_eq!(code(&effects, first), Some(Code::NoRelay));
            assert!(closes(&effects, first) && closes(&effects, second));
        }
    }
    let (mut server, alice, bob) = with_two(Settings::default());
    for count in 0..=MAX_RELAYS {
        let [first, second] = server.joined(alice, bob);
        server.say(first, &Request::Relay);
        assert_eq!(relayed(server.say(second, &Request::Relay)).is_some(), count < MAX_RELAYS);
    }
}

#[test]
fn network_gets_half_of_the_relays() {
    let mut server = TestHub::new(Settings { relays: 8, ..Settings::default() }, 0, "");
    let mut relays = |one: &str, other: &str, networks: [&str; 2]| {
        let [one, other] = [one, other].map(|name| (server.member(name, networks[0]).0, name));
        let [first, second] = server.tokens(one.0, other.0, other.1);
        let [first, second] = [server.join(networks[0], first), server.join(networks[1], second)];
        server.say(first, &Request::Relay);
        relayed(server.say(second, &Request::Relay)).is_some()
    };
    let name = |letter: &str, n: usize| letter.repeat(n + 1);
    for n in 0..5 {
        let is_relayed = relays(&name("m", 2 * n), &name("m", 2 * n + 1), ["10.0.0.66"; 2]);
        assert_eq!(is_relayed, n < 4, "the accounts behind an address are many");
    }
    assert!(relays("alice", "bo", ["10.0.0.1", "10.0.0.2"]));
    assert!(!relays("carol", "mallory_b", ["10.0.0.3", "10.0.0.66"]));
    let households =
        |n: usize| [["2001:db8:1:1::1", "2001:db8:1:2::1"], ["2001:db8:1:3::1", "10.0.0.4"]][n];
    assert!(relays(&name("s", 20), &name("s", 21), households(0)));
    assert!(relays(&name("s", 22), &name("s", 23), households(1)));
}

#[test]
fn relays_that_are_turned_off_are_refused() {
    let (mut server, alice, bob) = with_two(Settings { relays: 0, ..Settings::default() });
    let [first, second] = server.joined(alice, bob);
    server.say(first, &Request::Relay);
    server.say(second, &Request::Relay);
    assert_eq!(code(&server.effects, second), Some(Code::NoRelay));
}

#[test]
fn meetings_take_no_places_and_are_let_in_where_none_is_free() {
    let (mut server, alice, bob) = with_two(Settings { places: 2, ..Settings::default() });
    let [one, other] = server.tokens(alice, bob, "bob");
    let first = server.join("10.0.0.1", one);
    // While somebody is expected, a newcomer learns it a line later.
    let newcomer = server.arrive("10.0.0.9");
    server.secure(newcomer);
    assert_eq!(code(&server.effects, newcomer), Some(Code::Ready));
    server.say(newcomer, &Request::Hello);
    assert_eq!(code(&server.effects, newcomer), Some(Code::Busy));
    assert!(closes(&server.effects, newcomer));
    let second = server.join("10.0.0.2", other);
    assert!(wants_line(&server.effects, first) && wants_line(&server.effects, second));
    assert_eq!(server.stats().occupancy.before_login, 0);
}

#[test]
fn kicked_user_is_relayed_no_more() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [first, second] = server.joined(alice, bob);
    server.say(first, &Request::Relay);
    server.say(second, &Request::Relay);
    let effects = server.put(Input::Operator(Operator::Kick("bob".parse().unwrap()))).to_vec();
    assert!(closes(&effects, second) && closes(&effects, bob));
    server.put(Input::Gone { connection: first, why: LinkEnd::Ended });
    assert_eq!(server.stats().relays, 0);
    let (mut server, alice, bob) = with_two(Settings::default());
    let [first, second] = server.joined(alice, bob);
    let (carol, _) = server.member("carol", "10.0.0.3");
    let [_, unused] = server.tokens(carol, bob, "bob");
    let effects = server.put(Input::Operator(Operator::Kick("bob".parse().unwrap()))).to_vec();
    assert!(closes(&effects, first) && closes(&effects, second), "meetings end as well");
    let late = server.join("10.0.0.2", unused);
    assert_eq!(code(&server.effects, late), Some(Code::TokenInvalid));
}

#[test]
fn device_that_logs_in_again_goes_on_with_its_relays() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [first, second] = server.joined(alice, bob);
    server.say(first, &Request::Relay);
    server.say(second, &Request::Relay);
    let again = server.arrive("10.0.0.2");
    server.secure(again);
    server.say(again, &Request::Hello);
    let reply = server.key_login(again, "bob", 3, true);
    assert_eq!(reply.code, Code::LoggedIn);
    assert!(!closes(&server.effects, second));
    assert_eq!(server.stats().relays, 1);
}

#[test]
fn nobody_meets_a_stranger_or_oneself() {
    let (mut server, alice, _) = with_two(Settings::default());
    for name in ["alice", "nobody", "-"] {
        assert_eq!(server.meet(alice, name).code, Code::NotHere, "{name}");
    }
    for request in [
        Request::Relay,
        Request::Join { token: MeetingToken(1), local: "10.0.0.1:1".parse().unwrap() },
    ] {
        server.say(alice, &request);
        assert_eq!(code(&server.effects, alice), Some(Code::WrongPhase));
    }
}

#[test]
fn relays_that_end_on_one_side_alone_count_still() {
    let (mut server, alice, bob) = with_two(Settings { relays: 3, ..Settings::default() });
    let mut begun = 0;
    for _ in 0..20 {
        let [first, second] = server.joined(alice, bob);
        server.say(first, &Request::Relay);
        begun += usize::from(relayed(server.say(second, &Request::Relay)).is_some());
        server.put(Input::Gone { connection: first, why: LinkEnd::Ended });
    }
    assert!(begun <= 6, "{begun} connections wait for a side that stalls");
}

#[test]
fn wrong_tokens_leave_the_door_to_others() {
    let (mut server, alice, bob) = with_two(Settings::default());
    let [one, other] = server.tokens(alice, bob, "bob");
    // Silent connections of other addresses fill the places before the login.
    for n in 0..PRE_LOGIN_PLACES {
        let id = server.arrive(&format!("10.1.{}.{}", n / 16, n % 16 + 1));
        server.secure(id);
    }
    for token in 0..100 {
        server.join("10.0.0.66", MeetingToken(token));
    }
    let carol = server.arrive("10.0.0.3");
    server.secure(carol);
    server.say(carol, &Request::Hello);
    assert_eq!(server.key_login(carol, "carol", 9, false).code, Code::LoggedIn);
    let (first, second) = (server.join("10.0.0.1", one), server.join("10.0.0.2", other));
    assert!(wants_line(&server.effects, first) && wants_line(&server.effects, second));
}
