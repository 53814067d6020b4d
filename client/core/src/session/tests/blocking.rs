//! Blocked people.

use super::*;
use std::collections::BTreeSet;

fn saved(effects: &[Effect]) -> Option<BTreeSet<Username>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Save(Save::Blocked(blocked)) => Some(blocked.clone()),
        _ => None,
    })
}

#[test]
fn block_that_ends_the_last_chat_is_saved() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    client.ask(Request::Detach);
    let (id, effects) = client.ask(Request::Block { who: "bob".into(), on: true });
    assert!(answer(&effects, id).unwrap().is_ok());
    assert!(closes_account(&effects), "nothing needs it any more: {effects:?}");
    assert_eq!(saved(&effects), Some([name("bob")].into()));
}

#[test]
fn requests_of_somebody_blocked_are_never_answered() {
    let mut client = TestSession::logged_in();
    let (id, effects) = client.ask(Request::Block { who: "Mallory".into(), on: true });
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(saved(&effects), Some([name("mallory")].into()));
    // The first activity is reported.
    client.server(Code::Ok, "noted");
    let says = |effects: &[Effect], wanted: PeerMessage, to: LinkId| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::SendPeer { link, message } if *link == to && *message == wanted)
        })
    };
    let (link, effects) = client.called_by("mallory", 3);
    assert!(told(&effects).is_empty(), "{effects:?}");
    assert!(says(&effects, PeerMessage::Ringing, link), "as anybody's would");
    client.now.boot_ms += 60_000;
    let effects = client.put(Input::Tick);
    assert!(says(&effects, PeerMessage::Refuse(Refusal::NoAnswer), link), "{effects:?}");
    assert!(told(&effects).is_empty(), "{effects:?}");

    let (id, effects) =
        client.ask(Request::Connect { who: "mallory".into(), force: true, switch: true });
    assert_eq!(code(&effects, id), "blocked");
    client.ask(Request::Block { who: "mallory".into(), on: false });
    let (_, effects) = client.called_by("mallory", 3);
    assert!(matches!(told(&effects)[..], [Event::Request { .. }]));
}

#[test]
fn many_requests_of_somebody_blocked_are_not_kept() {
    let mut client = TestSession::logged_in();
    let busy = |effect: &Effect| {
        matches!(effect, Effect::SendPeer { message: PeerMessage::Refuse(Refusal::Busy), .. })
    };
    let mut turned_away = 0;
    for n in 0..20 {
        let who = format!("mallory{n}");
        client.ask(Request::Block { who: who.clone(), on: true });
        let (_, effects) = client.called_by(&who, 3);
        turned_away += effects.iter().filter(|effect| busy(effect)).count();
    }
    assert_eq!(turned_away, 4, "sixteen wait");
}

#[test]
fn what_somebody_blocked_says_while_the_chat_ends_is_not_shown() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("mallory", 3);
    client.ask(Request::Say { to: Some("mallory".into()), text: "goodbye".into() });
    client.ask(Request::Block { who: "mallory".into(), on: true });
    let message = PeerMessage::Message { number: 1, text: "one more thing".into() };
    let effects = client.put(Input::Peer { link, message });
    assert!(told(&effects).is_empty(), "{effects:?}");
}

#[test]
fn to_block_somebody_ends_what_there_is_with_them() {
    let mut client = TestSession::logged_in();
    client.chat_with("mallory", 3);
    let (calling, _) = client.called_by("trudy", 4);
    let (_, effects) = client.ask(Request::Block { who: "mallory".into(), on: true });
    let says_goodbye =
        |effect: &Effect| matches!(effect, Effect::SendPeer { message: PeerMessage::Bye, .. });
    assert!(effects.iter().any(says_goodbye), "{effects:?}");
    let (_, effects) = client.ask(Request::Block { who: "trudy".into(), on: true });
    let hangs_up =
        |effect: &Effect| matches!(effect, Effect::ClosePeer { link } if *link == calling);
    assert!(effects.iter().any(hangs_up), "{effects:?}");
}

#[test]
fn only_other_users_of_the_server_are_blocked_by_name() {
    let mut client = TestSession::new(None);
    let (id, effects) = client.ask(Request::Block { who: "mallory".into(), on: true });
    assert_eq!(code(&effects, id), "not_logged_in");
    let mut client = TestSession::logged_in();
    for (who, expected) in [("alice", "yourself"), ("a b", "bad_arguments")] {
        let (id, effects) = client.ask(Request::Block { who: who.into(), on: true });
        assert_eq!(code(&effects, id), expected, "{who}");
    }
}
