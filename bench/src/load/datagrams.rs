//! A client's socket for sealed datagrams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use letschat_protocol::datagram::{DatagramKey, Opener, Sealer, ToClient, ToServer};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::limits::MAX_DATAGRAM_BYTES;

/// A buffer for one datagram. The extra byte reveals a datagram that is too long.
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
    /// Opens a socket that is connected to the server.
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

    /// Receives one genuine datagram, if there is one.
    pub(crate) fn receive(&mut self, buffer: &mut Buffer) -> Option<ToClient> {
        let length = self.socket.recv(buffer).ok()?;
        self.opener.open(&buffer[..length])
    }

    /// Seals and sends a message. It is lost if the kernel does not accept it at once.
    pub(crate) fn send(&mut self, message: &ToServer) {
        let _ = self.socket.send(&self.sealer.seal(message));
    }
}
