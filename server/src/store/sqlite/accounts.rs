//! Accounts and their keys.

use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::to_column;
use crate::store::{Account, Created, MAX_KEYS, StoreError, Verdict, time_from_column};

pub(super) fn create(
    connection: &Connection,
    username: &Username,
    phc: &str,
    created_ms: u64,
) -> Result<Created, StoreError> {
    let added = connection
        .prepare_cached(
            "INSERT INTO accounts (username, phc, created_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (username) DO NOTHING",
        )?
        .execute(params![username.as_str(), phc, to_column(created_ms)?])?;
    Ok(if added == 1 { Created::New } else { Created::Taken })
}

pub(super) fn find(
    connection: &Connection,
    username: &Username,
) -> Result<Option<Account>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT phc, banned FROM accounts WHERE username = ?1")?
        .query_row([username.as_str()], |row| {
            Ok(Account { phc: row.get("phc")?, banned: row.get("banned")? })
        })
        .optional()?)
}

/// Checks that the account still has the hash that a password was compared with.
pub(super) fn judge(
    transaction: &Transaction<'_>,
    username: &Username,
    phc: &str,
) -> Result<Verdict, StoreError> {
    let banned: Option<bool> = transaction
        .prepare_cached("SELECT banned FROM accounts WHERE username = ?1 AND phc = ?2")?
        .query_row([username.as_str(), phc], |row| row.get("banned"))
        .optional()?;
    Ok(match banned {
        Some(false) => Verdict::Accepted,
        Some(true) => Verdict::Banned,
        None => Verdict::Refused,
    })
}

pub(super) fn set_password(
    transaction: &Transaction<'_>,
    username: &Username,
    phc: &str,
    keep: Option<&PublicKey>,
) -> Result<bool, StoreError> {
    let changed = transaction
        .prepare_cached("UPDATE accounts SET phc = ?2 WHERE username = ?1")?
        .execute([username.as_str(), phc])?;
    // No key is the empty text, so without a key to keep all are deleted.
    let keep = keep.map(PublicKey::to_string).unwrap_or_default();
    transaction
        .prepare_cached("DELETE FROM account_keys WHERE username = ?1 AND public_key <> ?2")?
        .execute([username.as_str(), &keep])?;
    Ok(changed == 1)
}

pub(super) fn add_key(
    transaction: &Transaction<'_>,
    username: &Username,
    key: &PublicKey,
    now_ms: u64,
) -> Result<(), StoreError> {
    let (name, key, now_ms) = (username.as_str(), key.to_string(), to_column(now_ms)?);
    transaction
        .prepare_cached(
            "INSERT INTO account_keys (username, public_key, added_ms, used_ms)
             VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (username, public_key) DO UPDATE SET used_ms = excluded.used_ms",
        )?
        .execute(params![name, key, now_ms])?;
    // The given key sorts first whatever the clock says: it must not evict itself. An unlisted device
    // evicts no listed one as long as there are other unlisted ones.
    transaction
        .prepare_cached(
            "DELETE FROM account_keys WHERE username = ?1 AND public_key NOT IN (
                 SELECT public_key FROM account_keys AS k WHERE username = ?1
                 ORDER BY public_key = ?2 DESC, EXISTS (
                     SELECT 1 FROM listed_devices AS l
                     WHERE l.username = k.username AND l.public_key = k.public_key) DESC,
                 used_ms DESC, added_ms DESC LIMIT ?3)",
        )?
        .execute(params![name, key, MAX_KEYS as i64])?;
    Ok(())
}

/// Returns the verdict on a key, and the time of the key's last use if it is accepted.
///
/// Both statements always run, so that an unknown account takes as long as an unknown key.
pub(super) fn check_key(
    connection: &Connection,
    username: &Username,
    key: &PublicKey,
) -> Result<(Verdict, u64), StoreError> {
    let (name, key) = (username.as_str(), key.to_string());
    let used: Option<i64> = connection
        .prepare_cached("SELECT used_ms FROM account_keys WHERE username = ?1 AND public_key = ?2")?
        .query_row([name, &key], |row| row.get("used_ms"))
        .optional()?;
    // SQLite takes longer to find a row than to find none, so this statement always finds one. If
    // no account has the name, it reads the newest account, which it looks up in any case.
    let banned: Option<bool> = connection
        .prepare_cached(
            "SELECT username = ?1 AS is_it, banned
             FROM (SELECT max(rowid) AS newest FROM accounts) CROSS JOIN accounts
             ON accounts.rowid = ifnull(
                 (SELECT rowid FROM accounts WHERE username = ?1), newest)",
        )?
        .query_row([name], |row| Ok((row.get("is_it")?, row.get("banned")?)))
        .optional()?
        .and_then(|(is_it, banned): (bool, bool)| is_it.then_some(banned));
    Ok(match (used, banned) {
        (Some(used), Some(false)) => (Verdict::Accepted, time_from_column(used)),
        (Some(_), Some(true)) => (Verdict::Banned, 0),
        _ => (Verdict::Refused, 0),
    })
}

/// Records a key's use.
///
/// The write does not [wait for the disk](wait_for_disk), so that thousands can reconnect at once.
/// A power failure may lose only this write: the next commit syncs it as well.
pub(super) fn note_use(
    connection: &Connection,
    username: &Username,
    key: &PublicKey,
    now_ms: u64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE account_keys SET used_ms = ?3 WHERE username = ?1 AND public_key = ?2",
        )?
        .execute(params![username.as_str(), key.to_string(), to_column(now_ms)?])?;
    Ok(())
}

/// Sets whether commits wait for the disk.
pub(super) fn wait_for_disk(connection: &Connection, wait: bool) -> Result<(), StoreError> {
    let how = if wait { "FULL" } else { "NORMAL" };
    Ok(connection.pragma_update(None, "synchronous", how)?)
}
