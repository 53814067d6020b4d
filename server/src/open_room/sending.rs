//! One datagram to all clients, sent in batches (sendmmsg(2)).

use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use futures_lite::FutureExt as _;
use futures_lite::future;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use super::room::{Client, Room};
use crate::net::datagrams::addressed;
use crate::net::ports::through_ipv6;

/// Datagrams in one system call.
const BATCH: usize = 64;

/// The longest total wait of a message for a full socket. After it the rest of its datagrams is
/// dropped.
const MAX_WAIT: Duration = Duration::from_millis(200);

/// Sends the datagram to every client. Datagrams for which the kernel has no room in time are
/// dropped, as in a network.
pub(super) async fn send_to_all(
    socket: &Async<UdpSocket>,
    ipv6: bool,
    room: &Room,
    datagram: &[u8],
) {
    let mut sending = Sending { socket, ipv6, datagram, left: MAX_WAIT };
    let mut batch = Vec::with_capacity(BATCH);
    for client in room.clients() {
        batch.push(client);
        if batch.len() == BATCH {
            if sending.send(&batch).await.is_err() {
                return;
            }
            batch.clear();
            future::yield_now().await;
        }
    }
    let _ = sending.send(&batch).await;
}

/// The error of a socket that stayed full for too long.
struct TooSlow;

struct Sending<'a> {
    socket: &'a Async<UdpSocket>,
    ipv6: bool,
    datagram: &'a [u8],
    /// The remaining time that the message may wait.
    left: Duration,
}

impl Sending<'_> {
    async fn send(&mut self, clients: &[Client]) -> Result<(), TooSlow> {
        let mut rest = clients;
        while !rest.is_empty() {
            let sent = match self.send_some(rest) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait().await?;
                    0
                }
                Err(error) => {
                    // The error concerns the first datagram's destination (no route, for instance).
                    tracing::debug!("a datagram could not be sent: {error}");
                    1
                }
                Ok(sent) => sent,
            };
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends the first datagram, and with it those after it that need not name their source. The
    /// kernel may take fewer.
    fn send_some(&self, clients: &[Client]) -> io::Result<usize> {
        let socket = self.socket.get_ref();
        let to = |client: &Client| if self.ipv6 { through_ipv6(client.to) } else { client.to };
        if let Some(client @ Client { source: Some(source), .. }) = clients.first() {
            return addressed::send(socket, self.datagram, to(client), *source).map(|()| 1);
        }
        let clients = clients.iter().take_while(|client| client.source.is_none());
        let addresses: Vec<SocketAddrAny> = clients.map(|client| to(client).into()).collect();
        let slice = [IoSlice::new(self.datagram)];
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            addresses.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = addresses
            .iter()
            .zip(&mut controls)
            .map(|(to, control)| MMsgHdr::new_with_addr(to, &slice, control))
            .collect();
        Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
    }

    /// Waits for room in the socket.
    async fn wait(&mut self) -> Result<(), TooSlow> {
        let begin = Instant::now();
        let writable = async { self.socket.writable().await.is_ok() };
        let expired = async {
            Timer::after(self.left).await;
            false
        };
        let is_writable = writable.or(expired).await;
        self.left = self.left.saturating_sub(begin.elapsed());
        if is_writable { Ok(()) } else { Err(TooSlow) }
    }
}
