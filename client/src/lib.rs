//! The client of Let's Chat, as a library: a [`Client`] that is asked by [`Request`](session::Request)s
//! and tells [`Event`](event::Event)s, and the commands and front ends on top of it.
//!
//! * [`session`] – what a client knows and decides, as a value: no sockets, no clock, no tasks
//! * [`event`] – what is told unasked, under the same names everywhere
//! * [`events`] – how a front end is told it, and confirms what it has displayed
//! * [`client`] – the handle: start, request, events, end
//! * `driver` – runs a session: inputs in, effects carried out, in order, on one thread
//! * `net` – thin tasks that move bytes: the server, peers, datagrams
//! * [`address`] – where a server is, as a user writes it
//! * `trust` – which server is the right one
//! * `account` – an account's folder: key, peers, position, lock
//! * `private_file` – files that are their owner's alone
//! * `settling` – polls until nothing more happens by itself
//! * `clock` – the only place where a clock is read
//! * `crowd` – which stranger gives way when all places are taken
//! * [`command`], [`arguments`], [`commands`] – the one table of commands, for people and programs
//! * [`passwords`] – where a password comes from that was not given
//! * [`frontend`] – a prompt at a terminal, plain lines, JSON lines
//! * [`lua`] – scripts and plugins, each in a sandbox on a thread of its own
//! * [`open_room`] – the client of an open room, which shares nothing with sessions and accounts
//! * [`config`] – flags, environment and settings file
//! * [`pages`] – the man page and completions, from the same declarations
//! * [`exit_status`] – what a failure's code means to the shell
//!
//! Deliberately absent: tokio, threads that share state with the session, unbounded queues, and
//! any knowledge of accounts' passwords beyond the request that carries one.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
pub mod address;
pub mod arguments;
pub mod client;
mod clock;
pub mod command;
pub mod commands;
pub mod config;
mod crowd;
mod driver;
pub mod event;
pub mod events;
pub mod exit_status;
pub mod frontend;
pub mod lua;
mod net;
pub mod open_room;
pub mod pages;
pub mod passwords;
mod private_file;
pub mod session;
mod settling;
mod trust;

pub use client::{Client, Config, Ended, StartError};
