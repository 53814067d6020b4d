//! The credentials and the encryption for a MySQL server.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use letschat_flags::files;
use letschat_server::store::mysql::location::{MysqlLocation, Tls};

use super::password::{PasswordError, Places};

/// The places of the password.
const PASSWORD: Places = Places {
    what: "store",
    variable: "LETSCHAT_SERVER_STORE_PASSWORD",
    flag: "--store-password-file",
};

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
    #[error(transparent)]
    Password(#[from] PasswordError),
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
        let password = PASSWORD.password(self.store_password_file.as_deref())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use clap::{Error, Parser as _};
    use letschat_protocol::dialogue::Secret;
    use letschat_server::settings::StoreLocation;
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
    fn refused_store_or_bell_is_not_repeated() {
        for (flag, wrong) in [
            ("--store", "mysql://chat:hunter2@db/letschat"),
            ("--store", "mysqlx://chat:hunter2@db/letschat"),
            ("--cluster", "redis://chat:hunter2@valkey"),
            ("--cluster", "http://chat:hunter2@valkey"),
        ] {
            let error = Flags::try_parse_from(["letschat-server", flag, wrong]).unwrap_err();
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
