//! What the server tells its monitoring: its state, and counters since the start.

use std::collections::BTreeMap;

use letschat_protocol::clock::Now;

use super::cluster::Cluster;
use super::operator::Occupancy;
use super::{Effect, Hub, LeaveReason, LinkEnd, Record, Tally};
use crate::store::mailbox::{MailRequest, MailboxUsage};
use crate::store::{StoreRequest, Unavailable};

/// The state of a server and its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The version of the program.
    pub version: &'static str,
    /// The time since the start, in milliseconds.
    pub up_ms: u64,
    /// The places taken and free. In a cluster the sessions of all servers take places.
    pub occupancy: Occupancy,
    /// The sessions at this server.
    pub sessions: usize,
    /// The number of broadcasts that can be replayed.
    pub broadcasts_kept: usize,
    /// The relays at this server.
    pub relays: usize,
    /// The envelopes that wait in the database, or `None` if it did not answer.
    pub mailbox: Option<MailboxUsage>,
    /// The other servers of the cluster that are there, or `None` without a cluster.
    pub servers: Option<usize>,
    /// Counters.
    pub tally: Tally,
    /// Counters by a word.
    pub counts: Counts,
}

/// Counters by a word of the program's own. Nothing that somebody else names is among them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Refused logins, by the name of the code.
    pub refused_logins: BTreeMap<&'static str, u64>,
    /// Connections that ended, by the reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Posted envelopes, once for each outcome of their deliveries.
    pub envelopes: BTreeMap<&'static str, u64>,
    /// Broadcasts that were sent over TCP because a client had missed them.
    pub repaired: u64,
}

impl Counts {
    pub(super) fn count_effects(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Record(record) = effect else { continue };
            let counter = match record {
                Record::LoginRefused { code, .. } => self.refused_logins.entry(code),
                Record::Left { why, .. } => self.ended.entry(why.name()),
                Record::Posted { outcome, .. } => self.envelopes.entry(outcome.name()),
                _ => continue,
            };
            *counter.or_default() += 1;
        }
    }
}

impl LeaveReason {
    fn name(self) -> &'static str {
        match self {
            LeaveReason::Quit => "quit",
            LeaveReason::Met => "met",
            LeaveReason::Evicted => "evicted",
            LeaveReason::Link(LinkEnd::Ended) => "hung_up",
            LeaveReason::Link(LinkEnd::Failed) => "failed",
            LeaveReason::Link(LinkEnd::NotReading) => "not_reading",
            LeaveReason::Closed(closing) => closing.name(),
        }
    }
}

impl Hub {
    /// Asks the store what it holds, unless it is being asked.
    pub(super) fn measure(&mut self) {
        if !std::mem::replace(&mut self.is_measuring, true) {
            self.effects.push(Effect::Store(StoreRequest::Mail(MailRequest::Measure)));
        }
    }

    pub(super) fn measured(&mut self, now: Now, mailbox: Result<MailboxUsage, Unavailable>) {
        self.is_measuring = false;
        let metrics = Metrics {
            version: env!("CARGO_PKG_VERSION"),
            up_ms: now.boot_ms.saturating_sub(self.started_ms),
            occupancy: self.occupancy(),
            sessions: self.everybody().count(),
            broadcasts_kept: self.log.kept(),
            relays: self.meetings.relays(),
            mailbox: mailbox.ok(),
            servers: self.cluster.as_ref().map(Cluster::servers).map(|servers| servers.len()),
            tally: self.tally,
            counts: self.counts.clone(),
        };
        self.effects.push(Effect::Measured(Box::new(metrics)));
    }
}
