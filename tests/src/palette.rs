//! The sixteen named colours of terminals, and their contrast.

use vt100::{Cell, Color};

/// Red, green and blue, as in `0xrrggbb`.
pub type Rgb = u32;

/// The colours of one terminal.
#[derive(Debug)]
pub struct Palette {
    /// The name of the terminal.
    pub name: &'static str,
    /// The colour of plain text.
    pub foreground: Rgb,
    /// The colour behind plain text.
    pub background: Rgb,
    colors: [Rgb; 16],
}

const XTERM: [Rgb; 16] = [
    0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5, //
    0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
];
const GNOME: [Rgb; 16] = [
    0x171421, 0xc01c28, 0x26a269, 0xa2734c, 0x12488b, 0xa347ba, 0x2aa1b3, 0xd0cfcc, //
    0x5e5c64, 0xf66151, 0x33d17a, 0xe9ad0c, 0x2a7bde, 0xc061cb, 0x33c7de, 0xffffff,
];
const WINDOWS: [Rgb; 16] = [
    0x0c0c0c, 0xc50f1f, 0x13a10e, 0xc19c00, 0x0037da, 0x881798, 0x3a96dd, 0xcccccc, //
    0x767676, 0xe74856, 0x16c60c, 0xf9f1a5, 0x3b78ff, 0xb4009e, 0x61d6d6, 0xf2f2f2,
];
const CODE_LIGHT: [Rgb; 16] = [
    0x000000, 0xcd3131, 0x107c10, 0x949800, 0x0451a5, 0xbc05bc, 0x0598bc, 0x555555, //
    0x666666, 0xcd3131, 0x14ce14, 0xb5ba00, 0x0451a5, 0xbc05bc, 0x0598bc, 0xa5a5a5,
];
const CODE_DARK: [Rgb; 16] = [
    0x000000, 0xcd3131, 0x0dbc79, 0xe5e510, 0x2472c8, 0xbc3fbc, 0x11a8cd, 0xe5e5e5, //
    0x666666, 0xf14c4c, 0x23d18b, 0xf5f543, 0x3b8eea, 0xd670d6, 0x29b8db, 0xe5e5e5,
];

/// The palettes with a light background, xterm's first.
pub const LIGHT: [Palette; 4] = [
    palette("xterm", 0x000000, 0xffffff, XTERM),
    palette("GNOME Terminal", 0x171421, 0xffffff, GNOME),
    palette("Windows Terminal", 0x0c0c0c, 0xffffff, WINDOWS),
    palette("Visual Studio Code", 0x333333, 0xffffff, CODE_LIGHT),
];

/// The palettes with a dark background, xterm's first, on black and on nearly black.
pub const DARK: [Palette; 5] = [
    palette("xterm", 0xe5e5e5, 0x000000, XTERM),
    palette("xterm on nearly black", 0xe5e5e5, 0x121212, XTERM),
    palette("GNOME Terminal", 0xd0cfcc, 0x171421, GNOME),
    palette("Windows Terminal", 0xcccccc, 0x0c0c0c, WINDOWS),
    palette("Visual Studio Code", 0xcccccc, 0x1e1e1e, CODE_DARK),
];

const fn palette(
    name: &'static str,
    foreground: Rgb,
    background: Rgb,
    colors: [Rgb; 16],
) -> Palette {
    Palette { name, foreground, background, colors }
}

impl Palette {
    /// Returns the colours of a cell: its text and its background.
    pub fn colors(&self, cell: &Cell) -> (Rgb, Rgb) {
        let text = self.color(cell.fgcolor(), self.foreground);
        let behind = self.color(cell.bgcolor(), self.background);
        let (text, behind) = if cell.inverse() { (behind, text) } else { (text, behind) };
        // Terminals show dim text at half intensity or a little more.
        (if cell.dim() { between(text, behind) } else { text }, behind)
    }

    fn color(&self, color: Color, default: Rgb) -> Rgb {
        match color {
            Color::Default => default,
            Color::Idx(index @ 0..16) => self.colors[usize::from(index)],
            Color::Idx(index @ 16..232) => of_cube(index - 16),
            other => panic!("{other:?} is neither of the terminal's own palette nor of the cube"),
        }
    }
}

/// Returns a colour of the 6×6×6 cube that most terminals have: xterm's.
fn of_cube(place: u8) -> Rgb {
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    u32::from_be_bytes([0, level(place / 36), level(place / 6 % 6), level(place % 6)])
}

fn between(one: Rgb, other: Rgb) -> Rgb {
    let [[r, g, b], [s, h, c]] = [one, other].map(channels);
    let half = |a: u8, b: u8| u8::midpoint(a, b);
    u32::from_be_bytes([0, half(r, s), half(g, h), half(b, c)])
}

fn channels(color: Rgb) -> [u8; 3] {
    let [_, r, g, b] = color.to_be_bytes();
    [r, g, b]
}

/// Returns the contrast of two colours: 1 to 21 (WCAG 2.2, "contrast ratio").
pub fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Returns the luminance from 0 for black to 1 for white (WCAG 2.2, "relative luminance").
fn luminance(color: Rgb) -> f64 {
    let [r, g, b] = channels(color).map(|channel| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}
