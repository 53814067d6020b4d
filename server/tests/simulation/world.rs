//! The event queue, and the environment of the hub and the sessions.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::iter;
use std::mem;
use std::net::{IpAddr, SocketAddr};

use letschat_core::session::{Displayed, Input as SessionInput, LinkId};
use letschat_protocol::clock::Now;
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::peer::PeerMessage;
use letschat_server::hub::Input as HubInput;
use letschat_server::store::StoreRequest;

use crate::ages::Ages;
use crate::faults::{Fault, Faults, Hits};
use crate::peers::PeerWires;
use crate::people::{Act, Person};
use crate::server::{Server, WireId};

/// The kind of world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// All faults, and places for everybody.
    Everything,
    /// Fewer places than people, and no other faults.
    FewPlaces,
    /// All faults, then long enough for everything to expire, under a wall clock that jumps.
    LongAfter,
    /// All faults in a classroom, whose server also stops in order.
    Classroom,
    /// All faults in a group, whose first owner has two devices.
    Groups,
    /// All faults at two servers of a cluster, which are also cut off from their database, and whose rings are lost.
    Cluster,
}

impl Plan {
    /// Returns the number of servers.
    pub(crate) fn servers(self) -> usize {
        if self == Plan::Cluster { 2 } else { 1 }
    }
}

/// A future event.
#[derive(Debug)]
pub(crate) enum Event {
    HubTick(usize),
    /// Another server of the cluster rings.
    Rung(usize),
    /// All sessions are counted.
    Look,
    PersonTick(usize),
    /// TCP and TLS are connected.
    WireUp(WireId),
    BytesToServer(WireId, Vec<u8>),
    BytesToClient(WireId, Vec<u8>),
    /// One side notices the end of the stream.
    EndAtServer(WireId),
    EndAtClient(WireId),
    /// The engine answers an effect.
    Engine {
        person: usize,
        life: u64,
        input: Box<SessionInput>,
    },
    /// The front end has displayed an event.
    Displayed {
        person: usize,
        life: u64,
        displayed: Displayed,
    },
    Refused {
        person: usize,
        dial: u64,
    },
    Stored {
        at: usize,
        life: u64,
        request: StoreRequest,
        fails: bool,
    },
    DatagramToServer {
        person: usize,
        session: SessionId,
        number: u64,
        message: ToServer,
    },
    DatagramToClient {
        person: usize,
        session: SessionId,
        number: u64,
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
    /// The server that has started knocks at a client.
    Knock {
        life: u64,
        receiver: SocketAddr,
    },
    PeerUnreachable {
        person: usize,
        life: u64,
        link: LinkId,
    },
    Act {
        person: usize,
        act: Act,
    },
    Fault(Fault),
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) random: fastrand::Rng,
    pub(crate) plan: Plan,
    pub(crate) faults: Faults,
    pub(crate) server: Server,
    pub(crate) people: Vec<Person>,
    pub(crate) peers: PeerWires,
    pub(crate) hits: Hits,
    pub(crate) ages: Ages,
    /// The devices that are logged in at two servers, and since when.
    pub(crate) doubles: BTreeMap<IpAddr, u64>,
    /// The number of datagrams sent. It numbers them, which shows those that were overtaken.
    pub(crate) datagrams_sent: u64,
    /// True if the wall clock may jump. Otherwise the world is the same but for the displayed
    /// times.
    pub(crate) wall_clock_may_jump: bool,
    /// True if broadcasts have the maximum length, so that a replay has many pages.
    pub(crate) long_winded: bool,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    recent: VecDeque<String>,
    trace: DefaultHasher,
    outline: DefaultHasher,
    is_watched: bool,
    /// The time at which the promises are checked.
    ends_ms: u64,
}

pub(crate) const FAULTY_MS: u64 = 4 * 60_000;
const SETTLING_MS: u64 = 7 * 60_000;
/// The time after the faults in a long world. It exceeds the retention period and the idle timeout.
pub(crate) const LONG_AFTER_MS: u64 = 75 * 60_000;
const RECENT: usize = 120;

/// Returns the account of each device. In a classroom, where a name belongs to a key, each has one.
fn draw_accounts(plan: Plan, random: &mut fastrand::Rng) -> Vec<usize> {
    if plan == Plan::Classroom {
        return (0..random.usize(3..8)).collect();
    }
    let accounts = random.usize(3..5);
    let devices = |account: usize| {
        let count = match plan {
            Plan::Groups if account == 0 => 2,
            Plan::Groups => random.usize(1..3),
            _ => random.usize(1..4),
        };
        iter::repeat_n(account, count)
    };
    (0..accounts).flat_map(devices).collect()
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        let faults = Faults::draw(plan, &mut random);
        let accounts = draw_accounts(plan, &mut random);
        let count = accounts.len();
        let places = if plan == Plan::FewPlaces { count - 1 } else { count };
        let after_ms = if plan == Plan::LongAfter { LONG_AFTER_MS } else { SETTLING_MS };
        let mut world = World {
            server: Server::new(&mut random, places, plan, now),
            people: (0..count)
                .map(|device| Person::new(device, accounts[device], random.u64(..), plan))
                .collect(),
            peers: PeerWires::default(),
            hits: Hits::new(),
            ages: Ages::default(),
            doubles: BTreeMap::new(),
            datagrams_sent: 0,
            wall_clock_may_jump: true,
            long_winded: random.bool(),
            now,
            plan,
            faults,
            random,
            queue: BTreeMap::new(),
            queued: 0,
            recent: VecDeque::new(),
            trace: DefaultHasher::new(),
            outline: DefaultHasher::new(),
            is_watched: false,
            ends_ms: now.boot_ms + FAULTY_MS + after_ms,
        };
        match plan {
            Plan::Classroom => world.plan_class(),
            Plan::Groups => world.plan_groups(),
            Plan::Everything | Plan::FewPlaces | Plan::LongAfter | Plan::Cluster => {
                world.plan_lives();
            }
        }
        for _ in 0..world.random.u64(1..16) {
            world.plan_chorus();
        }
        world.plan_faults();
        world.begin_cluster();
        world
    }

    /// Schedules people's actions, in addition to their reactions.
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
                    55..75 => Act::Say,
                    75..92 => Act::Send(self.random.usize(0..self.people.len())),
                    92..95 => Act::Disconnect,
                    95 => Act::Leave,
                    96 => Act::Detach,
                    97 => Act::Cancel,
                    98 => Act::Quit,
                    _ => Act::List,
                };
                self.at(when, Event::Act { person, act });
            }
        }
    }

    /// Lets everybody broadcast at the same moment, so that one commit holds several.
    fn plan_chorus(&mut self) {
        let when = self.random.u64(30_000..FAULTY_MS);
        for person in 0..self.people.len() {
            self.at(when + person as u64 % 2, Event::Act { person, act: Act::Broadcast });
        }
    }

    /// Returns the same world with its events recorded.
    pub(crate) fn watched(mut self) -> World {
        self.is_watched = true;
        self
    }

    /// Returns the same world under a wall clock that is never set.
    pub(crate) fn under_a_steady_clock(mut self) -> World {
        self.wall_clock_may_jump = false;
        self
    }

    /// Runs until the end.
    pub(crate) fn run(&mut self) {
        while let Some(((when, _), event)) = self.queue.pop_first() {
            if when > self.ends_ms {
                break;
            }
            let passed = when.saturating_sub(self.now.boot_ms);
            self.now.boot_ms += passed;
            self.now.wall_ms += passed;
            (when, mem::discriminant(&event), event.bytes()).hash(&mut self.outline);
            self.note(format_args!("{event:?}"));
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::HubTick(at) => self.hub_tick(at),
            Event::Rung(at) => self.hub(at, HubInput::Rung),
            Event::Look => self.look(),
            Event::PersonTick(person) => self.person_tick(person),
            Event::WireUp(wire) => self.wire_up(wire),
            Event::BytesToServer(wire, bytes) => self.bytes_to_server(wire, &bytes),
            Event::BytesToClient(wire, bytes) => self.bytes_to_client(wire, &bytes),
            Event::EndAtServer(wire) => self.end_at_server(wire),
            Event::EndAtClient(wire) => self.end_at_client(wire),
            Event::Engine { person, life, input } => self.engine_answered(person, life, *input),
            Event::Displayed { person, life, displayed } => self.displayed(person, life, displayed),
            Event::Refused { person, dial } => self.refused(person, dial),
            Event::Stored { at, life, request, fails } => self.stored(at, life, request, fails),
            Event::DatagramToServer { person, session, number, message } => {
                self.datagram_to_server(person, session, number, message);
            }
            Event::DatagramToClient { person, session, number, message } => {
                self.datagram_to_client(person, session, number, message);
            }
            Event::PeerUp { wire } => self.peer_up(wire),
            Event::PeerSaid { wire, to_dialler, message } => {
                self.peer_said(wire, to_dialler, message);
            }
            Event::PeerDown { wire, at_dialler } => self.peer_down(wire, at_dialler),
            Event::Knock { life, receiver } => self.knock(life, receiver),
            Event::PeerUnreachable { person, life, link } => {
                self.peer_unreachable(person, life, link);
            }
            Event::Act { person, act } => self.act(person, act),
            Event::Fault(fault) => self.fault(fault),
        }
    }

    /// Schedules an event, relative to now.
    pub(crate) fn at(&mut self, after_ms: u64, event: Event) {
        self.at_time(self.now.boot_ms + after_ms, event);
    }

    /// Schedules an event at a time on the boot clock.
    pub(crate) fn at_time(&mut self, when_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((when_ms.max(self.now.boot_ms), self.queued), event);
    }

    /// Returns true with this chance in percent.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.random.u64(0..100) < percent
    }

    /// Returns a random latency.
    pub(crate) fn latency(&mut self) -> u64 {
        1 + self.random.u64(0..self.faults.latency_ms)
    }

    /// Records a line for the report of a failing seed.
    pub(crate) fn note(&mut self, line: fmt::Arguments<'_>) {
        if !self.is_watched {
            return; // recording every event takes longer than the events
        }
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

    /// Returns a hash of all events, to the last byte, if the world is watched.
    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }

    /// Returns a hash of the events' times and lengths, independent of the wall clock.
    pub(crate) fn outline_hash(&self) -> u64 {
        self.outline.finish()
    }
}

impl Event {
    fn bytes(&self) -> usize {
        match self {
            Event::BytesToServer(_, bytes) | Event::BytesToClient(_, bytes) => bytes.len(),
            _ => 0,
        }
    }
}
