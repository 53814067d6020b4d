//! Accepts connections, and survives errors of the network and a full descriptor table.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use async_channel::Sender;
use async_io::{Async, Timer};
use futures_lite::future;
use rustix::io::Errno;

use super::Event;
use super::accept_limit::{AcceptLimit, PreLoginPlace};
use super::ports::canonical;

/// The pause after a failure to accept.
const BACK_OFF: Duration = Duration::from_millis(200);

/// The most connections to reject at once while there are no descriptors.
const MAX_TURNED_AWAY: usize = 256;

/// A connection that was just accepted.
pub(crate) struct Arrival {
    pub(crate) stream: Async<TcpStream>,
    pub(crate) peer: SocketAddr,
    /// The server's address that the client used.
    pub(crate) local: IpAddr,
    pub(crate) place: PreLoginPlace,
}

/// Accepts connections.
pub(crate) struct Listener {
    socket: Async<TcpListener>,
    limit: AcceptLimit,
    spare: SpareDescriptor,
}

impl Listener {
    pub(crate) fn new(socket: TcpListener) -> io::Result<Listener> {
        let (limit, spare) = (AcceptLimit::default(), SpareDescriptor::open());
        Ok(Listener { socket: Async::new(socket)?, limit, spare })
    }

    /// Reports connections until the receiver is dropped. While the queue is full, new connections
    /// wait in the kernel.
    pub(crate) async fn run(mut self, events: Sender<Event>) {
        loop {
            self.limit.wait_for_room().await;
            let arrival = match self.socket.accept().await {
                Ok((stream, peer)) => Arrival::new(stream, peer, self.limit.take_place()),
                Err(error) => {
                    self.recover(&error).await;
                    continue;
                }
            };
            // A connection that broke before this is no arrival.
            let Ok(arrival) = arrival else { continue };
            if events.send(Event::Arrived(arrival)).await.is_err() {
                return;
            }
            // Accepting is fast and handshakes are not: yield to the existing connections first.
            future::yield_now().await;
        }
    }

    async fn recover(&mut self, error: &io::Error) {
        match Errno::from_io_error(error) {
            // The client gave up while it waited. The next connection need not wait.
            Some(Errno::CONNABORTED | Errno::INTR) => return,
            Some(Errno::MFILE | Errno::NFILE) => {
                let count = self.spare.turn_away(self.socket.get_ref());
                // Without descriptors the kernel reports an error even if no connection waits.
                if count > 0 {
                    tracing::warn!("turned {count} connections away: {error}");
                }
            }
            _ => tracing::warn!("can't accept a connection: {error}"),
        }
        // Without a pause the same error would recur at once and occupy a core.
        Timer::after(BACK_OFF).await;
    }
}

impl Arrival {
    fn new(
        stream: Async<TcpStream>,
        peer: SocketAddr,
        place: PreLoginPlace,
    ) -> io::Result<Arrival> {
        // Otherwise every small exchange may wait 40 ms for the peer's delayed ACK.
        stream.get_ref().set_nodelay(true)?;
        let local = canonical(stream.get_ref().local_addr()?).ip();
        Ok(Arrival { stream, peer: canonical(peer), local, place })
    }
}

/// A descriptor to give up when none are left. It lets waiting connections be accepted and closed,
/// so that their clients fail at once instead of hanging.
struct SpareDescriptor(Option<File>);

impl SpareDescriptor {
    fn open() -> SpareDescriptor {
        SpareDescriptor(File::open("/dev/null").ok())
    }

    /// Accepts and closes the waiting connections. Returns their number.
    fn turn_away(&mut self, listener: &TcpListener) -> usize {
        self.0 = None;
        let count = (0..MAX_TURNED_AWAY).take_while(|_| listener.accept().is_ok()).count();
        *self = SpareDescriptor::open();
        count
    }
}
