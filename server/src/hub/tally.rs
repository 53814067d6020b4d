//! Counters since the start.

use super::{Effect, Input, Record};

/// Counts the hub's inputs and effects. It decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Connections that came.
    pub connections: u64,
    /// Connections that were turned away since all places were taken.
    pub turned_away: u64,
    /// Accounts that were made.
    pub sign_ups: u64,
    /// Logins that succeeded, reconnects included.
    pub logins_accepted: u64,
    /// Logins with a wrong password or key, or of a banned account.
    pub logins_refused: u64,
    /// Broadcasts that were sent to everybody.
    pub broadcasts: u64,
    /// Requests that the store could not carry out.
    pub store_failures: u64,
    /// Lines that were heard over TCP.
    pub lines_heard: u64,
    /// Bytes that were handed to TCP connections, before TLS.
    pub bytes_sent: u64,
    /// Genuine datagrams that were heard.
    pub datagrams_heard: u64,
    /// Datagrams that were sent, whether they arrived or not.
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
