//! A TCP stream that records its last write.
//!
//! TLS accepts bytes before the network does. Only below TLS can a slow reader be distinguished
//! from one that does not read at all.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::Async;
use futures_lite::{AsyncRead, AsyncWrite};

/// A connected TCP stream.
pub(crate) struct Stream {
    tcp: Async<TcpStream>,
    last_write: Instant,
}

impl Stream {
    pub(crate) fn new(tcp: Async<TcpStream>) -> Stream {
        Stream { tcp, last_write: Instant::now() }
    }

    /// Returns the time of the kernel's last accepted write.
    pub(crate) fn last_write(&self) -> Instant {
        self.last_write
    }

    /// Makes the kernel discard its unsent bytes when the stream is dropped. Otherwise it would
    /// retry for minutes to deliver them to a peer that does not read.
    pub(crate) fn forget_unsent(&self) {
        // This fails only on a dead socket, which needs no linger.
        let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        if let Poll::Ready(Ok(1..)) = result {
            self.last_write = Instant::now();
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    /// Ends the sending direction only, so that the last bytes arrive.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.tcp.get_ref().shutdown(Shutdown::Write))
    }
}
