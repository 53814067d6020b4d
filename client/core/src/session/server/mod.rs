//! The link to the server: dialling, staying connected, coming back.
//!
//! * `ending` – the end of the link, and what comes after it
//! * `login` – signing up and logging in
//! * `news` – what comes by itself: broadcasts, datagrams

mod ending;
mod login;
mod news;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, FromServer, Listed, Notice, Reply as ServerReply, Request as ServerRequest, Secret,
};
use letschat_protocol::identity::{ChannelBinding, Fingerprint};
use letschat_protocol::limits::{
    MISSED_KEEPALIVES, TCP_KEEPALIVE_MS, TCP_KEEPALIVE_WITH_UDP_MS, UDP_KEEPALIVE_MS,
};
use letschat_protocol::username::Username;

use super::asking::Pages;
use super::backoff::Backoff;
use super::retry::Retries;
use super::{Effect, Now, Request, RequestId, Session, Unreached};
use crate::codes::LinkEnd;
use crate::event::Event;
use crate::failure::Failure;
use crate::notice;
use crate::view::LinkState;

/// An answer that takes longer than this does not come.
const ANSWER_MS: u64 = 30_000;
/// How much later than due the answer to a keep-alive may come.
const KEEPALIVE_SLACK_MS: u64 = 5_000;

/// All that concerns the server.
#[derive(Debug, Default)]
pub(in crate::session) struct ServerSide {
    link: Link,
    pending: VecDeque<Pending>,
    /// What is to be achieved once the link is there.
    goal: Option<Goal>,
    sign_ups: VecDeque<SignUp>,
    fingerprint: Option<Fingerprint>,
    address: Option<SocketAddr>,
    binding: ChannelBinding,
    own_address: Option<IpAddr>,
    retries: Retries,
    /// When the last login succeeded.
    logged_in_ms: u64,
    next_ping_ms: u64,
    datagrams: Datagrams,
    /// When the missing broadcasts are to be asked for.
    repair_at_ms: Option<u64>,
    repair: Repair,
    /// Replays that did not bring what was missing, and the time before which none is asked for.
    replays: Backoff,
    no_replay_before_ms: u64,
    /// Everybody who was here when that was last asked.
    pub(in crate::session) last_list: Vec<Listed>,
    watching: bool,
    /// Who was dropped as idle: the user's next request logs them in again by key first.
    away: Option<Username>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Link {
    #[default]
    Down,
    /// Tried again at that time.
    Waiting {
        until_ms: u64,
    },
    Dialling,
    /// Up; the server's greeting or its answer to HELLO is awaited.
    Greeting,
    /// Log in or sign up?
    Choosing,
    /// A sign-up or a login is under way.
    Busy,
    LoggedIn,
}

/// A request whose reply has not come yet; replies come in the order of requests.
#[derive(Debug)]
struct Pending {
    since_ms: u64,
    what: Expected,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Expected {
    Greeting,
    Hello,
    /// The account that is to be made.
    SignUp(RequestId, String),
    Login,
    ChangePassword(RequestId),
    /// A page of the list, after those that have come.
    List(ListFor, Pages),
    Watch(Option<RequestId>),
    Connect(Username),
    /// The same, for an address: whose it is comes with the answer.
    ConnectAddress(RequestId, String, bool),
    Broadcast(RequestId),
    Replay,
    Ping,
    Active,
    /// The user wants the answer no more.
    Forgotten,
}

/// Why a list was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum ListFor {
    User(RequestId),
    /// To see whether a request to connect can be valid.
    Connect(RequestId, String, bool),
}

/// Being logged in, and those who wait for it.
#[derive(Debug)]
struct Goal {
    username: Option<Username>,
    /// Forgotten once the server knows the key.
    password: Option<Secret>,
    take: bool,
    waiting: Vec<Waiting>,
    /// Whether it was achieved before, so that this is a return.
    returning: bool,
}

/// A request that waits for the login.
#[derive(Debug)]
struct Waiting {
    id: RequestId,
    /// What is to be done then; `None`: nothing, the login was all that was asked for.
    then: Option<Request>,
}

/// How far the repair of missing broadcasts has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Repair {
    #[default]
    None,
    /// A replay was asked for.
    Asked(Missing),
    /// It has begun: its end is to be taken for it.
    Running(Missing),
}

/// What was known of the broadcasts when a replay was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missing {
    /// The highest number that there is.
    head: u64,
    /// How many had come.
    taken: u64,
}

#[derive(Debug)]
struct SignUp {
    id: RequestId,
    username: String,
    password: Secret,
    repeated: Secret,
}

#[derive(Debug, Default)]
struct Datagrams {
    open: bool,
    /// The server proved our address and answers from it.
    work: bool,
    next_ms: u64,
    heard_ms: u64,
    /// Keep-alives beyond the regular ones are due so long after this.
    since_ms: u64,
    due_after_ms: &'static [u64],
}

impl ServerSide {
    pub(in crate::session) fn is_logged_in(&self) -> bool {
        self.link == Link::LoggedIn
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
        self.datagrams.work
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

    pub(in crate::session) fn next_deadline(&self) -> Option<u64> {
        let retry = match self.link {
            Link::Waiting { until_ms } => Some(until_ms),
            _ => None,
        };
        let answer = self.pending.front().map(|pending| pending.since_ms + ANSWER_MS);
        let ping = self.is_logged_in().then_some(self.next_ping_ms);
        let datagram = self.datagrams.open.then_some(self.datagrams.next_ms);
        let silent = self.datagrams.silent_at_ms();
        [retry, answer, ping, datagram, silent, self.repair_at_ms].into_iter().flatten().min()
    }

    /// Whether something is to be achieved at the server.
    fn has_work(&self) -> bool {
        self.goal.is_some() || !self.sign_ups.is_empty()
    }

    /// Whether the account is used, or about to be, at the server.
    pub(in crate::session) fn needs_account(&self) -> bool {
        self.goal.is_some() || self.is_logged_in()
    }

    /// An address that the server told, with the scope of the link to the server if it is one of a
    /// link alone: an address on the wire has none (RFC 4007, section 11).
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
}

impl Datagrams {
    fn silent_at_ms(&self) -> Option<u64> {
        let limit = UDP_KEEPALIVE_MS * MISSED_KEEPALIVES + KEEPALIVE_SLACK_MS;
        self.work.then_some(self.heard_ms + limit)
    }
}

impl Session {
    /// The user wants something of the server: at once, whatever was waited for.
    fn reach_server(&mut self, now: Now) {
        match self.server.link {
            Link::Down | Link::Waiting { .. } => {
                self.server.retries = Retries::default();
                self.dial_server();
            }
            Link::Choosing => self.advance(now),
            _ => {}
        }
    }

    fn dial_server(&mut self) {
        self.server.link = Link::Dialling;
        self.effects.push(Effect::DialServer);
    }

    pub(in crate::session) fn server_secured(
        &mut self,
        now: Now,
        fingerprint: Fingerprint,
        binding: ChannelBinding,
        address: SocketAddr,
    ) {
        if self.server.link != Link::Dialling {
            return;
        }
        self.server.link = Link::Greeting;
        self.server.fingerprint = Some(fingerprint);
        self.server.binding = binding;
        self.server.address = Some(address);
        self.expect(now, Expected::Greeting);
    }

    pub(in crate::session) fn server_unreached(&mut self, now: Now, why: Unreached) {
        if self.server.link != Link::Dialling {
            return;
        }
        match why {
            Unreached::NoServer(detail) => {
                let returning = self.server.goal.as_ref().is_some_and(|goal| goal.returning);
                let reason = if returning { LinkEnd::Lost } else { LinkEnd::NoServer };
                let server = self.config.server.clone();
                let why = Failure::Unreached { end: reason, server, detail };
                self.try_again(now, reason, why);
            }
            Unreached::Folder(why) => self.give_up(&Failure::Folder(why), false),
            Unreached::KeyChanged { known, found } => {
                let server = self.config.server.clone();
                self.give_up(&Failure::ServerKeyChanged { server, known, found }, false);
            }
            Unreached::KeyUnknown { found } => {
                let server = self.config.server.clone();
                self.give_up(&Failure::ServerKeyUnknown { server, found }, false);
            }
        }
    }

    pub(in crate::session) fn expect(&mut self, now: Now, what: Expected) {
        self.server.pending.push_back(Pending { since_ms: now.boot_ms, what });
    }

    pub(in crate::session) fn ask_server(
        &mut self,
        now: Now,
        request: ServerRequest,
        what: Expected,
    ) {
        self.effects.push(Effect::SendServer(request));
        self.expect(now, what);
        let interval = match self.server.datagrams.work {
            true => TCP_KEEPALIVE_WITH_UDP_MS,
            false => TCP_KEEPALIVE_MS,
        };
        self.server.next_ping_ms = now.boot_ms + interval;
    }

    pub(in crate::session) fn server_said(&mut self, now: Now, said: FromServer) {
        if !self.server.is_up() {
            return;
        }
        match said {
            FromServer::Unknown => {}
            FromServer::Notice(notice) => self.server_noticed(now, notice),
            FromServer::Reply(reply) => match self.server.pending.pop_front() {
                Some(pending) => self.server_replied(now, pending.what, reply),
                // A reply to nothing: the two sides do not understand each other.
                None => self.server_down(now, LinkEnd::Lost),
            },
        }
    }

    fn server_replied(&mut self, now: Now, what: Expected, reply: ServerReply) {
        match what {
            Expected::Greeting if reply.code == Code::Ready => self.greeted(now),
            Expected::Greeting if reply.code == Code::Busy => {
                self.server_down(now, LinkEnd::Closed(Closing::Busy));
            }
            Expected::Hello if reply.code == Code::WhichWay => {
                self.server.link = Link::Choosing;
                self.advance(now);
            }
            Expected::Greeting | Expected::Hello => self.server_down(now, LinkEnd::Lost),
            Expected::SignUp(id, username) => self.signed_up(now, id, &username, &reply),
            Expected::Login => self.login_answered(now, &reply),
            Expected::Replay if !reply.code.is_success() => {
                // Slowed, perhaps: the next head or broadcast asks again.
                self.server.repair = Repair::None;
                self.replay_failed(now);
            }
            Expected::Replay => {
                if let Repair::Asked(missing) = self.server.repair {
                    self.server.repair = Repair::Running(missing);
                }
            }
            Expected::Active | Expected::Forgotten => {}
            Expected::Ping => {
                if let Some(head) = reply.field(0) {
                    self.learn_head(now, head);
                }
            }
            what => self.asked_and_answered(now, what, reply),
        }
    }

    fn greeted(&mut self, now: Now) {
        let fingerprint = self.server.fingerprint.map(|key| key.to_string()).unwrap_or_default();
        self.tell(Event::Connected { server: self.config.server.clone(), fingerprint });
        self.ask_server(now, ServerRequest::Hello, Expected::Hello);
    }

    pub(in crate::session) fn remember_watching(&mut self, on: bool) {
        self.server.watching = on;
    }

    fn server_noticed(&mut self, now: Now, notice: Notice) {
        match notice {
            Notice::Broadcast { entry, own } => self.show_broadcast(now, &entry, own, "tcp"),
            Notice::Replayed { through } => self.replayed(now, through),
            Notice::Introduction(who) => self.introduced(now, who),
            Notice::Joined(usernames) => {
                self.tell(Event::Joined { count: usernames.len() as u64, usernames });
            }
            Notice::Left(usernames) => {
                self.tell(Event::Left { count: usernames.len() as u64, usernames });
            }
            Notice::Crowd { joined, left } => {
                self.tell(Event::Joined { usernames: Vec::new(), count: joined });
                self.tell(Event::Left { usernames: Vec::new(), count: left });
            }
            Notice::Say(text) => {
                self.tell(Event::notice(notice::Notice::ServerSays(text)));
            }
            Notice::Closing(why) => self.server_down(now, LinkEnd::Closed(why)),
        }
    }

    pub(in crate::session) fn tick_server(&mut self, now: Now) {
        if let Link::Waiting { until_ms } = self.server.link
            && until_ms <= now.boot_ms
        {
            self.dial_server();
        }
        let oldest = self.server.pending.front();
        if oldest.is_some_and(|pending| pending.since_ms + ANSWER_MS <= now.boot_ms) {
            return self.server_down(now, LinkEnd::Lost);
        }
        if self.server.is_logged_in() && self.server.next_ping_ms <= now.boot_ms {
            self.ask_server(now, ServerRequest::Ping, Expected::Ping);
        }
        if self.server.repair_at_ms.is_some_and(|at| at <= now.boot_ms) {
            self.repair(now);
        }
        self.tick_datagrams(now);
    }
}
