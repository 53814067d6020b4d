//! Small files that only their owner can access. They are written whole or not at all, and read up
//! to a limit.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use letschat_flags::files;
use rustix::fs::{Access, access};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The limit of a file. The client never writes a larger one.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Opens a file to append lines.
pub fn open_append(path: &Path) -> io::Result<File> {
    files::open(path, OpenOptions::new().create(true).append(true).mode(files::PRIVATE_FILE))
}

/// Returns the content of a file, or `None` if there is no such file.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    files::read(path, MAX_FILE_BYTES)
}

/// Returns the content of a secret in the folder `top` or below, or `None` if there is no such
/// file. A file that others can read or change is refused.
pub(crate) fn read_secret(top: &Path, path: &Path) -> io::Result<Option<Vec<u8>>> {
    files::read_secret(top, path, MAX_FILE_BYTES)
}

/// Returns the whole lines in the last 4 MiB of a growing file, and whether others precede them.
pub fn read_last_lines(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let Some(mut file) = files::open_existing(path)? else { return Ok((Vec::new(), false)) };
    let before = file.metadata()?.len().saturating_sub(MAX_FILE_BYTES);
    file.seek(SeekFrom::Start(before))?;
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut content)?;
    if before > 0 {
        let end = content.iter().position(|byte| *byte == b'\n');
        content.drain(..end.map_or(content.len(), |end| end + 1));
    }
    Ok((content, before > 0))
}

/// Creates a folder if it is missing, and checks that files can be created in it.
pub(crate) fn create_usable_folder(path: &Path) -> io::Result<()> {
    files::create_private_folder(path)?;
    Ok(access(path, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Reads a value from a JSON file, or returns its default if there is no such file. The error
/// [`InvalidData`](io::ErrorKind::InvalidData) means that the file holds something else.
pub fn read_json<T: DeserializeOwned + Default>(path: &Path) -> io::Result<T> {
    match read(path)? {
        None => Ok(T::default()),
        Some(content) => Ok(serde_json::from_slice(&content)?),
    }
}

/// Writes a value as a JSON file that people can read.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut content = serde_json::to_vec_pretty(value)?;
    content.push(b'\n');
    files::write_private(path, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    #[test]
    fn a_write_that_was_cut_short_does_not_block_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.json");
        fs::write(folder.path().join("peers.json.new"), b"{\"half").unwrap();
        write_json(&path, &BTreeMap::from([("bob", 1)])).unwrap();
        let peers: BTreeMap<String, u32> = read_json(&path).unwrap();
        assert_eq!(peers["bob"], 1);
    }

    #[test]
    fn what_is_missing_is_empty_and_what_is_broken_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        let missing: BTreeMap<String, u32> = read_json(&path).unwrap();
        assert!(missing.is_empty());
        for broken in [&b""[..], b"{", b"[1]", b"\xff"] {
            fs::write(&path, broken).unwrap();
            assert!(read_json::<BTreeMap<String, u32>>(&path).is_err(), "{broken:?}");
        }
        fs::write(&path, vec![b' '; MAX_FILE_BYTES as usize + 1]).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
