//! The event queue, and what surrounds the hub and the sessions.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use letschat::session::{Account, Input as SessionInput, LinkId};
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::peer::PeerMessage;
use letschat_server::clock::Now;
use letschat_server::store::StoreRequest;

use crate::peers::PeerWires;
use crate::people::{Act, Person};
use crate::server::{Server, WireId};

/// What kind of world is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// All faults, places for everybody.
    Everything,
    /// Fewer places than people, no other faults.
    FewPlaces,
}

/// How bad things are. All chances are in percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) reordering: u64,
    pub(crate) latency_ms: u64,
    pub(crate) store_ms: u64,
    pub(crate) store_failure: u64,
}

/// How many datagrams met with what.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct DatagramFates {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) overtaken: u64,
}

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    HubTick,
    PersonTick(usize),
    /// TCP and TLS come about.
    WireUp(WireId),
    BytesToServer(WireId, Vec<u8>),
    BytesToClient(WireId, Vec<u8>),
    /// The end of the stream, as each side notices it.
    EndAtServer(WireId),
    EndAtClient(WireId),
    AccountOpened {
        person: usize,
        account: Box<Account>,
    },
    Refused {
        person: usize,
        dial: u64,
    },
    Stored {
        life: u64,
        request: StoreRequest,
        fails: bool,
    },
    DatagramToServer {
        person: usize,
        session: SessionId,
        message: ToServer,
    },
    DatagramToClient {
        person: usize,
        session: SessionId,
        message: ToClient,
    },
    PeerUp {
        wire: u64,
    },
    PeerSaid {
        wire: u64,
        to_dialler: bool,
        message: PeerMessage,
    },
    PeerDown {
        wire: u64,
        at_dialler: bool,
    },
    PeerUnreachable {
        person: usize,
        link: LinkId,
    },
    Act {
        person: usize,
        act: Act,
    },
    Fault(Fault),
}

/// Something goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    ServerDies,
    ServerStarts,
    ServerLinkBreaks(usize),
    PeerLinkBreaks,
    PeerLinkStalls,
    WallClockJumps(i64),
    AddressChanges(usize),
    Healing,
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) random: fastrand::Rng,
    pub(crate) plan: Plan,
    pub(crate) faults: Faults,
    pub(crate) server: Server,
    pub(crate) people: Vec<Person>,
    pub(crate) peers: PeerWires,
    pub(crate) datagrams: DatagramFates,
    /// Whether broadcasts are as long as can be, so that a replay has many pages.
    pub(crate) long_winded: bool,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    recent: VecDeque<String>,
    trace: DefaultHasher,
    /// When the promises are checked.
    ends_ms: u64,
}

const FAULTY_MS: u64 = 4 * 60_000;
const SETTLING_MS: u64 = 7 * 60_000;
const RECENT: usize = 120;

impl World {
    pub(crate) fn new(seed: u64, plan: Plan) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        let faults = match plan {
            Plan::Everything => Faults {
                loss: random.u64(0..35),
                duplication: random.u64(0..15),
                reordering: random.u64(0..30),
                latency_ms: random.u64(1..150),
                store_ms: random.u64(1..400),
                store_failure: random.u64(0..6),
            },
            Plan::FewPlaces => Faults {
                loss: 0,
                duplication: 0,
                reordering: 0,
                latency_ms: 20,
                store_ms: 20,
                store_failure: 0,
            },
        };
        let count = random.usize(3..8);
        let places = if plan == Plan::FewPlaces { count - 1 } else { count };
        let mut world = World {
            server: Server::new(&mut random, places, now),
            people: (0..count).map(|n| Person::new(n, random.u64(..))).collect(),
            peers: PeerWires::default(),
            datagrams: DatagramFates::default(),
            long_winded: random.bool(),
            now,
            plan,
            faults,
            random,
            queue: BTreeMap::new(),
            queued: 0,
            recent: VecDeque::new(),
            trace: DefaultHasher::new(),
            ends_ms: now.boot_ms + FAULTY_MS + SETTLING_MS,
        };
        world.plan_lives();
        for _ in 0..world.random.u64(1..16) {
            world.plan_chorus();
        }
        world.plan_faults();
        world
    }

    /// What people will do, on top of what they do in reaction.
    fn plan_lives(&mut self) {
        for person in 0..self.people.len() {
            let arrival = self.random.u64(0..20_000);
            self.at(arrival, Event::Act { person, act: Act::SignUp });
            let acts = self.random.usize(5..40);
            for _ in 0..acts {
                let when = self.random.u64(10_000..FAULTY_MS + 60_000);
                let act = match self.random.u64(0..100) {
                    0..35 => Act::Broadcast,
                    35..55 => Act::Connect(self.random.usize(0..self.people.len())),
                    55..92 => Act::Say,
                    92..95 => Act::Disconnect,
                    95 => Act::Leave,
                    96 => Act::Detach,
                    97 => Act::Cancel,
                    _ => Act::List,
                };
                self.at(when, Event::Act { person, act });
            }
        }
    }

    /// Everybody broadcasts at the same moment, so that one commit holds several.
    fn plan_chorus(&mut self) {
        let when = self.random.u64(30_000..FAULTY_MS);
        for person in 0..self.people.len() {
            self.at(when + person as u64 % 2, Event::Act { person, act: Act::Broadcast });
        }
    }

    fn plan_faults(&mut self) {
        if self.plan == Plan::Everything {
            for _ in 0..self.random.u64(0..4) {
                let dies = self.random.u64(15_000..FAULTY_MS - 30_000);
                self.at(dies, Event::Fault(Fault::ServerDies));
                let back = dies + self.random.u64(100..25_000);
                self.at(back, Event::Fault(Fault::ServerStarts));
            }
            for _ in 0..self.random.u64(0..12) {
                let when = self.random.u64(5_000..FAULTY_MS);
                let somebody = self.random.usize(0..self.people.len());
                let fault = match self.random.u64(0..6) {
                    0 => Fault::ServerLinkBreaks(somebody),
                    1 | 2 => Fault::PeerLinkBreaks,
                    3 => Fault::PeerLinkStalls,
                    4 => Fault::AddressChanges(somebody),
                    _ => Fault::WallClockJumps(self.random.i64(-86_400_000..86_400_000)),
                };
                self.at(when, Event::Fault(fault));
            }
        }
        self.at(FAULTY_MS, Event::Fault(Fault::Healing));
    }

    /// Plays until the end.
    pub(crate) fn run(&mut self) {
        while let Some(((when, _), event)) = self.queue.pop_first() {
            if when > self.ends_ms {
                break;
            }
            let passed = when.saturating_sub(self.now.boot_ms);
            self.now.boot_ms += passed;
            self.now.wall_ms += passed;
            self.note(format!("{event:?}"));
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::HubTick => self.hub_tick(),
            Event::PersonTick(person) => self.person_tick(person),
            Event::WireUp(wire) => self.wire_up(wire),
            Event::BytesToServer(wire, bytes) => self.bytes_to_server(wire, &bytes),
            Event::BytesToClient(wire, bytes) => self.bytes_to_client(wire, &bytes),
            Event::EndAtServer(wire) => self.end_at_server(wire),
            Event::EndAtClient(wire) => self.end_at_client(wire),
            Event::AccountOpened { person, account } => {
                self.session(person, SessionInput::Account(Ok(*account)));
            }
            Event::Refused { person, dial } => self.refused(person, dial),
            Event::Stored { life, request, fails } => self.stored(life, request, fails),
            Event::DatagramToServer { person, session, message } => {
                self.datagram_to_server(person, session, message);
            }
            Event::DatagramToClient { person, session, message } => {
                self.datagram_to_client(person, session, message);
            }
            Event::PeerUp { wire } => self.peer_up(wire),
            Event::PeerSaid { wire, to_dialler, message } => {
                self.peer_said(wire, to_dialler, message);
            }
            Event::PeerDown { wire, at_dialler } => self.peer_down(wire, at_dialler),
            Event::PeerUnreachable { person, link } => self.peer_unreachable(person, link),
            Event::Act { person, act } => self.act(person, act),
            Event::Fault(fault) => self.fault(fault),
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::ServerDies => self.server_dies(),
            Fault::ServerStarts => self.server_starts(),
            Fault::ServerLinkBreaks(person) => self.break_server_link(person),
            Fault::PeerLinkBreaks => self.break_peer_link(),
            Fault::PeerLinkStalls => self.stall_peer_link(),
            Fault::AddressChanges(person) => self.people[person].udp_port += 1,
            Fault::WallClockJumps(by) => {
                self.now.wall_ms = self.now.wall_ms.saturating_add_signed(by);
            }
            Fault::Healing => {
                let none = Faults {
                    loss: 0,
                    duplication: 0,
                    reordering: 0,
                    store_failure: 0,
                    ..self.faults
                };
                self.faults = none;
                self.server_starts();
            }
        }
    }

    /// Lets something happen, counted from now.
    pub(crate) fn at(&mut self, after_ms: u64, event: Event) {
        self.at_time(self.now.boot_ms + after_ms, event);
    }

    /// Lets something happen at a time on the boot clock.
    pub(crate) fn at_time(&mut self, when_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((when_ms.max(self.now.boot_ms), self.queued), event);
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.random.u64(0..100) < percent
    }

    /// How long something takes to get through.
    pub(crate) fn latency(&mut self) -> u64 {
        1 + self.random.u64(0..self.faults.latency_ms)
    }

    /// Datagrams may be lost, doubled, and overtaken.
    pub(crate) fn datagram_delays(&mut self) -> Vec<u64> {
        let (lost, doubled) = (self.chance(self.faults.loss), self.chance(self.faults.duplication));
        self.datagrams.lost += u64::from(lost);
        self.datagrams.doubled += u64::from(doubled);
        let copies = u64::from(!lost) + u64::from(doubled);
        let mut delays = Vec::new();
        for _ in 0..copies {
            let overtaken = self.chance(self.faults.reordering);
            self.datagrams.overtaken += u64::from(overtaken);
            let late = if overtaken { self.random.u64(0..800) } else { 0 };
            delays.push(self.latency() + late);
        }
        delays
    }

    pub(crate) fn note(&mut self, line: String) {
        let line = format!("{:>8} {line}", self.now.boot_ms - 1_000_000);
        line.hash(&mut self.trace);
        self.recent.push_back(line.chars().take(220).collect());
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    pub(crate) fn last_events(&self) -> impl Iterator<Item = &String> {
        self.recent.iter()
    }

    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }
}
