//! A TCP socket, read in pieces of the size that its purpose needs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_net::TcpStream;
use futures_lite::io::BufReader;
use futures_lite::{AsyncRead, AsyncWrite};

/// The bytes of a file that are read at once. TLS reads 4 KiB at a time, which would be a system call each.
const FILE_BYTES: usize = 256 * 1024;

/// A socket with a buffer for what is read.
pub(crate) enum Socket {
    Plain(TcpStream),
    ForFile(Box<BufReader<TcpStream>>),
}

/// The way in which sockets of one purpose are read.
pub(crate) type Wrap = fn(TcpStream) -> Socket;

impl Socket {
    /// Returns a socket for messages.
    pub(crate) fn new(stream: TcpStream) -> Socket {
        Socket::Plain(stream)
    }

    /// Returns a socket for a file.
    pub(crate) fn for_file(stream: TcpStream) -> Socket {
        Socket::ForFile(Box::new(BufReader::with_capacity(FILE_BYTES, stream)))
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(match self {
            Socket::Plain(stream) => stream,
            Socket::ForFile(reader) => reader.get_mut(),
        })
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::ForFile(reader) => Pin::new(reader).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_close(context)
    }
}
