//! The side that has a file.

use std::io;

use letschat_core::files::ServeNews;
use letschat_protocol::files::{CHUNK_BYTES, FileReply, FileRequest};

use super::Pace;
use super::link::{FileLink, Patience};
use super::source::{OpenSource, Source};
use crate::net::peer_link::PeerStream;

/// The room before a chunk for its line.
const LINE_BYTES: usize = 64;

/// Sends the chunks of a file that the receiver asks for. Returns how that ended.
pub(crate) async fn serve(
    stream: PeerStream,
    source: Source,
    patience: Patience,
    tell: impl AsyncFn(ServeNews),
) -> ServeNews {
    let mut link = FileLink::new(stream, patience);
    let served = match source.open() {
        Some(source) => answer_requests(&mut link, &source, tell).await,
        None => Err(Broken::Changed),
    };
    match served {
        Ok(()) => {
            link.close().await;
            ServeNews::Done
        }
        Err(Broken::Link) => ServeNews::Ended,
        Err(Broken::Changed) => {
            let line = format!("{}\n", FileReply::Changed);
            if link.send(line.as_bytes()).await.is_ok() {
                link.close().await;
            }
            ServeNews::Changed
        }
    }
}

enum Broken {
    /// The link broke, or the receiver asked for something else.
    Link,
    /// The source has changed.
    Changed,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Broken {
        Broken::Link
    }
}

/// Answers requests until the receiver says that it is done.
async fn answer_requests(
    link: &mut FileLink,
    source: &OpenSource,
    tell: impl AsyncFn(ServeNews),
) -> Result<(), Broken> {
    link.send(format!("{}\n", FileReply::Ready).as_bytes()).await?;
    let mut pace = Pace::new();
    // The line, the chunk and a line end are sent at once.
    let mut frame = Vec::with_capacity(LINE_BYTES + CHUNK_BYTES as usize + 1);
    loop {
        let line = link.read_line().await?;
        frame.clear();
        match FileRequest::parse(&line).map_err(|_| Broken::Link)? {
            FileRequest::Done => return Ok(()),
            FileRequest::Hashes(page) => {
                let hashes = source.page(page).ok_or(Broken::Link)?;
                let line = FileReply::Hashes(page, hashes.len());
                frame.extend_from_slice(format!("{line}\n").as_bytes());
                frame.extend_from_slice(hashes);
            }
            FileRequest::Chunk(chunk) => {
                let bytes = source.chunk_bytes(chunk).ok_or(Broken::Link)?;
                let line = FileReply::Chunk(chunk, bytes);
                frame.extend_from_slice(format!("{line}\n").as_bytes());
                let start = frame.len();
                frame.resize(start + bytes, 0);
                if !source.read_chunk(chunk, &mut frame[start..]) {
                    return Err(Broken::Changed);
                }
                if pace.is_due() {
                    tell(ServeNews::Progress(chunk * CHUNK_BYTES + bytes as u64)).await;
                }
            }
        }
        frame.push(b'\n');
        link.send(&frame).await?;
    }
}
