//! The clients of a classroom: everyone is reached without the server.

use super::peering::{delivered_over, dials, sent_to_peers};
use super::*;
use crate::conversation::ConversationId;

fn introduce(client: &mut TestSession, who: &str, seed: u8, is_new: bool) -> Vec<Effect> {
    let receiver = format!("127.0.0.1:600{seed}").parse().unwrap();
    let who = Introduction { username: name(who), receiver, key: key(seed) };
    client.notice(Notice::Client { who, is_new })
}

/// Returns alice in a classroom with bob and carol.
fn in_class() -> TestSession {
    let mut client = TestSession::with(None, Some(server_key()), true);
    client.ask(log_in(Some("alice")));
    client.come_in();
    introduce(&mut client, "bob", 2, false);
    introduce(&mut client, "carol", 3, true);
    client
}

fn terminate(client: &mut TestSession) -> Vec<Effect> {
    client.notice(Notice::Closing(Closing::Terminated))
}

/// Lets time pass until the server is dialled.
fn wait_for_dial(client: &mut TestSession) {
    while !client.wait().iter().any(|effect| matches!(effect, Effect::DialServer)) {}
}

fn say(client: &mut TestSession, text: &str) -> (RequestId, Vec<Effect>) {
    client.ask(Request::Say { to: None, text: text.into() })
}

#[test]
fn newcomers_are_told_and_others_are_not() {
    let mut client = in_class();
    let initiated = |effects: &[Effect]| {
        told(effects).iter().any(|event| matches!(event, Event::Initiated { .. }))
    };
    assert!(initiated(&introduce(&mut client, "dave", 4, true)));
    assert!(!initiated(&introduce(&mut client, "dave", 5, false)), "it came back");
    assert!(initiated(&introduce(&mut client, "alice", 1, true)), "oneself, too");
    assert!(!client.session.peers().contains_key(&name("alice")));
    assert_eq!(client.session.peers()[&name("dave")].key, key(4), "a key is not replaced");
}

#[test]
fn classes_are_not_taken_from_other_servers() {
    let mut client = TestSession::logged_in();
    introduce(&mut client, "bob", 2, true);
    assert!(client.session.peers().is_empty());
    let body = Body { conversation: "everyone".into(), ..BOB.text(1, "hi, all") };
    client.chat_with("bob", 2);
    let effects = client.mail_of(&BOB, 1, body);
    assert_eq!(shown(&effects), Vec::<&str>::new());
}

#[test]
fn typed_text_is_for_everyone() {
    let mut client = in_class();
    let (_, effects) = say(&mut client, "hello");
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Broadcast { .. })));
    client.server(Code::Ok, "noted");
    client.server(Code::Ok, "1 5");
    terminate(&mut client);
    let (id, effects) = say(&mut client, "still there?");
    assert_eq!(sent(&effects, id), (MessageState::Sent, None));
    let links = dials(&effects);
    assert_eq!(links.len(), 2);
    for (link, _) in links {
        let effects = client.put(Input::PeerDialled { link });
        let [body] = &delivered_over(&effects, link)[..] else { panic!("{effects:?}") };
        assert_eq!(body.conversation, "everyone");
        assert_eq!(body.recipients.len(), 1);
    }
}

#[test]
fn text_that_the_server_did_not_take_goes_to_the_others() {
    let mut client = in_class();
    let (id, _) = say(&mut client, "one");
    let effects = terminate(&mut client);
    assert_eq!(sent(&effects, id), (MessageState::Sent, None));
    assert_eq!(client.disk.mail.outbox.len(), 2);
    // A server that was killed may have sent it.
    let mut client = in_class();
    let (id, _) = say(&mut client, "one");
    let effects = client.put(Input::ServerLost);
    assert!(answer(&effects, id).unwrap().is_err());
}

#[test]
fn message_to_everyone_is_shown_as_such() {
    let mut client = in_class();
    terminate(&mut client);
    let body = Body { conversation: "everyone".into(), ..BOB.text(1, "hello") };
    let (_, effects) = client.delivery_of(&BOB, &body);
    let is_shown = |event: &&Event| {
        matches!(event, Event::Message { conversation, via: Via::Peer, .. }
            if *conversation == ConversationId::Everyone)
    };
    assert!(told(&effects).iter().any(is_shown), "{effects:?}");
}

#[test]
fn what_waits_for_somebody_away_goes_through_the_server_later() {
    let mut client = in_class();
    terminate(&mut client);
    let (_, effects) = say(&mut client, "hello");
    for (link, _) in dials(&effects) {
        client.put(Input::PeerLost { link, why: PeerLoss::Unreachable });
    }
    assert_eq!(client.disk.mail.outbox.len(), 2);
    wait_for_dial(&mut client);
    client.come_in();
    client.answer_keys_of(&BOB);
    let body = &client.disk.sealed[0];
    assert_eq!(
        (body.conversation.as_str(), &body.recipients[..]),
        ("everyone", &[name("bob")][..])
    );
}

#[test]
fn client_that_is_away_for_long_does_not_fill_the_outbox() {
    let mut client = in_class();
    terminate(&mut client);
    for n in 0..1_100 {
        let (id, effects) = say(&mut client, &format!("{n}"));
        assert!(answer(&effects, id).is_some_and(Result::is_ok) || n >= 1_000, "{n}");
    }
    assert_eq!(client.disk.mail.outbox.len(), 2_000);
}

#[test]
fn stranger_who_knocks_causes_one_dial_a_second() {
    let mut client = in_class();
    terminate(&mut client);
    let mut dialled = 0;
    for n in 0..50 {
        let link = LinkId::arrived(100 + n);
        let from = "127.0.0.1:9".parse().unwrap();
        client.put(Input::PeerArrived { link, key: key(99), from });
        let effects = client.put(Input::Peer { link, message: PeerMessage::Knock });
        dialled += effects.iter().filter(|effect| matches!(effect, Effect::DialServer)).count();
        assert_eq!(told(&effects).len(), 0, "{effects:?}");
        let closes = |effect: &Effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link);
        assert!(effects.iter().any(closes));
        assert_eq!(sent_to_peers(&effects), []);
        client.put(Input::ServerUnreached(Unreached::NoServer("refused".into())));
        client.now.boot_ms += 50;
    }
    assert!((3..=9).contains(&dialled), "{dialled} in 2.5 s, with the client's own");
}

#[test]
fn another_server_on_the_port_is_told_once_and_ends_nothing() {
    let mut client = in_class();
    terminate(&mut client);
    let changed =
        || Unreached::KeyChanged { known: server_key(), found: Fingerprint::of_spki(b"x") };
    let mut told_count = 0;
    for _ in 0..5 {
        wait_for_dial(&mut client);
        let effects = client.put(Input::ServerUnreached(changed()));
        told_count +=
            told(&effects).iter().filter(|event| matches!(event, Event::Error { .. })).count();
    }
    assert_eq!(told_count, 1);
    let (_, effects) = say(&mut client, "go on");
    assert_eq!(dials(&effects).len(), 2);
}
