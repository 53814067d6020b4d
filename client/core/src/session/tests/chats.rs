//! Open chats: the target of a text, and the end.

use letschat_protocol::message_id::MessageId;

use super::*;
use crate::conversation::{ConversationId, MessageState};

#[test]
fn text_never_moves_to_another_chat_by_itself() {
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    client.chat_with("carol", 3);
    client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    let is_for_bob = |event: &&Event| {
        let bob = ConversationId::Person(name("bob"));
        matches!(event, Event::Message { conversation, .. } if *conversation == bob)
    };
    let (_, effects) = client.ask(Request::Say { to: None, text: "for bob only".into() });
    assert!(told(&effects).iter().any(is_for_bob), "{effects:?}");
    client.ask(Request::Disconnect(None));
    let (id, effects) = client.ask(Request::Say { to: None, text: "for bob only".into() });
    assert_eq!(code(&effects, id), "no_chat");
    client.ask(Request::Switch("carol".into()));
    let (id, effects) = client.ask(Request::Say { to: None, text: "for carol".into() });
    assert!(answer(&effects, id).unwrap().is_ok());
}

/// Returns the told ids and states of own messages.
fn own(effects: &[Effect]) -> Vec<(MessageId, MessageState)> {
    let state = |event: &Event| match event {
        Event::Message { own: true, id, .. } => Some((*id, MessageState::Sent)),
        Event::MessageState { id, state, .. } => Some((*id, *state)),
        _ => None,
    };
    told(effects).into_iter().filter_map(state).collect()
}

#[test]
fn own_messages_are_told_with_what_becomes_of_them() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        let (id, effects) = client.ask(Request::Say { to: None, text: text.into() });
        let Some(Ok(Reply::Sent { message_id, .. })) = answer(&effects, id) else {
            panic!("{effects:?}");
        };
        assert_eq!(own(&effects), [(*message_id, MessageState::Sent)]);
        ids.push(*message_id);
    }
    let message = PeerMessage::Acknowledge { through: 2 };
    let effects = client.put(Input::Peer { link, message: message.clone() });
    assert_eq!(own(&effects), [0, 1].map(|index| (ids[index], MessageState::Delivered)));
    assert_eq!(own(&client.put(Input::Peer { link, message })), [], "each state is told once");
    let effects = client.put(Input::Peer { link, message: PeerMessage::Bye });
    assert_eq!(own(&effects), [(ids[2], MessageState::Waiting)]);
}

#[test]
fn message_has_the_same_id_on_both_sides() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let message = PeerMessage::Message { number: 1, text: "hello".into() };
    let effects = client.put(Input::Peer { link, message });
    let expected = MessageId::in_chat(ChatId(1), &key(2), 1);
    let is_it =
        |event: &&Event| matches!(event, Event::Message { id, own: false, .. } if *id == expected);
    assert!(told(&effects).iter().any(is_it), "{effects:?}");
}

#[test]
fn quitting_answers_everything_and_ends() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    let call = client.connecting_to("carol", 3);
    let (list, _) = client.ask(Request::List);
    let (quit, effects) = client.ask(Request::Quit);
    for id in [call, list] {
        assert!(answer(&effects, id).unwrap().is_err());
    }
    assert!(answer(&effects, quit).unwrap().is_ok());
    assert!(matches!(effects.last(), Some(Effect::Finished)), "{effects:?}");
}

#[test]
fn quitting_waits_for_the_last_message_but_not_for_ever() {
    let mut client = TestSession::logged_in();
    client.chat_with("bob", 2);
    client.ask(Request::Say { to: None, text: "bye".into() });
    let (quit, effects) = client.ask(Request::Quit);
    assert!(answer(&effects, quit).is_none());
    let mut slow = effects;
    while answer(&slow, quit).is_none() {
        slow = client.wait();
    }
    // It goes on from the disk, in the next run.
    assert_eq!(own(&slow).len(), 1);
    assert_eq!(client.disk.stored().outbox[0].text, "bye");
}

#[test]
fn messages_before_the_approval_are_never_shown() {
    let mut client = TestSession::logged_in();
    let (link, effects) = client.called_by("bob", 2);
    assert!(matches!(told(&effects)[..], [Event::Request { .. }]));
    let message = PeerMessage::Message { number: 1, text: "let me in".into() };
    let effects = client.put(Input::Peer { link, message });
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::Message { .. })));
    let (link, _) = client.called_by("carol", 3);
    let effects = client.put(Input::Peer { link, message: PeerMessage::Open });
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::ChatOpened { .. })));
}

#[test]
fn refusal_of_an_open_chat_is_the_peers_end() {
    let mut client = TestSession::logged_in();
    let link = client.chat_with("bob", 2);
    let message = PeerMessage::Refuse(Refusal::NoAnswer);
    let effects = client.put(Input::Peer { link, message });
    let ended =
        |event: &&Event| matches!(event, Event::ChatClosed { reason: ChatEnd::PeerEnded, .. });
    assert!(told(&effects).iter().any(ended), "{effects:?}");
}
