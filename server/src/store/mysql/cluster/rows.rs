//! The rows of the shared tables.

use std::collections::HashMap;

use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, Row, Value};
use letschat_protocol::dialogue::Closing;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::super::failure::{Failure, column};
use super::super::mailbox::{list, values};
use super::super::stored_entry;
use super::{MESSAGES_KEPT_MS, NOW_MS};
use crate::store::cluster::{
    ENDED_KEPT_MS, Ending, MAX_NEWS, MAX_SILENT_MS, ServerName, SessionId, SharedPlace,
    SharedSession,
};
use crate::store::{NewBroadcast, StoreError, StoredEntry, time_from_column};

/// Locks the counter of sessions, which is created at the first call. Returns the number of the last change.
pub(super) fn lock_counter(conn: &mut Conn) -> Result<u64, Failure> {
    loop {
        let row: Option<Row> = conn.query_first("SELECT head FROM cluster FOR UPDATE")?;
        match row {
            Some(row) => return Ok(column(&row, "head")?),
            None => conn.query_drop("INSERT IGNORE INTO cluster (only, head) VALUES (1, 0)")?,
        }
    }
}

pub(super) fn set_counter(conn: &mut Conn, number: u64) -> Result<(), Failure> {
    Ok(conn.exec_drop("UPDATE cluster SET head = ?", (number,))?)
}

/// Locks the counter of broadcasts. Returns the number of the last one.
pub(super) fn lock_log(conn: &mut Conn) -> Result<u64, Failure> {
    let row: Option<Row> = conn.query_first("SELECT head FROM log FOR UPDATE")?;
    // The start of each server has loaded the log, which creates it.
    let row = row.ok_or_else(|| StoreError::Content("the log has no counter".into()))?;
    Ok(column(&row, "head")?)
}

/// A server as its own row has it, before a question.
pub(super) enum Presence {
    /// It is there: the time since its last question, and since its last gap.
    There { silent_ms: u64, present_ms: u64 },
    /// Its row was deleted, since it was gone for long.
    New,
    /// Another server has its name.
    NameIsTaken,
}

/// Notes that the server is there.
pub(super) fn be_seen(
    conn: &mut Conn,
    name: &ServerName,
    run: u64,
    stats: &str,
) -> Result<Presence, Failure> {
    let select = format!(
        "SELECT run, {NOW_MS} - seen_ms AS silent_ms, {NOW_MS} - since_ms AS present_ms
         FROM servers WHERE name = ?"
    );
    let row: Option<Row> = conn.exec_first(select, (name.as_str(),))?;
    let Some(row) = row else { return Ok(Presence::New) };
    if column::<u64>(&row, "run")? != run {
        return Ok(Presence::NameIsTaken);
    }
    let update = format!(
        "UPDATE servers SET since_ms = IF(seen_ms > {NOW_MS} - ?, since_ms, {NOW_MS}),
                            seen_ms = {NOW_MS}, stats = ?
         WHERE name = ? AND run = ?"
    );
    conn.exec_drop(update, (MAX_SILENT_MS, stats, name.as_str(), run))?;
    let silent_ms = time_from_column(column(&row, "silent_ms")?);
    let present_ms = time_from_column(column(&row, "present_ms")?);
    let present_ms = if silent_ms < MAX_SILENT_MS { present_ms } else { 0 };
    Ok(Presence::There { silent_ms, present_ms })
}

pub(super) fn others(
    conn: &mut Conn,
    name: &ServerName,
) -> Result<Vec<(ServerName, String)>, Failure> {
    let select = format!(
        "SELECT name, coalesce(stats, '') AS stats FROM servers
         WHERE name <> ? AND seen_ms > {NOW_MS} - ? ORDER BY name"
    );
    let rows: Vec<Row> = conn.exec(select, (name.as_str(), MAX_SILENT_MS))?;
    let server =
        |row: &Row| Ok((server_of(&column::<String>(row, "name")?)?, column(row, "stats")?));
    rows.iter().map(server).collect()
}

pub(super) fn sessions(conn: &mut Conn, after: u64) -> Result<Vec<SharedSession>, Failure> {
    let select = "SELECT * FROM sessions WHERE number > ? ORDER BY number";
    let rows: Vec<Row> = conn.exec(select, (after,))?;
    rows.iter().map(shared_session).collect()
}

/// Returns broadcasts after this number.
pub(super) fn entries_after(
    conn: &mut Conn,
    after: u64,
    most: usize,
) -> Result<Vec<StoredEntry>, Failure> {
    let select = "SELECT * FROM broadcasts WHERE number > ? ORDER BY number LIMIT ?";
    let rows: Vec<Row> = conn.exec(select, (after, most as u64))?;
    rows.iter().map(stored_entry).collect()
}

/// Returns the broadcasts with times after their senders' last ones: somebody may have sent one at another server, whose
/// clock is another.
pub(super) fn dated_after_others(
    conn: &mut Conn,
    broadcasts: &[NewBroadcast],
) -> Result<Vec<NewBroadcast>, Failure> {
    let senders: Vec<Value> = broadcasts.iter().map(|one| one.sender.as_str().into()).collect();
    let select = format!(
        "SELECT sender, max(time_ms) AS last_ms FROM broadcasts WHERE sender IN {} GROUP BY sender",
        list(senders.len())
    );
    let mut last: HashMap<String, u64> = HashMap::new();
    for row in conn.exec::<Row, _, _>(select, senders)? {
        last.insert(column(&row, "sender")?, time_from_column(column(&row, "last_ms")?));
    }
    let dated = broadcasts.iter().cloned().map(|mut broadcast| {
        let last_ms = last.entry(broadcast.sender.to_string()).or_default();
        broadcast.time_ms = broadcast.time_ms.max(*last_ms + 1);
        *last_ms = broadcast.time_ms;
        broadcast
    });
    Ok(dated.collect())
}

/// Returns the devices at this server that have mail after this number.
pub(super) fn mail(
    conn: &mut Conn,
    name: &ServerName,
    after: u64,
) -> Result<Vec<(Username, PublicKey)>, Failure> {
    let rows: Vec<Row> = conn.exec(
        "SELECT DISTINCT d.recipient, d.device FROM deliveries AS d JOIN sessions AS s
         ON s.username = d.recipient AND s.device = d.device
         WHERE d.number > ? AND d.waiting = 1 AND s.server = ?",
        (after, name.as_str()),
    )?;
    let device = |row: &Row| {
        let (username, device): (String, String) =
            (column(row, "recipient")?, column(row, "device")?);
        Ok((parsed("a recipient", &username)?, parsed("a device", &device)?))
    };
    rows.iter().map(device).collect()
}

/// Returns the messages for a server after this number, and the number of the last one. Those that it has got before
/// are deleted.
pub(super) fn messages(
    conn: &mut Conn,
    name: &ServerName,
    known: u64,
) -> Result<(Vec<String>, u64), Failure> {
    let select =
        "SELECT number, text FROM server_messages WHERE server = ? ORDER BY number LIMIT ?";
    let rows: Vec<Row> = conn.exec(select, (name.as_str(), MAX_NEWS))?;
    let (mut new, mut old, mut last) = (Vec::new(), Vec::new(), known);
    for row in &rows {
        let number: u64 = column(row, "number")?;
        last = last.max(number);
        match number > known {
            true => new.push(column(row, "text")?),
            false => old.push(number),
        }
    }
    if !old.is_empty() {
        let delete = format!("DELETE FROM server_messages WHERE number IN {}", list(old.len()));
        conn.exec_drop(delete, values(&old))?;
    }
    Ok((new, last))
}

/// Ends sessions by a change with this number.
pub(super) fn end_sessions(conn: &mut Conn, ending: &Ending, number: u64) -> Result<(), Failure> {
    let update =
        format!("UPDATE sessions SET server = NULL, number = ?, why = ?, changed_ms = {NOW_MS}");
    match ending {
        Ending::Session { session: SessionId { username, device, number: last }, why } => {
            let device = device_column(device.as_ref());
            conn.exec_drop(
                format!("{update} WHERE username = ? AND device = ? AND number = ?"),
                (number, why.map(Closing::name), username.as_str(), device, last),
            )?;
        }
        Ending::Keyless { username, typed, why } => conn.exec_drop(
            format!(
                "{update} WHERE username = ? AND server IS NOT NULL AND (? OR device <> '') AND NOT EXISTS
                       (SELECT * FROM account_keys AS k
                        WHERE k.username = sessions.username AND k.public_key = sessions.device)"
            ),
            (number, why.name(), username.as_str(), typed),
        )?,
    }
    Ok(())
}

/// Ends all sessions of a server by a change with this number.
pub(super) fn end_all(conn: &mut Conn, name: &ServerName, number: u64) -> Result<(), Failure> {
    let update = format!(
        "UPDATE sessions SET server = NULL, number = ?, why = ?, changed_ms = {NOW_MS} WHERE server = ?"
    );
    // If it is there after all, its clients log in again.
    Ok(conn.exec_drop(update, (number, Closing::Recheck.name(), name.as_str()))?)
}

/// Deletes old messages, and sessions that have ended long ago. Ends the sessions of servers that have been gone for as
/// long, so that nobody shows them again when a server of that name comes.
pub(super) fn forget_old(conn: &mut Conn) -> Result<(), Failure> {
    let number = lock_counter(conn)? + 1;
    let delete = format!("DELETE FROM sessions WHERE server IS NULL AND changed_ms < {NOW_MS} - ?");
    conn.exec_drop(delete, (ENDED_KEPT_MS,))?;
    let select = format!("SELECT name FROM servers WHERE seen_ms < {NOW_MS} - ?");
    for row in conn.exec::<Row, _, _>(select, (ENDED_KEPT_MS,))? {
        let name = server_of(&column::<String>(&row, "name")?)?;
        end_all(conn, &name, number)?;
        conn.exec_drop("DELETE FROM servers WHERE name = ?", (name.as_str(),))?;
    }
    set_counter(conn, number)?;
    let delete = format!("DELETE FROM server_messages WHERE sent_ms < {NOW_MS} - ?");
    Ok(conn.exec_drop(delete, (MESSAGES_KEPT_MS,))?)
}

fn shared_session(row: &Row) -> Result<SharedSession, Failure> {
    let (username, device): (String, String) = (column(row, "username")?, column(row, "device")?);
    let id = SessionId {
        username: parsed("a username", &username)?,
        device: match device.as_str() {
            "" => None,
            key => Some(parsed("a device", key)?),
        },
        number: column(row, "number")?,
    };
    let server: Option<String> = column(row, "server")?;
    let place = match server {
        None => None,
        Some(server) => Some(SharedPlace {
            server: server_of(&server)?,
            address: parsed("an address", &column::<String>(row, "address")?)?,
            port: column(row, "port")?,
            is_listed: column(row, "is_listed")?,
            since_ms: time_from_column(column(row, "since_ms")?),
        }),
    };
    let why: Option<String> = column(row, "why")?;
    let why = why.and_then(|why| Closing::ALL.iter().copied().find(|one| one.name() == why));
    Ok(SharedSession { id, place, why })
}

pub(super) fn server_of(text: &str) -> Result<ServerName, Failure> {
    parsed("the name of a server", text)
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    what: &str,
    text: &str,
) -> Result<T, Failure> {
    text.parse().map_err(|error| StoreError::Content(format!("{what}: {error}")).into())
}

/// Returns the column of a device. A session typed by hand has the empty text.
pub(super) fn device_column(device: Option<&PublicKey>) -> String {
    device.map(PublicKey::to_string).unwrap_or_default()
}
