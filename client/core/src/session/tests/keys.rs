//! Changed keys: how they are shown, and which one `trust` pins.

use super::*;

/// Returns alice's session after a chat with bob, whose key is that of the seed 2.
fn knows_bob() -> TestSession {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    client.put(Input::Peer { link, message: PeerMessage::Bye });
    client
}

fn print(seed: u8) -> String {
    fingerprint(&key(seed))
}

/// Asks to connect to bob, whom the server introduces with this key.
fn connect(client: &mut TestSession, seed: u8) -> Result<(), Failure> {
    let (id, _) = client.ask(Request::Connect { who: "bob".into(), force: true, switch: true });
    let introduced = format!("bob 10.0.0.2 4401 {} introduced", key(seed));
    let effects = client.server(Code::Ok, &introduced);
    answer(&effects, id).map_or(Ok(()), |answer| answer.clone().map(|_| ()))
}

fn trust(client: &mut TestSession) -> Result<String, Failure> {
    let (id, effects) = client.ask(Request::Trust("bob".into()));
    match answer(&effects, id).unwrap().clone()? {
        Reply::Trusted { fingerprint, .. } => Ok(fingerprint),
        other => panic!("{other:?}"),
    }
}

/// Returns the failure that shows both keys of bob.
fn shows(seed: u8, trusting: bool) -> Failure {
    let (known, new) = (Some(key(2)), key(seed));
    Failure::KeyChanged { who: name("bob"), known, new, trusting }
}

fn pinned(client: &TestSession) -> String {
    fingerprint(&client.session.peers()[&name("bob")].key)
}

#[test]
fn changed_key_is_shown_beside_the_known_one_and_then_trusted() {
    let mut client = knows_bob();
    assert_eq!(connect(&mut client, 3).unwrap_err(), shows(3, false));
    assert_eq!(trust(&mut client).unwrap(), print(3));
    assert_eq!(pinned(&client), print(3));
    assert_eq!(trust(&mut client).unwrap_err(), Failure::NothingToTrust("bob".into()));
    connect(&mut client, 3).unwrap();
}

#[test]
fn another_key_offered_since_is_shown_before_it_is_trusted() {
    let mut client = knows_bob();
    connect(&mut client, 3).unwrap_err();
    client.called_by("bob", 4);
    assert_eq!(trust(&mut client).unwrap_err(), shows(4, true));
    assert_eq!(pinned(&client), print(2), "nothing is trusted unseen");
    client.called_by("bob", 5);
    assert_eq!(trust(&mut client).unwrap_err(), shows(5, true));
    assert_eq!(trust(&mut client).unwrap(), print(5));
}

#[test]
fn key_of_a_caller_who_hung_up_is_shown_before_it_is_trusted() {
    let hang_up: fn(&mut TestSession, LinkId) = |client, link| {
        client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    };
    let deny: fn(&mut TestSession, LinkId) = |client, _| drop(client.ask(Request::Deny(None)));
    for ending in [hang_up, deny] {
        let mut client = knows_bob();
        let (link, _) = client.called_by("bob", 3);
        ending(&mut client, link);
        assert_eq!(trust(&mut client).unwrap_err(), shows(3, true));
        assert_eq!(pinned(&client), print(2));
        assert_eq!(trust(&mut client).unwrap(), print(3));
    }
}

#[test]
fn key_that_a_request_showed_is_trusted_at_once() {
    let mut client = knows_bob();
    let (_, effects) = client.called_by("bob", 3);
    let print = print(3);
    let shown = |event: &&Event| matches!(event, Event::Request { fingerprint, key: KeyState::Changed, .. } if *fingerprint == print);
    assert!(told(&effects).iter().any(shown), "{effects:?}");
    let (id, effects) = client.ask(Request::Approve(None));
    assert_eq!(code(&effects, id), "key_changed");
    assert_eq!(trust(&mut client).unwrap(), print);
    let (_, effects) = client.ask(Request::Approve(None));
    let approves =
        |effect: &Effect| matches!(effect, Effect::SendPeer { message: PeerMessage::Approve, .. });
    assert!(effects.iter().any(approves), "{effects:?}");
}

#[test]
fn offer_is_forgotten_when_the_known_key_is_back() {
    let mut client = knows_bob();
    connect(&mut client, 3).unwrap_err();
    connect(&mut client, 2).unwrap();
    assert_eq!(trust(&mut client).unwrap_err(), Failure::NothingToTrust("bob".into()));
}

#[test]
fn front_ends_are_told_the_state_of_each_key() {
    let state = |effects: &[Effect]| {
        let told = effects.iter().rev().find_map(|effect| match effect {
            Effect::Tell(Event::Contacts(contacts)) => Some(contacts),
            _ => None,
        });
        told.map(|contacts| contacts.keys[&name("bob")])
    };
    let mut client = knows_bob();
    let (_, effects) = client.ask(Request::Verify { who: "bob".into(), matches: true });
    assert_eq!(state(&effects), Some(KeyState::Verified));
    client.ask(Request::Connect { who: "bob".into(), force: true, switch: true });
    let introduced = format!("bob 10.0.0.2 4401 {} introduced", key(3));
    assert_eq!(state(&client.server(Code::Ok, &introduced)), Some(KeyState::Changed));
    let (_, effects) = client.ask(Request::Trust("bob".into()));
    assert_eq!(state(&effects), Some(KeyState::Known));
    let (_, effects) = client.ask(Request::Status);
    assert_eq!(state(&effects), None, "nothing has changed");
}
