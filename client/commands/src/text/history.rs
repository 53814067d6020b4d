//! The sentences about the history.

use letschat_core::failure::Failure;
use letschat_core::history::{HistoryFailure, HistoryStatus, MAX_FOUND};
use letschat_core::notice::Notice;
use letschat_core::session::Reply;

/// Returns the sentence of a notice about the history, or `None` for another one.
pub(crate) fn noticed(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::HistoryLocked => {
            "Your history is locked; `/history unlock` asks for its passphrase. New messages are kept.".into()
        }
        Notice::HistorySetAside { name, why } => {
            format!("Your history can't be read: {why}. It is in {name} now, and a new one was begun.")
        }
        Notice::HistoryUnusable(why) => format!("No history is kept: {why}."),
        _ => return None,
    })
}

/// Returns the sentence of a failure about the history, or `None` for another one.
pub(crate) fn failed(failure: &Failure) -> Option<String> {
    let Failure::History(why) = failure else { return None };
    Some(match why {
        HistoryFailure::Off => {
            "No history is kept. `history = true` in the settings, or --history, begins one.".into()
        }
        HistoryFailure::Locked => {
            "The history is locked; `/history unlock` asks for its passphrase.".into()
        }
        HistoryFailure::NotLocked => {
            "The history has no passphrase; `/history passphrase` sets one.".into()
        }
        HistoryFailure::NoPassphrase => {
            "No passphrase was given. It is asked for at a terminal, or given as `password` in a JSON object.".into()
        }
        HistoryFailure::WrongPassphrase => {
            "That is not the passphrase of the history; `/history unlock` tries again.".into()
        }
        HistoryFailure::PassphrasesDiffer => {
            "The two passphrases differ; nothing was changed.".into()
        }
        HistoryFailure::PassphraseWeak(why) => {
            super::sentence(&why.replace("password", "passphrase"))
        }
        HistoryFailure::NoWords => "Search for which words?".into(),
        HistoryFailure::Busy => "The history is busy; try again in a moment.".into(),
        HistoryFailure::Unusable(why) => super::sentence(why),
    })
}

/// Returns the sentence of a reply about the history, or `None` for another one.
pub(crate) fn replied(reply: &Reply) -> Option<String> {
    Some(match reply {
        Reply::History(status) => state(status),
        Reply::Found { messages, unreadable } => {
            let found = match messages.len() {
                0 => "Nothing was found.".into(),
                MAX_FOUND => format!("These are the last {MAX_FOUND}."),
                _ => String::new(),
            };
            let lost = match unreadable {
                0 => String::new(),
                count => format!("{count} could not be read: they are damaged."),
            };
            let space = if found.is_empty() || lost.is_empty() { "" } else { " " };
            let both = format!("{found}{space}{lost}");
            return (!both.is_empty()).then_some(both);
        }
        Reply::Forgotten { with: None, messages } => {
            format!("The history is deleted: {}.", count(*messages))
        }
        Reply::Forgotten { with: Some(with), messages } => {
            format!("The history with {with} is deleted: {}.", count(*messages))
        }
        Reply::PassphraseSet { passphrase: true } => {
            "The history has a new passphrase. It is needed to read it, not to write it.".into()
        }
        Reply::PassphraseSet { passphrase: false } => "The history has no passphrase now.".into(),
        _ => return None,
    })
}

fn count(messages: u64) -> String {
    match messages {
        1 => "1 message".into(),
        _ => format!("{messages} messages"),
    }
}

fn state(status: &HistoryStatus) -> String {
    let HistoryStatus { messages, since, days, passphrase, locked } = status;
    let since = since.as_ref().map(|day| format!(" since {day}")).unwrap_or_default();
    let days = days.map(|days| format!(", kept for {days} days")).unwrap_or_default();
    let key = match (passphrase, locked) {
        (false, _) => "without a passphrase",
        (true, true) => "locked by a passphrase",
        (true, false) => "unlocked by its passphrase",
    };
    format!("The history has {}{since}{days}, {key}.", count(*messages))
}
