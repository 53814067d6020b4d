//! A TCP stream that knows when bytes last went out.
//!
//! TLS takes bytes before the network does, so only down here can a reader that is slow be told
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

    /// When the kernel last took bytes.
    pub(crate) fn last_write(&self) -> Instant {
        self.last_write
    }

    /// Makes the kernel forget what it still holds when the stream is dropped, instead of trying
    /// for minutes to bring it to somebody who does not read.
    pub(crate) fn forget_unsent(&self) {
        // Fails only on a socket that is dead already, which is as good.
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
