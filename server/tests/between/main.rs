//! Somebody who sits between two programs and does with what passes whatever they like: shows keys
//! of their own, drops, repeats, swaps, cuts and changes. It is always noticed, nothing altered is
//! ever shown or done, and in a chat nothing is lost or doubled.
//!
//! * [`records`] – sits on a TCP connection and handles TLS records
//! * [`datagrams`] – sits on the way of datagrams
//! * [`keys`] – ends TLS and begins it anew, with keys of their own
//! * [`rogue`] – a peer that is approved and then does as it likes
//! * `stalled` – front ends that are flooded, or that nobody reads
//! * `hostile_server` – is no server at all, and lies to a client
//! * `server_link`, `peer_link`, `swapped_keys`, `broadcasts` – what comes of it

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]

mod broadcasts;
#[path = "../processes/client.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod client;
mod datagrams;
#[path = "../faults/form.rs"]
#[allow(dead_code, reason = "the tests of faults need more of it")]
mod form;
mod hostile_server;
mod keys;
mod peer_link;
#[path = "../processes/programs.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod programs;
mod records;
mod rogue;
#[path = "../processes/server.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod server;
mod server_link;
mod stalled;
mod swapped_keys;
#[path = "../processes/typist.rs"]
#[allow(dead_code, reason = "the tests of the processes need more of it")]
mod typist;
