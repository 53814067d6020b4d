//! An overlay over the messages: the keys, the conversations to go to, or the search hits.

use letschat_core::conversation::ConversationId;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::printable::Printable;

use super::bindings::Bindings;
use crate::line_editor::Key;

/// The most letters of a paste that are taken.
const MAX_PASTED: usize = 200;

/// Something over the messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Overlay {
    #[default]
    None,
    /// The keys, from this row on.
    Help(usize),
    /// Conversations whose names have the typed letters.
    Jump(Choices<ConversationId>),
    /// Messages with the typed words.
    Search(Choices<Found>),
}

/// Things with the letters that were typed, of which one is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choices<T> {
    pub(super) letters: String,
    pub(super) found: Vec<T>,
    chosen: usize,
}

/// A choice of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Message(Hit),
    /// The history on the disk.
    History,
}

/// A message that was searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) conversation: ConversationId,
    pub(super) id: MessageId,
    pub(super) line: String,
    pub(super) time_ms: u64,
}

/// The effect of a key on choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    /// The chosen one is taken.
    Taken,
    /// Nothing is.
    Closed,
    /// Other letters are typed, so that others are to be found.
    Typed,
    /// Another one is chosen, or nothing has changed.
    Moved,
}

impl<T> Choices<T> {
    /// Returns choices without letters.
    pub(super) fn of(found: Vec<T>) -> Choices<T> {
        Choices { letters: String::new(), found, chosen: 0 }
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: &Key) -> Pressed {
        match key {
            Key::Enter => return Pressed::Taken,
            Key::Esc | Key::Ctrl('c' | 'g') => return Pressed::Closed,
            Key::Up => self.chosen = self.chosen.saturating_sub(1),
            Key::Down => self.chosen = (self.chosen + 1).min(self.found.len().saturating_sub(1)),
            Key::Backspace => {
                self.letters.pop();
                return Pressed::Typed;
            }
            Key::Ctrl('u') => {
                self.letters.clear();
                return Pressed::Typed;
            }
            Key::Char(letter) => {
                self.letters.push(*letter);
                return Pressed::Typed;
            }
            Key::Paste(text) => {
                let line = text.lines().next().unwrap_or_default();
                self.letters.extend(line.chars().take(MAX_PASTED));
                return Pressed::Typed;
            }
            _ => {}
        }
        Pressed::Moved
    }

    /// Replaces the found ones after other letters were typed.
    pub(super) fn find(&mut self, found: Vec<T>) {
        (self.found, self.chosen) = (found, 0);
    }

    /// Returns the chosen one.
    pub(super) fn take(mut self) -> Option<T> {
        (self.chosen < self.found.len()).then(|| self.found.swap_remove(self.chosen))
    }

    fn rows(&self, row: impl Fn(&T) -> String) -> Vec<(String, bool)> {
        let found = self.found.iter().enumerate();
        found.map(|(number, one)| (row(one), number == self.chosen)).collect()
    }
}

impl Overlay {
    /// Returns the title and the rows, of which one is chosen; `None` if nothing is over the messages.
    pub(super) fn rows(&self, bindings: &Bindings) -> Option<(String, Vec<(String, bool)>)> {
        Some(match self {
            Overlay::None => return None,
            Overlay::Help(first) => {
                let title =
                    "Keys; up and down scroll, esc closes. `/help` lists the commands.".to_owned();
                let people =
                    "Beside a name: \u{2713} verified key, ! changed key, ? new key".to_owned();
                let rows = bindings.help().chain([people]);
                (title, rows.skip(*first).map(|key| (key, false)).collect())
            }
            Overlay::Jump(choices) => {
                let title = format!("Go to: {}", Printable(&choices.letters));
                (title, choices.rows(ToString::to_string))
            }
            Overlay::Search(choices) => {
                let title = format!("Search: {}", Printable(&choices.letters));
                (title, choices.rows(Found::row))
            }
        })
    }
}

impl Found {
    fn row(&self) -> String {
        match self {
            Found::Message(hit) => {
                format!("{}  {}", hit.conversation, Printable(&hit.line.replace('\n', " ")))
            }
            Found::History => "search the history on this machine".into(),
        }
    }
}
