//! The times at which messages are acknowledged.

use super::*;

const NOTHING: [u64; 0] = [];

/// Returns the numbers of the sent acknowledgements.
fn acknowledged(effects: &[Effect]) -> Vec<u64> {
    let number = |effect: &Effect| match effect {
        Effect::SendPeer { message: PeerMessage::Acknowledge { through }, .. } => Some(*through),
        _ => None,
    };
    effects.iter().filter_map(number).collect()
}

fn hear(client: &mut TestSession, link: LinkId, number: u64) -> Vec<Effect> {
    let message = PeerMessage::Message { number, text: "hello".into() };
    client.put(Input::Peer { link, message })
}

#[test]
fn a_message_is_acknowledged_with_what_is_said_next() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    assert_eq!(acknowledged(&hear(&mut client, link, 1)), NOTHING);
    let (_, effects) = client.ask(Request::Say { to: None, text: "hello yourself".into() });
    assert_eq!(acknowledged(&effects), [1]);
    let (_, effects) = client.ask(Request::Say { to: None, text: "and again".into() });
    assert_eq!(acknowledged(&effects), NOTHING, "it is acknowledged once");
}

#[test]
fn a_message_that_nobody_answers_is_acknowledged_after_a_moment() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let came_ms = client.now.boot_ms;
    hear(&mut client, link, 1);
    hear(&mut client, link, 2);
    assert_eq!(acknowledged(&client.wait()), [2]);
    assert!(client.now.boot_ms - came_ms <= 20, "long before anybody asks whether we are there");
    assert_eq!(acknowledged(&client.wait()), NOTHING, "it is acknowledged once");
}

#[test]
fn a_message_that_comes_again_is_acknowledged_again() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    for _ in 0..2 {
        hear(&mut client, link, 1);
        assert_eq!(acknowledged(&client.wait()), [1]);
    }
}

#[test]
fn many_messages_are_acknowledged_without_delay() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let all: Vec<u64> =
        (1..=64).flat_map(|number| acknowledged(&hear(&mut client, link, number))).collect();
    assert_eq!(all, [32, 64]);
}

#[test]
fn what_came_is_acknowledged_before_the_goodbye() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    hear(&mut client, link, 1);
    let (_, effects) = client.ask(Request::Disconnect(None));
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
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    hear(&mut client, link, 1);
    client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    assert_eq!(acknowledged(&client.wait()), NOTHING, "taking up the chat will say it");
}
