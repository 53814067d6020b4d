//! Changes of passwords: refused, delayed, cancelled.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Secret;

use super::*;
use crate::store::Unavailable;

fn change(new: &str, repeated: &str) -> Request {
    let secret = |text: &str| Secret(text.into());
    Request::ChangePassword {
        password: secret("correct horse"),
        new: secret(new),
        repeated: secret(repeated),
    }
}

fn asks_store(effects: &[Effect]) -> bool {
    let is_change =
        |effect: &Effect| matches!(effect, Effect::Store(StoreRequest::ChangePassword(_)));
    effects.iter().any(is_change)
}

impl TestHub {
    /// Requests a change, waits for its turn, and answers with this verdict of the store.
    fn tries_to_change(
        &mut self,
        connection: ConnectionId,
        result: Result<Verdict, Unavailable>,
    ) -> Code {
        let mut effects = self.say(connection, &change("other horse", "other horse")).to_vec();
        if !asks_store(&effects) {
            effects = self.pass(20_000);
        }
        assert!(asks_store(&effects), "{effects:?}");
        let username = self.hub.member_of(connection).unwrap().username.clone();
        let answer = StoreAnswer::PasswordChanged { connection, username, result };
        let effects = self.put(Input::Stored(answer)).to_vec();
        replies(&effects, connection).remove(0).code
    }
}

#[test]
fn what_the_store_says_is_told() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    for (result, code) in [
        (Ok(Verdict::Accepted), Code::Ok),
        (Ok(Verdict::Refused), Code::WrongPassword),
        (Ok(Verdict::Banned), Code::Banned),
        (Err(Unavailable), Code::StoreUnavailable),
    ] {
        assert_eq!(server.tries_to_change(alice, result), code);
    }
}

#[test]
fn a_new_password_that_will_not_do_does_not_come_to_the_store() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    for (new, repeated, code) in [
        ("short", "short", Code::PasswordWeak),
        ("other horse", "other house", Code::PasswordsDiffer),
    ] {
        let effects = server.say(alice, &change(new, repeated)).to_vec();
        assert_eq!(replies(&effects, alice).remove(0).code, code);
        assert!(!asks_store(&effects));
    }
}

#[test]
fn three_wrong_answers_in_a_row_end_the_session() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    for result in [Verdict::Refused, Verdict::Refused, Verdict::Accepted, Verdict::Refused] {
        server.tries_to_change(alice, Ok(result));
    }
    server.tries_to_change(alice, Ok(Verdict::Refused));
    assert!(!closes(&server.effects, alice));
    server.tries_to_change(alice, Ok(Verdict::Refused));
    assert!(closes(&server.effects, alice));
}

#[test]
fn after_failures_a_try_waits_and_beyond_some_is_refused() {
    let mut server = TestHub::empty();
    let members: Vec<ConnectionId> =
        (0..40).map(|n| server.member(&format!("user{n}"), "10.0.0.1").0).collect();
    for connection in &members[..3] {
        for _ in 0..2 {
            server.tries_to_change(*connection, Ok(Verdict::Refused));
        }
    }
    let mut delayed = 0;
    let mut refused = 0;
    for connection in &members[3..] {
        let effects = server.say(*connection, &change("other horse", "other horse")).to_vec();
        match replies(&effects, *connection).first() {
            Some(reply) => {
                assert_eq!(reply.code, Code::SlowDown);
                refused += 1;
            }
            None => delayed += usize::from(!asks_store(&effects)),
        }
    }
    assert!(delayed > 0 && refused > 0, "{delayed} wait, {refused} are refused");
}

#[test]
fn who_hangs_up_while_it_waits_wants_nothing_of_the_store() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    server.say(alice, &change("other horse", "other horse"));
    let effects = server.put(Input::Gone { connection: alice, why: LinkEnd::Ended }).to_vec();
    assert!(effects.contains(&Effect::CancelStore { connection: alice }), "{effects:?}");
}

/// Returns two sessions of alice. The first has asked for a change of the password.
fn changing() -> (TestHub, ConnectionId, ConnectionId) {
    let mut server = TestHub::empty();
    let (changer, _) = server.member("alice", "10.0.0.1");
    let other = server.arrive("10.0.0.2");
    server.secure(other);
    server.say(other, &Request::Hello);
    server.key_login(other, "alice", 9, false);
    server.say(changer, &change("other horse", "other horse"));
    (server, changer, other)
}

fn alice() -> Username {
    "alice".parse().unwrap()
}

#[test]
fn password_of_a_session_that_is_gone_is_changed_all_the_same() {
    let (mut server, connection, other) = changing();
    server.put(Input::Gone { connection, why: LinkEnd::Ended });
    let (username, result) = (alice(), Ok(Verdict::Accepted));
    let late = StoreAnswer::PasswordChanged { connection, username: username.clone(), result };
    let effects = server.put(Input::Stored(late)).to_vec();
    assert!(effects.contains(&Effect::Record(Record::PasswordChanged { username })));
    assert_eq!(notices(&effects, other), [Notice::Closing(Closing::Removed)]);
}

#[test]
fn change_without_an_answer_lets_others_log_in_again() {
    let (mut server, connection, other) = changing();
    let username = alice();
    let effects = server.put(Input::Stored(StoreAnswer::PasswordInDoubt { connection, username }));
    assert_eq!(replies(effects, connection)[0].code, Code::StoreUnavailable);
    assert_eq!(notices(effects, other), [Notice::Closing(Closing::Recheck)]);
    // The store failed before it had compared the password.
    let (mut server, connection, other) = changing();
    let (username, result) = (alice(), Err(Unavailable));
    let failed = StoreAnswer::PasswordChanged { connection, username, result };
    let effects = server.put(Input::Stored(failed));
    assert_eq!(replies(effects, connection)[0].code, Code::StoreUnavailable);
    assert_eq!(notices(effects, other), []);
}

#[test]
fn two_spellings_of_the_new_password_are_one() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    let effects = server.say(alice, &change("cafe\u{301} noir", "caf\u{e9}\u{a0}noir")).to_vec();
    assert!(asks_store(&effects), "{effects:?}");
}
