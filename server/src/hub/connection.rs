//! One connection: its phase and its deadlines.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::devices::DeviceEntry;
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::frame::Mode;
use letschat_protocol::identity::{ChannelBinding, PublicKey};
use letschat_protocol::limits::{
    MISSED_KEEPALIVES, TCP_KEEPALIVE_MS, TCP_KEEPALIVE_WITH_UDP_MS, UDP_KEEPALIVE_MS,
};
use letschat_protocol::username::Username;

use super::devices::Enrolment;
use super::io::Destination;
use super::mailbox::MailLink;
use super::rate::Bucket;
use crate::store::StoreRequest;

/// The timeout of the TLS handshake, from the start of the connection.
const HANDSHAKE_MS: u64 = 10_000;
/// The login timeout of a program. It is paused while the server works.
const PROGRAM_LOGIN_MS: u64 = 20_000;
/// The timeout of a person's answer to each question, HELLO included.
const ANSWER_MS: u64 = 60_000;
/// The login timeout of a person.
const INTERACTIVE_LOGIN_MS: u64 = 5 * 60_000;
/// The slack of keep-alives.
const KEEPALIVE_SLACK_MS: u64 = 5_000;

/// The number of wrong passwords or keys after which the connection is closed.
pub(super) const MAX_WRONG_ANSWERS: u8 = 3;
/// The number of consecutive invalid lines after which the connection is closed.
pub(super) const MAX_INVALID_LINES: u8 = 5;
/// The command rate limit: the burst, and the interval after it in milliseconds.
pub(super) const COMMAND_RATE: (u32, u64) = (50, 50);
/// The same in a classroom, where text is pasted.
pub(super) const PASTE_RATE: (u32, u64) = (10_000, 1);
/// The surplus of delayed over undelayed commands at which a client is closed as a flood.
pub(super) const MAX_SLOWED: u32 = 1_200;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    /// The server's address that the client used.
    pub(super) local: IpAddr,
    pub(super) kind: ClientKind,
    pub(super) phase: Phase,
    /// The start of the current wait for the other side.
    pub(super) asked_ms: u64,
    /// The login deadline.
    pub(super) login_by_ms: u64,
    pub(super) wrong_answers: u8,
    pub(super) invalid_lines: u8,
    pub(super) commands: Bucket,
    pub(super) slowed: u32,
    /// An action that is delayed.
    pub(super) delayed: Option<Delayed>,
    /// The deadline by which the hub has sorted this connection.
    pub(super) deadline_ms: Option<u64>,
}

/// The kind of client, known from its HELLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKind {
    /// A client that has not sent HELLO.
    Unknown,
    /// A program, with one-line commands and keep-alives.
    Program,
    /// A person who types and answers questions.
    Interactive,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// The TLS handshake is under way.
    Securing,
    /// The TLS handshake is done, the login is not.
    Secured(ChannelBinding, LoginStep),
    /// The client is logged in.
    Member(Box<Member>),
    /// The connection is one side of a meeting or of a relay.
    Meeting,
}

/// The step of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoginStep {
    /// The server has greeted and waits for HELLO.
    AwaitingHello,
    /// The client chooses between login and sign-up.
    Choosing,
    /// A person is asked a question.
    Asked(Question),
    /// The store works on the login or the sign-up.
    InStore(StoreWork),
}

/// A question to a person before the login.
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
    SignUp {
        username: Username,
    },
    Login(LoginAttempt),
    /// A login by the right credentials, which the cluster has to know.
    Entrance(LoginAttempt),
}

/// A login that the store checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoginAttempt {
    /// The name, or `None` if it is invalid, so that the login will be refused.
    pub(super) username: Option<Username>,
    pub(super) key: Option<PublicKey>,
    pub(super) port: Option<u16>,
    pub(super) take: bool,
    /// The method: `password`, `key` or `hand`.
    pub(super) by: &'static str,
}

/// An action that is delayed by a rate limit.
#[derive(Debug)]
pub(super) struct Delayed {
    pub(super) until_ms: u64,
    pub(super) action: DelayedAction,
}

#[derive(Debug)]
pub(super) enum DelayedAction {
    /// Reads the next line.
    Read(Mode),
    /// Sends the request to the store.
    Store(StoreRequest),
}

/// The idle timeout of members.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    /// The time without activity, in milliseconds.
    pub(super) limit_ms: u64,
    /// The time of the last broadcast. It counts as activity of all members, so it is kept once.
    pub(super) broadcast_ms: u64,
}

/// A logged-in client.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) username: Username,
    /// The device's public key, or `None` for a session typed by hand.
    pub(super) key: Option<PublicKey>,
    pub(super) port: Option<u16>,
    pub(super) session: SessionId,
    /// The number of the login in the cluster.
    pub(super) number: Option<u64>,
    /// The time of the login.
    pub(super) since_ms: u64,
    /// The time of the login, the user's last command, or the last activity in a chat. Broadcasts
    /// are not recorded here: see [`Idle`].
    pub(super) active_ms: u64,
    /// The time of the login, or of the user's last command. A call reaches the device that was used last.
    pub(super) used_ms: u64,
    /// True if the next envelope is likely to be a receipt, since a message was shown.
    pub(super) owes_receipt: bool,
    /// The time of the last line.
    pub(super) heard_ms: u64,
    pub(super) watching: bool,
    pub(super) datagrams: Datagrams,
    pub(super) pages: Pages,
    pub(super) stream: Stream,
    pub(super) mail: MailLink,
    /// False if the account has a device list that the key is not in.
    pub(super) is_listed: bool,
    /// The wish of the device to be in that list.
    pub(super) enrolment: Option<Enrolment>,
    /// The new list of a recovery whose password is being checked.
    pub(super) recovery: Option<Box<DeviceEntry>>,
    /// The pending question to a person.
    pub(super) question: Option<MemberQuestion>,
}

/// A question to a logged-in person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberQuestion {
    Message,
    Who,
}

/// A client's UDP path.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// The address proven by the answer to a challenge.
    pub(super) proven: Option<SocketAddr>,
    /// An unanswered challenge.
    pub(super) challenge: Option<(SocketAddr, u64)>,
    /// The time of the last datagram from the proven address.
    pub(super) heard_ms: u64,
}

/// The pages of broadcasts and mail. Each is sent when the last has drained, so that a long log and
/// a full mailbox fit the outbox.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// True while a page is draining.
    pub(super) draining: bool,
    /// True while the store reads mail whose turn it is.
    pub(super) reserved: bool,
    /// The bytes of mail that were sent beside the page.
    pub(super) pushed_bytes: usize,
    /// The kind of the last page.
    last: Option<Page>,
}

/// The kind of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Broadcasts,
    Mail,
}

impl Pages {
    /// Records that a page is sent.
    pub(super) fn begin(&mut self, page: Page) {
        self.draining = true;
        self.last = Some(page);
    }

    /// Records that everything was sent. Returns the kind of the next page: if there are both, they
    /// take turns.
    pub(super) fn drained(&mut self) -> Page {
        self.draining = false;
        self.pushed_bytes = 0;
        match self.last {
            Some(Page::Broadcasts) => Page::Mail,
            Some(Page::Mail) | None => Page::Broadcasts,
        }
    }
}

/// The part of the broadcast log that goes over TCP, in pages.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The next number to send.
    pub(super) next: u64,
    /// The last number to send over TCP even if UDP works.
    pub(super) until: Option<u64>,
    /// True if the client waits for the end of a replay.
    pub(super) replaying: bool,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, local: IpAddr, commands: Bucket, now_ms: u64) -> Self {
        Connection {
            peer,
            local,
            kind: ClientKind::Unknown,
            phase: Phase::Securing,
            asked_ms: now_ms,
            login_by_ms: now_ms + INTERACTIVE_LOGIN_MS,
            wrong_answers: 0,
            invalid_lines: 0,
            commands,
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

    /// Starts the login timeout of a program after its HELLO.
    pub(super) fn begin_program(&mut self, now_ms: u64) {
        self.kind = ClientKind::Program;
        self.login_by_ms = now_ms + PROGRAM_LOGIN_MS;
    }

    /// Waits for the other side's input before the login.
    pub(super) fn await_answer(&mut self, step: LoginStep, now_ms: u64) {
        if let Phase::Secured(_, current) = &mut self.phase {
            if matches!(current, LoginStep::InStore(_)) {
                // The login timeout was paused while the server worked.
                self.login_by_ms += now_ms - self.asked_ms;
            }
            self.asked_ms = now_ms;
            *current = step;
        }
    }

    /// Waits for the store before the login.
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
            Phase::Meeting => None,
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

    /// Returns the time at which the member becomes idle without further activity.
    pub(super) fn idle_at_ms(&self, idle: Idle) -> u64 {
        self.last_active_ms(idle).saturating_add(idle.limit_ms)
    }

    /// Returns the time of the last activity, broadcasts included.
    pub(super) fn last_active_ms(&self, idle: Idle) -> u64 {
        self.active_ms.max(idle.broadcast_ms)
    }

    /// Returns the deadline for the client's next line. A person sends no keep-alives.
    pub(super) fn silent_at_ms(&self, kind: ClientKind) -> Option<u64> {
        let interval = match self.datagrams.proven {
            Some(_) => TCP_KEEPALIVE_WITH_UDP_MS,
            None => TCP_KEEPALIVE_MS,
        };
        let limit = interval * MISSED_KEEPALIVES + KEEPALIVE_SLACK_MS;
        (kind == ClientKind::Program).then_some(self.heard_ms + limit)
    }

    /// Returns the datagram destination, if UDP works.
    pub(super) fn destination(&self) -> Option<Destination> {
        let address = self.datagrams.proven?;
        Some(Destination { session: self.session, address })
    }

    /// Returns true if broadcasts go over TCP, live or as a replay.
    pub(super) fn streams(&self) -> bool {
        self.datagrams.proven.is_none() || self.stream.until.is_some()
    }
}

impl Datagrams {
    /// Returns the deadline for the next datagram, after which UDP counts as broken.
    pub(super) fn silent_at_ms(&self) -> Option<u64> {
        let limit = UDP_KEEPALIVE_MS * MISSED_KEEPALIVES + KEEPALIVE_SLACK_MS;
        self.proven.map(|_| self.heard_ms + limit)
    }
}
