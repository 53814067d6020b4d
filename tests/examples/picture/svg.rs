//! Screens as a picture: windows stacked vertically, in Scalable Vector Graphics.

use std::fmt::{self, Display, Formatter};

use letschat_tests::palette::{DARK, Palette, Rgb};
use vt100::{Cell, Screen};

/// The palette of the picture's terminals.
const PALETTE: &Palette = &DARK[2];

// All lengths are in pixels.
const CELL_WIDTH: f32 = 8.4;
const CELL_HEIGHT: f32 = 18.0;
const FONT_SIZE: f32 = 14.0;
/// The distance from the top of a row to the baseline of its text.
const BASELINE: f32 = 13.5;
const PADDING: f32 = 14.0;
const TITLE_HEIGHT: f32 = 30.0;
const GAP: f32 = 14.0;
/// Keeps the frames' borders inside the picture.
const MARGIN: f32 = 1.0;

/// The titled windows, and the title of the picture.
pub(crate) struct Picture<'a> {
    pub(crate) title: &'a str,
    pub(crate) windows: &'a [(String, Screen)],
}

impl Display for Picture<'_> {
    fn fmt(&self, svg: &mut Formatter<'_>) -> fmt::Result {
        let sizes = || self.windows.iter().map(|(_, screen)| size(screen));
        let width = sizes().map(|(width, _)| width).fold(0.0, f32::max) + 2.0 * MARGIN;
        let heights: f32 = sizes().map(|(_, height)| height + GAP).sum();
        let height = heights - GAP + 2.0 * MARGIN;
        let text = Hex(PALETTE.foreground);
        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" fill="{text}" xml:space="preserve" role="img">"#,
        )?;
        writeln!(svg, "<title>{}</title>", Escaped(self.title))?;
        write_style(svg)?;
        let mut top = MARGIN;
        for (title, screen) in self.windows {
            writeln!(svg, r#"<g transform="translate({MARGIN} {top})">"#)?;
            write_window(svg, title, screen)?;
            writeln!(svg, "</g>")?;
            top += size(screen).1 + GAP;
        }
        writeln!(svg, "</svg>")
    }
}

/// Returns the width and height of a window.
fn size(screen: &Screen) -> (f32, f32) {
    let (rows, columns) = screen.size();
    let width = f32::from(columns.get()) * CELL_WIDTH + 2.0 * PADDING;
    (width, TITLE_HEIGHT + f32::from(rows.get()) * CELL_HEIGHT + 2.0 * PADDING)
}

fn write_style(svg: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        svg,
        r#"<style>text{{font:{FONT_SIZE}px ui-monospace,"DejaVu Sans Mono",monospace;white-space:pre}}.b{{font-weight:bold}}.i{{font-style:italic}}.u{{text-decoration:underline}}.t{{text-anchor:middle;font-weight:bold}}</style>"#
    )
}

fn write_window(svg: &mut Formatter<'_>, title: &str, screen: &Screen) -> fmt::Result {
    let (width, height) = size(screen);
    let background = Hex(PALETTE.background);
    writeln!(
        svg,
        r##"<rect width="{width}" height="{height}" rx="8" fill="{background}" stroke="#5e5c64"/>"##
    )?;
    writeln!(
        svg,
        r##"<path d="M0 {TITLE_HEIGHT}V8a8 8 0 0 1 8-8H{}a8 8 0 0 1 8 8V{TITLE_HEIGHT}z" fill="#3d3846"/>"##,
        width - 8.0
    )?;
    for (dot, color) in ["#f66151", "#f8e45c", "#57e389"].iter().enumerate() {
        let x = 18 + 20 * dot;
        writeln!(svg, r#"<circle cx="{x}" cy="15" r="6" fill="{color}"/>"#)?;
    }
    writeln!(svg, r#"<text class="t" x="{}" y="20">{}</text>"#, width / 2.0, Escaped(title))?;
    writeln!(svg, r#"<g transform="translate({PADDING} {})">"#, TITLE_HEIGHT + PADDING)?;
    write_cursor(svg, screen)?;
    let (rows, columns) = screen.size();
    for row in 0..rows.get() {
        let cells = (0..columns.get()).filter_map(|column| screen.cell(row, column));
        for run in runs(cells) {
            run.write(svg, row)?;
        }
    }
    writeln!(svg, "</g>")
}

fn write_cursor(svg: &mut Formatter<'_>, screen: &Screen) -> fmt::Result {
    if screen.hide_cursor() {
        return Ok(());
    }
    let (row, column) = screen.cursor_position();
    let (x, y) = (f32::from(column) * CELL_WIDTH, f32::from(row) * CELL_HEIGHT);
    let color = Hex(PALETTE.foreground);
    writeln!(
        svg,
        r#"<rect x="{x:.1}" y="{y:.1}" width="{CELL_WIDTH}" height="{CELL_HEIGHT}" fill="{color}"/>"#
    )
}

/// Adjacent cells of the same style. A wide character is a run of its own, so that it and its successor
/// keep their columns in any font.
struct Run {
    column: u16,
    columns: u16,
    look: Look,
    is_wide: bool,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    text: Rgb,
    behind: Rgb,
    bold: bool,
    italic: bool,
    underlined: bool,
}

impl Look {
    fn of(cell: &Cell) -> Look {
        let (text, behind) = PALETTE.colors(cell);
        Look {
            text,
            behind,
            bold: cell.bold(),
            italic: cell.italic(),
            underlined: cell.underline(),
        }
    }
}

/// Splits a row into runs.
fn runs<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (column, cell) in (0..).zip(cells) {
        if cell.is_wide_continuation() {
            continue;
        }
        let (look, is_wide) = (Look::of(cell), cell.is_wide());
        let text = if cell.has_contents() { cell.contents() } else { " " };
        match runs.last_mut() {
            Some(run) if run.look == look && !run.is_wide && !is_wide => {
                run.columns += 1;
                run.text.push_str(text);
            }
            _ => {
                let columns = if is_wide { 2 } else { 1 };
                runs.push(Run { column, columns, look, is_wide, text: text.to_owned() });
            }
        }
    }
    runs
}

impl Run {
    fn write(&self, svg: &mut Formatter<'_>, row: u16) -> fmt::Result {
        let (x, y) = (f32::from(self.column) * CELL_WIDTH, f32::from(row) * CELL_HEIGHT);
        if self.look.behind != PALETTE.background {
            let (width, color) = (f32::from(self.columns) * CELL_WIDTH, Hex(self.look.behind));
            writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{CELL_HEIGHT}" fill="{color}"/>"#
            )?;
        }
        let text = self.text.trim_end();
        if text.is_empty() {
            return Ok(());
        }
        write!(svg, r#"<text x="{x:.1}" y="{:.1}""#, y + BASELINE)?;
        if !self.is_wide {
            // The text is stretched to its columns, whatever font is available.
            let columns = u16::try_from(text.chars().count()).unwrap_or(self.columns);
            write!(svg, r#" textLength="{:.1}""#, f32::from(columns) * CELL_WIDTH)?;
        }
        let classes: String = [(self.look.bold, 'b'), (self.look.italic, 'i')]
            .into_iter()
            .chain([(self.look.underlined, 'u')])
            .filter_map(|(is_so, class)| is_so.then_some([class, ' ']))
            .flatten()
            .collect();
        if !classes.is_empty() {
            write!(svg, r#" class="{}""#, classes.trim_end())?;
        }
        if self.look.text != PALETTE.foreground {
            write!(svg, r#" fill="{}""#, Hex(self.look.text))?;
        }
        writeln!(svg, ">{}</text>", Escaped(text))
    }
}

/// A colour in CSS notation.
struct Hex(Rgb);

impl Display for Hex {
    fn fmt(&self, svg: &mut Formatter<'_>) -> fmt::Result {
        write!(svg, "#{:06x}", self.0)
    }
}

/// Text escaped for XML.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, svg: &mut Formatter<'_>) -> fmt::Result {
        let escaped = self.0.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        svg.write_str(&escaped)
    }
}
