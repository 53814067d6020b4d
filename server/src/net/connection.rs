//! One connection: a TLS handshake, then lines in and bytes out, as the hub instructs.
//!
//! One task owns the socket. Nothing that it races loses bytes when dropped: half-done reads and
//! writes are kept in the [`Link`] until the connection ends.

use std::future::poll_fn;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_channel::Sender;
use async_io::Timer;
use futures_lite::future;
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, FutureExt as _};
use futures_rustls::TlsAcceptor;
use futures_rustls::server::TlsStream;
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::tls::{self, Exported};

use super::Event;
use super::outbox::{Instructions, Outbox};
use super::relay::RelayEnd;
use super::stream::Stream;
use crate::hub::{ConnectionId, Input, LinkEnd};

/// The size of a read. The buffer is on the stack, so an idle connection holds none.
const READ_BYTES: usize = 4 * 1024;

/// The read-ahead while the hub wants no line, in bytes. It suffices to see the end of the stream
/// behind a few pipelined commands. Beyond it, TCP's flow control applies.
const READ_AHEAD_BYTES: usize = 8 * 1024;

/// Bytes that TLS may buffer beyond the outbox.
const TLS_BUFFER_BYTES: usize = 16 * 1024;

/// Bytes that a client may still send after the farewell, before it is cut off.
const MAX_DISCARDED_BYTES: u64 = 256 * 1024;

/// Timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// The time without progress while bytes wait to be sent.
    pub(crate) stall: Duration,
    /// The time for sending the last bytes, and for the peer to close too.
    pub(crate) farewell: Duration,
    /// The time for the hub's answer after the peer's half-close. The peer may still read it, but
    /// most peers that end their stream are gone, and work for them should stop soon.
    pub(crate) half_closed: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            stall: Duration::from_secs(10),
            farewell: Duration::from_secs(2),
            half_closed: Duration::from_secs(3),
        }
    }
}

/// The task of one connection.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) events: Sender<Event>,
    pub(crate) timeouts: Timeouts,
}

impl Connection {
    /// Runs the connection to its end and reports that exactly once, as the last event.
    pub(crate) async fn run(self, stream: Stream, acceptor: TlsAcceptor) {
        // A panic in one connection must not end the others.
        let why = match AssertUnwindSafe(self.live(stream, acceptor)).catch_unwind().await {
            Ok(why) => why,
            Err(_) => {
                tracing::error!("connection {} panicked and was closed", self.id.0);
                LinkEnd::Failed
            }
        };
        // Without a driver there is nobody to notify.
        let _ = self.events.send(Event::Input(Input::Gone { connection: self.id, why })).await;
    }

    async fn live(&self, stream: Stream, acceptor: TlsAcceptor) -> LinkEnd {
        // Boxed, so that the task does not keep room for the handshake for its whole life.
        let stream = match Box::pin(self.handshake(stream, acceptor)).await {
            Ok(stream) => stream,
            Err(why) => return why,
        };
        let mut link = Link::new(self, stream);
        let why = link.exchange().await;
        match why {
            LinkEnd::Ended => link.say_farewell().await,
            LinkEnd::NotReading => link.stream.get_ref().0.forget_unsent(),
            LinkEnd::Failed => {}
        }
        why
    }

    /// Performs the TLS handshake. The hub may close the connection meanwhile; then nothing is
    /// sent.
    async fn handshake(
        &self,
        stream: Stream,
        acceptor: TlsAcceptor,
    ) -> Result<TlsStream<Stream>, LinkEnd> {
        let cancelled = async {
            self.outbox.closed().await;
            Err(LinkEnd::Ended)
        };
        let done = async {
            let mut stream = acceptor.accept(stream).await.map_err(|error| self.failed(&error))?;
            stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
            Ok(stream)
        };
        let stream = future::or(cancelled, done).await?;
        let secured =
            self.secured(&stream).map_err(|error| self.failed(&io::Error::other(error)))?;
        self.report(secured).await?;
        Ok(stream)
    }

    /// Exports the secrets of this TLS session.
    fn secured(&self, stream: &TlsStream<Stream>) -> Result<Event, rustls::Error> {
        let Exported { binding, keys } = tls::export(stream.get_ref().1)?;
        Ok(Event::Secured { connection: self.id, binding, keys })
    }

    /// Reports an event. Waits while the queue is full, which delays only this client.
    async fn report(&self, event: Event) -> Result<(), LinkEnd> {
        self.events.send(event).await.map_err(|_| LinkEnd::Ended)
    }

    fn failed(&self, error: &io::Error) -> LinkEnd {
        tracing::debug!("connection {} failed: {error}", self.id.0);
        match error.kind() {
            io::ErrorKind::UnexpectedEof => LinkEnd::Ended,
            _ => LinkEnd::Failed,
        }
    }
}

/// A connection after its handshake.
struct Link<'a> {
    connection: &'a Connection,
    stream: TlsStream<Stream>,
    decoder: Decoder,
    /// The mode of the line that the hub wants, if any.
    wanted: Option<Mode>,
    tell_when_drained: bool,
    outgoing: Outgoing,
    /// Takes over the connection once everything is sent.
    relay: Option<RelayEnd>,
    /// Set while bytes can't be sent.
    stalled: Option<Timer>,
    /// The half-close timer, set when the peer will send no more.
    ended: Option<Timer>,
}

/// Bytes that were taken from the outbox and are not all in the kernel yet.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    /// The number of bytes that TLS has accepted.
    written: usize,
    /// The arrival time of the first byte.
    since: Option<Instant>,
}

impl Outgoing {
    fn is_pending(&self) -> bool {
        !self.bytes.is_empty()
    }

    fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        // Drop the written bytes first, so that a steady flow does not grow the buffer.
        self.bytes.drain(..self.written);
        self.written = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

/// The result of one step.
enum Step {
    Instructions(Instructions),
    Drained,
    Read(io::Result<usize>),
    Failed(io::Error),
    Stalled,
    Abandoned,
}

impl<'a> Link<'a> {
    fn new(connection: &'a Connection, stream: TlsStream<Stream>) -> Link<'a> {
        Link {
            connection,
            stream,
            decoder: Decoder::new(),
            wanted: None,
            tell_when_drained: false,
            outgoing: Outgoing::default(),
            relay: None,
            stalled: None,
            ended: None,
        }
    }

    async fn exchange(&mut self) -> LinkEnd {
        loop {
            if let Err(why) = self.advance().await {
                return why;
            }
            if !self.outgoing.is_pending()
                && let Some(end) = self.relay.take()
            {
                return self.carry(end).await;
            }
        }
    }

    /// Passes bytes on until the other side of the relay or the hub ends it.
    async fn carry(&mut self, end: RelayEnd) -> LinkEnd {
        let ahead = self.decoder.take_rest();
        let closed = async {
            self.connection.outbox.closed().await;
            LinkEnd::Ended
        };
        // Boxed, since few connections are relayed.
        Box::pin(closed.or(end.carry(ahead, &mut self.stream))).await
    }

    async fn advance(&mut self) -> Result<(), LinkEnd> {
        self.hand_over_line().await?;
        match poll_fn(|cx| self.poll_step(cx)).await {
            Step::Instructions(instructions) => self.take(instructions)?,
            Step::Drained => {}
            Step::Read(Ok(0)) => self.end(),
            Step::Read(Ok(_)) => future::yield_now().await,
            // A stream cut off without TLS's close_notify ends normally: only whole lines count.
            Step::Read(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => self.end(),
            Step::Read(Err(error)) | Step::Failed(error) => {
                return Err(self.connection.failed(&error));
            }
            Step::Stalled => return Err(LinkEnd::NotReading),
            Step::Abandoned => return Err(LinkEnd::Ended),
        }
        self.report_drained().await
    }

    /// Gives the hub the line that it wants, if it is complete. Ends the link if no line can
    /// follow.
    async fn hand_over_line(&mut self) -> Result<(), LinkEnd> {
        let Some(mode) = self.wanted else { return Ok(()) };
        let Some(line) = self.decoder.next(mode).transpose() else {
            return if self.ended.is_some() { Err(LinkEnd::Ended) } else { Ok(()) };
        };
        self.wanted = None;
        self.decoder.release();
        if self.ended.is_some() {
            self.end();
        }
        let connection = self.connection.id;
        self.connection.report(Event::Input(Input::Line { connection, line })).await
    }

    async fn report_drained(&mut self) -> Result<(), LinkEnd> {
        if !self.tell_when_drained || self.outgoing.is_pending() {
            return Ok(());
        }
        self.tell_when_drained = false;
        let connection = self.connection.id;
        self.connection.report(Event::Input(Input::Drained { connection })).await
    }

    fn take(&mut self, instructions: Instructions) -> Result<(), LinkEnd> {
        if instructions.overflowed {
            return Err(LinkEnd::NotReading);
        }
        self.outgoing.append(&instructions.bytes);
        self.wanted = instructions.line.or(self.wanted);
        self.relay = instructions.relay.or(self.relay.take());
        self.tell_when_drained |= instructions.tell_when_drained;
        if instructions.close { Err(LinkEnd::Ended) } else { Ok(()) }
    }

    fn end(&mut self) {
        self.ended = Some(Timer::after(self.connection.timeouts.half_closed));
    }

    /// Polls the hub's instructions first, so that a steady flow of bytes can't delay a close.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(instructions) = self.connection.outbox.poll_instructions(cx) {
            return Poll::Ready(Step::Instructions(instructions));
        }
        if self.outgoing.is_pending() {
            match self.poll_send(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Step::Drained),
                Poll::Ready(Err(error)) => return Poll::Ready(Step::Failed(error)),
                Poll::Pending if self.poll_stalled(cx).is_ready() => {
                    return Poll::Ready(Step::Stalled);
                }
                Poll::Pending => {}
            }
        }
        match &mut self.ended {
            Some(half_close_timer) => {
                ready!(half_close_timer.poll(cx));
                Poll::Ready(Step::Abandoned)
            }
            None => self.poll_receive(cx).map(Step::Read),
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // If a line is wanted, the decoder is bounded already.
        if self.wanted.is_none() && self.decoder.buffered() >= READ_AHEAD_BYTES {
            return Poll::Pending;
        }
        let mut buffer = [0; READ_BYTES];
        let length = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.decoder.extend(&buffer[..length]);
        Poll::Ready(Ok(length))
    }

    /// Returns `Ready` once the kernel has everything that was taken from the outbox.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut self.stream);
        while let rest @ [_, ..] = self.outgoing.rest() {
            let written = ready!(stream.as_mut().poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.written += written;
            self.connection.outbox.passed_on(written);
        }
        ready!(stream.poll_flush(cx))?;
        self.outgoing = Outgoing::default();
        self.stalled = None;
        Poll::Ready(Ok(()))
    }

    /// Returns `Ready` when pending bytes have made no progress for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stall = self.connection.timeouts.stall;
        let timer = self.stalled.get_or_insert_with(|| Timer::after(stall));
        loop {
            ready!(timer.poll(cx));
            let progress = self.outgoing.since.max(Some(self.stream.get_ref().0.last_write()));
            let deadline = progress.unwrap_or_else(Instant::now) + stall;
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.set_at(deadline);
        }
    }

    /// Sends the rest, closes TLS and waits for the peer to close. Closing a socket with unread
    /// bytes would discard the last bytes, since TCP then answers with RST.
    async fn say_farewell(&mut self) {
        let limit = self.connection.timeouts.farewell;
        let farewell = async {
            poll_fn(|cx| self.poll_send(cx)).await?;
            self.stream.close().await?;
            let tcp = self.stream.get_mut().0;
            futures_lite::io::copy(tcp.take(MAX_DISCARDED_BYTES), futures_lite::io::sink()).await
        };
        let too_long = async {
            Timer::after(limit).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        if let Err(error) = future::or(farewell, too_long).await {
            tracing::debug!("connection {} ended without farewell: {error}", self.connection.id.0);
        }
    }
}
