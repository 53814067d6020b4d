//! The hub's inputs and effects.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{Closing, SessionId};
use letschat_protocol::frame::{Frame, FrameError, Mode};
use letschat_protocol::identity::ChannelBinding;
use letschat_protocol::username::Username;

use super::operator::{Operator, OperatorAnswer};
use crate::store::{StoreAnswer, StoreRequest};

/// Names a TCP connection while the server runs. Counts up and is never reused, so whatever is
/// said late of a connection that has gone reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// An event that the hub handles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A TCP connection was accepted. Its TLS handshake begins now.
    Accepted {
        /// Its new name.
        connection: ConnectionId,
        /// From where.
        peer: SocketAddr,
        /// The server's address that the client used.
        local: IpAddr,
    },
    /// Its TLS handshake is done.
    Secured {
        /// Which.
        connection: ConnectionId,
        /// The channel binding of login signatures in this session.
        binding: ChannelBinding,
    },
    /// A line, after [`Effect::Read`] asked for one.
    Line {
        /// From whom.
        connection: ConnectionId,
        /// What.
        line: Result<Frame, FrameError>,
    },
    /// All bytes sent so far went out, after [`Effect::TellWhenDrained`] asked for this.
    Drained {
        /// Its connection.
        connection: ConnectionId,
    },
    /// The connection is gone. Nothing more comes from it.
    Gone {
        /// Which.
        connection: ConnectionId,
        /// How it ended.
        why: LinkEnd,
    },
    /// The store answers.
    Stored(StoreAnswer),
    /// A genuine datagram.
    Datagram {
        /// Of which session.
        session: SessionId,
        /// From where.
        from: SocketAddr,
        /// What.
        message: ToServer,
    },
    /// The operator wants something.
    Operator(Operator),
    /// [`next_deadline`](super::Hub::next_deadline) has come.
    Tick,
}

/// How a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// The other side ended it, or the hub closed it and the last bytes are out.
    Ended,
    /// The network or TLS failed.
    Failed,
    /// Its outbox overflowed, or nothing went out of it for too long.
    NotReading,
}

/// An action for the driver. Effects are carried out in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put bytes into the connection's outbox.
    Send {
        /// Its connection.
        connection: ConnectionId,
        /// Whole frames.
        bytes: Vec<u8>,
    },
    /// Read one more line and report it as [`Input::Line`].
    Read {
        /// From whom.
        connection: ConnectionId,
        /// The mode in which the line is read.
        mode: Mode,
    },
    /// Report once, as [`Input::Drained`], when the outbox is empty.
    TellWhenDrained {
        /// Its connection.
        connection: ConnectionId,
    },
    /// Let out what was sent so far, then close. [`Input::Gone`] for it may or may not follow.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// It has logged in: give up its pre-login place.
    LoggedIn {
        /// Which.
        connection: ConnectionId,
    },
    /// Begin to open and seal datagrams under this name, with the connection's exported keys.
    OpenDatagrams {
        /// The new session.
        session: SessionId,
        /// The connection that has the keys.
        connection: ConnectionId,
    },
    /// Forget the session's keys.
    CloseDatagrams {
        /// Which.
        session: SessionId,
    },
    /// Seal and send to each; losing it is allowed.
    Datagram {
        /// To whom: a broadcast is one effect, however many there are.
        to: Vec<Destination>,
        /// What.
        message: ToClient,
    },
    /// Ask the store. If its queue is full, the answer is
    /// [`Unavailable`](crate::store::Unavailable) at once.
    Store(StoreRequest),
    /// Drop work that has not begun: the client that asked has gone.
    CancelStore {
        /// Who.
        connection: ConnectionId,
    },
    /// Write a line of the log.
    Record(Record),
    /// Answer the operator, who wanted something with this very input.
    Answer(OperatorAnswer),
    /// All has been said; the server may end.
    Stopped,
}

/// The destination of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// By whose keys it is sealed.
    pub session: SessionId,
    /// To where.
    pub address: SocketAddr,
}

/// A line of the operator's log. Holds neither passwords nor the text of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A connection came.
    Came {
        /// Which.
        connection: ConnectionId,
        /// From where.
        peer: SocketAddr,
    },
    /// It was turned away, since all places are taken.
    TurnedAway {
        /// Which.
        connection: ConnectionId,
    },
    /// An account was made.
    SignedUp {
        /// By which connection.
        connection: ConnectionId,
        /// Its account.
        username: Username,
    },
    /// Somebody logged in.
    LoggedIn {
        /// By which connection.
        connection: ConnectionId,
        /// Who.
        username: Username,
        /// By what: `password`, `key` or `hand`.
        by: &'static str,
    },
    /// A login was refused.
    LoginRefused {
        /// Of which connection.
        connection: ConnectionId,
        /// From where.
        peer: SocketAddr,
        /// The reason, as a stable word.
        code: &'static str,
    },
    /// Somebody changed their password.
    PasswordChanged {
        /// Who.
        username: Username,
    },
    /// A session gave a wrong present password for a change.
    PasswordNotChanged {
        /// The session's account.
        username: Username,
    },
    /// A logged-in client asked for something.
    Asked {
        /// Who.
        username: Username,
        /// The verb.
        verb: &'static str,
    },
    /// Somebody was introduced to somebody.
    Introduced {
        /// The account that asked.
        username: Username,
        /// To whom.
        to: Username,
    },
    /// A broadcast was committed and sent.
    Broadcast {
        /// Who.
        username: Username,
        /// Its number.
        number: u64,
        /// To how many.
        recipients: usize,
    },
    /// A client's UDP was found to work, or to work no more.
    Datagrams {
        /// Its account.
        username: Username,
        /// `true` if it works.
        work: bool,
    },
    /// A connection ended.
    Left {
        /// Which.
        connection: ConnectionId,
        /// The account that was logged in.
        username: Option<Username>,
        /// The reason.
        why: LeaveReason,
    },
    /// The store could not do what it was asked.
    StoreFailed {
        /// The task, as a verb: the log says that the store could not do it.
        what: &'static str,
    },
    /// The operator spoke.
    Said,
}

/// The reason why a connection ended, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// The client said QUIT.
    Quit,
    /// The link ended or broke.
    Link(LinkEnd),
    /// The server closed it.
    Closed(Closing),
    /// It made room for newer connections before it had logged in.
    Evicted,
}
