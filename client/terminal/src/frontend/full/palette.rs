//! The styles of the full screen: those of the theme, and a colour for each person.

use letschat_protocol::username::Username;
use ratatui_core::style::{Color, Modifier, Style};

use crate::frontend::line::theme::{Kind, Theme};

/// Colours for people, from the part of xterm's palette that no setting of the terminal changes. Tests measure their
/// contrast on black and on white.
const PEOPLE: [u8; 12] = [27, 28, 31, 63, 65, 97, 99, 130, 131, 133, 161, 164];

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
        // FNV-1a, whose values never change.
        let hash = who
            .as_str()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        style.fg(Color::Indexed(PEOPLE[hash as usize % PEOPLE.len()]))
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

    /// Returns the relative luminance of a colour of the 6×6×6 cube (WCAG 2.2).
    fn luminance(number: u8) -> f64 {
        let number = number - 16;
        let levels = [0.0_f64, 95.0, 135.0, 175.0, 215.0, 255.0];
        let linear = |level: u8| {
            let value = levels[usize::from(level)] / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(number / 36) + 0.7152 * linear(number / 6 % 6) + 0.0722 * linear(number % 6)
    }

    #[test]
    fn people_have_contrast_on_light_and_on_dark() {
        for number in PEOPLE {
            let luminance = luminance(number);
            let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
            assert!(on_white >= 4.0 && on_black >= 4.0, "{number}: {on_white:.1}, {on_black:.1}");
        }
    }

    #[test]
    fn person_keeps_a_colour_and_has_none_without_colours() {
        let palette = |name| Palette::new(Theme::new(name, ColorChoice::Always, false));
        let who: Username = "bob".parse().unwrap();
        assert_eq!(palette(ThemeName::Both).person(&who), palette(ThemeName::Dark).person(&who));
        assert!(palette(ThemeName::Both).person(&who).fg.is_some());
        assert_eq!(palette(ThemeName::Plain).person(&who).fg, None);
    }
}
