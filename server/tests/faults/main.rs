//! What goes wrong in the world, done to real processes, and what must hold meanwhile.
//!
//! `make test` plays each fault in a short form, `make chaos` in full, one after the other, and
//! makes a table of what it saw: docs/OPERATING.md has one. Chance is drawn from a seed, which is
//! printed; `CHAOS_SEED=n make chaos` draws the same again.
//!
//! * [`form`] – how long and how hard, and the table
//! * `rough_network` – datagrams are lost, doubled and reordered
//! * `kills` – SIGKILL at any moment
//! * `termination` – SIGTERM, again and again
//! * `cut_chats` – a chat's link is cut again and again

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../processes/client.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod client;
mod cut_chats;
mod form;
mod kills;
#[path = "../processes/pair.rs"]
mod pair;
#[path = "../processes/programs.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod programs;
#[path = "../processes/relay.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod relay;
mod rough_network;
#[path = "../processes/server.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod server;
mod termination;
