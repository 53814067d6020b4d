//! The listener for peers, and their handshakes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use async_channel::Sender;
use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use async_net::TcpStream;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::peer_link::secure_as_receiver;
use super::tls::PeerTls;
use super::{Arrival, HANDSHAKE_TIMEOUT, Occurrence, within};
use letschat_core::crowd::gives_way;

/// The most peers in their handshakes. Beyond that the oldest of the address with the most is
/// evicted, so that silent connections keep nobody out.
const MAX_HANDSHAKES: usize = 64;

/// The most connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;

/// The pause after an error of `accept`, mostly for lack of descriptors, which would recur at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Listens for peers at this address. `None` means every address, IPv6 and IPv4, or IPv4 alone if
/// the machine has no IPv6. If the wanted port is taken, any free one is used.
pub(crate) fn listen(address: Option<IpAddr>, wanted_port: u16) -> io::Result<TcpListener> {
    listen_on(address, wanted_port).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => listen_on(address, 0),
        _ => Err(error),
    })
}

/// Listens at this port alone.
pub(crate) fn listen_on(address: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    if let Some(address) = address {
        return listen_at(SocketAddr::new(address, port));
    }
    listen_at(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)).or_else(|error| {
        match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => listen_at(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)),
        }
    })
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // This does not share the port with a live listener. It only saves waiting for an earlier one's
    // connections to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A receiver that accepts connections and, while an account is open, has each prove its key.
pub(crate) struct Receiver {
    _accepting: Task<()>,
    queue: Sender<Occurrence>,
    account: Option<(u64, PeerTls)>,
    /// Handshakes under way, oldest first.
    handshakes: Vec<(IpAddr, Task<()>)>,
}

impl Receiver {
    /// Starts to accept, with no account open.
    pub(crate) fn start(
        executor: &LocalExecutor<'static>,
        listener: TcpListener,
        queue: Sender<Occurrence>,
    ) -> io::Result<Receiver> {
        let listener = async_net::TcpListener::try_from(listener)?;
        let accepting = executor.spawn(accept(listener, queue.clone()));
        Ok(Receiver { _accepting: accepting, queue, account: None, handshakes: Vec::new() })
    }

    /// Answers as this account from now on.
    pub(crate) fn open(&mut self, generation: u64, tls: PeerTls) {
        self.close();
        self.account = Some((generation, tls));
    }

    /// Answers as no account from now on. Handshakes under way are dropped.
    pub(crate) fn close(&mut self) {
        self.account = None;
        self.handshakes.clear();
    }

    /// Starts the handshake with a new connection.
    pub(crate) fn admit(
        &mut self,
        executor: &LocalExecutor<'static>,
        stream: TcpStream,
        from: SocketAddr,
    ) {
        self.handshakes.retain(|(_, handshake)| !handshake.is_finished());
        let Some((generation, tls)) = self.account.clone() else {
            return;
        };
        let handshake = greet(stream, from, generation, tls, self.queue.clone());
        self.handshakes.push((from.ip(), executor.spawn(handshake)));
        if self.handshakes.len() > MAX_HANDSHAKES
            && let Some(oldest) = gives_way(self.handshakes.iter().map(|(address, _)| *address))
        {
            // Dropping a task ends it and its connection.
            drop(self.handshakes.remove(oldest));
        }
    }
}

async fn accept(listener: async_net::TcpListener, queue: Sender<Occurrence>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                if queue.send(Occurrence::Connected(stream, from)).await.is_err() {
                    return;
                }
            }
            Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
        }
    }
}

async fn greet(
    stream: TcpStream,
    from: SocketAddr,
    generation: u64,
    tls: PeerTls,
    queue: Sender<Occurrence>,
) {
    let secured = within(HANDSHAKE_TIMEOUT, async {
        stream.set_nodelay(true)?;
        secure_as_receiver(stream, &tls).await
    });
    // Failed handshakes are of no interest to the user.
    if let Ok((stream, key)) = secured.await {
        let arrival = Box::new(Arrival { stream, key, from, met: None });
        // A closed queue means that the driver has ended.
        let _ = queue.send(Occurrence::Arrived(generation, arrival)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_by_a_free_one() {
        let first = listen(None, 0).unwrap();
        let taken = first.local_addr().unwrap().port();
        let second = listen(None, taken).unwrap();
        assert_ne!(second.local_addr().unwrap().port(), taken);
    }

    #[test]
    fn ipv4_is_received_too() {
        let listener = listen(None, 0).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
