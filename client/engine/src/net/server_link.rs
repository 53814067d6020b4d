//! The link to the server: dialling, TLS, the check of its key, then frames in and out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use async_channel::Sender;
use async_executor::{LocalExecutor, Task};
use async_io::Async;
use async_net::TcpStream;
use futures_lite::FutureExt as _;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{FromServer, ReplyAssembler, Request};
use letschat_protocol::frame::Frame;
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::tls::{self, Exported};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::happy_eyeballs::{first_success, interleaved};
use super::link::{self, End, Unreadable};
use super::outbox::Outbox;
use super::{HANDSHAKE_TIMEOUT, Occurrence, within};
use crate::address::{ServerAddress, ServiceAddress};
use crate::trust::{KnownServers, Verdict};
use letschat_core::session::{Input, Unreached};

/// The limit of the outbox of requests. Several of the largest fit.
const OUTBOX_BYTES: usize = 256 * 1024;

/// The server to dial, and the means to check its key.
pub(crate) struct Target {
    pub(crate) service: ServiceAddress,
    /// The place of the server that was reached last in the list of the service. It is tried first.
    pub(crate) last: Cell<usize>,
    pub(crate) known: KnownServers,
    /// True to accept a key that has never been seen.
    pub(crate) may_accept: bool,
    /// The port of this machine from which it is dialled, or `None` for any.
    pub(crate) local_port: Option<u16>,
}

impl Target {
    /// Returns the addresses of all servers of the service whose names can be resolved.
    pub(crate) async fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for server in self.service.servers() {
            addresses.extend(resolve(server).await.unwrap_or_default());
        }
        addresses
    }
}

/// The result of a successful dial.
pub(crate) struct Secured {
    pub(crate) server: ServerAddress,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) verdict: Verdict,
    pub(crate) address: SocketAddr,
    pub(crate) keys: Exported,
}

/// One link, from its dial to its end. Its occurrences carry its generation.
pub(crate) struct ServerLink {
    outbox: Rc<Outbox>,
    task: Task<()>,
}

impl ServerLink {
    /// Starts to dial.
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

    /// Sends a request.
    pub(crate) fn send(&self, request: &Request) {
        self.outbox.send(&request.to_frame());
    }

    /// Sends the outbox, then closes. A dial is given up. The task ends by itself.
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
    // A closed queue means that the driver has ended, here and below.
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

    // The dial has noted the server that it reached.
    let (target, place) = (&target, target.last.get());
    let mut replies = ReplyAssembler::default();
    let take = async |frame: &Frame| {
        if let Some(said) = replies.take(frame).map_err(|_| Unreadable)? {
            // Another server of the service may reach the database.
            if matches!(&said, FromServer::Reply(reply) if reply.code == Code::StoreUnavailable) {
                target.last.set((place + 1) % target.service.servers().len());
            }
            tell(Occurrence::Server(generation, Input::Server(said))).await;
        }
        Ok(())
    };
    match link::run(stream, &outbox, take).await {
        End::Closed | End::Detached => {}
        // A server that sends invalid data is as good as none.
        End::Broken | End::Unreadable => {
            tell(Occurrence::Server(generation, Input::ServerLost)).await;
        }
    }
}

/// The stream to the right server.
type Linked = (TlsStream<TcpStream>, Secured);

/// Reaches the first server of the service that answers and proves its key.
async fn dial(target: &Target) -> Result<Linked, Unreached> {
    reach(target, &ways(&target.service, target.last.get()).await?).await
}

/// Returns the addresses of a service, each with the place of its server in the list, from this place on. Fails if no name
/// can be resolved.
async fn ways(
    service: &ServiceAddress,
    first: usize,
) -> Result<Vec<(usize, SocketAddr)>, Unreached> {
    let (servers, count) = (service.servers(), service.servers().len());
    let (mut ways, mut failure) = (Vec::new(), None);
    for place in (0..count).map(|step| (first + step) % count) {
        match resolve(&servers[place]).await {
            Ok(addresses) => ways.extend(interleaved(addresses).into_iter().map(|at| (place, at))),
            Err(why) => failure = failure.or(Some(why)),
        }
    }
    match failure {
        Some(why) if ways.is_empty() => Err(why),
        _ => Ok(ways),
    }
}

/// Reaches a server at the first of these addresses where it proves its key. Each is that of the server at this place.
async fn reach(target: &Target, ways: &[(usize, SocketAddr)]) -> Result<Linked, Unreached> {
    // The servers that have another key.
    let foreign = RefCell::new(BTreeSet::new());
    let reached = first_reached(ways, async |(place, at)| {
        let stream = handshake(at, target.local_port).await?;
        let judged = judge(target, &target.service.servers()[place], stream, at);
        let linked = judged.map_err(|why| {
            if matches!(why, Unreached::KeyChanged { .. }) {
                foreign.borrow_mut().insert(place);
            }
            Failed { step: Step::Judgement, why }
        })?;
        target.last.set(place);
        Ok(linked)
    })
    .await;
    let (foreign, servers) = (foreign.into_inner(), target.service.servers());
    reached.map_err(|why| match (why, foreign.first()) {
        // The others may have the right key, and be back soon.
        (Unreached::KeyChanged { known, found }, Some(place)) if foreign.len() < servers.len() => {
            let foreign = &servers[*place];
            Unreached::NoServer(format!(
                "{foreign} has the key {found} instead of {known}, and no other server answers"
            ))
        }
        (why, _) => why,
    })
}

/// Shakes hands with a server of a service and leaves, before there is a client for it. Its key is not judged.
///
/// # Errors
///
/// None of the servers is reached. The text says why, as a clause.
pub fn probe(service: &ServiceAddress) -> Result<(), String> {
    let probed = async_io::block_on(async {
        let ways = ways(service, 0).await?;
        first_reached(&ways, async |(_, at)| handshake(at, None).await.map(drop)).await
    });
    probed.map_err(|why| match why {
        Unreached::NoServer(detail) => detail,
        // Only a judgement has other reasons.
        _ => "the handshake failed".into(),
    })
}

async fn resolve(server: &ServerAddress) -> Result<Vec<SocketAddr>, Unreached> {
    let resolved = async_net::resolve((server.host.as_str(), server.port));
    within(HANDSHAKE_TIMEOUT, resolved).await.map_err(|error| unreached(&error))
}

/// Attempts each of these ways, in order. Each has the whole timeout for its handshake, also the last one.
async fn first_reached<W: Copy, T>(
    ways: &[W],
    attempt: impl AsyncFn(W) -> Result<T, Failed>,
) -> Result<T, Unreached> {
    let failures = match first_success(ways, attempt).await {
        Ok(reached) => return Ok(reached),
        Err(failures) => failures,
    };
    // The failure of the attempt that got furthest says most.
    let failure = failures.into_iter().max_by_key(|failure| failure.step);
    Err(failure.map_or_else(
        || Unreached::NoServer("the name has no address".into()),
        |failure| failure.why,
    ))
}

/// The furthest step that a dial reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Connect,
    Handshake,
    Judgement,
}

struct Failed {
    step: Step,
    why: Unreached,
}

async fn handshake(
    address: SocketAddr,
    local_port: Option<u16>,
) -> Result<TlsStream<TcpStream>, Failed> {
    let mut step = Step::Connect;
    let secured = within(HANDSHAKE_TIMEOUT, async {
        let stream = match local_port {
            Some(port) => connect_from(port, address).await.map_err(|error| named(port, error))?,
            None => TcpStream::connect(address).await?,
        };
        step = Step::Handshake;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(tls::client());
        connector.connect(tls::unused_name(), stream).await
    });
    secured.await.map_err(|error| Failed { step, why: unreached(&error) })
}

/// Connects from this port, also if an earlier connection from it is not forgotten yet.
async fn connect_from(port: u16, to: SocketAddr) -> io::Result<TcpStream> {
    connect_bound(bound_to(port, to)?, to).await
}

/// Connects a socket that is bound already.
pub(super) async fn connect_bound(socket: Socket, to: SocketAddr) -> io::Result<TcpStream> {
    socket.set_nonblocking(true)?;
    let begun = socket.connect(&to.into());
    begun.or_else(|error| match Errno::from_io_error(&error) {
        Some(Errno::INPROGRESS) => Ok(()),
        _ => Err(error),
    })?;
    let stream = Async::new_nonblocking(std::net::TcpStream::from(socket))?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream.into()),
    }
}

/// Names the port in an error that says that it is taken.
fn named(port: u16, error: io::Error) -> io::Error {
    match error.kind() {
        kind @ (io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {
            let why = format!("this client's port {port} is in use, or was a moment ago");
            io::Error::new(kind, why)
        }
        _ => error,
    }
}

/// Returns a socket that is bound to this port of the address family.
pub(crate) fn bound_to(port: u16, family_of: SocketAddr) -> io::Result<Socket> {
    bound(port, family_of, false)
}

/// Returns a socket that is bound to this port (0 for any) of the address family. Others of this user that do the same
/// may share the port.
pub(super) fn sharing(port: u16, family_of: SocketAddr) -> io::Result<Socket> {
    bound(port, family_of, true)
}

fn bound(port: u16, family_of: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let any: IpAddr = match family_of {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = Socket::new(Domain::for_address(family_of), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    Ok(socket)
}

fn judge(
    target: &Target,
    server: &ServerAddress,
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
) -> Result<Linked, Unreached> {
    let connection = stream.get_ref().1;
    let fingerprint = tls::server_fingerprint(connection)
        .ok_or_else(|| Unreached::NoServer("the server has shown no certificate".into()))?;
    let keys = tls::export(connection).map_err(|error| Unreached::NoServer(error.to_string()))?;
    let (known, service) = (&target.known, &target.service);
    let verdict = known.judge(service, server, address.ip(), fingerprint, target.may_accept)?;
    let server = server.clone();
    Ok((stream, Secured { server, fingerprint, verdict, address, keys }))
}

fn unreached(error: &io::Error) -> Unreached {
    Unreached::NoServer(reason(error))
}

/// Returns the reason of an error, as a clause that can follow "because".
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::TimedOut => "there was no answer in time".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way to that address".into()
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "it closed the connection at once".into()
        }
        io::ErrorKind::InvalidData => "what answers there does not speak TLS 1.3".into(),
        _ => {
            let text = error.to_string();
            text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
