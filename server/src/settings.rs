//! The operator's settings at the start of the server.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

pub use crate::bell::{BellLocation, BellLocationError};
use crate::hub;
pub use crate::metrics::{MetricsAddress, NotAMetricsAddress};
pub use crate::net::relay::RelayRates;
pub use crate::store::cluster::ServerName;
use crate::store::mysql::location::{MysqlLocation, MysqlLocationError};

/// The default port, for TCP and UDP.
pub const DEFAULT_PORT: u16 = 4400;

/// The default name of the file of a classroom's clients, in the data folder.
pub const CLIENTS_FILE: &str = "clients.txt";

/// The input of [`Server::start`](crate::Server::start).
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The address to listen on, or `None` for all addresses, IPv6 and IPv4.
    pub listen: Option<IpAddr>,
    /// The port for TCP and UDP, or 0 for any that is free for both.
    pub port: u16,
    /// The folder of the server's key and lock. Created, for its owner alone, if it is missing.
    pub data_folder: PathBuf,
    /// The store of accounts and broadcasts.
    pub store: StoreLocation,
    /// The file of the clients, in a classroom. A path with a folder, or an absolute one.
    pub clients_file: PathBuf,
    /// The limits that the hub enforces.
    pub hub: hub::Settings,
    /// The limits of the relays' rates.
    pub relay_rates: RelayRates,
    /// The place where the server tells its monitoring of itself, if it does.
    pub metrics: Option<MetricsAddress>,
    /// The cluster that the server belongs to, whose servers share a MySQL database.
    pub cluster: Option<ClusterSettings>,
}

/// The place of a server in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The name of this server. No other one of the cluster has it.
    pub name: ServerName,
    /// The Valkey or Redis server through which servers ring each other.
    pub bell: BellLocation,
}

impl ServerSettings {
    /// Returns the defaults, with all persistent files in one folder.
    pub fn in_folder(data_folder: PathBuf) -> ServerSettings {
        ServerSettings {
            listen: None,
            port: DEFAULT_PORT,
            store: StoreLocation::in_folder(&data_folder),
            clients_file: data_folder.join(CLIENTS_FILE),
            data_folder,
            hub: hub::Settings::default(),
            relay_rates: RelayRates::default(),
            metrics: None,
            cluster: None,
        }
    }
}

/// The location of accounts and broadcasts, written as `sqlite:PATH` or
/// `mysql://USER@HOST[:PORT]/DATABASE`. `Display` omits the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database on a MySQL or MariaDB server.
    Mysql(MysqlLocation),
}

impl StoreLocation {
    /// Returns the default: a file beside the server's key.
    pub fn in_folder(data_folder: &std::path::Path) -> StoreLocation {
        StoreLocation::Sqlite(data_folder.join("letschat.sqlite"))
    }
}

/// A text that names no store. The error omits the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreLocationError {
    /// The text names neither kind of store.
    #[error("expected sqlite:PATH or mysql://USER@HOST[:PORT]/DATABASE")]
    Kind,
    /// The text names MySQL, but its location is invalid.
    #[error(transparent)]
    Mysql(#[from] MysqlLocationError),
}

impl FromStr for StoreLocation {
    type Err = StoreLocationError;

    fn from_str(text: &str) -> Result<Self, StoreLocationError> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(StoreLocation::Sqlite(path.into())),
            Some(("mysql", _)) => Ok(StoreLocation::Mysql(text.parse()?)),
            _ => Err(StoreLocationError::Kind),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreLocation::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StoreLocation::Mysql(location) => location.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_kind_and_place() {
        let location: StoreLocation = "sqlite:/var/lib/a:b".parse().unwrap();
        assert_eq!(location, StoreLocation::Sqlite("/var/lib/a:b".into()));
        assert_eq!(location.to_string(), "sqlite:/var/lib/a:b");
        let location: StoreLocation = "mysql://chat@db/letschat".parse().unwrap();
        assert!(matches!(location, StoreLocation::Mysql(_)), "{location:?}");
        assert_eq!(location.to_string(), "mysql://chat@db/letschat");
        for wrong in ["", "sqlite", "sqlite:", "mysql", "postgres:x", "/var/lib"] {
            assert_eq!(wrong.parse::<StoreLocation>(), Err(StoreLocationError::Kind), "{wrong}");
        }
    }
}
