//! One client's state, as a value.
//!
//! [`Session::handle`] takes the time and one [`Input`] and hands back [`Effect`]s, to be carried
//! out in their order before the next input. It holds no socket, reads no clock and spawns
//! nothing, so that many sessions and a hub can be simulated together.
//!
//! * [`io`] – what goes in and what comes out; `reply` – the answers to requests
//! * `server` – the link to the server: dialling, logging in, staying logged in
//! * `retry` – what happens after that link ended, as a table
//! * `backoff` – when to try again, for every loop that somebody else could drive
//! * `asking` – what a logged-in user asks of the server, and the answers
//! * `broadcasts` – which broadcasts have been shown, and which are missing
//! * `links` – where word of a link to a peer arrives, and for what the link is
//! * `calls` – asking for a chat and being asked
//! * `keys` – the keys of peers: known, changed, verified
//! * `chat`, `chats` – open chats: messages, breaks, the end
//! * `typing` – where a typed line goes
//! * `routes` – the ways by which a message reaches a person
//! * `delivery` – one chat's messages, whatever path they take
//!
//! # Invariants
//!
//! * Each request is answered exactly once, also when links break or the user quits.
//! * A chat opens only after one side's user approved and the other side said it is still there.
//! * Nothing of the chats depends on the link to the server.
//! * The current chat changes only by the user's own act. When the other side ends it, typed text goes
//!   nowhere until the user has said so: it never becomes a command.

mod asking;
mod backoff;
mod blocking;
mod broadcasts;
mod calls;
mod chat;
mod chats;
pub mod delivery;
pub mod io;
mod keys;
mod links;
mod reply;
mod retry;
mod routes;
mod server;
#[cfg(test)]
mod tests;
mod typing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::username::Username;

use self::broadcasts::Shown;
use self::calls::{Arrived, Asked, Bell, Call, Introduced};
use self::chat::Chat;
use self::keys::Offered;
use self::links::{LinkUse, Links};
use self::server::ServerSide;
use crate::codes::LinkEnd;
use crate::event::{Event, KeyState, fingerprint};
use crate::failure::{Among, Failure};
use crate::view::SessionState;
pub use io::*;
pub use reply::*;
pub use typing::Typing;

/// What a session must know of the run it is part of.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The server as the user gave it, for messages.
    pub server: String,
    /// The receiver's port.
    pub port: u16,
    /// Whether to leave the server as soon as a chat opens.
    pub detach_on_chat: bool,
    /// How many times a server that is busy or not there is tried in all; `None`: as the table in
    /// `retry` has it.
    pub tries: Option<u32>,
    /// Whether to come back by itself after an idle timeout.
    pub return_after_idle: bool,
    /// Random: chat names and jitter are drawn from it. Not secret.
    pub seed: u64,
}

/// In which state commands are allowed; checked by the dispatcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// Not logged in.
    #[default]
    Offline,
    /// Dropped as idle: the user's next request to the server logs in again by key first.
    Away,
    /// Logged in.
    LoggedIn,
}

/// The state of one client.
pub struct Session {
    config: SessionConfig,
    random: fastrand::Rng,
    server: ServerSide,
    shown: Shown,
    /// Counts the chats that were opened, so that what was displayed of one is not taken for another's.
    opened: u64,
    /// Counts the logs that were followed, so that what was displayed of one is not taken for another's.
    logs: u64,
    /// How far the front end is behind.
    backlog: Backlog,
    /// At which server and to whom.
    shown_to: Option<(Fingerprint, Username)>,
    account: Option<Account>,
    /// Own requests for a chat, by whom they are for.
    calls: BTreeMap<Username, Call>,
    /// Others' requests for a chat.
    asked: BTreeMap<Username, Asked>,
    /// How often others asked of late.
    bells: BTreeMap<Username, Bell>,
    chats: BTreeMap<Username, Chat>,
    typing: Typing,
    links: Links,
    /// Links that arrived and have not been understood yet.
    arrived: BTreeMap<LinkId, Arrived>,
    /// Links of people who are blocked and wait for an answer, and until when they do.
    ignored: BTreeMap<LinkId, u64>,
    /// The oldest first.
    introduced: VecDeque<Introduced>,
    /// Keys that the server vouches for and that are not the known ones, until the user trusts them.
    offered: BTreeMap<Username, Offered>,
    reported_ms: Option<u64>,
    quitting: Option<RequestId>,
    /// The state that front ends know of.
    told: SessionState,
    effects: Vec<Effect>,
}

impl Session {
    /// A session that has not begun anything.
    pub fn new(config: SessionConfig) -> Session {
        Session {
            random: fastrand::Rng::with_seed(config.seed),
            config,
            server: ServerSide::default(),
            shown: Shown::default(),
            opened: 0,
            logs: 0,
            backlog: Backlog::None,
            shown_to: None,
            account: None,
            calls: BTreeMap::new(),
            asked: BTreeMap::new(),
            bells: BTreeMap::new(),
            chats: BTreeMap::new(),
            typing: Typing::default(),
            links: Links::default(),
            arrived: BTreeMap::new(),
            ignored: BTreeMap::new(),
            introduced: VecDeque::new(),
            offered: BTreeMap::new(),
            reported_ms: None,
            quitting: None,
            told: SessionState::default(),
            effects: Vec::new(),
        }
    }

    /// Takes one input and hands back what is to be done, in this order.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        match input {
            Input::Request { id, request } => self.request(now, id, request),
            Input::ServerSecured { fingerprint, binding, address } => {
                self.server_secured(now, fingerprint, binding, address);
            }
            Input::ServerUnreached(why) => self.server_unreached(now, why),
            Input::Server(said) => self.server_said(now, said),
            Input::ServerLost => self.server_down(now, LinkEnd::Lost),
            Input::Account(result) => self.account_opened(now, result),
            Input::Datagram(message) => self.datagram(now, message),
            Input::PeerDialled { link } => self.peer_dialled(now, link),
            Input::PeerArrived { link, key, from } => self.peer_arrived(now, link, key, from),
            Input::Peer { link, message } => self.peer_said(now, link, message),
            Input::PeerLost { link, why } => self.peer_lost(now, link, why),
            Input::Displayed(what) => self.displayed(now, what),
            Input::Backlog(backlog) => self.backlog_changed(now, backlog),
            Input::Tick => {}
        }
        self.tick(now);
        self.release_account();
        self.tell_if_changed();
        self.finish_quitting();
        std::mem::take(&mut self.effects)
    }

    /// Tells the state if it is another than the one told last.
    fn tell_if_changed(&mut self) {
        let told = &self.told;
        let is_told = told.link == self.server.link_state()
            && told.phase == self.phase()
            && told.username.as_ref() == self.own_name()
            && told.typing == self.typing
            && told
                .chats
                .iter()
                .map(|(who, state)| (who, *state))
                .eq(self.chats.iter().map(|(who, chat)| (who, chat.state())))
            && told.requests.iter().eq(self.asked.keys());
        if is_told {
            return;
        }
        self.told = SessionState {
            link: self.server.link_state(),
            phase: self.phase(),
            username: self.own_name().cloned(),
            typing: self.typing.clone(),
            chats: self.chats.iter().map(|(who, chat)| (who.clone(), chat.state())).collect(),
            requests: self.asked.keys().cloned().collect(),
        };
        self.tell(Event::State(Box::new(self.told.clone())));
    }

    /// When [`Input::Tick`] is due, on the boot clock.
    pub fn next_deadline(&self) -> Option<u64> {
        let server = self.server.next_deadline();
        let calls = self.calls.values().filter_map(Call::due_ms);
        let asked = self.asked.values().map(Asked::due_ms);
        let arrived = self.arrived.values().map(Arrived::due_ms);
        let chats = self.chats.values().filter_map(Chat::due_ms);
        let ignored = self.ignored.values().copied();
        server
            .into_iter()
            .chain(ignored)
            .chain(calls)
            .chain(asked)
            .chain(arrived)
            .chain(chats)
            .min()
    }

    /// The known peers, for [`Save::Peers`].
    pub fn peers(&self) -> BTreeMap<Username, KnownPeer> {
        self.account.as_ref().map(|account| account.peers.clone()).unwrap_or_default()
    }

    /// Those who are blocked, for [`Save::Blocked`].
    pub fn blocked(&self) -> BTreeSet<Username> {
        self.account.as_ref().map(|account| account.blocked.clone()).unwrap_or_default()
    }

    /// What the dispatcher checks commands against.
    pub fn phase(&self) -> Phase {
        match (self.server.is_logged_in(), self.server.is_away()) {
            (true, _) => Phase::LoggedIn,
            (false, true) => Phase::Away,
            (false, false) => Phase::Offline,
        }
    }

    /// The front end has displayed something: only now it counts as delivered.
    fn displayed(&mut self, now: Now, what: Displayed) {
        match what {
            Displayed::Message { chat: count, number } => {
                if let Some(chat) = self.chats.values_mut().find(|chat| chat.count == count) {
                    chat.delivery.display(number);
                    chat.owe_acknowledgement(now);
                }
            }
            Displayed::Broadcast { log, number } if log == self.logs => {
                self.shown.display(number);
                self.save_position();
            }
            Displayed::Broadcast { .. } => {}
        }
    }

    fn backlog_changed(&mut self, now: Now, backlog: Backlog) {
        let before = std::mem::replace(&mut self.backlog, backlog);
        if before == Backlog::None || backlog == Backlog::None {
            let is_held = backlog != Backlog::None;
            self.chats.values_mut().for_each(|chat| chat.hold(now, is_held));
        }
        // What was skipped is asked for now.
        self.plan_repair(now);
    }

    fn tick(&mut self, now: Now) {
        self.tick_server(now);
        self.tick_calls(now);
        self.tick_ignored(now);
        self.tick_chats(now);
    }

    fn request(&mut self, now: Now, id: RequestId, request: Request) {
        if self.quitting.is_some() {
            return self.fail(id, Failure::Quitting);
        }
        if request.is_local_activity() {
            self.report_activity(now);
        }
        match request {
            Request::SignUp { username, password, repeated } => {
                self.sign_up(now, id, username, password, repeated);
            }
            Request::Login { username, password, take } => {
                self.log_in(now, id, username, password, take);
            }
            Request::ChangePassword { password, new, repeated } => {
                self.change_password(now, id, password, new, repeated);
            }
            Request::Leave => self.leave(id),
            Request::Detach => self.detach(id),
            Request::List => self.list(now, id),
            Request::Watch(on) => self.watch(now, id, on),
            Request::Broadcast(text) => self.broadcast(now, id, text),
            Request::Connect { who, force, switch } => self.connect(now, id, who, force, switch),
            Request::Approve(who) => self.approve(now, id, who),
            Request::Deny(who) => self.deny(id, who),
            Request::Cancel(who) => self.cancel(id, who),
            Request::Say { to, text } => self.say(now, id, to, text),
            Request::Switch(to) => self.switch(id, &to),
            Request::AcceptEnd(who) => self.accept_end_asked(id, &who),
            Request::Disconnect(who) => self.disconnect(now, id, who),
            Request::Verify { who, matches } => self.verify(id, &who, matches),
            Request::Trust(who) => self.trust(id, &who),
            Request::Block { who, on } => self.block(now, id, &who, on),
            Request::Blocked => self.list_blocked(id),
            Request::Status => self.status(id),
            Request::Quit => self.quit(now, id),
        }
    }

    /// Says goodbye to everybody; finished when the last chat has delivered or given up.
    fn quit(&mut self, now: Now, id: RequestId) {
        self.quitting = Some(id);
        self.end_calls();
        self.end_chats(now);
        self.stop_server_work(&Failure::Quitting);
        self.close_server();
    }

    fn finish_quitting(&mut self) {
        if !self.chats.is_empty() {
            return;
        }
        if let Some(id) = self.quitting.take() {
            self.answer(id, Reply::Done {});
            self.effects.push(Effect::Finished);
        }
    }

    /// Unlocks the account once neither the server nor a peer needs it.
    fn release_account(&mut self) {
        if self.server.needs_account() || self.has_peers() || self.account.take().is_none() {
            return;
        }
        // Whoever arrived came to this account, and was introduced to it.
        let arrived: Vec<LinkId> =
            self.arrived.keys().chain(self.ignored.keys()).copied().collect();
        for link in arrived {
            self.close_link(link);
        }
        self.introduced.clear();
        self.offered.clear();
        self.bells.clear();
        self.effects.push(Effect::CloseAccount);
    }

    /// Whether anything is open or being opened with anybody, under the present account.
    fn has_peers(&self) -> bool {
        !(self.chats.is_empty() && self.calls.is_empty() && self.asked.is_empty())
    }

    fn status(&mut self, id: RequestId) {
        let key = self.account.as_ref().map(|account| account.identity.public_key());
        let chats = self.chats.values().map(|chat| chat.status(self)).chain(self.calls.iter().map(
            |(who, call)| ChatStatus {
                with: who.to_string(),
                state: "calling",
                current: false,
                unconfirmed: 0,
                key: call.key().map_or(KeyState::New, |key| self.key_state(who, &key)),
            },
        ));
        let status = Status {
            server: self.config.server.clone(),
            server_fingerprint: self.server.fingerprint().map(|key| key.to_string()),
            state: self.server.link_state().name(),
            username: self.account.as_ref().map(|account| account.username.to_string()),
            fingerprint: key.map(|key| fingerprint(&key)),
            address: self
                .server
                .own_address()
                .map(|address| std::net::SocketAddr::new(address, self.config.port).to_string()),
            port: self.config.port,
            udp: self.server.datagrams_work(),
            chats: chats.collect(),
            requests: self.asked.keys().map(Username::to_string).collect(),
        };
        self.answer(id, Reply::Status(Box::new(status)));
    }

    fn own_key(&self) -> Option<PublicKey> {
        self.account.as_ref().map(|account| account.identity.public_key())
    }

    fn own_name(&self) -> Option<&Username> {
        self.account.as_ref().map(|account| &account.username)
    }

    fn answer(&mut self, id: RequestId, reply: Reply) {
        self.effects.push(Effect::Answer { id, result: Ok(reply) });
    }

    fn fail(&mut self, id: RequestId, why: Failure) {
        self.effects.push(Effect::Answer { id, result: Err(why) });
    }

    fn fail_not_logged_in(&mut self, id: RequestId) {
        self.fail(id, Failure::NotLoggedIn);
    }

    fn tell(&mut self, event: Event) {
        self.effects.push(Effect::Tell(event));
    }

    /// Whom a word of the user means: the only one there is if no word was given.
    fn choose<'a>(
        among: Among,
        word: Option<&str>,
        names: impl Iterator<Item = &'a Username>,
    ) -> Result<Username, Failure> {
        let names: BTreeSet<&Username> = names.collect();
        if let Some(word) = word {
            let found = word.parse::<Username>().ok().filter(|name| names.contains(name));
            return found.ok_or(Failure::Nobody { among, named: true });
        }
        let mut rest = names.iter();
        match (rest.next(), rest.next()) {
            (None, _) => Err(Failure::Nobody { among, named: false }),
            (Some(only), None) => Ok((*only).clone()),
            _ => Err(Failure::WhichOne(names.into_iter().cloned().collect())),
        }
    }
}
