//! The open room: everybody who has greeted gets all messages. It uses UDP alone, in clear text,
//! without accounts.
//!
//! * [`room`] – every decision, as a pure value
//! * `sending` – one datagram to all clients, in batches
//!
//! One task receives, decides and sends, so that all clients get the messages in the order of their
//! arrival. While it sends, incoming datagrams wait in the kernel's buffer, which drops those that
//! don't fit.

pub mod room;
mod sending;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future;
use letschat_protocol::open_room::MAX_TO_ROOM_BYTES;

use crate::net::datagrams::addressed::{self, Received};
use crate::net::ports::open_udp;
use room::{Effect, Room};

/// The number of datagrams handled before the task yields to signals.
const BATCH: usize = 64;

/// The pause after a socket error that is not about one datagram.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A room with its socket.
pub struct OpenRoom {
    socket: Async<UdpSocket>,
    address: SocketAddr,
    room: Room,
}

/// The reason why a room could not be opened.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, thiserror::Error)]
pub enum OpenRoomError {
    /// Another program uses the port.
    #[error("UDP port {0} is taken by another program; name another one")]
    PortTaken(u16),
    /// The address is not one of this machine.
    #[error("{0} is no address of this machine; choose one that is with --listen")]
    NotHere(IpAddr),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

impl OpenRoom {
    /// Opens a room: without an address on all of them, IPv6 and IPv4, and with port 0 on any free
    /// port.
    pub fn open(
        listen: Option<IpAddr>,
        port: u16,
        is_public: bool,
    ) -> Result<OpenRoom, OpenRoomError> {
        let opened = open_udp(listen, port).and_then(|socket| {
            addressed::prepare(&socket)?;
            let address = socket.local_addr()?;
            Ok(OpenRoom { socket: Async::new(socket)?, address, room: Room::new(is_public) })
        });
        opened.map_err(|source| match (source.kind(), listen) {
            (io::ErrorKind::AddrInUse, _) => OpenRoomError::PortTaken(port),
            (io::ErrorKind::AddrNotAvailable, Some(address)) => OpenRoomError::NotHere(address),
            _ => {
                let ip = listen.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
                OpenRoomError::Listen { address: SocketAddr::new(ip, port), source }
            }
        })
    }

    /// Returns the address of the room's socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves forever. Drop the future to close the room.
    pub async fn serve(mut self) {
        // One byte more than the limit, so that a longer datagram is recognised as too long.
        let mut buffer = [0; MAX_TO_ROOM_BYTES + 1];
        loop {
            for _ in 0..BATCH {
                match self.socket.read_with(|socket| addressed::receive(socket, &mut buffer)).await
                {
                    Ok(received) if received.length <= MAX_TO_ROOM_BYTES => {
                        self.take(&received, &buffer[..received.length]).await;
                    }
                    Ok(_) => {}
                    Err(error) => pause(&error).await,
                }
            }
            future::yield_now().await;
        }
    }

    async fn take(&mut self, &Received { from, local, .. }: &Received, datagram: &[u8]) {
        match self.room.receive(from, datagram) {
            Effect::Nothing => {}
            Effect::Greeted => {
                tracing::debug!(%from, "greeted");
                // Answers come from the address that the greeting was sent to.
                self.room.set_source(from, addressed::source(from, local));
            }
            Effect::Refused => tracing::warn!(
                "{} is a public address and was not greeted; `open-room --public` greets all. Told once for \
                 each address",
                from.ip()
            ),
            Effect::Send(datagram) => {
                sending::send_to_all(&self.socket, self.address.is_ipv6(), &self.room, &datagram)
                    .await;
            }
        }
    }
}

/// Pauses after a receive error. It is at most an echo of a datagram sent earlier, and never ends
/// the room.
async fn pause(error: &io::Error) {
    tracing::debug!("a datagram could not be received: {error}");
    if error.kind() != io::ErrorKind::ConnectionRefused {
        Timer::after(BACK_OFF).await;
    }
}
