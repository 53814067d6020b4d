//! A script and the modules that it requires, read together: globals are for all of them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Fault;
use super::grammar::Reader;
use super::meaning::{Meaning, Module, Notes, Required, Survey};
use super::real::Real;
use super::words::words;
use crate::failure::error_text;
use crate::modules::{self, Place};

/// One file that was read.
struct File {
    path: PathBuf,
    source: String,
    /// `None` if something is in it that is not understood.
    notes: Option<Notes>,
    /// Why it does not compile.
    broken: Option<(usize, String)>,
}

/// Checks a script, which is of this path, and all that it requires from this place.
pub(super) fn faults(real: &Real, path: &Path, source: String, place: &Place) -> Vec<Fault> {
    let mut files = vec![File::read(real, path.to_owned(), source)];
    let modules = find_modules(real, place, &mut files);
    let survey = survey(&files, &modules);
    files.iter().flat_map(|file| file.faults(real, &survey)).collect()
}

/// A module: the failure to find it, or which of the files it is.
type Modules = BTreeMap<String, Result<usize, String>>;

/// Reads whatever is required, and what that requires.
fn find_modules(real: &Real, place: &Place, files: &mut Vec<File>) -> Modules {
    let mut modules = Modules::new();
    let mut next = 0;
    while let Some(file) = files.get(next) {
        for name in file.required() {
            if let Entry::Vacant(unread) = modules.entry(name) {
                let found = read_module(real, place, files, unread.key());
                unread.insert(found);
            }
        }
        next += 1;
    }
    modules
}

fn read_module(
    real: &Real,
    place: &Place,
    files: &mut Vec<File>,
    name: &str,
) -> Result<usize, String> {
    let path = shown(place, place.find(name).map_err(|failure| failure.message)?);
    if let Some(known) = files.iter().position(|file| file.path == path) {
        return Ok(known);
    }
    let source = modules::read(&path).map_err(|error| format!("The module {name}: {error}"))?;
    files.push(File::read(real, path, source));
    Ok(files.len() - 1)
}

/// The path of a module as that of its script is: not the real one, if a link leads there.
fn shown(place: &Place, path: PathBuf) -> PathBuf {
    let folder = place.0.as_deref().unwrap_or(Path::new("."));
    let Ok(real) = folder.canonicalize() else { return path };
    let Ok(inside) = path.strip_prefix(real) else { return path };
    let shown = folder.join(inside);
    shown.strip_prefix(".").map_or(shown.clone(), Path::to_owned)
}

fn survey(files: &[File], modules: &Modules) -> Survey {
    let mut survey = Survey::default();
    for file in files {
        let Some(notes) = &file.notes else {
            // It may set anything.
            survey.is_open = true;
            survey.has_other_globals = true;
            continue;
        };
        survey.globals.extend(notes.globals.iter().cloned());
        survey.members.extend(notes.members.iter().cloned());
        survey.is_open |= notes.is_open;
        survey.has_other_globals |= notes.has_other_globals;
    }
    let required = |(name, found): (&String, &Result<usize, String>)| {
        let required = match found {
            Err(why) => Required::Nothing(why.clone()),
            Ok(number) => Required::Something(files.get(*number).and_then(|f| f.module(name))),
        };
        (name.clone(), required)
    };
    survey.modules = modules.iter().map(required).collect();
    survey
}

impl File {
    fn read(real: &Real, path: PathBuf, source: String) -> File {
        let broken = real.compile(&source).err().map(|error| place_of(&error_text(&error)));
        let notes = match broken {
            None => read_twice(real, &source),
            // Nothing more is said of it, nor is any of its globals missed elsewhere.
            Some(_) => None,
        };
        File { path, source, notes, broken }
    }

    fn required(&self) -> BTreeSet<String> {
        self.notes.as_ref().map(|notes| notes.required.clone()).unwrap_or_default()
    }

    /// What it returns, if that is a table whose fields are known.
    fn module(&self, name: &str) -> Option<Rc<Module>> {
        let (Meaning::Table(shape) | Meaning::Built(shape)) =
            self.notes.as_ref()?.result.as_ref()?
        else {
            return None;
        };
        let fields = shape.named.iter().map(|(_, field, _)| field.clone()).collect();
        (!shape.is_open).then(|| Rc::new(Module { name: name.to_owned(), fields }))
    }

    fn faults(&self, real: &Real, survey: &Survey) -> Vec<Fault> {
        let mut found = match (&self.broken, &self.notes) {
            (Some(fault), _) => vec![fault.clone()],
            (None, None) => Vec::new(),
            (None, Some(before)) => {
                let words = words(&self.source);
                let notes = Reader::notes(&words, real, survey, before);
                notes.map(|notes| notes.faults).unwrap_or_default()
            }
        };
        found.sort();
        let fault = |(line, message)| Fault { file: self.path.clone(), line, message };
        found.into_iter().map(fault).collect()
    }
}

/// The first reading finds out which locals are assigned to, the second all the rest.
fn read_twice(real: &Real, source: &str) -> Option<Notes> {
    let (words, survey) = (words(source), Survey::default());
    let nothing = Notes::default();
    let first = Reader::notes(&words, real, &survey, &nothing)?;
    let mut second = Reader::notes(&words, real, &survey, &first)?;
    second.locals = first.locals;
    Some(second)
}

/// Luau says `NAME:LINE: what`.
fn place_of(message: &str) -> (usize, String) {
    let rest = message.strip_prefix("check:").unwrap_or(message);
    let (line, what) = rest.split_once(": ").unwrap_or(("1", rest));
    (line.trim().parse().unwrap_or(1), what.trim().to_owned())
}
