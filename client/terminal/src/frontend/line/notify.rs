//! Notifications: the bell, or a message to the terminal, which shows it on the desktop.

use clap::ValueEnum;
use letschat_core::conversation::ConversationId;
use letschat_core::event::Event;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;

/// The most characters of a notification.
const MAX_CHARACTERS: usize = 200;

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

/// The way to notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum NotifyBy {
    /// The terminal's bell.
    #[default]
    Bell,
    /// OSC 9, as in iTerm2, kitty and Windows Terminal.
    Osc9,
    /// OSC 777, as in urxvt, foot and Ghostty.
    Osc777,
}

/// The flags about notifications.
#[derive(Debug, Clone, clap::Args)]
pub struct NotifyFlags {
    /// Events that notify, beside requests; each includes those before it
    /// [default: direct with --full, else requests]
    #[arg(long, env = "LETSCHAT_NOTIFY", value_name = "WHAT", value_enum)]
    notify: Option<NotifyOf>,

    /// The way to notify: by the terminal's bell, or by the terminal on the desktop
    #[arg(long, env = "LETSCHAT_NOTIFY_BY", value_name = "HOW", value_enum, default_value_t)]
    notify_by: NotifyBy,

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
            by: self.notify_by,
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
    /// The way.
    pub by: NotifyBy,
    /// True if what was said is shown.
    pub shows_text: bool,
    /// Words that count as mentions.
    pub words: Vec<String>,
}

impl Notify {
    /// Returns the sequence that notifies of an event, or nothing if it does not. `me` is the user.
    pub(super) fn sequence(&self, event: &Event, me: Option<&Username>) -> Option<String> {
        let (title, text) = self.subject(event, me)?;
        let title = format!("Let's Chat: {title}");
        let text = if self.shows_text { format!(": {text}") } else { String::new() };
        let text = Printable(&format!("{title}{text}").replace('\n', " ")).to_string();
        let text: String = text.chars().take(MAX_CHARACTERS).collect();
        Some(match self.by {
            NotifyBy::Bell => super::BELL.to_string(),
            NotifyBy::Osc9 => format!("\x1b]9;{text}\x07"),
            NotifyBy::Osc777 => format!("\x1b]777;notify;{};\x07", text.replace(';', ",")),
        })
    }

    /// Returns who says what, if an event notifies.
    fn subject(&self, event: &Event, me: Option<&Username>) -> Option<(String, String)> {
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
        is_wanted.then(|| (from.to_string(), text.to_owned()))
    }

    /// Returns true for a text with the user's name, or a word that the user has chosen.
    pub(in crate::frontend) fn is_mention(&self, text: &str, me: Option<&Username>) -> bool {
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

    fn notify(of: NotifyOf, by: NotifyBy, shows_text: bool) -> Notify {
        Notify { of, by, shows_text, words: vec!["tea".into()] }
    }

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

    fn rings(of: NotifyOf, event: &Event) -> bool {
        let alice = "alice".parse().unwrap();
        notify(of, NotifyBy::Bell, false).sequence(event, Some(&alice)).is_some()
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
                assert_eq!(rings(*of, &event), number >= first, "{event:?} {of:?}");
            }
            assert!(!rings(NotifyOf::Never, &event));
        }
        assert!(!rings(NotifyOf::All, &message("bob", true, "alice")), "one's own never does");
    }

    #[test]
    fn text_is_hidden_unless_wanted_and_steers_nothing() {
        let event = message("bob", false, "a\u{7}b\x1b]52;c;x\x07\ntwo");
        let shown =
            |by, shows_text| notify(NotifyOf::All, by, shows_text).sequence(&event, None).unwrap();
        assert_eq!(shown(NotifyBy::Bell, true), "\u{7}");
        assert_eq!(shown(NotifyBy::Osc9, false), "\x1b]9;Let's Chat: bob\x07");
        for by in [NotifyBy::Osc9, NotifyBy::Osc777] {
            let sequence = shown(by, true);
            let inner = sequence.strip_prefix("\x1b]").and_then(|rest| rest.strip_suffix('\x07'));
            assert!(!inner.unwrap().contains(char::is_control), "{sequence:?}");
        }
    }
}
