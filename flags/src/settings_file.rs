//! A settings file below the command line and the environment: its values replace the defaults.
//!
//! The file is TOML. Its keys are the long names of the flags, so `--places 100` is written as
//! `places = 100`. A flag without a value is `true` or `false`. Each value is read by its flag's
//! own parser. Help is printed before the file is read, so a broken file does not hide it.
//!
//! The program declares one flag of its own for the file: `--config FILE`, with an environment
//! variable if it wants one.

mod reading;
pub mod sample;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Id, Parser};

use self::reading::SettingsFile;
use crate::output;

/// The flag that names the file.
pub const CONFIG: &str = "config";

/// The location of a program's settings file, and the flags that it must not hold.
#[derive(Debug, Clone, Default)]
pub struct SettingsPlace<'a> {
    /// The default locations, of which the first existing one is read. None has to exist.
    pub defaults: Vec<PathBuf>,
    /// Long names of flags that make no sense in a file. `--config`, `--help`, `--version` and
    /// flags without a long name are always excluded.
    pub never: &'a [&'a str],
    /// Settings of other programs that share the file. They are not read here.
    pub others: &'a [&'a str],
}

/// The combined result of the command line, the environment and the file.
#[derive(Debug)]
pub struct Parsed<P> {
    /// The flags, with the file's values as their defaults.
    pub flags: P,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

/// A failure to produce the flags.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// A message of `clap`: wrong usage, or the requested help.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// A settings file that can't be read.
    #[error("can't read the settings file {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    /// A settings file that is not TOML, at a line counted from 1.
    #[error("the settings file {path} is not TOML at line {line}: {reason}")]
    Syntax { path: PathBuf, line: usize, reason: String },
    /// A variable with an invalid value.
    #[error("the variable {name}: {reason}")]
    Variable { name: String, reason: String },
    /// An unknown key of a settings file, or its invalid value. `key` is the key as written in the
    /// file.
    #[error("the settings file {path}, at `{key}`: {reason}")]
    Setting { path: PathBuf, key: String, reason: String },
}

impl FlagsError {
    /// Adds a suggestion to a usage error about an unknown word. `tip` maps that word to the
    /// suggestion.
    #[must_use]
    pub fn with_tip(self, tip: impl FnOnce(&str) -> Option<String>) -> FlagsError {
        let FlagsError::CommandLine(mut error) = self else { return self };
        let kinds = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand];
        let word = kinds.into_iter().find_map(|kind| match error.get(kind) {
            Some(ContextValue::String(word)) => Some(word.clone()),
            _ => None,
        });
        let is_unknown =
            matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand);
        if let Some(tip) = word.filter(|_| is_unknown).and_then(|word| tip(&word)) {
            // Suggestions by spelling alone are misleading.
            error.remove(ContextKind::SuggestedArg);
            error.remove(ContextKind::SuggestedSubcommand);
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        FlagsError::CommandLine(error)
    }

    /// Prints the error: help on standard output, errors on standard error. The status is 0 for
    /// help, 2 for an error, and 1 for help that can't be written.
    pub fn report(&self, program: &str) -> ExitCode {
        let error = match self {
            FlagsError::CommandLine(error) => error,
            error => {
                output::complain(program, error);
                return ExitCode::from(WRONG_USAGE);
            }
        };
        let printed = error.print().and_then(|()| io::stdout().flush());
        match printed {
            // A closed pipe is fine. Wrong usage stays an error even if nobody reads the message.
            Err(failed) if !error.use_stderr() && failed.kind() != io::ErrorKind::BrokenPipe => {
                output::complain(
                    program,
                    format_args!("standard output can't be written: {failed}"),
                );
                ExitCode::FAILURE
            }
            _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG_USAGE)),
        }
    }
}

const WRONG_USAGE: u8 = 2;

/// Reads a program's flags from the command line, then the environment, then the settings file,
/// then the defaults.
///
/// A named file has to exist. A value in the file yields to the command line and the environment,
/// and so does one that conflicts with them. `--flag=false` turns off a flag without a value. An
/// empty variable counts as unset, and one that conflicts with the command line is ignored.
///
/// # Errors
///
/// Wrong usage, requested help, and a file that can't be used. [`FlagsError::report`] prints them.
pub fn parse<P: Parser>(
    place: &SettingsPlace<'_>,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Parsed<P>, FlagsError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = switches_can_be_put_off(P::command(), place);
    // The command line and the environment have to be valid whatever the file says.
    let said = variables::without(command.clone())
        .try_get_matches_from(&arguments)
        .map_err(|error| without_our_changes::<P>(error, &arguments))?;
    let variables::Counted { command, off } = variables::counted(command, &said)?;
    let said = command.clone().try_get_matches_from(&arguments)?;
    let Some(file) = reading::find(&place.defaults, named_file(&said))? else {
        return Ok(Parsed { flags: flags(&said)?, file: None });
    };
    let mut values = effective(&command, place, &said, &file)?;
    values.retain(|id, _| !off.contains(id));
    let matches = with_defaults(command, &values).try_get_matches_from(&arguments)?;
    Ok(Parsed { flags: flags(&matches)?, file: Some(file.path) })
}

/// Returns the keys that a settings file may have, in the order of the flags' declaration.
pub fn keys(command: &Command, place: &SettingsPlace<'_>) -> Vec<String> {
    let settable = command.get_arguments().filter(|arg| is_settable(arg, place));
    settable.filter_map(Arg::get_long).map(str::to_owned).collect()
}

fn is_settable(arg: &Arg, place: &SettingsPlace<'_>) -> bool {
    let has_a_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::SetTrue);
    let is_allowed = |name| name != CONFIG && !place.never.contains(&name);
    has_a_value && arg.get_long().is_some_and(is_allowed)
}

/// Makes a flag without a value accept `--flag=false` too, so that the command line can turn off a
/// switch that the file turns on.
fn switches_can_be_put_off(command: Command, place: &SettingsPlace<'_>) -> Command {
    command.mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue if is_settable(&arg, place) => arg
            .action(ArgAction::Set)
            .value_parser(ValueParser::new(switch))
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false"),
        _ => arg,
    })
}

/// Parses the value of a switch.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("expected true or false, yes or no, 1 or 0".into()),
    }
}

/// Renders usage errors and help with the flags as originally declared.
fn without_our_changes<P: Parser>(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if error.use_stderr() {
        return error;
    }
    match P::command().try_get_matches_from(arguments) {
        Err(plain) if plain.kind() == error.kind() => plain,
        _ => error,
    }
}

fn named_file(said: &ArgMatches) -> Option<&PathBuf> {
    said.try_get_one::<PathBuf>(CONFIG).ok().flatten()
}

fn flags<P: Parser>(matches: &ArgMatches) -> Result<P, FlagsError> {
    Ok(P::from_arg_matches(matches).map_err(|error| error.format(&mut P::command()))?)
}

/// The file's effective values, by the ids of their flags.
type Values = BTreeMap<Id, String>;

/// Checks every value of the file, and drops those that conflict with the command line or the
/// environment.
fn effective(
    command: &Command,
    place: &SettingsPlace<'_>,
    said: &ArgMatches,
    file: &SettingsFile,
) -> Result<Values, FlagsError> {
    let mut values = Values::new();
    for (key, value) in file.read()? {
        if place.others.contains(&key.as_str()) {
            continue;
        }
        let wrong = |reason| file.wrong(&key, reason);
        let arg = setting(command, place, &key).map_err(wrong)?;
        let rivals = rivals(command, arg);
        if rivals.iter().any(|rival| was_said(said, rival)) {
            continue;
        }
        check(command, &key, OsStr::new(&value)).map_err(wrong)?;
        let is_off = arg.get_default_values() == ["false"] && switch(&value) == Ok(false);
        let other = rivals.iter().find(|rival| !is_off && values.contains_key(*rival));
        if let Some(other) = other {
            let other = command.get_arguments().find(|arg| arg.get_id() == other);
            let other = other.and_then(Arg::get_long).unwrap_or_default();
            return Err(wrong(format!("it can't be combined with `{other}`")));
        }
        if !is_off {
            values.insert(arg.get_id().clone(), value);
        }
    }
    Ok(values)
}

fn setting<'c>(
    command: &'c Command,
    place: &SettingsPlace<'_>,
    key: &str,
) -> Result<&'c Arg, String> {
    let named = |name: &str| command.get_arguments().find(|arg| arg.get_long() == Some(name));
    match named(key) {
        Some(arg) if is_settable(arg, place) => Ok(arg),
        Some(_) => Err("this is said on the command line only".into()),
        None => match key.replace('_', "-") {
            meant if named(&meant).is_some() => Err(format!("it is written `{meant}`")),
            _ => {
                Err("there is no such setting; `--help` shows them all, with dashes before".into())
            }
        },
    }
}

/// Returns the flags that conflict with this one.
fn rivals(command: &Command, arg: &Arg) -> Vec<Id> {
    let ids = |arg| command.get_arg_conflicts_with(arg).into_iter().map(|rival| rival.get_id());
    let mut rivals: Vec<Id> = ids(arg).cloned().collect();
    let others = command.get_arguments().filter(|other| ids(other).any(|id| id == arg.get_id()));
    rivals.extend(others.map(|other| other.get_id().clone()));
    rivals
}

fn was_said(said: &ArgMatches, id: &Id) -> bool {
    let source = said.value_source(id.as_str());
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

fn was_said_here(said: &ArgMatches, id: &Id) -> bool {
    said.value_source(id.as_str()) == Some(ValueSource::CommandLine)
}

/// Parses a value with the flag's own parser.
fn check(command: &Command, key: &str, value: &OsStr) -> Result<ArgMatches, String> {
    let mut flag = OsString::from(format!("--{key}="));
    flag.push(value);
    let arguments = [OsString::from(command.get_name()), flag];
    command.clone().try_get_matches_from(arguments).map_err(|error| reason(&error))
}

/// Returns the message of a usage error without the flag's name, since the caller names the key.
fn reason(error: &clap::Error) -> String {
    if let Some(why) = error.source() {
        return why.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            format!("expected one of {}", valid.join(", "))
        }
        _ => {
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            match line.split_once(": ") {
                Some((flag, why)) if flag.starts_with("--") => why.to_owned(),
                _ => line.to_owned(),
            }
        }
    }
}

fn with_defaults(command: Command, values: &Values) -> Command {
    command.mut_args(|arg| match values.get(arg.get_id()).cloned() {
        Some(value) => arg.default_value(value),
        None => arg,
    })
}
