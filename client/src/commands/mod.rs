//! Everything that a user can do: a file for each command, and a line of the table.

use crate::command::Command;

pub(crate) mod approve;
mod block;
pub(crate) mod broadcast;
mod cancel;
pub(crate) mod connect;
pub(crate) mod deny;
pub(crate) mod detach;
pub(crate) mod disconnect;
pub(crate) mod help;
pub(crate) mod leave;
mod list;
pub(crate) mod login;
mod passwd;
pub(crate) mod plugin;
pub(crate) mod quit;
pub(crate) mod say;
pub(crate) mod signup;
mod status;
pub(crate) mod switch;
mod trust;
mod verify;
mod watch;

/// All commands, in the order of help.
pub static TABLE: &[&Command] = &[
    &help::COMMAND,
    &status::COMMAND,
    &signup::COMMAND,
    &login::COMMAND,
    &passwd::COMMAND,
    &leave::COMMAND,
    &list::COMMAND,
    &watch::COMMAND,
    &connect::COMMAND,
    &approve::COMMAND,
    &deny::COMMAND,
    &cancel::COMMAND,
    &say::COMMAND,
    &switch::COMMAND,
    &disconnect::COMMAND,
    &detach::COMMAND,
    &broadcast::COMMAND,
    &verify::COMMAND,
    &trust::COMMAND,
    &block::COMMAND,
    &plugin::COMMAND,
    &quit::COMMAND,
];
