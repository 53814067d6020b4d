//! The tables, and their migrations.
//!
//! Names and keys are ASCII and compared byte by byte; texts are full Unicode. Numbers and the ids
//! of logs and boots use all 64 bits. Times are signed, as in SQLite.

use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, Row};

use super::failure::{Failure, column, table_is_missing};
use crate::store::admin::{Version, too_new};

/// The migrations. A released one is never changed. MySQL commits each schema statement by itself
/// and an interrupted migration starts again, so each statement must be repeatable.
const MIGRATIONS: &[&[&str]] = &[ACCOUNTS_AND_LOG, MAILBOX, DEVICE_LISTS, CLUSTER];

const ACCOUNTS_AND_LOG: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS accounts (
        username   VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        phc        VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        created_ms BIGINT       NOT NULL,
        banned     BOOLEAN      NOT NULL DEFAULT FALSE
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS account_keys (
        username   VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        public_key CHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        added_ms   BIGINT       NOT NULL,
        used_ms    BIGINT       NOT NULL,
        PRIMARY KEY (username, public_key),
        FOREIGN KEY (username) REFERENCES accounts (username) ON DELETE CASCADE
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS broadcasts (
        number     BIGINT UNSIGNED NOT NULL PRIMARY KEY,
        sender     VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        time_ms    BIGINT       NOT NULL,
        text       TEXT         CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        boot_ms    BIGINT       NOT NULL,
        boot_id    BIGINT UNSIGNED NOT NULL
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS log (
        only       TINYINT      NOT NULL PRIMARY KEY CHECK (only = 1),
        epoch      BIGINT UNSIGNED NOT NULL,
        head       BIGINT UNSIGNED NOT NULL
    ) ENGINE = InnoDB",
];

/// A prekey's row also counts the deliveries that wait for the device. An acknowledged delivery does
/// not wait, and has neither envelope nor header. The number of an envelope is that of its first
/// delivery.
///
/// Deliveries have no foreign key. It would delete a million acknowledged ones with their device, in
/// one transaction.
const MAILBOX: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS prekeys (
        username   VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        public_key CHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        prekey     VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        waiting    BIGINT       NOT NULL DEFAULT 0,
        bytes      BIGINT       NOT NULL DEFAULT 0,
        PRIMARY KEY (username, public_key),
        FOREIGN KEY (username, public_key) REFERENCES account_keys (username, public_key)
            ON DELETE CASCADE
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS envelopes (
        number      BIGINT UNSIGNED NOT NULL PRIMARY KEY,
        time_ms     BIGINT       NOT NULL,
        sealed_body MEDIUMBLOB   NOT NULL,
        KEY by_time (time_ms)
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS deliveries (
        number     BIGINT UNSIGNED NOT NULL PRIMARY KEY,
        sender     VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        id         BINARY(16)   NOT NULL,
        recipient  VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        device     CHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        time_ms    BIGINT       NOT NULL,
        bytes      BIGINT       NOT NULL,
        waiting    BOOLEAN      NOT NULL,
        envelope   BIGINT UNSIGNED,
        header     VARBINARY(255),
        UNIQUE KEY once (sender, id, recipient, device),
        KEY waiting (recipient, device, waiting, number),
        KEY by_sender (sender, recipient, device, waiting),
        KEY by_envelope (envelope),
        KEY by_time (time_ms)
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS mailbox (
        only       TINYINT      NOT NULL PRIMARY KEY CHECK (only = 1),
        head       BIGINT UNSIGNED NOT NULL
    ) ENGINE = InnoDB",
];

/// The chain of device lists of each account, and the newest list. `hash` is that of the list which
/// the entry makes. A listed device need not have a key at the server.
const DEVICE_LISTS: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS device_entries (
        username   VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        number     BIGINT UNSIGNED NOT NULL,
        entry      VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        hash       BINARY(32)   NOT NULL,
        PRIMARY KEY (username, number),
        FOREIGN KEY (username) REFERENCES accounts (username) ON DELETE CASCADE
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS listed_devices (
        username   VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        public_key CHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        name       VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        number     BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY (username, public_key),
        FOREIGN KEY (username) REFERENCES accounts (username) ON DELETE CASCADE
    ) ENGINE = InnoDB",
];

/// The servers of a cluster, and the sessions that they share. `device` is empty for a session typed by hand, and
/// `server` is null for one that has ended.
const CLUSTER: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS servers (
        name       VARCHAR(48)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        run        BIGINT UNSIGNED NOT NULL,
        since_ms   BIGINT       NOT NULL,
        seen_ms    BIGINT       NOT NULL,
        stats      TEXT         CHARACTER SET ascii COLLATE ascii_bin
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS sessions (
        username   VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        device     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        number     BIGINT UNSIGNED NOT NULL,
        server     VARCHAR(48)  CHARACTER SET ascii COLLATE ascii_bin,
        address    VARCHAR(45)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        port       SMALLINT UNSIGNED,
        is_listed  BOOLEAN      NOT NULL,
        since_ms   BIGINT       NOT NULL,
        changed_ms BIGINT       NOT NULL,
        why        VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin,
        PRIMARY KEY (username, device),
        KEY by_number (number),
        KEY by_server (server, changed_ms)
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS cluster (
        only       TINYINT      NOT NULL PRIMARY KEY CHECK (only = 1),
        head       BIGINT UNSIGNED NOT NULL,
        fingerprint CHAR(64)    CHARACTER SET ascii COLLATE ascii_bin
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS server_messages (
        number     BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        server     VARCHAR(48)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        sent_ms    BIGINT       NOT NULL,
        text       MEDIUMTEXT   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        KEY by_server (server, number),
        KEY by_time (sent_ms)
    ) ENGINE = InnoDB",
];

/// Migrates the tables. The caller holds the database's lock.
pub(super) fn migrate(conn: &mut Conn) -> Result<(), Failure> {
    conn.query_drop(
        "CREATE TABLE IF NOT EXISTS schema_version (
            only    TINYINT NOT NULL PRIMARY KEY CHECK (only = 1),
            version INT UNSIGNED NOT NULL
        ) ENGINE = InnoDB",
    )?;
    let version = stored_version(conn)?;
    let Some(outstanding) = MIGRATIONS.get(version..) else {
        return Err(too_new(version, MIGRATIONS.len()).into());
    };
    for (step, reached) in outstanding.iter().zip(version + 1..) {
        for statement in *step {
            conn.query_drop(statement)?;
        }
        conn.exec_drop(
            "INSERT INTO schema_version (only, version) VALUES (1, ?)
             ON DUPLICATE KEY UPDATE version = ?",
            (reached, reached),
        )?;
    }
    Ok(())
}

/// Compares the version of the tables with this program's.
pub(super) fn version(conn: &mut Conn) -> Result<Version, Failure> {
    match stored_version(conn) {
        Err(Failure::Database(error)) if table_is_missing(&error) => Ok(Version::None),
        version => Ok(Version::judge(version?, MIGRATIONS.len())?),
    }
}

fn stored_version(conn: &mut Conn) -> Result<usize, Failure> {
    let row: Option<Row> = conn.query_first("SELECT version FROM schema_version")?;
    Ok(row.map_or(Ok(0), |row| column(&row, "version"))?)
}
