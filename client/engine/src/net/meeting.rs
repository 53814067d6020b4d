//! Meetings at the server: a link to a peer whose receiver can't be reached, since it is behind a NAT or a firewall.
//!
//! Both sides connect to the server from a new port. Each is told the address of the other's connection, and both
//! connect to there from that same port at the same time (RFC 5128, section 3.4: a simultaneous open), while the
//! connections to the server hold the mappings of the NATs. After [`DIRECT_WINDOW`] the server relays.
//!
//! A symmetric NAT opens another port to each address, which the other side does not know. A side that is not behind a
//! port-restricted NAT can let it in all the same, by listening at the new port. That begins a moment later, since a
//! listener takes connection attempts that would otherwise meet.
//!
//! The asking side is the client in TLS on every path, and picks the first path on which the other side proves its key.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use async_io::Timer;
use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use letschat_core::conversation::LinkPath;
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Candidates, FromServer, MeetingToken, Reply, ReplyAssembler, Request,
};
use letschat_protocol::frame::{Frame, Mode};
use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::tls;
use socket2::SockRef;

use super::happy_eyeballs::first_success;
use super::peer_link::{ByteStream, PeerStream, secure_as_dialler, secure_as_receiver};
use super::server_link::{connect_bound, sharing};
use super::socket::{Socket, Wrap};
use super::tls::PeerTls;
use super::within;

/// The time for direct connections. Then both sides ask for a relay.
const DIRECT_WINDOW: Duration = Duration::from_secs(2);

/// The time in which the last bytes of the other side's handshake come.
const LAST_FLIGHT: Duration = Duration::from_millis(300);

/// The delay before listening at the new port.
const LISTEN_DELAY: Duration = Duration::from_millis(400);

/// The time in which the other side of a direct connection proves its key. A stranger may be at its address.
const PROOF_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after the first refused attempt. It doubles each time: a server that names somebody else's address must
/// not cause a flood there.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(160);

/// The most connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 8;

/// The longest reply of the server, with its end.
const MAX_REPLY_BYTES: usize = 1_024;

/// The time for everything up to the first direct attempt, for the server's answer to RELAY, and for the proof of the
/// keys then. A peer that takes longer keeps others from being met.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// The server at which to meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rendezvous {
    pub(crate) server: SocketAddr,
    pub(crate) fingerprint: Fingerprint,
}

impl Rendezvous {
    /// Returns the places of a meeting at another server of the service: the address that the server has for itself, and
    /// those that the user has given for the service. Behind a NAT, or in a container, only one of these may be right.
    pub(crate) fn elsewhere(self, named: SocketAddr, given: Vec<SocketAddr>) -> Vec<Rendezvous> {
        let may_be_there = self.server.ip().is_loopback() || is_on_a_network(named.ip());
        let named = Some(named).filter(|_| may_be_there);
        let other = given.into_iter().filter(|one| *one != self.server && Some(*one) != named);
        named.into_iter().chain(other).map(|server| Rendezvous { server, ..self }).collect()
    }
}

/// One side of a meeting, once both sides have come.
struct Meeting {
    server: TlsStream<Socket>,
    paths: DirectPaths,
}

/// The direct paths to the other side.
struct DirectPaths {
    /// The port of this side's connection to the server.
    port: u16,
    other: Candidates,
    wrap: Wrap,
}

/// Meets a peer that was invited and must have this key. `receiver` is the port of its receiver.
pub(crate) async fn call(
    place: Rendezvous,
    token: MeetingToken,
    (key, receiver): (PublicKey, u16),
    tls: &PeerTls,
    wrap: Wrap,
) -> io::Result<(PeerStream, LinkPath)> {
    let mut meeting = within(STEP_TIMEOUT, Meeting::join(place, token, wrap)).await?;
    let (paths, prove) = (&meeting.paths, async |stream| secure_as_dialler(stream, tls, key).await);
    let direct = paths.punch(&prove).or(paths.accept(&prove)).or(paths.dial(receiver, &prove));
    let too_long = async {
        Timer::after(DIRECT_WINDOW).await;
        None
    };
    if let Some(stream) = async { Some(direct.await) }.or(too_long).await {
        return Ok((stream, LinkPath::Direct));
    }
    within(STEP_TIMEOUT, meeting.ask_for_relay()).await?;
    let stream = within(STEP_TIMEOUT, secure_as_dialler(meeting.server, tls, key)).await?;
    Ok((stream, LinkPath::Relay))
}

/// Meets a peer that has asked for it, at the first of these places that knows the token. Tells each link on which the
/// peer proves this key, until the peer has picked one.
pub(crate) async fn attend(
    places: &[Rendezvous],
    token: MeetingToken,
    key: PublicKey,
    tls: &PeerTls,
    tell: impl AsyncFn(PeerStream, SocketAddr, LinkPath),
) -> io::Result<()> {
    let joined = first_success(places, |place| Meeting::join(place, token, Socket::new));
    let joined = async { joined.await.map_err(|_| io::ErrorKind::NotConnected.into()) };
    let mut meeting = within(STEP_TIMEOUT, joined).await?;
    let (paths, server) = (&meeting.paths, &mut meeting.server);
    let (from, prove) = (paths.other.seen, async |stream| secure(stream, tls, key).await);
    let until = Instant::now() + DIRECT_WINDOW + LAST_FLIGHT;
    let mut last_flight = LAST_FLIGHT;
    loop {
        let direct = async { Some(Ok(paths.punch(&prove).or(paths.accept(&prove)).await)) };
        // The server closes this connection when the other side has picked a direct link, whose last bytes may come later.
        let picked = async {
            let _ = server.read(&mut [0]).await;
            Timer::after(last_flight).await;
            Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted)))
        };
        let too_long = async {
            Timer::at(until).await;
            None
        };
        match direct.or(picked).or(too_long).await.transpose()? {
            // A busy client takes a link late, and must not lose it meanwhile.
            Some(stream) => {
                tell(stream, from, LinkPath::Direct).await;
                last_flight = Duration::ZERO;
            }
            None => break,
        }
    }
    within(STEP_TIMEOUT, meeting.ask_for_relay()).await?;
    let stream = within(STEP_TIMEOUT, secure(meeting.server, tls, key)).await?;
    tell(stream, from, LinkPath::Relay).await;
    Ok(())
}

/// Proves our key to a peer that must have this key.
async fn secure(
    stream: impl ByteStream + 'static,
    tls: &PeerTls,
    key: PublicKey,
) -> io::Result<PeerStream> {
    let (stream, proved) = secure_as_receiver(stream, tls).await?;
    match proved == key {
        true => Ok(stream),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

impl Meeting {
    /// Connects to the server and waits for the other side.
    async fn join(place: Rendezvous, token: MeetingToken, wrap: Wrap) -> io::Result<Meeting> {
        let stream = connect_bound(sharing(0, place.server)?, place.server).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let connector = TlsConnector::from(tls::client());
        let mut server = connector.connect(tls::unused_name(), wrap(stream)).await?;
        if tls::server_fingerprint(server.get_ref().1) != Some(place.fingerprint) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        send(&mut server, &Request::Join { token, local }).await?;
        read_reply(&mut server, Code::Ready).await?;
        let reply = read_reply(&mut server, Code::Ok).await?;
        let Candidates { seen, local: theirs } =
            Candidates::parse(reply.last_line()).ok_or(io::ErrorKind::InvalidData)?;
        let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        let other = Candidates { seen: canonical(seen), local: canonical(theirs) };
        let is_here = place.server.ip().is_loopback();
        if other.seen.port() == 0 || !(is_here || is_on_a_network(other.seen.ip())) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Meeting { server, paths: DirectPaths { port: local.port(), other, wrap } })
    }

    /// Asks the server to relay, and waits until it does.
    async fn ask_for_relay(&mut self) -> io::Result<()> {
        send(&mut self.server, &Request::Relay).await?;
        read_reply(&mut self.server, Code::Ok).await.map(drop)
    }
}

impl DirectPaths {
    /// Connects from the port of the connection to the server to that of the other side. One attempt is held as long as
    /// the system holds it: a NAT lets it through as soon as the other side has sent something.
    async fn punch(&self, prove: &impl AsyncFn(Socket) -> io::Result<PeerStream>) -> PeerStream {
        let to = self.other.seen;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Ok(stream) = connect_between(self.port, to).await
                && stream.local_addr().ok() != stream.peer_addr().ok()
                && let Ok(stream) = proved(stream, self.wrap, prove).await
            {
                return stream;
            }
            Timer::after(pause).await;
            pause = LONGEST_PAUSE.min(2 * pause);
        }
    }

    /// Takes connections from the other side's machine or NAT at the port of the connection to the server.
    async fn accept(&self, prove: &impl AsyncFn(Socket) -> io::Result<PeerStream>) -> PeerStream {
        Timer::after(LISTEN_DELAY).await;
        let Ok(listener) = listen(self.port, self.other.seen) else {
            return pending().await;
        };
        loop {
            match listener.accept().await {
                Ok((stream, from)) if from.ip() == self.other.seen.ip() => {
                    if let Ok(stream) = proved(stream, self.wrap, prove).await {
                        return stream;
                    }
                }
                _ => drop(Timer::after(FIRST_PAUSE).await),
            }
        }
    }

    /// Dials the receiver of a peer in the same local network, at this port.
    async fn dial(
        &self,
        receiver: u16,
        prove: &impl AsyncFn(Socket) -> io::Result<PeerStream>,
    ) -> PeerStream {
        let Candidates { seen, local } = self.other;
        if local.ip() == seen.ip() || !is_private(local.ip()) {
            return pending().await;
        }
        let to = SocketAddr::new(local.ip(), receiver);
        loop {
            if let Ok(stream) = TcpStream::connect(to).await
                && let Ok(stream) = proved(stream, self.wrap, prove).await
            {
                return stream;
            }
            Timer::after(DIRECT_WINDOW / 8).await;
        }
    }
}

async fn connect_between(port: u16, to: SocketAddr) -> io::Result<TcpStream> {
    connect_bound(sharing(port, to)?, to).await
}

fn listen(port: u16, family_of: SocketAddr) -> io::Result<TcpListener> {
    let socket = sharing(port, family_of)?;
    socket.listen(BACKLOG)?;
    TcpListener::try_from(std::net::TcpListener::from(socket))
}

/// Returns true for an address of a local network (RFC 1918, RFC 4193). The peer names it, and must not send its caller
/// elsewhere.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Returns true for an address that another machine can have in a network.
fn is_on_a_network(address: IpAddr) -> bool {
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// Has the peer prove its key on a connection. It is reset if that fails, since its addresses are needed again.
async fn proved(
    stream: TcpStream,
    wrap: Wrap,
    prove: &impl AsyncFn(Socket) -> io::Result<PeerStream>,
) -> io::Result<PeerStream> {
    let socket = stream.clone();
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    stream.set_nodelay(true)?;
    let stream = within(PROOF_TIMEOUT, prove(wrap(stream))).await?;
    SockRef::from(&socket).set_linger(None)?;
    Ok(stream)
}

async fn send(server: &mut TlsStream<Socket>, request: &Request) -> io::Result<()> {
    server.write_all(&request.to_frame().to_bytes()).await?;
    server.flush().await
}

/// Reads a reply of one line that has this code, and nothing after it.
async fn read_reply(server: &mut TlsStream<Socket>, code: Code) -> io::Result<Reply> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        server.read_exact(&mut byte).await?;
        line.push(byte[0]);
        if line.len() > MAX_REPLY_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let mut decoder = letschat_protocol::frame::Decoder::new();
    decoder.extend(&line);
    let frame: Option<Frame> = decoder.next(Mode::Frame).map_err(|_| io::ErrorKind::InvalidData)?;
    let said = frame.and_then(|frame| ReplyAssembler::default().take(&frame).ok()?);
    match said {
        Some(FromServer::Reply(reply)) if reply.code == code => Ok(reply),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
