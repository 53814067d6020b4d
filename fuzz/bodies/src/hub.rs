//! A server's hub, with clients that may send anything at any time. Some of the servers are a classroom's.
//!
//! The driver's guarantees hold: it passes a line only when the hub wants one, and an end only once. The
//! input chooses everything else.

mod mail;
mod meetings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use letschat_protocol::clock::Now;
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{Credentials, MeetingToken, Request, Secret, SessionId};
use letschat_protocol::frame::{Decoder, Frame, FrameError, Mode};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::signing::LoginStatement;
use letschat_protocol::username::Username;
use letschat_server::clients_file::{ClientEntry, MAX_CLIENTS};
use letschat_server::hub::{
    ConnectionId, Effect, Hub, Input, LinkEnd, Operator, ServerInstance, Settings,
};
use letschat_server::reserved_names;
use letschat_server::store::{Created, StoreAnswer, StoreRequest, StoredLog, Unavailable, Verdict};

use crate::choices::Choices;

const PLACES: usize = 3;
const NAMES: &[&str] = &["alice", "bob", "carol", "a", "no name", "Alice", "127.0.0.1"];
/// The names of a classroom: more than there are places, and one that nobody may claim.
const CLASS_NAMES: &[&str] = &["alice", "bob", "carol", "a", "b", "c", "server"];
const PASSWORD: &str = "correct horse battery";

/// Lines that advance a dialogue, or nearly do.
const LINES: &[&str] = &[
    "HELLO",
    "HELLO letschat/1",
    "login",
    "signup",
    "1",
    "2",
    "yes",
    "LIST",
    "LIST AFTER b",
    "WATCH ON",
    "WATCH OFF",
    "CONNECT",
    "CONNECT bob",
    "CONNECT 127.0.0.1",
    "CONNECT 127.0.0.2:5",
    "LOCATE alice",
    "BROADCAST",
    "PING",
    "ACTIVE",
    "HELP",
    "QUIT",
    "REPLAY FROM 0",
    "REPLAY FROM 1",
    "alice",
    "bob",
    PASSWORD,
    "",
    "XYZZY",
    "REPLAY FROM 18446744073709551615",
];

/// The maximum number of consecutive ticks. After a suspend of the machine several deadlines may have
/// passed.
const MAX_TICKS: usize = 8;

/// Runs the input.
pub fn run(bytes: &[u8]) {
    // The last byte decides, so that the other choices of an input mean the same in both.
    let is_classroom = bytes.last().is_some_and(|byte| byte % 2 == 1);
    let mut world = World::new(Choices::new(bytes), is_classroom);
    while !world.choices.is_over() && !world.is_stopped {
        world.step();
    }
}

struct Connection {
    secured: bool,
    wanted: Option<Mode>,
    tell_when_drained: bool,
}

struct World<'a> {
    choices: Choices<'a>,
    hub: Hub,
    now: Now,
    is_classroom: bool,
    /// The most sessions, and the most clients on a classroom's list.
    places: usize,
    identity: Identity,
    open: BTreeMap<ConnectionId, Connection>,
    accepted: u64,
    store: VecDeque<StoreRequest>,
    appends: usize,
    last_number: u64,
    published: u64,
    sessions: BTreeSet<SessionId>,
    tokens: Vec<u64>,
    is_stopped: bool,
    /// The tokens of meetings that were given.
    meeting_tokens: Vec<MeetingToken>,
    /// The number of the last delivery.
    mail_number: u64,
}

fn fingerprint() -> Fingerprint {
    Fingerprint::of_spki(b"fuzz")
}

impl<'a> World<'a> {
    fn new(mut choices: Choices<'a>, is_classroom: bool) -> World<'a> {
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        let instance = ServerInstance {
            fingerprint: fingerprint(),
            udp_port: 4400,
            boot_id: 1,
            seed: [3; 32],
        };
        let log = StoredLog { epoch: 9, head: 0, entries: Vec::new() };
        let mut settings = Settings { places: PLACES, ..Settings::default() };
        if is_classroom {
            settings.places = choices.one(&[PLACES, usize::MAX]).unwrap_or(PLACES);
            settings = settings.in_classroom();
        }
        let places = settings.places;
        assert!(places <= MAX_CLIENTS, "{places} places");
        let mut hub = Hub::new(settings, instance, log, now);
        if is_classroom {
            hub.restore_clients(restored(choices.below(2 * places)));
        }
        World {
            choices,
            hub,
            now,
            is_classroom,
            places,
            identity: Identity::from_seed(&[5; 32]),
            open: BTreeMap::new(),
            accepted: 0,
            store: VecDeque::new(),
            appends: 0,
            last_number: 0,
            published: 0,
            sessions: BTreeSet::new(),
            tokens: Vec::new(),
            is_stopped: false,
            meeting_tokens: Vec::new(),
            mail_number: 0,
        }
    }

    fn step(&mut self) {
        match self.choices.below(12) {
            0 if self.is_classroom && self.choices.flip() => self.join(),
            0 => self.accept(),
            1 => self.secure(),
            2..=5 => self.say(),
            6 => self.hang_up(),
            7 => self.answer_from_store(),
            8 => self.drain(),
            9 => self.datagram(),
            10 => self.operate(),
            _ => self.pass_time(),
        }
    }

    fn accept(&mut self) {
        self.accepted += 1;
        let connection = ConnectionId(self.accepted);
        let host = 1 + self.choices.below(3) as u8;
        let peer = SocketAddr::from(([127, 0, 0, host], 40_000 + self.accepted as u16 % 1_000));
        let made = Connection { secured: false, wanted: None, tell_when_drained: false };
        self.open.insert(connection, made);
        self.handle(Input::Accepted { connection, peer, local: [127, 0, 0, 1].into() });
    }

    /// Lets a client come that logs in by key. Without a shortcut too few inputs get that far.
    fn join(&mut self) {
        self.accept();
        let connection = ConnectionId(self.accepted);
        self.open.entry(connection).and_modify(|open| open.secured = true);
        self.handle(Input::Secured { connection, binding: binding(connection) });
        let username = self.choices.one(CLASS_NAMES).unwrap_or_default().to_owned();
        let credentials = self.credentials(connection, &username);
        for request in [Request::Hello, Request::Key { username, credentials }] {
            let open = self.open.get_mut(&connection);
            if open.and_then(|open| open.wanted.take()).is_some() {
                self.handle(Input::Line { connection, line: Ok(request.to_frame()) });
            }
        }
        if self.choices.flip() {
            self.answer_from_store();
        }
    }

    /// Chooses a connection that satisfies the predicate.
    fn some(&mut self, is_like_this: impl Fn(&Connection) -> bool) -> Option<ConnectionId> {
        let all = self.open.iter().filter(|(_, connection)| is_like_this(connection));
        let all: Vec<ConnectionId> = all.map(|(id, _)| *id).collect();
        self.choices.one(&all)
    }

    fn secure(&mut self) {
        if let Some(connection) = self.some(|connection| !connection.secured) {
            self.open.entry(connection).and_modify(|open| open.secured = true);
            self.handle(Input::Secured { connection, binding: binding(connection) });
        }
    }

    fn say(&mut self) {
        let Some(connection) = self.some(|open| open.secured && open.wanted.is_some()) else {
            return;
        };
        let open = self.open.get_mut(&connection);
        let mode = open.and_then(|open| open.wanted.take()).unwrap_or(Mode::Frame);
        let line = self.line(connection, mode);
        self.handle(Input::Line { connection, line });
    }

    fn line(&mut self, connection: ConnectionId, mode: Mode) -> Result<Frame, FrameError> {
        let bytes = match self.choices.below(4) {
            0 => [self.choices.bytes(200), b"\n"].concat(),
            1 if self.choices.flip() => self.mail_line().to_bytes(),
            1 if self.choices.flip() => self.meeting_line().to_frame().to_bytes(),
            1 => self.request(connection).to_frame().to_bytes(),
            _ => Frame::line(self.choices.one(LINES).unwrap_or_default()).to_bytes(),
        };
        let mut decoder = Decoder::new();
        decoder.extend(&bytes);
        decoder.next(mode).map(|frame| frame.unwrap_or_else(|| Frame::line("")))
    }

    fn request(&mut self, connection: ConnectionId) -> Request {
        let names = if self.is_classroom { CLASS_NAMES } else { NAMES };
        let username = self.choices.one(names).unwrap_or_default().to_owned();
        let password = Secret(PASSWORD.into());
        match self.choices.below(6) {
            0 => Request::SignUp { username, repeated: password.clone(), password },
            1 | 2 => {
                let credentials = self.credentials(connection, &username);
                if self.choices.flip() {
                    Request::Login { username, credentials, password }
                } else {
                    Request::Key { username, credentials }
                }
            }
            // Random bytes are hardly ever a text without control characters.
            3 if self.is_classroom && self.choices.flip() => Request::Broadcast { text: username },
            3 => Request::Broadcast { text: self.choices.text(1_000) },
            4 => {
                let new = Secret(self.choices.text(20));
                Request::ChangePassword { password, repeated: new.clone(), new }
            }
            _ => Request::Replay { from: self.choices.number() },
        }
    }

    fn credentials(&mut self, connection: ConnectionId, username: &str) -> Credentials {
        let binding = binding(connection);
        let name: Username = username.parse().unwrap_or_else(|_| "nobody".parse().expect("valid"));
        let statement =
            LoginStatement { server: &fingerprint(), username: &name, binding: &binding };
        Credentials {
            key: self.identity.public_key(),
            signature: self.identity.sign(&statement),
            port: 1 + self.choices.below(3) as u16,
            take: self.choices.flip(),
        }
    }

    fn hang_up(&mut self) {
        if let Some(connection) = self.some(|_| true) {
            self.open.remove(&connection);
            let why = [LinkEnd::Ended, LinkEnd::Failed, LinkEnd::NotReading][self.choices.below(3)];
            self.handle(Input::Gone { connection, why });
        }
    }

    fn answer_from_store(&mut self) {
        let Some(request) = self.store.pop_front() else { return };
        let verdict = [Verdict::Accepted, Verdict::Unlisted, Verdict::Refused, Verdict::Banned];
        let verdict = match self.choices.below(7) {
            0 => Err(Unavailable),
            n => Ok(verdict[n.saturating_sub(3)]),
        };
        let answer = match request {
            StoreRequest::SignUp { connection, .. } => {
                let created = if self.choices.flip() { Created::New } else { Created::Taken };
                StoreAnswer::SignedUp { connection, result: verdict.map(|_| created) }
            }
            StoreRequest::CheckPassword { connection, .. }
            | StoreRequest::CheckKey { connection, .. } => {
                StoreAnswer::Checked { connection, result: verdict }
            }
            StoreRequest::ChangePassword(change) => {
                let (connection, username) = (change.connection, change.username.clone());
                match self.choices.below(4) {
                    0 => StoreAnswer::PasswordInDoubt { connection, username },
                    _ => StoreAnswer::PasswordChanged { connection, username, result: verdict },
                }
            }
            StoreRequest::Append { broadcasts, .. } => {
                self.appends -= 1;
                let first = self.last_number + 1;
                // A commit whose answer is lost still uses its numbers.
                if verdict.is_ok() || self.choices.flip() {
                    self.last_number += broadcasts.len() as u64;
                }
                self.published = if verdict.is_ok() { self.last_number } else { self.published };
                StoreAnswer::Appended { result: verdict.map(|_| first) }
            }
            StoreRequest::Mail(request) => StoreAnswer::Mail(self.mail_answer(request)),
            // This server belongs to no cluster.
            StoreRequest::Cluster(request) => StoreAnswer::Cluster(request.unavailable()),
            StoreRequest::Forget { .. } => return,
        };
        self.handle(Input::Stored(answer));
    }

    fn drain(&mut self) {
        if let Some(connection) = self.some(|open| open.tell_when_drained) {
            self.open.entry(connection).and_modify(|open| open.tell_when_drained = false);
            self.handle(Input::Drained { connection });
        }
    }

    fn datagram(&mut self) {
        let sessions: Vec<SessionId> = self.sessions.iter().copied().collect();
        // The driver drops datagrams without a valid session.
        let Some(session) = self.choices.one(&sessions) else { return };
        let token = match self.choices.one(&self.tokens) {
            Some(token) if self.choices.flip() => token,
            _ => self.choices.number(),
        };
        let message =
            if self.choices.flip() { ToServer::KeepAlive } else { ToServer::Answer(token) };
        let host = 1 + self.choices.below(3) as u8;
        let from = SocketAddr::from(([127, 0, 0, host], 50_000));
        self.handle(Input::Datagram { session, from, message });
    }

    fn operate(&mut self) {
        let name = self.choices.one(&NAMES[..3]).and_then(|name| name.parse().ok());
        let operator = match (self.choices.below(16), name) {
            (0, _) => Operator::Stop,
            (1..=4, after) => Operator::List { after },
            (5..=9, Some(name)) => Operator::Kick(name),
            (10..=12, _) => Operator::Say(self.choices.text(100)),
            (13..=14, _) if self.is_classroom => {
                let receiver = receiver(1 + self.choices.below(3) as u16);
                return self.handle(Input::KnockRefused { receiver });
            }
            _ => Operator::Stats,
        };
        self.handle(Input::Operator(operator));
    }

    fn pass_time(&mut self) {
        let passed = self.choices.milliseconds();
        self.now.boot_ms += passed;
        self.now.wall_ms = self.now.wall_ms.saturating_add(passed);
        if self.choices.below(8) == 0 {
            self.now.wall_ms = self.choices.number() >> 8;
        }
        for _ in 0..MAX_TICKS {
            self.handle(Input::Tick);
            if self.hub.next_deadline().is_none_or(|due| due > self.now.boot_ms) {
                return;
            }
        }
        panic!("what was due is still due after {MAX_TICKS} ticks");
    }

    fn handle(&mut self, input: Input) {
        for effect in self.hub.handle(self.now, input) {
            self.carry_out(effect);
        }
        assert!(self.hub.members() <= self.places, "{} are in", self.hub.members());
    }

    fn connection(&mut self, id: ConnectionId) -> &mut Connection {
        self.open.get_mut(&id).expect("nothing is done to a connection that is gone")
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { connection, bytes } => {
                self.connection(connection);
                let mut decoder = Decoder::new();
                decoder.extend(&bytes);
                while let Some(frame) = decoder.next(Mode::Frame).expect("the hub speaks in frames")
                {
                    self.note_tokens(&frame);
                }
                assert_eq!(decoder.buffered(), 0, "what is sent are whole frames");
            }
            Effect::Ring => panic!("this server belongs to no cluster"),
            Effect::Measured(_) => panic!("no monitoring asks"),
            Effect::Read { connection, mode } => {
                let open = self.connection(connection);
                assert_eq!(open.wanted.replace(mode), None, "one line is asked for at a time");
            }
            Effect::TellWhenDrained { connection } => {
                self.connection(connection).tell_when_drained = true;
            }
            Effect::Close { connection } => {
                self.open.remove(&connection).expect("a connection is closed once");
            }
            Effect::OpenDatagrams { session, connection } => {
                self.connection(connection);
                assert!(self.sessions.insert(session), "a session's name is its own");
            }
            Effect::CloseDatagrams { session } => {
                assert!(self.sessions.remove(&session), "a session is closed once");
            }
            Effect::Datagram { to, message } => {
                let known = |session| self.sessions.contains(session);
                assert!(to.iter().all(|to| known(&to.session)), "there are keys for it");
                if let ToClient::Challenge(token) = message {
                    self.tokens.push(token);
                }
            }
            Effect::Store(request) => self.ask_store(request),
            Effect::Stopped => {
                assert_eq!(self.appends, 0, "a commit under way is answered before the farewell");
                assert!(self.open.is_empty(), "all have been told");
                self.is_stopped = true;
            }
            Effect::WriteClients(entries) => self.check_clients(&entries),
            Effect::Show(line) => {
                assert!(self.is_classroom, "only a classroom has a screen");
                assert!(!line.to_string().contains(char::is_control), "{line:?} is printable");
            }
            Effect::Admitted { connection } => drop(self.connection(connection)),
            Effect::Relay { connections } => {
                let wanted = connections.map(|connection| self.connection(connection).wanted);
                assert_eq!(wanted, [None, None], "what is relayed is not read as lines");
            }
            Effect::CancelStore { .. } | Effect::Record(_) | Effect::Answer(_) => {}
        }
    }

    /// Checks a list of clients that is written to the file.
    fn check_clients(&self, entries: &[ClientEntry]) {
        assert!(self.is_classroom, "only a classroom has a list of clients");
        assert!(entries.len() <= self.places, "{} clients are listed", entries.len());
        let is_before = |a: &ClientEntry, b: &ClientEntry| a.username < b.username;
        assert!(entries.is_sorted_by(is_before), "{entries:?} are sorted, each once");
    }

    fn ask_store(&mut self, request: StoreRequest) {
        if let StoreRequest::CheckKey { claim: true, username, .. } = &request {
            assert!(self.is_classroom, "only in a classroom a key claims a name");
            assert_eq!(reserved_names::check(username), Ok(()));
        }
        if let StoreRequest::Append { after, broadcasts } = &request {
            self.appends += 1;
            assert_eq!(self.appends, 1, "one commit is under way at a time");
            assert_eq!(*after, self.published, "the hub knows what it published last");
            assert!(!broadcasts.is_empty(), "there is something to commit");
        }
        self.store.push_back(request);
    }
}

/// Returns the clients of an earlier run: first those of the usual names, then strangers.
fn restored(count: usize) -> impl Iterator<Item = ClientEntry> {
    let names = CLASS_NAMES.iter().map(|name| (*name).to_owned());
    let strangers = (0..).map(|number| format!("stranger{number}"));
    let entry = |name: String| ClientEntry {
        username: name.parse().expect("a valid name"),
        receiver: receiver(1),
    };
    names.chain(strangers).take(count).map(entry)
}

fn receiver(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn binding(connection: ConnectionId) -> [u8; 32] {
    let mut binding = [0; 32];
    binding[..8].copy_from_slice(&connection.0.to_be_bytes());
    binding
}
