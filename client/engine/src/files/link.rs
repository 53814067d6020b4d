//! The lines and bytes of a link that carries a file.
//!
//! A read is cancelled only by a timeout or the end of the transfer. The link is then dropped, so that no bytes are lost.

use std::cell::Cell;
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

/// The reason for which nothing more comes over a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkError {
    /// It broke, or was silent for too long. Somebody on the way may have altered its records.
    Broken,
    /// The other side sent something that is no line or has no end.
    Malformed,
}

impl From<io::Error> for LinkError {
    fn from(_: io::Error) -> LinkError {
        LinkError::Broken
    }
}

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
    pub(super) async fn read_line(&mut self) -> Result<Vec<u8>, LinkError> {
        let FileLink { stream, patience } = self;
        within(patience.silence, async {
            let mut line = Vec::new();
            loop {
                let available = stream.fill_buf().await?;
                let end = available.iter().position(|byte| *byte == b'\n');
                let taken = end.unwrap_or(available.len());
                line.extend_from_slice(&available[..taken]);
                if available.is_empty() {
                    return Err(LinkError::Broken);
                }
                if line.len() >= MAX_FILE_LINE_BYTES {
                    return Err(LinkError::Malformed);
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
    pub(super) async fn read_bytes(&mut self, buffer: &mut [u8]) -> Result<(), LinkError> {
        let FileLink { stream, patience } = self;
        let filled = Cell::new(0);
        let filling = async {
            while filled.get() < buffer.len() {
                let read = stream.read(&mut buffer[filled.get()..]).await?;
                if read == 0 {
                    return Err(LinkError::Broken);
                }
                filled.set(filled.get() + read);
            }
            let mut end = [0];
            stream.read_exact(&mut end).await?;
            if end == *b"\n" { Ok(()) } else { Err(LinkError::Malformed) }
        };
        // A timer for each read would cost more than the read.
        let silent = async {
            loop {
                let before = filled.get();
                Timer::after(patience.silence).await;
                if filled.get() == before {
                    return Err(LinkError::Broken);
                }
            }
        };
        within(patience.chunk, filling.or(silent)).await
    }

    /// Sends bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let stream = self.stream.get_mut();
        within(self.patience.chunk, async {
            stream.write_all(bytes).await?;
            Ok(stream.flush().await?)
        })
        .await
    }

    /// Ends the stream in order.
    pub(super) async fn close(mut self) {
        // The other side may be gone.
        let stream = self.stream.get_mut();
        let _ = within(self.patience.silence, async { Ok(stream.close().await?) }).await;
    }
}

async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    let expired = async {
        Timer::after(limit).await;
        Err(LinkError::Broken)
    };
    future.or(expired).await
}
