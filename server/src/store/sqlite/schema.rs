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
    -- A device with its prekey. Its number is never used again (AUTOINCREMENT): acknowledged
    -- deliveries keep the number of a device that was removed.
    CREATE TABLE prekeys (
        device     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        username   TEXT    NOT NULL,
        public_key TEXT    NOT NULL,
        prekey     TEXT    NOT NULL,
        UNIQUE (username, public_key),
        FOREIGN KEY (username, public_key) REFERENCES account_keys ON DELETE CASCADE
    ) STRICT;
    -- The number and the bytes of the deliveries that wait for a device: triggers count them. These
    -- rows change with every delivery, so they are small and share few pages.
    CREATE TABLE waiting (
        device     INTEGER NOT NULL PRIMARY KEY REFERENCES prekeys ON DELETE CASCADE,
        deliveries INTEGER NOT NULL,
        bytes      INTEGER NOT NULL
    ) STRICT;
    CREATE TRIGGER device_added AFTER INSERT ON prekeys BEGIN
        INSERT INTO waiting (device, deliveries, bytes) VALUES (new.device, 0, 0);
    END;
    -- The sealed bodies. The number is that of the first delivery.
    CREATE TABLE envelopes (
        number      INTEGER NOT NULL PRIMARY KEY,
        sealed_body BLOB    NOT NULL
    ) STRICT;
    -- An acknowledged delivery has neither envelope nor header. It stays when its device is removed,
    -- and expires: there may be a million of them, too many for one transaction.
    CREATE TABLE deliveries (
        number     INTEGER NOT NULL PRIMARY KEY,
        device     INTEGER NOT NULL,
        sender     TEXT    NOT NULL,
        id         BLOB    NOT NULL CHECK (length(id) = 16),
        time_ms    INTEGER NOT NULL,
        bytes      INTEGER NOT NULL,
        envelope   INTEGER,
        header     BLOB,
        UNIQUE (device, sender, id)
    ) STRICT;
    -- Most of these indexes hold only what waits, which is little while everybody is here.
    CREATE INDEX deliveries_waiting ON deliveries (device, number) WHERE envelope IS NOT NULL;
    CREATE INDEX deliveries_by_sender ON deliveries
        (device, sender, envelope) WHERE envelope IS NOT NULL;
    CREATE INDEX deliveries_by_envelope ON deliveries (envelope) WHERE envelope IS NOT NULL;
    CREATE INDEX deliveries_by_time ON deliveries (time_ms);
    -- A limited number of deliveries waits for a device. The index leaves out the others.
    CREATE TRIGGER device_removed AFTER DELETE ON prekeys BEGIN
        DELETE FROM deliveries WHERE number IN (
            SELECT number FROM deliveries INDEXED BY deliveries_waiting
            WHERE device = old.device AND envelope IS NOT NULL);
    END;
    CREATE TRIGGER delivery_added AFTER INSERT ON deliveries BEGIN
        UPDATE waiting SET deliveries = deliveries + 1, bytes = bytes + new.bytes
            WHERE device = new.device;
    END;
    CREATE TRIGGER delivery_deleted AFTER DELETE ON deliveries WHEN old.envelope IS NOT NULL BEGIN
        UPDATE waiting SET deliveries = deliveries - 1, bytes = bytes - old.bytes
            WHERE device = old.device;
        DELETE FROM envelopes WHERE number = old.envelope
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE envelope = old.envelope);
    END;
    CREATE TRIGGER delivery_acknowledged AFTER UPDATE OF envelope ON deliveries
        WHEN old.envelope IS NOT NULL AND new.envelope IS NULL BEGIN
        UPDATE waiting SET deliveries = deliveries - 1, bytes = bytes - old.bytes
            WHERE device = old.device;
        DELETE FROM envelopes WHERE number = old.envelope
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE envelope = old.envelope);
    END;
    CREATE TABLE mailbox (
        only       INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
        head       INTEGER NOT NULL
    ) STRICT;
    INSERT INTO mailbox (only, head) VALUES (1, 0);
",
    "
    -- The chain of device lists of an account. `hash` is that of the list which the entry makes.
    CREATE TABLE device_entries (
        username   TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
        number     INTEGER NOT NULL,
        entry      TEXT    NOT NULL,
        hash       BLOB    NOT NULL CHECK (length(hash) = 32),
        PRIMARY KEY (username, number)
    ) STRICT, WITHOUT ROWID;
    -- The newest list of each account. A listed device need not have a key at the server: a change of
    -- the password removes the keys, and the devices log in by password then.
    CREATE TABLE listed_devices (
        username   TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
        public_key TEXT    NOT NULL CHECK (length(public_key) = 64),
        name       TEXT    NOT NULL,
        number     INTEGER NOT NULL,
        PRIMARY KEY (username, public_key)
    ) STRICT, WITHOUT ROWID;
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
