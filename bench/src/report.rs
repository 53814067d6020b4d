//! The measurements, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use crate::machine::{Machine, RunInfo};
use crate::statistics::Samples;

/// Everything about one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// `full`, `quick` or `smoke`.
    pub(crate) form: &'static str,
    pub(crate) machine: Machine,
    #[serde(flatten)]
    pub(crate) circumstances: RunInfo,
    pub(crate) rows: Vec<Row>,
}

/// One number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Which figure it belongs to.
    pub(crate) figure: &'static str,
    pub(crate) what: String,
    /// The number of logged-in clients, for figures that depend on it.
    pub(crate) clients: Option<usize>,
    pub(crate) measured: f64,
    pub(crate) unit: &'static str,
    pub(crate) spread: Option<Spread>,
    #[serde(rename = "to_reach")]
    pub(crate) bar: Option<Bar>,
}

/// The spread of single measurements.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The bar of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

impl Serialize for Bar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (word, value) = self.parts();
        std::collections::BTreeMap::from([(word.replace(' ', "_"), value)]).serialize(serializer)
    }
}

impl Bar {
    fn parts(self) -> (&'static str, f64) {
        match self {
            Bar::AtMost(value) => ("at most", value),
            Bar::AtLeast(value) => ("at least", value),
        }
    }
}

impl Row {
    /// A number that is only told.
    pub(crate) fn new(
        figure: &'static str,
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
    ) -> Row {
        let what = what.into();
        Row { figure, what, clients: None, measured, unit, spread: None, bar: None }
    }

    /// The median of several measurements, with the least and the greatest as its spread.
    pub(crate) fn median_of(
        figure: &'static str,
        what: impl Into<String>,
        samples: &Samples,
        unit: &'static str,
    ) -> Row {
        let row = Row::new(figure, what, samples.median(), unit);
        row.with_spread(samples.least(), samples.most())
    }

    /// With so many logged in.
    pub(crate) fn with_clients(self, clients: usize) -> Row {
        Row { clients: Some(clients), ..self }
    }

    /// Single measurements lie in between.
    pub(crate) fn with_spread(self, low: f64, high: f64) -> Row {
        Row { spread: Some(Spread { low, high }), ..self }
    }

    /// It is to be judged.
    pub(crate) fn judged(self, bar: Bar) -> Row {
        Row { bar: Some(bar), ..self }
    }

    /// Returns true if it has a bar and misses it.
    pub(crate) fn is_over(&self) -> bool {
        match self.bar {
            None => false,
            Some(Bar::AtMost(most)) => self.measured.is_nan() || self.measured > most,
            Some(Bar::AtLeast(least)) => self.measured.is_nan() || self.measured < least,
        }
    }
}

/// Rows about a crowd of so many; only large ones are judged.
pub(crate) fn of_crowd(rows: Vec<Row>, clients: usize, is_judged: bool) -> Vec<Row> {
    let of_it = |row: Row| {
        let bar = row.bar.filter(|_| is_judged);
        Row { clients: Some(clients), bar, ..row }
    };
    rows.into_iter().map(of_it).collect()
}

impl Report {
    /// Returns the number of missed figures.
    pub(crate) fn missed(&self) -> usize {
        self.rows.iter().filter(|row| row.is_over()).count()
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = writeln!(text, "{}", self.machine);
        let _ = writeln!(text, "{}\n", self.circumstances);
        let heading = ["figure", "clients", "to reach", "measured", "spread", ""].map(String::from);
        let cells: Vec<[String; 6]> =
            std::iter::once(heading).chain(self.rows.iter().map(cells)).collect();
        let width = |column: usize| {
            cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; 6] = std::array::from_fn(width);
        for row in &cells {
            let mut line = format!("{:<w$}", row[0], w = widths[0]);
            for (cell, w) in row[1..5].iter().zip(&widths[1..5]) {
                let _ = write!(line, "  {cell:>w$}");
            }
            let _ = writeln!(text, "{}", format!("{line}  {}", row[5]).trim_end());
        }
        let judged = self.rows.iter().filter(|row| row.bar.is_some()).count();
        let _ = write!(text, "\n{} of {judged} figures are reached", judged - self.missed());
        if self.form != "full" {
            let _ =
                write!(text, "; they are set for the full form, and this is the {} one", self.form);
        }
        text
    }
}

fn cells(row: &Row) -> [String; 6] {
    let spread =
        row.spread.map(|spread| format!("{} – {}", number(spread.low), number(spread.high)));
    let verdict = match (row.bar, row.is_over()) {
        (None, _) => "",
        (Some(_), false) => "ok",
        (Some(_), true) => "over",
    };
    let bar = row.bar.map(|bar| {
        let (word, value) = bar.parts();
        format!("{word} {} {}", number(value), row.unit)
    });
    [
        row.what.clone(),
        row.clients.map(|clients| clients.to_string()).unwrap_or_default(),
        bar.unwrap_or_default(),
        format!("{} {}", number(row.measured), row.unit),
        spread.unwrap_or_default(),
        verdict.to_owned(),
    ]
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        small if small < 9.995 => format!("{value:.2}"),
        middle if middle < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_missed_beyond_its_bar_and_without_a_number() {
        let row = |measured, bar| Row::new("x", "x", measured, "x").judged(bar);
        assert!(!row(1.4, Bar::AtMost(1.4)).is_over());
        assert!(row(1.5, Bar::AtMost(1.4)).is_over());
        assert!(!row(85.0, Bar::AtLeast(85.0)).is_over());
        assert!(row(84.9, Bar::AtLeast(85.0)).is_over());
        assert!(row(f64::NAN, Bar::AtLeast(85.0)).is_over());
        assert!(row(f64::NAN, Bar::AtMost(85.0)).is_over());
        assert!(!Row::new("x", "x", 1e9, "x").is_over());
    }

    #[test]
    fn numbers_have_three_digits_that_mean_something() {
        assert_eq!(number(3.456), "3.46");
        assert_eq!(number(34.56), "34.6");
        assert_eq!(number(345.6), "346");
        assert_eq!(number(123_456.7), "123457");
    }
}
