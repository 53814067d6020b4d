//! The core of a client of Let's Chat: its knowledge and its decisions, as a pure state machine.
//!
//! * [`session`] – takes an input and the time, returns effects
//! * [`conversation`] – targets, ways and states of messages
//! * [`codes`] – stable words: failure codes, notice codes, reasons
//! * [`event`] – events, under the same names everywhere
//! * [`failure`] – reasons for which requests fail, as data
//! * [`mail`] – messages and keys that outlive a run
//! * [`files`] – offered files that outlive a run, and their transfers
//! * [`trust`] – the decision whether a server's key is trusted
//! * [`view`] – the client as a front end shows it, updated by events alone
//! * [`watermark`] – a record of received sequence numbers
//! * [`notice`] – the subjects of `notice` events, as data
//! * [`crowd`] – the stranger to evict when all places are taken
//!
//! Deliberately absent: sockets, files, clocks and tasks. No dependency has any.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod codes;
pub mod conversation;
pub mod crowd;
pub mod event;
pub mod failure;
pub mod files;
pub mod history;
pub mod mail;
pub mod notice;
pub mod session;
pub mod trust;
pub mod view;
pub mod watermark;
