//! Requests for chats, in both directions.

use super::*;

#[test]
fn the_account_stays_open_while_somebody_is_being_asked_or_asks() {
    let mut client = TestSession::logged_in();
    let id = client.connecting_to("bob", 2);
    let (_, effects) = client.ask(Request::Detach);
    assert!(!closes_account(&effects));
    let link = LinkId::dialled(1);
    client.put(Input::PeerDialled { link });
    let effects = client.put(Input::Peer { link, message: PeerMessage::Approve });
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(client.session.peers().len(), 1, "bob is remembered");
    let effects = client.put(Input::Peer { link, message: PeerMessage::Bye });
    assert!(closes_account(&effects), "and now nobody needs it");
}

#[test]
fn a_peer_that_calls_anew_when_detached_finds_the_account_open() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    let (again, _) = client.called_by("bob", 2);
    client.ask(Request::Detach);
    client.ask(Request::Approve(Some("bob".into())));
    let effects = client.put(Input::Peer { link: again, message: PeerMessage::Open });
    assert!(told(&effects).iter().any(|event| matches!(event, Event::ChatOpened { .. })));
    assert!(!closes_account(&effects));
}

#[test]
fn who_calls_while_we_look_for_them_is_approved() {
    let mut client = TestSession::logged_in();
    let (id, effects) =
        client.ask(Request::Connect { who: "bob".into(), force: false, switch: true });
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::List { .. })));
    let (link, _) = client.called_by("bob", 2);
    let page = ServerReply::long(Code::Ok, ["bob 10.0.0.2 4401".to_owned()], "1 end".to_owned());
    let effects = client.put(Input::Server(FromServer::Reply(page)));
    let approved = |effect: &Effect| matches!(effect, Effect::SendPeer { link: to, message: PeerMessage::Approve } if *to == link);
    assert!(effects.iter().any(approved), "{effects:?}");
    let effects = client.put(Input::Peer { link, message: PeerMessage::Open });
    assert!(answer(&effects, id).unwrap().is_ok());
}

#[test]
fn an_introduction_that_makes_no_sense_ends_the_call() {
    let mut client = TestSession::logged_in();
    for _ in 0..2 {
        let (id, _) = client.ask(Request::Connect { who: "bob".into(), force: true, switch: true });
        let effects = client.server(Code::Ok, "nonsense");
        assert_eq!(code(&effects, id), "malformed");
    }
}

#[test]
fn call_without_introduction_asks_nobody_and_is_turned_away() {
    let mut client = TestSession::logged_in();
    let link = LinkId::arrived(9);
    let from = "10.0.0.9:50000".parse().unwrap();
    client.put(Input::PeerArrived { link, key: key(9), from });
    let call = PeerMessage::Call { chat: ChatId(9), from: name("bob") };
    assert!(told(&client.put(Input::Peer { link, message: call })).is_empty());
    client.now.boot_ms += 5_000;
    let effects = client.put(Input::Tick);
    let refused = PeerMessage::Refuse(Refusal::Unknown);
    let says =
        |effect: &Effect| matches!(effect, Effect::SendPeer { message, .. } if *message == refused);
    assert!(effects.iter().any(says) && told(&effects).is_empty(), "{effects:?}");
}

#[test]
fn a_request_goes_unanswered_after_a_minute_and_both_are_told() {
    let mut client = TestSession::logged_in();
    let (link, _) = client.called_by("bob", 2);
    client.now.boot_ms += 60_000;
    let effects = client.put(Input::Tick);
    let refused = PeerMessage::Refuse(Refusal::NoAnswer);
    assert!(effects.iter().any(|effect| {
        matches!(effect, Effect::SendPeer { link: to, message } if *to == link && *message == refused)
    }));
    assert!(told(&effects).iter().any(|event| matches!(event, Event::RequestEnded { .. })));
}

#[test]
fn who_arrived_at_an_account_that_was_closed_reaches_nobody() {
    let mut client = TestSession::logged_in();
    let receiver = "10.0.0.2:4401".parse().unwrap();
    let introduction = Introduction { username: name("bob"), receiver, key: key(2) };
    client.notice(Notice::Introduction(introduction));
    let link = LinkId::arrived(1);
    client.put(Input::PeerArrived { link, key: key(2), from: receiver });
    let (_, effects) = client.ask(Request::Leave);
    let closes =
        |effect: &Effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link);
    assert!(effects.iter().any(closes));
    let call = PeerMessage::Call { chat: ChatId(1), from: name("bob") };
    assert!(told(&client.put(Input::Peer { link, message: call })).is_empty());
}

#[test]
fn cancel_withdraws_a_request_before_the_server_answers() {
    let asked = |who: &str, force| Request::Connect { who: who.into(), force, switch: true };
    for (who, force, named) in [
        ("bob", false, None),
        ("bob", false, Some("Bob")),
        ("10.0.0.2", false, None),
        ("10.0.0.2", true, Some("10.0.0.2")),
    ] {
        let mut client = TestSession::logged_in();
        let (connecting, _) = client.ask(asked(who, force));
        let (id, effects) = client.ask(Request::Cancel(named.map(str::to_owned)));
        assert!(answer(&effects, id).unwrap().is_ok(), "{who}");
        assert_eq!(code(&effects, connecting), "cancelled", "{who}");
        let effects = client.server(Code::Ok, "0 end");
        assert!(effects.is_empty(), "{who}: {effects:?}");
    }
}

/// Lets both sides call each other: our own call is dialled, theirs waits over another link.
fn both_call(own_dials: u8, theirs: u8) -> (TestSession, RequestId, LinkId, Vec<Effect>) {
    let mut client = TestSession::logged_in();
    let id = client.connecting_to("bob", own_dials);
    let (link, effects) = client.called_by("bob", theirs);
    (client, id, link, effects)
}

/// Returns a seed whose key has a higher fingerprint than alice's, so that a call with it waits.
fn waiting_seed(but: u8) -> u8 {
    let own = TestSession::logged_in().session.account.key().map(|key| key.fingerprint());
    let waits = |seed: &u8| Some(key(*seed).fingerprint()) > own && *seed != but;
    (2..200).find(waits).unwrap()
}

#[test]
fn waiting_call_opens_when_the_own_one_fails() {
    let seed = waiting_seed(0);
    let (mut client, id, link, _) = both_call(seed, seed);
    let dialled = client.session.cx.links.last_dialled();
    client.put(Input::PeerLost { link: dialled, why: PeerLoss::Unreachable });
    let effects = client.put(Input::Peer { link, message: PeerMessage::Open });
    assert!(matches!(answer(&effects, id), Some(Ok(Reply::Chat { .. }))), "{effects:?}");
}

#[test]
fn waiting_call_of_another_key_is_no_way_out() {
    let theirs = waiting_seed(0);
    let (mut client, id, link, _) = both_call(waiting_seed(theirs), theirs);
    let dialled = client.session.cx.links.last_dialled();
    let effects = client.put(Input::PeerLost { link: dialled, why: PeerLoss::Unreachable });
    assert_eq!(code(&effects, id), "unreachable");
    let closes =
        |effect: &Effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link);
    assert!(effects.iter().any(closes), "{effects:?}");
    let effects = client.put(Input::Peer { link, message: PeerMessage::Open });
    assert!(told(&effects).is_empty() && client.session.peers().is_empty(), "{effects:?}");
}

#[test]
fn repeated_request_is_told_that_it_rings() {
    let mut client = TestSession::logged_in();
    client.connecting_to("bob", 2);
    let link = LinkId::dialled(1);
    client.put(Input::PeerDialled { link });
    let bell = Event::notice(crate::notice::Notice::Ringing(name("bob")));
    let ringing = |event: &&Event| **event == bell;
    let first = client.put(Input::Peer { link, message: PeerMessage::Ringing });
    assert!(told(&first).iter().any(ringing), "{first:?}");
    let again = Request::Connect { who: "bob".into(), force: false, switch: true };
    let (_, effects) = client.ask(again);
    assert!(told(&effects).iter().any(ringing), "{effects:?}");
}

#[test]
fn leaving_twice_beside_a_chat_is_no_failure() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    let (id, effects) = client.ask(Request::Leave);
    assert_eq!(code(&effects, id), "chat_open");
    client.ask(Request::Detach);
    let (id, effects) = client.ask(Request::Leave);
    assert!(answer(&effects, id).unwrap().is_ok(), "there is nothing to leave");
}
