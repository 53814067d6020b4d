//! The kit of the tests that run real processes: it starts servers and clients, and breaks what is between them.
//!
//! Nothing here sleeps in order to wait: each step waits for what it needs to see, and fails with all that was seen
//! when that does not come.
//!
//! The suites are files and folders of `tests/`, for `cargo test -p letschat-tests --test NAME`:
//!
//! * `processes` – servers, clients and people who type, over loopback
//! * `terminal` – the client at a terminal, key by key
//! * `client` – the client where there is no server
//! * `open_room` – the open room
//! * `lua` – scripts, bots, plugins and the demo
//! * `between` – somebody who sits between two programs and alters what passes
//! * `faults` – crashes, floods, full disks, rough networks; `make chaos` plays them in full
//! * `store` – SQLite and MySQL
//! * `net` – how the server starts, refuses and ends
//! * `readme`, `assignments`, `transcripts` – the documents against the programs
//! * `sources` – rules for every source file
//!
//! Programs:
//!
//! * [`programs`] – builds the programs and runs one of them
//! * [`server`] – a server in a folder of its own, to be stopped, killed and started again
//! * [`operator`] – the server's program with a subcommand, run to its end
//! * [`room`] – an open room, and visitors with a socket each
//! * [`client`] – a client that is told commands and asked for events
//! * [`person`] – a client in a pseudo-terminal of its own
//! * [`palette`] – colours as terminals show them
//! * [`mysql_server`] – a database server to test with
//!
//! Other ends of a connection:
//!
//! * [`typist`] – a TLS connection by which lines are typed
//! * [`relay`] – stands between two programs and breaks the network
//! * [`pair`] – two people in a chat over a relay
//! * [`rogue`] – a peer that is approved and then does as it likes
//!
//! Time, ports, results and files:
//!
//! * [`ports`] – free ports
//! * [`pace`] – steps at a steady pace
//! * [`form`] – how long and how hard a fault is played, and the table of `make chaos`
//! * [`project`] – the files of the project

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

pub mod client;
mod deadline;
pub mod form;
pub mod mysql_server;
pub mod operator;
pub mod pace;
pub mod pair;
pub mod palette;
pub mod person;
pub mod ports;
pub mod programs;
pub mod project;
pub mod relay;
pub mod rogue;
pub mod room;
pub mod server;
pub mod typist;
