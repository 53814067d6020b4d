//! Prekeys and envelopes.
//!
//! A commit whose answer is lost is reported as a failure. The client then posts the envelope
//! again, and the deliveries that were committed after all count as repeated.
//!
//! An envelope is looked up and inserted with a few statements for all of its headers, since each
//! statement is a round trip. The statements name their index where the database might choose one
//! that holds the whole of a full mailbox.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, Row, Value};
use letschat_protocol::dialogue::{AccountKeys, DeviceEntries, Mail, Outcome};
use letschat_protocol::envelope::Header;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::prekey::SignedPrekey;
use letschat_protocol::username::Username;

use super::failure::{Failure, column, columns};
use super::{Mysql, devices, next_numbers};
use crate::store::mailbox::{
    Acknowledgement, EXPIRED_AT_ONCE, ListChange, ListChanged, MailPage, MailQuery, Mailbox,
    MailboxUsage, NewEnvelope, Placement, Placements, Usage, mail_from_columns, prekey_from_column,
};
use crate::store::{MAX_KEYS, StoreError, time_from_column};

/// The most deliveries in a page. An envelope has at least 150 bytes, so that no more fit the 64 KiB
/// that a device is sent at once.
const MAX_PAGE_MAIL: usize = 500;

/// A device as the database names it: the account and the key.
type Device = (String, String);

impl Mailbox for Mysql {
    fn publish_prekey(
        &mut self,
        username: &Username,
        device: &PublicKey,
        prekey: &SignedPrekey,
    ) -> Result<bool, StoreError> {
        let (device, prekey) = (device.to_string(), prekey.to_string());
        self.session.run(|conn| {
            conn.exec_drop(
                "INSERT INTO prekeys (username, public_key, prekey)
                 SELECT username, public_key, ? FROM account_keys
                 WHERE username = ? AND public_key = ?
                 ON DUPLICATE KEY UPDATE prekey = ?",
                (&prekey, username.as_str(), &device, &prekey),
            )?;
            Ok(conn.affected_rows() > 0)
        })
    }

    fn prekeys(&mut self, username: &Username) -> Result<Option<AccountKeys>, StoreError> {
        self.session.run(|conn| {
            let select = "SELECT username FROM accounts WHERE username = ?";
            if conn.exec_first::<Row, _, _>(select, (username.as_str(),))?.is_none() {
                return Ok(None);
            }
            let rows: Vec<Row> = conn.exec(
                "SELECT p.public_key, p.prekey, k.used_ms FROM prekeys AS p JOIN account_keys AS k
                 ON k.username = p.username AND k.public_key = p.public_key
                 WHERE p.username = ? ORDER BY k.used_ms DESC, k.added_ms DESC LIMIT ?",
                (username.as_str(), MAX_KEYS),
            )?;
            let listed = devices::listed(conn, &[username.as_str()])?.remove(username.as_str());
            let mut devices = Vec::new();
            for row in &rows {
                let (device, prekey): (String, String) =
                    (column(row, "public_key")?, column(row, "prekey")?);
                let is_device = |(key, _): &(String, bool)| *key == device;
                if listed.as_ref().is_none_or(|listed| listed.iter().any(is_device)) {
                    let used_ms = time_from_column(column(row, "used_ms")?);
                    devices.push(prekey_from_column(&device, &prekey, used_ms)?);
                }
            }
            Ok(Some(AccountKeys { devices, list: devices::newest(conn, username)? }))
        })
    }

    fn device_entries(
        &mut self,
        username: &Username,
        after: u64,
    ) -> Result<Option<DeviceEntries>, StoreError> {
        self.session.run(|conn| {
            let select = "SELECT username FROM accounts WHERE username = ?";
            match conn.exec_first::<Row, _, _>(select, (username.as_str(),))? {
                Some(_) => devices::entries(conn, username, after).map(Some),
                None => Ok(None),
            }
        })
    }

    fn change_list(&mut self, change: &ListChange) -> Result<ListChanged, StoreError> {
        self.session.transact(|conn| devices::change(conn, change))
    }

    fn post(
        &mut self,
        after: u64,
        envelopes: &[Arc<NewEnvelope>],
    ) -> Result<Vec<Placements>, StoreError> {
        self.session.transact(|conn| {
            let mut last = head(conn)?.max(after);
            let mut placements = Vec::with_capacity(envelopes.len());
            for envelope in envelopes {
                placements.push(post(conn, &mut last, envelope)?);
            }
            conn.exec_drop("UPDATE mailbox SET head = ?", (last,))?;
            Ok(placements)
        })
    }

    fn waiting_mail(&mut self, query: &MailQuery) -> Result<MailPage, StoreError> {
        let device = query.device.to_string();
        self.session.run(|conn| {
            // The sizes come first: the database would send all that a longer query asks for.
            let rows: Vec<Row> = conn.exec(
                "SELECT number, bytes FROM deliveries FORCE INDEX (waiting)
                 WHERE recipient = ? AND device = ? AND waiting = 1 AND number > ? AND time_ms > ?
                 ORDER BY number LIMIT ?",
                (query.username.as_str(), &device, query.after, query.expired_ms, MAX_PAGE_MAIL),
            )?;
            let (mut page, mut left) = (MailPage::default(), query.max_bytes);
            let mut numbers: Vec<u64> = Vec::new();
            for row in &rows {
                let bytes: usize = column(row, "bytes")?;
                let Some(rest) = left.checked_sub(bytes) else {
                    page.next_bytes = Some(bytes);
                    break;
                };
                left = rest;
                numbers.push(column(row, "number")?);
            }
            if numbers.is_empty() {
                return Ok(page);
            }
            let select = format!(
                "SELECT d.number, d.sender, d.id, d.time_ms, d.header, e.sealed_body
                 FROM deliveries AS d JOIN envelopes AS e ON e.number = d.envelope
                 WHERE d.number IN {} ORDER BY d.number",
                list(numbers.len())
            );
            let rows: Vec<Row> = conn.exec(select, values(&numbers))?;
            page.mail = rows.iter().map(mail).collect::<Result<_, Failure>>()?;
            Ok(page)
        })
    }

    fn acknowledge(
        &mut self,
        acknowledgements: &[Arc<Acknowledgement>],
    ) -> Result<Vec<u64>, StoreError> {
        self.session
            .transact(|conn| acknowledgements.iter().map(|each| acknowledge(conn, each)).collect())
    }

    fn expire_mail(&mut self, through_ms: u64) -> Result<bool, StoreError> {
        self.session.transact(|conn| {
            let select = "SELECT number, recipient, device, bytes, waiting FROM deliveries
                          WHERE time_ms <= ? LIMIT ?";
            let rows: Vec<Row> = conn.exec(select, (through_ms, EXPIRED_AT_ONCE))?;
            let numbers: Vec<u64> = columns(&rows, "number")?;
            if !numbers.is_empty() {
                let delete = format!("DELETE FROM deliveries WHERE number IN {}", list(rows.len()));
                conn.exec_drop(delete, values(&numbers))?;
                let waits = |row: &&Row| column(row, "waiting").unwrap_or(false);
                uncount(conn, rows.iter().filter(waits))?;
            }
            // An envelope is as old as its deliveries, which have to be deleted first.
            if numbers.len() as u64 == EXPIRED_AT_ONCE {
                return Ok(true);
            }
            let delete = "DELETE FROM envelopes WHERE time_ms <= ? LIMIT ?";
            conn.exec_drop(delete, (through_ms, EXPIRED_AT_ONCE))?;
            Ok(conn.affected_rows() == EXPIRED_AT_ONCE)
        })
    }

    fn usage(&mut self) -> Result<MailboxUsage, StoreError> {
        self.session.run(|conn| {
            let sums: Option<(i64, i64)> = conn.query_first(
                "SELECT CAST(coalesce(sum(waiting), 0) AS SIGNED),
                        CAST(coalesce(sum(bytes), 0) AS SIGNED) FROM prekeys",
            )?;
            let [deliveries, bytes] =
                <[i64; 2]>::from(sums.unwrap_or_default()).map(time_from_column);
            Ok(MailboxUsage { deliveries, bytes })
        })
    }
}

/// A change of the counts of one device: deliveries and bytes.
type Change = (i64, i64);

/// Changes the counts of waiting deliveries in the rows of their devices.
fn count(conn: &mut Conn, changes: BTreeMap<Device, Change>) -> Result<(), Failure> {
    // One statement for all devices with the same change: sizes differ by the length of a name only.
    let mut alike: BTreeMap<Change, Vec<Device>> = BTreeMap::new();
    for (device, change) in changes {
        alike.entry(change).or_default().push(device);
    }
    for ((waiting, bytes), devices) in alike {
        let update = format!(
            "UPDATE prekeys SET waiting = waiting + ?, bytes = bytes + ?
             WHERE (username, public_key) IN ({})",
            vec!["(?, ?)"; devices.len()].join(", ")
        );
        let mut values: Vec<Value> = vec![waiting.into(), bytes.into()];
        values.extend(devices.into_iter().flat_map(|(name, key)| [name.into(), key.into()]));
        conn.exec_drop(update, values)?;
    }
    Ok(())
}

/// Subtracts the deliveries of these rows from the counts of their devices.
fn uncount<'a>(conn: &mut Conn, rows: impl Iterator<Item = &'a Row>) -> Result<(), Failure> {
    let mut changes: BTreeMap<Device, Change> = BTreeMap::new();
    for row in rows {
        let (waiting, bytes) = changes.entry(recipient(row)?).or_default();
        *waiting -= 1;
        *bytes -= column::<i64>(row, "bytes")?;
    }
    count(conn, changes)
}

/// Deletes an account's keys but `keep`, with their prekeys and waiting deliveries. No key is the
/// empty text, so without a key to keep all are deleted.
///
/// Acknowledged deliveries stay until they expire: there may be very many.
pub(super) fn delete_keys(conn: &mut Conn, username: &str, keep: &str) -> Result<(), Failure> {
    let rows: Vec<Row> = conn.exec(
        "SELECT public_key FROM account_keys WHERE username = ? AND public_key <> ? FOR UPDATE",
        (username, keep),
    )?;
    let delete = "DELETE FROM account_keys WHERE username = ? AND public_key <> ?";
    conn.exec_drop(delete, (username, keep))?;
    let keys: Vec<String> = columns(&rows, "public_key")?;
    keys.iter().try_for_each(|key| delete_waiting(conn, username, key))
}

/// Deletes one key of an account, as [`delete_keys`] does.
pub(super) fn delete_key(conn: &mut Conn, username: &str, key: &str) -> Result<(), Failure> {
    let delete = "DELETE FROM account_keys WHERE username = ? AND public_key = ?";
    conn.exec_drop(delete, (username, key))?;
    delete_waiting(conn, username, key)
}

/// Deletes what waits for a device, but not the sealed bodies that other devices need.
///
/// The device's key has been deleted. The foreign key deleted the prekey with it, so that no
/// delivery follows: a POST locks the prekeys that it finds.
fn delete_waiting(conn: &mut Conn, username: &str, key: &str) -> Result<(), Failure> {
    // A locking read sees what was committed after the transaction's first read.
    let rows: Vec<Row> = conn.exec(
        "SELECT number, envelope FROM deliveries FORCE INDEX (waiting)
         WHERE recipient = ? AND device = ? AND waiting = 1 FOR UPDATE",
        (username, key),
    )?;
    let numbers: Vec<u64> = columns(&rows, "number")?;
    for some in numbers.chunks(1_000) {
        let delete = format!("DELETE FROM deliveries WHERE number IN {}", list(some.len()));
        conn.exec_drop(delete, values(some))?;
    }
    delete_bodies(conn, &columns(&rows, "envelope")?)
}

/// Deletes those of these sealed bodies that no delivery needs any more.
fn delete_bodies(conn: &mut Conn, numbers: &[u64]) -> Result<(), Failure> {
    for some in numbers.chunks(1_000) {
        let delete = format!(
            "DELETE FROM envelopes WHERE number IN {} AND NOT EXISTS (
                 SELECT 1 FROM deliveries WHERE deliveries.envelope = envelopes.number)",
            list(some.len())
        );
        conn.exec_drop(delete, values(some))?;
    }
    Ok(())
}

/// Returns the number of the last delivery, and creates the counter at the first call. It stays locked until the
/// transaction ends, so that the numbers of several servers rise in the order of their commits.
fn head(conn: &mut Conn) -> Result<u64, Failure> {
    if let Some(row) = conn.query_first::<Row, _>("SELECT head FROM mailbox FOR UPDATE")? {
        return Ok(column(&row, "head")?);
    }
    conn.query_drop("INSERT IGNORE INTO mailbox (only, head) VALUES (1, 0)")?;
    head(conn)
}

/// Deletes the content of acknowledged deliveries. Returns their number.
fn acknowledge(conn: &mut Conn, acknowledgement: &Acknowledgement) -> Result<u64, Failure> {
    let Acknowledgement { username, device, numbers } = acknowledgement;
    if numbers.is_empty() {
        return Ok(0);
    }
    let select = format!(
        "SELECT number, recipient, device, bytes, envelope FROM deliveries
         WHERE recipient = ? AND device = ? AND waiting = 1 AND number IN {}",
        list(numbers.len())
    );
    let mut asked: Vec<Value> = vec![username.as_str().into(), device.to_string().into()];
    asked.extend(values(numbers));
    let rows: Vec<Row> = conn.exec(select, asked)?;
    let numbers: Vec<u64> = columns(&rows, "number")?;
    if numbers.is_empty() {
        return Ok(0);
    }
    let update = format!(
        "UPDATE deliveries SET waiting = 0, envelope = NULL, header = NULL WHERE number IN {}",
        list(numbers.len())
    );
    conn.exec_drop(update, values(&numbers))?;
    uncount(conn, rows.iter())?;
    delete_bodies(conn, &columns(&rows, "envelope")?)?;
    Ok(numbers.len() as u64)
}

/// Stores an envelope. `last` is the number of the last delivery.
fn post(conn: &mut Conn, last: &mut u64, new: &NewEnvelope) -> Result<Placements, Failure> {
    let known = Known::of(conn, new)?;
    let missing = known.missing(new);
    let mut placements = Vec::with_capacity(new.envelope.headers.len());
    let (mut rows, mut changes) = (Vec::new(), BTreeMap::new());
    let first = next_numbers(*last, 0, new.envelope.headers.len())?.start;
    for header in &new.envelope.headers {
        let head = new.head_for(header);
        let bytes = (head.len() + new.envelope.sealed_body.len()) as u64;
        placements.push(match known.refusal(header, bytes) {
            Some(placement) => placement,
            None => {
                *last += 1;
                changes.insert(device_of(header), (1, bytes as i64));
                rows.push(row_of(new, header, [*last, first, bytes], head));
                Placement::Stored { number: *last }
            }
        });
    }
    if rows.is_empty() {
        return Ok(Placements { headers: placements, missing });
    }
    // The sealed body has the number of its first delivery.
    conn.exec_drop(
        "INSERT INTO envelopes (number, time_ms, sealed_body) VALUES (?, ?, ?)",
        (first, new.time_ms, &new.envelope.sealed_body),
    )?;
    let insert = format!(
        "INSERT INTO deliveries
             (number, sender, id, recipient, device, time_ms, bytes, waiting, envelope, header)
         VALUES {}",
        vec!["(?, ?, ?, ?, ?, ?, ?, 1, ?, ?)"; rows.len()].join(", ")
    );
    conn.exec_drop(insert, rows.concat())?;
    count(conn, changes)?;
    Ok(Placements { headers: placements, missing })
}

fn row_of(
    new: &NewEnvelope,
    header: &Header,
    [number, body, bytes]: [u64; 3],
    head: Vec<u8>,
) -> Vec<Value> {
    vec![
        number.into(),
        new.sender.as_str().into(),
        new.id.0.to_be_bytes().to_vec().into(),
        header.recipient.as_str().into(),
        header.device.to_string().into(),
        new.time_ms.into(),
        bytes.into(),
        body.into(),
        head.into(),
    ]
}

fn device_of(header: &Header) -> Device {
    (header.recipient.to_string(), header.device.to_string())
}

/// The facts about an envelope's recipients that decide what is stored.
struct Known {
    accounts: HashSet<String>,
    /// The listed devices of each account that has a list, each with true if it has a prekey.
    listed: HashMap<String, Vec<(String, bool)>>,
    /// The devices with a prekey, and the deliveries and bytes that wait for them.
    prekeys: HashMap<Device, (u64, u64)>,
    /// The times of the deliveries that were stored before.
    repeated: HashMap<Device, i64>,
    /// The numbers of deliveries from the same sender.
    of_sender: HashMap<Device, u64>,
}

impl Known {
    fn of(conn: &mut Conn, new: &NewEnvelope) -> Result<Known, Failure> {
        let headers = &new.envelope.headers;
        let names: HashSet<&str> = headers.iter().map(|header| header.recipient.as_str()).collect();
        let listed = devices::listed(conn, &names.iter().copied().collect::<Vec<_>>())?;
        let names: Vec<Value> = names.into_iter().map(Value::from).collect();
        let devices = vec!["(?, ?)"; headers.len()].join(", ");
        let keys = headers.iter().flat_map(|header| -> [Value; 2] {
            [header.recipient.as_str().into(), header.device.to_string().into()]
        });
        let (id, sender) = (new.id.0.to_be_bytes().to_vec(), new.sender.as_str());

        let select =
            format!("SELECT username FROM accounts WHERE username IN {}", list(names.len()));
        let rows: Vec<Row> = conn.exec(select, names)?;
        let accounts = columns(&rows, "username")?.into_iter().collect();

        // The operator's tool can't remove a locked device before the commit.
        let select = format!(
            "SELECT username, public_key, waiting, bytes FROM prekeys
             WHERE (username, public_key) IN ({devices}) FOR UPDATE"
        );
        let rows: Vec<Row> = conn.exec(select, keys.clone().collect::<Vec<_>>())?;
        let device = |row| {
            let device = (column(row, "username")?, column(row, "public_key")?);
            Ok((device, (column(row, "waiting")?, column(row, "bytes")?)))
        };
        let prekeys = rows.iter().map(device).collect::<Result<_, Failure>>()?;

        let select = format!(
            "SELECT recipient, device, time_ms FROM deliveries FORCE INDEX (once)
             WHERE sender = ? AND id = ? AND (recipient, device) IN ({devices})"
        );
        let values = [Value::from(sender), Value::from(id)].into_iter().chain(keys.clone());
        let rows: Vec<Row> = conn.exec(select, values.collect::<Vec<_>>())?;
        let time = |row| Ok((recipient(row)?, column(row, "time_ms")?));
        let repeated = rows.iter().map(time).collect::<Result<_, Failure>>()?;

        let select = format!(
            "SELECT recipient, device, count(*) AS envelopes
             FROM deliveries FORCE INDEX (by_sender)
             WHERE sender = ? AND (recipient, device) IN ({devices}) AND waiting = 1
             GROUP BY recipient, device"
        );
        let values = [Value::from(sender)].into_iter().chain(keys);
        let rows: Vec<Row> = conn.exec(select, values.collect::<Vec<_>>())?;
        let envelopes = |row| Ok((recipient(row)?, column(row, "envelopes")?));
        let of_sender = rows.iter().map(envelopes).collect::<Result<_, Failure>>()?;
        Ok(Known { accounts, listed, prekeys, repeated, of_sender })
    }

    /// Returns the listed devices of the recipients that have a prekey and no header.
    fn missing(&self, new: &NewEnvelope) -> Vec<(Username, PublicKey)> {
        let of = |(name, devices): (&String, &Vec<(String, bool)>)| {
            name.parse().map_or(Vec::new(), |name| new.without_header(&name, devices))
        };
        self.listed.iter().flat_map(of).collect()
    }

    /// Returns the reason why a delivery is not stored, if there is one. An envelope has one header
    /// for each device, so that its own deliveries need not be counted.
    fn refusal(&self, header: &Header, bytes: u64) -> Option<Placement> {
        let device = device_of(header);
        if let Some(time_ms) = self.repeated.get(&device) {
            return Some(Placement::Repeated { time_ms: time_from_column(*time_ms) });
        }
        if !self.accounts.contains(&device.0) {
            return Some(Placement::Refused(Outcome::UnknownUser));
        }
        let is_listed =
            |listed: &Vec<(String, bool)>| listed.iter().any(|(key, _)| *key == device.1);
        if !self.listed.get(&device.0).is_none_or(is_listed) {
            return Some(Placement::Refused(Outcome::NoDevice));
        }
        let Some((envelopes, waiting_bytes)) = self.prekeys.get(&device).copied() else {
            return Some(Placement::Refused(Outcome::NoDevice));
        };
        let of_sender = self.of_sender.get(&device).copied().unwrap_or_default();
        let usage = Usage { envelopes, bytes: waiting_bytes, of_sender };
        (!usage.has_room_for(bytes)).then_some(Placement::Refused(Outcome::MailboxFull))
    }
}

fn recipient(row: &Row) -> Result<Device, Failure> {
    Ok((column(row, "recipient")?, column(row, "device")?))
}

fn mail(row: &Row) -> Result<Mail, Failure> {
    let (sender, id): (String, Vec<u8>) = (column(row, "sender")?, column(row, "id")?);
    let time_ms = time_from_column(column(row, "time_ms")?);
    let parts = [column(row, "header")?, column(row, "sealed_body")?];
    Ok(mail_from_columns(column(row, "number")?, &sender, &id, time_ms, parts)?)
}

pub(super) fn values(numbers: &[u64]) -> Vec<Value> {
    numbers.iter().map(Value::from).collect()
}

/// Returns a list of this many placeholders.
pub(super) fn list(count: usize) -> String {
    format!("({})", vec!["?"; count].join(", "))
}
