//! A socket in the file system that its owner alone can use.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

/// The connections that wait in the kernel.
const BACKLOG: i32 = 64;

/// The name of a socket. It is removed at the end, if it is still that of this socket.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file.
    id: (u64, u64),
}

impl SocketFile {
    /// Binds a socket, which takes the place of one at which nobody listens.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody listens there, `AlreadyExists` for a file that is no socket, and those of the system.
    pub(super) fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
        expect_nobody(path)?;
        // Under its own name the socket is whole from the start.
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}", std::process::id()));
        let new = PathBuf::from(new);
        remove_socket(&new)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        socket.bind(&SockAddr::unix(&new)?)?;
        let renamed = socket.listen(BACKLOG).and_then(|()| {
            let there = fs::symlink_metadata(&new)?;
            fs::rename(&new, path)?;
            socket.set_nonblocking(true)?;
            Ok((there.dev(), there.ino()))
        });
        match renamed {
            Ok(id) => Ok((socket.into(), SocketFile { path: path.to_owned(), id })),
            Err(error) => {
                remove_socket(&new)?;
                Err(error)
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = |there: fs::Metadata| (there.dev(), there.ino()) == self.id;
        if fs::symlink_metadata(&self.path).is_ok_and(is_own) {
            // The system may refuse it, which leaves a socket at which nobody listens.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Checks that nobody listens there, and that there is no other file.
fn expect_nobody(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(there) if !there.file_type().is_socket() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(_) => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Somebody whose queue is full listens, too.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?).map_err(|error| error.kind()) {
        Err(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Ok(()) | Err(io::ErrorKind::WouldBlock) => Err(io::ErrorKind::AddrInUse.into()),
        Err(other) => Err(other.into()),
    }
}

/// Removes what an earlier process has left.
fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixDatagram;

    fn refused(path: &Path) -> io::ErrorKind {
        SocketFile::bind(path).unwrap_err().kind()
    }

    #[test]
    fn socket_is_for_its_owner_and_takes_the_place_of_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.sock");
        for _ in 0..2 {
            let (listener, file) = SocketFile::bind(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(refused(&path), io::ErrorKind::AddrInUse);
            // As a crash leaves it.
            std::mem::forget(file);
            drop(listener);
        }
        let (_listener, file) = SocketFile::bind(&path).unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn somebody_elses_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.sock");
        fs::write(&path, "a file").unwrap();
        assert_eq!(refused(&path), io::ErrorKind::AlreadyExists);
        fs::remove_file(&path).unwrap();
        let _other_kind = UnixDatagram::bind(&path).unwrap();
        SocketFile::bind(&path).unwrap_err();
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        let (_first, file) = SocketFile::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = SocketFile::bind(&path).unwrap();
        drop(file);
        assert!(path.exists(), "the second one's");
    }
}
