//! PREKEY and KEYS.

use letschat_protocol::dialogue::{AccountKeys, DeviceKeys};

use super::*;

fn publish(office: &mut Office, from: ConnectionId, prekey: SignedPrekey) -> Code {
    office.ask(from, &Request::Prekey(prekey)).code
}

fn keys(office: &mut Office, from: ConnectionId, name: &str) -> Result<Vec<DeviceKeys>, Code> {
    let reply = office.ask(from, &Request::Keys { name: name.into() });
    if reply.code != Code::Ok {
        return Err(reply.code);
    }
    assert_eq!(reply.field::<usize>(0), Some(reply.lines.len() - 1));
    Ok(AccountKeys::from_reply(&reply).unwrap().devices)
}

#[test]
fn published_prekey_is_told_to_others() {
    let mut office = Office::new();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    assert_eq!(keys(&mut office, alice, "bob"), Err(Code::NoDevice));
    let until_ms = office.server.now.wall_ms + 60 * DAY_MS;
    for number in [1, 2] {
        let prekey = prekey("bob", 2, until_ms + number);
        assert_eq!(publish(&mut office, bob, prekey.clone()), Code::Ok);
        let device = identity(2).public_key();
        assert_eq!(
            keys(&mut office, alice, "BOB"),
            Ok(vec![DeviceKeys { device, prekey, used_ms: None }])
        );
    }
    for nobody in ["dave", "-", "10.0.0.1"] {
        assert_eq!(keys(&mut office, alice, nobody), Err(Code::UnknownUser), "{nobody}");
    }
}

#[test]
fn prekey_of_another_key_or_account_is_refused() {
    let mut office = Office::new();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    let until_ms = office.server.now.wall_ms + DAY_MS;
    for prekey in [prekey("bob", 1, until_ms), prekey("alice", 2, until_ms)] {
        assert_eq!(publish(&mut office, bob, prekey), Code::KeyRefused);
    }
    assert_eq!(keys(&mut office, alice, "bob"), Err(Code::NoDevice));
}

#[test]
fn prekey_is_valid_for_a_bounded_time() {
    let mut office = Office::new();
    let bob = office.device("bob", 2);
    let now_ms = office.server.now.wall_ms;
    for (until_ms, code) in [
        (now_ms, Code::BadArguments),
        (now_ms + 1, Code::Ok),
        (now_ms + 62 * DAY_MS, Code::Ok),
        (now_ms + 62 * DAY_MS + 1, Code::BadArguments),
        (0, Code::BadArguments),
        (u64::MAX, Code::BadArguments),
    ] {
        assert_eq!(publish(&mut office, bob, prekey("bob", 2, until_ms)), code, "{until_ms}");
    }
}

#[test]
fn prekey_of_a_removed_key_is_refused() {
    let mut office = Office::new();
    let bob = office.device("bob", 2);
    office.store.set_password(&"bob".parse().unwrap(), "new", None).unwrap();
    let prekey = prekey("bob", 2, office.server.now.wall_ms + DAY_MS);
    assert_eq!(publish(&mut office, bob, prekey), Code::KeyRefused);
}

#[test]
fn session_that_is_not_logged_in_has_no_mailbox() {
    let mut office = Office::new();
    let prekey = prekey("bob", 2, office.server.now.wall_ms + DAY_MS);
    for request in [
        Request::Prekey(prekey),
        Request::Keys { name: "bob".into() },
        post(1, &[("bob", 2)], 9),
        acknowledge(&[1]),
    ] {
        let connection = office.server.arrive("10.0.0.3");
        office.server.secure(connection);
        office.server.say(connection, &Request::Hello);
        assert_eq!(office.ask(connection, &request).code, Code::WrongPhase, "{request:?}");
    }
    assert_eq!(office.requests, []);
}

#[test]
fn store_that_fails_is_told_once_for_each_request() {
    let mut office = Office::new();
    let bob = office.device("bob", 2);
    office.has_prekey("bob", 2);
    office.post(bob, 9, &[("bob", 2)], 9);
    assert_eq!(office.numbers(bob), [1]);
    let prekey = prekey("bob", 2, office.server.now.wall_ms + DAY_MS);
    for request in [
        Request::Prekey(prekey),
        Request::Keys { name: "bob".into() },
        post(1, &[("bob", 2)], 9),
        acknowledge(&[1]),
    ] {
        office.put(Input::Line { connection: bob, line: Ok(request.to_frame()) });
        office.fail();
        assert_eq!(office.reply(bob).code, Code::StoreUnavailable, "{request:?}");
        assert!(wants_line(&office.effects, bob), "{request:?}");
        office.settle();
        office.effects.clear();
    }
}
