//! A terminal as a surface for ratatui: cells in, escape sequences out.
//!
//! Terminals disagree about the widths of characters outside of ASCII. So the cursor is placed again after each of them:
//! at worst a character covers its neighbour, and no row moves.

use std::convert::Infallible;
use std::fmt::Write as _;

use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::{Cell, CellWidth as _};
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};

/// Switches to the other screen, without wrapping at its edge, with bracketed paste, the mouse and news of the focus.
pub(in crate::frontend) const ENTER: &str =
    "\x1b[?1049h\x1b[?7l\x1b[?2004h\x1b[?1004h\x1b[?1000h\x1b[?1006h\x1b[2J";

/// Takes back what [`ENTER`] does, and the style. A terminal with one screen alone, as the Linux console, is cleared.
pub(in crate::frontend) const LEAVE: &str =
    "\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[2J\x1b[H\x1b[?1049l";

/// Leaves the mouse to the terminal, so that it can select text.
pub(super) const MOUSE_OFF: &str = "\x1b[?1000l";
pub(super) const MOUSE_ON: &str = "\x1b[?1000h";

/// The sequences of the cells that were drawn, until they are taken.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    size: Size,
    output: String,
    /// The place of the terminal's cursor, where it is known.
    cursor: Option<Position>,
    style: Option<(Color, Color, Modifier)>,
}

impl Canvas {
    /// Sets the size of the window.
    pub(super) fn resize(&mut self, size: Size) {
        self.size = size;
    }

    /// Takes the sequences.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.output)
    }

    fn go_to(&mut self, position: Position) {
        if self.cursor != Some(position) {
            self.write(format_args!("\x1b[{};{}H", position.y + 1, position.x + 1));
        }
        self.cursor = Some(position);
    }

    fn wear(&mut self, cell: &Cell) {
        let style = (cell.fg, cell.bg, cell.modifier);
        if self.style == Some(style) {
            return;
        }
        self.style = Some(style);
        self.output.push_str("\x1b[0");
        let attributes = [
            (Modifier::BOLD, ";1"),
            (Modifier::DIM, ";2"),
            (Modifier::ITALIC, ";3"),
            (Modifier::UNDERLINED, ";4"),
            (Modifier::REVERSED, ";7"),
        ];
        for (modifier, code) in attributes {
            if cell.modifier.contains(modifier) {
                self.output.push_str(code);
            }
        }
        self.color(cell.fg, 30);
        self.color(cell.bg, 40);
        self.output.push('m');
    }

    /// Writes the code of a colour. `first` is the code of black.
    fn color(&mut self, color: Color, first: u8) {
        let sixteen = [
            Color::Black,
            Color::Red,
            Color::Green,
            Color::Yellow,
            Color::Blue,
            Color::Magenta,
            Color::Cyan,
            Color::Gray,
            Color::DarkGray,
            Color::LightRed,
            Color::LightGreen,
            Color::LightYellow,
            Color::LightBlue,
            Color::LightMagenta,
            Color::LightCyan,
            Color::White,
        ];
        match (color, sixteen.iter().position(|one| *one == color)) {
            (_, Some(number @ 0..=7)) => self.write(format_args!(";{}", first + number as u8)),
            (_, Some(number)) => self.write(format_args!(";{}", first + 52 + number as u8)),
            (Color::Indexed(number), None) => self.write(format_args!(";{};5;{number}", first + 8)),
            // The terminal's own.
            _ => {}
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = self.output.write_fmt(text);
    }
}

impl Backend for Canvas {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        for (x, y, cell) in content {
            let position = Position { x, y };
            self.wear(cell);
            let symbol = cell.symbol();
            if symbol.is_ascii() {
                self.go_to(position);
                self.output.push_str(symbol);
                self.cursor = (x + 1 < self.size.width).then_some(Position { x: x + 1, y });
                continue;
            }
            if symbol.cell_width() > 1 {
                // A terminal that shows it narrower leaves nothing else there.
                self.go_to(position);
                self.output.push_str("  ");
                self.cursor = None;
            }
            self.go_to(position);
            self.output.push_str(symbol);
            self.cursor = None;
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        self.output.push_str("\x1b[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        self.output.push_str("\x1b[?25h");
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(self.cursor.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        self.go_to(position.into());
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.clear_region(ClearType::All)
    }

    /// Clears the whole screen, whatever the region: ratatui then draws all of it again.
    fn clear_region(&mut self, _: ClearType) -> Result<(), Infallible> {
        self.output.push_str("\x1b[0m\x1b[2J");
        (self.cursor, self.style) = (None, None);
        Ok(())
    }

    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::default() })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui_core::style::Style;
    use ratatui_core::terminal::Terminal;
    use std::num::NonZeroU16;

    /// The rows and columns of the screen.
    const SIZE: (NonZeroU16, NonZeroU16) =
        (NonZeroU16::new(2).unwrap(), NonZeroU16::new(12).unwrap());

    /// Draws texts one after the other, each in the first row. Returns what a terminal then shows.
    fn shown(texts: &[&str]) -> vt100::Parser {
        let mut canvas = Canvas::default();
        canvas.resize(Size { width: 12, height: 2 });
        let mut terminal = Terminal::new(canvas).unwrap();
        let mut screen = vt100::Parser::new(SIZE.0, SIZE.1, 0);
        for text in texts {
            let draw = |frame: &mut ratatui_core::terminal::Frame<'_>| {
                let style = Style::new().fg(Color::Indexed(33)).add_modifier(Modifier::BOLD);
                frame.buffer_mut().set_string(0, 0, text, style);
                frame.set_cursor_position((3, 1));
            };
            terminal.draw(draw).unwrap();
            screen.process(terminal.backend_mut().take().as_bytes());
        }
        screen
    }

    #[test]
    fn screen_shows_what_was_drawn_last() {
        let texts = ["hello, world", "日本 and é", "👋 ok", "מה שלום", "short"];
        for end in 1..=texts.len() {
            let screen = shown(&texts[..end]);
            let first = screen.screen().contents_between(0, 0, 0, 12);
            assert_eq!(first.trim_end(), texts[end - 1]);
            assert_eq!(screen.screen().cursor_position(), (1, 3));
        }
    }

    #[test]
    fn character_of_another_width_moves_nothing() {
        // This terminal gives the first one four columns.
        let screen = shown(&["👩\u{200d}💻 ok"]);
        assert_eq!(screen.screen().contents_between(0, 3, 0, 12).trim_end(), "ok");
    }

    #[test]
    fn styles_are_those_of_the_cells() {
        let screen = shown(&["ab"]);
        let cell = |column| screen.screen().cell(0, column).unwrap();
        assert_eq!(cell(0).fgcolor(), vt100::Color::Idx(33));
        assert!(cell(1).bold() && !cell(2).bold());
    }
}
