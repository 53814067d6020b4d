//! The appearance of events and of people, and the conversations that events belong to.

use letschat_core::conversation::ConversationId;
use letschat_core::event::{Event, GroupChange, KeyState};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

/// The kind of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // The names say it.
pub enum Kind {
    Time,
    Prompt,
    Message,
    OwnMessage,
    Broadcast,
    Request,
    Chat,
    #[default]
    Server,
    Warning,
    /// A hint on what to type.
    Hint,
    /// The name of a command while it is typed.
    Command,
}

/// Colours for people, from the part of xterm's palette that no setting of a terminal changes. Tests measure their
/// contrast on black and on white.
pub const PERSON_COLOURS: [u8; 12] = [27, 28, 31, 63, 65, 97, 99, 130, 131, 133, 161, 164];

/// Returns the place of a person's colour in [`PERSON_COLOURS`], which is the same in every run.
pub fn person_colour(who: &Username) -> usize {
    // FNV-1a, whose values never change.
    let hash = who
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize % PERSON_COLOURS.len()
}

/// Returns the red, green and blue of a colour of the 6×6×6 cube in xterm's palette, from 16 to 231.
pub fn xterm_rgb(number: u8) -> [u8; 3] {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let number = usize::from(number.saturating_sub(16)).min(215);
    [number / 36, number / 6 % 6, number % 6].map(|level| LEVELS[level])
}

/// Returns the id and the text of an event that the view shows as a message.
pub fn in_view(event: &Event) -> Option<(MessageId, &str)> {
    match event {
        Event::Message { id, text, .. } | Event::Broadcast { id, text, .. } => Some((*id, text)),
        Event::FileOffered { file, .. } => Some((file.id, file.name.as_str())),
        _ => None,
    }
}

/// Returns the conversation that an event is about. The user's own changes of a group answer a command, which was
/// typed anywhere.
pub fn conversation_of(event: &Event, me: Option<&Username>) -> Option<ConversationId> {
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
pub fn changes_prompt(event: &Event) -> bool {
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
pub fn appearance(event: &Event) -> (Kind, Option<u64>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the relative luminance of a colour (WCAG 2.2).
    fn luminance(colour: [u8; 3]) -> f64 {
        let linear = |level: u8| {
            let value = f64::from(level) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = colour.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn people_have_contrast_on_light_and_on_dark() {
        for number in PERSON_COLOURS {
            let luminance = luminance(xterm_rgb(number));
            let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
            assert!(on_white >= 4.0 && on_black >= 4.0, "{number}: {on_white:.1}, {on_black:.1}");
        }
    }
}
