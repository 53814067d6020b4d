//! The side that has a file.

use futures_lite::future::yield_now;
use letschat_core::files::ServeNews;
use letschat_protocol::files::{CHUNK_BYTES, FileReply, FileRequest, MAX_FILE_LINE_BYTES};

use super::Pace;
use super::link::{FileLink, LinkError, Patience};
use super::source::{OpenSource, Source, Unreadable};
use crate::net::peer_link::PeerStream;

/// Sends the chunks of a file that the receiver asks for. Returns how that ended.
pub(crate) async fn serve(
    stream: PeerStream,
    source: Result<Source, Unreadable>,
    patience: Patience,
    tell: impl AsyncFn(ServeNews),
) -> ServeNews {
    let mut link = FileLink::new(stream, patience);
    let served = match source.and_then(Source::open) {
        Ok(source) => answer_requests(&mut link, &source, tell).await,
        Err(why) => Err(why.into()),
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

impl From<LinkError> for Broken {
    fn from(_: LinkError) -> Broken {
        Broken::Link
    }
}

impl From<Unreadable> for Broken {
    fn from(why: Unreadable) -> Broken {
        match why {
            Unreadable::Changed => Broken::Changed,
            // Another attempt may succeed.
            Unreadable::Error => Broken::Link,
        }
    }
}

/// Answers requests until the receiver says that it is done.
async fn answer_requests(
    link: &mut FileLink,
    source: &OpenSource,
    tell: impl AsyncFn(ServeNews),
) -> Result<(), Broken> {
    link.send(format!("{}\n", FileReply::Ready).as_bytes()).await?;
    let (mut pace, mut answered) = (Pace::new(), 0);
    // The line, the chunk and a line end are sent at once.
    let mut frame = Vec::with_capacity(MAX_FILE_LINE_BYTES + CHUNK_BYTES as usize + 1);
    loop {
        let line = link.read_line().await?;
        answered += 1;
        // A receiver needs each page and each chunk once.
        if answered > source.most_requests() {
            return Err(Broken::Link);
        }
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
                source.read_chunk(chunk, &mut frame[start..])?;
                if pace.is_due() {
                    tell(ServeNews::Progress(chunk * CHUNK_BYTES + bytes as u64)).await;
                }
            }
        }
        frame.push(b'\n');
        link.send(&frame).await?;
        // The transfer may have been given up.
        yield_now().await;
    }
}
