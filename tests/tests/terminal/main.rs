//! The line client at a real terminal: the tests send keys and read the screen. The peers are other processes.
//!
//! No test sleeps in order to wait. Each step waits for the text that it needs, and fails with the screen if that
//! does not come.
//!
//! * `first_run`, `account`, `prompt`, `keys`, `input`, `tall`, `wide`, `looks`, `themes`, `warnings` – the visible
//!   behaviour
//! * `found` – servers that announce themselves on the local network
//! * `full`, `full_keys` – the full screen
//! * `history` – the history, at the prompt and in the full screen
//! * `flood` – a peer that sends faster than the terminal displays
//! * `stops`, `gone` – Ctrl+Z and `fg`, and a terminal that is closed
//! * `groups` – groups
//! * `files` – files
//! * `make_chat` – the script of `make chat` and `make stop`
//! * `console` – the server's operator, at a terminal
//! * `safety` – text that could control a terminal, over every channel
//! * [`hostile`] – such text
//! * [`pretender`] – a server that sends it

#![allow(clippy::unwrap_used)]

mod account;
mod console;
mod files;
mod first_run;
mod flood;
mod found;
mod full;
mod full_keys;
mod gone;
mod groups;
mod history;
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
