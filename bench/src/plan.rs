//! The sizes and durations of a run: full, quick, or a smoke test.

use std::time::Duration;

use letschat_protocol::limits::UDP_KEEPALIVE_MS;

const KEEPALIVE: Duration = Duration::from_millis(UDP_KEEPALIVE_MS);

/// The sizes and durations of a run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// `full`, `quick` or `smoke`.
    pub(crate) form: &'static str,
    /// The sizes of the crowds, ascending.
    pub(crate) crowds: Vec<usize>,
    /// The time for which a crowd rests before the server's memory is read.
    pub(crate) settling: Duration,
    /// The time for which an idle server is measured. It covers whole rounds of keep-alives, since
    /// clients that arrived together send theirs together.
    pub(crate) idle: Duration,
    /// The length of the stream of broadcasts, at 20 a second.
    pub(crate) stream: usize,
    /// The number of isolated broadcasts.
    pub(crate) isolated: usize,
    /// The number of broadcasts whose delay to the last client is measured.
    pub(crate) delays: usize,
    /// The time for which the server is down before all clients return.
    pub(crate) away: Duration,
    /// The time for which passwords are compared, with the server and without it.
    pub(crate) hashing: Duration,
    /// The number of clients that are logged in meanwhile, which is also the length of the list.
    pub(crate) listed: usize,
    /// The number of messages sent there and back.
    pub(crate) round_trips: usize,
    /// The number of messages in one direction.
    pub(crate) messages: usize,
    /// The number of starts of the client.
    pub(crate) starts: usize,
}

impl Plan {
    /// Returns the plan of the targets. It takes at most ten minutes.
    pub(crate) fn full() -> Plan {
        Plan {
            form: "full",
            crowds: vec![50, 1_000, 5_000],
            settling: Duration::from_secs(60),
            idle: KEEPALIVE * 2,
            stream: 200,
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

    /// Returns a shorter plan. It takes at most one minute.
    pub(crate) fn quick() -> Plan {
        Plan {
            form: "quick",
            crowds: vec![100, 1_000],
            settling: Duration::from_secs(1),
            idle: KEEPALIVE,
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

    /// Returns a plan of a few seconds, also for unoptimised programs.
    pub(crate) fn smoke() -> Plan {
        Plan {
            form: "smoke",
            crowds: vec![4, 12],
            settling: Duration::from_millis(100),
            idle: Duration::from_millis(300),
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

    /// Returns the plan with a single crowd.
    pub(crate) fn with_crowd(self, clients: usize) -> Plan {
        Plan { crowds: vec![clients], ..self }
    }

    /// Returns true for a crowd that only shows how figures grow. The targets are for large ones.
    pub(crate) fn is_small(&self, clients: usize) -> bool {
        clients < JUDGED_CLIENTS && clients < self.largest()
    }
}

/// The smallest crowd that is compared with the targets.
const JUDGED_CLIENTS: usize = 1_000;
