//! A model of the tables that the servers of a cluster share.

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;
use letschat_server::store::cluster::{
    ENDED_KEPT_MS, Ending, Entered, Entrance, Known, MAX_SILENT_MS, News, ServerName, SessionId,
    SharedPlace, SharedSession,
};

/// A device of an account, or the sessions that are typed by hand.
type Device = (Username, Option<PublicKey>);

/// The last run of a server, the time of its last question, and what it told with it.
struct Server {
    run: u64,
    seen_ms: u64,
    stats: String,
}

/// The sessions, the servers and the messages between them.
#[derive(Default)]
pub(crate) struct Tables {
    changes: u64,
    sessions: BTreeMap<Device, SharedSession>,
    /// The servers, also those that are gone.
    servers: BTreeMap<ServerName, Server>,
    /// The messages between servers, each with its number.
    messages: Vec<(u64, ServerName, String)>,
    last_message: u64,
    /// The devices whose keys were deleted.
    pub(crate) keyless: BTreeSet<Device>,
}

impl Tables {
    /// Notes that a server has started.
    pub(crate) fn begin(&mut self, server: &ServerName, run: u64, now_ms: u64) {
        self.changes += 1;
        let started = Server { run, seen_ms: now_ms, stats: String::new() };
        self.servers.insert(server.clone(), started);
        self.messages.retain(|(_, to, _)| to != server);
        for session in self.sessions.values_mut() {
            if session.place.take_if(|place| place.server == *server).is_some() {
                session.id.number = self.changes;
            }
        }
    }

    /// Logs a device in at a server. Returns `None` if the server has started again since.
    pub(crate) fn enter(
        &mut self,
        server: &ServerName,
        run: u64,
        now_ms: u64,
        entrance: &Entrance,
    ) -> Option<Entered> {
        self.servers.get(server).filter(|last| last.run == run)?;
        let Entrance { username, device, address, port, is_listed, .. } = entrance.clone();
        let key = (username.clone(), device);
        let is_there = |session: &&SharedSession| {
            session.place.as_ref().is_some_and(|at| self.is_there(&at.server, now_ms))
        };
        let same = self.sessions.get(&key).into_iter().filter(is_there).count();
        if self.keyless.contains(&key) {
            return Some(Entered::Refused);
        }
        if same > 0 && device.is_none() && !entrance.take {
            return Some(Entered::NeedsTake);
        }
        if self.sessions.values().filter(is_there).count() - same >= entrance.places {
            return Some(Entered::Full);
        }
        self.changes += 1;
        let number = self.changes;
        let (server, since_ms) = (server.clone(), entrance.now_ms);
        let place = Some(SharedPlace { server, address, port, is_listed, since_ms });
        let id = SessionId { username, device, number };
        self.sessions.insert(key, SharedSession { id, place, why: None });
        Some(Entered::Here { number })
    }

    /// Notes that sessions have ended.
    pub(crate) fn leave(&mut self, endings: Vec<Ending>) {
        self.changes += 1;
        for ending in endings {
            for (device, session) in &mut self.sessions {
                let (is_meant, why) = match &ending {
                    Ending::Session { session: ended, why } => (session.id == *ended, *why),
                    Ending::Keyless { username, typed, why } => {
                        let is_keyless =
                            self.keyless.contains(device) || *typed && device.1.is_none();
                        (device.0 == *username && is_keyless, Some(*why))
                    }
                };
                if is_meant && session.place.is_some() {
                    session.id.number = self.changes;
                    (session.place, session.why) = (None, why);
                }
            }
        }
    }

    /// Returns the news, without broadcasts and mail. Returns `None` if the server has
    /// started again since.
    pub(crate) fn ask(
        &mut self,
        server: &ServerName,
        run: u64,
        now_ms: u64,
        (known, stats): (&Known, String),
    ) -> Option<News> {
        let own = self.servers.get_mut(server).filter(|own| own.run == run)?;
        let silent_ms = now_ms - std::mem::replace(&mut own.seen_ms, now_ms);
        own.stats = stats;
        let has_all_sessions = silent_ms > ENDED_KEPT_MS / 2;
        let known_sessions = if has_all_sessions { 0 } else { known.sessions };
        let mut sessions: Vec<SharedSession> = self.sessions.values().cloned().collect();
        sessions.retain(|session| session.id.number > known_sessions);
        sessions.sort_by_key(|session| session.id.number);
        let others = self.servers.iter().filter(|(other, _)| *other != server);
        let there = others.filter(|(other, _)| self.is_there(other, now_ms));
        let servers = there.map(|(name, other)| (name.clone(), other.stats.clone())).collect();
        self.messages.retain(|(number, to, _)| to != server || *number > known.messages);
        let own = self.messages.iter().filter(|(_, to, _)| to == server);
        let last_message = own.clone().next_back().map_or(known.messages, |(number, ..)| *number);
        let messages = own.map(|(.., text)| text.clone()).collect();
        let news = News { servers, sessions, has_all_sessions, messages, ..News::default() };
        Some(News { last_message, ..news })
    }

    /// Leaves messages for servers.
    pub(crate) fn tell(&mut self, messages: Vec<(ServerName, String)>) {
        for (to, text) in messages {
            self.last_message += 1;
            self.messages.push((self.last_message, to, text));
        }
    }

    /// Returns true if a device is logged in at a server.
    pub(crate) fn is_at(
        &self,
        server: &ServerName,
        username: &Username,
        device: PublicKey,
    ) -> bool {
        let session = self.sessions.get(&(username.clone(), Some(device)));
        let place = session.and_then(|session| session.place.as_ref());
        place.is_some_and(|place| place.server == *server)
    }

    fn is_there(&self, server: &ServerName, now_ms: u64) -> bool {
        self.servers.get(server).is_some_and(|other| now_ms - other.seen_ms < MAX_SILENT_MS)
    }
}
