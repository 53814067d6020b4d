//! The hub's records as lines of the log.
//!
//! Names and addresses need no escaping: their types hold only printable characters.

use std::fmt;
use std::net::SocketAddr;

use letschat_protocol::username::Username;
use tracing::{debug, error, info, warn};

use crate::hub::{ConnectionId, LeaveReason, LinkEnd, Record, Terms};

/// Writes a line. `peer_of` returns a connection's remote address.
pub(crate) fn write(record: &Record, peer_of: impl Fn(ConnectionId) -> Option<SocketAddr>) {
    let from = |connection: &ConnectionId| Origin(*connection, peer_of(*connection));
    match record {
        Record::Came { connection, peer } => {
            info!("connection {} came from {peer}", connection.0);
        }
        Record::TurnedAway { connection } => {
            info!("all places are taken, turned away ({})", from(connection));
        }
        Record::SignedUp { connection, username } => {
            info!("{username} signed up ({})", from(connection));
        }
        Record::LoggedIn { connection, username, by } => {
            info!("{username} logged in by {by} ({})", from(connection));
        }
        Record::LoginRefused { connection, peer, code } => {
            warn!("a login was refused: {code} ({})", Origin(*connection, Some(*peer)));
        }
        Record::PasswordChanged { username } => info!("{username} changed the password"),
        Record::PasswordNotChanged { username } => {
            warn!("the session of {username} gave a wrong password");
        }
        Record::DevicesChanged { username, number } => {
            info!("{username} changed the devices: list {number}");
        }
        Record::Asked { username, verb } => info!("{username} asked: {verb}"),
        Record::Introduced { username, to } => info!("{username} was introduced to {to}"),
        Record::Relayed { username, to } => info!("{username} is relayed to {to}"),
        Record::Broadcast { username, number, recipients } => {
            info!("{username} broadcast number {number} to {recipients}");
        }
        Record::Posted { username, to, others, bytes, outcome } => {
            let (to, outcome) = (Recipients(to, *others), outcome.name());
            info!("{username} -> {to}, 1 envelope, {bytes} bytes, {outcome}");
        }
        Record::Datagrams { username, work: true } => debug!("datagrams reach {username}"),
        Record::Datagrams { username, work: false } => {
            debug!("datagrams do not reach {username} any more");
        }
        Record::Left { connection, username: Some(username), why } => {
            info!("{username} left: {} ({})", Reason(*why), from(connection));
        }
        Record::Left { connection, username: None, why } => {
            info!("ended without a login: {} ({})", Reason(*why), from(connection));
        }
        Record::StoreFailed { what } => error!("the store could not {what}"),
        Record::Server { server, is_there: true } => info!("server {server} is there"),
        Record::Server { server, is_there: false } => warn!("server {server} is gone"),
        Record::OtherTerms { server, own, others } => {
            let (own, others) = (Agreed(own), Agreed(others));
            warn!("server {server} has other settings: {others}, here {own}");
        }
        Record::Said => info!("the operator spoke to everybody"),
    }
}

/// A connection with its remote address: `connection 12 from 10.0.0.5:51234`.
struct Origin(ConnectionId, Option<SocketAddr>);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0.0)?;
        match self.1 {
            Some(peer) => write!(f, " from {peer}"),
            None => Ok(()),
        }
    }
}

/// The recipients of an envelope: `bob, carol, dave and 157 others`.
struct Recipients<'a>(&'a [Username], usize);

impl fmt::Display for Recipients<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            let before = if place == 0 { "" } else { ", " };
            write!(f, "{before}{name}")?;
        }
        match self.1 {
            0 => Ok(()),
            1 => f.write_str(" and 1 other"),
            others => write!(f, " and {others} others"),
        }
    }
}

/// The settings that servers of a cluster share, by the names of their flags.
struct Agreed<'a>(&'a Terms);

impl fmt::Display for Agreed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { places, retention_ms, mail_retention_ms } = self.0;
        let (seconds, days) = (retention_ms / 1_000, mail_retention_ms / 86_400_000);
        write!(f, "--places {places} --retention-seconds {seconds} --mail-retention-days {days}")
    }
}

struct Reason(LeaveReason);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            LeaveReason::Quit => "said QUIT",
            LeaveReason::Met => "its meeting is over",
            LeaveReason::Evicted => "made room for newer connections",
            LeaveReason::Link(LinkEnd::Ended) => "hung up",
            LeaveReason::Link(LinkEnd::Failed) => "the link failed",
            LeaveReason::Link(LinkEnd::NotReading) => "did not read what was sent",
            LeaveReason::Closed(closing) => return write!(f, "closed, {}", closing.name()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_named_and_the_rest_is_counted() {
        let names = ["bob", "carol", "dave"].map(|name| name.parse().unwrap());
        for (named, others, line) in [
            (1, 0, "bob"),
            (2, 0, "bob, carol"),
            (3, 1, "bob, carol, dave and 1 other"),
            (3, 157, "bob, carol, dave and 157 others"),
        ] {
            assert_eq!(Recipients(&names[..named], others).to_string(), line);
        }
    }
}
