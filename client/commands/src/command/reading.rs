//! Parsing of typed lines and JSON objects into calls.

use serde_json::{Map, Value};

use super::{Asks, Call, Command, Rejection, Role};
use crate::arguments::{ArgumentError, Arguments, Parameter};
use crate::commands::TABLE;
use crate::failure::Failure;
use letschat_core::codes::FailureCode;

/// Parses a typed line. `/` starts a command anywhere. In a chat other lines are messages, and `//` starts
/// a message that begins with `/`.
pub fn parse_line(line: &str, in_chat: bool) -> Result<Call, Rejection> {
    let line = line.trim_end_matches(['\r', '\n']);
    let command = match line.trim_start().strip_prefix('/') {
        Some(text) if in_chat && text.starts_with('/') => return say(text),
        Some(command) => command,
        None if in_chat => return say(line),
        None => line,
    };
    let command = command.trim_start();
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let command = find(name)?;
    let arguments = match (command.asks, rest.trim()) {
        // The dispatcher asks for the text.
        (Asks::Text(..), "") => Ok(Arguments::default()),
        _ => Arguments::from_line(command.parameters, rest),
    };
    arguments
        .map(|arguments| Call::new(command, arguments))
        .map_err(|error| misused(command, &error))
}

/// Returns true if a `/` makes this line a command.
pub(super) fn is_marked(line: &str) -> bool {
    line.trim_start().strip_prefix('/').is_some_and(|rest| !rest.starts_with('/'))
}

/// Returns true for words that an alias would send to everybody: `all right, then` may be meant for the peer.
pub(super) fn is_said_by_alias(line: &str) -> bool {
    let (name, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let to_everybody = |command: &&Command| command.says.is_some() && command.chat.is_none();
    let command = find(name).ok().filter(to_everybody);
    !rest.is_empty() && command.is_some_and(|command| !command.name.eq_ignore_ascii_case(name))
}

pub(super) fn needs_a_slash() -> Rejection {
    let why = "This was sent to nobody. To tell everybody, begin with a `/`.";
    Rejection { command: None, failure: Failure::new(FailureCode::UnknownCommand, why) }
}

/// Parses a command and the `arguments` of a JSON object.
pub fn parse_object(name: &str, arguments: &Map<String, Value>) -> Result<Call, Rejection> {
    let command = find(name)?;
    let arguments = Arguments::from_object(command.parameters, arguments);
    arguments
        .map(|arguments| Call::new(command, arguments))
        .map_err(|error| misused(command, &error))
}

fn say(text: &str) -> Result<Call, Rejection> {
    let command = Command::of(Role::Say);
    let arguments = Arguments::from_line(command.parameters, text);
    arguments
        .map(|arguments| Call::new(command, arguments))
        .map_err(|error| misused(command, &error))
}

/// Finds a command by name or alias, ignoring case.
pub fn find(name: &str) -> Result<&'static Command, Rejection> {
    let is_it = |word: &&str| word.eq_ignore_ascii_case(name);
    let found =
        TABLE.iter().find(|command| is_it(&command.name) || command.aliases.iter().any(is_it));
    found.copied().ok_or_else(|| Rejection {
        command: None,
        failure: Failure::new(
            FailureCode::UnknownCommand,
            "There is no such command; `/help` lists them.",
        ),
    })
}

pub(super) fn misused(command: &'static Command, error: &ArgumentError) -> Rejection {
    let what = match error {
        ArgumentError::Missing(Parameter { question, .. }) if !question.is_empty() => {
            (*question).to_owned()
        }
        ArgumentError::Unknown { name, takes } => {
            format!("`{}` takes no `{name}`; it takes {takes}.", command.name)
        }
        error => format!("{}: {error}.", command.name),
    };
    let message = format!("{what} Usage: {}; for example: {}", command.usage(), command.example);
    Rejection { command: Some(command), failure: Failure::new(FailureCode::BadArguments, message) }
}
