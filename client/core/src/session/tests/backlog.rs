//! A front end that is behind, or displays nothing.

use super::*;

fn message(link: LinkId, number: u64) -> Input {
    let message = PeerMessage::Message { number, text: "hello".into() };
    Input::Peer { link, message }
}

fn broadcast(number: u64) -> Notice {
    let entry =
        Broadcast { number, sender: name("bob"), time_ms: 1_000 + number, text: "hello".into() };
    Notice::Broadcast { entry, own: false }
}

fn displayed(effects: &[Effect]) -> Vec<Displayed> {
    let displayed = |effect: &Effect| match effect {
        Effect::Display(_, displayed) => Some(*displayed),
        _ => None,
    };
    effects.iter().filter_map(displayed).collect()
}

fn said(effects: &[Effect]) -> Vec<&PeerMessage> {
    let mut all = Vec::new();
    for effect in effects {
        if let Effect::SendPeer { message, .. } = effect {
            all.push(message);
        }
    }
    all
}

fn saved_position(effects: &[Effect]) -> Option<u64> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Save(Save::Position(position)) => Some(position.through),
        _ => None,
    })
}

#[test]
fn a_message_is_acknowledged_after_its_display() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let effects = client.put_undisplayed(message(link, 1));
    let [shown] = &displayed(&effects)[..] else { panic!("{effects:?}") };
    let begin_ms = client.now.boot_ms;
    while client.now.boot_ms < begin_ms + 3_000 {
        let effects = client.wait();
        assert!(!said(&effects).iter().any(|m| matches!(m, PeerMessage::Acknowledge { .. })));
    }
    client.put(Input::Displayed(*shown));
    assert_eq!(said(&client.wait()), [&PeerMessage::Acknowledge { through: 1 }]);
}

#[test]
fn a_resumed_chat_asks_for_what_was_not_displayed() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    client.put(message(link, 1));
    client.put_undisplayed(message(link, 2));
    client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    client.links += 1;
    let (link, from) = (LinkId::arrived(client.links), "10.0.0.2:4401".parse().unwrap());
    client.put(Input::PeerArrived { link, key: key(2), from });
    let resume = PeerMessage::Resume { chat: ChatId(1), received: 0 };
    let effects = client.put(Input::Peer { link, message: resume });
    assert!(said(&effects).contains(&&PeerMessage::Resumed { received: 1 }), "{effects:?}");
    let again = client.put(message(link, 2));
    assert!(told(&again).is_empty(), "it waits to be displayed already");
}

#[test]
fn a_display_of_an_earlier_chat_acknowledges_nothing() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let effects = client.put_undisplayed(message(link, 1));
    let late = displayed(&effects).remove(0);
    client.put(Input::Peer { link, message: PeerMessage::Bye });
    let link = client.chat_with("bob", 2);
    client.put_undisplayed(message(link, 1));
    client.put(Input::Displayed(late));
    client.now.boot_ms += 1_000;
    assert!(said(&client.put(Input::Tick)).is_empty());
}

#[test]
fn the_position_is_saved_after_the_display() {
    let mut client = TestSession::logged_in();
    let first = client.put_undisplayed(Input::Server(FromServer::Notice(broadcast(1))));
    let second = client.put_undisplayed(Input::Server(FromServer::Notice(broadcast(2))));
    assert_eq!((saved_position(&first), saved_position(&second)), (Some(0), None));
    let effects = client.put(Input::Displayed(displayed(&second).remove(0)));
    assert_eq!(saved_position(&effects), None, "the first one is not displayed");
    let effects = client.put(Input::Displayed(displayed(&first).remove(0)));
    assert_eq!(saved_position(&effects), Some(2));
}

#[test]
fn a_full_front_end_skips_broadcasts_and_replays_them() {
    let mut client = TestSession::logged_in();
    let asks = |effects: &[Effect]| {
        asks_server(effects, |request| *request == ServerRequest::Replay { from: 1 })
    };
    client.put(Input::Backlog(Backlog::Full));
    for number in 1..=3 {
        assert!(told(&client.notice(broadcast(number))).is_empty());
    }
    let begin_ms = client.now.boot_ms;
    while client.now.boot_ms < begin_ms + 5_000 {
        assert!(!asks(&client.wait()), "it would be skipped again");
    }
    client.put(Input::Backlog(Backlog::None));
    assert!(asks(&client.wait()));
}

#[test]
fn a_chat_that_is_not_read_stays_up_on_both_sides() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    client.ask(Request::Say { to: None, text: "are you there?".into() });
    client.ask(Request::Detach);
    client.put(Input::Backlog(Backlog::Peers));
    let begin_ms = client.now.boot_ms;
    let mut pongs = 0;
    while client.now.boot_ms < begin_ms + 300_000 {
        let effects = client.wait();
        assert!(told(&effects).is_empty(), "{effects:?}");
        pongs += said(&effects).iter().filter(|m| ***m == PeerMessage::Pong).count();
    }
    assert!((90..=110).contains(&pongs), "one in three seconds keeps the other side calm: {pongs}");
    client.put(Input::Backlog(Backlog::None));
    let acknowledge = PeerMessage::Acknowledge { through: 1 };
    let effects = client.put(Input::Peer { link, message: acknowledge });
    assert!(matches!(told(&effects)[..], [Event::MessageState { .. }]), "{effects:?}");
    assert!(!said(&client.wait()).contains(&&PeerMessage::Pong), "its silence is judged again");
}
