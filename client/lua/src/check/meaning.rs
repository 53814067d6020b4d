//! What an expression is, as far as that can be told without running it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::real::Thing;

/// What an expression is.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    /// Anything at all.
    Unknown,
    /// Any number of anything: a call, or `...`.
    Many,
    Nil,
    /// Something that is no table.
    Plain,
    /// This text.
    Text(String),
    /// A table that is written down here and now.
    Table(Rc<Shape>),
    /// One that was written down in a local, and may have been changed since.
    Built(Rc<Shape>),
    /// Something that every script finds.
    Real(Thing),
    /// What `chat.client` has returned.
    Client,
    /// What a module has returned.
    Module(Rc<Module>),
    /// What a module does not have.
    Absent {
        module: Rc<Module>,
        name: String,
    },
}

impl Meaning {
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Meaning::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a local is that was given this and is never given anything else.
    pub(super) fn kept(self) -> Meaning {
        match self {
            Meaning::Table(shape) => Meaning::Built(shape),
            other => other.one(),
        }
    }

    /// The first of these.
    pub(super) fn one(self) -> Meaning {
        match self {
            Meaning::Many => Meaning::Unknown,
            other => other,
        }
    }
}

/// A table as it is written down.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Each with its line.
    pub(super) named: Vec<(usize, String, Meaning)>,
    /// How many have no name.
    pub(super) listed: usize,
    /// Whether some have computed names.
    pub(super) is_open: bool,
}

/// What a module returns.
#[derive(Debug)]
pub(super) struct Module {
    /// As it was required.
    pub(super) name: String,
    /// What its table was made with.
    pub(super) fields: BTreeSet<String>,
}

/// What has to be known of all that belongs to a script before anything in it is called wrong.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Globals that are assigned to.
    pub(super) globals: BTreeSet<String>,
    /// Names of fields that are assigned to in whatever table.
    pub(super) members: BTreeSet<String>,
    /// Whether fields with other names may have been set.
    pub(super) is_open: bool,
    /// Whether globals may have been set that are not known.
    pub(super) has_other_globals: bool,
    /// What each `require` comes to.
    pub(super) modules: BTreeMap<String, Required>,
}

/// What a `require` comes to.
#[derive(Debug, Clone)]
pub(super) enum Required {
    /// This failure.
    Nothing(String),
    /// Something, or a table.
    Something(Option<Rc<Module>>),
}

/// What one file was found to do.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Each with its line.
    pub(super) faults: Vec<(usize, String)>,
    pub(super) globals: BTreeSet<String>,
    pub(super) members: BTreeSet<String>,
    /// Locals that are assigned to after their declaration, by their number.
    pub(super) locals: BTreeSet<usize>,
    pub(super) is_open: bool,
    pub(super) has_other_globals: bool,
    pub(super) required: BTreeSet<String>,
    /// What its last line returns.
    pub(super) result: Option<Meaning>,
}
