//! Sealed datagrams, in and out.
//!
//! The sockets' tasks know only the keys of the sessions that the hub has opened. Datagrams that
//! don't open with them are dropped without an answer. Datagrams that find a queue full are dropped
//! as well, as in the network, and repaired over TCP.

pub(crate) mod addressed;
mod sending;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Sender, TrySendError};
use async_executor::Task;
use async_io::{Async, Timer};
use futures_lite::future;
use letschat_protocol::datagram::{DatagramKeys, Opener, Sealer, ToClient, ToServer, session_of};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::limits::MAX_DATAGRAM_BYTES;

use self::addressed::Received;
use self::sending::SendQueue;
use super::Event;
use crate::hub::{Destination, Input};
use crate::runtime::Spawner;

/// The number of datagrams handled before the task yields.
const BATCH: usize = 64;

/// The pause after a socket error that is not about one datagram.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The driver's handle on the datagrams. Dropping it ends the tasks.
pub(crate) struct Datagrams {
    sessions: Arc<Sessions>,
    queue: SendQueue,
    _tasks: [Option<Task<()>>; 2],
}

impl Datagrams {
    /// Starts the tasks that receive and send.
    pub(crate) fn start(
        socket: UdpSocket,
        spawner: &Spawner,
        events: Sender<Event>,
    ) -> io::Result<Datagrams> {
        addressed::prepare(&socket)?;
        let socket = Arc::new(Async::new(socket)?);
        let ipv6 = socket.get_ref().local_addr()?.is_ipv6();
        let sessions = Arc::new(Sessions::default());
        let (queue, jobs) = sending::queue();
        let receiving = receive(socket.clone(), sessions.clone(), events);
        let sending = sending::send(socket, ipv6, sessions.clone(), jobs);
        let tasks = [
            spawner.essential("the task that receives datagrams", receiving),
            spawner.essential("the task that sends datagrams", sending),
        ];
        Ok(Datagrams { sessions, queue, _tasks: tasks })
    }

    /// Starts to open and seal datagrams with these keys.
    pub(crate) fn open(&self, session: SessionId, keys: &DatagramKeys) {
        lock(&self.sessions.openers).insert(session, Opener::new(&keys.to_server));
        let outgoing = Outgoing { sealer: Sealer::new(session, &keys.to_client), source: None };
        lock(&self.sessions.outgoing).insert(session, outgoing);
    }

    /// Removes the session's keys.
    pub(crate) fn close(&self, session: SessionId) {
        lock(&self.sessions.openers).remove(&session);
        lock(&self.sessions.outgoing).remove(&session);
    }

    /// Sends the message to each session. Drops it if the queue is full, or if a session is closed
    /// by then.
    pub(crate) fn send(&self, to: Vec<Destination>, message: &ToClient) {
        self.queue.push(to, message);
    }
}

/// The sessions' keys. Each direction has its own lock, so that a burst in one does not block the
/// other.
#[derive(Default)]
struct Sessions {
    openers: Mutex<HashMap<SessionId, Opener>>,
    outgoing: Mutex<HashMap<SessionId, Outgoing>>,
}

/// The sealing state of a session.
struct Outgoing {
    sealer: Sealer,
    /// The server's address to send from, if the route would choose another.
    source: Option<IpAddr>,
}

/// Locks a table. Poisoning is ignored: no panic happens under these locks, and the tables are
/// always consistent.
fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(socket: Arc<Async<UdpSocket>>, sessions: Arc<Sessions>, events: Sender<Event>) {
    // One byte more than the limit, so that a longer datagram is recognised as too long.
    let mut buffer = [0; MAX_DATAGRAM_BYTES + 1];
    loop {
        for _ in 0..BATCH {
            let received = socket.read_with(|socket| addressed::receive(socket, &mut buffer));
            let received = match received.await {
                Ok(received) => received,
                Err(error) => {
                    pause(&error).await;
                    continue;
                }
            };
            let Some(input) = sessions.open(&buffer, &received) else { continue };
            if let Err(TrySendError::Closed(_)) = events.try_send(Event::Input(input)) {
                return;
            }
        }
        future::yield_now().await;
    }
}

impl Sessions {
    fn open(&self, buffer: &[u8], received: &Received) -> Option<Input> {
        let Received { length, from, local } = *received;
        let datagram = buffer.get(..length)?;
        let session = session_of(datagram)?;
        let message: ToServer = lock(&self.openers).get_mut(&session)?.open(datagram)?;
        // The answer goes back from the address that received this one.
        let source = addressed::source(from, local);
        if let Some(outgoing) = lock(&self.outgoing).get_mut(&session) {
            outgoing.source = source;
        }
        Some(Input::Datagram { session, from, message })
    }
}

/// Pauses after a receive error. It is at most an echo of a datagram sent earlier, and never ends
/// the task.
async fn pause(error: &io::Error) {
    tracing::debug!("a datagram could not be received: {error}");
    if error.kind() != io::ErrorKind::ConnectionRefused {
        Timer::after(BACK_OFF).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;
    use async_channel::Receiver;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

    const SESSION: SessionId = SessionId(5);

    /// The server's sockets and a client's.
    struct Pair {
        datagrams: Datagrams,
        events: Receiver<Event>,
        server: SocketAddr,
        client: Async<UdpSocket>,
        _runtime: Runtime,
    }

    impl Pair {
        fn new(server: UdpSocket) -> Pair {
            Pair::at(server, Ipv4Addr::LOCALHOST)
        }

        /// Returns a pair whose client uses this address of the server.
        fn at(server: UdpSocket, address: Ipv4Addr) -> Pair {
            let runtime = Runtime::start().unwrap();
            let (sender, events) = async_channel::bounded(16);
            let address = (address, server.local_addr().unwrap().port()).into();
            let datagrams = Datagrams::start(server, &runtime.spawner(), sender).unwrap();
            datagrams.open(SESSION, &DatagramKeys { to_server: [1; 32], to_client: [2; 32] });
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let client = Async::new(client).unwrap();
            Pair { datagrams, events, server: address, client, _runtime: runtime }
        }

        fn on_ipv4() -> Pair {
            Pair::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        }

        /// Sends a message from the server.
        fn send_to(&self, session: SessionId, address: SocketAddr, message: ToClient) {
            self.datagrams.send(vec![Destination { session, address }], &message);
        }

        async fn send(&self, datagram: &[u8]) {
            self.client.send_to(datagram, self.server).await.unwrap();
        }

        async fn received(&self) -> (SocketAddr, ToServer) {
            match self.events.recv().await {
                Ok(Event::Input(Input::Datagram { session: SESSION, from, message })) => {
                    (from, message)
                }
                _ => panic!("a datagram was expected"),
            }
        }

        async fn sent(&self, opener: &mut Opener) -> Option<ToClient> {
            let mut buffer = [0; MAX_DATAGRAM_BYTES];
            let (length, _) = self.client.recv_from(&mut buffer).await.unwrap();
            opener.open(&buffer[..length])
        }

        fn client_address(&self) -> SocketAddr {
            self.client.get_ref().local_addr().unwrap()
        }
    }

    #[test]
    fn a_genuine_datagram_comes_in_once_and_all_else_is_nothing() {
        let pair = Pair::on_ipv4();
        let mut sealer = Sealer::new(SESSION, &[1; 32]);
        let mut stranger = Sealer::new(SessionId(6), &[1; 32]);
        let once = sealer.seal(&ToServer::Answer(1));
        async_io::block_on(async {
            pair.send(&once).await;
            pair.send(&once).await;
            pair.send(b"").await;
            pair.send(&[0xff; 1_400]).await;
            pair.send(&stranger.seal(&ToServer::KeepAlive)).await;
            pair.send(&Sealer::new(SESSION, &[9; 32]).seal(&ToServer::KeepAlive)).await;
            pair.send(&sealer.seal(&ToServer::Answer(2))).await;
            let from = pair.client_address();
            assert_eq!(pair.received().await, (from, ToServer::Answer(1)));
            assert_eq!(pair.received().await, (from, ToServer::Answer(2)));
        });
    }

    #[test]
    fn what_is_sent_is_sealed_until_the_session_is_closed() {
        let pair = Pair::on_ipv4();
        let mut opener = Opener::new(&[2; 32]);
        let to = pair.client_address();
        async_io::block_on(async {
            pair.send_to(SESSION, to, ToClient::Head(3));
            assert_eq!(pair.sent(&mut opener).await, Some(ToClient::Head(3)));
            pair.datagrams.close(SESSION);
            pair.send_to(SESSION, to, ToClient::Head(4));
            let keys = DatagramKeys { to_server: [1; 32], to_client: [3; 32] };
            pair.datagrams.open(SessionId(8), &keys);
            pair.send_to(SessionId(8), to, ToClient::Head(5));
            let mut opener = Opener::new(&[3; 32]);
            assert_eq!(pair.sent(&mut opener).await, Some(ToClient::Head(5)));
        });
    }

    #[test]
    fn a_destination_that_refuses_does_not_stop_the_others() {
        let pair = Pair::on_ipv4();
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        async_io::block_on(async {
            for number in 0..10 {
                pair.send_to(SESSION, nobody, ToClient::Head(number));
            }
            pair.send_to(SESSION, "[::1]:9".parse().unwrap(), ToClient::Head(11));
            pair.send_to(SESSION, pair.client_address(), ToClient::Head(12));
            let mut opener = Opener::new(&[2; 32]);
            assert_eq!(pair.sent(&mut opener).await, Some(ToClient::Head(12)));
        });
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client() {
        // Without IPv6 on the machine there is nothing to test.
        let Ok(server) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) else { return };
        let pair = Pair::new(server);
        async_io::block_on(async {
            pair.send(&Sealer::new(SESSION, &[1; 32]).seal(&ToServer::KeepAlive)).await;
            let (from, message) = pair.received().await;
            assert_eq!((from, message), (pair.client_address(), ToServer::KeepAlive));
            pair.send_to(SESSION, from, ToClient::Head(1));
            let mut opener = Opener::new(&[2; 32]);
            assert_eq!(pair.sent(&mut opener).await, Some(ToClient::Head(1)));
        });
    }

    #[test]
    fn an_answer_comes_from_the_address_that_was_addressed() {
        let everywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        for listen in everywhere {
            // Without IPv6 on the machine there is nothing to test.
            let Ok(server) = UdpSocket::bind((listen, 0)) else { continue };
            let pair = Pair::at(server, Ipv4Addr::new(127, 0, 0, 5));
            let mut sealer = Sealer::new(SESSION, &[1; 32]);
            async_io::block_on(async {
                pair.send(&sealer.seal(&ToServer::KeepAlive)).await;
                let (client, _) = pair.received().await;
                let to = Destination { session: SESSION, address: client };
                pair.datagrams.send(vec![to; 2 * BATCH], &ToClient::Head(1));
                let mut buffer = [0; MAX_DATAGRAM_BYTES];
                for _ in 0..2 * BATCH {
                    let (_, from) = pair.client.recv_from(&mut buffer).await.unwrap();
                    assert_eq!(from, pair.server, "listening on {listen}");
                }
            });
        }
    }

    #[test]
    fn message_goes_to_many_and_leaves_out_closed_or_refusing_ones() {
        const CLOSED: SessionId = SessionId(9);
        let pair = Pair::on_ipv4();
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let client = pair.client_address();
        let to = |session, address| Destination { session, address };
        // More than one batch, with unsendable datagrams at its beginning, in its middle and at its
        // end.
        let mut many = vec![to(SESSION, "[::1]:9".parse().unwrap()), to(CLOSED, client)];
        for _ in 0..2 * BATCH {
            many.extend([to(SESSION, client), to(SESSION, nobody), to(CLOSED, client)]);
        }
        pair.datagrams.send(many, &ToClient::Head(7));
        async_io::block_on(async {
            let mut opener = Opener::new(&[2; 32]);
            for _ in 0..2 * BATCH {
                assert_eq!(pair.sent(&mut opener).await, Some(ToClient::Head(7)));
            }
            pair.send_to(SESSION, client, ToClient::Head(8));
            assert_eq!(pair.sent(&mut opener).await, Some(ToClient::Head(8)));
        });
    }
}
