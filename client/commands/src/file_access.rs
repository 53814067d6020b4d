//! The places on this machine where a command may read and write files.

use std::env;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::failure::Failure;
use letschat_core::codes::FailureCode;

/// The places for files: anywhere for a person, and below some folders for a script or a plugin.
#[derive(Debug, Clone, Default)]
pub enum FileAccess {
    /// Anywhere. A path that begins with `~/` is in the user's home folder.
    #[default]
    Anywhere,
    /// In these folders and below them. Fetched files go into the first one.
    Below(Arc<[PathBuf]>),
}

impl FileAccess {
    /// Returns the absolute path of a file to send.
    pub(crate) fn source(&self, path: &str) -> Result<PathBuf, Failure> {
        match self {
            FileAccess::Anywhere => absolute(path).map(|literal| match literal.exists() {
                true => Ok(literal),
                false => absolute(&unquoted(path)),
            })?,
            FileAccess::Below(folders) => resolved(folders, path, fs::canonicalize(path)),
        }
    }

    /// Returns the absolute path at which to save a file, or `None` for the usual folder.
    pub(crate) fn target(&self, path: Option<&str>) -> Result<Option<PathBuf>, Failure> {
        match (self, path) {
            (FileAccess::Anywhere, path) => path.map(|path| absolute(&unquoted(path))).transpose(),
            (FileAccess::Below(folders), None) => {
                folders.first().cloned().map(Some).ok_or_else(forbidden)
            }
            (FileAccess::Below(folders), Some(path)) => {
                resolved(folders, path, canonical_target(Path::new(path))).map(Some)
            }
        }
    }
}

/// Resolves the links in a path whose last component need not exist.
fn canonical_target(path: &Path) -> io::Result<PathBuf> {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Ok(path), ..) => Ok(path),
        (Err(_), Some(folder), Some(name)) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            Ok(fs::canonicalize(folder)?.join(name))
        }
        (Err(error), ..) => Err(error),
    }
}

/// Checks a path whose links were resolved. All other paths give one error, so that a script can't probe for files.
fn resolved(
    folders: &[PathBuf],
    path: &str,
    resolved: io::Result<PathBuf>,
) -> Result<PathBuf, Failure> {
    match resolved {
        Ok(resolved) if is_below(folders, &resolved) => Ok(resolved),
        Err(error) if is_plainly_below(folders, path) => Err(unusable(path, &error)),
        Ok(_) | Err(_) => Err(forbidden()),
    }
}

/// Returns true for a path below one of the folders that has no `..` and no link.
fn is_plainly_below(folders: &[PathBuf], path: &str) -> bool {
    let is_plain = Path::new(path).components().all(|part| part != Component::ParentDir);
    let folder = std::path::absolute(path).ok().and_then(|path| Some(path.parent()?.to_owned()));
    let is_below = |folder: PathBuf| {
        is_below(folders, &folder) && fs::canonicalize(&folder).is_ok_and(|real| real == folder)
    };
    is_plain && folder.is_some_and(is_below)
}

fn is_below(folders: &[PathBuf], path: &Path) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

/// Returns a path without the quotes or backslashes of a shell, as dragging a file into a terminal types them.
fn unquoted(path: &str) -> String {
    let inner = |quote| path.strip_prefix(quote).and_then(|path| path.strip_suffix(quote));
    match inner('\'').or_else(|| inner('"')) {
        Some(inner) => inner.to_owned(),
        None => path.replace("\\ ", " "),
    }
}

fn absolute(path: &str) -> Result<PathBuf, Failure> {
    let at_home = path.strip_prefix("~/").zip(env::var_os("HOME"));
    let path = match at_home {
        Some((rest, home)) => Path::new(&home).join(rest),
        None => PathBuf::from(path),
    };
    std::path::absolute(&path).map_err(|error| unusable(&path.display().to_string(), &error))
}

fn unusable(path: &str, error: &io::Error) -> Failure {
    Failure::new(FailureCode::File, format!("{path} can't be used: {error}."))
}

fn forbidden() -> Failure {
    Failure::new(
        FailureCode::FileForbidden,
        "A script or plugin uses files only in the folders that its user names with --files.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn code(result: Result<PathBuf, Failure>) -> FailureCode {
        result.unwrap_err().code
    }

    #[test]
    fn script_stays_below_its_folders() {
        let top = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(top.path()).unwrap();
        let (shared, secret) = (top.join("shared"), top.join("shared-not"));
        fs::create_dir(&shared).unwrap();
        fs::create_dir(&secret).unwrap();
        fs::write(shared.join("a"), "a").unwrap();
        fs::write(secret.join("b"), "b").unwrap();
        symlink(&secret, shared.join("link")).unwrap();
        symlink(secret.join("new"), shared.join("dangling")).unwrap();
        let access = FileAccess::Below([shared.clone()].into());
        let at = |path: &str| shared.join(path).display().to_string();

        assert_eq!(access.source(&at("a")).unwrap(), shared.join("a"));
        for path in ["link/b", "link/missing", "../shared-not/b", "../shared-not/missing"] {
            assert_eq!(code(access.source(&at(path))), FailureCode::FileForbidden, "{path}");
        }
        assert_eq!(code(access.source(&at("missing"))), FailureCode::File);
        assert_eq!(code(access.source("/etc/missing")), FailureCode::FileForbidden);
        let target = |path: &str| access.target(Some(&at(path))).map(Option::unwrap);
        assert_eq!(target("new").unwrap(), shared.join("new"));
        assert_eq!(access.target(None).unwrap(), Some(shared.clone()));
        for path in ["link", "link/new", "../new", "../shared-not/new", "../../new"] {
            assert_eq!(code(target(path)), FailureCode::FileForbidden, "{path}");
        }
        // Nothing is written through a link: the file is created, never opened.
        assert_eq!(target("dangling").unwrap(), shared.join("dangling"));
        let none = FileAccess::Below([].into());
        assert_eq!(code(none.source(&at("a"))), FailureCode::FileForbidden);
        assert!(none.target(None).is_err());
    }

    #[test]
    fn person_goes_anywhere() {
        let access = FileAccess::Anywhere;
        assert_eq!(access.source("/a/b").unwrap(), Path::new("/a/b"));
        assert!(access.source("b").unwrap().is_absolute());
        assert_eq!(access.target(None).unwrap(), None);
        for quoted in ["'/a b'", "\"/a b\"", "/a\\ b", "/a b"] {
            assert_eq!(access.source(quoted).unwrap(), Path::new("/a b"), "{quoted}");
            assert_eq!(access.target(Some(quoted)).unwrap(), Some("/a b".into()), "{quoted}");
        }
        if let Some(home) = env::var_os("HOME") {
            assert_eq!(access.source("~/x").unwrap(), Path::new(&home).join("x"));
        }
    }
}
