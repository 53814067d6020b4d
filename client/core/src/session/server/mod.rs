//! The link to the server: dialling, staying connected, coming back.
//!
//! * `asking` – requests of a logged-in user, and the answers
//! * `datagrams` – keep-alives over UDP
//! * `ending` – the end of the link, and the reaction to it
//! * `login` – signing up and logging in
//! * `news` – unasked messages: broadcasts, introductions, datagrams

mod asking;
mod datagrams;
mod ending;
mod login;
mod news;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, FromServer, Listed, Reply as ServerReply, Request as ServerRequest,
};
use letschat_protocol::identity::{ChannelBinding, Fingerprint};
use letschat_protocol::limits::{ACTIVITY_REPORT_MS, TCP_KEEPALIVE_MS, TCP_KEEPALIVE_WITH_UDP_MS};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use self::asking::Pages;
use self::datagrams::Datagrams;
use self::login::{Goal, SignUp};
use super::account::AccountState;
use super::context::Context;
use super::retry::Retries;
use super::{Dial, Effect, Reply, RequestId, Session, Unreached};
use crate::codes::LinkEnd;
use crate::event::Event;
use crate::failure::Failure;
use crate::view::LinkState;
pub(super) use asking::{check_broadcast, is_at};

/// The shortest interval of dials that hints lead to.
const KNOCK_INTERVAL_MS: u64 = 1_000;
/// The time after which an answer counts as missing.
const ANSWER_MS: u64 = 30_000;

/// The state that concerns the server.
#[derive(Debug, Default)]
pub(in crate::session) struct ServerSide {
    link: Link,
    pending: VecDeque<Pending>,
    /// The goal of being logged in, if there is one.
    goal: Option<Goal>,
    sign_ups: VecDeque<SignUp>,
    /// The requests that only wait for the link.
    reaching: Vec<RequestId>,
    fingerprint: Option<Fingerprint>,
    address: Option<SocketAddr>,
    binding: ChannelBinding,
    own_address: Option<IpAddr>,
    retries: Retries,
    /// The server of the service that was reached last.
    name: Option<String>,
    /// The time of the last login.
    logged_in_ms: u64,
    next_ping_ms: u64,
    /// The time of the last report to the server that the user is active.
    reported_ms: Option<u64>,
    datagrams: Datagrams,
    /// The last complete list of active clients.
    last_list: Vec<Listed>,
    watching: bool,
    /// True if the server of this link has no meetings, as in version 0.1.
    lacks_meetings: bool,
    /// The user whom the server dropped as idle. Their next request logs in again by key first.
    away: Option<Username>,
    /// The time of the last dial that a hint led to.
    knocked_ms: Option<u64>,
    /// The time of the next try, while such a dial is under way.
    next_try_ms: Option<u64>,
    /// The server whose account is being opened, and the one whose account was opened last.
    opening_for: Option<Fingerprint>,
    account_server: Option<Fingerprint>,
    /// True if the account was looked for without the server, whether or not it was found.
    tried_offline: bool,
    /// True if the user knows that another server answers.
    told_key_changed: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Link {
    #[default]
    Down,
    /// The next try is at that time.
    Waiting {
        until_ms: u64,
    },
    Dialling,
    /// The link is up. The server's greeting or its answer to HELLO is awaited.
    Greeting,
    /// The server waits for a login or a sign-up.
    Choosing,
    /// A sign-up or a login is under way.
    Busy,
    LoggedIn,
}

/// A request without its reply. Replies come in the order of requests.
#[derive(Debug)]
struct Pending {
    since_ms: u64,
    what: Expected,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Expected {
    Greeting,
    Hello,
    /// A sign-up under this name.
    SignUp(RequestId, String),
    Login,
    ChangePassword(RequestId),
    /// A page of the list, after the earlier ones.
    List(ListFor, Pages),
    Watch(Option<RequestId>),
    Connect(Username),
    /// The device that has this file.
    Locate(MessageId),
    /// A meeting with the peer of this attempt.
    Meet(Dial),
    /// A connection to an address, whose owner comes with the answer.
    ConnectAddress(RequestId, String, bool),
    Broadcast(RequestId, String),
    Replay,
    Ping,
    Active,
    Prekey,
    /// The keys of the job's recipient, or of the own account.
    Keys,
    /// Entries of a device list.
    Devices(Username),
    /// The wish to be in the own device list.
    Enrol,
    /// A change of the own device list.
    ListChange,
    /// The own devices, for the user.
    OwnDevices(RequestId),
    Post,
    Acknowledged,
    /// A request whose answer the user no longer wants.
    Forgotten,
}

/// The purpose of a list.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum ListFor {
    User(RequestId),
    /// The check of a request to connect.
    Connect(RequestId, String, bool),
}

impl ServerSide {
    pub(in crate::session) fn is_logged_in(&self) -> bool {
        self.link == Link::LoggedIn
    }

    /// Returns true if peers can be met at the server now.
    pub(in crate::session) fn has_meetings(&self) -> bool {
        self.is_logged_in() && !self.lacks_meetings
    }

    pub(in crate::session) fn note_no_meetings(&mut self) {
        self.lacks_meetings = true;
    }

    pub(in crate::session) fn is_away(&self) -> bool {
        self.away.is_some()
    }

    pub(in crate::session) fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    pub(in crate::session) fn own_address(&self) -> Option<IpAddr> {
        self.own_address
    }

    pub(in crate::session) fn datagrams_work(&self) -> bool {
        self.datagrams.work()
    }

    pub(in crate::session) fn link_state(&self) -> LinkState {
        match self.link {
            Link::Down => LinkState::Offline,
            Link::Waiting { .. } => LinkState::Waiting,
            Link::Dialling | Link::Greeting => LinkState::Connecting,
            Link::Choosing | Link::Busy => LinkState::Connected,
            Link::LoggedIn => LinkState::LoggedIn,
        }
    }

    /// Returns true if there is no link to leave, and none is wanted.
    pub(in crate::session) fn is_offline(&self) -> bool {
        self.link == Link::Down
    }

    /// Returns true if a login or a sign-up is wanted.
    fn has_work(&self) -> bool {
        self.goal.is_some() || !self.sign_ups.is_empty()
    }

    /// Returns true if the account is used, or about to be, at the server.
    pub(in crate::session) fn needs_account(&self) -> bool {
        self.goal.is_some() || self.is_logged_in()
    }

    /// Returns an address from the server. A link-local one gets the scope of the link to the
    /// server, since addresses on the wire have none (RFC 4007, section 11).
    pub(in crate::session) fn scoped(&self, address: SocketAddr) -> SocketAddr {
        match (address, self.address) {
            (SocketAddr::V6(mut address), Some(SocketAddr::V6(server)))
                if address.ip().is_unicast_link_local() && address.scope_id() == 0 =>
            {
                address.set_scope_id(server.scope_id());
                address.into()
            }
            _ => address,
        }
    }

    fn is_up(&self) -> bool {
        !matches!(self.link, Link::Down | Link::Waiting { .. } | Link::Dialling)
    }

    /// Dials the server only to reach it. The first failure is the answer, since the caller decides about the next
    /// try.
    pub(in crate::session) fn reach_only(
        &mut self,
        cx: &mut Context,
        account: &AccountState,
        id: RequestId,
    ) {
        if matches!(self.link, Link::Choosing | Link::Busy | Link::LoggedIn) {
            return cx.answer(id, Reply::Done {});
        }
        self.reaching.push(id);
        self.reach(cx, account);
    }

    fn fail_reaching(&mut self, cx: &mut Context, why: &Failure) {
        cx.fail_all(self.reaching.drain(..), why);
    }

    /// Dials the server without further wait, or uses the open link.
    fn reach(&mut self, cx: &mut Context, account: &AccountState) {
        match self.link {
            Link::Down | Link::Waiting { .. } => {
                self.retries = Retries::default();
                self.dial(cx);
            }
            Link::Choosing => self.advance(cx, account),
            _ => {}
        }
    }

    fn dial(&mut self, cx: &mut Context) {
        self.link = Link::Dialling;
        self.next_try_ms = None;
        cx.push(Effect::DialServer);
    }

    /// Handles a hint that the server is back. Anybody can give it, so that it leads to few dials, and only to the
    /// known server.
    pub(in crate::session) fn knocked(&mut self, cx: &mut Context) {
        let now_ms = cx.now_ms();
        let is_allowed = self.knocked_ms.is_none_or(|last| last + KNOCK_INTERVAL_MS <= now_ms);
        if let (Link::Waiting { until_ms }, true) = (self.link, is_allowed) {
            self.knocked_ms = Some(now_ms);
            self.dial(cx);
            self.next_try_ms = Some(until_ms);
        }
    }

    /// Handles a link that is up and whose server key is trusted.
    pub(in crate::session) fn secured(
        &mut self,
        cx: &Context,
        name: String,
        (fingerprint, binding): (Fingerprint, ChannelBinding),
        address: SocketAddr,
    ) {
        if self.link == Link::Dialling {
            self.link = Link::Greeting;
            self.name = Some(name);
            self.told_key_changed = false;
            self.fingerprint = Some(fingerprint);
            self.binding = binding;
            self.address = Some(address);
            self.expect(cx, Expected::Greeting);
        }
    }

    /// Returns the server that was reached last, or what the user has named.
    pub(in crate::session) fn name(&self, cx: &Context) -> String {
        self.name.as_ref().unwrap_or(&cx.config().server).clone()
    }

    /// Handles a failed dial.
    pub(in crate::session) fn unreached(&mut self, cx: &mut Context, why: Unreached) {
        if self.link != Link::Dialling {
            return;
        }
        if let (Unreached::NoServer(_), Some(until_ms)) = (&why, self.next_try_ms.take()) {
            // Somebody knocked without reason: the user need not know.
            self.link = Link::Waiting { until_ms };
            return;
        }
        let server = cx.config().server.clone();
        let why = match why {
            Unreached::NoServer(detail) => {
                self.open_offline(cx);
                let end = if self.is_returning() { LinkEnd::Lost } else { LinkEnd::NoServer };
                return self.try_again(cx, end, Failure::Unreached { end, server, detail });
            }
            Unreached::Folder(why) => Failure::Folder(why),
            Unreached::KeyChanged { known, found } => {
                let why = Failure::ServerKeyChanged { server, known, found };
                if self.is_returning() && cx.config().classroom {
                    // The clients go on without a server while another program has its port.
                    return self.retry_after_key_change(cx, why);
                }
                why
            }
            Unreached::KeyUnknown { found } => Failure::ServerKeyUnknown { server, found },
        };
        self.give_up(cx, &why, false);
    }

    fn expect(&mut self, cx: &Context, what: Expected) {
        self.pending.push_back(Pending { since_ms: cx.now_ms(), what });
    }

    /// Sends a request to the server.
    pub(in crate::session) fn ask(
        &mut self,
        cx: &mut Context,
        request: ServerRequest,
        what: Expected,
    ) {
        cx.push(Effect::SendServer(request));
        self.expect(cx, what);
        let interval = match self.datagrams.work() {
            true => TCP_KEEPALIVE_WITH_UDP_MS,
            false => TCP_KEEPALIVE_MS,
        };
        self.next_ping_ms = cx.now_ms() + interval;
    }

    /// Tells the server that the user is active, at most once in a while.
    pub(in crate::session) fn report_activity(&mut self, cx: &mut Context) {
        let due = self.reported_ms.is_none_or(|last| last + ACTIVITY_REPORT_MS <= cx.now_ms());
        if due && self.is_logged_in() {
            self.reported_ms = Some(cx.now_ms());
            self.ask(cx, ServerRequest::Active, Expected::Active);
        }
    }

    pub(in crate::session) fn next_deadline(&self) -> Option<u64> {
        let retry = match self.link {
            Link::Waiting { until_ms } => Some(until_ms),
            _ => None,
        };
        let ping = self.is_logged_in().then_some(self.next_ping_ms);
        let datagrams = self.datagrams.next_deadline();
        [retry, self.answer_due_ms(), ping, datagrams].into_iter().flatten().min()
    }

    fn answer_due_ms(&self) -> Option<u64> {
        self.pending.front().map(|pending| pending.since_ms + ANSWER_MS)
    }

    /// Dials and pings when that is due. Returns false if an answer is missing.
    fn tick(&mut self, cx: &mut Context) -> bool {
        if matches!(self.link, Link::Waiting { until_ms } if until_ms <= cx.now_ms()) {
            self.dial(cx);
        }
        if self.answer_due_ms().is_some_and(|due_ms| due_ms <= cx.now_ms()) {
            return false;
        }
        if self.is_logged_in() && self.next_ping_ms <= cx.now_ms() {
            self.ask(cx, ServerRequest::Ping, Expected::Ping);
        }
        true
    }

    fn tick_datagrams(&mut self, cx: &mut Context) {
        if self.datagrams.fell_silent(cx.now_ms()) {
            // The answer to this ping shows whether only UDP or the whole link is gone.
            self.ask(cx, ServerRequest::Ping, Expected::Ping);
        }
        self.datagrams.tick(cx);
    }
}

impl Session {
    pub(super) fn server_said(&mut self, said: FromServer) {
        if !self.server.is_up() {
            return;
        }
        match said {
            FromServer::Unknown => {}
            FromServer::Notice(notice) => self.server_noticed(notice),
            FromServer::Reply(reply) => match self.server.pending.pop_front() {
                Some(pending) => self.server_replied(pending.what, reply),
                // A reply without a request: the two sides are out of step.
                None => self.server_down(LinkEnd::Lost),
            },
        }
    }

    fn server_replied(&mut self, what: Expected, reply: ServerReply) {
        match what {
            Expected::Greeting if reply.code == Code::Ready => {
                let fingerprint = self.server.fingerprint.map(|key| key.to_string());
                let (server, fingerprint) =
                    (self.server.name(&self.cx), fingerprint.unwrap_or_default());
                let returned = self.server.is_returning();
                self.cx.tell(Event::Connected { server, fingerprint, returned });
                self.server.ask(&mut self.cx, ServerRequest::Hello, Expected::Hello);
            }
            Expected::Greeting | Expected::Hello if reply.code == Code::Busy => {
                self.server_down(LinkEnd::Closed(Closing::Busy));
            }
            Expected::Hello if reply.code == Code::WhichWay => {
                self.server.choose(&mut self.cx, &self.account);
            }
            Expected::Greeting | Expected::Hello => self.server_down(LinkEnd::Lost),
            Expected::SignUp(id, username) => {
                self.server.signed_up(&mut self.cx, &self.account, id, &username, &reply);
            }
            Expected::Login => self.login_answered(&reply),
            Expected::Replay => {
                self.broadcasts.replay_answered(&mut self.cx, reply.code.is_success());
            }
            Expected::Active | Expected::Forgotten => {}
            Expected::Acknowledged => self.acknowledgement_answered(reply.code.is_success()),
            Expected::Prekey => self.prekey_answered(reply.code),
            Expected::Keys => self.keys_answered(&reply),
            Expected::Devices(who) => self.devices_answered(&who, &reply),
            Expected::Enrol => self.enrol_answered(&reply),
            Expected::ListChange => self.change_answered(&reply),
            Expected::OwnDevices(id) => self.own_devices_answered(id, &reply),
            Expected::Post => self.posted(&reply),
            Expected::Ping => {
                if let Some(head) = reply.field(0) {
                    self.broadcasts.learn(&self.cx, head);
                }
            }
            what => self.asked_and_answered(what, &reply),
        }
    }

    pub(super) fn tick_server(&mut self) {
        if !self.server.tick(&mut self.cx) {
            return self.server_down(LinkEnd::Lost);
        }
        if self.broadcasts.repair_due_ms().is_some_and(|due_ms| due_ms <= self.cx.now_ms()) {
            self.repair();
        }
        self.server.tick_datagrams(&mut self.cx);
    }
}
