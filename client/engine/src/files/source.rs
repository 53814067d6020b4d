//! A file on this machine that is offered.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use letschat_core::failure::Failure;
use letschat_protocol::files::{CHUNK_BYTES, FileHash, FileInfo, HashList, MAX_FILE_BYTES};
use rustix::fs::OFlags;

/// The reason for which a source can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is another one than was offered, or gone.
    Changed,
    /// It can't be read now.
    Error,
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => Unreadable::Changed,
            _ => Unreadable::Error,
        }
    }
}

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
    /// Takes the list of the file's hashes, or makes it again if it is lost.
    pub(crate) fn with_hashes(
        path: PathBuf,
        info: FileInfo,
        stored: Option<Vec<u8>>,
    ) -> Result<Source, Unreadable> {
        if let Some(hashes) = stored.and_then(|bytes| HashList::checked(bytes, &info)) {
            return Ok(Source { path, info, hashes });
        }
        match read(&path, || true) {
            Ok((read, hashes)) if read == info => Ok(Source { path, info, hashes }),
            Ok(_) => Err(Unreadable::Changed),
            Err(_) if !path.exists() => Err(Unreadable::Changed),
            Err(_) => Err(Unreadable::Error),
        }
    }

    /// Opens the source.
    pub(super) fn open(self) -> Result<OpenSource, Unreadable> {
        let Source { path, info, hashes } = self;
        let file = open(&path)?;
        match file.metadata()?.len() == info.size() {
            true => Ok(OpenSource { file, info, hashes }),
            false => Err(Unreadable::Changed),
        }
    }
}

impl OpenSource {
    /// Returns the most requests of an honest receiver: for each page, each chunk, and the end.
    pub(super) fn most_requests(&self) -> u64 {
        self.info.pages() + self.info.chunks() + 1
    }

    /// Returns a page of the hashes, or `None` if there is no such page.
    pub(super) fn page(&self, page: u64) -> Option<&[u8]> {
        self.hashes.page(page)
    }

    /// Returns the size of a chunk, or `None` if there is no such chunk.
    pub(super) fn chunk_bytes(&self, chunk: u64) -> Option<usize> {
        Some(self.info.chunk_bytes(chunk)).filter(|bytes| *bytes > 0)
    }

    /// Reads a chunk into a buffer of its size, and compares it with its hash.
    pub(super) fn read_chunk(&self, chunk: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.file.read_exact_at(buffer, chunk * CHUNK_BYTES)?;
        match self.hashes.hash(chunk) == Some(FileHash::of(buffer)) {
            true => Ok(()),
            false => Err(Unreadable::Changed),
        }
    }
}
