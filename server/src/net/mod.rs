//! Input and output: thin tasks around the hub, which decides everything.
//!
//! * [`ports`] – the one port, for TCP and for UDP
//! * [`accept_limit`] – backpressure on accepting connections
//! * [`listener`] – accepts connections and survives the lack of descriptors
//! * [`tls`] – the server's certificate and key, TLS 1.3
//! * [`connection`] – one task for each TCP connection
//! * [`outbox`] – the hub's instructions to a connection, bounded
//! * [`relay`] – passes bytes on between two connections
//! * [`stream`] – a TCP stream that records its last write
//! * [`knock`] – tells a classroom's clients that the server is back
//! * [`datagrams`] – sealed datagrams, in and out
//!
//! All tasks report to the driver with [`Event`]s over one bounded queue.

pub(crate) mod accept_limit;
pub(crate) mod connection;
pub(crate) mod datagrams;
pub(crate) mod knock;
pub(crate) mod listener;
pub(crate) mod outbox;
pub(crate) mod ports;
pub(crate) mod relay;
pub(crate) mod stream;
pub(crate) mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_channel::Sender;

use crate::hub::{ConnectionId, Input, Operator, OperatorAnswer};
use crate::metrics::Report;
use letschat_protocol::datagram::DatagramKeys;
use letschat_protocol::identity::ChannelBinding;
use listener::Arrival;

/// An event for the driver.
pub(crate) enum Event {
    /// A TCP connection was accepted and needs an id and a task.
    Arrived(Arrival),
    /// A TLS handshake is done. The driver keeps the keys until the hub opens datagrams.
    Secured { connection: ConnectionId, binding: ChannelBinding, keys: DatagramKeys },
    /// The operator gave a command. The channel has room for the answer, and is closed if there is
    /// none.
    Operated { operator: Operator, answer: Sender<OperatorAnswer> },
    /// The monitoring asks whether the driver runs.
    Alive(Sender<()>),
    /// The monitoring asks for a report.
    Measure(Sender<Arc<Report>>),
    /// An input that goes to the hub unchanged.
    Input(Input),
}
