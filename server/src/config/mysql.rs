//! The credentials and the encryption for a MySQL server.

use std::env::{self, VarError};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, Error, ValueEnum};
use letschat_flags::files;
use letschat_protocol::dialogue::Secret;
use letschat_protocol::text::without_marks;
use letschat_server::settings::StoreLocation;
use letschat_server::store::mysql::location::{MysqlLocation, Tls};
use zeroize::Zeroizing;

/// The variable with the password. There is no flag for it, since other users can read flags.
const PASSWORD_VARIABLE: &str = "LETSCHAT_SERVER_STORE_PASSWORD";

/// The largest password file, in bytes.
const MAX_PASSWORD_FILE_BYTES: u64 = 4 * 1024;

/// Credentials and encryption for the database that `--store mysql://...` names.
#[derive(Debug, Args)]
pub(super) struct MysqlFlags {
    /// A file with the password for MySQL, and nothing else [or: the password itself in
    /// LETSCHAT_SERVER_STORE_PASSWORD]
    #[arg(long, env = "LETSCHAT_SERVER_STORE_PASSWORD_FILE", value_name = "FILE", global = true)]
    store_password_file: Option<PathBuf>,

    /// Encryption of the connection to MySQL [default: off on this machine, required elsewhere]
    #[arg(long, env = "LETSCHAT_SERVER_STORE_TLS", value_name = "HOW", global = true)]
    store_tls: Option<TlsFlag>,

    /// A PEM file with the certificate authorities for MySQL [with --store-tls verified]
    #[arg(long, env = "LETSCHAT_SERVER_STORE_CA", value_name = "FILE", global = true)]
    store_ca: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TlsFlag {
    /// Not encrypted, except for the password
    Off,
    /// Encrypted, without checking the certificate
    Required,
    /// Encrypted, to a server with a valid certificate
    Verified,
}

/// The settings for the database are incomplete or contradictory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MysqlFlagsError {
    #[error("the store's password is both in {PASSWORD_VARIABLE} and in --store-password-file")]
    TwoPasswords,
    #[error("{PASSWORD_VARIABLE} is not UTF-8")]
    Encoding,
    #[error(
        "can't read the store's password from {path}, which --store-password-file names: {source}"
    )]
    PasswordFile { path: PathBuf, source: io::Error },
    #[error("--store-ca is of use only with --store-tls verified")]
    UselessAuthority,
    #[error("can't use {path}, which --store-ca names: {source}")]
    Authority { path: PathBuf, source: io::Error },
}

impl MysqlFlags {
    /// Returns the location with the password and the encryption.
    pub(super) fn complete(
        &self,
        location: MysqlLocation,
    ) -> Result<MysqlLocation, MysqlFlagsError> {
        let given = match env::var(PASSWORD_VARIABLE) {
            Ok(password) => Some(Secret(password)).filter(|given| !given.0.is_empty()),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => return Err(MysqlFlagsError::Encoding),
        };
        let password = password(given, self.store_password_file.as_deref())?;
        Ok(MysqlLocation { password, wanted_tls: self.tls()?, ..location })
    }

    fn tls(&self) -> Result<Option<Tls>, MysqlFlagsError> {
        let authority = self.store_ca.clone();
        if let Some(path) = &authority {
            let unusable = |source| MysqlFlagsError::Authority { path: path.clone(), source };
            files::refuse_irregular(path).map_err(unusable)?;
        }
        match self.store_tls {
            Some(TlsFlag::Verified) => Ok(Some(Tls::Verified { authority })),
            _ if authority.is_some() => Err(MysqlFlagsError::UselessAuthority),
            Some(TlsFlag::Required) => Ok(Some(Tls::Required)),
            Some(TlsFlag::Off) => Ok(Some(Tls::Off)),
            None => Ok(None),
        }
    }
}

fn password(given: Option<Secret>, file: Option<&Path>) -> Result<Option<Secret>, MysqlFlagsError> {
    match (given, file) {
        (Some(_), Some(_)) => Err(MysqlFlagsError::TwoPasswords),
        // A shell keeps the byte order mark of a file that it reads into a variable.
        (Some(password), None) => Ok(Some(Secret(without_marks(&password.0).to_owned()))),
        (None, Some(path)) => password_file(path)
            .map(|content| Some(Secret(without_line_end(&content).to_owned())))
            .map_err(|source| MysqlFlagsError::PasswordFile { path: path.to_owned(), source }),
        (None, None) => Ok(None),
    }
}

/// Reads the password file, which may be a pipe, as in `<(pass show chat)`.
fn password_file(path: &Path) -> io::Result<Zeroizing<String>> {
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

/// The parser of a store's location. clap's own error would repeat an invalid one with its
/// password.
#[derive(Clone)]
pub(super) struct StoreParser;

impl TypedValueParser for StoreParser {
    type Value = StoreLocation;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<StoreLocation, Error> {
        let wrong = |why: &str| {
            let text = format!("--store (or LETSCHAT_SERVER_STORE): {why}\n");
            Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| wrong("not UTF-8"))?;
        text.parse::<StoreLocation>().map_err(|error| wrong(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use clap::Parser as _;
    use std::fs;

    fn flags(more: &[&str]) -> Result<Flags, Error> {
        let always = ["letschat-server", "--data", "/data", "--store", "mysql://chat@db/letschat"];
        Flags::try_parse_from(always.iter().chain(more))
    }

    fn location(more: &[&str]) -> Result<MysqlLocation, String> {
        let settings = flags(more).unwrap().settings().map_err(|error| error.to_string())?;
        match settings.store {
            StoreLocation::Mysql(location) => Ok(location),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_password_comes_from_a_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, password) in [
            ("a b", "a b"),
            ("a b\n", "a b"),
            ("a\r\n", "a"),
            ("\u{feff}a\r\n", "a"),
            ("\u{feff}\u{feff}a\n", "a"),
            ("\n\n", "\n"),
        ] {
            fs::write(&path, content).unwrap();
            let location = location(&["--store-password-file", path.to_str().unwrap()]).unwrap();
            assert_eq!(location.password, Some(Secret(password.into())), "{content:?}");
        }
        fs::remove_file(&path).unwrap();
        let error = location(&["--store-password-file", path.to_str().unwrap()]).unwrap_err();
        assert!(error.contains("can't read the store's password from"), "{error}");
    }

    #[test]
    fn a_password_comes_from_one_place() {
        let given = || Some(Secret("hunter2".into()));
        assert_eq!(password(None, None).unwrap(), None);
        assert_eq!(password(given(), None).unwrap(), given());
        let marked = Some(Secret("\u{feff}\u{feff}hunter2".into()));
        assert_eq!(password(marked, None).unwrap(), given());
        let both = password(given(), Some(Path::new("/file")));
        assert!(matches!(both, Err(MysqlFlagsError::TwoPasswords)), "{both:?}");
    }

    #[test]
    fn a_refused_store_is_not_repeated() {
        for wrong in ["mysql://chat:hunter2@db/letschat", "mysqlx://chat:hunter2@db/letschat"] {
            let error = Flags::try_parse_from(["letschat-server", "--store", wrong]).unwrap_err();
            assert!(!error.render().to_string().contains("hunter2"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn encryption_is_as_it_was_asked_for() {
        let tls = |more: &[&str]| location(more).map(|location| location.wanted_tls);
        assert_eq!(tls(&[]), Ok(None));
        assert_eq!(tls(&["--store-tls", "off"]), Ok(Some(Tls::Off)));
        assert_eq!(tls(&["--store-tls", "required"]), Ok(Some(Tls::Required)));
        let verified = tls(&["--store-tls", "verified", "--store-ca", "/ca.pem"]);
        assert_eq!(verified, Ok(Some(Tls::Verified { authority: Some("/ca.pem".into()) })));
        assert!(tls(&["--store-ca", "/ca.pem"]).is_err());
    }
}
