//! Own messages: from the user to a state that they learn.

use super::*;
use letschat_protocol::prekey::CLOCK_TOLERANCE_MS;

#[test]
fn message_to_somebody_who_is_here_is_sent_and_delivered() {
    let mut client = TestSession::logged_in();
    let (id, effects) = client.send("bob", "hello");
    assert!(asks_server(&effects, |request| *request == ServerRequest::Keys { name: "bob".into() }));
    assert!(answer(&effects, id).is_none());
    let effects = client.answer_keys_of(&BOB);
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Post { .. })));
    let body = client.disk.sealed[0].clone();
    assert_eq!(body.content, Content::Text("hello".into()));
    assert_eq!((body.conversation.as_str(), body.place), ("bob", Place::Sequence(1)));
    let effects = client.answer_post(&BOB, Outcome::Pushed);
    assert_eq!(sent(&effects, id), (MessageState::Sent, None));
    let receipt = BOB.body(Place::Sequence(0), Content::Receipt(vec![body.message_id()]));
    let effects = client.mail_of(&BOB, 1, receipt);
    assert_eq!(states(&effects), [(MessageState::Delivered, None)]);
    // One record serves all receipts that come within some milliseconds.
    assert_eq!(acknowledged(&effects), []);
    assert_eq!(acknowledged(&client.wait()), [1]);
    assert_eq!(client.disk.mail.outbox, []);
}

#[test]
fn keys_are_fetched_once() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "one", Outcome::Pushed);
    let (id, effects) = client.send("bob", "two");
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Post { .. })));
    let effects = client.answer_post(&BOB, Outcome::Kept);
    assert_eq!(sent(&effects, id), (MessageState::Kept, None));
}

#[test]
fn text_is_on_disk_before_it_is_sent_and_gone_after() {
    let mut client = TestSession::logged_in();
    client.send("bob", "hello");
    assert_eq!(client.disk.mail.outbox[0].text, "hello");
    client.answer_keys_of(&BOB);
    client.answer_post(&BOB, Outcome::Kept);
    let Outgoing { text, stage, .. } = &client.disk.mail.outbox[0];
    assert_eq!((text.as_str(), *stage), ("", Stage::Kept { until_ms: UNTIL_MS }));
}

#[test]
fn name_without_an_account_is_an_error() {
    let mut client = TestSession::logged_in();
    let (first, _) = client.send("nobody", "hello");
    let (second, _) = client.send("nobody", "hello?");
    let effects = client.server(Code::UnknownUser, "no account has that name");
    assert_eq!(code(&effects, first), "unknown_user");
    assert_eq!(code(&effects, second), "unknown_user");
    assert_eq!(client.disk.mail.outbox, []);
}

#[test]
fn message_that_can_not_be_taken_waits_with_a_code() {
    for (outcome, expected) in [
        (Outcome::MailboxFull, FailureCode::MailboxFull),
        (Outcome::NoDevice, FailureCode::NoDevice),
    ] {
        let mut client = TestSession::logged_in();
        let (id, effects) = client.post(&BOB, "hello", outcome);
        assert_eq!(sent(&effects, id), (MessageState::Waiting, Some(expected)));
        assert_eq!(client.disk.mail.outbox[0].stage, Stage::Waiting);
        // It is tried again a minute later, with fresh keys.
        client.now.boot_ms += 60_000;
        let effects = client.put(Input::Tick);
        assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Keys { .. })));
        client.server(Code::Ok, "0 pong");
        client.answer_keys_of(&BOB);
        let effects = client.answer_post(&BOB, Outcome::Kept);
        assert_eq!(states(&effects), [(MessageState::Kept, None)]);
    }
}

#[test]
fn account_without_a_device_lets_messages_wait() {
    let mut client = TestSession::logged_in();
    let (id, _) = client.send("bob", "hello");
    let effects = client.server(Code::NoDevice, "no device");
    assert_eq!(sent(&effects, id), (MessageState::Waiting, Some(FailureCode::NoDevice)));
}

#[test]
fn lost_database_lets_messages_wait_until_it_is_back() {
    let mut client = TestSession::logged_in();
    let (id, _) = client.send("bob", "hello");
    client.answer_keys_of(&BOB);
    let effects = client.server(Code::StoreUnavailable, "the database is away");
    let waits = (MessageState::Waiting, Some(FailureCode::StoreUnavailable));
    assert_eq!(sent(&effects, id), waits);
    let effects = client.wait();
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Post { .. })));
}

#[test]
fn rate_limit_delays_a_message_without_a_word() {
    let mut client = TestSession::logged_in();
    let (id, _) = client.send("bob", "hello");
    client.answer_keys_of(&BOB);
    let effects = client.server(Code::SlowDown, "wait");
    assert_eq!((answer(&effects, id), states(&effects)), (None, vec![]));
    client.wait();
    let effects = client.answer_post(&BOB, Outcome::Pushed);
    assert_eq!(sent(&effects, id), (MessageState::Sent, None));
}

#[test]
fn message_written_offline_waits_and_is_sent_at_the_next_login() {
    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    let (id, effects) = client.send("bob", "hello");
    assert_eq!(sent(&effects, id), (MessageState::Waiting, None));
    client.wait();
    let effects = client.come_in();
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Keys { .. })));
}

#[test]
fn killed_client_sends_its_outbox_in_order() {
    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    for text in ["one", "two", "three"] {
        client.send("bob", text);
    }
    client.crash();
    client.answer_keys_of(&BOB);
    for _ in 0..3 {
        client.answer_post(&BOB, Outcome::Kept);
    }
    let texts: Vec<Content> = client.disk.sealed.iter().map(|body| body.content.clone()).collect();
    assert_eq!(texts, ["one", "two", "three"].map(|text| Content::Text(text.into())));
    let numbers: Vec<Place> = client.disk.sealed.iter().map(|body| body.place).collect();
    assert_eq!(numbers, [1, 2, 3].map(Place::Sequence));
}

#[test]
fn lost_answer_repeats_the_same_envelope_id() {
    let mut client = TestSession::logged_in();
    client.send("bob", "hello");
    let posted = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::SendServer(ServerRequest::Post { id, .. }) => Some(*id),
            _ => None,
        })
    };
    let first = posted(&client.answer_keys_of(&BOB));
    client.put(Input::ServerLost);
    client.wait();
    client.come_in();
    let second = posted(&client.answer_keys_of(&BOB));
    assert!(first.is_some());
    assert_eq!(first, second);
}

#[test]
fn kept_message_that_nobody_confirms_expires() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Kept);
    client.now.wall_ms = UNTIL_MS + CLOCK_TOLERANCE_MS - 1;
    client.crash();
    assert_eq!(client.disk.mail.outbox.len(), 1);
    client.now.wall_ms = UNTIL_MS + CLOCK_TOLERANCE_MS;
    client.now.boot_ms += 60 * 60 * 1_000;
    let effects = client.put(Input::Tick);
    assert_eq!(states(&effects), [(MessageState::Expired, None)]);
    assert_eq!(client.disk.mail.outbox, []);
}

#[test]
fn chat_that_ends_hands_its_unconfirmed_messages_over() {
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    let (id, effects) = client.send("bob", "hello");
    let Ok(Reply::Sent { message_id, via: Via::Direct, .. }) = answer(&effects, id).unwrap() else {
        panic!("{effects:?}");
    };
    let effects = client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    assert_eq!(states(&effects), [(MessageState::Waiting, None)]);
    let closed = told(&effects).into_iter().find_map(|event| match event {
        Event::ChatClosed { undelivered, .. } => Some(undelivered.clone()),
        _ => None,
    });
    assert_eq!(closed, Some(vec![]));
    client.answer_keys_of(&BOB);
    let body = &client.disk.sealed[0];
    assert_eq!((body.message_id(), &body.content), (*message_id, &Content::Text("hello".into())));
    assert!(matches!(body.place, Place::Chat { number: 1, .. }));
}

#[test]
fn what_can_not_be_handed_over_is_undelivered() {
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    client.send("bob", "hello");
    client.ask(Request::Block { who: "bob".into(), on: true });
    let effects = client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    let undelivered = told(&effects).into_iter().find_map(|event| match event {
        Event::ChatClosed { undelivered, .. } => Some(undelivered.clone()),
        _ => None,
    });
    assert_eq!(undelivered, Some(vec!["hello".into()]));
    assert_eq!(states(&effects), [(MessageState::Failed, None)]);
}

#[test]
fn block_gives_up_what_waits_for_that_person() {
    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    client.send("bob", "hello");
    let (_, effects) = client.ask(Request::Block { who: "bob".into(), on: true });
    assert_eq!(states(&effects), [(MessageState::Failed, Some(FailureCode::Blocked))]);
    assert_eq!(client.disk.mail.outbox, []);
}

#[test]
fn block_leaves_the_message_that_the_server_may_have() {
    for (outcome, state) in [
        (Outcome::Kept, (MessageState::Kept, None)),
        (Outcome::MailboxFull, (MessageState::Failed, Some(FailureCode::Blocked))),
    ] {
        let mut client = TestSession::logged_in();
        client.send("bob", "under way");
        client.answer_keys_of(&BOB);
        client.send("bob", "behind it");
        let (_, effects) = client.ask(Request::Block { who: "bob".into(), on: true });
        assert_eq!(states(&effects), [(MessageState::Failed, Some(FailureCode::Blocked))]);
        let effects = client.answer_post(&BOB, outcome);
        assert_eq!(states(&effects), [state]);
        assert!(!asks_server(&effects, |request| matches!(request, ServerRequest::Post { .. })));
    }
}

#[test]
fn say_without_a_chat_writes_to_the_current_person() {
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    let (id, _) = client.ask(Request::Say { to: None, text: "still there?".into() });
    client.answer_keys_of(&BOB);
    let effects = client.answer_post(&BOB, Outcome::Kept);
    assert_eq!(sent(&effects, id), (MessageState::Kept, None));
}

#[test]
fn open_chat_is_preferred() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    let (_, effects) = client.send("bob", "hello");
    let is_message = |effect: &Effect| {
        matches!(effect, Effect::SendPeer { message: PeerMessage::Message { .. }, .. })
    };
    assert!(effects.iter().any(is_message));
}

#[test]
fn some_targets_are_refused_at_once() {
    let mut client = TestSession::logged_in();
    client.ask(Request::Block { who: "mallory".into(), on: true });
    for (to, text, expected) in [
        ("alice", "hello", "yourself"),
        ("mallory", "hello", "blocked"),
        ("#team", "hello", "no_such_group"),
        ("# team", "hello", "bad_arguments"),
        ("bob", " ", "text_invalid"),
        ("bob", &*"x".repeat(20_000), "text_too_long"),
    ] {
        let (id, effects) = client.send(to, text);
        assert_eq!(code(&effects, id), expected);
    }
    let mut stranger = TestSession::new(None);
    let (id, effects) = stranger.send("bob", "hello");
    assert_eq!(code(&effects, id), "not_logged_in");
}

#[test]
fn everyone_gets_a_broadcast() {
    let mut client = TestSession::logged_in();
    let (_, effects) = client.send("everyone", "hello, all");
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Broadcast { .. })));
}

#[test]
fn prekey_is_made_published_and_replaced() {
    let mut client = TestSession::logged_in();
    let first = client.disk.mail.prekeys[0];
    assert!(first.published.is_some());
    client.now.wall_ms += 7 * 24 * 60 * 60 * 1_000;
    client.now.boot_ms += 7 * 24 * 60 * 60 * 1_000;
    client.crash();
    assert_eq!(client.disk.mail.prekeys.len(), 2);
    client.now.wall_ms += 31 * 24 * 60 * 60 * 1_000;
    client.now.boot_ms += 60_000;
    client.put(Input::Tick);
    assert!(!client.disk.mail.prekeys.iter().any(|prekey| prekey.key == first.key));
}

#[test]
fn refused_prekey_is_told() {
    for (code, told) in [(Code::BadArguments, 1), (Code::UnknownCommand, 0)] {
        let mut client = TestSession::new(None);
        client.prekeys = code;
        client.ask(log_in(Some("alice")));
        let effects = client.come_in();
        let refused = |notice: &&NoticeCode| **notice == NoticeCode::PrekeyRefused;
        assert_eq!(notices(&effects).iter().filter(refused).count(), told, "{code:?}");
    }
}

#[test]
fn server_of_version_0_1_is_left_in_peace() {
    let mut client = TestSession::new(None);
    client.prekeys = Code::UnknownCommand;
    client.ask(log_in(Some("alice")));
    client.come_in();
    let (id, _) = client.send("bob", "hello");
    let effects = client.server(Code::UnknownCommand, "expected a command");
    let waits = (MessageState::Waiting, Some(FailureCode::UnknownCommand));
    assert_eq!(sent(&effects, id), waits);
    assert!(!asks_server(&effects, |request| matches!(request, ServerRequest::Keys { .. })));
}
