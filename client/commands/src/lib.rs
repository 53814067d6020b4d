//! The commands of Let's Chat, and everything that its users read.
//!
//! * [`command`] – a command as data, and the one dispatcher that every front end goes through
//! * [`commands`] – the table: a file for each command
//! * [`arguments`] – what a command takes, read from a typed line or a JSON object
//! * [`extension`] – commands and filters that are added while a client runs
//! * [`passwords`] – where a password comes from that was not given
//! * [`render`] – replies and events as text that is safe for a terminal
//! * [`failure`], [`text`] – a failed command, and the sentences for failures and events
//! * [`exit_status`] – what a failure's code means to the shell
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod arguments;
pub mod command;
pub mod commands;
pub mod exit_status;
pub mod extension;
pub mod failure;
pub mod passwords;
pub mod render;
pub mod text;
