//! The folder of the server's persistent files, and the lock that keeps a second server out.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use letschat_flags::files;

/// A data folder, locked by this server.
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: Lock,
}

/// A lock held until the value is dropped. The kernel releases it when the process dies in any way,
/// so a leftover lock file locks nobody out.
struct Lock {
    _file: File,
}

/// The reason why a lock was not acquired.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another server holds the lock.
    Taken,
    /// The lock file can't be opened or locked.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        LockError::Io(error)
    }
}

impl Lock {
    fn take(path: &Path) -> Result<Lock, LockError> {
        let file = files::open_lock(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken),
            Err(TryLockError::Error(error)) => Err(LockError::Io(files::refused_lock(
                error,
                "choose a folder elsewhere with --data",
            ))),
        }
    }
}

/// Creates the folder, for its owner alone, if it is missing. Refuses one in which everybody can
/// replace the files of others.
pub fn make(path: &Path) -> io::Result<()> {
    match files::create_private_folder(path) {
        // "File exists" would not name the actual fault.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(ErrorKind::NotADirectory.into())
        }
        made => made.and_then(|()| files::refuse_folder_of_all(path)),
    }
}

impl DataFolder {
    /// Creates the folder if it is missing and locks it.
    pub(crate) fn open(path: &Path) -> Result<DataFolder, LockError> {
        make(path)?;
        let lock = Lock::take(&path.join("server.lock"))?;
        Ok(DataFolder { path: path.to_owned(), _lock: lock })
    }

    /// Returns the folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in the folder, which need not exist.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file for its owner alone, atomically even at a power failure.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        files::write_private(&self.file(name), content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn folder_that_everybody_may_change_is_refused() {
        let path = tempfile::tempdir().unwrap();
        let set =
            |mode| fs::set_permissions(path.path(), fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o777, 0o707, 0o702] {
            set(mode);
            let Err(LockError::Io(error)) = DataFolder::open(path.path()) else {
                panic!("{mode:o}")
            };
            let mend = format!("`chmod go-w {}`", path.path().display());
            assert!(error.to_string().contains(&mend), "{error}");
        }
        for mode in [0o1777, 0o775, 0o755] {
            set(mode);
            assert!(DataFolder::open(path.path()).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_folder_has_one_server_at_a_time() {
        let path = tempfile::tempdir().unwrap();
        let first = DataFolder::open(path.path()).unwrap();
        assert!(matches!(DataFolder::open(path.path()), Err(LockError::Taken)));
        drop(first);
        assert!(DataFolder::open(path.path()).is_ok());
    }
}
