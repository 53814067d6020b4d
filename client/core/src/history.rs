//! The history: messages that this device keeps on disk, if its user wants that. The driver keeps and searches it.

use letschat_protocol::dialogue::Secret;
use letschat_protocol::message_id::MessageId;
use serde::Serialize;

use crate::conversation::ConversationId;
use crate::event::Event;
use crate::view::RecentMessage;

/// The most messages that a search or a look at a conversation finds.
pub const MAX_FOUND: usize = 20;

/// A message of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Its conversation.
    pub conversation: ConversationId,
    /// The message, without a state.
    pub message: RecentMessage,
}

impl HistoryMessage {
    /// Returns the message of an event, if it has one.
    pub fn of(event: &Event) -> Option<HistoryMessage> {
        let (conversation, from, own, id, text, time_ms, via) = match event {
            Event::Message { conversation, from, own, id, text, time_ms, via, .. }
            | Event::Broadcast { conversation, from, own, id, text, time_ms, via, .. } => {
                (conversation, from, *own, *id, text.clone(), *time_ms, *via)
            }
            Event::FileOffered { file, time_ms, via, .. } => {
                let name = file.name.to_string();
                (&file.conversation, &file.from, file.own, file.id, name, *time_ms, *via)
            }
            _ => return None,
        };
        let is_file = matches!(event, Event::FileOffered { .. });
        let (from, state) = (from.clone(), None);
        let message =
            RecentMessage { from, own, id, text, is_file, is_earlier: false, time_ms, via, state };
        Some(HistoryMessage { conversation: conversation.clone(), message })
    }

    /// Returns the bytes of its text.
    pub fn text_bytes(&self) -> usize {
        self.message.text.len()
    }
}

/// An action about the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryAction {
    /// Show its state.
    Status,
    /// Fail unless it can be read. Answered at once.
    CheckOpen,
    /// Find the last messages with these words.
    Search(String),
    /// Find the last messages of a conversation, or of all.
    Show(Option<ConversationId>),
    /// Find older messages of a conversation.
    Older(Older),
    /// Open it with its passphrase, if one was given.
    Unlock(Option<Secret>),
    /// Protect it by this passphrase, which was repeated, or by none if it is empty.
    SetPassphrase(Option<(Secret, Secret)>),
    /// Delete the messages of a conversation, or all.
    Forget(Option<ConversationId>),
}

/// The older messages of a conversation that a front end wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Older {
    /// The conversation.
    pub with: ConversationId,
    /// The oldest message that it has, or `None` for the end of the conversation.
    pub before: Option<MessageId>,
    /// The message that ends it, as the oldest one.
    pub back_to: Option<MessageId>,
    /// The most messages.
    pub most: usize,
    /// The most bytes of their texts.
    pub most_bytes: usize,
}

/// The reason for which an action about the history failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryFailure {
    /// The user has not asked for a history.
    Off,
    /// It can't be read before its passphrase is given.
    Locked,
    /// It has no passphrase.
    NotLocked,
    /// No passphrase was given.
    NoPassphrase,
    /// The passphrase is another one.
    WrongPassphrase,
    /// The two passphrases differ.
    PassphrasesDiffer,
    /// The passphrase is too weak. The clause says why.
    PassphraseWeak(String),
    /// There is nothing to search for.
    NoWords,
    /// Too many searches are under way.
    Busy,
    /// A file of it can't be used. The clause says which and why.
    Unusable(String),
}

/// The state of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryStatus {
    /// The number of its messages.
    pub messages: u64,
    /// The day of the oldest one, as in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The number of days for which messages are kept, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// True if a passphrase protects it.
    pub passphrase: bool,
    /// True if the passphrase has not been given yet.
    pub locked: bool,
}

/// Words that all have to be in a text, in any order and in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Returns the words of a text, or `None` if there are none.
    pub fn of(text: &str) -> Option<Words> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        (!words.is_empty()).then_some(Words(words))
    }

    /// Returns true if all words are in the text.
    pub fn are_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.0.iter().all(|word| text.contains(word.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_are_found_in_any_order_and_case() {
        let words = Words::of("  Straße TEA ").unwrap();
        assert!(words.are_in("tea in the STRAßE"));
        assert!(words.are_in("Steam, Straßen"));
        assert!(!words.are_in("tea alone"));
        assert_eq!(Words::of(" \t"), None);
    }
}
