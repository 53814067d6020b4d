//! The link to the server: dialled, secured, judged, then frames in and out.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use async_channel::Sender;
use async_executor::{LocalExecutor, Task};
use async_net::TcpStream;
use futures_lite::FutureExt as _;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use letschat_protocol::dialogue::{ReplyAssembler, Request};
use letschat_protocol::frame::Frame;
use letschat_protocol::identity::Fingerprint;

use super::link::{self, End, Unreadable};
use super::outbox::Outbox;
use super::tls::{self, Exported};
use super::{HANDSHAKE_TIMEOUT, Occurrence, within};
use crate::address::ServerAddress;
use crate::session::{Input, Unreached};
use crate::trust::{KnownServers, Verdict};

/// Requests that may wait for a server that does not read. Several of the largest fit.
const OUTBOX_BYTES: usize = 256 * 1024;

/// Of several addresses of one name, each gets this long, so that one that swallows everything
/// leaves time for the next.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(4);

/// Which server, and what makes its key the right one.
pub(crate) struct Target {
    pub(crate) address: ServerAddress,
    pub(crate) known: KnownServers,
    /// Whether a key that was never seen may be accepted.
    pub(crate) may_accept: bool,
}

/// What came of a dial that came through.
pub(crate) struct Secured {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) verdict: Verdict,
    pub(crate) address: SocketAddr,
    pub(crate) keys: Exported,
}

/// One link, from its dial to its end. What it tells carries its generation.
pub(crate) struct ServerLink {
    outbox: Rc<Outbox>,
    task: Task<()>,
}

impl ServerLink {
    /// Begins to dial.
    pub(crate) fn dial(
        executor: &LocalExecutor<'static>,
        generation: u64,
        target: Rc<Target>,
        queue: Sender<Occurrence>,
    ) -> ServerLink {
        let outbox = Rc::new(Outbox::new(OUTBOX_BYTES));
        let run = run(generation, target, outbox.clone(), queue);
        ServerLink { outbox, task: executor.spawn(run) }
    }

    /// Says something.
    pub(crate) fn send(&self, request: &Request) {
        self.outbox.send(&request.to_frame());
    }

    /// Lets out what was said, then closes; a dial is given up. The task ends by itself.
    pub(crate) fn close(self) -> Task<()> {
        self.outbox.close();
        self.task
    }
}

async fn run(generation: u64, target: Rc<Target>, outbox: Rc<Outbox>, queue: Sender<Occurrence>) {
    let given_up = async {
        outbox.closed().await;
        None
    };
    let Some(dialled) = async { Some(dial(&target).await) }.or(given_up).await else {
        return;
    };
    // That the queue is closed means that the driver has ended, here as below.
    let tell = async |occurrence| drop(queue.send(occurrence).await);
    let stream = match dialled {
        Ok((stream, secured)) => {
            tell(Occurrence::ServerSecured(generation, Box::new(secured))).await;
            stream
        }
        Err(unreached) => {
            return tell(Occurrence::Server(generation, Input::ServerUnreached(unreached))).await;
        }
    };

    let mut replies = ReplyAssembler::default();
    let take = async |frame: &Frame| {
        if let Some(said) = replies.take(frame).map_err(|_| Unreadable)? {
            tell(Occurrence::Server(generation, Input::Server(said))).await;
        }
        Ok(())
    };
    match link::run(stream, &outbox, take).await {
        End::Closed => {}
        // A server that talks nonsense is as good as none.
        End::Broken | End::Unreadable => {
            tell(Occurrence::Server(generation, Input::ServerLost)).await;
        }
    }
}

async fn dial(target: &Target) -> Result<(TlsStream<TcpStream>, Secured), Unreached> {
    let unreached = |error: io::Error| Unreached::NoServer(reason(&error));
    let (stream, address) =
        within(HANDSHAKE_TIMEOUT, secure(&target.address)).await.map_err(unreached)?;
    let connection = stream.get_ref().1;
    let fingerprint = tls::server_fingerprint(connection)
        .ok_or_else(|| Unreached::NoServer("the server has shown no certificate".into()))?;
    let keys = tls::export(connection).map_err(|error| Unreached::NoServer(error.to_string()))?;
    let verdict =
        target.known.judge(&target.address, address.ip(), fingerprint, target.may_accept)?;
    Ok((stream, Secured { fingerprint, verdict, address, keys }))
}

async fn secure(server: &ServerAddress) -> io::Result<(TlsStream<TcpStream>, SocketAddr)> {
    let (stream, address) = connect(server).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(tls::server_link_config());
    let stream = connector.connect(tls::unused_name(), stream).await?;
    Ok((stream, address))
}

/// Tries each address of the name in turn; the last failure is the one that is told.
async fn connect(server: &ServerAddress) -> io::Result<(TcpStream, SocketAddr)> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in async_net::resolve((server.host.as_str(), server.port)).await? {
        match within(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// What failed, in words that go on after "because".
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there".into(),
        io::ErrorKind::TimedOut => "there was no answer in time".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way to that address".into()
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "it closed the connection at once".into()
        }
        io::ErrorKind::InvalidData => "what answers there does not speak TLS 1.3".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
