//! One client's state, as a value.
//!
//! [`Session::handle`] takes the time and one [`Input`] and returns [`Effect`]s, which are carried
//! out in order before the next input. It holds no socket, reads no clock and spawns nothing, so
//! that many sessions and a hub can be simulated together.
//!
//! Each module owns its state and decides for itself. The session holds them, and handles what
//! concerns several of them.
//!
//! * [`io`] – inputs and effects; `reply` – the answers to requests
//! * `context` – the collected effects, the time, random numbers
//! * `links` – the links to peers and their purposes
//! * `account` – the user's own key, the keys of peers (known, changed, verified), the blocked
//! * `server` – the link to the server: logging in, staying logged in, asking
//! * `retry` – the reaction to the end of that link, as a table
//! * `backoff` – the retry policy of every loop that a server or a peer could drive
//! * `broadcasts` – a record of shown broadcasts, and the repair of missing ones
//! * `calls` – requests for chats, in both directions
//! * `chats` – the open chats; `chat` – messages, breaks, the end of one of them
//! * `devices` – the devices of people and of the account itself
//! * `groups` – rosters, and what is told about them
//! * `mail` – messages in envelopes, also to people who are away
//! * `people` – the user's decisions about people
//! * `files` – offered files, and their transfers
//! * `typing` – the meaning of a typed line
//! * `routes` – the ways by which a message reaches a person
//! * `delivery` – one chat's messages, on any path
//!
//! # Invariants
//!
//! * Each request is answered exactly once, also when links break or the user quits.
//! * A chat opens only after one side's user approved and the other side said it is still there.
//! * Chats do not depend on the link to the server.
//! * The current conversation changes only by the user's own act. When the other side ends a chat, typed text takes
//!   the next route: it never becomes a command.
//! * A message is recorded before it is sent, and acknowledged after it was displayed and recorded.

mod account;
mod backoff;
mod broadcasts;
mod calls;
mod chat;
mod chats;
mod context;
pub mod delivery;
mod devices;
mod files;
mod groups;
pub mod io;
mod links;
mod mail;
mod meetings;
mod people;
mod quitting;
mod reply;
mod retry;
mod routes;
mod server;
#[cfg(test)]
mod tests;
mod typing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use letschat_protocol::devices::DeviceName;
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::username::Username;

use self::account::AccountState;
use self::broadcasts::Broadcasts;
use self::calls::{Calls, Requests};
use self::chats::Chats;
use self::context::Context;
use self::devices::Devices;
use self::files::Files;
use self::groups::Groups;
use self::links::LinkUse;
use self::mail::Mail;
use self::people::choose;
use self::quitting::Quitting;
use self::server::{ListFor, ServerSide};
use crate::codes::LinkEnd;
use crate::event::{Event, fingerprint};
use crate::failure::Failure;
use crate::files::ServeNews;
use crate::view::SessionState;
pub use io::*;
pub use reply::*;
pub use typing::Typing;

/// The session config.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The server as the user gave it, for messages.
    pub server: String,
    /// The receiver's port.
    pub port: u16,
    /// True to leave the server as soon as a chat opens.
    pub detach_on_chat: bool,
    /// The number of tries for a server that is busy or absent, or `None` for the table in `retry`.
    pub tries: Option<u32>,
    /// True to come back without a request after an idle timeout.
    pub return_after_idle: bool,
    /// The key of the server, if it was met before.
    pub known_server: Option<Fingerprint>,
    /// The name of this device, for the user's other devices.
    pub device_name: DeviceName,
    /// True for a client of a classroom. Its texts to everyone go straight to the others while the server is away.
    pub classroom: bool,
    /// A random seed for chat names and jitter. It is not secret.
    pub seed: u64,
}

/// The phase of a session. The dispatcher checks commands against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// The user is not logged in.
    #[default]
    Offline,
    /// The server dropped the user as idle. The next request to it logs in again by key first.
    Away,
    /// The user is logged in.
    LoggedIn,
}

/// The state of one client.
pub struct Session {
    cx: Context,
    account: AccountState,
    server: ServerSide,
    broadcasts: Broadcasts,
    /// The user's own requests for a chat.
    calls: Calls,
    /// Others' requests for a chat.
    requests: Requests,
    chats: Chats,
    mail: Mail,
    devices: Devices,
    groups: Groups,
    files: Files,
    quitting: Option<Quitting>,
    /// The last state that front ends were told.
    told: SessionState,
}

impl Session {
    /// Returns a new, offline session.
    pub fn new(config: SessionConfig) -> Session {
        let chats = Chats::new(if config.classroom { Typing::Everyone } else { Typing::Commands });
        Session {
            cx: Context::new(config),
            account: AccountState::default(),
            server: ServerSide::default(),
            broadcasts: Broadcasts::default(),
            calls: Calls::default(),
            requests: Requests::default(),
            chats,
            mail: Mail::default(),
            devices: Devices::default(),
            groups: Groups::default(),
            files: Files::default(),
            quitting: None,
            told: SessionState::default(),
        }
    }

    /// Handles one input. Returns the effects in the order in which they have to be carried out.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.cx.begin(now);
        match input {
            Input::Request { id, request } => self.request(id, request),
            Input::ServerSecured { server, fingerprint, binding, address } => {
                self.server.secured(&self.cx, server, (fingerprint, binding), address);
            }
            Input::ServerUnreached(why) => self.server.unreached(&mut self.cx, why),
            Input::Server(said) => self.server_said(said),
            Input::ServerLost => self.server_down(LinkEnd::Lost),
            Input::Account(result) => self.account_opened(result),
            Input::Committed { commit, result } => self.committed(commit, result),
            Input::Mail(mail) => self.mail_arrived(*mail),
            Input::Sealed(envelope) => self.sealed(envelope),
            Input::PrekeyMade(made) => self.prekey_made(made),
            Input::FileRead { request, result } => self.file_read(request, result),
            Input::History(messages) => self.cx.tell(Event::History(messages)),
            Input::Fetch { transfer, news } => self.fetch_news(transfer, news),
            Input::Serve { link, news } => self.serve_news(link, news),
            Input::Datagram(message) => self.datagram(message),
            Input::MeetingWanted { dial, key } => self.meeting_wanted(dial, key),
            Input::Met { link, path } => self.cx.links.note_met(link, path),
            Input::PeerDialled { link } => self.peer_dialled(link),
            Input::PeerArrived { link, key, from } => self.peer_arrived(link, key, from),
            Input::Peer { link, message } => self.peer_said(link, message),
            Input::PeerLost { link, why } => self.peer_lost(link, why),
            Input::Displayed(what) => self.displayed(what),
            Input::Backlog(backlog) => {
                self.chats.hold(&self.cx, backlog != Backlog::None);
                self.hold_peering(backlog != Backlog::None);
                self.broadcasts.skip(&self.cx, backlog == Backlog::Full);
            }
            Input::Tick => {}
        }
        self.tick();
        self.note_ended_chats();
        self.go_on_quitting();
        self.release_account();
        self.tell_if_changed();
        self.tell_contacts();
        self.finish_quitting();
        self.cx.finish()
    }

    /// Returns the time at which [`Input::Tick`] is due, on the boot clock.
    pub fn next_deadline(&self) -> Option<u64> {
        [
            self.server.next_deadline(),
            self.broadcasts.repair_due_ms(),
            self.calls.next_deadline(),
            self.requests.next_deadline(),
            self.cx.links.next_deadline(),
            self.chats.next_deadline(),
            self.account.next_deadline(),
            self.devices.next_deadline(),
            self.groups.next_deadline(),
            self.files.next_deadline(),
            self.mail.next_deadline(self.server.is_logged_in(), self.groups.owed(&self.account)),
            self.quitting.as_ref().and_then(|quitting| quitting.until_ms(self.cx.now_ms())),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Returns the known peers of the open account.
    pub fn peers(&self) -> BTreeMap<Username, KnownPeer> {
        self.account.peers()
    }

    /// Returns the target of a typed line.
    pub fn typing(&self) -> &Typing {
        self.chats.typing()
    }

    /// Returns the phase that commands are checked against.
    pub fn phase(&self) -> Phase {
        match (self.server.is_logged_in(), self.server.is_away()) {
            (true, _) => Phase::LoggedIn,
            (false, true) => Phase::Away,
            (false, false) => Phase::Offline,
        }
    }

    /// Tells the state if it has changed.
    fn tell_if_changed(&mut self) {
        let told = &self.told;
        let is_told = told.link == self.server.link_state()
            && told.phase == self.phase()
            && told.username.as_ref() == self.account.name()
            && told.typing == *self.typing()
            && told.classroom == self.cx.config().classroom
            && told.chats.iter().map(|(who, state)| (who, *state)).eq(self.chats.states())
            && told.requests == self.asking()
            && self.files.are_transfers(&told.transfers);
        if is_told {
            return;
        }
        self.told = SessionState {
            link: self.server.link_state(),
            phase: self.phase(),
            username: self.account.name().cloned(),
            typing: self.typing().clone(),
            chats: self.chats.states().map(|(who, state)| (who.clone(), state)).collect(),
            requests: self.asking(),
            classroom: self.cx.config().classroom,
            transfers: self.files.transfers().collect(),
        };
        self.cx.tell(Event::State(Box::new(self.told.clone())));
    }

    /// Returns the people who ask for a chat or have written without approval.
    fn asking(&self) -> BTreeSet<Username> {
        self.requests.names().chain(self.mail.asking()).cloned().collect()
    }

    /// Handles a confirmation of the front end. A message counts as delivered only now.
    fn displayed(&mut self, what: Displayed) {
        match what {
            Displayed::Message { chat, number } => {
                if !self.chats.displayed(&self.cx, chat, number) {
                    self.displayed_in_ended_chat(chat, number);
                }
                self.handle_mail_in_chats();
            }
            Displayed::Mail { count } => self.mail_displayed(count),
            Displayed::Broadcast { log, number } => {
                if self.broadcasts.displayed(log, number) {
                    self.save_position();
                }
            }
        }
    }

    fn tick(&mut self) {
        self.tick_server();
        self.calls.tick(&mut self.cx);
        self.requests.tick(&mut self.cx, &mut self.account);
        for (link, why) in self.cx.links.overdue(self.cx.now_ms()) {
            self.cx.refuse(link, why);
        }
        for link in self.cx.links.idle(self.cx.now_ms()) {
            self.cx.close(link);
        }
        self.chats.tick(&mut self.cx);
        self.account.tick(&mut self.cx);
        self.tick_devices();
        self.tick_groups();
        self.tick_files();
        self.tick_mail();
    }

    /// Handles a dialled link that is up.
    fn peer_dialled(&mut self, link: LinkId) {
        match self.cx.links.purpose(link).cloned() {
            Some(LinkUse::Call(who)) => self.say_call(&who, link),
            Some(LinkUse::Chat(who)) => self.chats.resume(&mut self.cx, &who, link),
            Some(LinkUse::Deliver(who)) => self.peer_reached(&who, link),
            _ => self.cx.close(link),
        }
    }

    /// Handles a message on a link.
    fn peer_said(&mut self, link: LinkId, message: PeerMessage) {
        match self.cx.links.purpose(link).cloned() {
            Some(LinkUse::Call(who)) => self.call_answered(&who, message),
            Some(LinkUse::Asked(who)) => self.asker_said(&who, message),
            Some(LinkUse::Chat(who)) => {
                let is_hidden =
                    self.account.is_blocked(&who) || self.came_in_envelope(&who, &message);
                if self.chats.hear(&mut self.cx, &who, link, message, is_hidden) {
                    self.server.report_activity(&mut self.cx);
                }
            }
            Some(LinkUse::Arrived(_)) => self.newcomer_said(link, message),
            Some(LinkUse::Deliver(who)) => self.delivery_answered(&who, link, &message),
            Some(LinkUse::Deliveries { key, .. }) => match message {
                PeerMessage::Deliver { body } => self.delivery_arrived(link, key, &body),
                PeerMessage::Ping | PeerMessage::Pong => {}
                _ => self.cx.close(link),
            },
            Some(LinkUse::Serve) => self.serve_news(link, ServeNews::Ended),
            Some(LinkUse::Ignored { .. }) | None => {}
        }
    }

    /// Handles the end of a link to a peer.
    fn peer_lost(&mut self, link: LinkId, why: PeerLoss) {
        match self.cx.links.forget(link) {
            Some(LinkUse::Call(who)) => self.call_lost(&who, why),
            Some(LinkUse::Asked(who)) => self.asker_gone(&who),
            Some(LinkUse::Chat(who)) => self.chats.link_broke(&mut self.cx, &who, link),
            Some(LinkUse::Deliver(who)) => self.peer_unreached(&who),
            Some(LinkUse::Serve) => self.serve_news(link, ServeNews::Ended),
            Some(LinkUse::Arrived(_) | LinkUse::Deliveries { .. } | LinkUse::Ignored { .. })
            | None => {}
        }
    }

    fn request(&mut self, id: RequestId, request: Request) {
        if self.quitting.is_some() {
            return self.cx.fail(id, Failure::Quitting);
        }
        let is_about_group = match &request {
            Request::Approve(Some(name)) | Request::Deny(Some(name)) => self.means_group(name),
            _ => false,
        };
        let (cx, account, server) = (&mut self.cx, &mut self.account, &mut self.server);
        if request.is_local_activity() {
            server.report_activity(cx);
        }
        if let (Request::Broadcast(text), true) =
            (&request, cx.config().classroom && !server.is_logged_in())
        {
            let text = text.clone();
            return self.send_to_everyone(id, text);
        }
        if request.is_for_server() && !server.is_logged_in() {
            return server.ask_when_back(cx, account, id, request);
        }
        let result = match request {
            Request::Reach => return server.reach_only(cx, account, id),
            Request::SignUp { username, password, repeated } => {
                return server.sign_up(cx, account, id, username, (password, repeated));
            }
            Request::Login { username, password, take } => {
                return self.log_in(id, username, password, take);
            }
            Request::ChangePassword { password, new, repeated } => {
                return server.change_password(cx, id, password, (new, repeated));
            }
            Request::List => return server.ask_list(cx, ListFor::User(id)),
            Request::Watch(on) => return server.watch(cx, id, on),
            Request::Broadcast(text) => return server.broadcast(cx, id, text),
            Request::Connect { who, force, switch } => {
                return self.connect(id, who, force, switch);
            }
            Request::Approve(Some(name)) if is_about_group => self.approve_group(&name),
            Request::Approve(who) => return self.approve(id, who.as_deref()),
            Request::Disconnect(who) => return self.chats.disconnect(cx, id, who.as_deref()),
            Request::Quit => return self.quit(id),
            Request::Leave if !self.chats.is_empty() && !server.is_offline() => {
                Err(Failure::ChatOpen(self.chats.names()))
            }
            Request::Leave | Request::Detach => {
                self.leave_server();
                Ok(Reply::Done {})
            }
            Request::Deny(Some(name)) if is_about_group => self.deny_group(&name),
            Request::Deny(who) => self.deny(who.as_deref()),
            Request::Cancel(who) => self.cancel(who.as_deref()),
            Request::Say { to, text } => return self.say(id, to, text),
            Request::Send { to, text } => return self.send(id, to, text),
            Request::SendFile { to, path } => return self.send_file(id, to, path),
            Request::GetFile { id: file, path } => self.get_file(&file, path),
            Request::CancelFile(file) => self.cancel_file(&file),
            Request::Files => self.list_files(),
            Request::History(action) if account.name().is_some() => {
                return cx.push(Effect::History { request: id, action });
            }
            Request::History(_) => Err(Failure::NotLoggedIn),
            Request::Switch(to) => self.switch(&to),
            Request::Verify { who, matches } => self.verify(&who, matches),
            Request::Trust(who) => self.trust(&who),
            Request::Block { who, on } => self.block(&who, on),
            Request::Blocked => account.list_blocked(),
            Request::Group { action, name } => return self.group(id, action, &name),
            Request::Groups => self.list_groups(),
            Request::Devices => return self.list_devices(id),
            Request::ApproveDevice(code) => return self.approve_device(id, &code),
            Request::RemoveDevice(word) => return self.remove_device(id, &word),
            Request::RecoverDevices(password) => return self.recover_devices(id, password),
            Request::Status => Ok(Reply::Status(Box::new(self.status()))),
        };
        self.cx.reply(id, result);
    }

    /// Unlocks the account once neither the server nor a peer needs it.
    fn release_account(&mut self) {
        let is_needed = self.server.needs_account() || self.has_peers() || self.waits_for_display();
        if is_needed || !self.mail.is_recorded() || !self.account.close(&mut self.cx) {
            return;
        }
        self.close_mail();
        // Arrived links came to this account and its introductions.
        self.close_newcomers();
        self.requests = Requests::default();
        self.cx.push(Effect::CloseAccount);
    }

    /// Closes the arrived links of which the user has not heard.
    fn close_newcomers(&mut self) {
        for link in self.cx.links.newcomers() {
            self.cx.close(link);
        }
    }

    /// Returns true if a chat or a request for one exists under the present account, or if a file is on its way.
    fn has_peers(&self) -> bool {
        let has_chats =
            !(self.chats.is_empty() && self.calls.is_empty() && self.requests.is_empty());
        has_chats || self.files.is_active()
    }

    fn status(&self) -> Status {
        let (account, port) = (&self.account, self.cx.config().port);
        let address = self.server.own_address().map(|address| SocketAddr::new(address, port));
        let chats = self.chats.statuses(&self.cx, account).chain(self.calls.statuses(account));
        Status {
            server: self.server.name(&self.cx),
            server_fingerprint: self.server.fingerprint().map(|key| key.to_string()),
            state: self.server.link_state().name(),
            username: account.name().map(Username::to_string),
            fingerprint: account.key().map(|key| fingerprint(&key)),
            device: account.name().map(|_| self.own_device_name().to_string()),
            listed: self.is_listed(),
            address: address.map(|address| address.to_string()),
            port,
            udp: self.server.datagrams_work(),
            chats: chats.collect(),
            requests: self.asking().iter().map(Username::to_string).collect(),
        }
    }
}
