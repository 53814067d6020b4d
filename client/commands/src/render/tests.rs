use super::*;
use letschat_core::codes::{FailureCode, LinkEnd};
use letschat_core::conversation::{ConversationId, MessageState, Via};
use letschat_core::event::Trouble;
use letschat_core::failure::Failure as Why;
use letschat_core::notice::Notice;
use letschat_core::view::ChatState;
use letschat_protocol::dialogue::Closing;
use letschat_protocol::message_id::MessageId;
use std::collections::BTreeMap;

/// A text that clears the screen, rings the bell, reverses the direction of writing and ends the line.
const HOSTILE: &str = "a\x1b[2J\x07\u{9b}31m\u{202e}b\r\nc\x7f";

fn assert_safe(text: &str, lines: usize) {
    assert!(!text.is_empty());
    assert_eq!(text.lines().count(), lines, "{text:?}");
    let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(raw), "{text:?}");
}

fn hostile() -> String {
    HOSTILE.into()
}

fn bob() -> Username {
    "bob".parse().unwrap()
}

fn message(text: &str) -> Event {
    Event::Message {
        from: bob(),
        number: Some(1),
        text: text.to_owned(),
        time_ms: u64::MAX,
        sent_ms: u64::MAX,
        conversation: ConversationId::Person(bob()),
        id: MessageId::of_broadcast(1, 1),
        own: false,
        device: None,
        via: Via::Direct,
    }
}

fn state(state: MessageState, code: Option<FailureCode>) -> Event {
    Event::MessageState {
        conversation: ConversationId::Person(bob()),
        id: MessageId::of_broadcast(1, 1),
        to: None,
        state,
        via: Via::Server,
        code,
        is_news: true,
    }
}

#[test]
fn no_event_steers_a_terminal() {
    let key = KeyState::Changed;
    let events = [
        Event::Connected { server: hostile(), fingerprint: hostile(), returned: false },
        Event::Disconnected { reason: LinkEnd::Lost, why: Why::Folder(hostile()) },
        Event::Retrying { reason: LinkEnd::NoServer, attempt: 1, in_ms: 1, why: None },
        Event::Request {
            from: bob(),
            kind: RequestKind::Chat,
            group: None,
            address: Some(hostile()),
            fingerprint: hostile(),
            key,
            time_ms: 0,
        },
        Event::Request {
            from: bob(),
            kind: RequestKind::Message,
            group: None,
            address: None,
            fingerprint: hostile(),
            key,
            time_ms: 0,
        },
        Event::ChatOpened { with: bob(), fingerprint: hostile(), key, link: LinkPath::Direct },
        message(&hostile()),
        Event::Broadcast {
            from: bob(),
            number: 1,
            text: hostile(),
            time_ms: u64::MAX,
            own: true,
            over: "udp",
            conversation: ConversationId::Everyone,
            id: MessageId::of_broadcast(1, 1),
            via: Via::Server,
        },
        Event::notice(Notice::ServerSays(hostile())),
        Event::Error {
            code: FailureCode::NotSaved,
            trouble: Trouble::NotSaved { folder: hostile(), why: hostile() },
        },
    ];
    for event in &events {
        let lines = if matches!(event, Event::Message { .. }) { 2 } else { 1 };
        assert_safe(&super::event(event, &SessionState::default()).unwrap(), lines);
    }
    let undelivered = vec![hostile(), hostile()];
    let closed = Event::ChatClosed { with: bob(), reason: ChatEnd::Lost, undelivered };
    assert_safe(&super::event(&closed, &SessionState::default()).unwrap(), 3);
}

#[test]
fn end_of_one_thing_says_what_goes_on() {
    let chats = BTreeMap::from([(bob(), ChatState::Open)]);
    let session = SessionState { chats, ..SessionState::default() };
    let closing = LinkEnd::Closed(Closing::Terminated);
    let ended = Event::Disconnected { reason: closing, why: Why::LinkEnded(closing) };
    assert_eq!(super::event(&ended, &SessionState::default()).unwrap(), "Server: terminated.");
    assert_eq!(super::event(&ended, &session).unwrap(), "Server: terminated. Your chats continue.");
    let with = "carol".parse().unwrap();
    let closed = Event::ChatClosed { with, reason: ChatEnd::Ended, undelivered: Vec::new() };
    let told =
        "Chat with carol is over.\nYour chat with bob is still open: `/switch bob` goes there.";
    assert_eq!(super::event(&closed, &session).unwrap(), told);
    let session = SessionState { typing: Typing::Chat(bob()), ..session };
    assert_eq!(super::event(&closed, &session).unwrap(), "Chat with carol is over.");
}

#[test]
fn every_event_has_a_line() {
    let events = [
        Event::LoggedIn { username: bob(), by: "key" },
        Event::LeftServer { chats: 0 },
        Event::LeftServer { chats: 2 },
        Event::RequestEnded { from: bob(), reason: RequestEnd::Withdrawn },
        Event::RequestEnded { from: bob(), reason: RequestEnd::NoAnswer },
        Event::ChatInterrupted { with: bob() },
        Event::ChatResumed { with: bob(), link: LinkPath::Relay },
        state(MessageState::Kept, None),
        state(MessageState::Delivered, None),
        state(MessageState::Expired, None),
        state(MessageState::Failed, Some(FailureCode::UnknownUser)),
        Event::Joined { usernames: vec![bob()], count: 1 },
        Event::Left { usernames: vec![], count: 9 },
    ];
    for event in &events {
        assert_safe(&super::event(event, &SessionState::default()).unwrap(), 1);
    }
}

#[test]
fn no_reply_steers_a_terminal() {
    let user = |port| User { username: hostile(), address: hostile(), port };
    let users = Reply::Users { users: vec![user(Some(1)), user(None)] };
    assert_safe(&reply(&users).unwrap(), 2);
    let safety = Reply::Safety {
        with: hostile(),
        safety_number: hostile(),
        fingerprint: hostile(),
        verified: false,
    };
    assert_safe(&reply(&safety).unwrap(), 2);
    assert_safe(&reply(&Reply::Said { message: hostile() }).unwrap(), 2);
    let failed = failure(&Failure::new(FailureCode::Lua, HOSTILE));
    assert_safe(&failed, 2);
    assert!(failed.contains("\n  c"), "{failed:?}");
    let status = Status {
        server: hostile(),
        server_fingerprint: Some(hostile()),
        state: "logged_in",
        username: Some(hostile()),
        fingerprint: None,
        device: Some(hostile()),
        listed: false,
        address: Some(hostile()),
        port: 4401,
        udp: true,
        chats: vec![ChatStatus {
            with: hostile(),
            state: "open",
            current: true,
            unconfirmed: 0,
            key: KeyState::Known,
            link: Some(LinkPath::Relay),
        }],
        requests: vec![hostile()],
    };
    assert_safe(&reply(&Reply::Status(Box::new(status))).unwrap(), 10);
}
