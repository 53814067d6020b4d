//! The commands: a file for each, and a table with a line for each.

use crate::command::Command;

mod approve;
mod block;
mod broadcast;
mod cancel;
mod connect;
mod deny;
mod detach;
mod device;
mod devices;
mod disconnect;
mod file;
mod files;
mod group;
mod groups;
mod help;
mod history;
mod leave;
mod list;
mod login;
mod passwd;
mod plugin;
mod quit;
mod recover;
mod say;
mod send;
mod signup;
mod status;
mod switch;
mod trust;
mod verify;
mod watch;

/// All commands, in the order of the help.
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
    &send::COMMAND,
    &say::COMMAND,
    &switch::COMMAND,
    &disconnect::COMMAND,
    &detach::COMMAND,
    &broadcast::COMMAND,
    &verify::COMMAND,
    &trust::COMMAND,
    &block::COMMAND,
    &files::COMMAND,
    &file::COMMAND,
    &groups::COMMAND,
    &group::COMMAND,
    &history::COMMAND,
    &devices::COMMAND,
    &device::COMMAND,
    &recover::COMMAND,
    &plugin::COMMAND,
    &quit::COMMAND,
];
