//! Client and server over TCP: requests, replies, and notices that nobody asked for.
//!
//! * `request` – what a program asks, and the proof that it brings to a login
//! * `reply` – codes and lines in answer; whom a list and an introduction name
//! * `notice` – what the server says unasked, and why it closes
//! * `assembly` – frames of the server put together again, for a client
//!
//! The types are the reference: each is written and read in one place, and the two are inverse.
//! What a person types by hand is read by the server itself, more leniently.

mod assembly;
mod notice;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use assembly::{FromServer, NotAReply, ReplyAssembler};
pub use notice::{Broadcast, Closing, Notice};
pub use reply::{Introduction, Listed, Reply, SessionId, Welcome};
pub use request::{Credentials, Request, RequestError, Secret, USAGE};

/// The version word of `HELLO` that makes a session a program's.
pub const PROGRAM: &str = "letschat/1";
