//! The broadcast log.

use letschat_protocol::dialogue::Broadcast;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{from_column, next_numbers, random_epoch, to_column};
use crate::store::{NewBroadcast, StoreError, StoredEntry, StoredLog, time_from_column};

pub(super) fn load(transaction: &Transaction<'_>) -> Result<StoredLog, StoreError> {
    let (epoch, head) = epoch_and_head(transaction)?;
    let entries = stored_entries(transaction)?;
    if entries.last().is_some_and(|last| last.broadcast.number > head) {
        return Err(StoreError::Content(format!("broadcasts above the counter, {head}")));
    }
    Ok(StoredLog { epoch, head, entries })
}

pub(super) fn append(
    transaction: &Transaction<'_>,
    after: u64,
    broadcasts: &[NewBroadcast],
) -> Result<u64, StoreError> {
    let (_, head) = epoch_and_head(transaction)?;
    let numbers = next_numbers(head, after, broadcasts.len())?;
    for (number, broadcast) in numbers.clone().zip(broadcasts) {
        insert(transaction, number, broadcast)?;
    }
    let head = to_column(numbers.end - 1)?;
    transaction.prepare_cached("UPDATE log SET head = ?1")?.execute([head])?;
    Ok(numbers.start)
}

pub(super) fn forget(connection: &Connection, through: u64) -> Result<(), StoreError> {
    let through = i64::try_from(through).unwrap_or(i64::MAX);
    connection.prepare_cached("DELETE FROM broadcasts WHERE number <= ?1")?.execute([through])?;
    Ok(())
}

/// Returns the log's only row, creating it at the first call.
fn epoch_and_head(transaction: &Transaction<'_>) -> Result<(u64, u64), StoreError> {
    let row: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT epoch, head FROM log")?
        .query_row([], |row| Ok((row.get("epoch")?, row.get("head")?)))
        .optional()?;
    if let Some((epoch, head)) = row {
        return Ok((epoch.cast_unsigned(), from_column(head)?));
    }
    let epoch = random_epoch()?;
    transaction
        .prepare_cached("INSERT INTO log (only, epoch, head) VALUES (1, ?1, 0)")?
        .execute([epoch.cast_signed()])?;
    Ok((epoch, 0))
}

fn stored_entries(transaction: &Transaction<'_>) -> Result<Vec<StoredEntry>, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT * FROM broadcasts ORDER BY number")?;
    let mut rows = statement.query([])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(stored_entry(row)?);
    }
    Ok(entries)
}

fn stored_entry(row: &Row<'_>) -> Result<StoredEntry, StoreError> {
    let number = from_column(row.get("number")?)?;
    let sender: String = row.get("sender")?;
    let sender = sender.parse().map_err(|error| {
        StoreError::Content(format!("the sender of broadcast {number}: {error}"))
    })?;
    let time_ms = time_from_column(row.get("time_ms")?);
    Ok(StoredEntry {
        broadcast: Broadcast { number, sender, time_ms, text: row.get("text")? },
        boot_ms: time_from_column(row.get("boot_ms")?),
        boot_id: row.get::<_, i64>("boot_id")?.cast_unsigned(),
    })
}

fn insert(
    transaction: &Transaction<'_>,
    number: u64,
    broadcast: &NewBroadcast,
) -> Result<(), StoreError> {
    let NewBroadcast { sender, time_ms, text, boot_ms, boot_id } = broadcast;
    transaction
        .prepare_cached(
            "INSERT INTO broadcasts (number, sender, time_ms, text, boot_ms, boot_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            to_column(number)?,
            sender.as_str(),
            to_column(*time_ms)?,
            text,
            to_column(*boot_ms)?,
            boot_id.cast_signed(),
        ])?;
    Ok(())
}
