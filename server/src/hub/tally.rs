//! Counters since the start.

use serde::{Deserialize, Serialize};

use super::{Effect, Input, Record};

/// The counters of the hub's inputs and effects. They affect no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
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
    /// Broadcasts of this server's clients that were delivered.
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
    /// Adds the counters of another server.
    pub(super) fn add(&mut self, other: &Tally) {
        for (sum, more) in [
            (&mut self.connections, other.connections),
            (&mut self.turned_away, other.turned_away),
            (&mut self.sign_ups, other.sign_ups),
            (&mut self.logins_accepted, other.logins_accepted),
            (&mut self.logins_refused, other.logins_refused),
            (&mut self.broadcasts, other.broadcasts),
            (&mut self.envelopes_posted, other.envelopes_posted),
            (&mut self.envelopes_delivered, other.envelopes_delivered),
            (&mut self.store_failures, other.store_failures),
            (&mut self.lines_heard, other.lines_heard),
            (&mut self.bytes_sent, other.bytes_sent),
            (&mut self.datagrams_heard, other.datagrams_heard),
            (&mut self.datagrams_sent, other.datagrams_sent),
        ] {
            *sum += more;
        }
    }

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
            Record::StoreFailed { .. } => &mut self.store_failures,
            _ => return,
        };
        *counter += 1;
    }
}
