//! What goes wrong in the world, done to real processes, and what must hold meanwhile.
//!
//! `make test` plays each fault in a short form, `make chaos` in full, one after the other, and
//! makes a table of what it saw: docs/OPERATING.md has one. Chance is drawn from a seed, which is
//! printed; `CHAOS_SEED=n make chaos` draws the same again.
//!
//! * `rough_network` – datagrams are lost, doubled and reordered
//! * `cut_chats` – a chat's link is cut again and again
//! * `kills` – SIGKILL at any moment
//! * `termination` – SIGTERM, again and again
//! * `databases` – a database hangs, dies and comes back
//! * `disk_full` – the disk of the SQLite file is full
//! * `descriptors` – there are none left
//! * `clocks` – the wall clock is set
//! * `silent` – connections that say nothing
//! * `slow_readers` – members that stop reading
//! * `floods` – lines, sign-ups and wrong passwords without end
//! * `login_timing` – whether a refused login takes longer for a name that exists
//! * `forged` – datagrams that are no client's, or come again
//! * [`honest`] – what people who do no harm notice meanwhile
//! * [`members`] – accounts made beforehand, and lean clients for them

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod clocks;
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
