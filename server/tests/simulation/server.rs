//! The simulated server processes: their connections and their crashes. There are two in a cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use letschat_core::session::{Input as SessionInput, Unreached};
use letschat_protocol::clock::Now;
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{ReplyAssembler, Request, SessionId};
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::Fingerprint;
use letschat_server::clients_file::ClientEntry;
use letschat_server::hub::{
    ConnectionId, Destination, Effect, Hub, Input, LinkEnd, OperatorAnswer, Record, ServerInstance,
    Settings,
};

use crate::ages::is_activity;
use crate::cluster::{Member, Process};
use crate::faults::Hit;
use crate::store::SimulatedStore;
use crate::world::{Event, Plan, World};

pub(crate) type WireId = u64;

/// The limit of the real server.
const OUTBOX_BYTES: usize = 128 * 1024;

pub(crate) struct Server {
    pub(crate) processes: Vec<Process>,
    places: usize,
    plan: Plan,
    /// The file of a classroom's clients.
    pub(crate) clients: Vec<ClientEntry>,
    connections: u64,
    pub(crate) store: SimulatedStore,
    wires: BTreeMap<WireId, Wire>,
    wires_made: u64,
    sessions: BTreeMap<SessionId, WireId>,
    pub(crate) most_members: usize,
    pub(crate) turned_away: u64,
    pub(crate) datagrams_worked: u64,
}

/// A TCP connection between a client and a server.
struct Wire {
    person: usize,
    at: usize,
    connection: ConnectionId,
    open_at_server: bool,
    open_at_client: bool,
    decoder: Decoder,
    wanted: Option<Mode>,
    from_server: Decoder,
    assembler: ReplyAssembler,
    /// The arrival time of the last bytes. A stream keeps its order, so later bytes arrive after
    /// them.
    to_server_ms: u64,
    to_client_ms: u64,
    stalled_until_ms: u64,
    in_flight: usize,
    tell_when_drained: bool,
}

pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint::of_spki(b"the simulated server")
}

impl Server {
    pub(crate) fn new(random: &mut fastrand::Rng, places: usize, plan: Plan, now: Now) -> Server {
        let process = |at| Process { hub: None, life: 0, tick_at: None, member: Member::new(at) };
        let mut server = Server {
            processes: (0..plan.servers()).map(process).collect(),
            places,
            plan,
            clients: Vec::new(),
            connections: 0,
            store: SimulatedStore::default(),
            wires: BTreeMap::new(),
            wires_made: 0,
            sessions: BTreeMap::new(),
            most_members: 0,
            turned_away: 0,
            datagrams_worked: 0,
        };
        (0..plan.servers()).for_each(|at| server.start(at, random, now));
        server
    }

    fn start(&mut self, at: usize, random: &mut fastrand::Rng, now: Now) {
        let settings = Settings { places: self.places, broadcast_burst: 50, ..Settings::default() };
        let settings =
            if self.plan == Plan::Classroom { settings.in_classroom() } else { settings };
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let instance =
            ServerInstance { fingerprint: fingerprint(), udp_port: 4400, boot_id: 1, seed };
        let process = &mut self.processes[at];
        let hub = Hub::new(settings, instance, self.store.log(), now);
        let hub = match self.plan {
            Plan::Cluster => hub.in_cluster(process.member.name.clone()),
            _ => hub,
        };
        process.hub.insert(hub).restore_clients(self.clients.iter().cloned());
        process.life += 1;
        process.tick_at = None;
        self.store.begin(&process.member.name, process.life, now.boot_ms);
    }

    /// Ends a process. Each client notices the end of its connection later.
    fn end(&mut self, at: usize) {
        self.processes[at].hub = None;
        self.processes[at].life += 1;
        for wire in self.wires.values_mut().filter(|wire| wire.at == at) {
            wire.open_at_server = false;
        }
        let wires = &self.wires;
        self.sessions.retain(|_, id| wires[id].at != at);
    }

    pub(crate) fn is_up(&self, at: usize) -> bool {
        self.processes[at].hub.is_some()
    }

    /// Returns the number of sessions that each server knows.
    pub(crate) fn members(&self) -> impl Iterator<Item = usize> {
        self.processes.iter().map(|process| process.hub.as_ref().map_or(0, Hub::members))
    }
}

impl World {
    /// Dials the server that was reached last, or else the next one. Now and then the last one is up and not reached.
    pub(crate) fn dial_server(&mut self, person: usize) {
        self.people[person].dials += 1;
        let dial = self.people[person].dials;
        let delay = self.latency();
        let (last, count) = (self.people[person].server, self.server.processes.len());
        let first = if self.plan == Plan::Cluster { usize::from(self.chance(20)) } else { 0 };
        let mut all = (first..first + count).map(|step| (last + step) % count);
        let Some(at) = all.find(|at| self.server.is_up(*at)) else {
            return self.at(delay, Event::Refused { person, dial });
        };
        self.people[person].server = at;
        self.server.wires_made += 1;
        self.server.connections += 1;
        let wire = self.server.wires_made;
        let connection = ConnectionId(self.server.connections);
        let made = Wire {
            person,
            at,
            connection,
            open_at_server: true,
            open_at_client: true,
            decoder: Decoder::new(),
            wanted: None,
            from_server: Decoder::new(),
            assembler: ReplyAssembler::default(),
            to_server_ms: 0,
            to_client_ms: 0,
            stalled_until_ms: 0,
            in_flight: 0,
            tell_when_drained: false,
        };
        self.server.wires.insert(wire, made);
        self.people[person].wire = Some(wire);
        let peer = SocketAddr::new(self.people[person].address(), 50_000 + (wire % 10_000) as u16);
        let local = "10.0.0.100".parse().unwrap();
        self.hub(at, Input::Accepted { connection, peer, local });
        self.at(delay, Event::WireUp(wire));
    }

    pub(crate) fn refused(&mut self, person: usize, dial: u64) {
        if self.people[person].dials == dial && self.people[person].wire.is_none() {
            let why = Unreached::NoServer("refused".into());
            self.session(person, SessionInput::ServerUnreached(why));
        }
    }

    pub(crate) fn wire_up(&mut self, wire: WireId) {
        let Some(Wire { person, at, connection, open_at_server, open_at_client, .. }) =
            self.server.wires.get(&wire)
        else {
            return;
        };
        let (person, at, connection) = (*person, *at, *connection);
        if !(*open_at_server && *open_at_client) {
            return;
        }
        let mut binding = [0; 32];
        binding[..8].copy_from_slice(&wire.to_be_bytes());
        self.hub(at, Input::Secured { connection, binding });
        let (server, address) = ("server".into(), "10.0.0.100:4400".parse().unwrap());
        let fingerprint = fingerprint();
        let secured = SessionInput::ServerSecured { server, fingerprint, binding, address };
        self.session(person, secured);
    }

    /// Sends a client's request.
    pub(crate) fn say_to_server(&mut self, person: usize, request: &Request) {
        let delay = self.latency();
        let now = self.now.boot_ms;
        let Some(id) = self.people[person].wire else {
            return;
        };
        let Some(wire) = self.server.wires.get_mut(&id) else {
            return;
        };
        wire.to_server_ms = wire.to_server_ms.max(now + delay);
        let (when, stalled) = (wire.to_server_ms, wire.stalled_until_ms > now);
        if stalled {
            self.hit(Hit::ServerLinkStalled);
        }
        self.at_time(when, Event::BytesToServer(id, request.to_frame().to_bytes()));
    }

    pub(crate) fn bytes_to_server(&mut self, id: WireId, bytes: &[u8]) {
        if let Some(wire) = self.server.wires.get_mut(&id).filter(|wire| wire.open_at_server) {
            wire.decoder.extend(bytes);
            self.read_line(id);
        }
    }

    /// Gives the hub the next line, if it wants one and one has arrived.
    fn read_line(&mut self, id: WireId) {
        let Some(wire) = self.server.wires.get_mut(&id).filter(|wire| wire.open_at_server) else {
            return;
        };
        let Some(mode) = wire.wanted else {
            return;
        };
        if let Some(line) = wire.decoder.next(mode).transpose() {
            wire.wanted = None;
            let (at, connection) = (wire.at, wire.connection);
            if line.as_ref().is_ok_and(is_activity) {
                self.was_active(connection);
            }
            self.hub(at, Input::Line { connection, line });
        }
    }

    pub(crate) fn bytes_to_client(&mut self, id: WireId, bytes: &[u8]) {
        let Some(wire) = self.server.wires.get_mut(&id) else {
            return;
        };
        wire.in_flight -= bytes.len();
        let (at, connection, person) = (wire.at, wire.connection, wire.person);
        let drained = wire.in_flight == 0 && std::mem::take(&mut wire.tell_when_drained);
        let mut said = Vec::new();
        if wire.open_at_client {
            wire.from_server.extend(bytes);
            while let Some(frame) = wire.from_server.next(Mode::Frame).unwrap() {
                said.extend(wire.assembler.take(&frame).expect("the hub speaks the protocol"));
            }
        }
        if drained && wire.open_at_server {
            self.hub(at, Input::Drained { connection });
        }
        for one in said {
            if self.people[person].wire == Some(id) {
                let input = self.people[person].note_server(one);
                self.session(person, input);
            }
        }
    }

    /// Closes the client's connection.
    pub(crate) fn hang_up_server(&mut self, person: usize) {
        self.people[person].dials += 1;
        if let Some(id) = self.people[person].wire.take() {
            let delay = self.latency();
            let now = self.now.boot_ms;
            if let Some(wire) = self.server.wires.get_mut(&id) {
                wire.open_at_client = false;
                wire.to_server_ms = wire.to_server_ms.max(now + delay);
                let when = wire.to_server_ms;
                self.at_time(when, Event::EndAtServer(id));
            }
        }
    }

    pub(crate) fn end_at_server(&mut self, id: WireId) {
        if let Some(wire) = self.server.wires.get_mut(&id)
            && std::mem::replace(&mut wire.open_at_server, false)
        {
            let (at, connection) = (wire.at, wire.connection);
            self.hub(at, Input::Gone { connection, why: LinkEnd::Ended });
        }
    }

    pub(crate) fn end_at_client(&mut self, id: WireId) {
        let Some(wire) = self.server.wires.get_mut(&id) else {
            return;
        };
        let person = wire.person;
        if std::mem::replace(&mut wire.open_at_client, false)
            && self.people[person].wire == Some(id)
        {
            self.people[person].wire = None;
            self.session(person, SessionInput::ServerLost);
        }
    }

    pub(crate) fn break_server_link(&mut self, person: usize) {
        if let Some(id) = self.people[person].wire {
            self.hit(Hit::ServerLinkBroke);
            // The server may notice much later, when the client has reconnected.
            let (here, there) = (self.latency(), self.random.u64(1..60_000));
            self.at(here, Event::EndAtClient(id));
            self.at(there, Event::EndAtServer(id));
        }
    }

    /// Stalls a link for a while without an error.
    pub(crate) fn stall_server_link(&mut self, person: usize) {
        let until_ms = self.now.boot_ms + self.random.u64(1_000..40_000);
        let wire = self.people[person].wire.and_then(|id| self.server.wires.get_mut(&id));
        if let Some(wire) = wire {
            wire.stalled_until_ms = until_ms;
            wire.to_server_ms = wire.to_server_ms.max(until_ms);
            wire.to_client_ms = wire.to_client_ms.max(until_ms);
        }
    }

    pub(crate) fn server_dies(&mut self, at: usize) {
        if !self.server.is_up(at) {
            return;
        }
        self.hit(Hit::ServerDied);
        self.server.end(at);
        let wires = self.server.wires.iter().filter(|(_, wire)| wire.at == at);
        for id in wires.map(|(id, _)| *id).collect::<Vec<WireId>>() {
            let delay = self.latency();
            self.at(delay, Event::EndAtClient(id));
        }
    }

    pub(crate) fn server_starts(&mut self, at: usize) {
        if !self.server.is_up(at) {
            self.ages.server_ended();
            self.server.start(at, &mut self.random, self.now);
            self.note(format_args!("server {at} starts"));
            self.knock_at_all();
            self.hub(at, Input::Tick);
        }
    }

    pub(crate) fn datagram_to_server(
        &mut self,
        person: usize,
        session: SessionId,
        number: u64,
        message: ToServer,
    ) {
        if number < std::mem::replace(&mut self.people[person].newest_said, number) {
            self.hit(Hit::DatagramOvertaken);
        }
        // The real server's replay window accepts each datagram once; the hub tolerates duplicates
        // too.
        if let Some(wire) = self.server.sessions.get(&session) {
            let at = self.server.wires[wire].at;
            let from = SocketAddr::new(self.people[person].address(), self.people[person].udp_port);
            self.hub(at, Input::Datagram { session, from, message });
        }
    }

    pub(crate) fn hub_tick(&mut self, at: usize) {
        let tick_at = &mut self.server.processes[at].tick_at;
        if tick_at.is_none_or(|due| due > self.now.boot_ms) {
            return; // an earlier deadline took this one's place
        }
        *tick_at = None;
        self.hub(at, Input::Tick);
    }

    /// Hands a hub one input and carries out its effects.
    pub(crate) fn hub(&mut self, at: usize, input: Input) {
        let Some(hub) = &mut self.server.processes[at].hub else {
            return;
        };
        let effects = hub.handle(self.now, input);
        let next = hub.next_deadline();
        self.server.most_members = self.server.most_members.max(hub.members());
        assert!(hub.members() <= self.server.places, "more members than places");
        for effect in effects {
            self.carry_out(at, effect);
        }
        let process = &mut self.server.processes[at];
        if let Some(due) = next
            && process.tick_at.is_none_or(|at| due < at)
            && process.hub.is_some()
        {
            process.tick_at = Some(due);
            self.at_time(due, Event::HubTick(at));
        }
    }

    fn send_datagram_to(&mut self, to: Destination, message: &ToClient) {
        let Destination { session, address } = to;
        let Some(id) = self.server.sessions.get(&session) else {
            return;
        };
        let person = self.server.wires[id].person;
        if address.port() != self.people[person].udp_port {
            return self.hit(Hit::DatagramToAnOldAddress); // the person has left that address
        }
        self.datagrams_sent += 1;
        let number = self.datagrams_sent;
        for delay in self.datagram_delays(person) {
            let message = message.clone();
            self.at(delay, Event::DatagramToClient { person, session, number, message });
        }
    }

    fn carry_out(&mut self, at: usize, effect: Effect) {
        self.check_age(&effect);
        match effect {
            Effect::Send { connection, bytes } => self.send_to_client(connection, bytes),
            Effect::Read { connection, mode } => {
                if let Some(id) = self.wire_of(connection) {
                    let wire = self.server.wires.get_mut(&id).unwrap();
                    assert_eq!(wire.wanted, None, "a second line is wanted before the first came");
                    wire.wanted = Some(mode);
                    self.at(0, Event::BytesToServer(id, Vec::new()));
                }
            }
            Effect::TellWhenDrained { connection } => {
                if let Some(id) = self.wire_of(connection) {
                    self.server.wires.get_mut(&id).unwrap().tell_when_drained = true;
                }
            }
            Effect::Close { connection } => {
                if let Some(id) = self.wire_of(connection) {
                    let wire = self.server.wires.get_mut(&id).unwrap();
                    wire.open_at_server = false;
                    let when = wire.to_client_ms;
                    self.at_time(when, Event::EndAtClient(id));
                }
            }
            Effect::OpenDatagrams { session, connection } => {
                if let Some(id) = self.wire_of(connection) {
                    self.server.sessions.insert(session, id);
                }
            }
            Effect::CloseDatagrams { session } => {
                self.server.sessions.remove(&session);
            }
            Effect::Datagram { to, message } => {
                for destination in to {
                    self.send_datagram_to(destination, &message);
                }
            }
            Effect::Store(request) => {
                let delay = 1 + self.random.u64(0..self.faults.store_ms);
                let fails = self.chance(self.faults.store_failure);
                let life = self.server.processes[at].life;
                self.at(delay, Event::Stored { at, life, request, fails });
            }
            Effect::Record(Record::TurnedAway { .. }) => self.server.turned_away += 1,
            Effect::Record(Record::Datagrams { work: true, .. }) => {
                self.server.datagrams_worked += 1;
            }
            Effect::WriteClients(entries) => self.server.clients = entries,
            // The hub has closed all connections after their last bytes.
            Effect::Stopped => self.server.end(at),
            Effect::Ring => self.ring(at),
            Effect::Answer(OperatorAnswer::Sessions(page)) => self.look_at(at, page),
            Effect::Admitted { .. }
            // Clients of the simulation reach each other.
            | Effect::Relay { .. }
            | Effect::Show(_)
            | Effect::CancelStore { .. }
            | Effect::Record(_)
            | Effect::Measured(_)
            | Effect::Answer(_) => {}
        }
    }

    fn wire_of(&self, connection: ConnectionId) -> Option<WireId> {
        let found = self.server.wires.iter().rev().find(|(_, wire)| wire.connection == connection);
        found.map(|(id, _)| *id)
    }

    fn send_to_client(&mut self, connection: ConnectionId, bytes: Vec<u8>) {
        let delay = self.latency();
        let now = self.now.boot_ms;
        let Some(id) = self.wire_of(connection) else {
            return;
        };
        let wire = self.server.wires.get_mut(&id).unwrap();
        wire.in_flight += bytes.len();
        assert!(wire.in_flight <= OUTBOX_BYTES, "a client that reads overflows its outbox");
        wire.to_client_ms = wire.to_client_ms.max(now + delay);
        let (when, stalled) = (wire.to_client_ms, wire.stalled_until_ms > now);
        if stalled {
            self.hit(Hit::ServerLinkStalled);
        }
        self.at_time(when, Event::BytesToClient(id, bytes));
    }
}
