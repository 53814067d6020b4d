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
fn introduced_clients_are_saved_together_or_at_the_end() {
    let saves = |effects: &[Effect]| {
        let is_save = |effect: &&Effect| matches!(effect, Effect::Save(Save::Peers(_)));
        effects.iter().filter(is_save).count()
    };
    let mut client = in_class();
    let one_by_one: usize =
        (4..9).map(|n| saves(&introduce(&mut client, &format!("client{n}"), n, true))).sum();
    client.now.boot_ms += 50;
    assert_eq!((one_by_one, saves(&client.put(Input::Tick))), (0, 1));
    introduce(&mut client, "last", 9, true);
    assert_eq!(saves(&terminate(&mut client)), 1);
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
fn what_waits_for_somebody_away_is_delivered_when_they_return() {
    let mut client = in_class();
    terminate(&mut client);
    let (_, effects) = say(&mut client, "hello");
    for (link, _) in dials(&effects) {
        client.put(Input::PeerLost { link, why: PeerLoss::Unreachable });
    }
    assert_eq!(client.disk.mail.outbox.len(), 2);
    client.wait_for_dial();
    let effects = client.come_in();
    let asks_keys = |request: &ServerRequest| matches!(request, ServerRequest::Keys { .. });
    assert!(!asks_server(&effects, asks_keys), "the server is not asked to pass it on");
    let effects = introduce(&mut client, "bob", 2, false);
    let [(link, _)] = dials(&effects)[..] else { panic!("{effects:?}") };
    let effects = client.put(Input::PeerDialled { link });
    assert_eq!(delivered_over(&effects, link)[0].conversation, "everyone");
}

#[test]
fn client_that_is_away_for_long_does_not_fill_the_outbox() {
    let mut client = in_class();
    terminate(&mut client);
    let mut failed = 0;
    for n in 0..1_100 {
        let (_, effects) = say(&mut client, &format!("{n}"));
        // Bob is away, and carol is here.
        for (link, to) in dials(&effects) {
            let input = match to.port() {
                6_002 => Input::PeerLost { link, why: PeerLoss::Unreachable },
                _ => Input::PeerDialled { link },
            };
            client.put(input);
        }
        let state = (MessageState::Failed, Some(FailureCode::OutboxFull));
        failed += states(&effects).iter().filter(|one| **one == state).count();
    }
    let rows = |who: &str| client.disk.mail.outbox.iter().filter(|row| row.to == name(who)).count();
    assert_eq!((rows("bob"), rows("carol"), failed), (1_000, 1_100, 100));
}

#[test]
fn stranger_who_knocks_causes_one_dial_a_second() {
    let mut client = in_class();
    terminate(&mut client);
    // The client's own next attempt comes late.
    for _ in 0..5 {
        client.wait_for_dial();
        client.put(Input::ServerUnreached(Unreached::NoServer("refused".into())));
    }
    let mut dialled = 0;
    for n in 0..50 {
        let link = LinkId::arrived(100 + n);
        let from = "127.0.0.1:9".parse().unwrap();
        client.put(Input::PeerArrived { link, key: key(99), from });
        let effects = client.put(Input::Peer { link, message: PeerMessage::Knock });
        let is_dial = |effect: &&Effect| matches!(effect, Effect::DialServer);
        let is_dialled = effects.iter().filter(is_dial).count();
        dialled += is_dialled;
        assert_eq!(told(&effects).len(), 0, "{effects:?}");
        let closes = |effect: &Effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link);
        assert!(effects.iter().any(closes));
        assert_eq!(sent_to_peers(&effects), []);
        if is_dialled > 0 {
            let unreached = Unreached::NoServer("refused".into());
            let effects = client.put(Input::ServerUnreached(unreached));
            assert_eq!(told(&effects).len(), 0, "{effects:?}");
        }
        client.now.boot_ms += 50;
    }
    assert_eq!(dialled, 3, "in 2.5 s");
}

#[test]
fn another_server_on_the_port_is_told_once_and_ends_nothing() {
    let mut client = in_class();
    terminate(&mut client);
    let changed =
        || Unreached::KeyChanged { known: server_key(), found: Fingerprint::of_spki(b"x") };
    let mut told_count = 0;
    for _ in 0..5 {
        client.wait_for_dial();
        let effects = client.put(Input::ServerUnreached(changed()));
        told_count +=
            told(&effects).iter().filter(|event| matches!(event, Event::Error { .. })).count();
    }
    assert_eq!(told_count, 1);
    let (_, effects) = say(&mut client, "go on");
    assert_eq!(dials(&effects).len(), 2);
}

#[test]
fn client_that_starts_first_waits_for_the_server() {
    let mut client = TestSession::with(None, None, true);
    let mut effects = client.ask(log_in(Some("alice"))).1;
    let (mut reasons, mut longest_ms) = (0, 0);
    for _ in 0..20 {
        let tried_ms = client.now.boot_ms;
        effects.extend(client.put(Input::ServerUnreached(Unreached::NoServer("refused".into()))));
        reasons += told(&effects)
            .iter()
            .filter(|event| matches!(event, Event::Retrying { why: Some(_), .. }))
            .count();
        client.wait_for_dial();
        effects.clear();
        longest_ms = longest_ms.max(client.now.boot_ms - tried_ms);
    }
    assert_eq!(reasons, 1, "the reason is told once");
    assert!(longest_ms <= 4_800, "{longest_ms} ms");
}

#[test]
fn lines_wait_for_older_ones_when_the_server_is_back() {
    let mut client = in_class();
    terminate(&mut client);
    let (_, effects) = say(&mut client, "older");
    let links: Vec<LinkId> = dials(&effects).into_iter().map(|(link, _)| link).collect();
    let mut bodies = Vec::new();
    for link in &links {
        let effects = client.put(Input::PeerDialled { link: *link });
        bodies.extend(delivered_over(&effects, *link));
    }
    while !client.wait().iter().any(|effect| matches!(effect, Effect::DialServer)) {}
    client.come_in();
    let is_broadcast = |request: &ServerRequest| matches!(request, ServerRequest::Broadcast { .. });
    let (_, effects) = say(&mut client, "newer");
    assert!(!asks_server(&effects, is_broadcast), "it would overtake the older one");
    let id = bodies[0].message_id();
    let acknowledge = |client: &mut TestSession, link| {
        client.put(Input::Peer { link, message: PeerMessage::Delivered { id } })
    };
    assert!(!asks_server(&acknowledge(&mut client, links[0]), is_broadcast));
    assert!(asks_server(&acknowledge(&mut client, links[1]), is_broadcast));
}

#[test]
fn lines_do_not_wait_long_for_older_ones() {
    let mut client = in_class();
    terminate(&mut client);
    let (_, effects) = say(&mut client, "older");
    for (link, _) in dials(&effects) {
        client.put(Input::PeerDialled { link });
    }
    while !client.wait().iter().any(|effect| matches!(effect, Effect::DialServer)) {}
    client.come_in();
    say(&mut client, "newer");
    client.now.boot_ms += 2_000;
    let effects = client.put(Input::Tick);
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Broadcast { .. })));
}

#[test]
fn line_has_the_same_limits_with_and_without_the_server() {
    let mut client = in_class();
    for is_alone in [false, true] {
        if is_alone {
            terminate(&mut client);
        }
        for (text, expected) in
            [("x".repeat(901), "text_too_long"), ("bell\u{7}".into(), "text_invalid")]
        {
            let (id, effects) = say(&mut client, &text);
            assert_eq!(code(&effects, id), expected, "{is_alone}");
        }
    }
    let (_, effects) = say(&mut client, "a\ttab");
    let link = dials(&effects)[0].0;
    let effects = client.put(Input::PeerDialled { link });
    let text = Content::Text("a    tab".into());
    assert_eq!(delivered_over(&effects, link)[0].content, text);
}

#[test]
fn another_key_of_a_client_is_told() {
    let mut client = in_class();
    let effects = introduce(&mut client, "bob", 9, false);
    assert_eq!(notices(&effects), [NoticeCode::ClientKeyChanged]);
    let (id, effects) = client.ask(Request::Trust("bob".into()));
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(client.session.peers()[&name("bob")].key, key(9));
}
