//! What the operator's tool asks of a store, beside a server that may be running on it.

use letschat_protocol::username::Username;

use super::mysql::Mysql;
use super::sqlite::Sqlite;
use super::{Created, Store, StoreError};
use crate::settings::StoreLocation;

/// A store as the operator sees it. The server goes by what is committed here from the next login
/// on; a session that is open stays open.
pub trait AccountAdmin: Store {
    /// At most so many accounts, those whose names come next after this one.
    fn accounts_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<AccountSummary>, StoreError>;

    /// Bans an account, or lets it in again. `false`: there is no such account.
    fn set_banned(&mut self, username: &Username, banned: bool) -> Result<bool, StoreError>;

    /// Deletes an account with its keys. `false`: there is no such account.
    fn delete_account(&mut self, username: &Username) -> Result<bool, StoreError>;

    /// Adds accounts, all or none. [`Created::Taken`]: one of the names is taken.
    fn import_accounts(
        &mut self,
        accounts: &[NewAccount],
        created_ms: u64,
    ) -> Result<Created, StoreError>;

    /// At most so many accounts with their hashes, and whether they are banned: those whose names
    /// come next after this one.
    fn credentials_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<(NewAccount, bool)>, StoreError>;
}

/// An account that comes from elsewhere or goes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its name.
    pub username: Username,
    /// The argon2id hash as a PHC string.
    pub phc: String,
}

/// An account without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// Its name.
    pub username: Username,
    /// When it was made, in milliseconds of the wall clock.
    pub created_ms: u64,
    /// Whether the operator banned it.
    pub banned: bool,
    /// How many keys it has.
    pub keys: u64,
    /// When one of them was last used. Sessions by hand have none.
    pub used_ms: Option<u64>,
}

/// What becomes of a database that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is an error.
    Refuse,
    /// It is made.
    Make,
}

/// Opens a store without the lock of the only writer, so that a server can have it at the same
/// time. The tables of a database that is there are left as they are: to change them under a
/// server that runs is only a server's right.
///
/// # Errors
///
/// [`StoreError::NotReady`] for a database that is not there or that a server has to bring up to
/// date first, [`StoreError::Content`] for one of a newer version.
pub fn open_beside_server(
    location: &StoreLocation,
    absent: Absent,
) -> Result<Box<dyn AccountAdmin>, StoreError> {
    Ok(match location {
        StoreLocation::Sqlite(path) => Box::new(Sqlite::open_beside_server(path, absent)?),
        StoreLocation::Mysql(database) => Box::new(Mysql::open_beside_server(database, absent)?),
    })
}

/// How a database's version compares with the one that this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// It has no tables yet.
    None,
    /// The one that this program knows.
    Known,
}

impl Version {
    /// Judges a version; 0 stands for no tables.
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

/// A database of a newer version is left as it is.
pub(super) fn too_new(version: impl std::fmt::Display, known: usize) -> StoreError {
    StoreError::Content(format!(
        "its version is {version}, and this program knows versions up to {known}; a newer \
         letschat-server made it"
    ))
}

/// There is no database, and it is not to be made.
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
