//! The styles of the full screen: those of the theme, and a colour for each person.

use letschat_protocol::username::Username;
use ratatui_core::style::{Color, Modifier, Style};

use crate::frontend::line::theme::Theme;
use letschat_commands::appearance::{Kind, PERSON_COLOURS, person_colour};

/// The styles of the full screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette(Theme);

impl Palette {
    pub(super) fn new(theme: Theme) -> Palette {
        Palette(theme)
    }

    /// Returns the style of a kind of text.
    pub(super) fn of(self, kind: Kind) -> Style {
        let theirs = self.0.style(kind);
        let mut style = Style::new();
        if let Some(color) = theirs.foreground {
            style = style.fg(color_of(color));
        }
        for (is_set, modifier) in [
            (theirs.is_bold, Modifier::BOLD),
            (theirs.is_dimmed, Modifier::DIM),
            (theirs.is_italic, Modifier::ITALIC),
        ] {
            if is_set {
                style = style.add_modifier(modifier);
            }
        }
        style
    }

    /// Returns the style of a person's name, which is the same in every run.
    pub(super) fn person(self, who: &Username) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.0.is_plain() {
            return style;
        }
        style.fg(Color::Indexed(PERSON_COLOURS[person_colour(who)]))
    }
}

fn color_of(color: nu_ansi_term::Color) -> Color {
    use nu_ansi_term::Color as Theirs;
    match color {
        Theirs::Blue => Color::Blue,
        Theirs::Red => Color::Red,
        Theirs::Purple => Color::Magenta,
        Theirs::DarkGray => Color::DarkGray,
        Theirs::LightBlue => Color::LightBlue,
        Theirs::LightRed => Color::LightRed,
        Theirs::LightCyan => Color::LightCyan,
        Theirs::LightPurple => Color::LightMagenta,
        Theirs::LightYellow => Color::LightYellow,
        Theirs::LightGreen => Color::LightGreen,
        _ => Color::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::line::theme::{ColorChoice, ThemeName};

    #[test]
    fn person_keeps_a_colour_and_has_none_without_colours() {
        let palette = |name| Palette::new(Theme::new(name, ColorChoice::Always, false));
        let who: Username = "bob".parse().unwrap();
        assert_eq!(palette(ThemeName::Both).person(&who), palette(ThemeName::Dark).person(&who));
        assert!(palette(ThemeName::Both).person(&who).fg.is_some());
        assert_eq!(palette(ThemeName::Plain).person(&who).fg, None);
    }
}
