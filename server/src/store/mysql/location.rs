//! The address and credentials of a database, written as `mysql://USER@HOST[:PORT]/DATABASE`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use letschat_protocol::dialogue::Secret;

/// The default port of MySQL and MariaDB.
pub const DEFAULT_PORT: u16 = 3306;

/// The longest name of a database: the name of its lock must fit MySQL's limit of 64.
pub const MAX_DATABASE_NAME: usize = 48;

/// A database on a MySQL or MariaDB server. `Display` omits the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MysqlLocation {
    /// The user name at the database.
    pub user: String,
    /// The host's name or address; IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The database's name: 1 to [`MAX_DATABASE_NAME`] letters, digits, `_` and `-`, not checked
    /// again.
    pub database: String,
    /// The password. It is not a part of the text, which others can read.
    pub password: Option<Secret>,
    /// The operator's choice of encryption. For `None`, [`MysqlLocation::tls`] decides.
    pub wanted_tls: Option<Tls>,
}

/// The encryption of the connection to a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// No encryption, except for the password.
    Off,
    /// Encryption without authentication: an active attacker in between can read the connection.
    Required,
    /// Encryption to a server whose certificate is valid for the host.
    Verified {
        /// A PEM file of certificates to trust, besides those that browsers trust.
        authority: Option<PathBuf>,
    },
}

impl MysqlLocation {
    /// Returns the operator's choice, or by default no encryption on this machine and `Required` to
    /// others.
    pub fn tls(&self) -> Tls {
        self.wanted_tls.clone().unwrap_or(if self.is_here() { Tls::Off } else { Tls::Required })
    }

    fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|host: IpAddr| host.is_loopback())
    }
}

/// A text that names no database. The error omits the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MysqlLocationError {
    /// The text has another form.
    #[error("expected mysql://USER@HOST[:PORT]/DATABASE")]
    Form,
    /// The text holds a password.
    #[error(
        "a password does not belong there, where others can read it; give it in \
         LETSCHAT_SERVER_STORE_PASSWORD or by --store-password-file"
    )]
    Password,
    /// The database's name is invalid.
    #[error("a database's name is 1 to {MAX_DATABASE_NAME} letters, digits, _ and -")]
    Database,
}

impl FromStr for MysqlLocation {
    type Err = MysqlLocationError;

    fn from_str(text: &str) -> Result<Self, MysqlLocationError> {
        use MysqlLocationError::{Database, Form, Password};
        let rest = text.strip_prefix("mysql://").ok_or(Form)?;
        // Split from the end, since a password may have any of these characters in it.
        let (user, rest) = rest.rsplit_once('@').ok_or(Form)?;
        if user.contains(':') {
            return Err(Password);
        }
        let (place, database) = rest.split_once('/').ok_or(Form)?;
        let (host, port) = host_and_port(place).ok_or(Form)?;
        if user.is_empty() || host.is_empty() || text.contains(char::is_control) {
            return Err(Form);
        }
        if !is_database_name(database) {
            return Err(Database);
        }
        let [user, host, database] = [user, host, database].map(str::to_owned);
        Ok(MysqlLocation { user, host, port, database, password: None, wanted_tls: None })
    }
}

fn host_and_port(place: &str) -> Option<(&str, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok());
    Some((host, port.filter(|port| *port != 0)?))
}

fn is_database_name(name: &str) -> bool {
    (1..=MAX_DATABASE_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl fmt::Display for MysqlLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MysqlLocation { user, host, port, database, .. } = self;
        write!(f, "mysql://{user}@")?;
        match host.contains(':') {
            true => write!(f, "[{host}]")?,
            false => write!(f, "{host}")?,
        }
        if *port != DEFAULT_PORT {
            write!(f, ":{port}")?;
        }
        write!(f, "/{database}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Result<MysqlLocation, MysqlLocationError> {
        text.parse()
    }

    #[test]
    fn a_location_reads_as_it_is_written() {
        for text in [
            "mysql://chat@db.example/letschat",
            "mysql://chat@db.example:3307/letschat",
            "mysql://chat@127.0.0.1/lets-chat_2",
            "mysql://chat@[::1]:3307/letschat",
            "mysql://chat@tenant@db.example/letschat",
        ] {
            assert_eq!(location(text).unwrap().to_string(), text);
        }
        assert_eq!(location("mysql://a@[::1]/b").unwrap().host, "::1");
        assert_eq!(location("mysql://a@b/c").unwrap().port, DEFAULT_PORT);
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in [
            "mysql:",
            "mysql://",
            "mysql://db/letschat",
            "mysql://@db/letschat",
            "mysql://chat@/letschat",
            "mysql://chat@db",
            "mysql://chat@db:0/letschat",
            "mysql://chat@db:x/letschat",
            "mysql://chat@[::1/letschat",
            "mysql://chat@[::1]x/letschat",
            "mysql://ch\x1bat@db/letschat",
        ] {
            assert_eq!(location(text), Err(MysqlLocationError::Form), "{text:?}");
        }
        for name in ["", "a`b", "a/b", "a b", "ä", &"x".repeat(MAX_DATABASE_NAME + 1)] {
            let text = format!("mysql://chat@db/{name}");
            assert_eq!(location(&text), Err(MysqlLocationError::Database), "{text:?}");
        }
    }

    #[test]
    fn a_password_in_the_text_is_refused_and_not_repeated() {
        for text in ["mysql://chat:hunter2@db/letschat", "mysql://chat:hun@ter2/@db/letschat"] {
            let error = location(text).unwrap_err();
            assert_eq!(error, MysqlLocationError::Password);
            assert!(!error.to_string().contains("ter2"), "{error}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let password = Some(Secret("hunter2".into()));
        let location = MysqlLocation { password, ..location("mysql://a@b/c").unwrap() };
        assert!(!format!("{location} {location:?} {location:#?}").contains("hunter2"));
    }

    #[test]
    fn a_connection_that_leaves_the_machine_is_encrypted() {
        for (host, tls) in [
            ("localhost", Tls::Off),
            ("127.0.0.2", Tls::Off),
            ("[::1]", Tls::Off),
            ("192.0.2.1", Tls::Required),
            ("localhost.example", Tls::Required),
        ] {
            let text = format!("mysql://chat@{host}/letschat");
            assert_eq!(location(&text).unwrap().tls(), tls, "{host}");
        }
    }
}
