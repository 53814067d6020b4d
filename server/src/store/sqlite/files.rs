//! The files of a database: created for their owner alone, locked by one server, and watched while
//! open.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use letschat_flags::files;
use rusqlite::Connection;

use super::unusable;
use crate::store::StoreError;

/// The suffixes of SQLite's write-ahead log and that log's index.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// A server's lock on a database file. The kernel releases it when the process ends in any way.
///
/// The file itself is locked, so that no other path bypasses the lock: no symbolic link, no hard
/// link, no second mount. SQLite's own locks, on bytes of the file, are of another kind.
#[derive(Debug)]
pub struct Lock {
    /// Kept open: closing any descriptor of the file would release this process's SQLite locks.
    _file: File,
}

impl Lock {
    /// Locks the file. Creates it, for its owner alone, if it is missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] while another server holds the lock.
    pub fn take(path: &Path) -> Result<Lock, StoreError> {
        let file = open_or_make(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::InUse("another server is using it".into()))
            }
            Err(TryLockError::Error(error)) => {
                let remedy = "choose a database elsewhere with --store";
                Err(unusable(path, &files::refused_lock(error, remedy)))
            }
        }
    }
}

/// Opens the file, or creates an empty one for its owner alone.
pub(super) fn open_or_make(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    files::open(&absolute(path)?, &mut options).map_err(|error| unusable(path, &error))
}

/// Refuses files that SQLite would open and then block on, such as a FIFO.
pub(super) fn refuse_irregular(path: &Path) -> Result<(), StoreError> {
    let real = absolute(path)?;
    // SQLite follows symbolic links before it appends its suffixes.
    let real = fs::canonicalize(&real).unwrap_or(real);
    let companions = COMPANIONS.into_iter().chain(["-journal"]);
    let names = companions.map(|suffix| with_suffix(&real, suffix));
    for path in [real.clone()].into_iter().chain(names) {
        files::refuse_irregular(&path).map_err(|error| unusable(&path, &error))?;
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the path absolute. SQLite's names for in-memory databases are relative, so an absolute
/// path is a file.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|error| unusable(path, &error))
}

/// The files of an open database, as they were when it was opened.
///
/// SQLite continues to write to a file that was removed or replaced, and acknowledges commits that
/// are lost. Every commit is therefore preceded by a [`check`](Files::check).
#[derive(Debug)]
pub(super) struct Files(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// The length at the last check, in bytes.
    length: u64,
}

impl Files {
    /// Records the files of a database. It has been read already, so that all of them exist.
    pub(super) fn of(connection: &Connection, path: &Path) -> Result<Files, StoreError> {
        let path = absolute(path)?;
        refuse_second_name(&path)?;
        let real = fs::canonicalize(&path).map_err(|error| unusable(&path, &error))?;
        let real = connection.path().map_or(real, PathBuf::from);
        let companions = COMPANIONS.into_iter().map(|suffix| with_suffix(&real, suffix));
        let files = [path].into_iter().chain(companions).map(Watched::new);
        let files: Vec<Watched> = files.collect::<Result<_, _>>()?;
        Ok(Files(files))
    }

    /// Checks that the files are still the opened ones and have not become shorter.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the file. Restoring the same file resolves the error.
    pub(super) fn check(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let lengths =
            self.0.iter().map(Watched::length_now).collect::<Result<Vec<u64>, StoreError>>()?;
        let shrunk = self.0.iter().zip(&lengths).find(|(file, length)| **length < file.length);
        if let Some((file, _)) = shrunk
            && !is_whole(connection)
        {
            let path = file.path.display();
            return Err(StoreError::Database(format!(
                "{path} was cut short while it was open; stop the server and bring back a copy"
            )));
        }
        for (file, length) in self.0.iter_mut().zip(lengths) {
            file.length = length;
        }
        Ok(())
    }
}

impl Watched {
    fn new(path: PathBuf) -> Result<Watched, StoreError> {
        let found = fs::metadata(&path).map_err(|error| unusable(&path, &error))?;
        let (device, inode, length) = (found.dev(), found.ino(), found.len());
        Ok(Watched { path, device, inode, length })
    }

    fn length_now(&self) -> Result<u64, StoreError> {
        let path = self.path.display();
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Ok(found.len()),
            Ok(_) => Err(StoreError::Database(format!(
                "{path} is not the file that was opened; nothing is kept until that one is back \
                 or the server is started again"
            ))),
            Err(error) => Err(StoreError::Database(format!(
                "{path} was taken away while it was open ({error}); nothing is kept until it is \
                 back or the server is started again"
            ))),
        }
    }
}

/// Refuses a file with several hard links. SQLite keeps a write-ahead log for each name, and data
/// in one is missing in the others.
fn refuse_second_name(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(found) if found.nlink() > 1 => Err(StoreError::Database(format!(
            "{} has a second name, a hard link, through which it could be damaged; remove that \
             name or put a copy in its place",
            path.display()
        ))),
        Ok(_) => Ok(()),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// Lets SQLite check a database after one of its files became shorter. `VACUUM` and a checkpoint by
/// another program may shorten it and leave it whole.
fn is_whole(connection: &Connection) -> bool {
    let judged = || {
        // Cached pages must not hide that pages on disk are gone.
        connection.execute_batch("PRAGMA shrink_memory")?;
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    };
    judged().is_ok_and(|judgement: String| judgement == "ok")
}
