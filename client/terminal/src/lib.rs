//! The program `letschat`: the front ends of a client at a terminal and behind pipes.
//!
//! * [`config`] – flags, environment and settings file
//! * [`frontend`] – a prompt at a terminal, plain lines, JSON lines
//! * `line_editor` – the input line at a terminal
//! * [`open_room`] – the client of an open room, which shares nothing with sessions and accounts
//! * [`pages`] – the man page and completions, from the same declarations
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod frontend;
mod line_editor;
pub mod open_room;
pub mod pages;
