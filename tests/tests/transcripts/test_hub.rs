//! The test setup of a transcript: a real hub, a real database that answers at once, and in-memory connections.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::clock::Now;
use letschat_protocol::devices::{DeviceEntry, DeviceName};
use letschat_protocol::dialogue::{Credentials, ReplyAssembler, Request};
use letschat_protocol::envelope::EnvelopeId;
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::{ChannelBinding, Fingerprint, Identity, Signature};
use letschat_protocol::prekey::{PREKEY_VALID_MS, PrekeyStatement, SignedPrekey, Suite};
use letschat_protocol::signing::LoginStatement;
use letschat_protocol::username::Username;
use letschat_server::hub::{ConnectionId, Effect, Hub, Input, ServerInstance, Settings};
use letschat_server::store::service::unavailable;
use letschat_server::store::sqlite::Sqlite;
use letschat_server::store::{
    PasswordChange, Store as _, StoreAnswer, StoreError, StoreRequest, StoredLog, Verdict,
};
use tempfile::TempDir;

use super::mail::{Prekeys, addressee, described};

/// The notation of the first entry of the sender's device list.
const FIRST_ENTRY: &str = "<first entry>";

pub(crate) const PASSWORD: &str = "correct horse";

/// A user's kind of login.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginKind {
    Program,
    OtherMachine,
    Hand,
}

/// A hub, its store, its clock, and the lines that each connection received.
pub(crate) struct TestHub {
    hub: Hub,
    now: Now,
    pub(crate) store: Database,
    pub(crate) wires: BTreeMap<ConnectionId, Wire>,
    inputs: VecDeque<Input>,
    prekeys: Prekeys,
    /// The users whom directives have logged in.
    members: BTreeMap<ConnectionId, Username>,
}

/// A database that answers at once. It holds passwords in the place of their hashes.
pub(crate) struct Database {
    sqlite: Sqlite,
    _folder: TempDir,
    pub(crate) away: bool,
}

/// A TCP connection.
#[derive(Default)]
pub(crate) struct Wire {
    decoder: Decoder,
    /// The mode of the line that the hub wants.
    wanted: Option<Mode>,
    pub(crate) heard: VecDeque<String>,
    pub(crate) closed: bool,
}

fn server_key() -> Fingerprint {
    Fingerprint::of_spki(b"the server of the transcripts")
}

fn identity(who: &Username, manner: LoginKind) -> Identity {
    let mut seed = [0; 32];
    seed[..who.as_str().len()].copy_from_slice(who.as_str().as_bytes());
    seed[31] = u8::from(manner == LoginKind::OtherMachine);
    Identity::from_seed(&seed)
}

fn binding(connection: ConnectionId) -> ChannelBinding {
    let mut binding = [0; 32];
    binding[..8].copy_from_slice(&connection.0.to_be_bytes());
    binding
}

fn sign(identity: &Identity, username: &Username, connection: ConnectionId) -> Signature {
    let (server, binding) = (server_key(), binding(connection));
    identity.sign(&LoginStatement { server: &server, username, binding: &binding })
}

impl TestHub {
    pub(crate) fn new() -> TestHub {
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        let instance =
            ServerInstance { fingerprint: server_key(), udp_port: 4400, boot_id: 1, seed: [3; 32] };
        let (store, log) = Database::new();
        TestHub {
            hub: Hub::new(Settings::default(), instance, log, now),
            now,
            store,
            wires: BTreeMap::new(),
            inputs: VecDeque::new(),
            prekeys: Prekeys::default(),
            members: BTreeMap::new(),
        }
    }

    pub(crate) fn connect(&mut self, from: &str) -> ConnectionId {
        let connection = ConnectionId(self.wires.len() as u64 + 1);
        self.wires.insert(connection, Wire::default());
        let peer = SocketAddr::new(from.parse().unwrap(), 50_000);
        let local: IpAddr = "10.0.0.100".parse().unwrap();
        self.put(Input::Accepted { connection, peer, local });
        self.put(Input::Secured { connection, binding: binding(connection) });
        connection
    }

    pub(crate) fn add_account(&mut self, who: &Username) {
        self.add_key(who, LoginKind::Program);
    }

    fn add_key(&mut self, who: &Username, manner: LoginKind) {
        let (key, now_ms) = (identity(who, manner).public_key(), self.now.wall_ms);
        let store = &mut self.store.sqlite;
        store.create_account(who, PASSWORD, now_ms).unwrap();
        store.add_key(who, &key, now_ms).unwrap();
    }

    pub(crate) fn log_in(&mut self, connection: ConnectionId, who: &Username, manner: LoginKind) {
        self.add_account(who);
        if manner == LoginKind::Hand {
            self.receive(connection, format!("HELLO\nLOGIN {who}\n{PASSWORD}\n").as_bytes());
        } else {
            self.add_key(who, manner);
            let identity = identity(who, manner);
            let signature = sign(&identity, who, connection);
            let key = identity.public_key();
            let credentials = Credentials { key, signature, port: 4401, take: false };
            let request = Request::Key { username: who.to_string(), credentials };
            self.receive(connection, &Request::Hello.to_frame().to_bytes());
            self.receive(connection, &request.to_frame().to_bytes());
        }
        self.members.insert(connection, who.clone());
        // The transcript shows the lines after the reply to the login.
        let heard = &mut self.wires.get_mut(&connection).unwrap().heard;
        let reply = heard.iter().position(|line| line.starts_with("230 "));
        let reply = reply.unwrap_or_else(|| panic!("{who} is refused: {heard:?}"));
        heard.drain(..=reply);
    }

    /// Publishes the prekey of a user, on whose connection nothing else is heard.
    pub(crate) fn publish_prekey(&mut self, connection: ConnectionId) {
        let who = self.members[&connection].clone();
        let (key, until_ms) = (self.prekeys.of(&who).public(), self.now.wall_ms + PREKEY_VALID_MS);
        let identity = identity(&who, LoginKind::Program);
        let prekey = SignedPrekey::sign(&identity, &server_key(), &who, key, until_ms);
        self.ask(connection, &Request::Prekey(prekey), "250 published");
    }

    /// Posts an envelope. The transcript does not show the reply.
    pub(crate) fn post(&mut self, connection: ConnectionId, to: &Username) {
        let envelope = self.envelope(connection, to);
        let id = EnvelopeId(0x3f9c_0a6d_8e5b_4712_8d1f_60b2_c4a7_e935);
        self.ask(connection, &Request::Post { id, envelope }, "250-");
    }

    fn ask(&mut self, connection: ConnectionId, request: &Request, expected: &str) {
        self.receive(connection, &request.to_frame().to_bytes());
        let heard = std::mem::take(&mut self.wires.get_mut(&connection).unwrap().heard);
        assert!(heard.iter().any(|line| line.starts_with(expected)), "{heard:?}");
    }

    /// Returns an envelope from a user whom a directive has logged in.
    fn envelope(&mut self, connection: ConnectionId, to: &Username) -> Vec<u8> {
        let from = self.members[&connection].clone();
        let [author, device] = [&from, to].map(|who| identity(who, LoginKind::Program));
        self.prekeys.seal((&from, &author), (to, &device), &server_key())
    }

    /// Returns the bytes of a client's line, with values in place of its placeholders.
    pub(crate) fn filled(&mut self, line: &str, connection: ConnectionId) -> Vec<u8> {
        match addressee(line) {
            Some(to) => self.envelope(connection, &to),
            None if line.contains("<prekey>") => self.with_prekey(line, connection).into(),
            None if line.contains(FIRST_ENTRY) => self.with_entry(line, connection).into(),
            None => with_login(line, connection).into(),
        }
    }

    /// Returns a request with the first entry of a device list of the user who sends it.
    fn with_entry(&self, line: &str, connection: ConnectionId) -> String {
        let who = &self.members[&connection];
        let (identity, laptop) = (identity(who, LoginKind::Program), DeviceName::like("laptop"));
        let entry = DeviceEntry::first(&identity, (&server_key(), who), laptop, 7);
        line.replace(FIRST_ENTRY, &entry.to_string())
    }

    /// Returns a PREKEY with the prekey of the user who sends it, and its signature.
    fn with_prekey(&mut self, line: &str, connection: ConnectionId) -> String {
        let who = self.members[&connection].clone();
        let key = self.prekeys.of(&who).public();
        let until_ms = line.split(' ').nth(3).unwrap().parse().unwrap();
        let (server, suites) = (server_key(), [Suite::X25519]);
        let statement = PrekeyStatement {
            server: &server,
            account: &who,
            key: &key,
            suites: &suites,
            until_ms,
        };
        let signature = identity(&who, LoginKind::Program).sign(&statement);
        line.replace("<prekey>", &key.to_string()).replace("<signature>", &signature.to_string())
    }

    /// Receives bytes from a client. The hub gets a line each time it wants one.
    pub(crate) fn receive(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.wires.get_mut(&connection).unwrap().decoder.extend(bytes);
        self.run();
    }

    pub(crate) fn put(&mut self, input: Input) {
        self.inputs.push_back(input);
        self.run();
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.boot_ms + ms;
        while let Some(due) = self.hub.next_deadline().filter(|due| *due <= end) {
            self.now.wall_ms += due.saturating_sub(self.now.boot_ms);
            self.now.boot_ms = self.now.boot_ms.max(due);
            self.put(Input::Tick);
        }
        self.now.wall_ms += end - self.now.boot_ms;
        self.now.boot_ms = end;
    }

    fn run(&mut self) {
        while let Some(input) = self.inputs.pop_front().or_else(|| self.wanted_line()) {
            for effect in self.hub.handle(self.now, input) {
                self.carry_out(effect);
            }
        }
    }

    fn wanted_line(&mut self) -> Option<Input> {
        self.wires.iter_mut().filter(|(_, wire)| !wire.closed).find_map(|(connection, wire)| {
            let line = wire.decoder.next(wire.wanted?).transpose()?;
            wire.wanted = None;
            Some(Input::Line { connection: *connection, line })
        })
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { connection, bytes } => self.hear(connection, &bytes),
            Effect::Read { connection, mode } => {
                let wanted = self.wires.get_mut(&connection).unwrap().wanted.replace(mode);
                assert_eq!(wanted, None, "a second line is wanted before the first came");
            }
            Effect::TellWhenDrained { connection } => {
                self.inputs.push_back(Input::Drained { connection });
            }
            Effect::Close { connection } => self.wires.get_mut(&connection).unwrap().closed = true,
            Effect::Store(request) => {
                let answer = self.store.answer(request, self.now.wall_ms);
                self.inputs.extend(answer.map(Input::Stored));
            }
            _ => {}
        }
    }

    /// Reads whole frames, which must be valid.
    fn hear(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let (mut decoder, mut assembler) = (Decoder::new(), ReplyAssembler::default());
        decoder.extend(bytes);
        while let Some(frame) = decoder.next(Mode::Frame).unwrap() {
            assembler.take(&frame).expect("the hub speaks the protocol");
            let heard = &mut self.wires.get_mut(&connection).unwrap().heard;
            if frame.as_line().starts_with("* MAIL ") {
                let identity = |who: &Username| identity(who, LoginKind::Program);
                let to = self.prekeys.open(&frame, identity, &server_key());
                let to = to.expect("the addressee can open the envelope");
                let bytes = frame.payload().unwrap_or_default().len();
                heard.extend([format!("{} +{bytes}", frame.as_line()), described(&to)]);
            } else {
                let text = String::from_utf8(frame.to_bytes()).unwrap();
                heard.extend(text.lines().map(str::to_owned));
            }
        }
        assert_eq!(decoder.buffered(), 0, "half a frame");
    }
}

/// Returns a line with the key and the signature of the user whom it names.
fn with_login(line: &str, connection: ConnectionId) -> String {
    let who = line.split(' ').nth(1).and_then(|word| word.parse::<Username>().ok());
    let Some(who) = who.filter(|_| line.contains("<signature>")) else {
        return line.into();
    };
    let identity = identity(&who, LoginKind::Program);
    line.replace("<key>", &identity.public_key().to_string())
        .replace("<signature>", &sign(&identity, &who, connection).to_string())
}

impl Database {
    fn new() -> (Database, StoredLog) {
        let folder = tempfile::tempdir().unwrap();
        let mut sqlite = Sqlite::open(&folder.path().join("letschat.sqlite")).unwrap();
        let log = sqlite.load_log().unwrap();
        (Database { sqlite, _folder: folder, away: false }, log)
    }

    fn answer(&mut self, request: StoreRequest, now_ms: u64) -> Option<StoreAnswer> {
        match self.away {
            true => unavailable(&request),
            false => self.carry_out(request, now_ms).unwrap(),
        }
    }

    fn carry_out(
        &mut self,
        request: StoreRequest,
        now_ms: u64,
    ) -> Result<Option<StoreAnswer>, StoreError> {
        let store = &mut self.sqlite;
        Ok(Some(match request {
            StoreRequest::SignUp { connection, username, password } => {
                let created = store.create_account(&username, &password.0, now_ms)?;
                StoreAnswer::SignedUp { connection, result: Ok(created) }
            }
            StoreRequest::CheckPassword { connection, username, password, key } => {
                let verdict = match username {
                    Some(username) => store.admit(&username, &password.0, key.as_ref(), now_ms)?,
                    None => Verdict::Refused,
                };
                StoreAnswer::Checked { connection, result: Ok(verdict) }
            }
            StoreRequest::CheckKey { connection, username, key, .. } => {
                let verdict = store.check_key(&username, &key, now_ms)?;
                StoreAnswer::Checked { connection, result: Ok(verdict) }
            }
            StoreRequest::ChangePassword(change) => {
                let PasswordChange { connection, username, password, new, key } = *change;
                let (old, new) = (password.0, new.0);
                let verdict = store.replace_password(&username, &old, &new, key.as_ref())?;
                StoreAnswer::PasswordChanged { connection, username, result: Ok(verdict) }
            }
            StoreRequest::Append { after, broadcasts } => {
                StoreAnswer::Appended { result: Ok(store.append(after, &broadcasts)?) }
            }
            StoreRequest::Mail(request) => StoreAnswer::Mail(request.run(store)?),
            StoreRequest::Cluster(request) => StoreAnswer::Cluster(request.unavailable()),
            StoreRequest::Forget { through } => {
                store.forget(through)?;
                return Ok(None);
            }
        }))
    }
}

pub(crate) fn name(text: &str) -> Username {
    text.parse().unwrap()
}
