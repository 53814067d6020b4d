//! A socket for sealed datagrams, as a client has one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use letschat_protocol::datagram::{DatagramKey, Opener, Sealer, ToClient, ToServer};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::limits::MAX_DATAGRAM_BYTES;

/// Room for one datagram, and a byte more so that a longer one is seen to be too long.
pub(crate) type Buffer = [u8; MAX_DATAGRAM_BYTES + 1];

/// An empty buffer.
pub(crate) const EMPTY: Buffer = [0; MAX_DATAGRAM_BYTES + 1];

/// The datagrams of one session.
pub(crate) struct Datagrams {
    pub(crate) socket: UdpSocket,
    sealer: Sealer,
    opener: Opener,
}

impl Datagrams {
    /// Opens a socket towards the server.
    pub(crate) fn open(
        source: Ipv4Addr,
        server: SocketAddr,
        session: SessionId,
        (to_server, to_client): (&DatagramKey, &DatagramKey),
    ) -> io::Result<Datagrams> {
        let socket = UdpSocket::bind((source, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        let (sealer, opener) = (Sealer::new(session, to_server), Opener::new(to_client));
        Ok(Datagrams { socket, sealer, opener })
    }

    /// Takes one datagram off the socket, if there is one and it is genuine.
    pub(crate) fn receive(&mut self, buffer: &mut Buffer) -> Option<ToClient> {
        let length = self.socket.recv(buffer).ok()?;
        self.opener.open(&buffer[..length])
    }

    /// Seals and sends. What the kernel does not take now is lost.
    pub(crate) fn send(&mut self, message: &ToServer) {
        let _ = self.socket.send(&self.sealer.seal(message));
    }
}
