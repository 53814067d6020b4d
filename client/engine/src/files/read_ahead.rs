//! A socket that is read in large pieces. TLS reads 4 KiB at a time, which would be a system call each.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_net::TcpStream;
use futures_lite::io::BufReader;
use futures_lite::{AsyncRead, AsyncWrite};

/// The bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A socket with a buffer for what is read.
pub(super) struct ReadAhead(BufReader<TcpStream>);

impl ReadAhead {
    pub(super) fn new(stream: TcpStream) -> ReadAhead {
        ReadAhead(BufReader::with_capacity(BUFFER_BYTES, stream))
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_close(context)
    }
}
