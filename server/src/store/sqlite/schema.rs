//! The tables, and their migrations.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;
use crate::store::admin::too_new;

/// The migrations to each version from the one before. A released one is never changed.
pub(super) const MIGRATIONS: &[&str] = &["
    CREATE TABLE accounts (
        username   TEXT    NOT NULL PRIMARY KEY,
        phc        TEXT    NOT NULL,
        created_ms INTEGER NOT NULL,
        banned     INTEGER NOT NULL DEFAULT 0 CHECK (banned IN (0, 1))
    ) STRICT;
    CREATE TABLE account_keys (
        username   TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
        public_key TEXT    NOT NULL CHECK (length(public_key) = 64),
        added_ms   INTEGER NOT NULL,
        used_ms    INTEGER NOT NULL,
        PRIMARY KEY (username, public_key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE broadcasts (
        number     INTEGER NOT NULL PRIMARY KEY,
        sender     TEXT    NOT NULL,
        time_ms    INTEGER NOT NULL,
        text       TEXT    NOT NULL,
        boot_ms    INTEGER NOT NULL,
        boot_id    INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE log (
        only       INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
        epoch      INTEGER NOT NULL,
        head       INTEGER NOT NULL
    ) STRICT;
"];

/// Migrates the tables to the current version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let Some(outstanding) = MIGRATIONS.get(version..) else {
        return Err(too_new(version, MIGRATIONS.len()));
    };
    for step in outstanding {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}

/// Returns the version of the tables, or 0 if there are none.
pub(super) fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).map_err(|_| too_new(version, MIGRATIONS.len()))
}
