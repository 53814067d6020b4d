//! The store's operations for the operator's tool, beside a running server.

use letschat_protocol::username::Username;

use super::mysql::Mysql;
use super::sqlite::Sqlite;
use super::{Created, Store, StoreError};
use crate::settings::StoreLocation;

/// A store for administration. A running server sees each committed change from the next login on;
/// open sessions continue.
pub trait AccountAdmin: Store {
    /// Returns the accounts after this name, at most this many, sorted by name.
    fn accounts_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<AccountSummary>, StoreError>;

    /// Bans or unbans an account. Returns `false` if there is no such account.
    fn set_banned(&mut self, username: &Username, banned: bool) -> Result<bool, StoreError>;

    /// Deletes an account with its keys, their prekeys and waiting mail. Returns `false` if there is no such account.
    fn delete_account(&mut self, username: &Username) -> Result<bool, StoreError>;

    /// Adds all accounts or none. Returns [`Created::Taken`] if one of the names is taken.
    fn import_accounts(
        &mut self,
        accounts: &[NewAccount],
        created_ms: u64,
    ) -> Result<Created, StoreError>;

    /// Returns the accounts after this name with their hashes, and true for banned ones: at most
    /// this many, sorted by name.
    fn credentials_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<(NewAccount, bool)>, StoreError>;
}

/// An account for an import or an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The account's name.
    pub username: Username,
    /// The argon2id hash as a PHC string.
    pub phc: String,
}

/// An account without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account's name.
    pub username: Username,
    /// The time of its creation, in milliseconds of the wall clock.
    pub created_ms: u64,
    /// True if the operator banned the account.
    pub banned: bool,
    /// The number of its keys.
    pub keys: u64,
    /// The time of the last use of a key. Sessions typed by hand use none.
    pub used_ms: Option<u64>,
}

/// The handling of a missing database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// A missing database is an error.
    Refuse,
    /// A missing database is created.
    Make,
}

/// Opens a store without the lock of the only writer, so that a server can use it at the same time.
/// Existing tables stay unchanged: only a server may migrate them.
///
/// # Errors
///
/// [`StoreError::NotReady`] for a database that is missing or that a server has to migrate first,
/// [`StoreError::Content`] for one of a newer version.
pub fn open_beside_server(
    location: &StoreLocation,
    absent: Absent,
) -> Result<Box<dyn AccountAdmin>, StoreError> {
    Ok(match location {
        StoreLocation::Sqlite(path) => Box::new(Sqlite::open_beside_server(path, absent)?),
        StoreLocation::Mysql(database) => Box::new(Mysql::open_beside_server(database, absent)?),
    })
}

/// The comparison of a database's version with this program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The database has no tables yet.
    None,
    /// The version is this program's.
    Known,
}

impl Version {
    /// Compares a version with this program's; 0 stands for no tables.
    pub(super) fn judge(version: usize, known: usize) -> Result<Version, StoreError> {
        match version {
            0 => Ok(Version::None),
            _ if version == known => Ok(Version::Known),
            _ if version < known => Err(StoreError::NotReady(
                "an older letschat-server made it; start the new one once, which brings it up to \
                 date"
                    .into(),
            )),
            _ => Err(too_new(version, known)),
        }
    }
}

/// Returns the error for a newer version, which is left unchanged.
pub(super) fn too_new(version: impl std::fmt::Display, known: usize) -> StoreError {
    StoreError::Content(format!(
        "its version is {version}, and this program knows versions up to {known}; a newer \
         letschat-server made it"
    ))
}

/// Returns the error for a missing database that must not be created.
pub(super) fn nothing_there() -> StoreError {
    StoreError::NotReady(
        "there is no database yet; start letschat-server once, or add an account".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_database_of_the_known_version_is_used() {
        assert_eq!(Version::judge(0, 3).unwrap(), Version::None);
        assert_eq!(Version::judge(3, 3).unwrap(), Version::Known);
        assert!(matches!(Version::judge(2, 3), Err(StoreError::NotReady(_))));
        assert!(matches!(Version::judge(4, 3), Err(StoreError::Content(_))));
    }
}
