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
use letschat_core::event::{KeyState, RequestKind};
use letschat_core::view::View;
use letschat_protocol::printable::Printable;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};
use ratatui_core::style::{Modifier, Style};
use ratatui_core::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use super::bindings::{Action, Bindings};
use super::model::{Model, Overlay};
use super::palette::Palette;
use super::rows::{Rows, columns};
use crate::frontend::line::notify::Notify;
use crate::frontend::line::theme::Kind;
use crate::frontend::line::transfers;

/// The columns of the lists at the sides.
const SIDE_COLUMNS: u16 = 20;

/// The fewest columns of a window with the list of conversations, and with people.
const MIN_WITH_LIST: u16 = 60;
const MIN_WITH_PEOPLE: u16 = 90;

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

/// Returns the number of the row of the list of conversations that is at this place, if the list is there.
pub(super) fn row_of_list(width: u16, column: u16, row: u16) -> Option<usize> {
    (width >= MIN_WITH_LIST && column < SIDE_COLUMNS).then_some(row.into())
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
        if area.width >= MIN_WITH_LIST {
            let list = Rect { width: SIDE_COLUMNS, ..body };
            self.conversations(list, buffer);
            border(list.right(), body, buffer, self.palette);
            middle.x += SIDE_COLUMNS + 2;
            middle.width -= SIDE_COLUMNS + 2;
        }
        if area.width >= MIN_WITH_PEOPLE {
            middle.width -= SIDE_COLUMNS + 2;
            border(middle.right(), body, buffer, self.palette);
            let people = Rect { x: middle.right() + 2, width: SIDE_COLUMNS, ..body };
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

    fn conversations(&self, area: Rect, buffer: &mut Buffer) {
        let home = (None, "letschat".to_owned(), 0);
        let others = self.model.conversations(self.view).into_iter().map(|one| {
            let unread = self.model.unread(&one, self.view);
            (Some(one.clone()), one.to_string(), unread)
        });
        for (y, (id, name, unread)) in (area.y..area.bottom()).zip([home].into_iter().chain(others))
        {
            let mut style = if unread > 0 { self.palette.of(Kind::Message) } else { Style::new() };
            if id == self.model.shown {
                style = style.add_modifier(Modifier::REVERSED);
            }
            let number = if unread > 0 { format!(" {unread}") } else { String::new() };
            let room = usize::from(area.width).saturating_sub(number.len());
            buffer.set_style(Rect { y, height: 1, ..area }, style);
            buffer.set_stringn(area.x, y, &name, room, style);
            buffer.set_string(area.right() - number.len() as u16, y, &number, style);
        }
    }

    fn people(&self, area: Rect, buffer: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let count = self.view.people.len();
        let title = if count == 0 { String::new() } else { format!("{count} here") };
        buffer.set_stringn(area.x, area.y, title, area.width.into(), self.palette.of(Kind::Hint));
        for (y, who) in (area.y + 1..area.bottom()).zip(&self.view.people) {
            buffer.set_stringn(
                area.x,
                y,
                who.as_str(),
                area.width.into(),
                self.palette.person(who),
            );
        }
    }

    /// Draws the title and the messages, or what is over them.
    fn middle(&mut self, area: Rect, buffer: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let title =
            self.model.shown.as_ref().map_or_else(|| "letschat".into(), ToString::to_string);
        let title = match self.model.scroll {
            0 => title,
            rows => format!("{title}, {rows} rows above the end"),
        };
        buffer.set_stringn(area.x, area.y, title, area.width.into(), self.palette.of(Kind::Prompt));
        self.messages(lines(area, 1, area.height.saturating_sub(1)), buffer);
        self.overlay(area, buffer);
    }

    fn messages(&mut self, area: Rect, buffer: &mut Buffer) {
        let (height, width) = (usize::from(area.height), usize::from(area.width));
        let wanted = height + self.model.scroll;
        let rows = Rows::new(self.palette, self.notify, width).of(self.view, self.model, wanted);
        self.model.scroll = self.model.scroll.min(rows.len().saturating_sub(height));
        let rows = rows.iter().skip(self.model.scroll).take(height);
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
        let transfers = transfers::row(self.view);
        if !transfers.is_empty() {
            rows.push((Line::styled(transfers, hint), None));
        }
        rows
    }

    fn overlay(&self, area: Rect, buffer: &mut Buffer) {
        let choose = |rows: Vec<String>, chosen: usize| {
            let rows = rows.into_iter().enumerate();
            rows.map(|(number, row)| (row, number == chosen)).collect::<Vec<_>>()
        };
        let (title, rows) = match &self.model.overlay {
            Overlay::None => return,
            Overlay::Help => {
                let keys: Vec<String> = self.bindings.help().collect();
                (
                    "Keys; esc closes this. `/help` lists the commands.".to_owned(),
                    choose(keys, usize::MAX),
                )
            }
            Overlay::Jump(letters, chosen) => {
                let names = self.model.jumps(letters, self.view);
                let names = names.iter().map(ToString::to_string).collect();
                (format!("Go to: {}", Printable(letters)), choose(names, *chosen))
            }
            Overlay::Search(text, chosen) => {
                let hits = self.model.hits(text, self.view).into_iter();
                let hits = hits.map(|hit| {
                    format!("{}  {}", hit.conversation, Printable(&hit.line.replace('\n', " ")))
                });
                (format!("Search: {}", Printable(text)), choose(hits.collect(), *chosen))
            }
        };
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

/// Breaks the typed line into rows. Returns them with the column and row of the cursor in them.
fn typed(input: &Input, width: u16, palette: Palette) -> (Vec<Line<'static>>, (usize, usize)) {
    let mut rows = vec![Line::styled(input.prompt.clone(), palette.of(Kind::Prompt))];
    let mut x = columns(&input.prompt);
    let (mut cursor, width) = (None, usize::from(width));
    for (at, grapheme) in input.text.grapheme_indices(true) {
        let shown = if grapheme == "\n" { String::new() } else { Printable(grapheme).to_string() };
        if x + columns(&shown).max(1) > width {
            rows.push(Line::default());
            x = 0;
        }
        if at >= input.cursor && cursor.is_none() {
            cursor = Some((x, rows.len() - 1));
        }
        x += columns(&shown);
        if let Some(last) = rows.last_mut() {
            last.push_span(Span::raw(shown));
        }
        if grapheme == "\n" {
            rows.push(Line::default());
            x = 0;
        }
    }
    if cursor.is_none() && x >= width {
        rows.push(Line::default());
        x = 0;
    }
    let (column, row) = cursor.unwrap_or((x, rows.len() - 1));
    if let Some(last) = rows.last_mut() {
        last.push_span(Span::styled(input.hint.clone(), palette.of(Kind::Hint)));
    }
    (rows, (column, row))
}

#[cfg(test)]
mod tests;
