//! The open room: real processes over loopback, and clients that are plain UDP sockets.
//!
//! * `relaying` – the receivers of each text
//! * `noise` – invalid datagrams, clients that are gone, many datagrams at once
//! * `python` – a client of twenty lines, in another language
//! * `pipes` – `letschat open-room` without a terminal
//! * `prompt` – `letschat open-room` at a terminal
//! * `endings` – the start and the end of the room

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used)]

mod endings;
mod noise;
mod pipes;
mod prompt;
mod python;
mod relaying;
