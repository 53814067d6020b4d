//! The tables, and their migrations.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;
use crate::store::admin::too_new;

/// The migrations to each version from the one before. A released one is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    "
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
",
    "
    -- A device with its prekey, and the deliveries that wait for it: triggers count them.
    CREATE TABLE prekeys (
        username   TEXT    NOT NULL,
        public_key TEXT    NOT NULL,
        prekey     TEXT    NOT NULL,
        waiting    INTEGER NOT NULL DEFAULT 0,
        bytes      INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (username, public_key),
        FOREIGN KEY (username, public_key) REFERENCES account_keys ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    -- The sealed bodies. The number is that of the first delivery.
    CREATE TABLE envelopes (
        number      INTEGER NOT NULL PRIMARY KEY,
        sealed_body BLOB    NOT NULL
    ) STRICT;
    -- An acknowledged delivery has neither envelope nor header.
    CREATE TABLE deliveries (
        number     INTEGER NOT NULL PRIMARY KEY,
        sender     TEXT    NOT NULL,
        id         BLOB    NOT NULL CHECK (length(id) = 16),
        recipient  TEXT    NOT NULL,
        device     TEXT    NOT NULL,
        time_ms    INTEGER NOT NULL,
        bytes      INTEGER NOT NULL,
        envelope   INTEGER,
        header     BLOB,
        UNIQUE (sender, id, recipient, device),
        FOREIGN KEY (recipient, device) REFERENCES account_keys ON DELETE CASCADE
    ) STRICT;
    CREATE INDEX deliveries_waiting ON deliveries
        (recipient, device, number) WHERE envelope IS NOT NULL;
    CREATE INDEX deliveries_by_sender ON deliveries
        (sender, recipient, device, envelope) WHERE envelope IS NOT NULL;
    CREATE INDEX deliveries_by_envelope ON deliveries (envelope) WHERE envelope IS NOT NULL;
    -- Keys are removed with all their deliveries, acknowledged ones too.
    CREATE INDEX deliveries_by_device ON deliveries (recipient, device);
    CREATE INDEX deliveries_by_time ON deliveries (time_ms);
    CREATE TRIGGER delivery_added AFTER INSERT ON deliveries BEGIN
        UPDATE prekeys SET waiting = waiting + 1, bytes = bytes + new.bytes
            WHERE username = new.recipient AND public_key = new.device;
    END;
    CREATE TRIGGER delivery_deleted AFTER DELETE ON deliveries WHEN old.envelope IS NOT NULL BEGIN
        UPDATE prekeys SET waiting = waiting - 1, bytes = bytes - old.bytes
            WHERE username = old.recipient AND public_key = old.device;
        DELETE FROM envelopes WHERE number = old.envelope
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE envelope = old.envelope);
    END;
    CREATE TRIGGER delivery_acknowledged AFTER UPDATE OF envelope ON deliveries
        WHEN old.envelope IS NOT NULL AND new.envelope IS NULL BEGIN
        UPDATE prekeys SET waiting = waiting - 1, bytes = bytes - old.bytes
            WHERE username = old.recipient AND public_key = old.device;
        DELETE FROM envelopes WHERE number = old.envelope
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE envelope = old.envelope);
    END;
    CREATE TABLE mailbox (
        only       INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
        head       INTEGER NOT NULL
    ) STRICT;
    INSERT INTO mailbox (only, head) VALUES (1, 0);
",
];

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
