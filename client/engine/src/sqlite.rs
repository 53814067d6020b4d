//! The files of an SQLite database, and its errors.
//!
//! The files are created for their owner alone, and refused if others have access to them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use letschat_flags::files;
use rusqlite::ErrorCode;

/// The suffixes of the files that SQLite keeps beside a database.
pub(crate) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// The permission bits of the group and of others.
const OF_OTHERS: u32 = 0o077;

/// A file that can't be used.
pub(crate) struct Refused {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// The reason for which a database can't be used: a clause that can follow "because".
pub(crate) enum Trouble {
    /// It is damaged, or holds something else.
    Content(String),
    /// It can't be opened, read or written now.
    Unusable(String),
}

impl Trouble {
    pub(crate) fn of(error: &rusqlite::Error) -> Trouble {
        let unusable = |reason: &str| Trouble::Unusable(reason.into());
        if let rusqlite::Error::FromSqlConversionFailure(_, _, reason) = error {
            return Trouble::Content(format!("it holds something else ({reason})"));
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Trouble::Content("it is no SQLite file".into()),
            Some(ErrorCode::DatabaseCorrupt) => {
                Trouble::Content(format!("it is damaged ({error})"))
            }
            // The general code stands for a missing table or column.
            Some(ErrorCode::Unknown | ErrorCode::TooBig) | None => {
                Trouble::Content(format!("it holds something else ({error})"))
            }
            Some(ErrorCode::DatabaseBusy) => unusable("another program is using it"),
            Some(ErrorCode::DiskFull) => unusable("the disk is full"),
            Some(ErrorCode::ReadOnly) => unusable("it can't be written"),
            Some(_) => unusable(&error.to_string()),
        }
    }
}

/// Creates the file if it is missing, and checks it and its companions. Returns its path without symbolic links.
///
/// All of this precedes SQLite: closing another descriptor of a file would release SQLite's locks on it.
pub(crate) fn open_or_make(top: &Path, path: &Path) -> Result<PathBuf, Refused> {
    let refused = |path: &Path, error| Refused { path: path.to_owned(), error };
    let real_path = make(top, path).map_err(|error| refused(path, error))?;
    for suffix in COMPANIONS {
        let companion = with_suffix(&real_path, suffix);
        check_companion(&companion).map_err(|error| refused(&companion, error))?;
    }
    Ok(real_path)
}

fn make(top: &Path, path: &Path) -> io::Result<PathBuf> {
    files::refuse_replaceable(top, path)?;
    let is_missing = !path.try_exists()?;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(files::PRIVATE_FILE);
    refuse_access_of_others(path, &files::open(path, &mut options)?)?;
    let real_path = fs::canonicalize(path)?;
    if is_missing && let Some(folder) = real_path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(real_path)
}

fn check_companion(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        files::refuse_replaceable(folder, path)?;
    }
    match files::open_existing(path)? {
        Some(file) => refuse_access_of_others(path, &file),
        None => Ok(()),
    }
}

/// Refuses a file that others can read or change. SQLite gives new companions the permissions of the database.
fn refuse_access_of_others(path: &Path, file: &File) -> io::Result<()> {
    let mode = file.metadata()?.mode() & 0o777;
    if mode & OF_OTHERS == 0 {
        return Ok(());
    }
    let sentence = format!(
        "others have access to it (mode {mode:04o}); `chmod 600 {}` ends that",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence))
}

/// Returns the path of a companion.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}
