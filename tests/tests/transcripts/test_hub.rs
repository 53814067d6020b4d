//! The test setup of a transcript: a real hub, a store that answers at once, and in-memory connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::clock::Now;
use letschat_protocol::dialogue::{Credentials, ReplyAssembler, Request};
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::{ChannelBinding, Fingerprint, Identity, PublicKey, Signature};
use letschat_protocol::signing::LoginStatement;
use letschat_protocol::username::Username;
use letschat_server::hub::{ConnectionId, Effect, Hub, Input, ServerInstance, Settings};
use letschat_server::store::{
    Created, PasswordChange, StoreAnswer, StoreRequest, StoredLog, Unavailable, Verdict,
};

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
    pub(crate) store: Accounts,
    pub(crate) wires: BTreeMap<ConnectionId, Wire>,
    inputs: VecDeque<Input>,
}

/// A store that answers at once.
#[derive(Default)]
pub(crate) struct Accounts {
    passwords: BTreeMap<Username, String>,
    keys: BTreeSet<(Username, PublicKey)>,
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
        let log = StoredLog { epoch: 0x6c65_7473_6368_6174, head: 0, entries: Vec::new() };
        TestHub {
            hub: Hub::new(Settings::default(), instance, log, now),
            now,
            store: Accounts::default(),
            wires: BTreeMap::new(),
            inputs: VecDeque::new(),
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
        self.store.passwords.insert(who.clone(), PASSWORD.into());
        let key = identity(who, LoginKind::Program).public_key();
        self.store.keys.insert((who.clone(), key));
    }

    pub(crate) fn log_in(&mut self, connection: ConnectionId, who: &Username, manner: LoginKind) {
        self.add_account(who);
        let identity = identity(who, manner);
        let key = identity.public_key();
        self.store.keys.insert((who.clone(), key));
        if manner == LoginKind::Hand {
            self.receive(connection, format!("HELLO\nLOGIN {who}\n{PASSWORD}\n").as_bytes());
        } else {
            let signature = sign(&identity, who, connection);
            let credentials = Credentials { key, signature, port: 4401, take: false };
            let request = Request::Key { username: who.to_string(), credentials };
            self.receive(connection, &Request::Hello.to_frame().to_bytes());
            self.receive(connection, &request.to_frame().to_bytes());
        }
        let heard = std::mem::take(&mut self.wires.get_mut(&connection).unwrap().heard);
        assert!(heard.iter().any(|line| line.starts_with("230 ")), "{who} is refused: {heard:?}");
    }

    /// Returns the line with the key and the signature of the user whom it names.
    pub(crate) fn signed(&self, line: &str, connection: ConnectionId) -> String {
        let who = line.split(' ').nth(1).and_then(|word| word.parse::<Username>().ok());
        let Some(who) = who.filter(|_| line.contains("<signature>")) else {
            return line.into();
        };
        let identity = identity(&who, LoginKind::Program);
        line.replace("<key>", &identity.public_key().to_string())
            .replace("<signature>", &sign(&identity, &who, connection).to_string())
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
            Effect::Send { connection, bytes } => {
                self.wires.get_mut(&connection).unwrap().hear(bytes);
            }
            Effect::Read { connection, mode } => {
                let wanted = self.wires.get_mut(&connection).unwrap().wanted.replace(mode);
                assert_eq!(wanted, None, "a second line is wanted before the first came");
            }
            Effect::TellWhenDrained { connection } => {
                self.inputs.push_back(Input::Drained { connection });
            }
            Effect::Close { connection } => self.wires.get_mut(&connection).unwrap().closed = true,
            Effect::Store(request) => {
                self.inputs.extend(self.store.answer(request).map(Input::Stored));
            }
            _ => {}
        }
    }
}

impl Wire {
    /// Reads whole frames, which must be valid.
    fn hear(&mut self, bytes: Vec<u8>) {
        let (mut decoder, mut assembler) = (Decoder::new(), ReplyAssembler::default());
        decoder.extend(&bytes);
        while let Some(frame) = decoder.next(Mode::Frame).unwrap() {
            assembler.take(&frame).expect("the hub speaks the protocol");
        }
        assert_eq!(decoder.buffered(), 0, "half a frame");
        let text = String::from_utf8(bytes).unwrap();
        self.heard.extend(text.lines().map(str::to_owned));
    }
}

impl Accounts {
    fn answer(&mut self, request: StoreRequest) -> Option<StoreAnswer> {
        let available = if self.away { Err(Unavailable) } else { Ok(()) };
        let verdict = |right| if right { Verdict::Accepted } else { Verdict::Refused };
        Some(match request {
            StoreRequest::SignUp { connection, username, password } => {
                let result = available.map(|()| match self.passwords.contains_key(&username) {
                    true => Created::Taken,
                    false => {
                        self.passwords.insert(username, password.0);
                        Created::New
                    }
                });
                StoreAnswer::SignedUp { connection, result }
            }
            StoreRequest::CheckPassword { connection, username, password, key } => {
                let known = username.as_ref().and_then(|username| self.passwords.get(username));
                let right = known == Some(&password.0);
                if let (true, Some(username), Some(key)) = (right && !self.away, username, key) {
                    self.keys.insert((username, key));
                }
                StoreAnswer::Checked { connection, result: available.map(|()| verdict(right)) }
            }
            StoreRequest::CheckKey { connection, username, key } => {
                let right = self.keys.contains(&(username, key));
                StoreAnswer::Checked { connection, result: available.map(|()| verdict(right)) }
            }
            StoreRequest::ChangePassword(change) => {
                let PasswordChange { connection, username, password, new, .. } = *change;
                let right = self.passwords.get(&username) == Some(&password.0);
                if right && !self.away {
                    self.passwords.insert(username, new.0);
                }
                let result = available.map(|()| verdict(right));
                StoreAnswer::PasswordChanged { connection, result }
            }
            StoreRequest::Append { after, .. } => {
                StoreAnswer::Appended { result: available.map(|()| after + 1) }
            }
            StoreRequest::Forget { .. } => return None,
        })
    }
}

pub(crate) fn name(text: &str) -> Username {
    text.parse().unwrap()
}
