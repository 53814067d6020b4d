//! The line client at a real terminal: keys go in, and what a person would see is read off the
//! screen. The peers are other processes.
//!
//! Nothing here sleeps in order to wait: each step waits for what it needs to see, and fails with
//! the screen when that does not come.
//!
//! * `first_run`, `account`, `prompt`, `keys`, `input`, `tall`, `wide`, `looks`, `themes`, `warnings` – what a person
//!   would notice
//! * `flood` – a peer that sends faster than a terminal shows
//! * `stops`, `gone` – Ctrl+Z and `fg`, and a terminal that is closed
//! * `make_chat` – what `make chat` and `make stop` run
//! * `console` – the server's operator, at a terminal of their own
//! * `safety` – whatever could steer a terminal, from everybody who might say it
//! * [`hostile`] – what that is
//! * [`pretender`] – a server that says it

#![allow(clippy::unwrap_used)]

mod account;
mod console;
mod first_run;
mod flood;
mod gone;
mod hostile;
mod input;
mod keys;
mod looks;
mod make_chat;
mod pretender;
mod prompt;
mod rows;
mod safety;
mod stops;
mod tall;
mod themes;
mod warnings;
mod wide;
