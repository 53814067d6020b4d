//! A key that changes: what is shown of it, and which one `trust` pins.

use super::*;

/// Alice has chatted with bob, whose key is that of the seed 2.
fn knows_bob() -> Stage {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    stage.put(Input::Peer { link, message: PeerMessage::Bye });
    stage
}

fn print(seed: u8) -> String {
    fingerprint(&key(seed))
}

/// Asks to connect to bob, whom the server introduces with this key.
fn connect(stage: &mut Stage, seed: u8) -> Result<(), Failure> {
    let (id, _) = stage.ask(Request::Connect { who: "bob".into(), force: true, switch: true });
    let introduced = format!("bob 10.0.0.2 4401 {} introduced", key(seed));
    let effects = stage.server(Code::Ok, &introduced);
    answer(&effects, id).map_or(Ok(()), |answer| answer.clone().map(|_| ()))
}

fn trust(stage: &mut Stage) -> Result<String, Failure> {
    let (id, effects) = stage.ask(Request::Trust("bob".into()));
    match answer(&effects, id).unwrap().clone()? {
        Reply::Trusted { fingerprint, message, .. } => {
            assert!(message.contains(&fingerprint), "{message}");
            Ok(fingerprint)
        }
        other => panic!("{other:?}"),
    }
}

/// The failure that shows both keys of bob.
fn shows(seed: u8, trusting: bool) -> Failure {
    let (known, new) = (Some(key(2)), key(seed));
    Failure::KeyChanged { who: name("bob"), known, new, trusting }
}

fn pinned(stage: &Stage) -> String {
    fingerprint(&stage.session.peers()[&name("bob")].key)
}

#[test]
fn changed_key_is_shown_beside_the_known_one_and_then_trusted() {
    let mut stage = knows_bob();
    assert_eq!(connect(&mut stage, 3).unwrap_err(), shows(3, false));
    assert_eq!(trust(&mut stage).unwrap(), print(3));
    assert_eq!(pinned(&stage), print(3));
    assert_eq!(trust(&mut stage).unwrap_err(), Failure::NothingToTrust);
    connect(&mut stage, 3).unwrap();
}

#[test]
fn another_key_offered_since_is_shown_before_it_is_trusted() {
    let mut stage = knows_bob();
    connect(&mut stage, 3).unwrap_err();
    stage.called_by("bob", 4);
    assert_eq!(trust(&mut stage).unwrap_err(), shows(4, true));
    assert_eq!(pinned(&stage), print(2), "nothing is trusted unseen");
    stage.called_by("bob", 5);
    assert_eq!(trust(&mut stage).unwrap_err(), shows(5, true));
    assert_eq!(trust(&mut stage).unwrap(), print(5));
}

#[test]
fn key_of_a_caller_who_hung_up_is_shown_before_it_is_trusted() {
    let hang_up: fn(&mut Stage, LinkId) = |stage, link| {
        stage.put(Input::PeerLost { link, why: PeerLoss::Broken });
    };
    let deny: fn(&mut Stage, LinkId) = |stage, _| drop(stage.ask(Request::Deny(None)));
    for ending in [hang_up, deny] {
        let mut stage = knows_bob();
        let (link, _) = stage.called_by("bob", 3);
        ending(&mut stage, link);
        assert_eq!(trust(&mut stage).unwrap_err(), shows(3, true));
        assert_eq!(pinned(&stage), print(2));
        assert_eq!(trust(&mut stage).unwrap(), print(3));
    }
}

#[test]
fn key_that_a_request_showed_is_trusted_at_once() {
    let mut stage = knows_bob();
    let (_, effects) = stage.called_by("bob", 3);
    let print = print(3);
    let shown = |event: &&Event| matches!(event, Event::Request { fingerprint, key: KeyState::Changed, .. } if *fingerprint == print);
    assert!(told(&effects).iter().any(shown), "{effects:?}");
    let (id, effects) = stage.ask(Request::Approve(None));
    assert_eq!(code(&effects, id), "key_changed");
    assert_eq!(trust(&mut stage).unwrap(), print);
    let (_, effects) = stage.ask(Request::Approve(None));
    let approves =
        |effect: &Effect| matches!(effect, Effect::SendPeer { message: PeerMessage::Approve, .. });
    assert!(effects.iter().any(approves), "{effects:?}");
}

#[test]
fn offer_is_forgotten_when_the_known_key_is_back() {
    let mut stage = knows_bob();
    connect(&mut stage, 3).unwrap_err();
    connect(&mut stage, 2).unwrap();
    assert_eq!(trust(&mut stage).unwrap_err(), Failure::NothingToTrust);
}
