//! One connection: its phase and its deadlines.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::dialogue::SessionId;
use letschat_protocol::frame::Mode;
use letschat_protocol::identity::{ChannelBinding, PublicKey};
use letschat_protocol::limits::{
    MISSED_KEEPALIVES, TCP_KEEPALIVE_MS, TCP_KEEPALIVE_WITH_UDP_MS, UDP_KEEPALIVE_MS,
};
use letschat_protocol::username::Username;

use super::io::Destination;
use super::rate::Bucket;
use crate::store::StoreRequest;

/// The TLS handshake, from the connection on.
const HANDSHAKE_MS: u64 = 10_000;
/// A program logs in within this time. The clock stands while the server works.
const PROGRAM_LOGIN_MS: u64 = 20_000;
/// A person answers each question within this time, and says HELLO too.
const ANSWER_MS: u64 = 60_000;
/// A person logs in within this time.
const INTERACTIVE_LOGIN_MS: u64 = 5 * 60_000;
/// A keep-alive may be late by this.
const KEEPALIVE_SLACK_MS: u64 = 5_000;

/// After so many wrong passwords or keys the connection is closed.
pub(super) const MAX_WRONG_ANSWERS: u8 = 3;
/// After so many invalid lines in a row the connection is closed.
pub(super) const MAX_INVALID_LINES: u8 = 5;
/// The burst of the command rate limit.
const COMMAND_BURST: u32 = 50;
/// The interval of the command rate limit after the burst.
const COMMAND_INTERVAL_MS: u64 = 50;
/// With so many more delayed commands than others, a client is closed as a flood.
pub(super) const MAX_SLOWED: u32 = 1_200;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    /// The server's address that the client used.
    pub(super) local: IpAddr,
    pub(super) kind: ClientKind,
    pub(super) phase: Phase,
    /// When the current wait for the other side began.
    pub(super) asked_ms: u64,
    /// When it has to be logged in.
    pub(super) login_by_ms: u64,
    pub(super) wrong_answers: u8,
    pub(super) invalid_lines: u8,
    pub(super) commands: Bucket,
    pub(super) slowed: u32,
    /// An action that waits for its time.
    pub(super) delayed: Option<Delayed>,
    /// As it stands in the hub's order of deadlines.
    pub(super) deadline_ms: Option<u64>,
}

/// The kind of client, which its HELLO tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKind {
    /// It has not said HELLO.
    Unknown,
    /// One-line commands, keep-alives.
    Program,
    /// A person who types and is asked for each thing in turn.
    Interactive,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// TLS is not up yet.
    Securing,
    /// TLS is up.
    Secured(ChannelBinding, LoginStep),
    /// Logged in.
    Member(Box<Member>),
}

/// The step of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoginStep {
    /// The server has greeted and waits for HELLO.
    AwaitingHello,
    /// Log in or sign up?
    Choosing,
    /// A person is asked for something.
    Asked(Question),
    /// The store works on it.
    InStore(StoreWork),
}

/// The question that a person is asked before the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    LoginName { take: bool },
    LoginPassword { username: String, take: bool },
    SignUpName,
    SignUpPassword { username: Username },
    SignUpAgain { username: Username, password: letschat_protocol::dialogue::Secret },
}

/// The store's work for a client that is not logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoreWork {
    SignUp { username: Username },
    Login(LoginAttempt),
}

/// A login that the store judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoginAttempt {
    /// `None`: no valid name, so it can only be refused.
    pub(super) username: Option<Username>,
    pub(super) key: Option<PublicKey>,
    pub(super) port: Option<u16>,
    pub(super) take: bool,
    /// `password`, `key` or `hand`.
    pub(super) by: &'static str,
}

/// An action that is rate-limited and waits.
#[derive(Debug)]
pub(super) struct Delayed {
    pub(super) until_ms: u64,
    pub(super) action: DelayedAction,
}

#[derive(Debug)]
pub(super) enum DelayedAction {
    /// The next line is wanted.
    Read(Mode),
    /// The store is asked.
    Store(StoreRequest),
}

/// When members count as idle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    /// After so long without activity.
    pub(super) limit_ms: u64,
    /// The last broadcast. It is activity of everybody, so it is kept once for all.
    pub(super) broadcast_ms: u64,
}

/// A logged-in client.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) username: Username,
    /// None for a session typed by hand.
    pub(super) key: Option<PublicKey>,
    pub(super) port: Option<u16>,
    pub(super) session: SessionId,
    /// When it logged in.
    pub(super) since_ms: u64,
    /// When it logged in, its user gave a command, or it had part in a chat. Broadcasts to everybody
    /// are not written down here: see [`Idle`].
    pub(super) active_ms: u64,
    /// When a line came.
    pub(super) heard_ms: u64,
    pub(super) watching: bool,
    pub(super) datagrams: Datagrams,
    pub(super) stream: Stream,
    /// The open question to a person.
    pub(super) question: Option<MemberQuestion>,
}

/// The question that a logged-in person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberQuestion {
    Message,
    Who,
}

/// A client's UDP path.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// Proven by the answer to a challenge.
    pub(super) proven: Option<SocketAddr>,
    /// A challenge that is not answered yet.
    pub(super) challenge: Option<(SocketAddr, u64)>,
    /// When a datagram came from the proven address.
    pub(super) heard_ms: u64,
}

/// The part of the broadcast log that goes over TCP: pages, each made when the last has drained,
/// so that no log is too long for the outbox.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The next number to be sent.
    pub(super) next: u64,
    /// It goes on up to here, whether UDP works or not.
    pub(super) until: Option<u64>,
    /// The client asked for a replay and is to be told when it is done.
    pub(super) replaying: bool,
    /// A page is on its way.
    pub(super) draining: bool,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, local: IpAddr, now_ms: u64) -> Self {
        Connection {
            peer,
            local,
            kind: ClientKind::Unknown,
            phase: Phase::Securing,
            asked_ms: now_ms,
            login_by_ms: now_ms + INTERACTIVE_LOGIN_MS,
            wrong_answers: 0,
            invalid_lines: 0,
            commands: Bucket::new(COMMAND_BURST, COMMAND_INTERVAL_MS),
            slowed: 0,
            delayed: None,
            deadline_ms: None,
        }
    }

    pub(super) fn member(&self) -> Option<&Member> {
        match &self.phase {
            Phase::Member(member) => Some(member),
            _ => None,
        }
    }

    pub(super) fn member_mut(&mut self) -> Option<&mut Member> {
        match &mut self.phase {
            Phase::Member(member) => Some(member),
            _ => None,
        }
    }

    pub(super) fn login_step(&self) -> Option<&LoginStep> {
        match &self.phase {
            Phase::Secured(_, step) => Some(step),
            _ => None,
        }
    }

    pub(super) fn is_interactive(&self) -> bool {
        self.kind == ClientKind::Interactive
    }

    /// A program has said HELLO: from now on it has its time.
    pub(super) fn begin_program(&mut self, now_ms: u64) {
        self.kind = ClientKind::Program;
        self.login_by_ms = now_ms + PROGRAM_LOGIN_MS;
    }

    /// Before the login: the other side is asked for something.
    pub(super) fn await_answer(&mut self, step: LoginStep, now_ms: u64) {
        if let Phase::Secured(_, current) = &mut self.phase {
            if matches!(current, LoginStep::InStore(_)) {
                // The clock stood while the server worked.
                self.login_by_ms += now_ms - self.asked_ms;
            }
            self.asked_ms = now_ms;
            *current = step;
        }
    }

    /// Before the login: the store works.
    pub(super) fn await_store(&mut self, work: StoreWork, now_ms: u64) {
        if let Phase::Secured(_, current) = &mut self.phase {
            self.asked_ms = now_ms;
            *current = LoginStep::InStore(work);
        }
    }

    /// Returns this connection's next deadline.
    pub(super) fn due_ms(&self, idle: Idle) -> Option<u64> {
        let delayed = self.delayed.as_ref().map(|delayed| delayed.until_ms);
        let phase = match &self.phase {
            Phase::Securing => Some(self.asked_ms + HANDSHAKE_MS),
            Phase::Secured(_, LoginStep::InStore(_)) => None,
            Phase::Secured(..) if delayed.is_some() => None,
            Phase::Secured(..) => Some(self.login_by_ms.min(self.asked_ms + ANSWER_MS)),
            Phase::Member(member) => Some(member.due_ms(self.kind, idle)),
        };
        delayed.into_iter().chain(phase).min()
    }
}

impl Member {
    fn due_ms(&self, kind: ClientKind, idle: Idle) -> u64 {
        let idle = self.idle_at_ms(idle);
        let silent = self.silent_at_ms(kind).unwrap_or(u64::MAX);
        idle.min(silent).min(self.datagrams.silent_at_ms().unwrap_or(u64::MAX))
    }

    /// Returns when it counts as idle unless something happens.
    pub(super) fn idle_at_ms(&self, idle: Idle) -> u64 {
        self.last_active_ms(idle).saturating_add(idle.limit_ms)
    }

    /// When it was last active, broadcasts included.
    pub(super) fn last_active_ms(&self, idle: Idle) -> u64 {
        self.active_ms.max(idle.broadcast_ms)
    }

    /// Returns when the client counts as gone unless a line comes. A person sends no keep-alives.
    pub(super) fn silent_at_ms(&self, kind: ClientKind) -> Option<u64> {
        let interval = match self.datagrams.proven {
            Some(_) => TCP_KEEPALIVE_WITH_UDP_MS,
            None => TCP_KEEPALIVE_MS,
        };
        let limit = interval * MISSED_KEEPALIVES + KEEPALIVE_SLACK_MS;
        (kind == ClientKind::Program).then_some(self.heard_ms + limit)
    }

    /// Returns its datagram destination, if UDP works.
    pub(super) fn destination(&self) -> Option<Destination> {
        let address = self.datagrams.proven?;
        Some(Destination { session: self.session, address })
    }

    /// `true` if broadcasts go over TCP, live or as a replay.
    pub(super) fn streams(&self) -> bool {
        self.datagrams.proven.is_none() || self.stream.until.is_some()
    }
}

impl Datagrams {
    /// Returns when UDP counts as broken unless a datagram comes.
    pub(super) fn silent_at_ms(&self) -> Option<u64> {
        let limit = UDP_KEEPALIVE_MS * MISSED_KEEPALIVES + KEEPALIVE_SLACK_MS;
        self.proven.map(|_| self.heard_ms + limit)
    }
}
