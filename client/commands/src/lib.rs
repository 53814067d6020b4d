//! The commands of Let's Chat, and all text for its users.
//!
//! * [`command`] – commands as data, and the dispatcher that every front end uses
//! * [`commands`] – the table: a file for each command
//! * [`arguments`] – parameters, and their values from a typed line or a JSON object
//! * [`extension`] – commands and filters that are added at run time
//! * [`passwords`] – passwords from a file or from the user
//! * [`render`] – replies and events as text that is safe for a terminal
//! * [`appearance`] – kinds of text, and colours of people
//! * [`failure`], [`text`] – failures of commands, and the sentences for failures and events
//! * [`file_access`] – the places where files may be read and written
//! * [`exit_status`] – exit statuses for failure codes
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod appearance;
pub mod arguments;
pub mod command;
pub mod commands;
pub mod exit_status;
pub mod extension;
pub mod failure;
pub mod file_access;
pub mod passwords;
pub mod render;
pub mod text;
