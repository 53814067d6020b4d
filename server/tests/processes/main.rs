//! Real processes over loopback: `letschat-server` and `letschat --json`, started by the tests on
//! free ports, and people who type through a TLS client.
//!
//! Nothing here sleeps in order to wait: each step waits for what it needs to see, and fails with
//! all that was seen when that does not come.
//!
//! * [`programs`] – builds the programs and runs one of them
//! * [`server`] – a server in a folder of its own, to be stopped, killed and started again
//! * [`operator`] – the server's program with a subcommand, run to its end
//! * [`client`] – a client that is told commands and asked for events
//! * [`relay`] – stands between two programs and breaks the network
//! * [`pair`] – two people in a chat over a relay
//! * [`typist`] – a TLS connection by which lines are typed

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used)]

mod account;
mod bad_input;
mod broadcasts;
mod by_hand;
mod chats;
mod client;
mod console;
mod csv;
mod exit_statuses;
mod hang_up;
mod health;
mod idle;
mod install;
mod irregular_files;
mod late;
mod lost_database;
mod main_job;
mod operator;
mod output;
mod pair;
mod password_files;
mod passwords_and_blocks;
mod places;
mod programs;
mod refusals;
#[allow(dead_code, reason = "the tests of the faults need more of it")]
mod relay;
#[allow(dead_code, reason = "the tests of the faults need more of it")]
mod server;
mod settings;
mod start_failures;
mod typed;
#[allow(dead_code, reason = "the tests of the faults need more of it")]
mod typist;
