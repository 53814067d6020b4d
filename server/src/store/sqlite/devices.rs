//! Device lists.

use letschat_protocol::body::DeviceListRef;
use letschat_protocol::devices::DeviceList;
use letschat_protocol::dialogue::{DeviceEntries, MAX_ENTRIES};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{from_column, to_column};
use crate::store::StoreError;
use crate::store::mailbox::devices::{entry_from_column, list_from_columns};
use crate::store::mailbox::{ListChange, ListChanged};

/// Returns the entries after this number, and the newest list.
pub(super) fn entries(
    connection: &Connection,
    username: &Username,
    after: u64,
) -> Result<DeviceEntries, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT entry FROM device_entries WHERE username = ?1 AND number > ?2
         ORDER BY number LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![username.as_str(), after, MAX_ENTRIES as i64])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry_from_column(username, &row.get::<_, String>("entry")?)?);
    }
    Ok(DeviceEntries { entries, list: newest(connection, username)? })
}

/// Returns the newest list.
pub(super) fn newest(
    connection: &Connection,
    username: &Username,
) -> Result<DeviceListRef, StoreError> {
    let newest = connection
        .prepare_cached(
            "SELECT number, hash FROM device_entries WHERE username = ?1
             ORDER BY number DESC LIMIT 1",
        )?
        .query_row([username.as_str()], |row| Ok((row.get("number")?, row.get("hash")?)))
        .optional()?;
    newest.map_or(Ok(DeviceListRef::default()), |(number, hash)| {
        Ok(DeviceListRef { number: from_column(number)?, hash })
    })
}

fn load(
    transaction: &Transaction<'_>,
    username: &Username,
) -> Result<Option<DeviceList>, StoreError> {
    let name = [username.as_str()];
    let mut statement = transaction.prepare_cached(
        "SELECT public_key, name FROM listed_devices WHERE username = ?1 ORDER BY number",
    )?;
    let devices =
        statement.query_map(name, |row| Ok((row.get("public_key")?, row.get("name")?)))?;
    let devices: Vec<(String, String)> = devices.collect::<Result<_, _>>()?;
    let mut statement = transaction
        .prepare_cached("SELECT hash FROM device_entries WHERE username = ?1 ORDER BY number")?;
    let hashes = statement.query_map(name, |row| row.get("hash"))?.collect::<Result<_, _>>()?;
    list_from_columns(username, devices, hashes)
}

/// Applies a change to the list.
pub(super) fn change(
    transaction: &Transaction<'_>,
    change: &ListChange,
) -> Result<ListChanged, StoreError> {
    let ListChange { username, number, entry, is_recovery, .. } = change;
    let list = match change.apply(load(transaction, username)?.as_ref()) {
        Ok(list) => list,
        Err(refused) => return Ok(refused),
    };
    let (name, number) = (username.as_str(), to_column(*number)?);
    if *is_recovery {
        for table in ["device_entries", "listed_devices"] {
            let delete = format!("DELETE FROM {table} WHERE username = ?1");
            transaction.prepare_cached(&delete)?.execute([name])?;
        }
        transaction
            .prepare_cached("DELETE FROM account_keys WHERE username = ?1 AND public_key <> ?2")?
            .execute([name, &entry.device.to_string()])?;
    }
    transaction
        .prepare_cached(
            "INSERT INTO device_entries (username, number, entry, hash) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![name, number, entry.to_string(), list.hash()])?;
    let key = entry.device.to_string();
    match list.devices().iter().find(|device| device.key == entry.device) {
        Some(device) => {
            transaction
                .prepare_cached(
                    "INSERT INTO listed_devices (username, public_key, name, number)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![name, key, device.name.as_str(), number])?;
        }
        None => {
            for table in ["listed_devices", "account_keys"] {
                let delete = format!("DELETE FROM {table} WHERE username = ?1 AND public_key = ?2");
                transaction.prepare_cached(&delete)?.execute([name, &key])?;
            }
        }
    }
    Ok(ListChanged::Done)
}

/// Returns the keys of an account's listed devices, each with true if it has a prekey.
pub(super) fn listed(
    connection: &Connection,
    username: &Username,
) -> Result<Vec<(String, bool)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT l.public_key, p.device IS NOT NULL AS has_prekey
         FROM listed_devices AS l LEFT JOIN prekeys AS p USING (username, public_key)
         WHERE l.username = ?1",
    )?;
    let rows = statement.query_map([username.as_str()], |row| {
        Ok((row.get("public_key")?, row.get("has_prekey")?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns true if the account has a list, and this device is not in it.
pub(super) fn is_unlisted(
    connection: &Connection,
    username: &Username,
    device: &PublicKey,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM listed_devices WHERE username = ?1) AND NOT EXISTS (
             SELECT 1 FROM listed_devices WHERE username = ?1 AND public_key = ?2)",
    )?;
    Ok(statement.query_row([username.as_str(), &device.to_string()], |row| row.get(0))?)
}
