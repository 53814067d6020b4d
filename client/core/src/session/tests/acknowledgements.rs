//! When a message that came is acknowledged.

use super::*;

const NOTHING: [u64; 0] = [];

/// The numbers of the acknowledgements that go out.
fn acknowledged(effects: &[Effect]) -> Vec<u64> {
    let number = |effect: &Effect| match effect {
        Effect::SendPeer { message: PeerMessage::Acknowledge { through }, .. } => Some(*through),
        _ => None,
    };
    effects.iter().filter_map(number).collect()
}

fn hear(stage: &mut Stage, link: LinkId, number: u64) -> Vec<Effect> {
    let message = PeerMessage::Message { number, text: "hello".into() };
    stage.put(Input::Peer { link, message })
}

#[test]
fn a_message_is_acknowledged_with_what_is_said_next() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    assert_eq!(acknowledged(&hear(&mut stage, link, 1)), NOTHING);
    let (_, effects) = stage.ask(Request::Say { to: None, text: "hello yourself".into() });
    assert_eq!(acknowledged(&effects), [1]);
    let (_, effects) = stage.ask(Request::Say { to: None, text: "and again".into() });
    assert_eq!(acknowledged(&effects), NOTHING, "it is acknowledged once");
}

#[test]
fn a_message_that_nobody_answers_is_acknowledged_after_a_moment() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    let came_ms = stage.now.boot_ms;
    hear(&mut stage, link, 1);
    hear(&mut stage, link, 2);
    assert_eq!(acknowledged(&stage.wait()), [2]);
    assert!(stage.now.boot_ms - came_ms <= 20, "long before anybody asks whether we are there");
    assert_eq!(acknowledged(&stage.wait()), NOTHING, "it is acknowledged once");
}

#[test]
fn a_message_that_comes_again_is_acknowledged_again() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    for _ in 0..2 {
        hear(&mut stage, link, 1);
        assert_eq!(acknowledged(&stage.wait()), [1]);
    }
}

#[test]
fn many_messages_are_acknowledged_without_delay() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    let all: Vec<u64> =
        (1..=64).flat_map(|number| acknowledged(&hear(&mut stage, link, number))).collect();
    assert_eq!(all, [32, 64]);
}

#[test]
fn what_came_is_acknowledged_before_the_goodbye() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    hear(&mut stage, link, 1);
    let (_, effects) = stage.ask(Request::Disconnect(None));
    assert_eq!(acknowledged(&effects), [1], "or they would call it undelivered");
    let at = |wanted: &PeerMessage| {
        effects.iter().position(
            |effect| matches!(effect, Effect::SendPeer { message, .. } if message == wanted),
        )
    };
    assert!(at(&PeerMessage::Acknowledge { through: 1 }) < at(&PeerMessage::Bye));
}

#[test]
fn over_a_broken_link_nothing_is_acknowledged() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    hear(&mut stage, link, 1);
    stage.put(Input::PeerLost { link, why: PeerLoss::Broken });
    assert_eq!(acknowledged(&stage.wait()), NOTHING, "taking up the chat will say it");
}
