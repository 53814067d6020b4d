//! The sizes and durations of the whole form, the quick form and the smoke test.

use std::time::Duration;

use letschat_protocol::limits::UDP_KEEPALIVE_MS;

const KEEPALIVE: Duration = Duration::from_millis(UDP_KEEPALIVE_MS);

/// The sizes and durations of the measurements.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// `full`, `quick` or `smoke`.
    pub(crate) form: &'static str,
    /// Crowds of so many clients, from small to large.
    pub(crate) crowds: Vec<usize>,
    /// The devices of each account, all of which are clients.
    pub(crate) devices: usize,
    /// The time that clients are idle before the server's memory is read.
    pub(crate) settling: Duration,
    /// The time that an idle server is observed: whole rounds of keep-alives, since clients that logged in
    /// together send them together.
    pub(crate) idle: Duration,
    /// The number of alternating measurements of a server and its baseline.
    pub(crate) turns: usize,
    /// The broadcasts in one of the server's turns, 20 a second.
    pub(crate) stream: usize,
    /// Broadcasts that nobody follows up.
    pub(crate) isolated: usize,
    /// Broadcasts whose way to the last client is timed.
    pub(crate) delays: usize,
    /// The downtime of the server before all clients return.
    pub(crate) away: Duration,
    /// The time for which passwords are compared, by the server and without it.
    pub(crate) hashing: Duration,
    /// Clients that are logged in meanwhile, and the names on the page that they ask for.
    pub(crate) listed: usize,
    /// Messages there and back.
    pub(crate) round_trips: usize,
    /// Messages one way.
    pub(crate) messages: usize,
    /// Messages in envelopes to somebody online, in each turn.
    pub(crate) sends: usize,
    /// Envelopes that each client of a crowd posts, in each turn.
    pub(crate) envelopes: usize,
    /// Kept envelopes of each of ten senders for somebody who returns.
    pub(crate) kept: usize,
    /// Starts of the client.
    pub(crate) starts: usize,
    /// Keys that are typed into the full screen.
    pub(crate) keys: usize,
    /// The messages in the window.
    pub(crate) window: usize,
    /// The messages of a history.
    pub(crate) history: usize,
    /// The clients of a class.
    pub(crate) class: usize,
    /// Pairs of clients that the server relays.
    pub(crate) relays: usize,
    /// The sizes of a group.
    pub(crate) group: GroupSizes,
    /// The size of a file.
    pub(crate) file_bytes: u64,
}

/// The sizes of a group and of its conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupSizes {
    /// The members, with the founder.
    pub(crate) members: usize,
    /// Messages whose way to the last member is timed.
    pub(crate) messages: usize,
    /// Members who go away. At least one other member stays with the founder.
    pub(crate) away: usize,
    /// Messages that are said meanwhile.
    pub(crate) kept: usize,
}

impl Plan {
    /// The form that the bars are set for; at most ten minutes.
    pub(crate) fn full() -> Plan {
        Plan {
            form: "full",
            crowds: vec![50, 1_000, 5_000],
            devices: 1,
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
            sends: 40,
            envelopes: 15,
            kept: 200,
            starts: 20,
            keys: 400,
            window: 10_000,
            history: 1_000_000,
            class: 50,
            relays: 200,
            group: GroupSizes { members: 50, messages: 40, away: 10, kept: 100 },
            file_bytes: 2 << 30,
        }
    }

    /// The same with fewer and shorter; at most one minute.
    pub(crate) fn quick() -> Plan {
        Plan {
            form: "quick",
            crowds: vec![100, 1_000],
            devices: 1,
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
            sends: 40,
            envelopes: 10,
            kept: 200,
            starts: 5,
            keys: 100,
            window: 2_000,
            history: 50_000,
            class: 50,
            relays: 50,
            group: GroupSizes { members: 8, messages: 10, away: 4, kept: 20 },
            file_bytes: 256 << 20,
        }
    }

    /// A few seconds, also for programs that were not optimised.
    pub(crate) fn smoke() -> Plan {
        Plan {
            form: "smoke",
            crowds: vec![4, 12],
            devices: 1,
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
            sends: 4,
            envelopes: 3,
            kept: 3,
            starts: 1,
            keys: 5,
            window: 100,
            history: 1_000,
            class: 4,
            relays: 10,
            group: GroupSizes { members: 4, messages: 2, away: 2, kept: 5 },
            file_bytes: 3 << 20,
        }
    }

    /// The largest crowd.
    pub(crate) fn largest(&self) -> usize {
        self.crowds.last().copied().unwrap_or_default()
    }

    /// Rounds of the bare loop in one of its turns, a datagram to each client in each.
    pub(crate) fn bare_rounds(&self) -> usize {
        (self.stream / 4).max(1)
    }

    /// The same with several devices of each account.
    pub(crate) fn with_devices(self, devices: usize) -> Plan {
        Plan { devices, ..self }
    }

    /// The same with one crowd alone.
    pub(crate) fn with_crowd(self, clients: usize) -> Plan {
        Plan { crowds: vec![clients], ..self }
    }

    /// True if a crowd is only there to see how figures grow. The bars are set for large ones.
    pub(crate) fn is_small(&self, clients: usize) -> bool {
        clients < JUDGED_CLIENTS && clients < self.largest()
    }
}

/// Crowds of so many are judged.
const JUDGED_CLIENTS: usize = 1_000;
