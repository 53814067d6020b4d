//! The state and the counters of the server for its monitoring.

use std::collections::BTreeMap;

use letschat_protocol::clock::Now;
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Outcome};

use super::cluster::Cluster;
use super::operator::Occupancy;
use super::{Effect, Hub, LeaveReason, LinkEnd, Record, Tally};
use crate::store::mailbox::{MailRequest, MailboxUsage};
use crate::store::{StoreRequest, Unavailable};

/// The longest wait for the store. The other parts of a report are of use without it.
const STORE_MS: u64 = 2_000;

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

/// Counters by a word of the program's own, each from 0 on. Nothing that somebody else names is among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Refused logins, by the name of the code.
    pub refused_logins: BTreeMap<&'static str, u64>,
    /// Connections that ended, by the reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Posted envelopes, once for each outcome of their deliveries.
    pub envelopes: BTreeMap<&'static str, u64>,
    /// Broadcasts that were sent over TCP because a client has asked for them.
    pub replayed: u64,
}

impl Default for Counts {
    fn default() -> Counts {
        let zero = |word: &'static str| (word, 0);
        let refused = [Code::WrongPassword, Code::KeyRefused, Code::Banned].map(Code::name);
        let ended = [LeaveReason::Quit, LeaveReason::Met, LeaveReason::Evicted]
            .into_iter()
            .chain([LinkEnd::Ended, LinkEnd::Failed, LinkEnd::NotReading].map(LeaveReason::Link))
            .chain(Closing::ALL.iter().copied().map(LeaveReason::Closed));
        Counts {
            refused_logins: refused.into_iter().map(zero).collect(),
            ended: ended.map(LeaveReason::name).map(zero).collect(),
            envelopes: Outcome::ALL.iter().map(|outcome| zero(outcome.name())).collect(),
            replayed: 0,
        }
    }
}

/// The question of the monitoring.
#[derive(Debug, Default)]
pub(super) struct Measuring {
    /// The time at which it is answered without the store, on the boot clock.
    due_ms: Option<u64>,
    /// True while the store is asked.
    is_asked: bool,
}

impl Measuring {
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due_ms
    }
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
    /// Asks the store what waits there, unless it is being asked.
    pub(super) fn measure(&mut self, now: Now) {
        self.measuring.due_ms.get_or_insert(now.boot_ms + STORE_MS);
        if !std::mem::replace(&mut self.measuring.is_asked, true) {
            self.effects.push(Effect::Store(StoreRequest::Mail(MailRequest::Measure)));
        }
    }

    pub(super) fn measured(&mut self, now: Now, mailbox: Result<MailboxUsage, Unavailable>) {
        self.measuring.is_asked = false;
        // Otherwise the answer is late.
        if self.measuring.due_ms.take().is_some() {
            self.report(now, mailbox.ok());
        }
    }

    /// Reports without the store if that has not answered in time.
    pub(super) fn measuring_due(&mut self, now: Now) {
        if self.measuring.due_ms.take_if(|due_ms| *due_ms <= now.boot_ms).is_some() {
            self.report(now, None);
        }
    }

    fn report(&mut self, now: Now, mailbox: Option<MailboxUsage>) {
        let metrics = Metrics {
            version: env!("CARGO_PKG_VERSION"),
            up_ms: now.boot_ms.saturating_sub(self.started_ms),
            occupancy: self.occupancy(),
            sessions: self.everybody().count(),
            broadcasts_kept: self.log.kept(),
            relays: self.meetings.relays(),
            mailbox,
            servers: self.cluster.as_ref().map(Cluster::servers).map(|servers| servers.len()),
            tally: self.tally,
            counts: self.counts.clone(),
        };
        self.effects.push(Effect::Measured(Box::new(metrics)));
    }
}
