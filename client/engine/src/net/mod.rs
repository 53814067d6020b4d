//! Thin tasks that move bytes around the session, which decides everything.
//!
//! * [`tls`] – an account's own key in TLS
//! * [`outbox`] – the bounded send queue of one link
//! * [`link`] – frames in and out over one secured stream
//! * [`server_link`] – the link to the server
//! * `happy_eyeballs` – attempts at several addresses of one name
//! * [`peer_link`] – a link to a peer, over any byte stream
//! * [`meeting`] – a link to a peer through NATs, or relayed by the server; `socket` – what they all read from
//! * [`receiver`] – the listener for peers
//! * [`datagrams`] – sealed datagrams from and to the server
//!
//! Everything is reported to the driver as an [`Occurrence`], over one bounded queue for the
//! server and one for peers. They give backpressure: a slow driver slows the readers, and they slow
//! their senders.

pub(crate) mod datagrams;
mod happy_eyeballs;
mod link;
pub(crate) mod meeting;
mod outbox;
pub(crate) mod peer_link;
pub(crate) mod receiver;
pub(crate) mod server_link;
pub(crate) mod socket;
pub(crate) mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_net::TcpStream;
use futures_lite::FutureExt as _;
use letschat_protocol::datagram::ToClient;
use letschat_protocol::identity::PublicKey;

use crate::history::Report;
use letschat_core::conversation::LinkPath;
use letschat_core::failure::Failure;
use letschat_core::files::{FetchNews, ReadFile, ServeNews, TransferId};
use letschat_core::session::{Input, LinkId, RequestId};
use peer_link::PeerStream;
use server_link::Secured;

/// The timeout of a dial or a handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that a closed link has to send the rest of its outbox.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most occurrences that may wait for the driver.
pub(crate) const QUEUE_LENGTH: usize = 256;

/// An event for the driver. The numbers name its link, so that queued events of an earlier link are
/// not mistaken for those of the present one.
pub(crate) enum Occurrence {
    /// The server of this generation was reached and its key is trusted.
    ServerSecured(u64, Box<Secured>),
    /// Another event of the server of this generation.
    Server(u64, Input),
    /// An authentic datagram from the server of this generation.
    Datagram(u64, ToClient),
    /// A peer reached the receiver and has to prove its key.
    Connected(TcpStream, SocketAddr),
    /// That peer proved its key to the account of this generation.
    Arrived(u64, Box<Arrival>),
    /// An event of a peer link.
    Peer(LinkId, Input),
    /// A file was read for the account of this generation.
    FileRead(u64, RequestId, Result<ReadFile, Failure>),
    /// A thread is done with work on the history of the n-th opened account.
    History(u64, Box<Report>),
    /// News of an attempt to fetch a file.
    Fetch(TransferId, FetchNews),
    /// News of a link over which a file is sent.
    Serve(LinkId, ServeNews),
}

/// A peer that has proved its key.
pub(crate) struct Arrival {
    pub(crate) stream: PeerStream,
    pub(crate) key: PublicKey,
    pub(crate) from: SocketAddr,
    pub(crate) met: Option<LinkPath>,
}

/// Returns the future's result, or a timeout error.
async fn within<T>(limit: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let expired = async {
        async_io::Timer::after(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    future.or(expired).await
}
