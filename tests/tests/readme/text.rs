//! The tables and blocks of a document.

use std::collections::BTreeSet;

pub(crate) type Checked = Result<(), String>;

/// Returns the cells of the table whose header starts like this.
pub(crate) fn table(text: &str, header: &str) -> Vec<Vec<String>> {
    let rows = text.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            // `\|` is a bar inside a cell.
            let line = line.replace("\\|", "\u{0}");
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('\u{0}', "|")).collect()
        })
        .collect()
}

/// Returns the contents of the blocks with this fence.
pub(crate) fn blocks<'a>(text: &'a str, fence: &str) -> Vec<&'a str> {
    let opening = format!("```{fence}\n");
    text.split(&opening).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

/// Returns the text in backquotes outside of blocks.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|part| part.split('`').skip(1).step_by(2))
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(told: Vec<T>, real: Vec<T>) -> Checked {
    if told == real {
        return Ok(());
    }
    let differs = told.iter().zip(&real).position(|(told, real)| told != real);
    let at = differs.unwrap_or(told.len().min(real.len()));
    Err(format!("told {:?}, is {:?}", told.get(at), real.get(at)))
}

pub(crate) fn all_in<T: AsRef<str>>(told: &[T], known: &BTreeSet<String>) -> Checked {
    match told.iter().map(AsRef::as_ref).find(|word| !known.contains(*word)) {
        Some(word) => Err(format!("there is no {word}")),
        None => Ok(()),
    }
}

pub(crate) fn at_least(expected: usize, found: usize, what: &str) -> Checked {
    if found >= expected { Ok(()) } else { Err(format!("{found} {what}")) }
}
