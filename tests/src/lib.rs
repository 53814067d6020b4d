//! The kit of the tests that run real processes. It starts servers and clients and breaks their network.
//!
//! No test sleeps in order to wait. Each step waits for the output that it needs, and fails with all output
//! so far if that does not come.
//!
//! The suites are files and folders of `tests/`, for `cargo test -p letschat-tests --test NAME`:
//!
//! * `processes` – servers, clients and people who type, over loopback
//! * `terminal` – the client at a terminal, key by key
//! * `client` – the client without a server
//! * `classroom` – clients that join with an ID and two ports, and go on without the server
//! * `open_room` – the open room
//! * `lua` – scripts, bots, plugins and the demo
//! * `between` – an attacker between two programs who alters the traffic
//! * `faults` – crashes, floods, full disks, rough networks; `make chaos` runs them in full
//! * `store` – SQLite and MySQL
//! * `cluster` – several servers as one service
//! * `net` – the start, the refusals and the end of the server
//! * `readme`, `assignments`, `transcripts` – the documents, checked against the programs
//! * `sources` – rules for every source file
//!
//! Programs:
//!
//! * [`programs`] – builds and runs the programs
//! * [`server`] – a server in its own folder that can be stopped, killed and restarted
//! * [`operator`] – the server's program with a subcommand, run to its end
//! * [`room`] – an open room, and visitors with a socket each
//! * [`client`] – a client that takes commands and reports events
//! * [`person`] – a client in its own pseudo-terminal
//! * [`palette`] – the colours of terminals
//! * [`mysql_server`] – a database server for the tests
//! * [`cluster`] – several servers with a database and a bell in common
//! * [`desktop`] – a screen and a session bus
//!
//! Other ends of a connection:
//!
//! * [`typist`] – a TLS connection that sends and reads lines
//! * [`namespace`] – a Linux namespace of a test's own
//! * [`network`] – machines on a network of their own
//! * [`machine`] – a machine whose users type a document's commands
//! * [`relay`] – a relay between two programs that breaks the network
//! * [`pair`] – two people in a chat over a relay
//! * [`rogue`] – an approved peer that breaks the protocol
//!
//! Time, ports, results and files:
//!
//! * [`ports`] – free ports
//! * [`clock`] – a wall clock that tests set
//! * [`pace`] – steps at a steady pace
//! * [`form`] – the duration and intensity of the fault tests, and the table of `make chaos`
//! * [`project`] – the files of the project

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

pub mod client;
pub mod clock;
pub mod cluster;
mod deadline;
pub mod desktop;
pub mod form;
pub mod machine;
pub mod mysql_server;
pub mod namespace;
pub mod nat;
pub mod network;
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
