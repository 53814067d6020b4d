//! The tables of who types what, and of what appears where.
//!
//! A row is `| NAME: typed | shown at NAME and NAME |`, both texts in backquotes. Text without backquotes explains.

use letschat_tests::person::{CTRL_C, CTRL_X, Person};

/// Somebody at a terminal, by the name that the document uses.
pub(crate) type Cast<'a> = [(&'a str, &'a Person)];

/// Plays the n-th table of a section, from 0. `replaced` is called for each typed text.
pub(crate) fn play(section: &str, n: usize, cast: &Cast<'_>, replaced: impl Fn(&str) -> String) {
    let named = |text: &str| -> Vec<&Person> {
        cast.iter().filter(|(name, _)| text.contains(name)).map(|(_, person)| *person).collect()
    };
    for row in rows(section, n) {
        let parts: Vec<&str> = row.split('`').collect();
        let [who, typed, _, shown, viewers, ref more @ ..] = parts[..] else { panic!("{row}") };
        let [typist] = named(who)[..] else { panic!("{row}") };
        match typed {
            "Ctrl+C" => typist.press(CTRL_C),
            "Ctrl+X" => typist.press(CTRL_X),
            text => typist.types(&replaced(text)),
        }
        for (shown, viewers) in [(shown, viewers)].into_iter().chain(pairs(more)) {
            let viewers = named(viewers);
            assert!(!viewers.is_empty(), "{row}");
            viewers.iter().for_each(|viewer| viewer.sees(shown));
        }
    }
}

/// Returns further texts and their viewers.
fn pairs<'a>(more: &[&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    more.chunks_exact(2).map(|pair| (pair[0], pair[1]))
}

fn rows(section: &str, n: usize) -> Vec<&str> {
    let table = section.split("| who types | what appears |\n").nth(n + 1).unwrap();
    let rows: Vec<&str> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 3, "{rows:?}");
    rows
}
