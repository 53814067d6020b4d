//! Prekeys and envelopes: the hub with a real database.

mod delivery;
mod devices;
mod keys;
mod posting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use letschat_protocol::clock::DAY_MS;
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Mail, Outcome, Posted};
use letschat_protocol::envelope::{Envelope, EnvelopeId, Header};
use letschat_protocol::limits::MAX_PAGE_BYTES;
use letschat_protocol::prekey::{PrekeyPublic, SignedPrekey, Suite};
use tempfile::TempDir;

use super::*;
use crate::net::outbox::OUTBOX_BYTES;
use crate::store::Store as _;
use crate::store::mailbox::{MailRequest, Mailbox as _};
use crate::store::sqlite::Sqlite;

/// A hub and its database. Effects are recorded until a test takes them.
struct Office {
    server: TestHub,
    store: Sqlite,
    _folder: TempDir,
    /// The requests that the database has not answered.
    requests: VecDeque<MailRequest>,
    effects: Vec<Effect>,
    /// The bytes in the outbox of each connection.
    outboxes: BTreeMap<ConnectionId, usize>,
    drains: VecDeque<ConnectionId>,
    /// The connections whose next line the hub wants.
    wants: BTreeSet<ConnectionId>,
}

impl Office {
    fn with(settings: Settings) -> Office {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(&folder.path().join("letschat.db")).unwrap();
        for name in ["alice", "bob", "carol"] {
            store.create_account(&name.parse().unwrap(), "phc", 1).unwrap();
        }
        Office {
            server: TestHub::new(settings, 0, ""),
            store,
            _folder: folder,
            requests: VecDeque::new(),
            effects: Vec::new(),
            outboxes: BTreeMap::new(),
            drains: VecDeque::new(),
            wants: BTreeSet::new(),
        }
    }

    fn new() -> Office {
        Office::with(Settings::default())
    }

    /// Gives the hub an input, without an answer of the database.
    fn put(&mut self, input: Input) {
        self.server.put(input);
        let effects = std::mem::take(&mut self.server.effects);
        self.record(effects);
    }

    fn record(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Store(StoreRequest::Mail(request)) => self.requests.push_back(request),
                Effect::TellWhenDrained { connection } => self.drains.push_back(connection),
                Effect::Read { connection, .. } => {
                    self.wants.insert(connection);
                    self.effects.push(effect);
                }
                effect => {
                    if let Effect::Send { connection, bytes } = &effect {
                        let outbox = self.outboxes.entry(*connection).or_default();
                        *outbox += bytes.len();
                        let reply = MAX_PAGE_BYTES + 1_024;
                        assert!(*outbox + reply <= OUTBOX_BYTES, "{outbox} bytes in an outbox");
                    }
                    self.effects.push(effect);
                }
            }
        }
    }

    /// Lets the database answer its oldest request.
    fn answer(&mut self) {
        let request = self.requests.pop_front().expect("a request");
        let answer = request.run(&mut self.store).unwrap();
        self.put(Input::Stored(StoreAnswer::Mail(answer)));
    }

    /// Lets the database fail at its oldest request.
    fn fail(&mut self) {
        let request = self.requests.pop_front().expect("a request");
        self.put(Input::Stored(StoreAnswer::Mail(request.unavailable())));
    }

    /// Empties the oldest outbox that holds a page.
    fn drain(&mut self) {
        let connection = self.drains.pop_front().expect("a page");
        self.outboxes.remove(&connection);
        self.put(Input::Drained { connection });
    }

    /// Goes on until nothing happens any more.
    fn settle(&mut self) {
        loop {
            if !self.requests.is_empty() {
                self.answer();
            } else if !self.drains.is_empty() {
                self.drain();
            } else {
                // Replies drain by themselves.
                return self.outboxes.clear();
            }
        }
    }

    /// Sends a request, and returns its only reply.
    fn ask(&mut self, from: ConnectionId, request: &Request) -> Reply {
        self.put(Input::Line { connection: from, line: Ok(request.to_frame()) });
        self.settle();
        self.reply(from)
    }

    /// Takes the only reply.
    fn reply(&mut self, to: ConnectionId) -> Reply {
        let mut replies = replies(&self.effects, to);
        assert_eq!(replies.len(), 1, "{replies:?}");
        self.effects.retain(|effect| {
            let sent = |bytes: &[u8]| bytes.starts_with(b"* ");
            !matches!(effect, Effect::Send { connection, bytes } if *connection == to && !sent(bytes))
        });
        replies.remove(0)
    }

    /// Takes the mail that a connection got.
    fn mail(&mut self, to: ConnectionId) -> Vec<Mail> {
        let mail = notices(&self.effects, to).into_iter().filter_map(|notice| match notice {
            Notice::Mail(mail) => Some(mail),
            _ => None,
        });
        let mail = mail.collect();
        self.effects.retain(
            |effect| !matches!(effect, Effect::Send { connection, .. } if *connection == to),
        );
        mail
    }

    fn numbers(&mut self, to: ConnectionId) -> Vec<u64> {
        self.mail(to).iter().map(|mail| mail.number).collect()
    }

    /// Logs a device in, without an answer to the first look for its mail.
    fn arrive(&mut self, name: &str, seed: u8) -> ConnectionId {
        let (username, key) = (name.parse().unwrap(), identity(seed).public_key());
        let now_ms = self.server.now.wall_ms;
        self.store.add_key(&username, &key, now_ms).unwrap();
        let verdict = self.store.check_key(&username, &key, now_ms).unwrap();
        let connection = self.server.arrive("10.0.0.1");
        self.server.secure(connection);
        self.server.say(connection, &Request::Hello);
        let reply = self.server.key_login_with(connection, name, seed, true, verdict);
        assert_eq!(reply.code, Code::LoggedIn);
        let effects = std::mem::take(&mut self.server.effects);
        self.record(effects);
        self.effects.clear();
        connection
    }

    /// Logs a device in.
    fn device(&mut self, name: &str, seed: u8) -> ConnectionId {
        let connection = self.arrive(name, seed);
        self.settle();
        connection
    }

    /// Publishes a device's prekey, whether it is here or not.
    fn has_prekey(&mut self, name: &str, seed: u8) {
        let username: Username = name.parse().unwrap();
        self.store.add_key(&username, &identity(seed).public_key(), 1).unwrap();
        let until_ms = self.server.now.wall_ms + 1_000;
        let prekey = prekey(name, seed, until_ms);
        let key = identity(seed).public_key();
        assert!(self.store.publish_prekey(&username, &key, &prekey).unwrap());
    }

    /// Posts an envelope, and returns the outcome for each device.
    fn post(
        &mut self,
        from: ConnectionId,
        id: u128,
        to: &[(&str, u8)],
        bytes: usize,
    ) -> Vec<Outcome> {
        let reply = self.ask(from, &post(id, to, bytes));
        outcomes(&reply)
    }

    fn leaves(&mut self, connection: ConnectionId) {
        self.put(Input::Gone { connection, why: LinkEnd::Ended });
        self.outboxes.remove(&connection);
        self.drains.retain(|drains| *drains != connection);
        self.requests.retain(|request| request.asker() != Some(connection));
    }

    fn pass(&mut self, ms: u64) {
        let effects = self.server.pass(ms);
        self.record(effects);
        self.settle();
    }
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn prekey(name: &str, seed: u8, until_ms: u64) -> SignedPrekey {
    let username = name.parse().unwrap();
    let key = PrekeyPublic([seed; 32]);
    SignedPrekey::sign(&identity(seed), &server_key(), &username, key, until_ms)
}

fn envelope(to: &[(&str, u8)], body_bytes: usize) -> Envelope {
    let header = |(name, seed): &(&str, u8)| Header {
        recipient: name.parse().unwrap(),
        device: identity(*seed).public_key(),
        prekey: PrekeyPublic([*seed; 32]),
        encapsulated: [*seed; 32],
        content_key: [*seed; 48],
    };
    Envelope {
        suite: Suite::X25519,
        headers: to.iter().map(header).collect(),
        sealed_body: vec![9; body_bytes],
    }
}

fn post(id: u128, to: &[(&str, u8)], body_bytes: usize) -> Request {
    Request::Post { id: EnvelopeId(id), envelope: envelope(to, body_bytes).to_bytes() }
}

fn outcomes(reply: &Reply) -> Vec<Outcome> {
    assert_eq!(reply.code, Code::Ok, "{reply:?}");
    let (_, items) = reply.lines.split_last().unwrap();
    items.iter().map(|item| Posted::parse(item).unwrap().outcome).collect()
}

fn acknowledge(numbers: &[u64]) -> Request {
    Request::Acknowledge { numbers: numbers.to_vec() }
}
