//! Frames in and out over one secured stream, for the server and for peers.

use std::io;
use std::time::Duration;

use async_io::Timer;
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, FutureExt as _};
use letschat_protocol::frame::{Decoder, Frame, Mode};

use super::outbox::{Outbox, Step};
use crate::settling::when_woken;

/// The time that the other side has to end the stream after we have. If we closed at once, the
/// kernel could discard our last bytes because of unread ones.
const LINGER: Duration = Duration::from_secs(1);

const READ_BYTES: usize = 16 * 1024;

/// The way in which a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The outbox was closed, and all of it was sent.
    Closed,
    /// The stream is left to somebody else, and all of the outbox was sent.
    Detached,
    /// The other side ended the link, or it broke.
    Broken,
    /// The other side sent something that is not of the protocol.
    Unreadable,
}

/// The error for input that is not of the protocol.
pub(crate) struct Unreadable;

/// Passes each received frame to `take` and sends the outbox, until either side ends.
pub(crate) async fn run(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    outbox: &Outbox,
    take: impl AsyncFnMut(&Frame) -> Result<(), Unreadable>,
) -> End {
    let (reader, writer) = futures_lite::io::split(stream);
    let reading = when_woken(async {
        match read_frames(reader, take).await {
            Ok(()) => End::Broken,
            Err(Unreadable) => End::Unreadable,
        }
    });
    let writing = async {
        match write_steps(writer, outbox).await {
            Ok(end) => end,
            Err(_) => End::Broken,
        }
    };
    let overflowing = async {
        outbox.overflowed().await;
        End::Broken
    };
    overflowing.or(reading).or(writing).await
}

/// Reads frames. Returns `Ok` when the other side has ended, in order or not.
async fn read_frames(
    mut reader: impl AsyncRead + Unpin,
    mut take: impl AsyncFnMut(&Frame) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let mut decoder = Decoder::new();
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let length = match reader.read(&mut chunk).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => length,
        };
        decoder.extend(&chunk[..length]);
        while let Some(frame) = decoder.next(Mode::Frame).map_err(|_| Unreadable)? {
            take(&frame).await?;
        }
    }
}

async fn write_steps(mut writer: impl AsyncWrite + Unpin, outbox: &Outbox) -> io::Result<End> {
    loop {
        match outbox.next().await {
            Step::Send(bytes) => {
                writer.write_all(&bytes).await?;
                // TLS buffers its output until it is flushed.
                writer.flush().await?;
            }
            Step::Close => {
                writer.close().await?;
                Timer::after(LINGER).await;
                return Ok(End::Closed);
            }
            Step::Detach => return Ok(End::Detached),
        }
    }
}
