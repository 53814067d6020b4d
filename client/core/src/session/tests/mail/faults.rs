//! Hostile senders and servers, full disks and wrong clocks.

use super::*;
use letschat_protocol::body::BodyError;

#[test]
fn envelope_that_can_not_be_opened_is_dropped_with_a_notice() {
    let faults = [
        OpenError::Suite,
        OpenError::NoKey,
        OpenError::Altered,
        OpenError::Body(BodyError::Malformed),
        OpenError::Body(BodyError::Forged),
        OpenError::OtherSender,
        OpenError::NotAddressed,
    ];
    for fault in faults {
        let mut client = TestSession::logged_in();
        client.post(&BOB, "hello", Outcome::Pushed);
        let effects = client.mail(7, "bob", Err(fault));
        assert_eq!(notices(&effects), [NoticeCode::MailRefused]);
        assert_eq!((shown(&effects), acknowledged(&effects)), (vec![], vec![7]));
        client.answer_acknowledgement();
        let more = client.mail(8, "bob", Err(fault));
        assert_eq!((notices(&more), acknowledged(&more)), (vec![], vec![8]), "a flood is quiet");
        client.answer_acknowledgement();
        let strange = client.mail(9, "carol", Err(fault));
        assert_eq!(
            (notices(&strange), acknowledged(&strange)),
            (vec![], vec![9]),
            "a stranger is too"
        );
    }
}

#[test]
fn body_of_another_conversation_is_refused() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    for body in [
        Body { conversation: "carol".into(), ..BOB.text(1, "hi") },
        Body { conversation: "#team".into(), ..BOB.text(1, "hi") },
        BOB.text(0, "hi"),
        BOB.text(u64::MAX, "hi"),
        BOB.text(1, " "),
    ] {
        let effects = client.mail_of(&BOB, 7, body);
        assert_eq!((shown(&effects), acknowledged(&effects)), (vec![], vec![7]));
        client.answer_acknowledgement();
    }
    assert_eq!(client.disk.mail.received, []);
}

#[test]
fn unknown_content_asks_for_a_newer_version() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let effects = client.mail_of(&BOB, 7, BOB.body(Place::Sequence(1), Content::Unknown(9)));
    assert_eq!(notices(&effects), [NoticeCode::NewerVersion]);
    assert_eq!(acknowledged(&effects), [7]);
}

#[test]
fn message_under_another_key_is_held_until_the_key_is_trusted() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let effects = client.mail_of(&OTHER_BOB, 7, OTHER_BOB.text(1, "it is me"));
    assert_eq!(shown(&effects), Vec::<&str>::new());
    let is_changed = |event: &&Event| {
        matches!(event, Event::Request { key: KeyState::Changed, kind: RequestKind::Message, .. })
    };
    assert!(told(&effects).iter().any(is_changed), "{effects:?}");
    let (id, effects) = client.ask(Request::Approve(Some("bob".into())));
    assert_eq!(code(&effects, id), "key_changed");
    let (_, effects) = client.ask(Request::Trust("bob".into()));
    assert_eq!(shown(&effects), ["it is me"]);
}

#[test]
fn nothing_is_sealed_to_a_key_that_changed() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    client.put(Input::ServerLost);
    client.wait();
    client.come_in();
    let sealed = client.disk.sealed.len();
    let (id, _) = client.send("bob", "secret");
    let effects = client.answer_keys_of(&OTHER_BOB);
    assert_eq!(sent(&effects, id), (MessageState::Waiting, Some(FailureCode::KeyChanged)));
    assert_eq!(client.disk.sealed.len(), sealed);
    let (id, effects) = client.ask(Request::Trust("bob".into()));
    assert_eq!(code(&effects, id), "key_changed", "the key is shown first");
    client.server(Code::Ok, "noted");
    client.ask(Request::Trust("bob".into()));
    client.answer_keys_of(&OTHER_BOB);
    assert_eq!(client.disk.sealed.len(), sealed + 1);
}

#[test]
fn added_device_gets_nothing_of_a_known_person() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    client.put(Input::ServerLost);
    client.wait();
    client.come_in();
    client.send("bob", "secret");
    let until_ms = client.now.wall_ms + PREKEY_VALID_MS;
    let effects = client.answer_keys(&[OTHER_BOB.keys(until_ms), BOB.keys(until_ms)]);
    let recipients = effects.iter().find_map(|effect| match effect {
        Effect::Seal { recipients, .. } => Some(recipients.clone()),
        _ => None,
    });
    let devices: Vec<PublicKey> = recipients.unwrap().iter().map(|one| one.device).collect();
    assert_eq!(devices, [BOB.identity().public_key()]);
}

#[test]
fn swapped_expired_or_downgraded_prekey_is_refused() {
    let mut client = TestSession::logged_in();
    let until_ms = client.now.wall_ms + PREKEY_VALID_MS;
    let good = BOB.keys(until_ms);
    let mut swapped = good.clone();
    swapped.prekey.key = PrekeyPublic([66; 32]);
    let mut downgraded = good.clone();
    downgraded.prekey.suites = vec![Suite(0), Suite::X25519];
    let day_ms = 24 * 60 * 60 * 1_000;
    let expired = BOB.keys(client.now.wall_ms - day_ms);
    for (keys, expected) in [
        (swapped, FailureCode::KeysInvalid),
        (downgraded, FailureCode::KeysInvalid),
        (expired, FailureCode::NoDevice),
    ] {
        let mut client = TestSession::logged_in();
        let (id, _) = client.send("bob", "secret");
        let effects = client.answer_keys(&[keys]);
        assert_eq!(sent(&effects, id), (MessageState::Waiting, Some(expected)));
        assert_eq!(client.disk.sealed, []);
    }
    let late = BOB.keys(client.now.wall_ms - day_ms + 1);
    client.send("bob", "hello");
    client.answer_keys(&[late]);
    assert_eq!(client.disk.sealed.len(), 1, "clocks differ by a day");
}

#[test]
fn receipt_of_another_person_or_key_confirms_nothing() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Kept);
    let id = client.disk.mail.outbox[0].id;
    let carol = Peer { name: "carol", seed: 3 };
    client.post(&carol, "hello", Outcome::Kept);
    for peer in [&carol, &OTHER_BOB] {
        let receipt = peer.body(Place::Sequence(0), Content::Receipt(vec![id]));
        let effects = client.mail_of(peer, 7, receipt);
        assert_eq!((states(&effects), acknowledged(&effects)), (vec![], vec![7]));
        client.answer_acknowledgement();
    }
    let unknown = MessageId::of_broadcast(1, 1);
    let receipt = BOB.body(Place::Sequence(0), Content::Receipt(vec![unknown, id, id]));
    let effects = client.mail_of(&BOB, 8, receipt);
    assert_eq!(states(&effects), [(MessageState::Delivered, None)]);
}

#[test]
fn full_disk_refuses_a_message_and_gives_its_number_to_the_next() {
    let mut client = TestSession::logged_in();
    client.disk.is_full = true;
    let (id, effects) = client.send("bob", "hello");
    assert_eq!(code(&effects, id), "folder");
    assert!(!asks_server(&effects, |request| matches!(request, ServerRequest::Keys { .. })));
    client.disk.is_full = false;
    client.send("bob", "hello");
    client.answer_keys_of(&BOB);
    assert_eq!(client.disk.sealed[0].place, Place::Sequence(1));
}

#[test]
fn message_that_can_not_be_recorded_is_not_acknowledged() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    client.disk.is_full = true;
    assert_eq!(shown(&client.mail_of(&BOB, 7, BOB.text(1, "hi"))), ["hi"]);
    client.now.boot_ms += 10;
    let effects = client.put(Input::Tick);
    assert_eq!(acknowledged(&effects), []);
}

#[test]
fn author_whose_clock_is_off_is_shown_with_both_times() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let day_ms = 24 * 60 * 60 * 1_000;
    for (number, clock_ms) in [(1, client.now.wall_ms - day_ms), (2, client.now.wall_ms + day_ms)] {
        let effects =
            client.mail_of(&BOB, number, Body { time_ms: clock_ms, ..BOB.text(number, "hi") });
        let times = told(&effects).into_iter().find_map(|event| match event {
            Event::Message { time_ms, sent_ms, .. } => Some((*time_ms, *sent_ms)),
            _ => None,
        });
        assert_eq!(times, Some((client.now.wall_ms, clock_ms)));
    }
}

/// Returns true if the session says goodbye to the server.
fn leaves(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::SendServer(ServerRequest::Quit)))
}

fn pass(client: &mut TestSession, ms: u64) -> Vec<Effect> {
    client.now.boot_ms += ms;
    client.put(Input::Tick)
}

#[test]
fn session_that_quits_first_confirms_what_it_has_shown() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    client.mail_of(&BOB, 7, BOB.text(1, "one"));
    pass(&mut client, 10);
    client.answer_acknowledgement();
    client.answer_post(&BOB, Outcome::Pushed);
    // The next receipt would come a second later.
    client.mail_of(&BOB, 8, BOB.text(2, "two"));
    let (quit, effects) = client.ask(Request::Quit);
    assert!(!leaves(&effects) && answer(&effects, quit).is_none());
    let effects = pass(&mut client, 10);
    assert!(!leaves(&effects) && answer(&effects, quit).is_none(), "the receipt is on its way");
    let receipt = client.disk.sealed.last().unwrap();
    assert_eq!(receipt.content, Content::Receipt(vec![BOB.text(2, "two").message_id()]));
    client.answer_acknowledgement();
    let effects = client.answer_post(&BOB, Outcome::Pushed);
    assert!(leaves(&effects) && answer(&effects, quit).is_some());
}

#[test]
fn session_that_quits_first_sends_what_waits_but_not_for_ever() {
    let mut client = TestSession::logged_in();
    client.send("bob", "hello");
    let (_, effects) = client.ask(Request::Quit);
    assert!(!leaves(&effects));
    client.answer_keys_of(&BOB);
    assert!(!leaves(&pass(&mut client, 900)));
    assert!(leaves(&pass(&mut client, 100)), "the server does not answer");
    assert_eq!(client.disk.mail.outbox.len(), 1);
}

#[test]
fn quitting_waits_for_the_record_of_the_last_message() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    client.send("bob", "hello");
    client.ask(Request::Quit);
    client.now.boot_ms += 3_000;
    let effects = client.put(Input::Tick);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Finished)));
    assert_eq!(client.disk.mail.outbox[0].text, "hello");
}
