//! What moves bytes: thin tasks around the hub, which decides everything.
//!
//! * [`ports`] – the one port, for TCP and for UDP
//! * [`accept_limit`] – how fast connections are accepted
//! * [`listener`] – accepts connections and survives the lack of descriptors
//! * [`tls`] – the server's certificate and key, TLS 1.3
//! * [`connection`] – one task for each TCP connection
//! * [`outbox`] – what the hub wants of a connection, bounded
//! * [`stream`] – a TCP stream that knows when bytes last went out
//! * [`datagrams`] – sealed datagrams, in and out
//!
//! Everything that happens is told to the driver as an [`Event`], over one bounded queue.

pub(crate) mod accept_limit;
pub(crate) mod connection;
pub(crate) mod datagrams;
pub(crate) mod listener;
pub(crate) mod outbox;
pub(crate) mod ports;
pub(crate) mod stream;
pub(crate) mod tls;

#[cfg(test)]
mod tests;

use async_channel::Sender;

use crate::hub::{ConnectionId, Input, Operator, OperatorAnswer};
use letschat_protocol::datagram::DatagramKeys;
use letschat_protocol::identity::ChannelBinding;
use listener::Arrival;

/// What the driver is told.
pub(crate) enum Event {
    /// A TCP connection was accepted and needs a name and a task.
    Arrived(Arrival),
    /// A TLS handshake is done. The keys stay with the driver until the hub opens datagrams.
    Secured { connection: ConnectionId, binding: ChannelBinding, keys: DatagramKeys },
    /// The operator wants something. The channel has room for the answer, and is closed where there
    /// is none.
    Operated { operator: Operator, answer: Sender<OperatorAnswer> },
    /// Something that the hub takes as it is.
    Input(Input),
}
