//! Runs a client of Let's Chat: a [`Client`] takes [`Request`](letschat_core::session::Request)s
//! and emits [`Event`](letschat_core::event::Event)s.
//!
//! * [`client`] – the handle: start, request, events, end
//! * [`events`] – events for a front end, and its confirmations
//! * [`address`] – the address of a server as a user writes it
//! * [`discovery`] – servers that announce themselves on the local network
//! * [`private_file`] – files that only their owner can read
//! * `driver` – runs the session: inputs in, effects carried out, in order, on one thread
//! * `files` – reads, sends and receives files, each on a thread
//! * `history` – the messages that this device keeps, sealed
//! * `mail_store` – the account's unsent messages, received numbers and prekeys
//! * `sqlite` – the files of a database, and its errors
//! * `net` – thin tasks that move bytes: the server, peers, datagrams
//! * `trust` – the check of the server's key
//! * [`account`] – an account's folder: key, peers, position, lock
//! * `settling` – coalesces self-wakes into one poll
//!
//! Deliberately absent: tokio, threads that share state with the session, queues without a bound,
//! and any knowledge of passwords beyond the request that carries one.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod address;
pub mod client;
pub mod discovery;
mod driver;
pub mod events;
mod files;
mod history;
mod mail_store;
mod net;
pub mod private_file;
mod settling;
mod sqlite;
mod trust;

pub use client::{Client, Config, Ended, HistoryConfig, StartError};
pub use net::server_link::probe;
