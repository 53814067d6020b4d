//! Sealed datagrams from and to the server. All of them may be lost, so errors stop nothing.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

use async_channel::Sender;
use async_executor::{LocalExecutor, Task};
use async_io::{Async, Timer};
use letschat_protocol::datagram::{DatagramKey, Opener, Sealer, ToClient, ToServer};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::limits::MAX_DATAGRAM_BYTES;

use super::Occurrence;

/// The pause after an error of `recv`, mostly because nothing listens on the server's port. It
/// keeps errors from making the client busy.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// The datagrams of one session with the server.
pub(crate) struct Datagrams {
    socket: Rc<Async<UdpSocket>>,
    sealer: Sealer,
    _receiving: Task<()>,
}

impl Datagrams {
    /// Opens a socket towards the server and begins to receive.
    pub(crate) fn open(
        executor: &LocalExecutor<'static>,
        generation: u64,
        server: SocketAddr,
        session: SessionId,
        (to_server, to_client): (&DatagramKey, &DatagramKey),
        queue: Sender<Occurrence>,
    ) -> io::Result<Datagrams> {
        let unspecified = match server {
            SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
        };
        let socket = UdpSocket::bind(unspecified)?;
        socket.connect(server)?;
        let socket = Rc::new(Async::new(socket)?);
        let receiving = receive(socket.clone(), Opener::new(to_client), generation, queue);
        Ok(Datagrams {
            socket,
            sealer: Sealer::new(session, to_server),
            _receiving: executor.spawn(receiving),
        })
    }

    /// Seals and sends a datagram. If the kernel does not accept it now, it is lost.
    pub(crate) fn send(&mut self, message: &ToServer) {
        let _ = self.socket.get_ref().send(&self.sealer.seal(message));
    }
}

async fn receive(
    socket: Rc<Async<UdpSocket>>,
    mut opener: Opener,
    generation: u64,
    queue: Sender<Occurrence>,
) {
    // One byte more than the limit, so that a longer datagram is recognised as too long.
    let mut buffer = [0; MAX_DATAGRAM_BYTES + 1];
    loop {
        let Ok(length) = socket.recv(&mut buffer).await else {
            Timer::after(RECEIVE_PAUSE).await;
            continue;
        };
        let Some(message) = opener.open::<ToClient>(&buffer[..length]) else {
            continue;
        };
        if queue.send(Occurrence::Datagram(generation, message)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use letschat_protocol::datagram::session_of;

    const SESSION: SessionId = SessionId(7);

    fn open(
        executor: &LocalExecutor<'static>,
        server: SocketAddr,
    ) -> (Datagrams, async_channel::Receiver<Occurrence>) {
        let (queue, occurrences) = async_channel::bounded(8);
        let keys = (&[1; 32], &[2; 32]);
        let datagrams = Datagrams::open(executor, 3, server, SESSION, keys, queue).unwrap();
        (datagrams, occurrences)
    }

    #[test]
    fn what_is_genuine_arrives_once_and_the_rest_not_at_all() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let executor = LocalExecutor::new();
        let (mut datagrams, occurrences) = open(&executor, server.local_addr().unwrap());

        datagrams.send(&ToServer::KeepAlive);
        let mut buffer = [0; MAX_DATAGRAM_BYTES];
        let (length, client) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(session_of(&buffer[..length]), Some(SESSION));
        let opened: Option<ToServer> = Opener::new(&[1; 32]).open(&buffer[..length]);
        assert_eq!(opened, Some(ToServer::KeepAlive));

        let mut sealer = Sealer::new(SESSION, &[2; 32]);
        let first = sealer.seal(&ToClient::Head(1));
        let second = sealer.seal(&ToClient::Head(2));
        for datagram in [&b"garbage"[..], &[0; 1300], &first, &first, &second] {
            server.send_to(datagram, client).unwrap();
        }
        for expected in [1, 2] {
            let occurrence = block_on(executor.run(occurrences.recv())).unwrap();
            let Occurrence::Datagram(3, ToClient::Head(head)) = occurrence else { panic!() };
            assert_eq!(head, expected);
        }
    }

    #[test]
    fn a_server_that_is_not_there_stops_nothing() {
        let executor = LocalExecutor::new();
        // Another test may be given the port that was free a moment ago.
        let (server, client, occurrences, _datagrams) = loop {
            let gone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = gone.local_addr().unwrap();
            drop(gone);
            let (mut datagrams, occurrences) = open(&executor, address);
            datagrams.send(&ToServer::KeepAlive);
            let client = datagrams.socket.get_ref().local_addr().unwrap();
            if let Ok(server) = UdpSocket::bind(address) {
                break (server, client, occurrences, datagrams);
            }
        };
        let datagram = Sealer::new(SESSION, &[2; 32]).seal(&ToClient::Head(1));
        server.send_to(&datagram, client).unwrap();
        let occurrence = block_on(executor.run(occurrences.recv())).unwrap();
        assert!(matches!(occurrence, Occurrence::Datagram(3, ToClient::Head(1))));
    }
}
