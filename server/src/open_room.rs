//! The open room: whoever has greeted gets what everybody says. UDP alone, in clear text, without accounts.
//!
//! * [`room`] – every decision, as a pure value
//! * `sending` – one datagram to all, by the batch
//!
//! One task receives, decides and sends, so that everybody gets the messages in the order of their arrival.
//! While it sends, what arrives waits in the kernel's buffer, which drops what does not fit.

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

/// Datagrams handled at a time, before a signal has its turn.
const BATCH: usize = 64;

/// How long to leave the socket alone after an error that is not about one datagram.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A room with its socket.
pub struct OpenRoom {
    socket: Async<UdpSocket>,
    address: SocketAddr,
    room: Room,
}

/// Why a room could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenRoomError {
    /// The port is another program's.
    #[error("UDP port {0} is taken by another program; name another one")]
    PortTaken(u16),
    /// The address is another machine's.
    #[error("{0} is no address of this machine; choose one that is with --listen")]
    NotHere(IpAddr),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl OpenRoom {
    /// Opens a room. Without an address: on every one, IPv6 and IPv4. Port 0: any that is free.
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for good. Drop it to end the room.
    pub async fn serve(mut self) {
        // One byte more than allowed, so that a longer datagram is seen to be too long.
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
                // The answers come from the address that was greeted.
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

/// An error while receiving is at most an echo of something sent earlier, and never an end.
async fn pause(error: &io::Error) {
    tracing::debug!("a datagram could not be received: {error}");
    if error.kind() != io::ErrorKind::ConnectionRefused {
        Timer::after(BACK_OFF).await;
    }
}
