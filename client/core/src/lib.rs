//! The core of a client of Let's Chat: what it knows and decides, as a value.
//!
//! * [`session`] – takes an input and the time, returns effects
//! * [`conversation`] – targets of messages, ways to them, and what becomes of a message
//! * [`codes`] – stable words: failure codes, notice codes, reasons
//! * [`event`] – what is told unasked, under the same names everywhere
//! * [`failure`] – why a request failed, as data
//! * [`view`] – what every front end shows, kept by events alone
//! * [`watermark`] – which sequence numbers have come
//! * [`notice`] – what a `notice` event reports, as data
//! * [`crowd`] – which stranger gives way when all places are taken
//!
//! Deliberately absent: sockets, files, clocks and tasks. No dependency has any.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod codes;
pub mod conversation;
pub mod crowd;
pub mod event;
pub mod failure;
pub mod notice;
pub mod session;
pub mod view;
pub mod watermark;
