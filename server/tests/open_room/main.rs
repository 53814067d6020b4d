//! The open room: real processes over loopback, and clients that are plain UDP sockets.
//!
//! * [`room`] – a running room, and visitors with a socket each
//! * `relaying` – who gets what
//! * `noise` – garbage, clients that are gone, many at once
//! * `python` – a client of twenty lines, in another language
//! * `pipes` – `letschat open-room` without a terminal
//! * `prompt` – the same at a terminal
//! * `endings` – how the room starts and ends

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used)]

#[path = "../processes/client.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod client;
mod endings;
mod noise;
#[path = "../terminal/person.rs"]
#[allow(dead_code, reason = "the tests of terminals need more of it")]
mod person;
mod pipes;
#[path = "../processes/programs.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod programs;
mod prompt;
mod python;
mod relaying;
mod room;
#[path = "../processes/server.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod server;
