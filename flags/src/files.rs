//! Files that a program keeps, opened without blocking and protected from other users.
//!
//! Opening a FIFO waits for its other end, and reading a device may never end. A program therefore
//! accepts only regular files for the files it owns. A file that a user names, such as a password
//! file, may be a pipe (`<(pass show chat)`) and is not opened here.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

/// Readable and writable by the owner alone.
pub const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
/// The permission bits of the group and of others.
const OF_OTHERS: u32 = 0o077;
/// The sticky bit: everybody may write to the folder, but only owners may delete their files.
const STICKY: u32 = 0o1000;
const WRITABLE_BY_ALL: u32 = 0o002;

/// The most symbolic links to follow to a file, as on Linux.
const MAX_LINKS: usize = 40;

/// Opens a regular file without blocking.
///
/// # Errors
///
/// Anything but a regular file is an error of the kind [`InvalidData`](ErrorKind::InvalidData).
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Check before opening: opening some devices has side effects.
    refuse_irregular(path)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// Refuses anything but a regular file that another library will open. A file that is missing or
/// can't be examined passes, so that the library reports it.
///
/// # Errors
///
/// The same as [`open`].
pub fn refuse_irregular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(irregular()),
        _ => Ok(()),
    }
}

/// Opens a lock file, creating it for its owner alone if it is missing. Its content is unused.
///
/// # Errors
///
/// The same as [`open`], but naming the lock file, since callers report its folder.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(PRIVATE_FILE);
    open(path, &mut options).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => {
            let sentence = format!("{} is no regular file", path.display());
            io::Error::new(ErrorKind::InvalidData, sentence)
        }
        _ => error,
    })
}

/// Creates a folder and its missing parents, accessible to their owner alone.
///
/// # Errors
///
/// Fails if a file has that name or the folder can't be created.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(path)
}

/// Writes a file for its owner alone, atomically: after a power failure it holds either the old
/// content or the new one.
///
/// # Errors
///
/// Fails if the file or the temporary one beside it, whose name ends in `.new`, can't be written. A device such as
/// `/dev/null` is no file: a user with all rights would replace the device itself.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    refuse_irregular(path)?;
    let unfinished = path.with_added_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(PRIVATE_FILE).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    // The rename is durable only once the folder is synced as well.
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Returns true if locking failed because the file system has no locks.
#[must_use]
pub fn has_no_locks(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS))
}

/// Explains a failed lock, and adds `remedy` if the file system has no locks.
#[must_use]
pub fn refused_lock(error: io::Error, remedy: &str) -> io::Error {
    if !has_no_locks(&error) {
        return error;
    }
    io::Error::new(error.kind(), format!("its file system has no locks ({error}); {remedy}"))
}

/// Opens a regular file for reading, or returns `None` if there is no such file.
///
/// # Errors
///
/// The same as [`open`].
pub fn open_existing(path: &Path) -> io::Result<Option<File>> {
    found(open(path, OpenOptions::new().read(true)))
}

/// Returns the content of a regular file, or `None` if there is no such file.
///
/// # Errors
///
/// The same as [`open`], and an error of the same kind for a file of more than `max_bytes`.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    open_existing(path)?.map(|file| content(file, max_bytes)).transpose()
}

/// Returns the content of a secret file in the folder `top` or below, or `None` if there is no such
/// file.
///
/// # Errors
///
/// The same as [`read`]. Like ssh, refuses a file that others can read or change, and one that they
/// [can replace](refuse_replaceable).
pub fn read_secret(top: &Path, path: &Path, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    refuse_replaceable(top, path)?;
    let Some(file) = open_existing(path)? else { return Ok(None) };
    let mode = file.metadata()?.mode() & 0o777;
    if mode & OF_OTHERS != 0 {
        return Err(refused(format!(
            "others have access to this key (mode {mode:04o}); `chmod 600 {}` ends that",
            path.display()
        )));
    }
    content(file, max_bytes).map(Some)
}

/// Refuses a file in the folder `top` or below that everybody can replace. Checks the folders from
/// `top` down to the file, and those on the way to the target of each link.
///
/// # Errors
///
/// Returns a sentence that says how to fix the permissions. A missing file or folder is no error.
pub fn refuse_replaceable(top: &Path, path: &Path) -> io::Result<()> {
    let entries = path.ancestors().take_while(|entry| *entry != top && entry.starts_with(top));
    entries.map(Path::to_owned).try_for_each(|mut entry| {
        for links in 0..MAX_LINKS {
            let folder = match entry.parent() {
                Some(parent) if parent != "" => parent,
                _ => Path::new("."),
            };
            refuse_entry_of_all(folder, &entry)?;
            // The user chose `top`; a link may lead anywhere.
            if links > 0 {
                let real = found(fs::canonicalize(folder))?.unwrap_or_default();
                let mut ways = real.ancestors().filter_map(|way| Some((way.parent()?, way)));
                ways.try_for_each(|(parent, way)| refuse_entry_of_all(parent, way))?;
            }
            let Ok(target) = fs::read_link(&entry) else { break };
            entry = folder.join(target);
        }
        Ok(())
    })
}

/// Refuses a folder in which everybody can replace the files of others.
///
/// # Errors
///
/// Returns a sentence that says how to fix the permissions. A missing folder is no error.
pub fn refuse_folder_of_all(path: &Path) -> io::Result<()> {
    match found(fs::metadata(path))? {
        Some(folder) if folder.mode() & (STICKY | WRITABLE_BY_ALL) == WRITABLE_BY_ALL => {
            let path = path.display();
            Err(refused(format!(
                "everybody may change what is in {path}; `chmod go-w {path}` ends that"
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses an entry that another user may have planted. In a folder like /tmp, others can't replace
/// a file, but they can be the first to create it.
fn refuse_entry_of_all(folder: &Path, entry: &Path) -> io::Result<()> {
    refuse_folder_of_all(folder)?;
    let (Some(holding), Some(held)) =
        (found(fs::metadata(folder))?, found(fs::symlink_metadata(entry))?)
    else {
        return Ok(());
    };
    if is_planted(&holding, held.uid(), geteuid().as_raw()) {
        return Err(refused(format!(
            "{} is not yours, and everybody may make files in {}; choose another folder",
            entry.display(),
            folder.display()
        )));
    }
    Ok(())
}

/// Returns true if everybody may write to the folder, and the entry belongs to neither this user,
/// root nor the folder's owner. The last two need not plant one.
fn is_planted(folder: &Metadata, owner: u32, user: u32) -> bool {
    folder.mode() & WRITABLE_BY_ALL != 0 && ![user, 0, folder.uid()].contains(&owner)
}

fn irregular() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "it is no regular file")
}

fn content(file: File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut content)?;
    if content.len() as u64 > max_bytes {
        return Err(io::Error::new(ErrorKind::InvalidData, "the file is far too large"));
    }
    Ok(content)
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn refused(sentence: String) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn device_is_not_replaced_by_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mkfifoat(CWD, &path, Mode::RUSR).unwrap();
        assert!(write_private(&path, b"content").is_err());
        assert!(!fs::metadata(&path).unwrap().is_file());
    }

    #[test]
    fn folders_and_files_are_their_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        create_private_folder(&folder).unwrap();
        let path = folder.join("key");
        write_private(&path, b"first").unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&parent.path().join("a")), 0o700);
        assert_eq!(mode(&path), PRIVATE_FILE);
    }

    #[test]
    fn file_system_without_locks_is_told_with_a_remedy() {
        let told = |error: Errno| refused_lock(error.into(), "go elsewhere").to_string();
        let expected =
            "its file system has no locks (No locks available (os error 37)); go elsewhere";
        assert_eq!(told(Errno::NOLCK), expected);
        assert_eq!(told(Errno::ACCESS), "Permission denied (os error 13)");
    }

    #[test]
    fn anything_but_a_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
        mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        symlink(&fifo, &link).unwrap();
        let others = [&fifo, &socket, &link, Path::new("/dev/zero"), folder.path()];
        for path in others {
            let mut writing = OpenOptions::new();
            writing.append(true).create(true);
            for options in [OpenOptions::new().read(true), &mut writing] {
                let error = open(path, options).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{}", path.display());
                assert_eq!(error.to_string(), "it is no regular file");
            }
        }
        let error = open_lock(&fifo).unwrap_err().to_string();
        assert_eq!(error, format!("{} is no regular file", fifo.display()));
        let file = folder.path().join("file");
        assert_eq!(read(&file, 4).unwrap(), None);
        fs::write(&file, "four").unwrap();
        assert_eq!(read(&file, 4).unwrap().unwrap(), b"four");
        assert_eq!(read(&file, 3).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn each_folder_down_to_a_secret_has_to_be_safe() {
        let top = tempfile::tempdir().unwrap();
        let (upper, lower) = (top.path().join("a"), top.path().join("a/b"));
        fs::create_dir_all(&lower).unwrap();
        let key = lower.join("key");
        assert_eq!(read_secret(top.path(), &key, 9).unwrap(), None);
        fs::write(&key, "key").unwrap();
        set(&key, 0o600);
        for folder in [top.path(), &upper, &lower] {
            set(folder, 0o777);
            let error = read_secret(top.path(), &key, 9).unwrap_err().to_string();
            assert!(error.contains(&format!("`chmod go-w {}`", folder.display())), "{error}");
            for mode in [0o1777, 0o775, 0o755] {
                set(folder, mode);
                assert!(read_secret(top.path(), &key, 9).unwrap().is_some(), "{mode:o}");
            }
        }
    }

    #[test]
    fn folders_behind_links_to_a_secret_have_to_be_safe() {
        let top = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (near, far) = (elsewhere.path().join("near"), elsewhere.path().join("far"));
        fs::create_dir_all(&near).unwrap();
        fs::create_dir_all(far.join("sub")).unwrap();
        fs::write(far.join("key"), "key").unwrap();
        set(&far.join("key"), 0o600);
        fs::copy(far.join("key"), far.join("sub/key")).unwrap();
        symlink(far.join("sub/key"), top.path().join("deep")).unwrap();
        // A link to a link, and a link to the folder.
        symlink("../far/key", near.join("link")).unwrap();
        symlink(near.join("link"), top.path().join("key")).unwrap();
        symlink(far.join("sub"), top.path().join("sub")).unwrap();
        let read = |name| read_secret(top.path(), &top.path().join(name), 9);
        assert!(read("key").unwrap().is_some() && read("sub/key").unwrap().is_some());
        for (folder, name) in [(&near, "key"), (&far, "key"), (&far, "sub/key"), (&far, "deep")] {
            set(folder, 0o777);
            assert_eq!(read(name).unwrap_err().kind(), ErrorKind::PermissionDenied, "{name}");
            set(folder, 0o755);
        }
    }

    #[test]
    fn file_of_a_stranger_in_a_folder_of_all_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let planted = |owner, user| is_planted(&fs::metadata(folder.path()).unwrap(), owner, user);
        let (folders_owner, user, stranger) = (geteuid().as_raw(), 70_001, 70_002);
        set(folder.path(), 0o1777);
        assert!(planted(stranger, user));
        for owner in [user, 0, folders_owner] {
            assert!(!planted(owner, user), "{owner}");
        }
        set(folder.path(), 0o755);
        assert!(!planted(stranger, user));
    }

    #[test]
    fn secret_that_others_can_read_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let key = top.path().join("key");
        fs::write(&key, "key").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
            set(&key, mode);
            let error = read_secret(top.path(), &key, 9).unwrap_err().to_string();
            assert!(error.contains(&format!("`chmod 600 {}`", key.display())), "{error}");
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        }
        for mode in [0o600, 0o400] {
            set(&key, mode);
            assert_eq!(read_secret(top.path(), &key, 9).unwrap().unwrap(), b"key");
        }
    }
}
