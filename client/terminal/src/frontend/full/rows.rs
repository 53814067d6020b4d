//! Messages and notes as rows of a width, from the last one up.

use letschat_commands::render;
use letschat_commands::text::{self, files};
use letschat_core::conversation::ConversationId;
use letschat_core::view::{RecentMessage, View};
use letschat_protocol::printable::Printable;
use letschat_protocol::rows::wrap_by;
use ratatui_core::buffer::CellWidth as _;
use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};

use super::model::{EntryId, Model, Note};
use super::palette::Palette;
use letschat_commands::appearance::Kind;
use letschat_settings::notify::Notify;

/// The fewest columns of a text beside its author.
const MIN_TEXT_COLUMNS: usize = 16;

/// Rows, from the last one up.
pub(super) struct Rows<'a> {
    palette: Palette,
    notify: &'a Notify,
    width: usize,
    /// The rows so far, the last one first.
    rows: Vec<Line<'static>>,
    /// The date of the entry above which a row was added last.
    date: Option<String>,
}

/// The last rows of what is shown.
pub(super) struct LastRows {
    /// The last one first.
    pub(super) rows: Vec<Line<'static>>,
    /// The last entry.
    pub(super) last: Option<EntryId>,
    /// The rows below the entry that was sought, if it is there.
    pub(super) below_sought: Option<usize>,
}

/// A message or a note.
enum Entry<'a> {
    /// With true if it went another way than the one before.
    Message(&'a RecentMessage, bool),
    Note(&'a Note),
}

impl Entry<'_> {
    fn time_ms(&self) -> u64 {
        match self {
            Entry::Message(message, _) => message.time_ms,
            Entry::Note(note) => note.time_ms,
        }
    }
}

impl<'a> Rows<'a> {
    pub(super) fn new(palette: Palette, notify: &'a Notify, width: usize) -> Rows<'a> {
        Rows { palette, notify, width, rows: Vec::new(), date: None }
    }

    /// Returns the last rows of what is shown, at least this many if there are, and all below the end of an entry that is
    /// sought.
    pub(super) fn of(
        mut self,
        view: &View,
        model: &Model,
        wanted: usize,
        mut sought: Option<EntryId>,
    ) -> LastRows {
        let heard = model.shown.as_ref().and_then(|shown| view.conversations.get(shown));
        let is_here =
            |(_, note): &&(u64, Note)| model.shown.is_none() || note.conversation == model.shown;
        let mut notes = model.notes.iter().rev().filter(is_here).peekable();
        let mut messages = heard.into_iter().flat_map(|heard| heard.recent.iter().rev()).peekable();
        let read_to = model.read_to.as_ref();
        let is_with_person = matches!(model.shown, Some(ConversationId::Person(_)));
        let (mut last, mut below_sought) = (None, None);
        while self.rows.len() < wanted || sought.is_some() {
            let is_note = match (notes.peek(), messages.peek()) {
                (None, None) => break,
                (Some((_, note)), Some(message)) => note.time_ms >= message.time_ms,
                (note, None) => note.is_some(),
                (None, Some(_)) => false,
            };
            let entry = match is_note {
                true => {
                    notes.next().map(|(number, note)| (EntryId::Note(*number), Entry::Note(note)))
                }
                false => messages.next().map(|message| {
                    let earlier = messages.peek().filter(|_| is_with_person);
                    let is_other_way =
                        is_with_person && earlier.is_none_or(|one| one.via != message.via);
                    (EntryId::Message(message.id), Entry::Message(message, is_other_way))
                }),
            };
            let Some((id, entry)) = entry else { break };
            last = last.or(Some(id));
            if sought == Some(id) {
                (sought, below_sought) = (None, Some(self.rows.len()));
            }
            if let Entry::Message(message, _) = &entry
                && Some(&message.id) == read_to
            {
                self.separate("new", Kind::Request);
            }
            self.add(&entry, view, model);
        }
        if let Some(date) = self.date.take() {
            self.separate(&date, Kind::Hint);
        }
        LastRows { rows: self.rows, last, below_sought }
    }

    /// Adds the rows of an entry, unless a plugin hides it, and the date of the entry below if that is another one.
    fn add(&mut self, entry: &Entry<'_>, view: &View, model: &Model) {
        let said = match entry {
            Entry::Message(message, _) => model.text(message),
            Entry::Note(note) => Some(note.text.as_str()),
        };
        let Some(said) = said else { return };
        let date = render::date(entry.time_ms());
        if let Some(later) = self.date.replace(date.clone()).filter(|later| *later != date) {
            self.separate(&later, Kind::Hint);
        }
        let (head, text, style) = self.parts(entry, said, view, model);
        let used: usize = head.iter().map(Span::width).sum();
        let is_narrow = self.width < used + MIN_TEXT_COLUMNS;
        let indent = if is_narrow { 2.min(self.width / 4) } else { used };
        let is_message = matches!(entry, Entry::Message(..));
        let mut texts = wrapped(&text, self.width.saturating_sub(indent).max(1), is_message);
        let mut rows = Vec::new();
        if !is_narrow && !texts.is_empty() {
            let first = Span::styled(texts.remove(0), style);
            rows.push(Line::from_iter(head.into_iter().chain([first])));
        } else {
            rows.push(Line::from(head));
        }
        let indented = |span| Line::from(vec![Span::raw(" ".repeat(indent)), span]);
        rows.extend(texts.into_iter().map(|text| indented(Span::styled(text, style))));
        if let Entry::Message(message, is_other_way) = entry {
            let mark = text::mark(message, *is_other_way);
            let style = self.palette.of(Kind::Hint);
            match rows.last_mut() {
                _ if mark.is_empty() => {}
                Some(last) if last.width() + columns(&mark) < self.width => {
                    last.push_span(Span::styled(format!(" {mark}"), style));
                }
                _ => rows.push(indented(Span::styled(mark, style))),
            }
        }
        self.rows.extend(rows.into_iter().rev());
    }

    /// Returns the spans before the text of an entry, the text, and its style.
    fn parts(
        &self,
        entry: &Entry<'_>,
        said: &str,
        view: &View,
        model: &Model,
    ) -> (Vec<Span<'static>>, String, Style) {
        let time: String = render::time_of_day(entry.time_ms()).chars().take(5).collect();
        let time = Span::styled(format!("{time} "), self.palette.of(Kind::Time));
        let message = match entry {
            Entry::Message(message, _) => message,
            Entry::Note(note) => return (vec![time], said.to_owned(), self.palette.of(note.kind)),
        };
        let of_author = match message.own {
            true => self.palette.of(Kind::OwnMessage),
            false => self.palette.person(&message.from),
        };
        let text = match view.files.get(&message.id) {
            Some(file) => files::offer(&file.file),
            // The history has its name alone.
            None if message.is_file => format!("the file {said}"),
            None => said.to_owned(),
        };
        let me = view.session.username.as_ref();
        let is_mention = !message.own && self.notify.is_mention(&text, me);
        let is_marked = model.found == Some(message.id) || is_mention;
        let style = if is_marked { self.palette.of(Kind::Request) } else { Style::new() };
        let name = Span::styled(format!("{}: ", message.from), of_author);
        (vec![time, name], text, style)
    }

    /// Adds a line with a word in it.
    fn separate(&mut self, word: &str, kind: Kind) {
        let sides = self.width.saturating_sub(columns(word) + 2);
        let (left, right) = ("-".repeat(sides / 2), "-".repeat(sides - sides / 2));
        let row = Line::styled(format!("{left} {word} {right}"), self.palette.of(kind));
        self.rows.push(row);
    }
}

/// Breaks a text into rows. The indentation below an author is enough for the further ones of a message.
fn wrapped(text: &str, room: usize, is_message: bool) -> Vec<String> {
    let rows = text.split('\n').flat_map(|line| {
        let wrapped = wrap_by(&Printable(line).to_string(), room, columns);
        let rows = wrapped.split('\n').enumerate().map(|(number, row)| {
            let is_inner = number > 0 && is_message;
            row.strip_prefix("  ").filter(|_| is_inner).unwrap_or(row).to_owned()
        });
        rows.collect::<Vec<_>>()
    });
    rows.collect()
}

/// Returns the columns of a text on the screen.
pub(super) fn columns(text: &str) -> usize {
    match text {
        "" => 0,
        text => text.cell_width().into(),
    }
}
