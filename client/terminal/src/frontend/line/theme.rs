//! The colours and styles of lines.
//!
//! The themes use only the sixteen colours of the terminal's palette, so the user's choice of palette
//! applies. Tests measure the contrast in common palettes: at least 3:1, and 4.5:1 for a theme in xterm on
//! its own background. Times and hints may be a little fainter.

use clap::ValueEnum;
use letschat_commands::appearance::Kind;
use nu_ansi_term::{Color, Style};

use crate::line_editor::Look;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorChoice {
    /// At a terminal that has them, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ThemeName {
    /// Readable on light and on dark.
    #[default]
    Both,
    /// For a light background.
    Light,
    /// For a dark background.
    Dark,
    /// No colours.
    Plain,
}

/// The styles for [`ThemeName::Both`], [`ThemeName::Light`] and [`ThemeName::Dark`].
///
/// In common palettes light blue and light red are the most readable on both backgrounds. Purple falls to 2.4:1 on a
/// dark background; red and dark grey fall below 3:1, so secondary text is dimmed
/// instead.
fn styles(kind: Kind) -> [Style; 3] {
    let plain = Style::new();
    let on = |color: Color| color.normal();
    match kind {
        Kind::Time | Kind::Hint => [plain.dimmed(), on(Color::DarkGray), plain.dimmed()],
        Kind::Prompt => [on(Color::LightBlue), on(Color::Blue), on(Color::LightCyan)],
        Kind::OwnMessage => [plain.dimmed(), on(Color::DarkGray), plain.dimmed()],
        Kind::Message => [plain.bold(), Color::Blue.bold(), Color::LightCyan.bold()],
        Kind::Broadcast => [on(Color::LightBlue), on(Color::Purple), on(Color::LightPurple)],
        Kind::Request => [Color::LightBlue.bold(), Color::Purple.bold(), Color::LightYellow.bold()],
        Kind::Chat => [plain.italic(), on(Color::Blue), on(Color::LightGreen)],
        Kind::Server => [plain, plain, plain],
        Kind::Warning => [Color::LightRed.bold(), Color::Red.bold(), Color::LightRed.bold()],
        Kind::Command => [plain.bold(), plain.bold(), plain.bold()],
    }
}

/// The colours and styles of the line client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme(ThemeName);

impl Theme {
    /// Returns the user's theme. `plainly` is true if NO_COLOR is set (no-color.org) or the
    /// terminal has no colours.
    pub fn new(name: ThemeName, choice: ColorChoice, plainly: bool) -> Theme {
        match choice {
            ColorChoice::Never => Theme(ThemeName::Plain),
            ColorChoice::Auto if plainly => Theme(ThemeName::Plain),
            ColorChoice::Auto | ColorChoice::Always => Theme(name),
        }
    }

    /// Returns the styles of the line being typed.
    pub(crate) fn look(self) -> Look {
        Look {
            prompt: self.style(Kind::Prompt),
            hint: self.style(Kind::Hint),
            known: self.style(Kind::Command),
            has_hints: self.0 != ThemeName::Plain,
        }
    }

    /// Returns the theme without any style.
    pub(super) fn without_styles(self) -> Theme {
        Theme(ThemeName::Plain)
    }

    /// Returns true without colours.
    pub(in crate::frontend) fn is_plain(self) -> bool {
        self.0 == ThemeName::Plain
    }

    pub(in crate::frontend) fn style(self, kind: Kind) -> Style {
        let [both, light, dark] = styles(kind);
        match self.0 {
            ThemeName::Both => both,
            ThemeName::Light => light,
            ThemeName::Dark => dark,
            ThemeName::Plain => Style::new(),
        }
    }

    /// Styles a text line by line, so that no style continues over a line end.
    pub(in crate::frontend) fn paint(self, kind: Kind, text: &str) -> String {
        let style = self.style(kind);
        let lines: Vec<String> =
            text.split('\n').map(|line| style.paint(line).to_string()).collect();
        lines.join("\n")
    }

    /// Styles an event's text. In a message only the sender is styled.
    pub(in crate::frontend) fn paint_event(self, kind: Kind, text: &str) -> String {
        match (kind, text.split_once(": ")) {
            (Kind::Message | Kind::OwnMessage | Kind::Broadcast, Some((speaker, said))) => {
                format!("{} {said}", self.paint(kind, &format!("{speaker}:")))
            }
            _ => self.paint(kind, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(name: ThemeName, choice: ColorChoice, plainly: bool) -> String {
        Theme::new(name, choice, plainly).paint(Kind::Warning, "a\nb")
    }

    #[test]
    fn no_color_and_never_mean_no_escape_at_all() {
        use ColorChoice::{Always, Auto, Never};
        assert_eq!(painted(ThemeName::Dark, Auto, true), "a\nb");
        assert_eq!(painted(ThemeName::Dark, Never, false), "a\nb");
        assert_eq!(painted(ThemeName::Plain, Always, false), "a\nb");
        assert!(painted(ThemeName::Both, Auto, false).contains('\x1b'));
        assert!(painted(ThemeName::Both, Always, true).contains('\x1b'));
    }

    #[test]
    fn a_style_ends_with_its_line() {
        let text = painted(ThemeName::Both, ColorChoice::Always, false);
        assert!(text.lines().all(|line| line.ends_with("\x1b[0m")), "{text:?}");
    }

    #[test]
    fn what_somebody_says_is_not_styled() {
        let theme = Theme::new(ThemeName::Both, ColorChoice::Always, false);
        let text = theme.paint_event(Kind::Message, "bob: a: b");
        assert!(text.starts_with("\x1b[") && text.ends_with("\x1b[0m a: b"), "{text:?}");
    }
}
