//! The embedded database: one file in WAL mode, every commit synced to disk.
//!
//! SQLite's integers are signed. Numbers and times stay in their range; the epoch and the boot's
//! id use all 64 bits and are stored bit for bit.

mod admin;

use std::fmt::Display;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use letschat_protocol::dialogue::Broadcast;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, Transaction,
    TransactionBehavior, params,
};

use super::admin::too_new;
use super::{
    Account, Created, KEY_USE_MS, MAX_KEYS, Store, StoreError, StoredEntry, StoredLog, Verdict,
};

/// The store in a file of its own.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
}

/// Another process (a backup, the operator's tool) may hold the file for this long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

impl Sqlite {
    /// Opens the database and brings its tables up to date. A file that is not there yet is made,
    /// readable by its owner only; its folder must exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Content`] for a database of a newer version, which is left as it is.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        make_file(path)?;
        let mut store = Sqlite::connect(path)?;
        store.bring_up_to_date()?;
        Ok(store)
    }

    /// A connection to a file that is there.
    fn connect(path: &Path) -> Result<Sqlite, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(absolute(path)?, flags)
            .map_err(|error| unusable(path, &error))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Sqlite { connection })
    }

    fn bring_up_to_date(&mut self) -> Result<(), StoreError> {
        migrate(&mut self.connection)?;
        self.keep_a_write_ahead_log()
    }

    /// The one statement that does not wait for others by itself: the operator's tool may be
    /// making the same database at this moment.
    fn keep_a_write_ahead_log(&self) -> Result<(), StoreError> {
        let until = Instant::now() + BUSY_TIMEOUT;
        loop {
            let set = self.connection.pragma_update(None, "journal_mode", "WAL");
            match set.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
                Some(ErrorCode::DatabaseBusy) if Instant::now() < until => {
                    thread::sleep(BUSY_PAUSE);
                }
                _ => return Ok(set?),
            }
        }
    }

    /// A transaction that writes. It takes the lock at its beginning: one that began by reading
    /// could not wait for its turn to write.
    fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }
}

/// Makes an empty file for its owner alone, if there is none.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    let made = options.append(true).create(true).mode(0o600).open(absolute(path)?);
    made.map(drop).map_err(|error| unusable(path, &error))
}

/// SQLite's own names for databases in memory are relative; an absolute path is a file.
fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn Display) -> StoreError {
    StoreError::Database(format!("{} can't be opened: {error}", path.display()))
}

/// What leads from each version to the next. A step that was released is never changed.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE accounts (
        username   TEXT    NOT NULL PRIMARY KEY,
        phc        TEXT    NOT NULL,
        created_ms INTEGER NOT NULL,
        banned     INTEGER NOT NULL DEFAULT 0 CHECK (banned IN (0, 1))
    ) STRICT;
    CREATE TABLE account_keys (
        username   TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
        public_key TEXT    NOT NULL CHECK (length(public_key) = 64),
        added_ms   INTEGER NOT NULL,
        used_ms    INTEGER NOT NULL,
        PRIMARY KEY (username, public_key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE broadcasts (
        number     INTEGER NOT NULL PRIMARY KEY,
        sender     TEXT    NOT NULL,
        time_ms    INTEGER NOT NULL,
        text       TEXT    NOT NULL,
        boot_ms    INTEGER NOT NULL,
        boot_id    INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE log (
        only       INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
        epoch      INTEGER NOT NULL,
        head       INTEGER NOT NULL
    ) STRICT;
"];

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let Some(outstanding) = MIGRATIONS.get(version..) else {
        return Err(too_new(version, MIGRATIONS.len()));
    };
    for step in outstanding {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).map_err(|_| too_new(version, MIGRATIONS.len()))
}

impl Store for Sqlite {
    fn create_account(
        &mut self,
        username: &Username,
        phc: &str,
        created_ms: u64,
    ) -> Result<Created, StoreError> {
        let added = self
            .connection
            .prepare_cached(
                "INSERT INTO accounts (username, phc, created_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (username) DO NOTHING",
            )?
            .execute(params![username.as_str(), phc, to_column(created_ms)?])?;
        Ok(if added == 1 { Created::New } else { Created::Taken })
    }

    fn account(&mut self, username: &Username) -> Result<Option<Account>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT phc, banned FROM accounts WHERE username = ?1")?
            .query_row([username.as_str()], |row| {
                Ok(Account { phc: row.get("phc")?, banned: row.get("banned")? })
            })
            .optional()?)
    }

    fn set_password(
        &mut self,
        username: &Username,
        phc: &str,
        keep: Option<&PublicKey>,
    ) -> Result<bool, StoreError> {
        let transaction = self.begin()?;
        let changed = set_password(&transaction, username, phc, keep)?;
        transaction.commit()?;
        Ok(changed)
    }

    fn admit(
        &mut self,
        username: &Username,
        phc: &str,
        key: Option<&PublicKey>,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        let transaction = self.begin()?;
        let verdict = judge(&transaction, username, phc)?;
        if let (Verdict::Accepted, Some(key)) = (verdict, key) {
            add_key(&transaction, username, key, now_ms)?;
        }
        transaction.commit()?;
        Ok(verdict)
    }

    fn replace_password(
        &mut self,
        username: &Username,
        old: &str,
        new: &str,
        keep: Option<&PublicKey>,
    ) -> Result<Verdict, StoreError> {
        let transaction = self.begin()?;
        let verdict = judge(&transaction, username, old)?;
        if verdict == Verdict::Accepted {
            set_password(&transaction, username, new, keep)?;
        }
        transaction.commit()?;
        Ok(verdict)
    }

    fn add_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        add_key(&transaction, username, key, now_ms)?;
        Ok(transaction.commit()?)
    }

    fn check_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        // Both statements run whatever the first finds, so that an unknown account takes as long
        // as an unknown key.
        let (name, key) = (username.as_str(), key.to_string());
        let used: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT used_ms FROM account_keys WHERE username = ?1 AND public_key = ?2",
            )?
            .query_row([name, &key], |row| row.get("used_ms"))
            .optional()?;
        // To come to a row takes longer than to come to none. So there is one in any case: without an
        // account of that name it is the newest, which is looked up in any case too.
        let banned: Option<bool> = self
            .connection
            .prepare_cached(
                "SELECT username = ?1 AS is_it, banned
                 FROM (SELECT max(rowid) AS newest FROM accounts) CROSS JOIN accounts
                 ON accounts.rowid = ifnull(
                     (SELECT rowid FROM accounts WHERE username = ?1), newest)",
            )?
            .query_row([name], |row| Ok((row.get("is_it")?, row.get("banned")?)))
            .optional()?
            .and_then(|(is_it, banned): (bool, bool)| is_it.then_some(banned));
        let used_ms = match (used, banned) {
            (Some(used), Some(false)) => from_column(used)?,
            (Some(_), Some(true)) => return Ok(Verdict::Banned),
            _ => return Ok(Verdict::Refused),
        };
        if now_ms >= used_ms.saturating_add(KEY_USE_MS) {
            self.connection
                .prepare_cached(
                    "UPDATE account_keys SET used_ms = ?3 WHERE username = ?1 AND public_key = ?2",
                )?
                .execute(params![name, key, to_column(now_ms)?])?;
        }
        Ok(Verdict::Accepted)
    }

    fn load_log(&mut self) -> Result<StoredLog, StoreError> {
        let transaction = self.begin()?;
        let (epoch, head) = epoch_and_head(&transaction)?;
        let entries = stored_entries(&transaction)?;
        transaction.commit()?;
        if entries.last().is_some_and(|last| last.broadcast.number > head) {
            return Err(StoreError::Content(format!("broadcasts above the counter, {head}")));
        }
        Ok(StoredLog { epoch, head, entries })
    }

    fn append(&mut self, entries: &[StoredEntry]) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        let (_, head) = epoch_and_head(&transaction)?;
        let head = head_after(head, entries)?;
        for entry in entries {
            insert_entry(&transaction, entry)?;
        }
        transaction.prepare_cached("UPDATE log SET head = ?1")?.execute([to_column(head)?])?;
        Ok(transaction.commit()?)
    }

    fn forget(&mut self, through: u64) -> Result<(), StoreError> {
        let through = i64::try_from(through).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached("DELETE FROM broadcasts WHERE number <= ?1")?
            .execute([through])?;
        Ok(())
    }
}

/// Whether the account still has the hash that a password was compared with.
fn judge(
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

fn set_password(
    transaction: &Transaction<'_>,
    username: &Username,
    phc: &str,
    keep: Option<&PublicKey>,
) -> Result<bool, StoreError> {
    let changed = transaction
        .prepare_cached("UPDATE accounts SET phc = ?2 WHERE username = ?1")?
        .execute([username.as_str(), phc])?;
    // No key is the empty text, so without one to keep all go.
    let keep = keep.map(PublicKey::to_string).unwrap_or_default();
    transaction
        .prepare_cached("DELETE FROM account_keys WHERE username = ?1 AND public_key <> ?2")?
        .execute([username.as_str(), &keep])?;
    Ok(changed == 1)
}

fn add_key(
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
    // The key at hand comes first whatever the clock says: it must not evict itself.
    transaction
        .prepare_cached(
            "DELETE FROM account_keys WHERE username = ?1 AND public_key NOT IN (
                 SELECT public_key FROM account_keys WHERE username = ?1
                 ORDER BY public_key = ?2 DESC, used_ms DESC, added_ms DESC LIMIT ?3)",
        )?
        .execute(params![name, key, MAX_KEYS as i64])?;
    Ok(())
}

/// The log's only row, which is made when it is first asked for.
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
    let time_ms = from_column(row.get("time_ms")?)?;
    Ok(StoredEntry {
        broadcast: Broadcast { number, sender, time_ms, text: row.get("text")? },
        boot_ms: from_column(row.get("boot_ms")?)?,
        boot_id: row.get::<_, i64>("boot_id")?.cast_unsigned(),
    })
}

fn insert_entry(transaction: &Transaction<'_>, entry: &StoredEntry) -> Result<(), StoreError> {
    let StoredEntry { broadcast, boot_ms, boot_id } = entry;
    transaction
        .prepare_cached(
            "INSERT INTO broadcasts (number, sender, time_ms, text, boot_ms, boot_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            to_column(broadcast.number)?,
            broadcast.sender.as_str(),
            to_column(broadcast.time_ms)?,
            broadcast.text,
            to_column(*boot_ms)?,
            boot_id.cast_signed(),
        ])?;
    Ok(())
}

/// Where the counter stands once the entries are in. A number that was given before is refused,
/// even if its broadcast is forgotten: clients have seen it.
pub(super) fn head_after(head: u64, entries: &[StoredEntry]) -> Result<u64, StoreError> {
    entries.iter().map(|entry| entry.broadcast.number).try_fold(head, |head, number| {
        if number > head {
            Ok(number)
        } else {
            Err(StoreError::Content(format!("broadcast {number} is not above the counter, {head}")))
        }
    })
}

/// Names a new log. Never zero, which a client without a log may use.
pub(super) fn random_epoch() -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| StoreError::Database("the system's random source failed".into()))?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

fn to_column(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Content(format!("{value} is out of range")))
}

fn from_column(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Content(format!("{value} is out of range")))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error;
        match error {
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..) => StoreError::Content(error.to_string()),
            error if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                StoreError::Content("it is a file, but not one of SQLite's".into())
            }
            // SQLite says "disk I/O error" here, of the file that its processes share.
            error if extended_code(&error) == Some(SQLITE_IOERR_SHMSIZE) => {
                StoreError::Database("the disk is full".into())
            }
            _ => StoreError::Database(error.to_string()),
        }
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::identity::Identity;
    use tempfile::TempDir;

    fn folder_with(setup: &str) -> (TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letschat.db");
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        (folder, path)
    }

    fn single<T: rusqlite::types::FromSql>(connection: &Connection, query: &str) -> T {
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn commits_are_synced_and_keys_belong_to_accounts() {
        let (_folder, path) = folder_with("");
        let store = Sqlite::open(&path).unwrap();
        const FULL: i64 = 2;
        assert_eq!(single::<String>(&store.connection, "PRAGMA journal_mode"), "wal");
        assert_eq!(single::<i64>(&store.connection, "PRAGMA synchronous"), FULL);
        assert!(single::<bool>(&store.connection, "PRAGMA foreign_keys"));
        let mut store = store;
        let key = Identity::from_seed(&[1; 32]).public_key();
        let nobody = "nobody".parse().unwrap();
        assert!(matches!(store.add_key(&nobody, &key, 1), Err(StoreError::Database(_))));
    }

    #[test]
    fn opening_again_changes_no_version() {
        let (_folder, path) = folder_with("");
        let store = Sqlite::open(&path).unwrap();
        let version: i64 = single(&store.connection, "PRAGMA user_version");
        assert_eq!(version, MIGRATIONS.len() as i64);
    }

    #[test]
    fn an_epoch_that_looks_negative_to_sqlite_is_the_same_epoch() {
        let (_folder, path) = folder_with("INSERT INTO log VALUES (1, -2, 7)");
        let log = Sqlite::open(&path).unwrap().load_log().unwrap();
        assert_eq!((log.epoch, log.head), (u64::MAX - 1, 7));
    }

    #[test]
    fn a_log_that_this_program_did_not_write_is_refused() {
        for broadcast in ["(8, 'alice', 1, '', 1, 1)", "(7, 'no name', 1, '', 1, 1)"] {
            let (_folder, path) = folder_with(&format!(
                "INSERT INTO log VALUES (1, 1, 7); INSERT INTO broadcasts VALUES {broadcast}"
            ));
            let loaded = Sqlite::open(&path).unwrap().load_log();
            assert!(matches!(loaded, Err(StoreError::Content(_))), "{broadcast}: {loaded:?}");
        }
    }

    #[test]
    fn a_number_beyond_the_columns_range_is_refused() {
        assert!(to_column(u64::MAX).is_err());
        assert_eq!(to_column(i64::MAX as u64).unwrap(), i64::MAX);
        assert!(from_column(-1).is_err());
    }
}
