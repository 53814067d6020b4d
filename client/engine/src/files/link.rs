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

/// The longest silence, of either side.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest time for a chunk. A side that trickles would hold a place for ever.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(300);
/// The size of the buffer for lines. A longer read goes past it.
const BUFFER_BYTES: usize = 4 * 1024;

/// A link that carries a file.
pub(super) struct FileLink(BufReader<PeerStream>);

impl FileLink {
    pub(super) fn new(stream: PeerStream) -> FileLink {
        FileLink(BufReader::with_capacity(BUFFER_BYTES, stream))
    }

    /// Reads a line, and returns it without its end.
    pub(super) async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let stream = &mut self.0;
        within(SILENCE, async {
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
        let stream = &mut self.0;
        within(CHUNK_TIMEOUT, async {
            let mut filled = 0;
            while filled < buffer.len() {
                let read = within(SILENCE, stream.read(&mut buffer[filled..])).await?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                filled += read;
            }
            let mut end = [0];
            within(SILENCE, stream.read_exact(&mut end)).await?;
            if end == *b"\n" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        })
        .await
    }

    /// Sends bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.0.get_mut();
        within(CHUNK_TIMEOUT, async {
            stream.write_all(bytes).await?;
            stream.flush().await
        })
        .await
    }

    /// Ends the stream in order.
    pub(super) async fn close(mut self) {
        // The other side may be gone.
        let _ = within(SILENCE, self.0.get_mut().close()).await;
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let expired = async {
        Timer::after(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    future.or(expired).await
}
