//! What Let's Chat says on the wire.
//!
//! * [`frame`] – the one frame on TCP, incremental decoder and encoder
//! * [`dialogue`] – client and server: requests, replies, notices
//! * [`code`] – the reply codes and their stable names
//! * [`peer`] – client and client: calls, approval, numbered messages
//! * [`message_id`] – the names of messages
//! * [`datagram`] – sealed UDP and its replay window
//! * [`open_room`] – the open room over UDP, which has nothing to do with all of these
//! * [`identity`] – keys, fingerprints, login signatures, safety numbers
//! * `tls` – with the feature `tls`: whose key is accepted, what both ends export
//! * [`clock`] – the time as a value
//! * [`username`], [`password`] – what is accepted at sign-up
//! * [`printable`] – text from elsewhere, made safe for a terminal or a log
//! * [`text`] – what programs put before a text
//! * [`rows`] – the same broken into rows, so that none looks like a line of its own
//! * [`limits`] – every bound that both sides agree on
//!
//! Deliberately absent: sockets, clocks, async, and anything that knows of a server's or client's
//! state.
//!
#![doc = include_str!("../../docs/PROTOCOL.md")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod code;
pub mod datagram;
pub mod dialogue;
pub mod frame;
pub mod identity;
pub mod limits;
pub mod message_id;
pub mod open_room;
pub mod password;
pub mod peer;
pub mod printable;
pub mod rows;
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;
pub mod username;
