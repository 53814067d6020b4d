//! The full screen as cells: conversations, messages, people, and what is typed.
//!
//! ```text
//! letschat      | bob                               | 2 here
//! bob           | 12:03 bob: hello                  | bob
//! #team       2 | 12:04 alice: hi                   | carol
//! alt+y approves, alt+n denies: carol asks for a chat, key …
//! alice, at the server  f1 keys
//! → bob> hello again
//! ```
//!
//! Narrow windows have no people, narrower ones no list either.

use letschat_commands::render::key_state;
use letschat_commands::text::short_key;
use letschat_core::conversation::ConversationId;
use letschat_core::event::{KeyState, RequestKind};
use letschat_core::view::View;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};
use ratatui_core::style::{Modifier, Style};
use ratatui_core::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use super::bindings::{Action, Bindings};
use super::model::{EntryId, Model};
use super::palette::Palette;
use super::rows::{Rows, columns};
use crate::frontend::line::transfers;
use crate::line_editor::symbol;
use letschat_commands::appearance::Kind;
use letschat_settings::notify::Notify;

/// The columns of the lists at the sides.
const SIDE_COLUMNS: u16 = 20;

/// The fewest columns of a window with the list of conversations, and with people.
const MIN_WITH_LIST: u16 = 60;
const MIN_WITH_PEOPLE: u16 = 90;

/// The most transfers that have a row each.
const MAX_TRANSFERS: usize = 3;

/// The line that is typed, or the answer to a question.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) prompt: String,
    pub(super) text: String,
    /// An offset in the text.
    pub(super) cursor: usize,
    pub(super) hint: String,
    /// The candidates for the next word, with descriptions.
    pub(super) list: Vec<String>,
}

/// Everything that is drawn.
pub(super) struct Picture<'a> {
    pub(super) view: &'a View,
    pub(super) model: &'a mut Model,
    pub(super) input: &'a Input,
    pub(super) status: &'a str,
    pub(super) palette: Palette,
    pub(super) bindings: &'a Bindings,
    pub(super) notify: &'a Notify,
}

/// Returns the row of the list of conversations that is at this place, if the list is there.
pub(super) fn row_of_list(column: u16, row: u16) -> Option<usize> {
    (column < SIDE_COLUMNS).then_some(row.into())
}

/// The request that the user answers next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asker {
    /// The name to approve or deny.
    pub(super) name: String,
    /// True if the key is not the known one.
    pub(super) is_suspicious: bool,
    what: String,
}

/// Returns the request that the user answers next: the oldest.
pub(super) fn asker(view: &View) -> Option<Asker> {
    let requests = view.requests.iter().filter(|(_, one)| one.kind != RequestKind::Group);
    let Some((who, request)) = requests.min_by_key(|(_, one)| one.time_ms) else {
        let group = view.invitations.first()?;
        let what = format!("You are invited to {group}");
        return Some(Asker { name: group.to_string(), is_suspicious: false, what });
    };
    let does = match request.kind {
        RequestKind::Message => "has written to you",
        RequestKind::Chat | RequestKind::Group => "asks for a chat",
    };
    let (key, state) = (short_key(&request.fingerprint), key_state(request.key));
    let what = format!("{who} {does}, key {key}, {state}");
    Some(Asker { name: who.to_string(), is_suspicious: request.key == KeyState::Changed, what })
}

impl Picture<'_> {
    /// Draws all, and returns the place of the cursor.
    pub(super) fn draw(&mut self, buffer: &mut Buffer) -> Position {
        let area = *buffer.area();
        if self.model.is_bare {
            self.messages(area, buffer);
            return Position { x: 0, y: area.bottom().saturating_sub(1) };
        }
        let (line, cursor) = self.line(area, buffer);
        let mut body = Rect { height: area.height - line.height, ..area };
        let status = Line::styled(self.status.to_owned(), self.palette.of(Kind::Hint));
        self.model.asker = None;
        for (row, asker) in [(status, None)].into_iter().chain(self.above_line(body)) {
            if body.height > 2 {
                self.model.asker = asker.or(self.model.asker.take());
                body.height -= 1;
                buffer.set_line(body.x, body.bottom(), &row, body.width);
            }
        }
        let mut middle = body;
        self.model.list.clear();
        if area.width >= MIN_WITH_LIST {
            let list = Rect { width: SIDE_COLUMNS, ..body };
            self.conversations(list, buffer);
            border(list.right(), body, buffer, self.palette);
            middle.x += SIDE_COLUMNS + 2;
            middle.width -= SIDE_COLUMNS + 2;
        }
        if area.width >= MIN_WITH_PEOPLE {
            middle.width -= SIDE_COLUMNS + 3;
            border(middle.right() + 1, body, buffer, self.palette);
            let people = Rect { x: middle.right() + 3, width: SIDE_COLUMNS, ..body };
            self.people(people, buffer);
        }
        self.middle(middle, buffer);
        cursor
    }

    /// Draws the typed line at the bottom. Returns its area and the place of the cursor.
    fn line(&self, area: Rect, buffer: &mut Buffer) -> (Rect, Position) {
        let max_rows = (area.height / 3).max(1);
        let (rows, cursor) = typed(self.input, area.width.max(2), self.palette);
        let (column, row) = cursor;
        let first = (row + 1).saturating_sub(max_rows.into());
        // At most `max_rows`.
        let shown = (rows.len() - first).min(max_rows.into()) as u16;
        let line = lines(area, area.height.saturating_sub(shown), shown);
        for (y, row) in (line.y..line.bottom()).zip(&rows[first..]) {
            buffer.set_line(line.x, y, row, line.width);
        }
        let x = line.x + (column as u16).min(line.width.saturating_sub(1));
        (line, Position { x, y: line.y + (row - first) as u16 })
    }

    /// Draws the list of conversations, in which the shown one is always visible.
    fn conversations(&mut self, area: Rect, buffer: &mut Buffer) {
        let all = self.model.conversations(self.view).into_iter().map(Some);
        let mut all: Vec<Option<ConversationId>> = [None].into_iter().chain(all).collect();
        let shown = all.iter().position(|one| *one == self.model.shown).unwrap_or(0);
        let height = usize::from(area.height);
        all.drain(..(shown + 1).saturating_sub(height));
        all.truncate(height);
        for (y, id) in (area.y..area.bottom()).zip(&all) {
            let unread = id.as_ref().map_or(0, |one| self.model.unread(one, self.view));
            let is_warned = id.as_ref().is_some_and(|one| self.model.is_warned(one));
            let mark = match (unread, is_warned) {
                (0, false) => String::new(),
                (0, true) => " !".into(),
                (unread, true) => format!(" {unread}!"),
                (unread, false) => format!(" {unread}"),
            };
            let kind = if is_warned { Kind::Warning } else { Kind::Message };
            let mut style = if mark.is_empty() { Style::new() } else { self.palette.of(kind) };
            if *id == self.model.shown {
                style = style.add_modifier(Modifier::REVERSED);
            }
            let name = id.as_ref().map_or_else(|| "letschat".into(), ToString::to_string);
            let room = usize::from(area.width).saturating_sub(mark.len());
            buffer.set_style(Rect { y, height: 1, ..area }, style);
            buffer.set_stringn(area.x, y, &name, room, style);
            buffer.set_string(area.right() - mark.len() as u16, y, &mark, style);
        }
        self.model.list = all;
    }

    /// Draws the members of the shown group, or the people who are here, with the states of their keys.
    fn people(&self, area: Rect, buffer: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let members = match &self.model.shown {
            Some(ConversationId::Group(group)) => self.view.groups.get(group),
            _ => None,
        };
        let (people, title): (Vec<&Username>, String) = match members {
            Some(members) => (members.iter().collect(), format!("{} members", members.len())),
            None => {
                let count = self.view.people.len();
                let title = if count == 0 { String::new() } else { format!("{count} here") };
                (self.view.people.iter().collect(), title)
            }
        };
        let width = usize::from(area.width);
        buffer.set_stringn(area.x, area.y, title, width, self.palette.of(Kind::Hint));
        let own = self.view.session.username.as_ref();
        for (y, who) in (area.y + 1..area.bottom()).zip(people) {
            buffer.set_stringn(area.x, y, who.as_str(), width - 2, self.palette.person(who));
            let (mark, kind) = match self.view.keys.get(who) {
                _ if Some(who) == own => continue,
                Some(KeyState::Verified) => ("\u{2713}", Kind::Hint),
                Some(KeyState::Changed) => ("!", Kind::Warning),
                Some(KeyState::Known) => continue,
                Some(KeyState::New) | None => ("?", Kind::Hint),
            };
            buffer.set_string(area.right() - 1, y, mark, self.palette.of(kind));
        }
    }

    /// Draws the title and the messages, or what is over them.
    fn middle(&mut self, area: Rect, buffer: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        self.messages(lines(area, 1, area.height.saturating_sub(1)), buffer);
        let title =
            self.model.shown.as_ref().map_or_else(|| "letschat".into(), ToString::to_string);
        let new = self.model.shown.as_ref().map_or(0, |one| self.model.unread(one, self.view));
        let title = match (self.model.scroll, new) {
            (0, _) => title,
            (rows, 0) => format!("{title}, {rows} rows above the end"),
            (rows, new) => format!("{title}, {rows} rows above the end, {new} new"),
        };
        buffer.set_stringn(area.x, area.y, title, area.width.into(), self.palette.of(Kind::Prompt));
        self.overlay(area, buffer);
    }

    fn messages(&mut self, area: Rect, buffer: &mut Buffer) {
        let (height, width) = (usize::from(area.height), usize::from(area.width));
        let rows_with = |scroll: usize, model: &Model, sought| {
            Rows::new(self.palette, self.notify, width).of(
                self.view,
                model,
                height + scroll,
                sought,
            )
        };
        let revealed = self.model.reveal.take().map(EntryId::Message);
        let last = self.model.last.filter(|_| self.model.scroll > 0);
        let mut rows = rows_with(self.model.scroll, self.model, revealed.or(last));
        let scroll = match (revealed, rows.below_sought) {
            (Some(_), Some(below)) => below.saturating_sub(height / 2),
            // The messages that came since are below.
            (None, Some(below)) => self.model.scroll + below,
            (_, None) => self.model.scroll,
        };
        if scroll != self.model.scroll {
            rows = rows_with(scroll, self.model, None);
        }
        self.model.scroll = scroll.min(rows.rows.len().saturating_sub(height));
        self.model.last = rows.last;
        let rows = rows.rows.iter().skip(self.model.scroll).take(height);
        for (y, row) in (area.y..area.bottom()).rev().zip(rows) {
            buffer.set_line(area.x, y, row, area.width);
        }
    }

    /// Returns the rows above the status, from below: a request, the running transfers, and what may be typed next.
    fn above_line(&self, area: Rect) -> Vec<(Line<'static>, Option<Asker>)> {
        let mut rows = Vec::new();
        let hint = self.palette.of(Kind::Hint);
        let room = usize::from(area.height / 2);
        let list = self.input.list.iter().take(room).rev();
        rows.extend(list.map(|row| (Line::styled(Printable(row).to_string(), hint), None)));
        if let Some(asker) = asker(self.view) {
            let keys = [Action::Approve, Action::Deny].map(|action| self.bindings.key_of(action));
            let more = self.view.requests.len() + self.view.invitations.len() - 1;
            let more = if more > 0 { format!(" ({more} more)") } else { String::new() };
            let text = format!("{} approves, {} denies{more}: {}", keys[0], keys[1], asker.what);
            let kind = if asker.is_suspicious { Kind::Warning } else { Kind::Request };
            rows.push((Line::styled(text, self.palette.of(kind)), Some(asker)));
        }
        let transfers = transfers::rows(self.view, MAX_TRANSFERS).into_iter().rev();
        rows.extend(transfers.map(|row| (Line::styled(row, hint), None)));
        rows
    }

    fn overlay(&self, area: Rect, buffer: &mut Buffer) {
        let Some((title, rows)) = self.model.overlay.rows(self.bindings) else { return };
        for y in area.y..area.bottom() {
            buffer.set_stringn(
                area.x,
                y,
                " ".repeat(area.width.into()),
                area.width.into(),
                Style::reset(),
            );
        }
        buffer.set_stringn(
            area.x,
            area.y,
            title,
            area.width.into(),
            self.palette.of(Kind::Request),
        );
        let height = usize::from(area.height.saturating_sub(1));
        let chosen = rows.iter().position(|(_, is_chosen)| *is_chosen).unwrap_or(0);
        let first = (chosen + 1).saturating_sub(height).min(rows.len());
        for (y, (row, is_chosen)) in (area.y + 1..area.bottom()).zip(&rows[first..]) {
            let style = Style::new().add_modifier(if *is_chosen {
                Modifier::REVERSED
            } else {
                Modifier::empty()
            });
            buffer.set_stringn(area.x, y, row, area.width.into(), style);
        }
    }
}

/// Returns these lines of an area.
fn lines(area: Rect, first: u16, count: u16) -> Rect {
    let height = count.min(area.height.saturating_sub(first));
    Rect { y: area.y + first, height, ..area }
}

fn border(x: u16, area: Rect, buffer: &mut Buffer, palette: Palette) {
    for y in area.y..area.bottom() {
        buffer.set_string(x, y, "|", palette.of(Kind::Hint));
    }
}

/// The prompt and the typed line, broken into rows.
struct TypedRows {
    rows: Vec<Line<'static>>,
    width: usize,
    /// The columns of the last row.
    used: usize,
}

impl TypedRows {
    fn break_row(&mut self) {
        self.rows.push(Line::default());
        self.used = 0;
    }

    /// Adds a grapheme. Returns its column and row.
    fn push(&mut self, shown: String, style: Style) -> (usize, usize) {
        let columns = columns(&shown);
        if self.used + columns.max(1) > self.width {
            self.break_row();
        }
        let place = (self.used, self.rows.len() - 1);
        self.used += columns;
        if let Some(last) = self.rows.last_mut() {
            last.push_span(Span::styled(shown, style));
        }
        place
    }
}

/// Breaks the prompt and the typed line into rows. Returns them with the column and row of the cursor in them.
fn typed(input: &Input, width: u16, palette: Palette) -> (Vec<Line<'static>>, (usize, usize)) {
    let mut typed = TypedRows { rows: vec![Line::default()], width: width.into(), used: 0 };
    let prompt = Printable(&input.prompt).to_string();
    for grapheme in prompt.graphemes(true) {
        typed.push(grapheme.to_owned(), palette.of(Kind::Prompt));
    }
    let mut cursor = None;
    for (at, grapheme) in input.text.grapheme_indices(true) {
        let mut letters = grapheme.chars();
        let shown = match (letters.next(), letters.next()) {
            (Some('\n'), None) => String::new(),
            (Some(control), None) if control.is_control() => symbol(control),
            _ => Printable(grapheme).to_string(),
        };
        let place = typed.push(shown, Style::new());
        if at >= input.cursor && cursor.is_none() {
            cursor = Some(place);
        }
        if grapheme == "\n" {
            typed.break_row();
        }
    }
    if cursor.is_none() && typed.used >= typed.width {
        typed.break_row();
    }
    let cursor = cursor.unwrap_or((typed.used, typed.rows.len() - 1));
    if let Some(last) = typed.rows.last_mut() {
        let hint = Printable(&input.hint).to_string();
        last.push_span(Span::styled(hint, palette.of(Kind::Hint)));
    }
    (typed.rows, cursor)
}

#[cfg(test)]
mod tests;
