//! The hub's inputs and effects.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{Closing, Outcome, SessionId};
use letschat_protocol::frame::{Frame, FrameError, Mode};
use letschat_protocol::identity::ChannelBinding;
use letschat_protocol::username::Username;

use super::classroom::Shown;
use super::metrics::Metrics;
use super::operator::{Operator, OperatorAnswer, Terms};
use crate::clients_file::ClientEntry;
use crate::store::cluster::ServerName;
use crate::store::{StoreAnswer, StoreRequest};

/// The id of a TCP connection. It counts up and is never reused, so late effects on a closed
/// connection have no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// An event that the hub handles.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A TCP connection was accepted at the server's address `local`. Its TLS handshake begins now.
    Accepted { connection: ConnectionId, peer: SocketAddr, local: IpAddr },
    /// The TLS handshake is done. `binding` is the channel binding of login signatures in this
    /// session.
    Secured { connection: ConnectionId, binding: ChannelBinding },
    /// A line arrived, after [`Effect::Read`] asked for one.
    Line { connection: ConnectionId, line: Result<Frame, FrameError> },
    /// All bytes have been sent, after [`Effect::TellWhenDrained`] asked for this.
    Drained { connection: ConnectionId },
    /// The connection is gone and sends no more inputs.
    Gone { connection: ConnectionId, why: LinkEnd },
    /// The store answered.
    Stored(StoreAnswer),
    /// A genuine datagram arrived.
    Datagram { session: SessionId, from: SocketAddr, message: ToServer },
    /// The operator gave a command.
    Operator(Operator),
    /// The monitoring asks for [`Effect::Measured`].
    Measure,
    /// After a restart, nobody listens at an address of the classroom's file.
    KnockRefused { receiver: SocketAddr },
    /// Another server of the cluster has something new.
    Rung,
    /// The [`next_deadline`](super::Hub::next_deadline) has passed.
    Tick,
}

/// The reason why a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// The peer ended it, or the hub closed it and the last bytes were sent.
    Ended,
    /// The network or TLS failed.
    Failed,
    /// Its outbox overflowed, or sending made no progress for too long.
    NotReading,
}

/// An action for the driver. Effects are carried out in their order.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put bytes into the connection's outbox: whole frames.
    Send { connection: ConnectionId, bytes: Vec<u8> },
    /// Read one more line in this mode and report it as [`Input::Line`].
    Read { connection: ConnectionId, mode: Mode },
    /// Report once, as [`Input::Drained`], when the outbox is empty.
    TellWhenDrained { connection: ConnectionId },
    /// Send the rest of the outbox, then close. [`Input::Gone`] may or may not follow.
    Close { connection: ConnectionId },
    /// Release the pre-login place of a connection that has logged in or joined a meeting.
    Admitted { connection: ConnectionId },
    /// Send the rest of the two outboxes, then pass what comes over each connection on to the other, until one of them
    /// ends. Nothing else is sent or read.
    Relay { connections: [ConnectionId; 2] },
    /// Start to open and seal datagrams of this session, with the connection's exported keys.
    OpenDatagrams { session: SessionId, connection: ConnectionId },
    /// Remove the session's keys.
    CloseDatagrams { session: SessionId },
    /// Seal and send a message to each destination; losses are allowed. A broadcast is a single
    /// effect.
    Datagram { to: Vec<Destination>, message: ToClient },
    /// Send a request to the store. If its queue is full, the answer is
    /// [`Unavailable`](crate::store::Unavailable) at once.
    Store(StoreRequest),
    /// Cancel work that has not begun, for a client that has gone.
    CancelStore { connection: ConnectionId },
    /// Tell the other servers of the cluster that there is something new.
    Ring,
    /// Write the classroom's clients to their file. Only the latest list counts.
    WriteClients(Vec<ClientEntry>),
    /// Show a line on the screen of a classroom's server.
    Show(Shown),
    /// Write a line of the log.
    Record(Record),
    /// Answer the command that the operator gave with this very input.
    Answer(OperatorAnswer),
    /// Answer every [`Input::Measure`] so far.
    Measured(Box<Metrics>),
    /// The farewells have been sent, so the server may exit.
    Stopped,
}

/// The destination of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// The session whose keys seal the datagram.
    pub session: SessionId,
    /// The client's address.
    pub address: SocketAddr,
}

/// A line of the operator's log. Holds neither passwords nor the text of messages.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A connection was accepted.
    Came { connection: ConnectionId, peer: SocketAddr },
    /// A connection was refused because all places are taken.
    TurnedAway { connection: ConnectionId },
    /// An account was created.
    SignedUp { connection: ConnectionId, username: Username },
    /// A client logged in by `password`, by `key` or by `hand`.
    LoggedIn { connection: ConnectionId, username: Username, by: &'static str },
    /// A login was refused. `code` is the reason as a stable word.
    LoginRefused { connection: ConnectionId, peer: SocketAddr, code: &'static str },
    /// An account's password was changed.
    PasswordChanged { username: Username },
    /// An account's device list was changed. `number` is that of the new list.
    DevicesChanged { username: Username, number: u64 },
    /// A session gave a wrong present password.
    PasswordNotChanged { username: Username },
    /// A logged-in client sent a request with this verb.
    Asked { username: Username, verb: &'static str },
    /// A client was introduced to another on its request.
    Introduced { username: Username, to: Username },
    /// A client was joined to another through the server on its request.
    Relayed { username: Username, to: Username },
    /// A broadcast was committed and sent.
    Broadcast { username: Username, number: u64, recipients: usize },
    /// An envelope was committed. There is a record for each outcome that recipients have, and the
    /// best one among a recipient's devices counts. `to` names the first of these recipients, and
    /// `others` counts the rest. `bytes` is the envelope's size.
    Posted { username: Username, to: Vec<Username>, others: usize, bytes: usize, outcome: Outcome },
    /// A client's UDP started or stopped to work.
    Datagrams { username: Username, work: bool },
    /// A connection ended. `username` is the account that was logged in.
    Left { connection: ConnectionId, username: Option<Username>, why: LeaveReason },
    /// The store failed at a task, which `what` names as a verb.
    StoreFailed { what: &'static str },
    /// Another server of the cluster has come or gone.
    Server { server: ServerName, is_there: bool },
    /// Another server of the cluster has other settings.
    OtherTerms { server: ServerName, own: Terms, others: Terms },
    /// The operator sent a message to everybody.
    Said,
}

/// The reason why a connection ended, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// The client sent QUIT.
    Quit,
    /// The link ended or broke.
    Link(LinkEnd),
    /// The server closed the connection.
    Closed(Closing),
    /// Its meeting is over.
    Met,
    /// The connection was evicted before its login, in favour of newer ones.
    Evicted,
}
