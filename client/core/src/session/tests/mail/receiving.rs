//! Others' messages: displayed once, recorded, acknowledged, confirmed to their authors.

use super::*;

/// Returns a session that knows bob.
fn friend_of_bob() -> TestSession {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    client
}

/// Lets displayed messages be recorded.
fn settle(client: &mut TestSession) -> Vec<Effect> {
    client.now.boot_ms += 10;
    client.put(Input::Tick)
}

fn request_of(effects: &[Effect]) -> Option<(RequestKind, KeyState)> {
    told(effects).into_iter().find_map(|event| match event {
        Event::Request { kind, key, .. } => Some((*kind, *key)),
        _ => None,
    })
}

#[test]
fn message_is_displayed_recorded_acknowledged_and_confirmed() {
    let mut client = friend_of_bob();
    let effects = client.mail_of(&BOB, 7, BOB.text(1, "hi"));
    assert_eq!((shown(&effects), acknowledged(&effects)), (vec!["hi"], vec![]));
    let effects = settle(&mut client);
    let record = effects.iter().position(|effect| matches!(effect, Effect::Commit { .. }));
    let ack = effects
        .iter()
        .position(|effect| matches!(effect, Effect::SendServer(ServerRequest::Acknowledge { .. })));
    assert!(record.is_some() && record < ack);
    assert_eq!(acknowledged(&effects), [7]);
    let Received { through, .. } = client.disk.mail.received[0].clone();
    assert_eq!(through, 1);
    let receipt = client.disk.sealed.last().unwrap();
    assert_eq!(receipt.content, Content::Receipt(vec![BOB.text(1, "hi").message_id()]));
}

#[test]
fn message_that_is_not_displayed_is_not_acknowledged() {
    let mut client = friend_of_bob();
    let mail =
        Arrived { number: 7, sender: name("bob"), bytes: 700, opened: Ok(BOB.text(1, "hi")) };
    let effects = client.put_undisplayed(Input::Mail(Box::new(mail)));
    assert_eq!(shown(&effects), ["hi"]);
    assert_eq!(acknowledged(&settle(&mut client)), []);
    client.crash();
    assert_eq!(shown(&client.mail_of(&BOB, 7, BOB.text(1, "hi"))), ["hi"], "it is shown again");
}

#[test]
fn repeated_message_is_shown_once_and_acknowledged_each_time() {
    let mut client = friend_of_bob();
    client.mail_of(&BOB, 7, BOB.text(1, "hi"));
    let again = client.mail_of(&BOB, 8, BOB.text(1, "hi"));
    assert_eq!(shown(&again), Vec::<&str>::new());
    assert_eq!(acknowledged(&settle(&mut client)), [7, 8]);
    client.crash();
    let again = client.mail_of(&BOB, 9, BOB.text(1, "hi"));
    assert_eq!((shown(&again), acknowledged(&again)), (vec![], vec![9]));
}

#[test]
fn messages_out_of_order_are_shown_once_each() {
    let mut client = friend_of_bob();
    for number in [3, 1, 2, 3, 1] {
        client.mail_of(&BOB, 10 + number, BOB.text(number, "hi"));
    }
    settle(&mut client);
    assert_eq!(client.disk.mail.received[0].through, 3);
    assert_eq!(client.disk.mail.receipts.len(), 3);
}

#[test]
fn first_message_of_a_stranger_is_a_request() {
    let mut client = TestSession::logged_in();
    let effects = client.mail_of(&BOB, 7, BOB.text(1, "hello from a stranger"));
    assert_eq!(request_of(&effects), Some((RequestKind::Message, KeyState::New)));
    assert_eq!((shown(&effects), acknowledged(&effects)), (vec![], vec![7]));
    assert!(client.disk.sealed.is_empty(), "a stranger gets no receipt");
    let (id, effects) = client.ask(Request::Approve(None));
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(shown(&effects), ["hello from a stranger"]);
    settle(&mut client);
    assert_eq!(client.disk.mail.held, Vec::<Held>::new());
    assert_eq!(shown(&client.mail_of(&BOB, 8, BOB.text(2, "hi"))), ["hi"]);
}

#[test]
fn request_outlives_a_restart() {
    let mut client = TestSession::logged_in();
    client.mail_of(&BOB, 7, BOB.text(1, "hello"));
    client.crash();
    let (_, effects) = client.ask(Request::Approve(Some("bob".into())));
    assert_eq!(shown(&effects), ["hello"]);
}

#[test]
fn denied_message_is_never_shown() {
    let mut client = TestSession::logged_in();
    client.mail_of(&BOB, 7, BOB.text(1, "hello"));
    client.answer_acknowledgement();
    let (id, effects) = client.ask(Request::Deny(Some("bob".into())));
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(client.disk.mail.held, []);
    let again = client.mail_of(&BOB, 8, BOB.text(1, "hello"));
    assert_eq!((request_of(&again), acknowledged(&again)), (None, vec![8]));
    let another = client.mail_of(&BOB, 9, BOB.text(2, "please"));
    assert!(request_of(&another).is_some());
}

#[test]
fn blocked_person_is_neither_held_nor_shown() {
    let mut client = TestSession::logged_in();
    client.mail_of(&BOB, 7, BOB.text(1, "hello"));
    client.answer_acknowledgement();
    client.ask(Request::Block { who: "bob".into(), on: true });
    assert_eq!(client.disk.mail.held, []);
    let effects = client.mail_of(&BOB, 8, BOB.text(2, "hello?"));
    assert_eq!((told(&effects).len(), acknowledged(&effects)), (0, vec![8]));
}

#[test]
fn approval_of_a_chat_shows_messages_even_if_none_opens() {
    let mut client = TestSession::logged_in();
    client.mail_of(&BOB, 1, BOB.text(1, "hello"));
    let (link, _) = client.called_by("bob", BOB.seed);
    let (_, effects) = client.ask(Request::Approve(Some("bob".into())));
    assert_eq!(shown(&effects), ["hello"]);
    client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    let effects = client.mail_of(&BOB, 2, BOB.text(2, "still me"));
    assert_eq!(shown(&effects), ["still me"]);
}

#[test]
fn answer_to_a_stranger_approves_them() {
    let mut client = TestSession::logged_in();
    client.mail_of(&BOB, 7, BOB.text(1, "hello"));
    client.server(Code::Ok, "1 deleted");
    client.send("bob", "who are you?");
    let effects = client.answer_keys_of(&BOB);
    assert_eq!(shown(&effects), ["hello"]);
}

#[test]
fn ten_thousand_messages_of_strangers_hold_little() {
    let mut client = TestSession::logged_in();
    let strangers: Vec<String> = (0..100).map(|n| format!("stranger{n}")).collect();
    let (mut lines, mut acknowledgements) = (0, 0);
    for number in 1..=10_000_u64 {
        let index = (number % 100) as usize;
        let device = key(100 + index as u8);
        let sender = name(&strangers[index]);
        let body = Body { sender, device, ..BOB.text(number, "buy this") };
        let effects = client.mail(number, &strangers[index], Ok(body));
        assert_eq!(shown(&effects), Vec::<&str>::new());
        // A thousand arrive in a second.
        client.now.boot_ms += 1;
        let mut numbers = acknowledged(&effects);
        numbers.extend(acknowledged(&client.put(Input::Tick)));
        if !numbers.is_empty() {
            (lines, acknowledgements) = (lines + 1, acknowledgements + numbers.len());
            assert_eq!(acknowledged(&client.server(Code::Ok, "1")), [0; 0]);
        }
    }
    // A server takes 50 lines at once and 20 in a second.
    assert!(lines <= 50 + 20 * 10, "{lines}");
    while acknowledgements < 10_000 {
        client.now.boot_ms += 75;
        acknowledgements += acknowledged(&client.put(Input::Tick)).len();
        client.server(Code::Ok, "1");
    }
    assert_eq!(client.disk.mail.held.len(), 16 * 3);
    assert_eq!(client.disk.mail.received, [], "nothing is remembered of the others");
}

#[test]
fn gap_in_the_numbers_of_an_author_is_told() {
    let mut client = friend_of_bob();
    let effects = client.mail_of(&BOB, 7, BOB.text(5, "five"));
    assert_eq!(notices(&effects), [], "another device may have begun the conversation");
    settle(&mut client);
    let effects = client.mail_of(&BOB, 8, BOB.text(9, "nine"));
    assert_eq!(notices(&effects), [NoticeCode::MessagesMissing]);
    let effects = client.mail_of(&BOB, 9, BOB.text(10, "ten"));
    assert_eq!(notices(&effects), []);
    client.now.boot_ms += 60_000;
    client.put(Input::Tick);
    client.crash();
    client.mail_of(&BOB, 10, BOB.text(12, "twelve"));
    let late = client.mail_of(&BOB, 11, BOB.text(11, "eleven"));
    assert_eq!((notices(&late), shown(&late)), (vec![], vec!["eleven"]));
}

#[test]
fn record_that_fails_is_tried_again_before_the_acknowledgement() {
    let mut client = friend_of_bob();
    client.disk.is_full = true;
    for (delivery, number) in [(7, 1), (8, 2)] {
        let effects = client.mail_of(&BOB, delivery, BOB.text(number, "hi"));
        assert_eq!(shown(&effects), ["hi"]);
        assert_eq!(acknowledged(&settle(&mut client)), [0; 0]);
    }
    client.answer_post(&BOB, Outcome::Pushed);
    client.now.boot_ms += 30_000;
    assert_eq!(acknowledged(&client.put(Input::Tick)), [0; 0], "the disk is still full");
    client.answer_post(&BOB, Outcome::Pushed);
    client.disk.is_full = false;
    client.now.boot_ms += 30_000;
    assert_eq!(acknowledged(&client.put(Input::Tick)), [7]);
    assert_eq!(acknowledged(&client.answer_acknowledgement()), [8]);
    assert_eq!(client.disk.mail.received[0].through, 2);
}

#[test]
fn acknowledgement_that_fails_is_repeated_with_later_ones() {
    let mut client = friend_of_bob();
    client.mail_of(&BOB, 7, BOB.text(1, "one"));
    assert_eq!(acknowledged(&settle(&mut client)), [7]);
    client.mail_of(&BOB, 8, BOB.text(2, "two"));
    settle(&mut client);
    assert_eq!(acknowledged(&client.server(Code::StoreUnavailable, "later")), [0; 0]);
    client.now.boot_ms += 600;
    assert_eq!(acknowledged(&client.put(Input::Tick)), [7, 8]);
}

#[test]
fn message_of_a_chat_that_was_displayed_is_not_shown_again() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let text = |number, text: &str| PeerMessage::Message { number, text: text.into() };
    let effects = client.put(Input::Peer { link, message: text(1, "one") });
    assert_eq!(shown(&effects), ["one"]);
    client.put(Input::Peer { link, message: PeerMessage::Bye });
    let chat = ChatId(1);
    let body =
        |number, text: &str| BOB.body(Place::Chat { chat, number }, Content::Text(text.into()));
    let again = client.mail_of(&BOB, 7, body(1, "one"));
    assert_eq!((shown(&again), acknowledged(&again)), (vec![], vec![7]));
    assert_eq!(shown(&client.mail_of(&BOB, 8, body(2, "two"))), ["two"]);
    settle(&mut client);
    client.crash();
    for (number, text) in [(1, "one"), (2, "two")] {
        let again = client.mail_of(&BOB, 8 + number, body(number, text));
        assert_eq!(shown(&again), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn author_learns_that_the_chat_has_shown_a_message() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let message = PeerMessage::Message { number: 1, text: "one".into() };
    client.put(Input::Peer { link, message });
    client.put(Input::Peer { link, message: PeerMessage::Bye });
    let place = Place::Chat { chat: ChatId(1), number: 1 };
    let body = BOB.body(place, Content::Text("one".into()));
    client.mail_of(&BOB, 7, body.clone());
    client.answer_keys_of(&BOB);
    let receipt = client.disk.sealed.last().unwrap();
    assert_eq!(receipt.content, Content::Receipt(vec![body.message_id()]));
}

#[test]
fn envelope_and_slower_chat_show_a_message_once() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let place = Place::Chat { chat: ChatId(1), number: 1 };
    let body = BOB.body(place, Content::Text("one".into()));
    assert_eq!(shown(&client.mail_of(&BOB, 7, body)), ["one"]);
    let late = |number, text: &str| PeerMessage::Message { number, text: text.into() };
    let effects = client.put(Input::Peer { link, message: late(1, "one") });
    assert_eq!(shown(&effects), Vec::<&str>::new());
    let effects = client.put(Input::Peer { link, message: late(2, "two") });
    assert_eq!(shown(&effects), ["two"]);
}

#[test]
fn message_of_a_chat_is_acknowledged_after_its_display() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let message = PeerMessage::Message { number: 1, text: "one".into() };
    let effects = client.put_undisplayed(Input::Peer { link, message });
    let displayed = effects.iter().find_map(|effect| match effect {
        Effect::Display(_, displayed) => Some(*displayed),
        _ => None,
    });
    client.put(Input::Peer { link, message: PeerMessage::Bye });
    let place = Place::Chat { chat: ChatId(1), number: 1 };
    let body = BOB.body(place, Content::Text("one".into()));
    let again = client.mail_of(&BOB, 7, body.clone());
    assert_eq!((shown(&again), acknowledged(&again)), (vec![], vec![]));
    let effects = client.put(Input::Displayed(displayed.unwrap()));
    assert_eq!((shown(&effects), acknowledged(&effects)), (vec![], vec![7]));
    client.answer_keys_of(&BOB);
    let receipt = client.disk.sealed.last().unwrap();
    assert_eq!(receipt.content, Content::Receipt(vec![body.message_id()]));
}

#[test]
fn displayed_messages_are_recorded_together() {
    let mut client = friend_of_bob();
    let mut commits = 0;
    for number in 1..=20 {
        let effects = client.mail_of(&BOB, number, BOB.text(number, "hi"));
        commits += effects.iter().filter(|effect| matches!(effect, Effect::Commit { .. })).count();
    }
    assert_eq!(commits, 0);
    assert_eq!(acknowledged(&settle(&mut client)).len(), 20);
}
