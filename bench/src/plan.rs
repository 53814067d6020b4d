//! The sizes and durations of the whole form, the quick form and the smoke test.

use std::time::Duration;

use letschat_protocol::limits::UDP_KEEPALIVE_MS;

const KEEPALIVE: Duration = Duration::from_millis(UDP_KEEPALIVE_MS);

/// The sizes and durations of the measurements.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// `full`, `quick` or `smoke`.
    pub(crate) form: &'static str,
    /// The sizes of the crowds, ascending.
    pub(crate) crowds: Vec<usize>,
    /// The time that clients are idle before the server's memory is read.
    pub(crate) settling: Duration,
    /// The time that an idle server is observed: whole rounds of keep-alives, since clients that logged in
    /// together send them together.
    pub(crate) idle: Duration,
    /// The number of alternating measurements of a server and its baseline.
    pub(crate) turns: usize,
    /// The number of broadcasts in one turn of the server, 20 a second.
    pub(crate) stream: usize,
    /// The number of broadcasts that no other follows soon.
    pub(crate) isolated: usize,
    /// The number of broadcasts whose delivery time is measured.
    pub(crate) delays: usize,
    /// The downtime of the server before all clients return.
    pub(crate) away: Duration,
    /// The time for which passwords are compared, by the server and without it.
    pub(crate) hashing: Duration,
    /// The number of other logged-in clients, and of names on the page that they request.
    pub(crate) listed: usize,
    /// The number of round trips.
    pub(crate) round_trips: usize,
    /// The number of messages in one direction.
    pub(crate) messages: usize,
    /// The number of starts of the client.
    pub(crate) starts: usize,
}

impl Plan {
    /// Returns the form for which the targets are set. It takes at most ten minutes.
    pub(crate) fn full() -> Plan {
        Plan {
            form: "full",
            crowds: vec![50, 1_000, 5_000],
            settling: Duration::from_secs(60),
            idle: KEEPALIVE * 2,
            turns: 5,
            stream: 100,
            isolated: 8,
            delays: 200,
            away: Duration::from_secs(3),
            hashing: Duration::from_secs(10),
            listed: 100,
            round_trips: 10_000,
            messages: 1_000_000,
            starts: 20,
        }
    }

    /// Returns a smaller form, which takes at most one minute.
    pub(crate) fn quick() -> Plan {
        Plan {
            form: "quick",
            crowds: vec![100, 1_000],
            settling: Duration::from_secs(1),
            idle: KEEPALIVE,
            turns: 1,
            stream: 40,
            isolated: 1,
            delays: 40,
            away: Duration::from_secs(1),
            hashing: Duration::from_secs(2),
            listed: 100,
            round_trips: 2_000,
            messages: 200_000,
            starts: 5,
        }
    }

    /// Returns a form of a few seconds, also for unoptimised programs.
    pub(crate) fn smoke() -> Plan {
        Plan {
            form: "smoke",
            crowds: vec![4, 12],
            settling: Duration::from_millis(100),
            idle: Duration::from_millis(300),
            turns: 1,
            stream: 6,
            isolated: 1,
            delays: 4,
            away: Duration::ZERO,
            hashing: Duration::from_millis(800),
            listed: 8,
            round_trips: 20,
            messages: 1_000,
            starts: 1,
        }
    }

    /// Returns the size of the largest crowd.
    pub(crate) fn largest(&self) -> usize {
        self.crowds.last().copied().unwrap_or_default()
    }

    /// Returns the number of the baseline's rounds in one of its turns. Each round sends one
    /// datagram to each client.
    pub(crate) fn bare_rounds(&self) -> usize {
        (self.stream / 4).max(1)
    }

    /// Returns the plan with one crowd of this size.
    pub(crate) fn with_crowd(self, clients: usize) -> Plan {
        Plan { crowds: vec![clients], ..self }
    }

    /// Returns true for a crowd that only shows how figures grow. The targets are set for large
    /// ones.
    pub(crate) fn is_small(&self, clients: usize) -> bool {
        clients < JUDGED_CLIENTS && clients < self.largest()
    }
}

/// The smallest crowd that is judged.
const JUDGED_CLIENTS: usize = 1_000;
