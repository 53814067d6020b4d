//! Faults of the environment, caused for real processes, and the properties that must hold.
//!
//! `make test` runs each fault in a short form. `make chaos` runs them in full, one after the other, and
//! prints a table like that in docs/OPERATING.md. It prints its random seed; `CHAOS_SEED=n make chaos`
//! repeats a run.
//!
//! * `rough_network` – datagrams are lost, doubled and reordered
//! * `cut_chats` – a chat's link is cut again and again
//! * `kills` – SIGKILL at any moment
//! * `termination` – SIGTERM, repeatedly
//! * `databases` – a database hangs, dies and comes back
//! * `disk_full` – a full disk under the SQLite file
//! * `descriptors` – no free descriptors
//! * `clocks` – the wall clock is set
//! * `silent` – silent connections
//! * `slow_readers` – members that stop reading
//! * `floods` – endless lines, sign-ups and wrong passwords
//! * `login_timing` – the time of refused logins for known and unknown names
//! * `forged` – forged and replayed datagrams
//! * `clusters` – three servers as one service: killed, and cut off from the database or the bell
//! * [`crowd`] – users who broadcast and chat meanwhile
//! * [`honest`] – honest users during a fault
//! * [`members`] – accounts made in advance, and lightweight clients for them

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod clocks;
mod clusters;
mod crowd;
mod cut_chats;
mod databases;
mod descriptors;
mod disk_full;
mod floods;
mod forged;
mod honest;
mod kills;
mod login_timing;
mod members;
mod rough_network;
mod silent;
mod slow_readers;
mod termination;
mod without_server;
