//! The clients, their folders, and the actions of their users. Some users have several.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use letschat_core::session::{
    Account, Displayed, Effect, Input, KnownPeer, LogPosition, Phase, Request, RequestId, Save,
    Session, SessionConfig,
};
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::devices::{DeviceCode, DeviceList, DeviceName};
use letschat_protocol::dialogue::{FromServer, Notice, Secret, SessionId};
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey};
use letschat_protocol::username::Username;

use crate::classroom::line_of;
use crate::disk::{self, Disk};
use crate::faults::Hit;
use crate::groups::GroupAct;
use crate::history::History;
use crate::server::{WireId, fingerprint};
use crate::world::{Event, Plan, World};

/// A user's action.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    SignUp,
    LogIn,
    Broadcast,
    Connect(usize),
    Approve(Username),
    Deny(Username),
    Say,
    Send(usize),
    Disconnect,
    Leave,
    Detach,
    Cancel,
    List,
    Quit,
    ApproveDevice(DeviceCode),
    TrustOwnList,
    Group(GroupAct),
}

/// A device of a person, with its client.
pub(crate) struct Person {
    number: usize,
    /// The account, which is another device's too.
    pub(crate) name: Username,
    pub(crate) session: Session,
    identity: Arc<Identity>,
    /// True once the server has accepted the key. At first for every second device, as if it came from version 0.1.
    has_key: bool,
    peers: BTreeMap<Username, KnownPeer>,
    position: LogPosition,
    pub(crate) disk: Disk,
    /// The number of this run of the client.
    pub(crate) life: u64,
    /// In a classroom, true until the client runs again.
    pub(crate) is_down: bool,
    /// The server that was reached last.
    pub(crate) server: usize,
    pub(crate) wire: Option<WireId>,
    /// Counts dials and hang-ups, so that the answer to an old dial is ignored.
    pub(crate) dials: u64,
    pub(crate) datagrams: Option<SessionId>,
    pub(crate) udp_port: u16,
    /// The time until which all of this person's datagrams are dropped.
    pub(crate) blocked_until_ms: u64,
    /// The newest datagrams that arrived here and that were sent from here.
    newest_heard: u64,
    pub(crate) newest_said: u64,
    requests: u64,
    pub(crate) open_requests: BTreeMap<RequestId, Request>,
    pub(crate) answered: u64,
    tick_at: Option<u64>,
    /// The time of the last tick, and the number of further ones at that time.
    ticks: (u64, u32),
    said: u64,
    pub(crate) history: History,
}

fn session(seed: u64, known_server: Option<Fingerprint>, plan: Plan) -> Session {
    Session::new(SessionConfig {
        server: "simulated:4400".into(),
        port: 4401,
        detach_on_chat: false,
        tries: None,
        return_after_idle: true,
        device_name: DeviceName::like("laptop"),
        known_server,
        classroom: plan == Plan::Classroom,
        seed,
    })
}

impl Person {
    /// Returns a device of an account, both numbered from 0.
    pub(crate) fn new(number: usize, account: usize, seed: u64, plan: Plan) -> Person {
        let mut secret = [number as u8 + 1; 32];
        secret[..8].copy_from_slice(&seed.to_be_bytes());
        Person {
            number,
            name: format!("person{account}").parse().unwrap(),
            session: session(seed, None, plan),
            identity: Arc::new(Identity::from_seed(&secret)),
            has_key: plan == Plan::Classroom || number.is_multiple_of(2),
            peers: BTreeMap::new(),
            position: LogPosition::default(),
            disk: Disk::default(),
            life: 0,
            is_down: false,
            server: number % plan.servers(),
            wire: None,
            dials: 0,
            datagrams: None,
            udp_port: 40_000,
            blocked_until_ms: 0,
            newest_heard: 0,
            newest_said: 0,
            requests: 0,
            open_requests: BTreeMap::new(),
            answered: 0,
            tick_at: None,
            ticks: (0, 0),
            said: 0,
            history: History::default(),
        }
    }

    pub(crate) fn address(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + self.number as u8))
    }

    /// Returns true if this device is in its own list.
    pub(crate) fn is_listed(&self) -> bool {
        let list = self.disk.lists().get(&self.name);
        list.is_some_and(|list| list.contains(&self.public_key()))
    }

    pub(crate) fn is_logged_in(&self) -> bool {
        self.session.phase() == Phase::LoggedIn
    }

    /// Opens an envelope, as the real driver does.
    pub(crate) fn note_server(&self, said: FromServer) -> Input {
        match said {
            FromServer::Notice(Notice::Mail(mail)) => {
                self.disk.open(&mail, &self.name, &self.identity)
            }
            said => Input::Server(said),
        }
    }

    /// Returns the beginning of this device's texts.
    pub(crate) fn voice(&self) -> String {
        format!("{}.{} says", self.name, self.number)
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// Returns the other devices of the account, if this one is in their list.
    pub(crate) fn other_devices(&self) -> impl Iterator<Item = PublicKey> {
        let list = self.disk.lists().get(&self.name).filter(|_| self.is_listed());
        let listed = list.map_or(&[][..], DeviceList::devices).iter().map(|device| device.key);
        listed.filter(|key| *key != self.public_key())
    }

    fn password(&self) -> Secret {
        Secret(format!("the secret of {}", self.name))
    }
}

impl World {
    pub(crate) fn act(&mut self, person: usize, act: Act) {
        let who = &mut self.people[person];
        who.said += 1;
        let mut text = format!("{} {}", who.voice(), who.said);
        if matches!(act, Act::Broadcast) && self.long_winded {
            text.push_str(&" and on".repeat(115));
        }
        let request = match act {
            Act::SignUp => {
                let password = who.password();
                Request::SignUp {
                    username: who.name.to_string(),
                    repeated: password.clone(),
                    password,
                }
            }
            Act::LogIn => {
                who.is_down = false;
                let username = Some(who.name.to_string());
                let password = (self.plan != Plan::Classroom).then(|| who.password());
                Request::Login { username, password, take: false }
            }
            Act::Broadcast => Request::Broadcast(text),
            Act::Connect(other) | Act::Send(other) if self.are_one(person, other) => return,
            Act::Connect(other) => Request::Connect {
                who: self.people[other].name.to_string(),
                force: false,
                switch: true,
            },
            Act::Approve(name) => Request::Approve(Some(name.to_string())),
            Act::Deny(name) => Request::Deny(Some(name.to_string())),
            Act::Say => Request::Say { to: None, text },
            Act::Send(other) => Request::Send { to: self.people[other].name.to_string(), text },
            Act::Disconnect => Request::Disconnect(None),
            Act::Leave => Request::Leave,
            Act::Detach => Request::Detach,
            Act::Cancel => Request::Cancel(None),
            Act::List => Request::List,
            Act::Quit => Request::Quit,
            Act::ApproveDevice(code) => Request::ApproveDevice(code.to_string()),
            Act::TrustOwnList => Request::Trust(self.people[person].name.to_string()),
            Act::Group(act) => match self.group_request(person, act, text) {
                Some(request) => request,
                None => return,
            },
        };
        let who = &mut self.people[person];
        if let Some(text) = line_of(&request).filter(|_| self.plan == Plan::Classroom) {
            who.history.class.typed(text, who.session.peers());
        }
        who.requests += 1;
        let id = RequestId(who.requests);
        who.open_requests.insert(id, request.clone());
        self.session(person, Input::Request { id, request });
    }

    /// Returns true for two devices of one account.
    fn are_one(&self, one: usize, other: usize) -> bool {
        self.people[one].name == self.people[other].name
    }

    pub(crate) fn person_tick(&mut self, person: usize) {
        if self.people[person].tick_at.is_none_or(|at| at > self.now.boot_ms) {
            return; // an earlier deadline took this one's place
        }
        let (now_ms, who) = (self.now.boot_ms, &mut self.people[person]);
        who.tick_at = None;
        who.ticks = if who.ticks.0 == now_ms { (now_ms, who.ticks.1 + 1) } else { (now_ms, 0) };
        assert!(who.ticks.1 < 100, "{} is busy for ever", who.voice());
        self.session(person, Input::Tick);
    }

    pub(crate) fn send_datagram(&mut self, person: usize, message: &ToServer) {
        let Some(session) = self.people[person].datagrams else {
            return;
        };
        self.datagrams_sent += 1;
        let number = self.datagrams_sent;
        for delay in self.datagram_delays(person) {
            let message = message.clone();
            self.at(delay, Event::DatagramToServer { person, session, number, message });
        }
    }

    pub(crate) fn datagram_to_client(
        &mut self,
        person: usize,
        session: SessionId,
        number: u64,
        message: ToClient,
    ) {
        if number < std::mem::replace(&mut self.people[person].newest_heard, number) {
            self.hit(Hit::DatagramOvertaken);
        }
        if self.people[person].datagrams == Some(session) {
            self.session(person, Input::Datagram(message));
        }
    }

    /// Hands a session one input and carries out its effects.
    pub(crate) fn session(&mut self, person: usize, input: Input) {
        let effects = self.people[person].session.handle(self.now, input);
        for effect in effects {
            self.carry_out_for(person, effect);
        }
        let who = &mut self.people[person];
        if let Some(due) = who.session.next_deadline()
            && who.tick_at.is_none_or(|at| due < at)
        {
            who.tick_at = Some(due);
            self.at_time(due, Event::PersonTick(person));
        }
    }

    fn carry_out_for(&mut self, person: usize, effect: Effect) {
        match effect {
            Effect::DialServer => self.dial_server(person),
            Effect::SendServer(request) => self.say_to_server(person, &request),
            Effect::CloseServer => self.hang_up_server(person),
            Effect::OpenAccount { .. } => {
                let who = &self.people[person];
                let account = Account {
                    username: who.name.clone(),
                    identity: who.identity.clone(),
                    has_key: who.has_key,
                    peers: who.peers.clone(),
                    // Nobody blocks anybody in the simulation.
                    blocked: BTreeSet::new(),
                    position: who.position,
                    mail: who.disk.stored(),
                };
                // Answered after the other effects, as the real driver does.
                let opened = Input::Account(Ok(account));
                self.engine(person, 0, opened);
            }
            Effect::Finished => {
                self.people[person].history.quits += 1;
                self.client_runs_again(person);
            }
            Effect::CloseAccount | Effect::Save(Save::Blocked(_)) => {}
            Effect::Save(Save::Identity) => self.people[person].has_key = true,
            Effect::Save(Save::Position(position)) => self.people[person].position = position,
            Effect::Save(Save::Peers(peers)) => self.people[person].peers = peers,
            Effect::OpenDatagrams { session, .. } => self.people[person].datagrams = Some(session),
            Effect::CloseDatagrams => self.people[person].datagrams = None,
            Effect::Datagram(message) => self.send_datagram(person, &message),
            Effect::DialPeer { link, to, key } => self.dial_peer(person, link, to, key),
            Effect::SendPeer { link, message } => self.say_to_peer(person, link, message),
            Effect::ClosePeer { link } => self.hang_up_peer(person, link),
            Effect::Answer { id, result } => self.answered(person, id, result),
            Effect::Commit { commit, changes } => self.commit(person, commit, &changes),
            Effect::Seal { body, recipients } => {
                let who = &self.people[person];
                who.check_recipients(&body, &recipients);
                let sealed = disk::seal(&body, &who.identity, &recipients);
                self.engine(person, 0, sealed);
            }
            Effect::MakePrekey { created_ms, until_ms } => {
                let made = self.people[person].disk.make_prekey(created_ms, until_ms);
                self.engine(person, 0, made);
            }
            Effect::History { .. } => unreachable!("nobody has a history here"),
            Effect::ReadFile { .. }
            | Effect::ForgetHashes(_)
            | Effect::FetchFile(_)
            | Effect::StopFetch(_)
            | Effect::DeletePart(_)
            | Effect::ServeFile { .. } => unreachable!("nobody sends files here"),
            Effect::Meet { .. } | Effect::Attend { .. } => {
                unreachable!("nobody has to meet, since all reach each other")
            }
            Effect::Tell(told) => self.told(person, told),
            Effect::Display(told, displayed) => {
                self.told(person, told);
                let life = self.people[person].life;
                self.at(self.faults.display_ms, Event::Displayed { person, life, displayed });
            }
        }
    }

    /// Answers an effect after the other effects, as the real driver does.
    pub(crate) fn engine(&mut self, person: usize, after_ms: u64, input: Input) {
        let life = self.people[person].life;
        self.at(after_ms, Event::Engine { person, life, input: Box::new(input) });
    }

    pub(crate) fn engine_answered(&mut self, person: usize, life: u64, input: Input) {
        if life == self.people[person].life {
            self.session(person, input);
        }
    }
}

impl World {
    /// Kills a client. It comes back by itself, with what is on its disk.
    pub(crate) fn client_dies(&mut self, person: usize) {
        if self.people[person].history.returned == 0 {
            return; // nothing is to be lost yet
        }
        self.hit(Hit::ClientDied);
        let history = &mut self.people[person].history;
        history.kills += 1;
        for chat in history.chats.values_mut().flatten() {
            chat.killed |= !chat.closed;
            chat.closed = true;
        }
        self.client_runs_again(person);
    }

    /// Starts a client after the end of its last run.
    fn client_runs_again(&mut self, person: usize) {
        self.hang_up_all_peers(person);
        self.hang_up_server(person);
        let seed = self.random.u64(..);
        let who = &mut self.people[person];
        who.session = session(seed, Some(fingerprint()), self.plan);
        who.life += 1;
        who.is_down = self.plan == Plan::Classroom;
        who.datagrams = None;
        who.tick_at = None;
        who.open_requests.clear();
        let back = self.random.u64(100..20_000);
        self.at(back, Event::Act { person, act: Act::LogIn });
    }

    pub(crate) fn displayed(&mut self, person: usize, life: u64, displayed: Displayed) {
        if life == self.people[person].life {
            self.session(person, Input::Displayed(displayed));
        }
    }
}
