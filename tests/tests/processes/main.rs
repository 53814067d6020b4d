//! Real processes over loopback: `letschat-server` and `letschat --json` on free ports, and people who type
//! through a TLS client.
//!
//! No test sleeps in order to wait. Each step waits for the output that it needs, and fails with all output
//! so far if that does not come.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used)]

mod account;
mod bad_input;
mod broadcasts;
mod by_hand;
mod chats;
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
mod metrics;
mod output;
mod password_files;
mod passwords_and_blocks;
mod places;
mod refusals;
mod settings;
mod start_failures;
mod typed;
mod upgrade;
