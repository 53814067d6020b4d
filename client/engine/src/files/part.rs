//! A file that is being received.
//!
//! It lives in a folder that other programs may write to. It is therefore created and renamed below the folder's
//! descriptor, links are not followed, and the file is compared with the open one before and after it gets its name.
//! Only its owner can read it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use futures_lite::future::yield_now;
use letschat_core::files::{FetchFailure, FetchFile, PartId};
use letschat_protocol::files::name::FileName;
use letschat_protocol::files::{CHUNK_BYTES, FileHash, FileInfo, HashList};
use rustix::fs::{Advice, AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::is_full;

/// The end of the name of a file that is not complete.
const PART: &str = ".part";
/// The chunks that are handed to the disk at once.
const CHUNKS_AT_ONCE: u64 = 8;
/// The most names that are tried for one file.
const MAX_NAMES: u32 = 1_000;

/// The folder and the name under which a file is to be saved.
pub(super) struct Place {
    folder: OwnedFd,
    /// The path of the folder, for people.
    path: PathBuf,
    name: String,
    /// The offered name, if another one may be taken since the folder has a file of this name.
    numbered: Option<FileName>,
}

/// An open file with the chunks that have come.
pub(super) struct Part {
    file: File,
    name: String,
}

impl Place {
    /// Opens the folder in which a file is to be saved: that of its part, the one that the user wants, or the folder
    /// `usual`, which is made if it is missing.
    pub(super) fn open(file: &FetchFile, usual: &Path) -> Result<Place, FetchFailure> {
        let name = &file.name;
        let (path, exact) = match file.path.as_deref() {
            None if let Some(folder) = file.part.as_deref().and_then(Path::parent) => {
                (folder, None)
            }
            None => {
                fs::create_dir_all(usual).map_err(|error| failed(usual, &error))?;
                (usual, None)
            }
            Some(wanted) if wanted.is_dir() => (wanted, None),
            Some(wanted) if wanted.as_os_str().as_bytes().ends_with(b"/") => {
                return Err(refused(wanted, "there is no such folder"));
            }
            Some(wanted) => {
                let names = wanted.parent().zip(wanted.file_name().and_then(OsStr::to_str));
                let (folder, name) = names.ok_or_else(|| refused(wanted, "it is no file name"))?;
                (folder, Some(name.to_owned()))
            }
        };
        let folder = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = rustix::fs::open(path, folder, Mode::empty())
            .map_err(|error| failed(path, &error.into()))?;
        let numbered = exact.is_none().then(|| name.clone());
        let name = exact.unwrap_or_else(|| name.to_string());
        Ok(Place { folder, path: path.to_owned(), name, numbered })
    }

    /// Fails if the name that the user wants is taken.
    pub(super) fn check_free(&self) -> Result<(), FetchFailure> {
        match self.numbered.is_none() && self.has(&self.name)? {
            true => Err(self.exists()),
            false => Ok(()),
        }
    }

    /// Fails if the disk has no room for these bytes.
    pub(super) fn check_room(&self, needed: u64) -> Result<(), FetchFailure> {
        let disk =
            rustix::fs::fstatvfs(&self.folder).map_err(|error| self.failed(&error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed { Err(FetchFailure::DiskFull { needed, free }) } else { Ok(()) }
    }

    /// Opens the part of an earlier attempt. Returns `None` if it is gone, elsewhere, or not ours.
    pub(super) fn reopen(&self, part: &Path) -> Option<Part> {
        let name = part.file_name()?.to_str().filter(|_| part.parent() == Some(&self.path))?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::empty()).ok()?;
        let file = File::from(file);
        // A hard link would lead to another file of this user.
        let metadata = file.metadata().ok()?;
        let is_ours = metadata.is_file()
            && metadata.nlink() == 1
            && metadata.uid() == rustix::process::geteuid().as_raw();
        is_ours.then(|| Part { file, name: name.to_owned() })
    }

    /// Creates the part under a name that the folder does not have.
    pub(super) fn create(&self) -> Result<Part, FetchFailure> {
        for name in self.names() {
            if self.has(&name)? {
                continue;
            }
            let name = format!("{name}{PART}");
            let flags =
                OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            match rustix::fs::openat(&self.folder, &name, flags, mode) {
                Ok(file) => {
                    let part = Part { file: File::from(file), name };
                    return if part.lock() { Ok(part) } else { Err(FetchFailure::Link) };
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed(&error.into())),
            }
        }
        Err(self.exists())
    }

    /// Returns the names for the file, in the order in which they are tried.
    fn names(&self) -> impl Iterator<Item = String> {
        let numbered = self.numbered.iter();
        let numbered =
            numbered.flat_map(|name| (2..=MAX_NAMES).map(|number| name.numbered(number)));
        [self.name.clone()].into_iter().chain(numbered)
    }

    fn has(&self, name: &str) -> Result<bool, FetchFailure> {
        match rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed(&error.into())),
        }
    }

    /// Returns the path of a part.
    pub(super) fn path_of(&self, part: &Part) -> PathBuf {
        self.path.join(&part.name)
    }

    /// Gives a complete part its name, and returns its path. Nothing is replaced.
    pub(super) fn finish(&self, part: Part) -> Result<PathBuf, FetchFailure> {
        part.file.sync_all().map_err(|error| self.failed(&error))?;
        self.check_is(&part, &part.name)?;
        let own = part.name.strip_suffix(PART).map(str::to_owned);
        for name in own.into_iter().chain(self.names()) {
            let moved = rustix::fs::renameat_with(
                &self.folder,
                &part.name,
                &self.folder,
                &name,
                RenameFlags::NOREPLACE,
            );
            let moved = match moved {
                // The file system has no such renaming.
                Err(Errno::INVAL | Errno::NOSYS) => self.link(&part.name, &name),
                moved => moved,
            };
            match moved {
                Ok(()) => {
                    self.check_is(&part, &name)?;
                    // The new name is on disk, too.
                    let _ = rustix::fs::fsync(&self.folder);
                    return Ok(self.path.join(name));
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed(&error.into())),
            }
        }
        Err(self.exists())
    }

    fn link(&self, part: &str, name: &str) -> rustix::io::Result<()> {
        rustix::fs::linkat(&self.folder, part, &self.folder, name, AtFlags::empty())?;
        rustix::fs::unlinkat(&self.folder, part, AtFlags::empty())
    }

    /// Fails unless this name in the folder is that of the open file.
    fn check_is(&self, part: &Part, name: &str) -> Result<(), FetchFailure> {
        let open = part.file.metadata().map_err(|error| self.failed(&error))?;
        let named = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_same =
            named.is_ok_and(|named| (named.st_dev, named.st_ino) == (open.dev(), open.ino()));
        match is_same {
            true => Ok(()),
            false => Err(refused(&self.path.join(name), "another file took its place")),
        }
    }

    fn exists(&self) -> FetchFailure {
        refused(&self.path.join(&self.name), "there is a file of that name already")
    }

    fn failed(&self, error: &io::Error) -> FetchFailure {
        failed(&self.path.join(&self.name), error)
    }
}

impl Part {
    /// Locks the part. Returns false if an earlier attempt has not let it go yet.
    pub(super) fn lock(&self) -> bool {
        let operation = FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&self.file, operation).is_ok()
    }

    /// Returns the number of chunks at the beginning that match their hashes.
    pub(super) async fn verified_chunks(
        &self,
        hashes: &HashList,
        info: &FileInfo,
    ) -> io::Result<u64> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES as usize);
        for number in 0..info.chunks() {
            chunk.clear();
            (&self.file).take(info.chunk_bytes(number) as u64).read_to_end(&mut chunk)?;
            let is_whole = chunk.len() == info.chunk_bytes(number);
            if !is_whole || hashes.hash(number) != Some(FileHash::of(&chunk)) {
                return Ok(number);
            }
            // The attempt may have been given up.
            yield_now().await;
        }
        Ok(info.chunks())
    }

    /// Returns the identity of the file as it is now.
    pub(super) fn id(&self) -> io::Result<PartId> {
        let metadata = self.file.metadata()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Ok(PartId { device: metadata.dev(), inode: metadata.ino(), changed })
    }

    /// Returns the size of the part.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Cuts the part to this size.
    pub(super) fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    /// Writes a chunk.
    pub(super) fn write(&self, chunk: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, chunk * CHUNK_BYTES)?;
        if (chunk + 1).is_multiple_of(CHUNKS_AT_ONCE) {
            // The disk begins to work now, so that the sync at the end is short. A system that can't do that loses nothing.
            let start = (chunk + 1 - CHUNKS_AT_ONCE) * CHUNK_BYTES;
            let length = NonZero::new(CHUNKS_AT_ONCE * CHUNK_BYTES);
            let _ = rustix::fs::fadvise(&self.file, start, length, Advice::DontNeed);
        }
        Ok(())
    }
}

/// Deletes a part, if there is one at that path.
pub(crate) fn delete(part: &Path) {
    let is_part = part.as_os_str().as_bytes().ends_with(PART.as_bytes());
    let is_file = fs::symlink_metadata(part).is_ok_and(|metadata| metadata.is_file());
    if is_part && is_file {
        // If that fails, the user finds it in the folder.
        let _ = fs::remove_file(part);
    }
}

fn failed(path: &Path, error: &io::Error) -> FetchFailure {
    match is_full(error) {
        true => FetchFailure::DiskFull { needed: 0, free: 0 },
        false => refused(path, &error.to_string()),
    }
}

fn refused(path: &Path, why: &str) -> FetchFailure {
    FetchFailure::File { path: path.to_owned(), why: why.to_owned() }
}
