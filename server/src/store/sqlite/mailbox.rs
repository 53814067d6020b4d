//! Prekeys and envelopes.
//!
//! Triggers count the deliveries that wait for a device, delete them when the account or its key is
//! removed, and delete a sealed body with the last delivery that needs it.

use std::collections::HashMap;
use std::sync::Arc;

use letschat_protocol::dialogue::{AccountKeys, DeviceEntries, Mail, Outcome};
use letschat_protocol::envelope::Header;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::prekey::SignedPrekey;
use letschat_protocol::username::Username;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{Sqlite, accounts, devices, from_column, next_numbers, to_column};
use crate::store::mailbox::{
    Acknowledgement, EXPIRED_AT_ONCE, ListChange, ListChanged, MailPage, MailQuery, Mailbox,
    MailboxUsage, NewEnvelope, Placement, Placements, Usage, mail_from_columns, prekey_from_column,
};
use crate::store::{MAX_KEYS, StoreError, time_from_column};

impl Mailbox for Sqlite {
    fn publish_prekey(
        &mut self,
        username: &Username,
        device: &PublicKey,
        prekey: &SignedPrekey,
    ) -> Result<bool, StoreError> {
        let published = self
            .connection()?
            .prepare_cached(
                "INSERT INTO prekeys (username, public_key, prekey)
                 SELECT username, public_key, ?3 FROM account_keys
                 WHERE username = ?1 AND public_key = ?2
                 ON CONFLICT (username, public_key) DO UPDATE SET prekey = excluded.prekey",
            )?
            .execute([username.as_str(), &device.to_string(), &prekey.to_string()])?;
        Ok(published == 1)
    }

    fn prekeys(&mut self, username: &Username) -> Result<Option<AccountKeys>, StoreError> {
        let connection = self.connection()?;
        if accounts::find(connection, username)?.is_none() {
            return Ok(None);
        }
        let mut statement = connection.prepare_cached(
            "SELECT public_key, prekey, used_ms
             FROM prekeys JOIN account_keys USING (username, public_key)
             WHERE username = ?1 ORDER BY used_ms DESC, added_ms DESC LIMIT ?2",
        )?;
        let listed = devices::listed(connection, username)?;
        let mut rows = statement.query(params![username.as_str(), MAX_KEYS as i64])?;
        let mut devices = Vec::new();
        while let Some(row) = rows.next()? {
            let (device, prekey): (String, String) = (row.get("public_key")?, row.get("prekey")?);
            if listed.is_empty() || listed.iter().any(|(key, _)| *key == device) {
                let used_ms = time_from_column(row.get("used_ms")?);
                devices.push(prekey_from_column(&device, &prekey, used_ms)?);
            }
        }
        Ok(Some(AccountKeys { devices, list: devices::newest(connection, username)? }))
    }

    fn device_entries(
        &mut self,
        username: &Username,
        after: u64,
    ) -> Result<Option<DeviceEntries>, StoreError> {
        let connection = self.connection()?;
        match accounts::find(connection, username)? {
            Some(_) => devices::entries(connection, username, after).map(Some),
            None => Ok(None),
        }
    }

    fn change_list(&mut self, change: &ListChange) -> Result<ListChanged, StoreError> {
        self.transact(|transaction| devices::change(transaction, change))
    }

    fn post(
        &mut self,
        after: u64,
        envelopes: &[Arc<NewEnvelope>],
    ) -> Result<Vec<Placements>, StoreError> {
        self.transact(|transaction| {
            let mut last = head(transaction)?.max(after);
            let mut placements = Vec::with_capacity(envelopes.len());
            for envelope in envelopes {
                placements.push(post(transaction, &mut last, envelope)?);
            }
            transaction
                .prepare_cached("UPDATE mailbox SET head = ?1")?
                .execute([to_column(last)?])?;
            Ok(placements)
        })
    }

    fn waiting_mail(&mut self, query: &MailQuery) -> Result<MailPage, StoreError> {
        let connection = self.connection()?;
        let Some(device) = device_number(connection, &query.username, &query.device)? else {
            return Ok(MailPage::default());
        };
        let mut statement = connection.prepare_cached(WAITING)?;
        let (after, expired_ms) = (to_column(query.after)?, to_column(query.expired_ms)?);
        let mut rows = statement.query([device, after, expired_ms])?;
        let (mut page, mut left) = (MailPage::default(), query.max_bytes);
        while let Some(row) = rows.next()? {
            let bytes = row.get::<_, u32>("bytes")? as usize;
            let Some(rest) = left.checked_sub(bytes) else {
                page.next_bytes = Some(bytes);
                break;
            };
            left = rest;
            page.mail.push(mail(row)?);
        }
        Ok(page)
    }

    fn acknowledge(
        &mut self,
        acknowledgements: &[Arc<Acknowledgement>],
    ) -> Result<Vec<u64>, StoreError> {
        self.transact_without_waiting(|transaction| {
            acknowledgements.iter().map(|each| acknowledge(transaction, each)).collect()
        })
    }

    fn expire_mail(&mut self, through_ms: u64) -> Result<bool, StoreError> {
        let (through_ms, limit) = (to_column(through_ms)?, to_column(EXPIRED_AT_ONCE)?);
        let expired = self.transact(|transaction| {
            Ok(transaction
                .prepare_cached(
                    "DELETE FROM deliveries WHERE number IN (
                         SELECT number FROM deliveries WHERE time_ms <= ?1 LIMIT ?2)",
                )?
                .execute([through_ms, limit])?)
        })?;
        Ok(expired as u64 == EXPIRED_AT_ONCE)
    }

    fn usage(&mut self) -> Result<MailboxUsage, StoreError> {
        let select = "SELECT coalesce(sum(deliveries), 0), coalesce(sum(bytes), 0) FROM waiting";
        let mut statement = self.connection()?.prepare_cached(select)?;
        let (deliveries, bytes): (i64, i64) =
            statement.query_one([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(MailboxUsage {
            deliveries: time_from_column(deliveries),
            bytes: time_from_column(bytes),
        })
    }
}

/// The query for the next deliveries of a device. The index leaves out acknowledged ones, of which
/// there may be many more.
const WAITING: &str = "
    SELECT d.number, d.sender, d.id, d.time_ms, d.bytes, d.header, e.sealed_body
    FROM deliveries AS d INDEXED BY deliveries_waiting
    JOIN envelopes AS e ON e.number = d.envelope
    WHERE d.device = ?1 AND d.envelope IS NOT NULL
    AND d.number > ?2 AND d.time_ms > ?3 ORDER BY d.number";

/// Returns the device's number, or `None` if it has no prekey.
fn device_number(
    connection: &Connection,
    username: &Username,
    device: &PublicKey,
) -> Result<Option<i64>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT device FROM prekeys WHERE username = ?1 AND public_key = ?2")?;
    let number = statement.query_row([username.as_str(), &device.to_string()], |row| row.get(0));
    Ok(number.optional()?)
}

/// Returns the number of the last delivery.
fn head(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let head: i64 = transaction
        .prepare_cached("SELECT head FROM mailbox")?
        .query_row([], |row| row.get("head"))?;
    from_column(head)
}

/// Stores an envelope. `last` is the number of the last delivery.
fn post(
    transaction: &Transaction<'_>,
    last: &mut u64,
    new: &NewEnvelope,
) -> Result<Placements, StoreError> {
    // The sealed body has the number of its first delivery.
    let mut body = None;
    let mut placements = Vec::with_capacity(new.envelope.headers.len());
    let mut listed = Listed::default();
    for header in &new.envelope.headers {
        if !listed.admits(transaction, new, header)? {
            placements.push(Placement::Refused(Outcome::NoDevice));
            continue;
        }
        let head = new.head_for(header);
        let bytes = (head.len() + new.envelope.sealed_body.len()) as u64;
        let device = match place(transaction, new, header, bytes)? {
            Ok(device) => device,
            Err(placement) => {
                placements.push(placement);
                continue;
            }
        };
        let number = next_numbers(*last, 0, 1)?.start;
        let body = match body {
            Some(body) => body,
            None => *body.insert(insert_body(transaction, number, new)?),
        };
        insert(transaction, number, device, body, new, (&head, bytes))?;
        *last = number;
        placements.push(Placement::Stored { number });
    }
    Ok(Placements { headers: placements, missing: listed.missing })
}

/// The listed devices of the recipients so far, and those that have no header.
#[derive(Default)]
struct Listed {
    devices: HashMap<Username, Vec<(String, bool)>>,
    missing: Vec<(Username, PublicKey)>,
}

impl Listed {
    /// Returns true if the device is listed, or if the account has no list.
    fn admits(
        &mut self,
        transaction: &Transaction<'_>,
        new: &NewEnvelope,
        header: &Header,
    ) -> Result<bool, StoreError> {
        let recipient = &header.recipient;
        if !self.devices.contains_key(recipient) {
            let devices = devices::listed(transaction, recipient)?;
            self.missing.extend(new.without_header(recipient, &devices));
            self.devices.insert(recipient.clone(), devices);
        }
        let (key, listed) = (header.device.to_string(), &self.devices[recipient]);
        Ok(listed.is_empty() || listed.iter().any(|(other, _)| *other == key))
    }
}

/// Returns the number of the device to store a delivery for, or the reason why it is not stored.
fn place(
    transaction: &Transaction<'_>,
    new: &NewEnvelope,
    header: &Header,
    bytes: u64,
) -> Result<Result<i64, Placement>, StoreError> {
    let found = transaction
        .prepare_cached(
            "SELECT device, deliveries, bytes FROM prekeys JOIN waiting USING (device)
             WHERE username = ?1 AND public_key = ?2",
        )?
        .query_row([header.recipient.as_str(), &header.device.to_string()], |row| {
            Ok((row.get("device")?, row.get("deliveries")?, row.get("bytes")?))
        })
        .optional()?;
    let Some((device, deliveries, waiting_bytes)) = found else {
        let outcome = match accounts::find(transaction, &header.recipient)? {
            Some(_) => Outcome::NoDevice,
            None => Outcome::UnknownUser,
        };
        return Ok(Err(Placement::Refused(outcome)));
    };
    let repeated: Option<i64> = transaction
        .prepare_cached(
            "SELECT time_ms FROM deliveries WHERE device = ?1 AND sender = ?2 AND id = ?3",
        )?
        .query_row(params![device, new.sender.as_str(), new.id.0.to_be_bytes()], |row| row.get(0))
        .optional()?;
    if let Some(time_ms) = repeated {
        return Ok(Err(Placement::Repeated { time_ms: time_from_column(time_ms) }));
    }
    let of_sender = transaction
        .prepare_cached(OF_SENDER)?
        .query_row(params![device, new.sender.as_str()], |row| row.get(0))?;
    let usage = Usage {
        envelopes: from_column(deliveries)?,
        bytes: from_column(waiting_bytes)?,
        of_sender: from_column(of_sender)?,
    };
    Ok(match usage.has_room_for(bytes) {
        true => Ok(device),
        false => Err(Placement::Refused(Outcome::MailboxFull)),
    })
}

/// The query for the number of deliveries from one sender that wait for a device.
const OF_SENDER: &str = "
    SELECT count(*) FROM deliveries
    WHERE device = ?1 AND sender = ?2 AND envelope IS NOT NULL";

fn insert_body(
    transaction: &Transaction<'_>,
    number: u64,
    new: &NewEnvelope,
) -> Result<i64, StoreError> {
    let number = to_column(number)?;
    transaction
        .prepare_cached("INSERT INTO envelopes (number, sealed_body) VALUES (?1, ?2)")?
        .execute(params![number, new.envelope.sealed_body])?;
    Ok(number)
}

fn insert(
    transaction: &Transaction<'_>,
    number: u64,
    device: i64,
    body: i64,
    new: &NewEnvelope,
    (head, bytes): (&[u8], u64),
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO deliveries
                 (number, device, sender, id, time_ms, bytes, envelope, header)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            to_column(number)?,
            device,
            new.sender.as_str(),
            new.id.0.to_be_bytes(),
            to_column(new.time_ms)?,
            to_column(bytes)?,
            body,
            head,
        ])?;
    Ok(())
}

/// Deletes the content of acknowledged deliveries. Returns their number.
fn acknowledge(
    transaction: &Transaction<'_>,
    acknowledgement: &Acknowledgement,
) -> Result<u64, StoreError> {
    let Acknowledgement { username, device, numbers } = acknowledgement;
    let Some(device) = device_number(transaction, username, device)? else {
        return Ok(0);
    };
    let mut statement = transaction.prepare_cached(
        "UPDATE deliveries SET envelope = NULL, header = NULL
         WHERE number = ?1 AND device = ?2 AND envelope IS NOT NULL",
    )?;
    let mut deleted = 0;
    for number in numbers.iter().filter_map(|number| i64::try_from(*number).ok()) {
        deleted += statement.execute([number, device])? as u64;
    }
    Ok(deleted)
}

fn mail(row: &Row<'_>) -> Result<Mail, StoreError> {
    let (sender, id): (String, Vec<u8>) = (row.get("sender")?, row.get("id")?);
    let number = from_column(row.get("number")?)?;
    let time_ms = time_from_column(row.get("time_ms")?);
    let parts = [row.get("header")?, row.get("sealed_body")?];
    mail_from_columns(number, &sender, &id, time_ms, parts)
}

#[cfg(test)]
mod tests {
    use super::super::schema::MIGRATIONS;
    use super::*;
    use crate::store::Store as _;
    use letschat_protocol::dialogue::DeviceKeys;
    use letschat_protocol::identity::Identity;

    fn plan(connection: &Connection, query: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let values = vec!["x"; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get("detail"));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn full_mailbox_costs_no_more_than_a_look_into_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("letschat.db")).unwrap();
        let search = |table, index| format!("SEARCH {table} USING {index}");
        let by_sender =
            "COVERING INDEX deliveries_by_sender (device=? AND sender=? AND envelope>?)";
        let waiting = "INDEX deliveries_waiting (device=? AND number>?)";
        let body = "INTEGER PRIMARY KEY (rowid=?)";
        for (query, steps) in [
            (OF_SENDER, vec![search("deliveries", by_sender)]),
            (WAITING, vec![search("d", waiting), search("e", body)]),
        ] {
            assert_eq!(plan(&store.connection, query), steps);
        }
    }

    #[test]
    fn deleted_content_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("letschat.db")).unwrap();
        let secure = |row: &Row<'_>| row.get::<_, i64>(0);
        let is_secure = store.connection.query_row("PRAGMA secure_delete", [], secure).unwrap();
        assert_eq!(is_secure, 1);
    }

    #[test]
    fn database_of_version_0_1_gets_a_mailbox() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letschat.db");
        let (bob, device) = ("bob".parse().unwrap(), Identity::from_seed(&[1; 32]).public_key());
        let old = Connection::open(&path).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.execute_batch(&format!(
            "PRAGMA user_version = 1; INSERT INTO accounts VALUES ('bob', 'phc', 1, 0);
             INSERT INTO account_keys VALUES ('bob', '{device}', 1, 1);"
        ))
        .unwrap();
        drop(old);
        let mut store = Sqlite::open(&path).unwrap();
        assert_eq!(store.account(&bob).unwrap().unwrap().phc, "phc");
        assert_eq!(store.prekeys(&bob).unwrap(), Some(AccountKeys::default()));
        let prekey = "11".repeat(32) + " 1 9 " + &"22".repeat(64);
        let keys = DeviceKeys::parse(&format!("{device} {prekey} 1")).unwrap();
        assert!(store.publish_prekey(&bob, &device, &keys.prekey).unwrap());
        assert_eq!(store.prekeys(&bob).unwrap().unwrap().devices, [keys]);
    }

    #[test]
    fn commits_wait_for_the_disk_after_an_acknowledgement() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(&folder.path().join("letschat.db")).unwrap();
        let (username, device) =
            ("bob".parse().unwrap(), Identity::from_seed(&[1; 32]).public_key());
        let numbers = vec![1];
        let acknowledgement = Arc::new(Acknowledgement { username, device, numbers });
        assert_eq!(store.acknowledge(&[acknowledgement]).unwrap(), [0]);
        let full = store.connection.query_row("PRAGMA synchronous", [], |row| row.get(0));
        assert_eq!((full, store.is_synced), (Ok(2), true));
    }
}
