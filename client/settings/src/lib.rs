//! The settings that all front ends share: on the command line, in the environment and in one settings file.
//!
//! * [`flags`] – the flags of a client, and its config
//! * [`notify`] – the events that notify the user
//! * [`file`] – changes of the settings file
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod file;
pub mod flags;
pub mod notify;
