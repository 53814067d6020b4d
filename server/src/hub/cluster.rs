//! The other servers of a cluster.
//!
//! ```text
//! login ── right ──▶ Enter ── Entered::Here ──▶ Member ── gone ──▶ Leave
//! each second, and when another server rings ──▶ Ask ──▶ News: sessions, broadcasts, mail, messages
//! ```
//!
//! Only the store decides where a device is logged in. The directory also has the sessions of other servers; their notices
//! are sent to their server. A server that has not heard from the store for long commits nothing before it has asked.

mod messages;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::clock::Now;
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Closing;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::connection::{LoginAttempt, StoreWork};
use super::directory::{Entry, Location};
use super::login::BANNED;
use super::operator::Share;
use super::{ConnectionId, Effect, Hub, Record};
use crate::store::cluster::{
    ClusterAnswer, ClusterRequest, Ending, Entered, Entrance, Known, MAX_NEWS, MAX_SILENT_MS, News,
    ServerName, SessionId, SharedPlace, SharedSession,
};
use crate::store::{StoreRequest, Unavailable};

/// The interval at which a server asks for what is new.
const ASK_MS: u64 = 1_000;

/// The shortest interval of questions, however often others ring.
pub(super) const LEAST_ASK_MS: u64 = 10;

/// The most things in one batch, each of which is a statement of the database.
const MAX_BATCH: usize = 256;

/// A device of an account, or the sessions that are typed by hand.
type Device = (Username, Option<PublicKey>);

/// The cluster as this server knows it.
#[derive(Debug)]
pub(super) struct Cluster {
    name: ServerName,
    /// The numbers of sessions and deliveries up to which everything is known. The log knows that of broadcasts.
    known: Known,
    /// The other servers that are there, with the statistics that each has told last.
    servers: BTreeMap<ServerName, Share>,
    /// The sessions at other servers, also at those that are gone.
    sessions: BTreeMap<Device, Shared>,
    asks: Asks,
    leaving: Batch<Ending>,
    telling: Batch<(ServerName, String)>,
}

/// A session at another server.
#[derive(Debug)]
struct Shared {
    number: u64,
    place: SharedPlace,
}

/// The questions for what is new.
#[derive(Debug)]
struct Asks {
    /// The time of the next one, on the boot clock.
    due_ms: u64,
    /// The time at which the last one was sent.
    begun_ms: u64,
    /// The time of the last answer.
    heard_ms: u64,
    /// True while one is under way.
    is_under_way: bool,
    /// True if another server has rung meanwhile.
    is_due_again: bool,
    /// True if the last one had no answer.
    has_failed: bool,
}

/// Things for the store, of which one batch is under way at a time. A batch that fails is tried again with the next
/// question.
#[derive(Debug)]
struct Batch<T> {
    waiting: Vec<T>,
    under_way: Vec<T>,
    has_failed: bool,
}

impl<T> Default for Batch<T> {
    fn default() -> Batch<T> {
        Batch { waiting: Vec::new(), under_way: Vec::new(), has_failed: false }
    }
}

impl<T: Clone> Batch<T> {
    /// Takes some of what waits, unless a batch is under way, or has failed before it is time for a question.
    fn take(&mut self, is_time: bool) -> Option<Vec<T>> {
        if !self.under_way.is_empty() || self.waiting.is_empty() || self.has_failed && !is_time {
            return None;
        }
        self.has_failed = false;
        let count = self.waiting.len().min(MAX_BATCH);
        self.under_way = self.waiting.drain(..count).collect();
        Some(self.under_way.clone())
    }

    /// Notes the outcome of the batch.
    fn done(&mut self, result: Result<(), Unavailable>) {
        let batch = std::mem::take(&mut self.under_way);
        if result.is_err() {
            self.has_failed = true;
            self.waiting.splice(0..0, batch);
        }
    }
}

impl Cluster {
    /// Returns a cluster of which nothing is known yet.
    pub(super) fn new(name: ServerName, now_ms: u64) -> Cluster {
        Cluster {
            name,
            known: Known::default(),
            servers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            asks: Asks {
                due_ms: now_ms,
                begun_ms: 0,
                heard_ms: now_ms,
                is_under_way: false,
                is_due_again: false,
                has_failed: false,
            },
            leaving: Batch::default(),
            telling: Batch::default(),
        }
    }

    /// Returns true if this server may not know what has happened meanwhile: it asks before it commits anything.
    pub(super) fn is_stale(&self, now: Now) -> bool {
        now.boot_ms > self.asks.heard_ms + MAX_SILENT_MS
    }

    /// Returns true if another server hears within about a second what this one has for it.
    pub(super) fn hears(&self, now: Now, server: &ServerName) -> bool {
        !self.is_stale(now) && !self.asks.has_failed && self.servers.contains_key(server)
    }

    /// Returns the time at which something is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        (!self.asks.is_under_way).then_some(self.asks.due_ms)
    }

    /// Notes the number of a delivery of this server. Returns false if it is not the next one, since another server has
    /// made some in between.
    pub(super) fn note_delivery(&mut self, number: u64) -> bool {
        let is_next = number == self.known.deliveries + 1;
        if is_next {
            self.known.deliveries = number;
        }
        is_next
    }

    /// Returns the name of this server.
    pub(super) fn name(&self) -> &ServerName {
        &self.name
    }

    /// Returns the other servers that are there, with their statistics.
    pub(super) fn servers(&self) -> &BTreeMap<ServerName, Share> {
        &self.servers
    }

    /// Returns the place of a session at another server.
    pub(super) fn place(
        &self,
        username: &Username,
        device: Option<PublicKey>,
    ) -> Option<&SharedPlace> {
        Some(&self.sessions.get(&(username.clone(), device))?.place)
    }

    /// Returns the entry of a session for the directory, if its server is there.
    fn entry(&self, device: &Device, shared: &Shared) -> Option<Entry> {
        let SharedPlace { server, address, port, .. } = &shared.place;
        let location = Location::Remote { number: shared.number };
        let (key, address, port) = (device.1, *address, *port);
        self.servers.contains_key(server).then_some(Entry { key, location, address, port })
    }
}

impl Hub {
    /// Sends what is due to the store.
    pub(super) fn cluster_due(&mut self, now: Now) {
        let asks = self.cluster.as_ref().map(|cluster| &cluster.asks);
        let is_time = asks.is_some_and(|asks| !asks.is_under_way && asks.due_ms <= now.boot_ms);
        let (head, share) = (self.log.head(), is_time.then(|| self.share(now)));
        let Some(cluster) = &mut self.cluster else { return };
        let mut requests = Vec::new();
        if let Some(share) = share {
            (cluster.asks.is_under_way, cluster.asks.begun_ms) = (true, now.boot_ms);
            let known = Known { broadcasts: head, ..cluster.known };
            let stats = serde_json::to_string(&share).unwrap_or_default();
            requests.push(ClusterRequest::Ask { known, stats });
        }
        let messages = cluster.telling.take(is_time);
        requests.extend(messages.map(|messages| ClusterRequest::Tell { messages }));
        let endings = cluster.leaving.take(is_time);
        requests.extend(endings.map(|endings| ClusterRequest::Leave { endings }));
        let requests = requests.into_iter().map(StoreRequest::Cluster).map(Effect::Store);
        self.effects.extend(requests);
    }

    /// Asks for what is new, since another server has rung.
    pub(super) fn rung(&mut self, now: Now) {
        if let Some(Cluster { asks, .. }) = &mut self.cluster {
            asks.due_ms = now.boot_ms.max(asks.begun_ms + LEAST_ASK_MS);
            asks.is_due_again = asks.is_under_way;
        }
    }

    /// Dispatches an answer of the store.
    pub(super) fn cluster_answered(&mut self, now: Now, answer: ClusterAnswer) {
        match answer {
            ClusterAnswer::Entered { connection, entrance, result } => {
                self.entered(now, connection, &entrance, result);
            }
            ClusterAnswer::Left { result } => {
                self.batch_done(result, |cluster| cluster.leaving.done(result));
            }
            ClusterAnswer::Told { result } => {
                self.batch_done(result, |cluster| cluster.telling.done(result));
            }
            ClusterAnswer::News { result } => self.news(now, result),
            ClusterAnswer::Appended { result } => self.appended_among_others(now, result),
        }
    }

    /// Rings if a batch has succeeded. Otherwise it is tried again with the next question.
    fn batch_done(&mut self, result: Result<(), Unavailable>, note: impl FnOnce(&mut Cluster)) {
        let Some(cluster) = &mut self.cluster else { return };
        note(cluster);
        if result.is_ok() {
            self.ring();
        }
    }

    /// Tells the other servers to ask.
    pub(super) fn ring(&mut self) {
        if self.cluster.is_some() && !self.effects.contains(&Effect::Ring) {
            self.effects.push(Effect::Ring);
        }
    }

    /// Lets the store decide whether a device is logged in here. Returns false if there is no cluster.
    pub(super) fn enter(
        &mut self,
        now: Now,
        id: ConnectionId,
        attempt: &LoginAttempt,
        is_listed: bool,
    ) -> bool {
        let (Some(_), Some(username)) = (&self.cluster, attempt.username.clone()) else {
            return false;
        };
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let entrance = Entrance {
            username,
            device: attempt.key,
            address: connection.peer.ip(),
            port: attempt.port,
            is_listed,
            take: attempt.take,
            places: self.settings.places,
            now_ms: now.wall_ms,
        };
        connection.await_store(StoreWork::Entrance(attempt.clone()), now.boot_ms);
        let request = ClusterRequest::Enter { connection: id, entrance: Box::new(entrance) };
        self.effects.push(Effect::Store(StoreRequest::Cluster(request)));
        true
    }

    fn entered(
        &mut self,
        now: Now,
        id: ConnectionId,
        entrance: &Entrance,
        result: Result<Entered, Unavailable>,
    ) {
        let attempt = match self.store_work(id) {
            Some(StoreWork::Entrance(attempt)) => Some(attempt),
            _ => None,
        };
        let device = (entrance.username.clone(), entrance.device);
        if let Ok(Entered::Here { number }) = result {
            self.ring();
            match (&attempt, self.is_overtaken(&device, number)) {
                (Some(_), true) => return self.close(now, id, Closing::Replaced),
                (None, true) => {}
                (_, false) => self.forget_shared(now, &device),
            }
            if attempt.is_none() {
                // The client has gone meanwhile.
                let (username, device) = device;
                return self.leave_cluster(SessionId { username, device, number }, None);
            }
        }
        let Some(attempt) = attempt else { return };
        match result {
            Ok(Entered::Here { number }) => {
                let Entrance { username, device, is_listed, .. } = entrance;
                self.end_replaced(now, username, *device);
                self.make_member(now, id, username.clone(), attempt, *is_listed, Some(number));
            }
            Ok(Entered::NeedsTake) => self.ask_to_take(now, id, &entrance.username),
            Ok(Entered::Full) => self.turn_away(now, id),
            Ok(Entered::Banned) => self.refuse_login(now, id, Code::Banned, BANNED),
            Ok(Entered::Refused) => self.refuse_credentials(now, id, &attempt),
            Err(Unavailable) => {
                let reply = self.store_failed("log a device in");
                self.back_to_choice(now, id, &reply);
            }
        }
        self.reschedule(id);
    }

    fn news(&mut self, now: Now, result: Result<Box<News>, Unavailable>) {
        let Some(cluster) = &mut self.cluster else { return };
        let asks = &mut cluster.asks;
        asks.is_under_way = false;
        let is_due_again = std::mem::take(&mut asks.is_due_again);
        asks.due_ms = match is_due_again {
            true => now.boot_ms.max(asks.begun_ms + LEAST_ASK_MS),
            false => now.boot_ms + ASK_MS,
        };
        asks.has_failed = result.is_err();
        let Ok(news) = result else { return self.broadcasts_wait_in_vain(now) };
        let was_stale = cluster.is_stale(now);
        cluster.asks.heard_ms = now.boot_ms;
        let News { servers, sessions, has_all_sessions, broadcasts, mail, .. } = *news;
        if broadcasts.len() >= MAX_NEWS || news.messages.len() >= MAX_NEWS {
            cluster.asks.due_ms = now.boot_ms;
        }
        cluster.known.deliveries = news.last_delivery;
        cluster.known.messages = news.last_message;
        if has_all_sessions {
            // The numbers may be those of a database that was restored.
            cluster.known.sessions = 0;
        }
        broadcasts.iter().for_each(|entry| self.publish_new(now, entry));
        let share = |stats: &str| serde_json::from_str(stats).unwrap_or_default();
        let servers = servers.into_iter().map(|(name, stats)| (name, share(&stats)));
        self.change_servers(now, servers.collect());
        for message in news.messages {
            self.message(now, &message);
        }
        if has_all_sessions {
            self.keep_only(now, &sessions);
        }
        for session in sessions {
            self.session_changed(now, session);
        }
        for (username, device) in mail {
            self.has_mail(now, &username, &device);
        }
        self.broadcasts_go_on(now, was_stale);
    }

    /// Notes which servers are there: the sessions of one that has gone are shown no more.
    fn change_servers(&mut self, now: Now, servers: BTreeMap<ServerName, Share>) {
        let terms = self.terms();
        let Some(cluster) = &mut self.cluster else { return };
        let before = std::mem::replace(&mut cluster.servers, servers);
        for (server, share) in &cluster.servers {
            let known = before.get(server);
            if known.is_none() {
                let record = Record::Server { server: server.clone(), is_there: true };
                self.effects.push(Effect::Record(record));
            }
            if let Some(others) = share.terms.filter(|others| *others != terms)
                && known.and_then(|known| known.terms) != share.terms
            {
                let record = Record::OtherTerms { server: server.clone(), own: terms, others };
                self.effects.push(Effect::Record(record));
            }
        }
        for server in before.keys().filter(|server| !cluster.servers.contains_key(*server)) {
            let record = Record::Server { server: server.clone(), is_there: false };
            self.effects.push(Effect::Record(record));
        }
        let changed: Vec<Device> = cluster
            .sessions
            .iter()
            .filter(|(_, shared)| {
                let server = &shared.place.server;
                before.contains_key(server) != cluster.servers.contains_key(server)
            })
            .map(|(device, _)| device.clone())
            .collect();
        for device in changed {
            self.show_or_hide(now, &device);
        }
    }

    /// Brings the directory in line with a session at another server.
    fn show_or_hide(&mut self, now: Now, device: &Device) {
        let Some(cluster) = &self.cluster else { return };
        let Some(shared) = cluster.sessions.get(device) else { return };
        let (number, entry) = (shared.number, cluster.entry(device, shared));
        match entry {
            Some(entry) => {
                if self.directory.add(&device.0, entry) {
                    self.presence.join(&device.0, now.boot_ms);
                }
                self.tell_of_unlisted(&device.0, &entry);
            }
            None => self.hide(now, device, number),
        }
    }

    fn hide(&mut self, now: Now, (username, _): &Device, number: u64) {
        if self.directory.remove_remote(username, number, now.boot_ms) {
            self.presence.leave(username, now.boot_ms);
        }
    }

    /// Forgets the session of a device at another server.
    fn forget_shared(&mut self, now: Now, device: &Device) {
        let Some(cluster) = &mut self.cluster else { return };
        if let Some(shared) = cluster.sessions.remove(device) {
            self.hide(now, device, shared.number);
        }
    }

    /// Ends what is not among all sessions that there are: this server was silent for long.
    fn keep_only(&mut self, now: Now, all: &[SharedSession]) {
        let there: BTreeSet<(&Username, Option<PublicKey>)> = all
            .iter()
            .filter(|session| session.place.is_some())
            .map(|session| (&session.id.username, session.id.device))
            .collect();
        let Some(cluster) = &self.cluster else { return };
        let is_gone = |device: &&Device| !there.contains(&(&device.0, device.1));
        let gone: Vec<Device> = cluster.sessions.keys().filter(is_gone).cloned().collect();
        for device in gone {
            self.forget_shared(now, &device);
        }
        let ended: Vec<ConnectionId> = self
            .everybody()
            .filter(|(_, member)| !there.contains(&(&member.username, member.key)))
            .map(|(id, _)| id)
            .collect();
        for id in ended {
            // Its client logs in again.
            self.close(now, id, Closing::Recheck);
        }
    }

    /// Applies a change of a session.
    fn session_changed(&mut self, now: Now, session: SharedSession) {
        let SharedSession { id: SessionId { username, device, number }, place, why } = session;
        let Some(cluster) = &mut self.cluster else { return };
        cluster.known.sessions = cluster.known.sessions.max(number);
        let is_here = place.as_ref().is_some_and(|place| place.server == cluster.name);
        let device = (username, device);
        self.forget_shared(now, &device);
        let local = self.local_session(&device);
        match place {
            // Without a session of this number the answer to its login was lost.
            Some(_) if is_here && local.is_none_or(|(_, own)| own < number) => {
                let (username, device) = device;
                self.leave_cluster(SessionId { username, device, number }, None);
            }
            Some(place) if !is_here => {
                if let Some(cluster) = &mut self.cluster {
                    cluster.sessions.insert(device.clone(), Shared { number, place });
                }
                self.show_or_hide(now, &device);
            }
            _ => {}
        }
        // The device has logged in elsewhere since, or its session has ended for all.
        if let Some((id, own)) = local
            && own < number
        {
            self.close(now, id, why.unwrap_or(Closing::Replaced));
        }
    }
}
