//! The faults of a world, their schedule, and how often each took effect.

use std::collections::BTreeMap;

use letschat_protocol::clock;

use crate::world::{Event, FAULTY_MS, LONG_AFTER_MS, Plan, World};

/// The fault rates of the network and the store. All chances are in percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) reordering: u64,
    pub(crate) latency_ms: u64,
    pub(crate) store_ms: u64,
    pub(crate) store_failure: u64,
    /// The time that a front end takes to display an event.
    pub(crate) display_ms: u64,
    /// Of the rings between servers.
    pub(crate) ring_loss: u64,
}

/// A fault of the simulation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    ServerDies(usize),
    /// The operator stops the server.
    ServerStops,
    ServerStarts(usize),
    /// A server is cut off from the database for this many milliseconds.
    DatabaseCut(usize, u64),
    ClientDies(usize),
    ServerLinkBreaks(usize),
    ServerLinkStalls(usize),
    PeerLinkBreaks,
    PeerLinkStalls,
    WallClockJumps(i64),
    AddressChanges(usize),
    /// A person's datagrams are dropped in both directions for this many milliseconds.
    DatagramsBlocked(usize, u64),
    Healing,
}

/// A fault that took effect: it hit a message, link, address, commit or clock. Knocks count as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hit {
    DatagramLost,
    DatagramDoubled,
    DatagramOvertaken,
    DatagramBlocked,
    DatagramToAnOldAddress,
    ServerDied,
    ClientDied,
    ServerLinkBroke,
    ServerLinkStalled,
    PeerLinkBroke,
    PeerLinkStalled,
    StoreFailed,
    ClockWentOnAnHour,
    ClockWentBackAnHour,
    ClockWentOnADay,
    ClockWentBackADay,
    /// A classroom's server stopped in order.
    ServerStopped,
    /// It knocked after a start, and the client dialled at once.
    KnockHelped,
    /// It knocked at the address of a client that was down.
    KnockRefused,
    /// A server was cut off from the database.
    DatabaseCut,
    /// A ring was lost.
    RingLost,
    /// A device had a session at each of two servers, one of which did not know better.
    LoggedInTwice,
}

impl Hit {
    /// All kinds outside of a classroom.
    pub(crate) const ALL: &[Hit] = &[
        Hit::DatagramLost,
        Hit::DatagramDoubled,
        Hit::DatagramOvertaken,
        Hit::DatagramBlocked,
        Hit::DatagramToAnOldAddress,
        Hit::ServerDied,
        Hit::ClientDied,
        Hit::ServerLinkBroke,
        Hit::ServerLinkStalled,
        Hit::PeerLinkBroke,
        Hit::PeerLinkStalled,
        Hit::StoreFailed,
        Hit::ClockWentOnAnHour,
        Hit::ClockWentBackAnHour,
        Hit::ClockWentOnADay,
        Hit::ClockWentBackADay,
    ];

    /// The kinds that matter to a classroom.
    pub(crate) const CLASSROOM: &[Hit] = &[
        Hit::ServerDied,
        Hit::ServerStopped,
        Hit::ClientDied,
        Hit::ServerLinkBroke,
        Hit::PeerLinkBroke,
        Hit::PeerLinkStalled,
        Hit::KnockHelped,
    ];

    /// The kinds that matter to a cluster.
    pub(crate) const CLUSTER: &[Hit] = &[
        Hit::ServerDied,
        Hit::ClientDied,
        Hit::ServerLinkBroke,
        Hit::ServerLinkStalled,
        Hit::StoreFailed,
        Hit::DatabaseCut,
        Hit::RingLost,
    ];

    /// The kinds that matter to a group.
    pub(crate) const GROUPS: &[Hit] = &[
        Hit::ServerDied,
        Hit::ClientDied,
        Hit::ServerLinkBroke,
        Hit::ServerLinkStalled,
        Hit::StoreFailed,
    ];
}

/// The number of times that each kind took effect in one world.
pub(crate) type Hits = BTreeMap<Hit, u64>;

const HOUR_MS: i64 = 60 * 60_000;
const DAY_MS: i64 = clock::DAY_MS.cast_signed();

/// The jumps of the wall clock in every faulty world.
const JUMPS: &[(i64, Hit)] = &[
    (HOUR_MS, Hit::ClockWentOnAnHour),
    (-HOUR_MS, Hit::ClockWentBackAnHour),
    (DAY_MS, Hit::ClockWentOnADay),
    (-DAY_MS, Hit::ClockWentBackADay),
];

impl Faults {
    pub(crate) fn draw(plan: Plan, random: &mut fastrand::Rng) -> Faults {
        if plan == Plan::FewPlaces {
            return Faults { latency_ms: 20, store_ms: 20, ..Faults::NONE };
        }
        Faults {
            loss: random.u64(0..35),
            duplication: random.u64(0..15),
            reordering: random.u64(0..30),
            latency_ms: random.u64(1..150),
            store_ms: random.u64(1..400),
            store_failure: random.u64(0..8),
            // A front end of a classroom may be slower than a link that comes back.
            display_ms: if plan == Plan::Classroom && random.bool() { 2_000 } else { 5 },
            ring_loss: if plan == Plan::Cluster { random.u64(0..100) } else { 0 },
        }
    }

    const NONE: Faults = Faults {
        loss: 0,
        duplication: 0,
        reordering: 0,
        latency_ms: 1,
        store_ms: 1,
        store_failure: 0,
        display_ms: 5,
        ring_loss: 0,
    };
}

impl World {
    /// Schedules faults. Nearly every world has each kind, and few have many of one.
    pub(crate) fn plan_faults(&mut self) {
        if self.plan != Plan::FewPlaces {
            for _ in 0..self.how_often(3) {
                let dies = self.random.u64(15_000..FAULTY_MS - 30_000);
                let is_class = self.plan == Plan::Classroom;
                let stops = is_class && self.chance(50);
                let server = if self.plan == Plan::Cluster { self.random.usize(0..2) } else { 0 };
                let fault = if stops { Fault::ServerStops } else { Fault::ServerDies(server) };
                self.at(dies, Event::Fault(fault));
                // Now and then it stays away for long.
                let is_long = self.chance(if is_class { 60 } else { 25 });
                let most = if is_long { 120_000 } else { 25_000 };
                let back = dies + self.random.u64(100..most);
                self.at(back, Event::Fault(Fault::ServerStarts(server)));
            }
            if self.plan == Plan::Cluster {
                self.plan_some(4, |random| {
                    Fault::DatabaseCut(random.usize(0..2), random.u64(500..60_000))
                });
            }
            let some = self.people.len();
            self.plan_some(2, |random| Fault::ClientDies(random.usize(0..some)));
            self.plan_some(3, |random| Fault::ServerLinkBreaks(random.usize(0..some)));
            self.plan_some(4, |random| Fault::ServerLinkStalls(random.usize(0..some)));
            self.plan_some(6, |_| Fault::PeerLinkBreaks);
            self.plan_some(8, |_| Fault::PeerLinkStalls);
            self.plan_some(3, |random| Fault::AddressChanges(random.usize(0..some)));
            self.plan_some(2, |random| {
                Fault::DatagramsBlocked(random.usize(0..some), random.u64(10_000..120_000))
            });
            for (by, _) in JUMPS {
                let when = self.random.u64(5_000..FAULTY_MS);
                self.at(when, Event::Fault(Fault::WallClockJumps(*by)));
            }
            self.plan_some(3, |random| Fault::WallClockJumps(random.i64(-DAY_MS..DAY_MS)));
        }
        if self.plan == Plan::LongAfter {
            for (by, _) in JUMPS.iter().cycle().take(20) {
                let when = self.random.u64(FAULTY_MS..LONG_AFTER_MS);
                self.at(when, Event::Fault(Fault::WallClockJumps(*by)));
            }
        }
        self.at(FAULTY_MS, Event::Fault(Fault::Healing));
    }

    fn plan_some(&mut self, most: u64, mut draw: impl FnMut(&mut fastrand::Rng) -> Fault) {
        for _ in 0..self.how_often(most) {
            let when = self.random.u64(5_000..FAULTY_MS);
            let fault = draw(&mut self.random);
            self.at(when, Event::Fault(fault));
        }
    }

    fn how_often(&mut self, most: u64) -> u64 {
        if self.chance(8) { 0 } else { 1 + self.random.u64(0..most) }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::ServerDies(at) => self.server_dies(at),
            Fault::ServerStops => self.server_stops(),
            Fault::ServerStarts(at) => self.server_starts(at),
            Fault::DatabaseCut(at, for_ms) => self.cut_off(at, for_ms),
            Fault::ClientDies(person) => self.client_dies(person),
            Fault::ServerLinkBreaks(person) => self.break_server_link(person),
            Fault::ServerLinkStalls(person) => self.stall_server_link(person),
            Fault::PeerLinkBreaks => self.break_peer_link(),
            Fault::PeerLinkStalls => self.stall_peer_link(),
            Fault::AddressChanges(person) => self.people[person].udp_port += 1,
            Fault::DatagramsBlocked(person, for_ms) => {
                self.people[person].blocked_until_ms = self.now.boot_ms + for_ms;
            }
            Fault::WallClockJumps(by) => self.wall_clock_jumps(by),
            Fault::Healing => self.heal(),
        }
    }

    fn wall_clock_jumps(&mut self, by: i64) {
        if !self.wall_clock_may_jump {
            return;
        }
        self.now.wall_ms = self.now.wall_ms.saturating_add_signed(by);
        if let Some((_, hit)) = JUMPS.iter().find(|(jump, _)| *jump == by) {
            self.hit(*hit);
        }
    }

    fn heal(&mut self) {
        let Faults { latency_ms, store_ms, display_ms, .. } = self.faults;
        self.faults = Faults { latency_ms, store_ms, display_ms, ..Faults::NONE };
        for person in &mut self.people {
            person.blocked_until_ms = 0;
        }
        for at in 0..self.server.processes.len() {
            self.server_starts(at);
            self.reconnect(at);
        }
    }

    /// Counts a fault that took effect.
    pub(crate) fn hit(&mut self, hit: Hit) {
        *self.hits.entry(hit).or_default() += 1;
    }

    /// Returns the delays of a datagram's copies: it may be lost, doubled, late or blocked.
    pub(crate) fn datagram_delays(&mut self, person: usize) -> Vec<u64> {
        let (lost, doubled) = (self.chance(self.faults.loss), self.chance(self.faults.duplication));
        let copies = u64::from(!lost) + u64::from(doubled);
        if self.people[person].blocked_until_ms > self.now.boot_ms {
            self.hit(Hit::DatagramBlocked);
            return Vec::new();
        }
        match copies {
            0 => self.hit(Hit::DatagramLost),
            2 => self.hit(Hit::DatagramDoubled),
            _ => {}
        }
        let late = |world: &mut World| match world.chance(world.faults.reordering) {
            true => world.random.u64(0..800),
            false => 0,
        };
        (0..copies).map(|_| self.latency() + late(self)).collect()
    }
}
