//! What moves bytes: thin tasks around the session, which decides everything.
//!
//! * [`tls`] – an account's own key in TLS
//! * [`outbox`] – what is to go out over one link, bounded
//! * [`link`] – frames in and out over one secured stream
//! * [`server_link`] – the link to the server
//! * `happy_eyeballs` – several addresses of one name
//! * [`peer_link`] – a link to a peer, over any byte stream
//! * [`receiver`] – where peers arrive
//! * [`datagrams`] – sealed datagrams from and to the server
//!
//! Whatever happens is told to the driver as an [`Occurrence`], over one bounded queue: a driver
//! that is behind slows the readers down, and they their senders.

pub(crate) mod datagrams;
mod happy_eyeballs;
mod link;
mod outbox;
pub(crate) mod peer_link;
pub(crate) mod receiver;
pub(crate) mod server_link;
pub(crate) mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_net::TcpStream;
use futures_lite::FutureExt as _;
use letschat_protocol::datagram::ToClient;
use letschat_protocol::identity::PublicKey;

use letschat_core::session::{Input, LinkId};
use peer_link::PeerStream;
use server_link::Secured;

/// A dial or a handshake that takes longer has failed.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a link still has to say when it is closed must be out within this time.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Occurrences that may wait for the driver.
pub(crate) const QUEUE_LENGTH: usize = 256;

/// What the driver is told. The numbers say of which link, so that what an earlier one still had
/// in the queue is not taken for news of the present one.
pub(crate) enum Occurrence {
    /// The server of this generation was reached and its key is trusted.
    ServerSecured(u64, Box<Secured>),
    /// Something else about the server of this generation.
    Server(u64, Input),
    /// A genuine datagram from the server of this generation.
    Datagram(u64, ToClient),
    /// Somebody reached the receiver and is to prove who they are.
    Connected(TcpStream, SocketAddr),
    /// They did, to the account of this generation.
    Arrived(u64, Box<Arrival>),
    /// Something about a peer link.
    Peer(LinkId, Input),
}

/// A peer that proved to have a key.
pub(crate) struct Arrival {
    pub(crate) stream: PeerStream,
    pub(crate) key: PublicKey,
    pub(crate) from: SocketAddr,
}

/// The future's result, or a time-out.
async fn within<T>(limit: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let expired = async {
        async_io::Timer::after(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    future.or(expired).await
}
