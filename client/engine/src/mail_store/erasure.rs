//! The erasure of deleted keys and texts from the files.
//!
//! `secure_delete` overwrites a deleted row and a freed page with zeros. Two kinds of copies remain:
//!
//! * SQLite moves rows between pages, and can leave a copy in the unused part of the old page. [`rewrite`] frees all
//!   pages of a table.
//! * The write-ahead log has old pages. [`truncate_log`] moves the current ones into the database and empties the log.

use rusqlite::{Connection, Transaction};

/// The tables that hold texts.
const TEXTS: [&str; 2] = ["outbox", "held"];

/// Moves the rows of a table out of it and back.
pub(super) fn rewrite(transaction: &Transaction<'_>, table: &str) -> rusqlite::Result<()> {
    transaction.execute_batch(&format!(
        "CREATE TEMP TABLE moved AS SELECT * FROM main.{table} ORDER BY position;
         DELETE FROM main.{table};
         INSERT INTO main.{table} SELECT * FROM temp.moved ORDER BY position;
         DROP TABLE temp.moved;"
    ))
}

/// Notes that texts were deleted, so that the next run erases them if this one is killed.
pub(super) fn note_due(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    set_due(transaction, true)
}

/// Returns true if texts were deleted and not erased yet.
pub(super) fn is_due(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT is_due FROM erasure", [], |row| row.get(0))
}

/// Erases deleted texts from the tables.
pub(super) fn erase_texts(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    TEXTS.iter().try_for_each(|table| rewrite(transaction, table))?;
    set_due(transaction, false)
}

/// Empties the write-ahead log. Nobody else can be reading it, since the connection locks the database.
pub(super) fn truncate_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn set_due(transaction: &Transaction<'_>, is_due: bool) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE erasure SET is_due = ?1")?.execute([is_due])?;
    Ok(())
}
