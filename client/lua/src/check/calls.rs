//! Calls of what the client itself gives to scripts.

use super::expressions::Argument;
use super::grammar::Reader;
use super::meaning::{Meaning, Required, Shape};
use super::real::Thing;
use crate::voice::LEVELS;
use letschat_commands::arguments::{ArgumentError, Kind, Parameter};
use letschat_commands::command::Command;
use letschat_commands::commands::TABLE;
use letschat_core::event;

impl Reader<'_> {
    /// What a call returns.
    pub(super) fn call(
        &mut self,
        called: &Meaning,
        arguments: &[Argument],
        line: usize,
    ) -> Meaning {
        match called {
            Meaning::Real(thing) => self.call_real(thing, arguments, line),
            Meaning::Absent { module, name } => {
                self.fault(line, format!("the module {} has no {name}", module.name));
                Meaning::Many
            }
            _ => Meaning::Many,
        }
    }

    fn call_real(&mut self, thing: &Thing, arguments: &[Argument], line: usize) -> Meaning {
        if thing.is_table() {
            self.fault(line, format!("{} is no function", thing.path));
            return Meaning::Many;
        }
        let first = arguments.first().map(|(line, value)| (*line, value.as_text()));
        match (thing.path.as_str(), first) {
            ("require", Some((line, text))) => return self.require(text, line),
            ("chat.client", _) => return Meaning::Client,
            ("chat.on" | "chat.wait", Some((line, Some(name)))) => {
                if !event::NAMES.contains(&name) {
                    self.fault(line, format!("there is no event {name}"));
                }
            }
            ("chat.log", Some((line, Some(level)))) => {
                if !LEVELS.contains(&level) {
                    self.fault(line, format!("a level is {}", LEVELS.join(", ")));
                }
            }
            (path, _) => {
                if let Some(command) = command(path) {
                    self.call_command(command, arguments, line);
                }
            }
        }
        Meaning::Many
    }

    /// A call with a colon, which hands over the table before everything else.
    pub(super) fn call_method(&mut self, base: &Meaning, name: &str, line: usize) {
        let texts = || self.real.global("string");
        let member = match base {
            Meaning::Text(_) if !self.survey.globals.contains("string") => {
                let has_method = texts().is_none_or(|texts| texts.member(name).is_some());
                if !has_method {
                    self.fault(line, format!("a text has no {name}"));
                }
                return;
            }
            base => {
                let key = Meaning::Text(name.to_owned());
                self.read(super::grammar::Target::Member(base.clone(), key), line)
            }
        };
        match member {
            Meaning::Real(thing) if takes_no_table(&thing.path) => {
                self.fault(line, format!("{} is called with a dot", thing.path));
            }
            Meaning::Absent { .. } => drop(self.call(&member, &[], line)),
            _ => {}
        }
    }

    fn require(&mut self, name: Option<&str>, line: usize) -> Meaning {
        let Some(name) = name else {
            self.notes.has_other_globals = true;
            self.notes.is_open = true;
            return Meaning::Many;
        };
        self.notes.required.insert(name.to_owned());
        match self.survey.modules.get(name).cloned() {
            Some(Required::Nothing(why)) => self.fault(line, why),
            Some(Required::Something(Some(module))) => return Meaning::Module(module),
            Some(Required::Something(None)) | None => {}
        }
        Meaning::Many
    }

    fn call_command(&mut self, command: &Command, arguments: &[Argument], line: usize) {
        let mut given = Given { command, names: Vec::new(), is_certain: true };
        let mut parameters = command.parameters.iter();
        for (line, value) in arguments {
            if let Meaning::Table(shape) = value {
                self.call_by_name(&mut given, shape, *line);
                continue;
            }
            let is_one = matches!(value, Meaning::Nil | Meaning::Plain | Meaning::Text(_));
            if !is_one {
                // It may be a table of names.
                given.is_certain = false;
                continue;
            }
            match parameters.next() {
                Some(parameter) => self.give(&mut given, parameter, value, *line),
                None => self.fault(*line, format!("{} takes fewer arguments", command.name)),
            }
        }
        let is_missing = |p: &&Parameter| !p.optional && !given.names.contains(&p.name);
        let missing = command.parameters.iter().find(is_missing).filter(|_| given.is_certain);
        if let Some(missing) = missing {
            let error = ArgumentError::Missing(missing.name);
            self.fault(line, format!("{}: {error}", command.name));
        }
    }

    fn call_by_name(&mut self, given: &mut Given<'_>, shape: &Shape, line: usize) {
        let command = given.command;
        given.is_certain &= !shape.is_open;
        if shape.listed > 0 && !shape.is_open {
            self.fault(line, format!("{} takes names in a table", command.name));
        }
        for (line, name, value) in &shape.named {
            match command.parameters.iter().find(|parameter| parameter.name == name) {
                Some(parameter) => self.give(given, parameter, value, *line),
                None => self.fault(*line, format!("{} takes no {name}", command.name)),
            }
        }
    }

    fn give(&mut self, given: &mut Given<'_>, parameter: &Parameter, value: &Meaning, line: usize) {
        match value {
            Meaning::Nil => return,
            Meaning::Text(text) if parameter.kind != Kind::Flag => {
                if let Err(error) = parameter.check(text) {
                    self.fault(line, format!("{}: {error}", given.command.name));
                }
            }
            _ => {}
        }
        given.names.push(parameter.name);
    }
}

/// What a command was given so far.
struct Given<'a> {
    command: &'a Command,
    names: Vec<&'static str>,
    /// Whether nothing else can have been given.
    is_certain: bool,
}

fn command(path: &str) -> Option<&'static Command> {
    let name = path.strip_prefix("chat.")?;
    TABLE.iter().find(|command| command.name == name).copied()
}

/// Whether a call with a colon always fails.
fn takes_no_table(path: &str) -> bool {
    matches!(path, "chat.on" | "chat.wait") || command(path).is_some()
}
