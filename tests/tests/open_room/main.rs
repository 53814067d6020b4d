//! The open room: real processes over loopback, and clients that are plain UDP sockets.
//!
//! * `relaying` – who gets what
//! * `noise` – garbage, clients that are gone, many at once
//! * `python` – a client of twenty lines, in another language
//! * `pipes` – `letschat open-room` without a terminal
//! * `prompt` – the same at a terminal
//! * `endings` – how the room starts and ends

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used)]

mod endings;
mod noise;
mod pipes;
mod prompt;
mod python;
mod relaying;
