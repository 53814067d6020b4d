//! What goes wrong in the world, done to real processes, and what must hold meanwhile.
//!
//! `make test` plays each fault in a short form, `make chaos` in full, one after the other, and
//! makes a table of what it saw: docs/OPERATING.md has one. Chance is drawn from a seed, which is
//! printed; `CHAOS_SEED=n make chaos` draws the same again.
//!
//! * `floods` – lines, sign-ups and wrong passwords without end
//! * `forged` – datagrams that are no client's, or come again
//! * [`form`] – how long and how hard, and the table
//! * [`honest`] – what people who do no harm notice meanwhile
//! * [`members`] – accounts made beforehand, and lean clients for them
//! * `silent` – connections that say nothing
//! * `slow_readers` – members that stop reading
//! * `termination` – SIGTERM, again and again

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../processes/client.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod client;
mod floods;
mod forged;
mod form;
mod honest;
mod members;
#[path = "../../../bench/src/pace.rs"]
mod pace;
#[path = "../processes/programs.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod programs;
#[path = "../processes/relay.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod relay;
#[path = "../processes/server.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod server;
mod silent;
mod slow_readers;
mod termination;
#[path = "../processes/typist.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod typist;
