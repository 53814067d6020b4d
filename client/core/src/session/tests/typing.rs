//! The meaning of typed lines, and its changes.

use super::*;

/// Sends an own request to a user. Returns the link for the other side's answer.
fn ringing(client: &mut TestSession, who: &str, seed: u8) -> LinkId {
    client.connecting_to(who, seed);
    let link = client.session.cx.links.last_dialled();
    client.put(Input::PeerDialled { link });
    link
}

fn chat(who: &str) -> Typing {
    Typing::Chat(name(who))
}

#[test]
fn conversation_stays_current_when_the_other_side_ends_the_chat() {
    let mut client = TestSession::logged_in();
    assert_eq!(*client.session.typing(), Typing::Commands);
    let bob = client.chat_with("bob", 2);
    assert_eq!(*client.session.typing(), chat("bob"));
    client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    assert_eq!(*client.session.typing(), chat("bob"));
}

#[test]
fn conversation_stays_current_when_the_link_is_lost() {
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    client.put(Input::PeerLost { link: bob, why: PeerLoss::Broken });
    assert_eq!(*client.session.typing(), chat("bob"));
    client.now.boot_ms += 300_000;
    client.put(Input::Tick);
    assert!(client.session.chats.is_empty());
    assert_eq!(*client.session.typing(), chat("bob"));
}

#[test]
fn a_chat_that_the_user_ends_leaves_commands() {
    for request in [
        Request::Disconnect(None),
        Request::Disconnect(Some("bob".into())),
        Request::Block { who: "bob".into(), on: true },
    ] {
        let mut client = TestSession::logged_in();
        client.chat_with("bob", 2);
        client.ask(request);
        assert_eq!(*client.session.typing(), Typing::Commands);
    }
    // The other side may say goodbye while the own goodbye waits for a confirmation.
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    client.ask(Request::Say { to: None, text: "hello".into() });
    client.ask(Request::Disconnect(None));
    client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    assert_eq!(*client.session.typing(), Typing::Commands);
}

#[test]
fn conversation_without_a_chat_can_be_left() {
    for who in [None, Some("Bob".to_owned())] {
        let mut client = TestSession::logged_in();
        let bob = client.chat_with("bob", 2);
        client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
        let (id, effects) = client.ask(Request::Disconnect(who));
        assert!(answer(&effects, id).unwrap().is_ok());
        assert_eq!(*client.session.typing(), Typing::Commands);
    }
}

#[test]
fn known_person_becomes_current_without_a_chat() {
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    client.ask(Request::Disconnect(None));
    let (id, effects) = client.ask(Request::Switch("carol".into()));
    assert_eq!(code(&effects, id), "no_chat");
    client.ask(Request::Switch("bob".into()));
    assert_eq!(*client.session.typing(), chat("bob"));
}

#[test]
fn a_chat_becomes_current_when_its_user_asked_for_it() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    // The approval of another request leaves the current chat.
    let (dave, _) = client.called_by("dave", 4);
    client.ask(Request::Approve(Some("dave".into())));
    client.put(Input::Peer { link: dave, message: PeerMessage::Open });
    assert_eq!(*client.session.typing(), chat("bob"));
    let carol = ringing(&mut client, "carol", 3);
    assert_eq!(*client.session.typing(), chat("bob"));
    let effects = client.put(Input::Peer { link: carol, message: PeerMessage::Approve });
    assert_eq!(*client.session.typing(), chat("carol"));
    let says_so =
        |event: &&Event| matches!(event, Event::Notice { code: NoticeCode::CurrentChat, .. });
    assert!(told(&effects).iter().any(says_so), "{effects:?}");
}

#[test]
fn a_request_that_is_answered_by_a_request_is_the_users_wish() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    let (link, _) = client.called_by("carol", 3);
    client.ask(Request::Connect { who: "carol".into(), force: false, switch: true });
    client.put(Input::Peer { link, message: PeerMessage::Open });
    assert_eq!(*client.session.typing(), chat("carol"));
    // The chat is open, so it becomes current and the user is told so.
    let again = Request::Connect { who: "bob".into(), force: false, switch: true };
    let (id, effects) = client.ask(again);
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(*client.session.typing(), chat("bob"));
    let is_told =
        |event: &&Event| matches!(event, Event::Notice { code: NoticeCode::ChatOpen, .. });
    assert!(told(&effects).iter().any(is_told), "{effects:?}");
}

#[test]
fn a_prompt_and_a_plugin_decide_themselves_when_to_switch() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    let (link, _) = client.called_by("carol", 3);
    let (id, _) = client.ask(Request::Connect { who: "carol".into(), force: false, switch: false });
    let effects = client.put(Input::Peer { link, message: PeerMessage::Open });
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(*client.session.typing(), chat("bob"));
}

#[test]
fn a_login_while_logged_in_says_so() {
    let mut client = TestSession::logged_in();
    let (id, effects) = client.ask(log_in(Some("alice")));
    assert!(answer(&effects, id).unwrap().is_ok());
    let is_told =
        |event: &&Event| matches!(event, Event::Notice { code: NoticeCode::AlreadyLoggedIn, .. });
    assert!(told(&effects).iter().any(is_told), "{effects:?}");
}

#[test]
fn chat_that_opens_takes_no_line_for_another_person() {
    // The user asked for carol and approved dave before bob ended the chat.
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    let (carol, _) = client.called_by("carol", 3);
    client.ask(Request::Connect { who: "carol".into(), force: false, switch: false });
    let (dave, _) = client.called_by("dave", 4);
    client.ask(Request::Approve(Some("dave".into())));
    client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    for link in [carol, dave] {
        client.put(Input::Peer { link, message: PeerMessage::Open });
        assert_eq!(*client.session.typing(), chat("bob"));
    }
    client.ask(Request::Switch("carol".into()));
    assert_eq!(*client.session.typing(), chat("carol"));
}
