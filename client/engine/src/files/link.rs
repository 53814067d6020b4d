//! The lines and bytes of a link that carries a file.
//!
//! Nothing here is raced against anything but the end of the transfer, so that no read can lose bytes.

use std::io;
use std::time::Duration;

use async_io::Timer;
use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use letschat_protocol::files::MAX_FILE_LINE_BYTES;

use crate::net::peer_link::PeerStream;

/// The times after which a link counts as broken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The longest silence of the other side.
    pub(crate) silence: Duration,
    /// The longest time for a chunk. A side that trickles would hold a place for ever.
    pub(crate) chunk: Duration,
}

impl Patience {
    pub(crate) const USUAL: Patience =
        Patience { silence: Duration::from_secs(60), chunk: Duration::from_secs(300) };
}

/// The size of the buffer for lines. A longer read goes past it.
const BUFFER_BYTES: usize = 4 * 1024;

/// A link that carries a file.
pub(super) struct FileLink {
    stream: BufReader<PeerStream>,
    patience: Patience,
}

impl FileLink {
    pub(super) fn new(stream: PeerStream, patience: Patience) -> FileLink {
        FileLink { stream: BufReader::with_capacity(BUFFER_BYTES, stream), patience }
    }

    /// Reads a line, and returns it without its end.
    pub(super) async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let FileLink { stream, patience } = self;
        within(patience.silence, async {
            let mut line = Vec::new();
            loop {
                let available = stream.fill_buf().await?;
                let end = available.iter().position(|byte| *byte == b'\n');
                let taken = end.unwrap_or(available.len());
                line.extend_from_slice(&available[..taken]);
                if available.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if line.len() >= MAX_FILE_LINE_BYTES {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                stream.consume(taken + usize::from(end.is_some()));
                if end.is_some() {
                    return Ok(line);
                }
            }
        })
        .await
    }

    /// Fills the buffer, and reads the line end after it.
    pub(super) async fn read_bytes(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let FileLink { stream, patience } = self;
        within(patience.chunk, async {
            let mut filled = 0;
            while filled < buffer.len() {
                let read = within(patience.silence, stream.read(&mut buffer[filled..])).await?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                filled += read;
            }
            let mut end = [0];
            within(patience.silence, stream.read_exact(&mut end)).await?;
            if end == *b"\n" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        })
        .await
    }

    /// Sends bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        within(self.patience.chunk, async {
            stream.write_all(bytes).await?;
            stream.flush().await
        })
        .await
    }

    /// Ends the stream in order.
    pub(super) async fn close(mut self) {
        // The other side may be gone.
        let _ = within(self.patience.silence, self.stream.get_mut().close()).await;
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let expired = async {
        Timer::after(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    future.or(expired).await
}
