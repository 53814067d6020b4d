//! The appearance of events, and the conversations that they belong to.

use letschat_core::conversation::ConversationId;
use letschat_core::event::{Event, GroupChange, KeyState};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::theme::Kind;

/// Returns the id and the text of an event that the view shows as a message.
pub(super) fn in_view(event: &Event) -> Option<(MessageId, &str)> {
    match event {
        Event::Message { id, text, .. } | Event::Broadcast { id, text, .. } => Some((*id, text)),
        Event::FileOffered { file, .. } => Some((file.id, file.name.as_str())),
        _ => None,
    }
}

/// Returns the conversation that an event is about. The user's own changes of a group answer a command, which was
/// typed anywhere.
pub(super) fn conversation_of(event: &Event, me: Option<&Username>) -> Option<ConversationId> {
    match event {
        Event::GroupChanged { by, .. } if Some(by) == me => None,
        Event::ChatOpened { with: who, .. }
        | Event::ChatClosed { with: who, .. }
        | Event::ChatInterrupted { with: who }
        | Event::ChatResumed { with: who, .. }
        | Event::Request { from: who, group: None, .. }
        | Event::RequestEnded { from: who, .. } => Some(ConversationId::Person(who.clone())),
        Event::GroupChanged { group, .. } => Some(ConversationId::Group(group.clone())),
        Event::Message { conversation, .. }
        | Event::Broadcast { conversation, .. }
        | Event::MessageState { conversation, .. } => Some(conversation.clone()),
        Event::FileOffered { file, .. }
        | Event::FileDone { file, .. }
        | Event::FileFailed { file, .. } => Some(file.conversation.clone()),
        _ => None,
    }
}

/// Returns true for an event without a line of its own that changes the prompt, or what the full screen shows.
pub(super) fn changes_prompt(event: &Event) -> bool {
    matches!(
        event,
        Event::State(_)
            | Event::People(_)
            | Event::Contacts(_)
            | Event::History(_)
            | Event::FileProgress { .. }
            | Event::FileDone { .. }
            | Event::FileFailed { .. }
    )
}

/// Returns the kind of an event, and its own time if it has one.
pub(super) fn appearance(event: &Event) -> (Kind, Option<u64>) {
    match event {
        Event::Message { own: true, time_ms, .. } => (Kind::OwnMessage, Some(*time_ms)),
        Event::Message { time_ms, .. } => (Kind::Message, Some(*time_ms)),
        Event::MessageState { .. } => (Kind::Message, None),
        Event::FileOffered { file, time_ms, .. } if file.own => (Kind::OwnMessage, Some(*time_ms)),
        Event::FileOffered { time_ms, .. } => (Kind::Request, Some(*time_ms)),
        Event::FileProgress { .. } | Event::FileDone { .. } => (Kind::Chat, None),
        Event::FileFailed { .. } => (Kind::Warning, None),
        Event::Broadcast { time_ms, .. } => (Kind::Broadcast, Some(*time_ms)),
        Event::Request { time_ms, key: KeyState::Changed, .. } => (Kind::Warning, Some(*time_ms)),
        Event::Request { time_ms, .. } => (Kind::Request, Some(*time_ms)),
        Event::DeviceWaiting { .. } => (Kind::Request, None),
        Event::DeviceChanged { .. }
        | Event::GroupChanged { change: GroupChange::Removed, .. }
        | Event::ChatOpened { key: KeyState::Changed, .. }
        | Event::Error { .. }
        | Event::Disconnected { .. } => (Kind::Warning, None),
        Event::ChatClosed { undelivered, .. } if !undelivered.is_empty() => (Kind::Warning, None),
        Event::ChatOpened { .. }
        | Event::ChatClosed { .. }
        | Event::ChatInterrupted { .. }
        | Event::ChatResumed { .. }
        | Event::GroupChanged { .. }
        | Event::RequestEnded { .. } => (Kind::Chat, None),
        Event::Connected { .. }
        | Event::Retrying { .. }
        | Event::LoggedIn { .. }
        | Event::LeftServer { .. }
        | Event::Initiated { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::State(_)
        | Event::People(_)
        | Event::Contacts(_)
        | Event::History(_)
        | Event::Notice { .. } => (Kind::Server, None),
    }
}
