//! The passwords of a database and of a cluster's bell, from a variable or a file, and never from a flag.

use std::env::{self, VarError};
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use letschat_protocol::dialogue::Secret;
use letschat_protocol::text::without_marks;
use zeroize::Zeroizing;

/// The largest password file, in bytes.
const MAX_PASSWORD_FILE_BYTES: u64 = 4 * 1024;

/// The places of a password. There is no flag for the password itself, since other users can read flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// The user of the password, as a noun.
    pub(super) what: &'static str,
    /// The variable with the password.
    pub(super) variable: &'static str,
    /// The flag that names a file.
    pub(super) flag: &'static str,
}

/// A password that can't be used.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("the {what}'s password is both in {variable} and in {flag}")]
    Two { what: &'static str, variable: &'static str, flag: &'static str },
    #[error("{0} is not UTF-8")]
    Encoding(&'static str),
    #[error("can't read the {what}'s password from {path}, which {flag} names: {source}")]
    File { what: &'static str, flag: &'static str, path: PathBuf, source: io::Error },
}

impl Places {
    /// Returns the password, if one is given.
    pub(super) fn password(self, file: Option<&Path>) -> Result<Option<Secret>, PasswordError> {
        let given = match env::var(self.variable) {
            Ok(password) => Some(Secret(password)).filter(|given| !given.0.is_empty()),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => return Err(PasswordError::Encoding(self.variable)),
        };
        self.choose(given, file)
    }

    fn choose(
        self,
        given: Option<Secret>,
        file: Option<&Path>,
    ) -> Result<Option<Secret>, PasswordError> {
        let Places { what, variable, flag } = self;
        match (given, file) {
            (Some(_), Some(_)) => Err(PasswordError::Two { what, variable, flag }),
            // A shell keeps the byte order mark of a file that it reads into a variable.
            (Some(password), None) => Ok(Some(Secret(without_marks(&password.0).to_owned()))),
            (None, Some(path)) => read(path)
                .map(|content| Some(Secret(without_line_end(&content).to_owned())))
                .map_err(|source| PasswordError::File { what, flag, path: path.into(), source }),
            (None, None) => Ok(None),
        }
    }
}

/// Reads the password file, which may be a pipe, as in `<(pass show chat)`.
fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut content = Zeroizing::new(String::with_capacity(MAX_PASSWORD_FILE_BYTES as usize + 1));
    let length =
        File::open(path)?.take(MAX_PASSWORD_FILE_BYTES + 1).read_to_string(&mut content)?;
    if length as u64 > MAX_PASSWORD_FILE_BYTES {
        return Err(io::Error::other("it is too long"));
    }
    Ok(content)
}

/// Removes the byte order marks and the line end that editors add.
fn without_line_end(content: &str) -> &str {
    let content = without_marks(content);
    let content = content.strip_suffix('\n').unwrap_or(content);
    content.strip_suffix('\r').unwrap_or(content)
}

/// The parser of a place that may have a password in it by mistake. clap's own error would repeat that.
pub(super) struct SecretParser<T> {
    flag: &'static str,
    parsed: PhantomData<fn() -> T>,
}

impl<T> SecretParser<T> {
    /// Returns the parser for this flag.
    pub(super) fn of(flag: &'static str) -> SecretParser<T> {
        SecretParser { flag, parsed: PhantomData }
    }
}

impl<T> Clone for SecretParser<T> {
    fn clone(&self) -> SecretParser<T> {
        SecretParser::of(self.flag)
    }
}

impl<T> TypedValueParser for SecretParser<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let wrong = |why: &str| {
            let text = format!("{}: {why}\n", self.flag);
            Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| wrong("not UTF-8"))?;
        text.parse().map_err(|error: T::Err| wrong(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_from_one_place() {
        let places = Places { what: "store", variable: "VARIABLE", flag: "--file" };
        let given = || Some(Secret("hunter2".into()));
        assert_eq!(places.choose(None, None).unwrap(), None);
        assert_eq!(places.choose(given(), None).unwrap(), given());
        let marked = Some(Secret("\u{feff}\u{feff}hunter2".into()));
        assert_eq!(places.choose(marked, None).unwrap(), given());
        let both = places.choose(given(), Some(Path::new("/file")));
        assert!(matches!(both, Err(PasswordError::Two { .. })), "{both:?}");
    }
}
