//! The wire protocol of Let's Chat.
//!
//! * [`frame`] – the only frame on TCP, incremental decoder and encoder
//! * [`dialogue`] – client and server: requests, replies, notices
//! * [`code`] – the reply codes and their stable names
//! * [`peer`] – client and client: calls, approval, numbered messages
//! * [`message_id`] – the ids of messages
//! * [`prekey`] – the keys to which envelopes are sealed
//! * [`devices`] – the devices of an account, as a chain of signed changes
//! * [`groups`] – the members of a group, as their owner has signed them
//! * [`body`] – signed bodies, the content of envelopes
//! * [`files`] – files: names, chunks, hashes, and the lines of a link that carries one
//! * [`envelope`] – envelopes and their headers
//! * `sealing` – seals and opens envelopes (feature `tls`)
//! * [`datagram`] – sealed UDP and its replay window
//! * [`open_room`] – the open room over UDP, independent of all of these
//! * [`discovery`] – a server's announcement on the local network
//! * [`identity`] – keys, fingerprints, safety numbers
//! * [`signing`] – signatures, each for one purpose
//! * `tls` – TLS configs, verifiers and exported keys (feature `tls`)
//! * [`clock`] – the time as a value
//! * [`username`], [`password`] – the rules for new accounts
//! * [`printable`] – untrusted text, made safe for a terminal or a log
//! * [`text`] – byte order marks
//! * [`rows`] – untrusted text broken into rows, so that no row looks like a line of its own
//! * [`limits`] – all bounds that both sides share
//!
//! Deliberately absent: sockets, clocks, async, and any state of a server or client.
//!
#![doc = include_str!("../../docs/PROTOCOL.md")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod body;
pub mod clock;
pub mod code;
pub mod datagram;
pub mod devices;
pub mod dialogue;
pub mod discovery;
pub mod envelope;
mod fields;
pub mod files;
pub mod frame;
pub mod groups;
pub mod identity;
pub mod limits;
pub mod message_id;
pub mod open_room;
pub mod password;
pub mod peer;
pub mod prekey;
pub mod printable;
pub mod rows;
#[cfg(feature = "tls")]
pub mod sealing;
pub mod signing;
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;
pub mod username;
