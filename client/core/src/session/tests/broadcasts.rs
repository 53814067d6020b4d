//! Broadcasts: shown ones, gaps, and the ways to learn of the newest.

use letschat_protocol::datagram::{ToClient, ToServer};

use super::*;
use crate::failure::Text;

#[test]
fn the_end_of_a_replay_that_was_not_asked_for_gives_nothing_up() {
    let mut client = TestSession::logged_in();
    let entry = |number| letschat_protocol::dialogue::Broadcast {
        number,
        sender: name("bob"),
        time_ms: number,
        text: "hello".into(),
    };
    client.notice(Notice::Broadcast { entry: entry(2), own: false });
    let effects = client.notice(Notice::Replayed { through: 2 });
    assert!(effects.is_empty(), "{effects:?}");
    client.now.boot_ms += 60;
    let effects = client.put(Input::Tick);
    assert!(asks_server(&effects, |request| *request == ServerRequest::Replay { from: 1 }));
    client.server(Code::Ok, "1 2 replaying");
    let effects = client.notice(Notice::Broadcast { entry: entry(1), own: false });
    assert!(matches!(told(&effects)[..], [Event::Broadcast { number: 1, .. }]));
}

#[test]
fn a_broadcast_of_somebody_blocked_is_no_gap_and_is_not_shown() {
    let mut client = TestSession::logged_in();
    client.ask(Request::Block { who: "mallory".into(), on: true });
    let broadcast = |number, sender| Broadcast {
        number,
        sender: name(sender),
        time_ms: number,
        text: "hello".into(),
    };
    let entry = broadcast(1, "mallory");
    let effects = client.notice(Notice::Broadcast { entry, own: false });
    assert!(told(&effects).is_empty(), "{effects:?}");
    let saved = LogPosition { epoch: 1, through: 1 };
    assert!(effects.iter().any(|effect| {
        matches!(effect, Effect::Save(Save::Position(position)) if *position == saved)
    }));
    let entry = broadcast(2, "bob");
    let effects = client.notice(Notice::Broadcast { entry, own: false });
    assert!(matches!(told(&effects)[..], [Event::Broadcast { .. }]), "{effects:?}");
}

#[test]
fn whoever_comes_back_is_not_shown_twice_what_followed_a_gap() {
    let mut client = TestSession::logged_in();
    let entry = Broadcast { number: 2, sender: name("bob"), time_ms: 2, text: "hello".into() };
    let effects = client.notice(Notice::Broadcast { entry: entry.clone(), own: false });
    assert!(matches!(told(&effects)[..], [Event::Broadcast { .. }]), "{effects:?}");
    client.ask(Request::Leave);
    client.ask(log_in(Some("alice")));
    client.come_in();
    let effects = client.notice(Notice::Broadcast { entry, own: false });
    assert!(told(&effects).is_empty(), "{effects:?}");
}

#[test]
fn a_gap_after_the_other_puts_no_keep_alive_off() {
    let mut client = TestSession::logged_in();
    client.put(Input::Datagram(ToClient::Head(0)));
    let mut keep_alives_ms = vec![client.now.boot_ms];
    for number in (2..200).step_by(2) {
        let entry =
            Broadcast { number, sender: name("bob"), time_ms: number, text: "hello".into() };
        let mut effects =
            client.put(Input::Datagram(ToClient::Broadcast { entry: entry.clone(), own: false }));
        effects.extend(client.wait());
        client.server(Code::Ok, &format!("1 {number} replaying"));
        let missing = number - 1;
        let entry = Broadcast { number: missing, time_ms: missing, ..entry };
        client.notice(Notice::Broadcast { entry, own: false });
        client.notice(Notice::Replayed { through: number });
        client.now.boot_ms += 1_000;
        effects.extend(client.put(Input::Tick));
        if effects.iter().any(|effect| matches!(effect, Effect::Datagram(ToServer::KeepAlive))) {
            keep_alives_ms.push(client.now.boot_ms);
        }
    }
    let longest_ms = keep_alives_ms.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest_ms.is_some_and(|pause_ms| pause_ms <= 26_000), "{keep_alives_ms:?}");
}

#[test]
fn after_a_gap_the_server_is_asked_for_its_newest_number() {
    let mut client = TestSession::logged_in();
    let sends_keep_alive = |effects: &[Effect]| {
        effects.iter().any(|effect| matches!(effect, Effect::Datagram(ToServer::KeepAlive)))
    };
    client.put(Input::Datagram(ToClient::Head(0)));
    assert!(sends_keep_alive(&client.wait()), "one that was planned before the head came");
    let entry = Broadcast { number: 2, sender: name("bob"), time_ms: 2, text: "hello".into() };
    client.put(Input::Datagram(ToClient::Broadcast { entry, own: false }));
    let effects = client.wait();
    let replays = |request: &ServerRequest| matches!(request, ServerRequest::Replay { from: 1 });
    assert!(asks_server(&effects, replays), "{effects:?}");
    client.server(Code::Ok, "1 2 replaying");
    client.notice(Notice::Replayed { through: 2 });

    let gap_ms = client.now.boot_ms;
    for after_ms in [2_000, 5_000, 12_000, 37_000] {
        assert!(sends_keep_alive(&client.wait()));
        assert_eq!(client.now.boot_ms - gap_ms, after_ms);
        client.put(Input::Datagram(ToClient::Head(2)));
    }
}

#[test]
fn a_refused_broadcast_is_told_what_is_wrong_with_it() {
    let mut client = TestSession::logged_in();
    for (text, why) in [
        ("\u{200b}\u{2800}", Failure::Blank(Text::Broadcast)),
        ("\t", Failure::Blank(Text::Broadcast)),
        ("a\u{7}", Failure::ControlCharacters),
    ] {
        let (id, effects) = client.ask(Request::Broadcast(text.into()));
        let Some(Err(failure)) = answer(&effects, id) else { panic!("{text:?}: {effects:?}") };
        assert_eq!(*failure, why, "{text:?}");
    }
}

#[test]
fn a_tab_is_no_reason_to_refuse_a_broadcast() {
    let mut client = TestSession::logged_in();
    let (_, effects) = client.ask(Request::Broadcast("a\tb".into()));
    let sent = ServerRequest::Broadcast { text: "a\tb".into() };
    assert!(asks_server(&effects, |request| *request == sent), "{effects:?}");
}
