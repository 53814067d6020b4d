//! The side that wants a file.

use std::io;
use std::path::PathBuf;

use futures_lite::future::yield_now;
use letschat_core::files::{FetchFailure, FetchFile, FetchNews};
use letschat_protocol::files::{
    CHUNK_BYTES, CHUNKS_IN_FLIGHT, FileHash, FileInfo, FileReply, FileRequest, HashList,
};
use letschat_protocol::peer::PeerMessage;

use super::link::{FileLink, LinkError, Patience};
use super::part::{Part, Place};
use super::{Pace, is_full};
use crate::net::peer_link::{self, Target};

/// An attempt to fetch a file, and what it needs.
pub(crate) struct Fetch {
    pub(crate) file: FetchFile,
    /// The side that has the file.
    pub(crate) from: Target,
    /// The folder for files that the user wants nowhere else.
    pub(crate) folder: PathBuf,
    pub(crate) patience: Patience,
}

/// The reason for which an attempt ends early.
enum Broken {
    Transfer(FetchFailure),
    /// The part can't be read or written.
    Disk(io::Error),
}

impl From<FetchFailure> for Broken {
    fn from(why: FetchFailure) -> Broken {
        Broken::Transfer(why)
    }
}

impl From<LinkError> for Broken {
    fn from(error: LinkError) -> Broken {
        Broken::Transfer(match error {
            LinkError::Malformed => FetchFailure::Invalid,
            LinkError::Broken => FetchFailure::Link,
        })
    }
}

/// Fetches a file. Returns its path, and tells what happens until then.
pub(crate) async fn fetch(
    fetch: Fetch,
    tell: impl AsyncFn(FetchNews),
) -> Result<PathBuf, FetchFailure> {
    let path = fetch.file.part.clone().or_else(|| fetch.file.path.clone());
    attempt(fetch, tell).await.map_err(|broken| match broken {
        Broken::Transfer(why) => why,
        Broken::Disk(error) if is_full(&error) => FetchFailure::DiskFull { needed: 0, free: 0 },
        Broken::Disk(error) => {
            FetchFailure::File { path: path.unwrap_or_default(), why: error.to_string() }
        }
    })
}

async fn attempt(fetch: Fetch, tell: impl AsyncFn(FetchNews)) -> Result<PathBuf, Broken> {
    let Fetch { file, from, folder, patience } = fetch;
    let info = file.info;
    let place = Place::open(&file, &folder)?;
    let earlier = file.part.as_deref().and_then(|part| place.reopen(part));
    let there = earlier.as_ref().and_then(|part| part.bytes().ok()).unwrap_or_default();
    match &earlier {
        Some(part) if !part.lock() => return Err(FetchFailure::Link.into()),
        Some(_) => {}
        None => place.check_free()?,
    }
    place.check_room(info.size().saturating_sub(there))?;

    let mut link = ask(&file, &from, patience, &tell).await?;
    let hashes = read_hashes(&mut link, &info).await?;

    let part = match earlier {
        Some(part) => part,
        None => place.create()?,
    };
    let id = part.id().map_err(Broken::Disk)?;
    let verified = match file.verified {
        Some((known, bytes)) if known == id && bytes <= there => bytes.div_ceil(CHUNK_BYTES),
        _ => part.verified_chunks(&hashes, &info).await.map_err(Broken::Disk)?,
    };
    let verified_bytes = info.size().min(verified * CHUNK_BYTES);
    part.cut(verified_bytes).map_err(Broken::Disk)?;
    tell(FetchNews::Begun(place.path_of(&part), verified_bytes)).await;

    let mut receiver = Receiver { link, part: &part, hashes, info, verified };
    let received = receiver.receive(&tell).await;
    let bytes = info.size().min(receiver.verified * CHUNK_BYTES);
    tell(FetchNews::Left(part.id().map_err(Broken::Disk)?, bytes)).await;
    received?;
    let Receiver { mut link, .. } = receiver;
    let path = place.finish(part)?;
    // The file is saved, whether or not the other side hears of it.
    if link.send(format!("{}\n", FileRequest::Done).as_bytes()).await.is_ok() {
        link.close().await;
    }
    Ok(path)
}

/// Opens a link to the person who offers the file, and asks for it.
async fn ask(
    file: &FetchFile,
    from: &Target,
    patience: Patience,
    tell: &impl AsyncFn(FetchNews),
) -> Result<FileLink, Broken> {
    let want_meeting = async || tell(FetchNews::MeetingWanted).await;
    let (stream, met) =
        peer_link::reach(from, want_meeting).await.map_err(|_| FetchFailure::Link)?;
    if let Some(path) = met {
        tell(FetchNews::Met(path)).await;
    }
    let mut link = FileLink::new(stream, patience);
    link.send(&PeerMessage::Get { id: file.id }.to_frame().to_bytes()).await?;
    match read_reply(&mut link).await? {
        FileReply::Ready => Ok(link),
        FileReply::Refuse(why) => Err(FetchFailure::Refused(why).into()),
        other => Err(unexpected(&other)),
    }
}

async fn read_reply(link: &mut FileLink) -> Result<FileReply, Broken> {
    let line = link.read_line().await?;
    Ok(FileReply::parse(&line).map_err(|_| FetchFailure::Invalid)?)
}

fn unexpected(reply: &FileReply) -> Broken {
    Broken::Transfer(match reply {
        FileReply::Changed => FetchFailure::Changed,
        _ => FetchFailure::Invalid,
    })
}

/// Reads the whole list of hashes. Nothing longer than the file's list is taken.
async fn read_hashes(link: &mut FileLink, info: &FileInfo) -> Result<HashList, Broken> {
    let mut bytes = Vec::new();
    for page in 0..info.pages() {
        link.send(format!("{}\n", FileRequest::Hashes(page)).as_bytes()).await?;
        let length = info.page_bytes(page);
        match read_reply(link).await? {
            FileReply::Hashes(number, announced) if (number, announced) == (page, length) => {}
            other => return Err(unexpected(&other)),
        }
        let start = bytes.len();
        bytes.resize(start + length, 0);
        link.read_bytes(&mut bytes[start..]).await?;
    }
    Ok(HashList::checked(bytes, info).ok_or(FetchFailure::Invalid)?)
}

/// The chunks on their way into the part.
struct Receiver<'a> {
    link: FileLink,
    part: &'a Part,
    hashes: HashList,
    info: FileInfo,
    /// The number of chunks at the beginning that are verified and written.
    verified: u64,
}

impl Receiver<'_> {
    /// Receives the chunks that are missing. A few are requested ahead, so that the other side is never idle, and few
    /// enough that little is lost when the link breaks.
    async fn receive(&mut self, tell: &impl AsyncFn(FetchNews)) -> Result<(), Broken> {
        let (mut requested, mut pace) = (self.verified, Pace::new());
        let mut buffer = vec![0; self.info.size().min(CHUNK_BYTES) as usize];
        while self.verified < self.info.chunks() {
            let ahead = self.info.chunks().min(self.verified + CHUNKS_IN_FLIGHT);
            for chunk in requested..ahead {
                self.link.send(format!("{}\n", FileRequest::Chunk(chunk)).as_bytes()).await?;
            }
            requested = requested.max(ahead);
            let length = self.info.chunk_bytes(self.verified);
            self.receive_chunk(&mut buffer[..length]).await?;
            self.part.write(self.verified, &buffer[..length]).map_err(Broken::Disk)?;
            self.verified += 1;
            // The attempt may have been given up.
            yield_now().await;
            if pace.is_due() {
                tell(FetchNews::Progress(self.info.size().min(self.verified * CHUNK_BYTES))).await;
            }
        }
        Ok(())
    }

    /// Receives the next chunk, and verifies it.
    async fn receive_chunk(&mut self, buffer: &mut [u8]) -> Result<(), Broken> {
        match read_reply(&mut self.link).await? {
            FileReply::Chunk(chunk, bytes) if (chunk, bytes) == (self.verified, buffer.len()) => {}
            other => return Err(unexpected(&other)),
        }
        self.link.read_bytes(buffer).await?;
        match self.hashes.hash(self.verified) == Some(FileHash::of(buffer)) {
            true => Ok(()),
            false => Err(FetchFailure::Invalid.into()),
        }
    }
}
