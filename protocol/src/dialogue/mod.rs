//! Client and server over TCP: requests, replies and notices.
//!
//! * `request` – requests of a program, and the credentials that it logs in with
//! * `reply` – answers with codes and lines; the entries of a list, and introductions
//! * `notice` – unsolicited notices, and the reasons for closing
//! * `devices` – device lists, and devices that want to be in one
//! * `meeting` – clients that meet in order to connect through NATs
//! * `mail` – envelopes: outcomes of a POST, keys, deliveries
//! * `assembly` – a client's assembly of the server's frames
//!
//! The types are the reference. Each is encoded and decoded in one place, and the two are inverse.
//! The server itself parses lines typed by hand, more leniently.

mod assembly;
mod devices;
mod mail;
mod meeting;
mod notice;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use assembly::{FromServer, NotAReply, ReplyAssembler};
pub use devices::{DeviceEntries, Enrolling, MAX_ENTRIES};
pub use mail::{AccountKeys, DeviceKeys, Mail, Outcome, Posted};
pub use meeting::{Candidates, Invitation, MeetingToken, NoToken};
pub use notice::{Broadcast, Closing, Notice};
pub use reply::{Introduction, Listed, Reply, SessionId, Welcome};
pub use request::{Credentials, Request, RequestError, Secret, USAGE};

/// The version word of `HELLO` that marks a session as a program's.
pub const PROGRAM: &str = "letschat/1";
