//! Environment variables. An empty one counts as unset, and one that conflicts with the command
//! line is ignored.

use std::collections::BTreeSet;
use std::env;

use clap::{ArgAction, ArgMatches, Command, Id};

use super::{FlagsError, check, rivals, was_said_here};

/// A command that reads only the effective variables.
pub(super) struct Counted {
    pub(super) command: Command,
    /// Switches that a variable turns off, whatever the settings file says.
    pub(super) off: BTreeSet<Id>,
}

/// Returns the command without its variables.
pub(super) fn without(command: Command) -> Command {
    command.mut_args(|arg| arg.env(None::<&'static str>))
}

/// Selects the effective variables. `said` is the parsed command line.
pub(super) fn counted(command: Command, said: &ArgMatches) -> Result<Counted, FlagsError> {
    let bare = without(command.clone());
    let mut counting: Vec<(Id, String)> = Vec::new();
    let mut off = BTreeSet::new();
    for arg in command.get_arguments() {
        let (Some(name), Some(long)) = (arg.get_env(), arg.get_long()) else { continue };
        let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) else { continue };
        let rivals = rivals(&command, arg);
        if rivals.iter().chain([arg.get_id()]).any(|id| was_said_here(said, id)) {
            continue;
        }
        let name = name.to_string_lossy().into_owned();
        let wrong = |reason| FlagsError::Variable { name: name.clone(), reason };
        let matches = check(&bare, long, &value).map_err(wrong)?;
        if is_switch(arg) && matches.get_one::<bool>(arg.get_id().as_str()) == Some(&false) {
            off.insert(arg.get_id().clone());
            continue;
        }
        if let Some((_, other)) = counting.iter().find(|(id, _)| rivals.contains(id)) {
            return Err(wrong(format!("it can't be combined with {other}")));
        }
        counting.push((arg.get_id().clone(), name));
    }
    let counts = |id: &Id| counting.iter().any(|(counting, _)| counting == id);
    let command = command.mut_args(|arg| match counts(arg.get_id()) {
        true => arg,
        false => arg.env(None::<&'static str>),
    });
    Ok(Counted { command, off })
}

/// Returns true for a flag without a value, whose action has been changed so that it can be turned
/// off.
fn is_switch(arg: &clap::Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set) && arg.get_default_values() == ["false"]
}
