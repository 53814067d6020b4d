//! `--check`: whether a script compiles and uses only what there is.
//!
//! Luau's compiler says whether it compiles. Then the script is read, with the modules that it
//! requires, and each name in it is looked up where the script itself would find it: among its
//! locals, among the globals that it sets, and in a VM such as scripts run in. What can't be told
//! without running it is not told: there are no false alarms.
//!
//! * `words` – a source, word by word
//! * `grammar`, `expressions`, `types` – the grammar of Luau, read without a tree
//! * `meaning` – what an expression is, and what is noted of a file
//! * `names`, `calls` – what is wrong
//! * `real` – what scripts find
//! * `files` – a script and its modules

mod calls;
mod expressions;
mod files;
mod grammar;
mod meaning;
mod names;
mod real;
#[cfg(test)]
mod tests;
mod types;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::modules::{self, Place};
use real::Real;

/// Something that is wrong in a script, or in a module that it requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// What.
    pub message: String,
}

/// Checks a file; the faults are in the order of their lines, those of modules come last.
///
/// # Errors
///
/// It can't be read.
pub fn file(path: &Path) -> std::io::Result<Vec<Fault>> {
    Ok(checked(path, modules::read_script(path)?, &Place::beside(path)))
}

/// Checks a text, beside which there are no modules.
pub fn source(source: &str) -> Vec<Fault> {
    checked(Path::new("check.lua"), source.to_owned(), &Place(None))
}

fn checked(path: &Path, source: String, place: &Place) -> Vec<Fault> {
    match Real::make() {
        Ok(real) => files::faults(&real, path, source, place),
        Err(error) => {
            let message = super::failure::error_text(&error);
            vec![Fault { file: path.to_owned(), line: 1, message }]
        }
    }
}

/// The members of `chat`, in scripts and in plugins.
pub fn members() -> BTreeSet<String> {
    Real::make().map(|real| real.members()).unwrap_or_default()
}
