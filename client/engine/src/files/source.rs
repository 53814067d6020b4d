//! A file on this machine that is offered.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use letschat_core::failure::Failure;
use letschat_protocol::files::{CHUNK_BYTES, FileHash, FileInfo, HashList, MAX_FILE_BYTES};
use rustix::fs::OFlags;

/// A file to send.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) info: FileInfo,
    pub(crate) hashes: HashList,
}

/// Reads a file in order to offer it. `is_wanted` is asked before each chunk.
pub(crate) fn read(
    path: &Path,
    is_wanted: impl Fn() -> bool,
) -> Result<(FileInfo, HashList), Failure> {
    let refused = |why: String| Failure::File { path: path.to_owned(), why };
    let too_large = || Failure::FileTooLarge { limit: MAX_FILE_BYTES };
    let file = open(path).map_err(|error| refused(error.to_string()))?;
    if file.metadata().is_ok_and(|metadata| metadata.len() > MAX_FILE_BYTES) {
        return Err(too_large());
    }
    let (mut hashes, mut size) = (HashList::default(), 0);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES as usize);
    while is_wanted() {
        chunk.clear();
        let length = (&file).take(CHUNK_BYTES).read_to_end(&mut chunk);
        let length = length.map_err(|error| refused(error.to_string()))? as u64;
        size += length;
        if size > MAX_FILE_BYTES {
            return Err(too_large());
        }
        if length > 0 {
            hashes.add(FileHash::of(&chunk));
        }
        if length < CHUNK_BYTES {
            let info = FileInfo::new(size, hashes.root()).ok_or_else(too_large)?;
            return Ok((info, hashes));
        }
    }
    Err(Failure::Quitting)
}

/// Opens a regular file. Any other kind could wait forever.
fn open(path: &Path) -> io::Result<File> {
    let nonblocking = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// An open source. Each chunk is compared with its hash.
pub(super) struct OpenSource {
    file: File,
    info: FileInfo,
    hashes: HashList,
}

impl Source {
    /// Opens the source. Returns `None` if it is gone, or has changed for certain.
    pub(super) fn open(self) -> Option<OpenSource> {
        let Source { path, info, hashes } = self;
        let file = open(&path).ok()?;
        let is_same = file.metadata().ok()?.len() == info.size() && hashes.root() == info.root();
        is_same.then_some(OpenSource { file, info, hashes })
    }
}

impl OpenSource {
    /// Returns a page of the hashes, or `None` if there is no such page.
    pub(super) fn page(&self, page: u64) -> Option<&[u8]> {
        self.hashes.page(page)
    }

    /// Returns the size of a chunk, or `None` if there is no such chunk.
    pub(super) fn chunk_bytes(&self, chunk: u64) -> Option<usize> {
        Some(self.info.chunk_bytes(chunk)).filter(|bytes| *bytes > 0)
    }

    /// Reads a chunk into a buffer of its size. Returns false if it is another one than was offered.
    pub(super) fn read_chunk(&self, chunk: u64, buffer: &mut [u8]) -> bool {
        let is_read = self.file.read_exact_at(buffer, chunk * CHUNK_BYTES).is_ok();
        is_read && self.hashes.hash(chunk) == Some(FileHash::of(buffer))
    }
}
