//! Names and members: what is there, and what is not.

use super::grammar::{Reader, Target};
use super::meaning::Meaning;

/// Functions that set fields without naming them.
const SETTERS: &[&str] = &["rawset", "setmetatable"];

impl Reader<'_> {
    pub(super) fn fault(&mut self, line: usize, message: impl Into<String>) {
        self.notes.faults.push((line, message.into()));
    }

    /// What is found there; what is not there is told.
    pub(super) fn read(&mut self, target: Target<'_>, line: usize) -> Meaning {
        let found = match target {
            Target::Name(name) => self.variable(name, line),
            Target::Member(base, key) => self.member(&base, &key, line),
            Target::Value(value) => value,
        };
        if let Meaning::Real(thing) = &found {
            self.notes.is_open |= SETTERS.contains(&thing.path.as_str());
        }
        found
    }

    /// What is read and not called on the spot.
    pub(super) fn read_value(&mut self, target: Target<'_>, line: usize) -> Meaning {
        let found = self.read(target, line);
        if matches!(&found, Meaning::Real(thing) if thing.path == "require") {
            // Whoever calls it, and for what, is not seen.
            self.notes.has_other_globals = true;
            self.notes.is_open = true;
        }
        found
    }

    fn variable(&mut self, name: &str, line: usize) -> Meaning {
        if let Some((_, meaning)) = self.local(name) {
            return meaning.clone();
        }
        if self.survey.globals.contains(name) {
            return Meaning::Unknown;
        }
        if let Some(thing) = self.real.global(name) {
            return Meaning::Real(thing);
        }
        if !self.survey.has_other_globals {
            self.fault(line, format!("nothing is called {name}"));
        }
        Meaning::Unknown
    }

    fn member(&mut self, base: &Meaning, key: &Meaning, line: usize) -> Meaning {
        let Meaning::Text(name) = key else { return Meaning::Unknown };
        let is_set = self.survey.is_open || self.survey.members.contains(name);
        match base {
            Meaning::Real(thing) if thing.is_closed() => match thing.member(name) {
                Some(member) => return Meaning::Real(member),
                None => self.fault(line, format!("{} has no {name}", thing.path)),
            },
            // It is a table that scripts may add to.
            Meaning::Client if !is_set && name != "name" => match self.real.of_client(name) {
                Some(member) => return Meaning::Real(member),
                None => self.fault(line, format!("a client has no {name}")),
            },
            // What is not there may be asked for: not every module has everything.
            Meaning::Module(module) if !is_set && !module.fields.contains(name) => {
                return Meaning::Absent { module: module.clone(), name: name.clone() };
            }
            _ => {}
        }
        Meaning::Unknown
    }

    pub(super) fn assign(&mut self, target: Target<'_>, line: usize) {
        match target {
            Target::Name(name) => match self.local(name).map(|(number, _)| number) {
                Some(number) => drop(self.notes.locals.insert(number)),
                None => drop(self.notes.globals.insert(name.to_owned())),
            },
            Target::Member(Meaning::Real(thing), _) if thing.is_closed() => {
                self.fault(line, format!("{} can't be changed", thing.path));
            }
            Target::Member(_, Meaning::Text(name)) => drop(self.notes.members.insert(name)),
            // A number is no name.
            Target::Member(_, Meaning::Plain) => {}
            Target::Member(..) => self.notes.is_open = true,
            Target::Value(_) => {}
        }
    }
}
