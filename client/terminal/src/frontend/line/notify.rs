//! Notifications: the bell, or a message to the terminal, which shows it on the desktop.

use clap::ValueEnum;
use letschat_protocol::printable::Printable;
use letschat_settings::notify::Notification;

/// The most characters of a notification.
const MAX_CHARACTERS: usize = 200;

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

impl NotifyBy {
    /// Returns the sequence of a notification.
    pub(super) fn sequence(self, Notification { from, text }: &Notification) -> String {
        let text = text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        let text = format!("Let's Chat: {from}{text}").replace('\n', " ");
        let text: String = Printable(&text).to_string().chars().take(MAX_CHARACTERS).collect();
        match self {
            NotifyBy::Bell => super::BELL.to_string(),
            NotifyBy::Osc9 => format!("\x1b]9;{text}\x07"),
            NotifyBy::Osc777 => format!("\x1b]777;notify;{};\x07", text.replace(';', ",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_steers_nothing() {
        let sequence = |by: NotifyBy, text: Option<&str>| {
            let text = text.map(str::to_owned);
            by.sequence(&Notification { from: "bob".parse().unwrap(), text })
        };
        let hostile = Some("a\u{7}b\x1b]52;c;x\x07\ntwo");
        assert_eq!(sequence(NotifyBy::Bell, hostile), "\u{7}");
        assert_eq!(sequence(NotifyBy::Osc9, None), "\x1b]9;Let's Chat: bob\x07");
        for by in [NotifyBy::Osc9, NotifyBy::Osc777] {
            let sequence = sequence(by, hostile);
            let inner = sequence.strip_prefix("\x1b]").and_then(|rest| rest.strip_suffix('\x07'));
            assert!(!inner.unwrap().contains(char::is_control), "{sequence:?}");
        }
    }
}
