//! The style of the window, with the colours of people.

use letschat_commands::appearance::{PERSON_COLOURS, xterm_rgb};

const STYLE: &str = include_str!("ui/style.css");

/// Returns the style, with the colours of people for a light or a dark background.
pub(crate) fn style_of(is_dark: bool) -> String {
    let colours = PERSON_COLOURS.iter().enumerate().map(|(place, number)| {
        let [red, green, blue] = person_rgb(*number, is_dark);
        format!(".person-{place} {{ color: #{red:02x}{green:02x}{blue:02x}; }}\n")
    });
    format!("{STYLE}{}", colours.collect::<String>())
}

/// Returns a person's colour for a light or a dark background. The colours for terminals are for both, and too faint on the
/// backgrounds of libadwaita, which are not quite white or black.
fn person_rgb(number: u8, is_dark: bool) -> [u8; 3] {
    let (share, towards) = if is_dark { (0.35, 255.0) } else { (0.15, 0.0) };
    // The result is between two bytes.
    xterm_rgb(number).map(|level| {
        let level = f64::from(level);
        (level + (towards - level) * share) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the contrast of two colours (WCAG 2.2).
    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let luminance = |colour: [u8; 3]| {
            let [red, green, blue] = colour.map(|level| {
                let value = f64::from(level) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn names_of_people_have_contrast_in_light_and_in_dark() {
        for number in PERSON_COLOURS {
            for (is_dark, background) in [(false, [0xfa; 3]), (true, [0x24; 3])] {
                let contrast = contrast(person_rgb(number, is_dark), background);
                assert!(contrast >= 4.5, "{number} {is_dark}: {contrast:.1}");
            }
        }
    }
}
