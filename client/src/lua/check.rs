//! `--check`: whether a script compiles and uses only what there is.
//!
//! Luau's compiler says whether it compiles. Names are looked for word by word: a global that
//! nothing sets and no library has, and a member of `chat` that there is not.

mod names;
mod words;

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mlua::{Table, Value};

use super::budget::Budget;
use super::failure::error_text;
use super::modules::{self, Place};
use super::vm;

/// Something that is wrong in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// What.
    pub message: String,
}

/// Checks a file; the faults are in the order of their lines.
///
/// # Errors
///
/// It can't be read.
pub fn file(path: &Path) -> std::io::Result<Vec<Fault>> {
    Ok(source(&modules::read(path)?))
}

/// Checks a text.
pub fn source(source: &str) -> Vec<Fault> {
    match known_globals(source) {
        Ok(globals) => names::faults(source, &globals, &members()),
        Err(fault) => vec![fault],
    }
}

/// What scripts find, if this compiles.
fn known_globals(source: &str) -> Result<BTreeSet<String>, Fault> {
    let broken = |message: String| {
        // Luau says `NAME:LINE: what`.
        let rest = message.strip_prefix("check:").unwrap_or(&message);
        let (line, what) = rest.split_once(": ").unwrap_or(("1", rest));
        Fault { line: line.trim().parse().unwrap_or(1), message: what.trim().to_owned() }
    };
    let budget = Budget::new(Arc::new(AtomicBool::new(false)));
    let (lua, _runner) =
        vm::make(Rc::clone(&budget), Place(None)).map_err(|error| broken(error_text(&error)))?;
    vm::compile(&lua, "check", source).map_err(|error| broken(error_text(&error)))?;
    let globals: Table = lua.globals();
    let names = globals.pairs::<String, Value>().filter_map(|pair| Some(pair.ok()?.0));
    Ok(names.chain(["chat".to_owned(), "_G".to_owned()]).collect())
}

/// The members of `chat`, in scripts and in plugins.
pub fn members() -> BTreeSet<String> {
    let commands = crate::commands::TABLE.iter().map(|command| command.name);
    commands.chain(super::api::MEMBERS.iter().copied()).map(str::to_owned).collect()
}
