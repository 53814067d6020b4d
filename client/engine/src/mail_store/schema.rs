//! The tables, and their migrations.
//!
//! `position` keeps the order in which rows were added. Times are in milliseconds since the Unix epoch.
//! A stream's `source` is a conversation's name, or a chat's id as 32 hexadecimal digits if `is_chat`.

use rusqlite::{Connection, TransactionBehavior};

use super::reading::refused;

/// The migrations to each version from the one before. A released one is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE sequences (
        conversation TEXT    NOT NULL PRIMARY KEY,
        last         INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (
        position     INTEGER NOT NULL PRIMARY KEY,
        id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
        recipient    TEXT    NOT NULL,
        chat         TEXT,
        number       INTEGER NOT NULL,
        time_ms      INTEGER NOT NULL,
        text         TEXT    NOT NULL,
        stage        TEXT    NOT NULL CHECK (stage IN ('waiting', 'sent', 'kept')),
        until_ms     INTEGER CHECK ((until_ms IS NULL) = (stage = 'waiting'))
    ) STRICT;
    CREATE TABLE received (
        position     INTEGER NOT NULL PRIMARY KEY,
        device       BLOB    NOT NULL CHECK (length(device) = 32),
        is_chat      INTEGER NOT NULL CHECK (is_chat IN (0, 1)),
        source       TEXT    NOT NULL,
        through      INTEGER NOT NULL,
        -- Eight bytes for each number, big-endian.
        beyond       BLOB    NOT NULL CHECK (length(beyond) % 8 = 0),
        UNIQUE (device, is_chat, source)
    ) STRICT;
    CREATE TABLE held (
        position     INTEGER NOT NULL PRIMARY KEY,
        id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
        author       TEXT    NOT NULL,
        device       BLOB    NOT NULL CHECK (length(device) = 32),
        is_chat      INTEGER NOT NULL CHECK (is_chat IN (0, 1)),
        source       TEXT    NOT NULL,
        number       INTEGER NOT NULL,
        text         TEXT    NOT NULL,
        sent_ms      INTEGER NOT NULL,
        time_ms      INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE receipts (
        position     INTEGER NOT NULL PRIMARY KEY,
        id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
        author       TEXT    NOT NULL
    ) STRICT;
    CREATE TABLE prekeys (
        position     INTEGER NOT NULL PRIMARY KEY,
        public       BLOB    NOT NULL UNIQUE CHECK (length(public) = 32),
        private      BLOB    NOT NULL CHECK (length(private) = 32),
        created_ms   INTEGER NOT NULL,
        until_ms     INTEGER NOT NULL,
        published_ms INTEGER,
        epoch        INTEGER CHECK ((epoch IS NULL) = (published_ms IS NULL))
    ) STRICT;
    -- True if the outbox or the held messages may hold copies of deleted texts.
    CREATE TABLE erasure (
        only         INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
        is_due       INTEGER NOT NULL CHECK (is_due IN (0, 1))
    ) STRICT;
    INSERT INTO erasure VALUES (1, 0);
",
    "
    ALTER TABLE outbox RENAME TO earlier_outbox;
    CREATE TABLE outbox (
        position     INTEGER NOT NULL PRIMARY KEY,
        id           BLOB    NOT NULL CHECK (length(id) = 16),
        recipient    TEXT    NOT NULL,
        -- The recipient's name, or `everyone`.
        conversation TEXT    NOT NULL,
        chat         TEXT,
        number       INTEGER NOT NULL,
        time_ms      INTEGER NOT NULL,
        text         TEXT    NOT NULL,
        stage        TEXT    NOT NULL CHECK (stage IN ('waiting', 'sent', 'kept')),
        until_ms     INTEGER CHECK ((until_ms IS NULL) = (stage = 'waiting')),
        UNIQUE (id, recipient)
    ) STRICT;
    INSERT INTO outbox
        SELECT position, id, recipient, recipient, chat, number, time_ms, text, stage, until_ms
        FROM earlier_outbox;
    DROP TABLE earlier_outbox;
",
    "
    -- The held device list of each account. `devices` has a line `KEY NAME` for each device, and `hashes` the hash
    -- of each list of the chain.
    CREATE TABLE device_lists (
        account      TEXT    NOT NULL PRIMARY KEY,
        devices      TEXT    NOT NULL,
        hashes       BLOB    NOT NULL CHECK (length(hashes) % 32 = 0)
    ) STRICT, WITHOUT ROWID;
    -- The people about whom the account's other devices have to be told.
    CREATE TABLE people_owed (
        name         TEXT    NOT NULL PRIMARY KEY
    ) STRICT, WITHOUT ROWID;
    -- The groups. `membership` is 0 (invited), 1 (joined) or 2 (left). `owed` has the names of those who have to be
    -- sent the roster, with spaces between them. `changes` has the last changes by this device: of each the roster's
    -- number, a kind (0 invite, 1 join, 2 remove, 3 leave, 4 give) and a name, with spaces between all of them.
    CREATE TABLE groups (
        id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 32),
        label        TEXT    NOT NULL,
        roster       BLOB    NOT NULL,
        membership   INTEGER NOT NULL CHECK (membership IN (0, 1, 2)),
        owed         TEXT    NOT NULL,
        wish         INTEGER,
        changes      TEXT    NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    -- The file that a message offers: its size in eight bytes, big-endian, and the root of its hashes. The text is its
    -- name.
    ALTER TABLE outbox ADD COLUMN file BLOB CHECK (length(file) = 40);
    ALTER TABLE held ADD COLUMN file BLOB CHECK (length(file) = 40);
    -- The offered files. `audience` has the names of those to whom this device offers it, with spaces between them.
    CREATE TABLE files (
        position     INTEGER NOT NULL PRIMARY KEY,
        id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
        conversation TEXT    NOT NULL,
        author       TEXT    NOT NULL,
        device       BLOB    NOT NULL CHECK (length(device) = 32),
        audience     TEXT    NOT NULL,
        name         TEXT    NOT NULL,
        file         BLOB    NOT NULL CHECK (length(file) = 40),
        time_ms      INTEGER NOT NULL,
        state        TEXT    NOT NULL CHECK (state IN ('offered', 'wanted', 'saved', 'failed')),
        code         TEXT CHECK ((code IS NULL) = (state <> 'failed')),
        path         BLOB,
        part         BLOB
    ) STRICT;
",
];

/// Returns the version of the tables, or 0 for an empty database. This is the first read of the file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let find_table = "SELECT EXISTS (SELECT * FROM sqlite_schema)";
    if version == 0 && connection.query_row(find_table, [], |row| row.get(0))? {
        return Err(refused("another program's tables"));
    }
    Ok(version)
}

/// Returns the migrations that follow this version, or `None` for a newer version.
pub(super) fn outstanding(version: i64) -> Option<&'static [&'static str]> {
    MIGRATIONS.get(usize::try_from(version).ok()?..)
}

/// Migrates the tables to the current version.
pub(super) fn migrate(connection: &mut Connection, outstanding: &[&str]) -> rusqlite::Result<()> {
    if outstanding.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    outstanding.iter().try_for_each(|step| transaction.execute_batch(step))?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()
}
