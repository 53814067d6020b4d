//! Files: their chunks and hashes, and the lines of a link that carries one.
//!
//! * [`name`] – offered names, reduced to safe ones
//!
//! A file has chunks of [`CHUNK_BYTES`], of which the last may be shorter. Its root is the BLAKE3 hash of the list of the
//! BLAKE3 hashes of its chunks, and an offer names it. A receiver gets the list in pages, checks it against the root, and
//! then every chunk against the list.

pub mod name;

use std::fmt;

use crate::fields::{self, Reader};
use crate::peer::Refusal;

/// The size of a chunk, in bytes.
pub const CHUNK_BYTES: u64 = 1024 * 1024;
/// The size of the largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// The hashes on a page of the list. The last page may be shorter.
pub const HASHES_ON_PAGE: u64 = 2_048;
/// The most chunks that a receiver may have requested and not received.
pub const CHUNKS_IN_FLIGHT: u64 = 2;
/// The longest line of a link that carries a file, in bytes with its end.
pub const MAX_FILE_LINE_BYTES: usize = 64;
/// A hash in a list, in bytes.
pub const HASH_BYTES: u64 = 32;

/// The BLAKE3 hash of a chunk, or of a list of hashes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileHash(pub [u8; 32]);

impl FileHash {
    /// Returns the hash of these bytes.
    pub fn of(bytes: &[u8]) -> FileHash {
        FileHash(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileHash({self})")
    }
}

/// The size of a file and the root of its hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    size: u64,
    root: FileHash,
}

impl FileInfo {
    /// Returns the info, or `None` if the size is over [`MAX_FILE_BYTES`].
    pub fn new(size: u64, root: FileHash) -> Option<FileInfo> {
        (size <= MAX_FILE_BYTES).then_some(FileInfo { size, root })
    }

    /// Returns the size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root of the hashes.
    pub fn root(&self) -> FileHash {
        self.root
    }

    /// Returns the number of chunks.
    pub fn chunks(&self) -> u64 {
        self.size.div_ceil(CHUNK_BYTES)
    }

    /// Returns the size of a chunk in bytes, or 0 if there is no such chunk. The first is number 0.
    pub fn chunk_bytes(&self, chunk: u64) -> usize {
        let rest = self.size.saturating_sub(chunk.saturating_mul(CHUNK_BYTES));
        // At most one chunk, which fits.
        rest.min(CHUNK_BYTES) as usize
    }

    /// Returns the number of pages of the list of hashes.
    pub fn pages(&self) -> u64 {
        self.chunks().div_ceil(HASHES_ON_PAGE)
    }

    /// Returns the size of a page in bytes, or 0 if there is no such page. The first is number 0.
    pub fn page_bytes(&self, page: u64) -> usize {
        let rest = self.chunks().saturating_sub(page.saturating_mul(HASHES_ON_PAGE));
        (rest.min(HASHES_ON_PAGE) * HASH_BYTES) as usize
    }

    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        fields::write(bytes, &self.size.to_be_bytes());
        fields::write(bytes, &self.root.0);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<FileInfo> {
        let size = reader.number()?;
        FileInfo::new(size, FileHash(reader.fixed()?))
    }
}

/// The hashes of a file's chunks, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HashList(Vec<u8>);

impl HashList {
    /// Returns the list in these bytes, or `None` if it is not that of the file.
    pub fn checked(bytes: Vec<u8>, file: &FileInfo) -> Option<HashList> {
        let is_whole = bytes.len() as u64 == file.chunks() * HASH_BYTES;
        (is_whole && FileHash::of(&bytes) == file.root).then_some(HashList(bytes))
    }

    /// Adds the hash of the next chunk.
    pub fn add(&mut self, hash: FileHash) {
        self.0.extend_from_slice(&hash.0);
    }

    /// Returns the root.
    pub fn root(&self) -> FileHash {
        FileHash::of(&self.0)
    }

    /// Returns the hash of a chunk.
    pub fn hash(&self, chunk: u64) -> Option<FileHash> {
        let start = usize::try_from(chunk.checked_mul(HASH_BYTES)?).ok()?;
        let bytes = self.0.get(start..start.checked_add(HASH_BYTES as usize)?)?;
        bytes.try_into().ok().map(FileHash)
    }

    /// Returns a page, or `None` if there is no such page.
    pub fn page(&self, page: u64) -> Option<&[u8]> {
        self.0.chunks((HASHES_ON_PAGE * HASH_BYTES) as usize).nth(usize::try_from(page).ok()?)
    }

    /// Returns the bytes of the list.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A line of the receiver of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRequest {
    /// Send this page of the list of hashes.
    Hashes(u64),
    /// Send this chunk.
    Chunk(u64),
    /// The file is complete and saved.
    Done,
}

/// A line of the sender of a file. The bytes follow it, and a line end follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileReply {
    /// The receiver may begin to ask.
    Ready,
    /// The file is not sent.
    Refuse(Refusal),
    /// A page of the list of hashes, of so many bytes.
    Hashes(u64, usize),
    /// A chunk, of so many bytes.
    Chunk(u64, usize),
    /// The source has changed since it was offered, or is gone.
    Changed,
}

/// A line outside of the file protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a line about a file")]
pub struct NotAFileLine;

impl fmt::Display for FileRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileRequest::Hashes(page) => write!(f, "HASHES {page}"),
            FileRequest::Chunk(chunk) => write!(f, "CHUNK {chunk}"),
            FileRequest::Done => f.write_str("DONE"),
        }
    }
}

impl FileRequest {
    /// Parses a line without its end.
    pub fn parse(line: &[u8]) -> Result<FileRequest, NotAFileLine> {
        match words(line)?[..] {
            ["HASHES", page] => Ok(FileRequest::Hashes(number(page)?)),
            ["CHUNK", chunk] => Ok(FileRequest::Chunk(number(chunk)?)),
            ["DONE"] => Ok(FileRequest::Done),
            _ => Err(NotAFileLine),
        }
    }
}

impl fmt::Display for FileReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileReply::Ready => f.write_str("READY"),
            FileReply::Refuse(why) => write!(f, "REFUSE {}", why.name()),
            FileReply::Hashes(page, bytes) => write!(f, "HASHES {page} +{bytes}"),
            FileReply::Chunk(chunk, bytes) => write!(f, "CHUNK {chunk} +{bytes}"),
            FileReply::Changed => f.write_str("CHANGED"),
        }
    }
}

impl FileReply {
    /// Parses a line without its end.
    pub fn parse(line: &[u8]) -> Result<FileReply, NotAFileLine> {
        let length = |word: &str| {
            let digits = word.strip_prefix('+').ok_or(NotAFileLine)?;
            usize::try_from(number(digits)?).map_err(|_| NotAFileLine)
        };
        match words(line)?[..] {
            ["READY"] => Ok(FileReply::Ready),
            ["REFUSE", name] => {
                let why = Refusal::ALL.iter().find(|why| why.name() == name);
                why.copied().map(FileReply::Refuse).ok_or(NotAFileLine)
            }
            ["HASHES", page, bytes] => Ok(FileReply::Hashes(number(page)?, length(bytes)?)),
            ["CHUNK", chunk, bytes] => Ok(FileReply::Chunk(number(chunk)?, length(bytes)?)),
            ["CHANGED"] => Ok(FileReply::Changed),
            _ => Err(NotAFileLine),
        }
    }
}

fn words(line: &[u8]) -> Result<Vec<&str>, NotAFileLine> {
    let line = std::str::from_utf8(line).map_err(|_| NotAFileLine)?;
    Ok(line.split(' ').collect())
}

/// Parses a number as it is written here: without a sign, and without zeros before it.
fn number(word: &str) -> Result<u64, NotAFileLine> {
    let is_canonical =
        word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| is_canonical).ok_or(NotAFileLine)
}

#[cfg(test)]
mod tests;
