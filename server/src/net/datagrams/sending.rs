//! Outgoing datagrams: sealed one by one, sent in batches.
//!
//! A broadcast is one job, however many recipients it has. Its message is encoded once, and each
//! copy is sealed into the batch's buffer. A batch is one system call (sendmmsg(2)), except that
//! each datagram that names its source needs its own.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_channel::{Receiver, Sender, TrySendError};
use async_io::Async;
use futures_lite::future;
use letschat_protocol::datagram::{Message as _, ToClient};
use letschat_protocol::limits::MAX_DATAGRAM_BYTES;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use super::{BATCH, Sessions, addressed, lock};
use crate::hub::Destination;
use crate::net::ports::through_ipv6;

/// The number of batches before the task yields. Each yield wakes another thread, and the caches
/// are cold afterwards.
const BATCHES_AT_ONCE: usize = 8;

/// The capacity of the queue, in jobs.
const QUEUE_JOBS: usize = 8 * 1024;

/// The most datagrams in all queued jobs together: a few broadcasts to thousands of clients.
const MAX_WAITING: usize = 64 * 1024;

/// One message to several destinations.
pub(super) struct SendJob {
    to: Vec<Destination>,
    message: Vec<u8>,
}

/// The sending end of the queue.
pub(super) struct SendQueue {
    queue: Sender<SendJob>,
    waiting: Arc<AtomicUsize>,
}

/// The receiving end of the queue.
pub(super) struct SendJobs {
    queue: Receiver<SendJob>,
    waiting: Arc<AtomicUsize>,
}

/// Creates a bounded queue of jobs.
pub(super) fn queue() -> (SendQueue, SendJobs) {
    let (sender, receiver) = async_channel::bounded(QUEUE_JOBS);
    let waiting = Arc::new(AtomicUsize::new(0));
    (SendQueue { queue: sender, waiting: waiting.clone() }, SendJobs { queue: receiver, waiting })
}

impl SendQueue {
    /// Queues a job, or drops it if too many datagrams are waiting, as the network would.
    pub(super) fn push(&self, to: Vec<Destination>, message: &ToClient) {
        let count = to.len();
        if self.waiting.fetch_add(count, Ordering::Relaxed) + count > MAX_WAITING {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            return tracing::debug!(count, "datagrams were dropped: too many wait to be sent");
        }
        let mut body = Vec::new();
        message.encode(&mut body);
        if let Err(TrySendError::Full(_)) = self.queue.try_send(SendJob { to, message: body }) {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            tracing::debug!(count, "datagrams were dropped: too many messages wait");
        }
    }
}

/// Sends the jobs until the queue is closed.
pub(super) async fn send(
    socket: Arc<Async<UdpSocket>>,
    ipv6: bool,
    sessions: Arc<Sessions>,
    jobs: SendJobs,
) {
    let mut batch = Batch::default();
    let mut batches: usize = 0;
    while let Ok(SendJob { to, message }) = jobs.queue.recv().await {
        for destinations in to.chunks(BATCH) {
            batch.seal(&sessions, destinations, &message, ipv6);
            batch.send(&socket).await;
            jobs.waiting.fetch_sub(destinations.len(), Ordering::Relaxed);
            batches += 1;
            if batches.is_multiple_of(BATCHES_AT_ONCE) {
                future::yield_now().await;
            }
        }
    }
}

/// Sealed datagrams, one after the other in one buffer.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    datagrams: Vec<Sealed>,
}

/// A datagram of a batch.
struct Sealed {
    /// The destination, in the socket's own address family.
    to: SocketAddr,
    /// The source address to name, if the route would choose another.
    source: Option<IpAddr>,
    /// The end of the datagram in the buffer.
    end: usize,
}

impl Batch {
    /// Fills the batch anew, without sessions that are closed by now.
    fn seal(&mut self, sessions: &Sessions, to: &[Destination], message: &[u8], ipv6: bool) {
        self.bytes.clear();
        self.datagrams.clear();
        self.bytes.reserve(to.len() * MAX_DATAGRAM_BYTES.min(message.len() + 32));
        let mut outgoing = lock(&sessions.outgoing);
        for Destination { session, address } in to {
            let Some(outgoing) = outgoing.get_mut(session) else { continue };
            outgoing.sealer.seal_encoded(message, &mut self.bytes);
            let to = if ipv6 { through_ipv6(*address) } else { *address };
            let (source, end) = (outgoing.source, self.bytes.len());
            self.datagrams.push(Sealed { to, source, end });
        }
    }

    async fn send(&self, socket: &Async<UdpSocket>) {
        let mut sent = 0;
        while sent < self.datagrams.len() {
            // A full socket is no error: the task waits, until its own queue is full.
            match socket.write_with(|socket| self.send_from(sent, socket)).await {
                Ok(count) => sent += count,
                Err(error) => {
                    // The error concerns the first datagram's destination (no route, for instance).
                    // Losing a datagram is allowed.
                    tracing::debug!("a datagram could not be sent: {error}");
                    sent += 1;
                }
            }
        }
    }

    /// Sends one datagram, and with it those after it that need not name their source. The kernel
    /// may take fewer.
    fn send_from(&self, first: usize, socket: &UdpSocket) -> io::Result<usize> {
        let mut begin = first.checked_sub(1).map_or(0, |before| self.datagrams[before].end);
        let rest = &self.datagrams[first..];
        if let Some(Sealed { to, source: Some(source), end }) = rest.first() {
            addressed::send(socket, &self.bytes[begin..*end], *to, *source)?;
            return Ok(1);
        }
        let count = rest.iter().take_while(|sealed| sealed.source.is_none()).count();
        let rest = &rest[..count];
        let addresses: Vec<SocketAddrAny> = rest.iter().map(|sealed| sealed.to.into()).collect();
        let slices: Vec<[IoSlice<'_>; 1]> = rest
            .iter()
            .map(|Sealed { end, .. }| {
                [IoSlice::new(&self.bytes[std::mem::replace(&mut begin, *end)..*end])]
            })
            .collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            rest.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = addresses
            .iter()
            .zip(&slices)
            .zip(&mut controls)
            .map(|((to, slice), control)| MMsgHdr::new_with_addr(to, slice, control))
            .collect();
        Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
    }
}
