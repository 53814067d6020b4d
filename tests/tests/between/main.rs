//! An attacker between two programs, who shows other keys, or drops, repeats, swaps, cuts and alters
//! traffic. It is always noticed. Altered text is never shown or acted on, and a chat loses and doubles
//! nothing.
//!
//! * [`records`] – a relay on a TCP connection that alters TLS records
//! * [`datagrams`] – a relay that alters datagrams
//! * [`keys`] – a relay that ends TLS and starts it again with its own keys
//! * `stalled` – front ends that are flooded, or whose output nobody reads
//! * `hostile_server` – a server that lies to its client
//! * `server_link`, `peer_link`, `swapped_keys`, `broadcasts` – the effects on the programs

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
