//! Counters since the start.

use super::{Effect, Input, Record};

/// The counters of the hub's inputs and effects. They affect no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Accepted connections.
    pub connections: u64,
    /// Connections that were refused because all places were taken.
    pub turned_away: u64,
    /// Created accounts.
    pub sign_ups: u64,
    /// Successful logins, reconnects included.
    pub logins_accepted: u64,
    /// Logins with a wrong password or key, or of a banned account.
    pub logins_refused: u64,
    /// Broadcasts that were delivered.
    pub broadcasts: u64,
    /// Posted envelopes of which at least one delivery was stored. A repeated POST does not count.
    pub envelopes_posted: u64,
    /// Envelopes that devices have acknowledged, each once for every device.
    pub envelopes_delivered: u64,
    /// Requests at which the store failed.
    pub store_failures: u64,
    /// Lines received over TCP.
    pub lines_heard: u64,
    /// Bytes sent to TCP connections, before TLS.
    pub bytes_sent: u64,
    /// Genuine datagrams received.
    pub datagrams_heard: u64,
    /// Datagrams sent, including lost ones.
    pub datagrams_sent: u64,
}

impl Tally {
    pub(super) fn count_input(&mut self, input: &Input) {
        match input {
            Input::Line { .. } => self.lines_heard += 1,
            Input::Datagram { .. } => self.datagrams_heard += 1,
            _ => {}
        }
    }

    pub(super) fn count_effects(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Send { bytes, .. } => self.bytes_sent += bytes.len() as u64,
                Effect::Datagram { to, .. } => self.datagrams_sent += to.len() as u64,
                Effect::Record(record) => self.count_record(record),
                _ => {}
            }
        }
    }

    fn count_record(&mut self, record: &Record) {
        let counter = match record {
            Record::Came { .. } => &mut self.connections,
            Record::TurnedAway { .. } => &mut self.turned_away,
            Record::SignedUp { .. } => &mut self.sign_ups,
            Record::LoggedIn { .. } => &mut self.logins_accepted,
            Record::LoginRefused { .. } => &mut self.logins_refused,
            Record::Broadcast { .. } => &mut self.broadcasts,
            Record::StoreFailed { .. } => &mut self.store_failures,
            _ => return,
        };
        *counter += 1;
    }
}
