//! Device lists.

use std::collections::HashMap;

use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, Row, Value};
use letschat_protocol::body::DeviceListRef;
use letschat_protocol::devices::DeviceList;
use letschat_protocol::dialogue::{DeviceEntries, MAX_ENTRIES};
use letschat_protocol::username::Username;

use super::failure::{Failure, column};
use super::mailbox::{delete_key, delete_keys, list};
use crate::store::mailbox::devices::{entry_from_column, list_from_columns};
use crate::store::mailbox::{ListChange, ListChanged};

/// Returns the entries after this number, and the newest list.
pub(super) fn entries(
    conn: &mut Conn,
    username: &Username,
    after: u64,
) -> Result<DeviceEntries, Failure> {
    let rows: Vec<Row> = conn.exec(
        "SELECT entry FROM device_entries WHERE username = ? AND number > ?
         ORDER BY number LIMIT ?",
        (username.as_str(), after, MAX_ENTRIES),
    )?;
    let entry = |row: &Row| {
        let entry: String = column(row, "entry")?;
        Ok(entry_from_column(username, &entry)?)
    };
    let entries = rows.iter().map(entry).collect::<Result<_, Failure>>()?;
    Ok(DeviceEntries { entries, list: newest(conn, username)? })
}

/// Returns the newest list.
pub(super) fn newest(conn: &mut Conn, username: &Username) -> Result<DeviceListRef, Failure> {
    let select = "SELECT number, hash FROM device_entries WHERE username = ?
                  ORDER BY number DESC LIMIT 1";
    let row: Option<Row> = conn.exec_first(select, (username.as_str(),))?;
    let Some(row) = row else { return Ok(DeviceListRef::default()) };
    let hash: Vec<u8> = column(&row, "hash")?;
    // The column has exactly 32 bytes.
    let number = column(&row, "number")?;
    Ok(DeviceListRef { number, hash: hash.try_into().unwrap_or_default() })
}

/// Loads the list. The account's row stays locked until the transaction ends, so that one change comes
/// after another.
fn load(conn: &mut Conn, username: &Username) -> Result<Option<DeviceList>, Failure> {
    let name = (username.as_str(),);
    let lock = "SELECT username FROM accounts WHERE username = ? FOR UPDATE";
    conn.exec_drop(lock, name)?;
    let select = "SELECT public_key, name FROM listed_devices WHERE username = ? ORDER BY number";
    let rows: Vec<Row> = conn.exec(select, name)?;
    let device = |row: &Row| Ok((column(row, "public_key")?, column(row, "name")?));
    let devices = rows.iter().map(device).collect::<Result<_, Failure>>()?;
    let select = "SELECT hash FROM device_entries WHERE username = ? ORDER BY number";
    let rows: Vec<Row> = conn.exec(select, name)?;
    let hashes = rows.iter().map(|row| Ok(column(row, "hash")?)).collect::<Result<_, Failure>>()?;
    Ok(list_from_columns(username, devices, hashes)?)
}

/// Applies a change to the list.
pub(super) fn change(conn: &mut Conn, change: &ListChange) -> Result<ListChanged, Failure> {
    let ListChange { username, number, entry, is_recovery, .. } = change;
    let list = match change.apply(load(conn, username)?.as_ref()) {
        Ok(list) => list,
        Err(refused) => return Ok(refused),
    };
    let (name, key) = (username.as_str(), entry.device.to_string());
    if *is_recovery {
        conn.exec_drop("DELETE FROM device_entries WHERE username = ?", (name,))?;
        conn.exec_drop("DELETE FROM listed_devices WHERE username = ?", (name,))?;
        delete_keys(conn, name, &key)?;
    }
    conn.exec_drop(
        "INSERT INTO device_entries (username, number, entry, hash) VALUES (?, ?, ?, ?)",
        (name, number, entry.to_string(), list.hash().to_vec()),
    )?;
    match list.devices().iter().find(|device| device.key == entry.device) {
        Some(device) => conn.exec_drop(
            "INSERT INTO listed_devices (username, public_key, name, number) VALUES (?, ?, ?, ?)",
            (name, &key, device.name.as_str(), number),
        )?,
        None => {
            let delete = "DELETE FROM listed_devices WHERE username = ? AND public_key = ?";
            conn.exec_drop(delete, (name, &key))?;
            delete_key(conn, name, &key)?;
        }
    }
    Ok(ListChanged::Done)
}

/// Returns the keys of these accounts' listed devices, each with true if it has a prekey.
pub(super) fn listed(
    conn: &mut Conn,
    usernames: &[&str],
) -> Result<HashMap<String, Vec<(String, bool)>>, Failure> {
    let select = format!(
        "SELECT l.username, l.public_key, p.prekey IS NOT NULL AS has_prekey
         FROM listed_devices AS l LEFT JOIN prekeys AS p
         ON p.username = l.username AND p.public_key = l.public_key
         WHERE l.username IN {}",
        list(usernames.len())
    );
    let names: Vec<Value> = usernames.iter().copied().map(Value::from).collect();
    let rows: Vec<Row> = conn.exec(select, names)?;
    let mut listed: HashMap<String, Vec<(String, bool)>> = HashMap::new();
    for row in &rows {
        let device = (column(row, "public_key")?, column(row, "has_prekey")?);
        listed.entry(column(row, "username")?).or_default().push(device);
    }
    Ok(listed)
}

/// Returns true if the account has a list, and this device is not in it.
pub(super) fn is_unlisted(
    conn: &mut Conn,
    username: &Username,
    device: &str,
) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM listed_devices WHERE username = ?) AND NOT EXISTS (
                      SELECT 1 FROM listed_devices WHERE username = ? AND public_key = ?) AS unlisted";
    let name = username.as_str();
    let row: Option<Row> = conn.exec_first(select, (name, name, device))?;
    Ok(row.map(|row| column(&row, "unlisted")).transpose()?.unwrap_or(false))
}
