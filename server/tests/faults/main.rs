//! What goes wrong in the world, done to real processes, and what must hold meanwhile.
//!
//! `make test` plays each fault in a short form, `make chaos` in full, one after the other, and
//! makes a table of what it saw: docs/OPERATING.md has one. Chance is drawn from a seed, which is
//! printed; `CHAOS_SEED=n make chaos` draws the same again.
//!
//! * [`form`] – how long and how hard, and the table
//! * `login_timing` – whether a refused login takes longer for a name that exists
//! * `termination` – SIGTERM, again and again

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../processes/client.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod client;
mod form;
mod login_timing;
#[path = "../processes/programs.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod programs;
#[path = "../processes/server.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod server;
mod termination;
#[path = "../processes/typist.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod typist;
