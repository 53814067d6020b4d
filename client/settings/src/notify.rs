//! The events that notify the user, whatever way the front end has.

use clap::ValueEnum;
use letschat_core::conversation::ConversationId;
use letschat_core::event::Event;
use letschat_protocol::username::Username;

/// The messages that notify, beside requests. Each choice includes those before it, except the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum NotifyOf {
    /// Requests alone.
    Requests,
    /// Messages with one's name, or a word of --highlight.
    Mentions,
    /// Messages to oneself alone.
    Direct,
    /// Every message.
    All,
    /// Nothing.
    Never,
}

/// The flags about notifications.
#[derive(Debug, Clone, clap::Args)]
pub struct NotifyFlags {
    /// Events that notify, beside requests; each includes those before it
    /// [default: direct with lists of conversations on the screen, else requests]
    #[arg(long, env = "LETSCHAT_NOTIFY", value_name = "WHAT", value_enum)]
    notify: Option<NotifyOf>,

    /// Show in notifications what was said
    #[arg(long, env = "LETSCHAT_NOTIFY_TEXT")]
    notify_text: bool,

    /// Words that count as mentions, beside your name, divided by commas
    #[arg(long, env = "LETSCHAT_HIGHLIGHT", value_name = "WORDS")]
    highlight: Option<String>,
}

impl NotifyFlags {
    /// Returns the user's wishes. `usual` is what notifies if the user has not said.
    pub fn notify(&self, usual: NotifyOf) -> Notify {
        let words = self.highlight.iter().flat_map(|words| words.split(','));
        let words = words.map(|word| word.trim().to_owned()).filter(|word| !word.is_empty());
        Notify {
            of: self.notify.unwrap_or(usual),
            shows_text: self.notify_text,
            words: words.collect(),
        }
    }
}

/// The user's wishes about notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The messages that notify.
    pub of: NotifyOf,
    /// True if what was said is shown.
    pub shows_text: bool,
    /// Words that count as mentions.
    pub words: Vec<String>,
}

/// A notification, as the user wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The author.
    pub from: Username,
    /// The text of the message, if it is to be shown.
    pub text: Option<String>,
}

impl Notify {
    /// Returns the notification of an event, or nothing if it does not notify. `me` is the user.
    pub fn notification(&self, event: &Event, me: Option<&Username>) -> Option<Notification> {
        let (needed, from, text) = match event {
            Event::Request { from, .. } => (NotifyOf::Requests, from, ""),
            Event::Message { own: false, from, text, conversation, .. }
            | Event::Broadcast { own: false, from, text, conversation, .. } => {
                let needed = match conversation {
                    _ if self.is_mention(text, me) => NotifyOf::Mentions,
                    ConversationId::Person(_) => NotifyOf::Direct,
                    ConversationId::Group(_) | ConversationId::Everyone => NotifyOf::All,
                };
                (needed, from, text.as_str())
            }
            Event::FileOffered { file, .. } if !file.own => {
                (NotifyOf::Direct, &file.from, file.name.as_str())
            }
            _ => return None,
        };
        let is_wanted = self.of != NotifyOf::Never && needed <= self.of;
        let text = self.shows_text.then(|| text.to_owned());
        is_wanted.then(|| Notification { from: from.clone(), text })
    }

    /// Returns true for a text with the user's name, or a word that the user has chosen.
    pub fn is_mention(&self, text: &str, me: Option<&Username>) -> bool {
        let text = text.to_lowercase();
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
        let has = |word: &str| {
            let word = word.to_lowercase();
            let mut found = text.match_indices(&word);
            !word.is_empty()
                && found.any(|(at, _)| {
                    let (before, after) = (&text[..at], &text[at + word.len()..]);
                    !before.ends_with(is_part) && !after.starts_with(is_part)
                })
        };
        me.is_some_and(|me| has(me.as_str())) || self.words.iter().any(|word| has(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_core::conversation::Via;
    use letschat_protocol::message_id::MessageId;

    fn message(conversation: &str, own: bool, text: &str) -> Event {
        Event::Message {
            from: "bob".parse().unwrap(),
            number: None,
            text: text.into(),
            time_ms: 1,
            sent_ms: 1,
            conversation: conversation.parse().unwrap(),
            id: MessageId::of_broadcast(1, 1),
            own,
            device: None,
            via: Via::Server,
        }
    }

    fn notified(of: NotifyOf, shows_text: bool, event: &Event) -> Option<Notification> {
        let alice = "alice".parse().unwrap();
        let notify = Notify { of, shows_text, words: vec!["tea".into()] };
        notify.notification(event, Some(&alice))
    }

    #[test]
    fn each_kind_of_message_notifies_as_wanted() {
        let wanted = [NotifyOf::Requests, NotifyOf::Mentions, NotifyOf::Direct, NotifyOf::All];
        for (event, first) in [
            (message("#team", false, "Alice, look"), 1),
            (message("#team", false, "is there TEA?"), 1),
            (message("bob", false, "look"), 2),
            (message("#team", false, "malice and steam"), 3),
        ] {
            for (number, of) in wanted.iter().enumerate() {
                let is_notified = notified(*of, false, &event).is_some();
                assert_eq!(is_notified, number >= first, "{event:?} {of:?}");
            }
            assert_eq!(notified(NotifyOf::Never, false, &event), None);
        }
        let own = message("bob", true, "alice");
        assert_eq!(notified(NotifyOf::All, false, &own), None, "one's own never does");
    }

    #[test]
    fn text_is_hidden_unless_wanted() {
        let event = message("bob", false, "look");
        let text = |shows_text| notified(NotifyOf::All, shows_text, &event).unwrap().text;
        assert_eq!((text(false), text(true)), (None, Some("look".into())));
    }
}
