//! Somebody who sits between two programs and does with what passes whatever they like: shows keys
//! of their own, drops, repeats, swaps, cuts and changes. It is always noticed, nothing altered is
//! ever shown or done, and in a chat nothing is lost or doubled.
//!
//! * [`records`] – sits on a TCP connection and handles TLS records
//! * [`datagrams`] – sits on the way of datagrams
//! * [`keys`] – ends TLS and begins it anew, with keys of their own
//! * `stalled` – front ends that are flooded, or that nobody reads
//! * `hostile_server` – is no server at all, and lies to a client
//! * `server_link`, `peer_link`, `swapped_keys`, `broadcasts` – what comes of it

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]

mod broadcasts;
mod datagrams;
mod hostile_server;
mod keys;
mod peer_link;
mod records;
mod server_link;
mod stalled;
mod swapped_keys;
