//! The embedded database: one file in WAL mode, every commit synced to disk.
//!
//! * `files` – the lock that keeps a second server out, and a watch on the files
//! * `schema` – the tables, and their migrations
//! * `accounts` – accounts and their keys
//! * `log` – the broadcasts
//! * `devices` – device lists
//! * `mailbox` – prekeys and envelopes
//! * `admin` – the operator's tool, beside a server
//!
//! SQLite's integers are signed. Numbers and times stay in their range; the epoch and the boot's id
//! use all 64 bits and are stored bit for bit.

mod accounts;
mod admin;
mod devices;
mod files;
mod log;
mod mailbox;
mod schema;

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;
use rusqlite::config::DbConfig;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use self::files::Files;
pub use self::files::Lock;
use super::password::NO_PASSWORD;
use super::{Account, Created, KEY_USE_MS, NewBroadcast, Store, StoreError, StoredLog, Verdict};

/// The store in an SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    files: Files,
    /// True if commits wait for the disk. Otherwise nothing may be acknowledged.
    is_synced: bool,
}

/// The longest wait for another process (a backup, the operator's tool) that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// The most prepared statements that are kept: more than this program has.
const CACHED_STATEMENTS: usize = 64;

impl Sqlite {
    /// Opens the database and migrates its tables. A missing file is created, readable by its owner
    /// only; its folder must exist. A server takes the [`Lock`] first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Content`] for a database of a newer version, which is left unchanged.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        files::open_or_make(path)?;
        let mut connection = connect(path)?;
        schema::migrate(&mut connection)?;
        Sqlite::on(connection, path)
    }

    /// Returns the store on a database with current tables.
    fn on(connection: Connection, path: &Path) -> Result<Sqlite, StoreError> {
        keep_a_write_ahead_log(&connection)?;
        // The first read creates the companion files.
        schema::version(&connection)?;
        let files = Files::of(&connection, path)?;
        Ok(Sqlite { connection, files, is_synced: true })
    }

    /// Returns the connection, for a single statement.
    fn connection(&mut self) -> Result<&Connection, StoreError> {
        self.files.check(&self.connection)?;
        self.sync_commits()?;
        Ok(&self.connection)
    }

    /// Makes commits wait for the disk again.
    ///
    /// # Errors
    ///
    /// Fails if SQLite does not switch. Every use of the store then fails with the same error until
    /// it does.
    fn sync_commits(&mut self) -> Result<(), StoreError> {
        if !self.is_synced {
            accounts::wait_for_disk(&self.connection, true)?;
            self.is_synced = true;
        }
        Ok(())
    }

    /// Records the use of a key without waiting for the disk.
    fn note_use(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.is_synced = false;
        accounts::wait_for_disk(&self.connection, false)?;
        let noted = accounts::note_use(&self.connection, username, key, now_ms);
        self.sync_commits()?;
        noted
    }

    /// Runs some work in a transaction that does not wait for the disk. A power failure may undo
    /// it, though never more than it.
    fn transact_without_waiting<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.is_synced = false;
        accounts::wait_for_disk(&self.connection, false)?;
        let result = self.run(work);
        self.sync_commits()?;
        result
    }

    /// Runs some work in a transaction that may write. It takes the write lock at its start: a
    /// transaction that started by reading could not wait for the lock.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.sync_commits()?;
        self.run(work)
    }

    fn run<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Sqlite { connection, files, .. } = self;
        // The transaction's changes are in memory and would hide that the file is gone.
        files.check(connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        files.check(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

/// Connects to an existing file.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    files::refuse_irregular(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(files::absolute(path)?, flags)
        .map_err(|error| unusable(path, &error))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Acknowledged envelopes are overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Otherwise SQLite plans a query again for each new value of a bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    accounts::wait_for_disk(&connection, true)?;
    Ok(connection)
}

/// Switches to WAL. This is the only statement that does not wait for other processes by itself,
/// and the operator's tool may be creating the same database.
fn keep_a_write_ahead_log(connection: &Connection) -> Result<(), StoreError> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        let set = connection.pragma_update(None, "journal_mode", "WAL");
        match set.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
            Some(ErrorCode::DatabaseBusy) if Instant::now() < until => {
                thread::sleep(BUSY_PAUSE);
            }
            _ => return Ok(set?),
        }
    }
}

fn unusable(path: &Path, error: &dyn Display) -> StoreError {
    StoreError::Database(format!("{} can't be opened: {error}", path.display()))
}

impl Store for Sqlite {
    fn create_account(
        &mut self,
        username: &Username,
        phc: &str,
        created_ms: u64,
    ) -> Result<Created, StoreError> {
        accounts::create(self.connection()?, username, phc, created_ms)
    }

    fn account(&mut self, username: &Username) -> Result<Option<Account>, StoreError> {
        accounts::find(self.connection()?, username)
    }

    fn set_password(
        &mut self,
        username: &Username,
        phc: &str,
        keep: Option<&PublicKey>,
    ) -> Result<bool, StoreError> {
        self.transact(|transaction| accounts::set_password(transaction, username, phc, keep))
    }

    fn admit(
        &mut self,
        username: &Username,
        phc: &str,
        key: Option<&PublicKey>,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        self.transact(|transaction| {
            let verdict = accounts::judge(transaction, username, phc)?;
            if let (Verdict::Accepted, Some(key)) = (verdict, key) {
                accounts::add_key(transaction, username, key, now_ms)?;
                if devices::is_unlisted(transaction, username, key)? {
                    return Ok(Verdict::Unlisted);
                }
            }
            Ok(verdict)
        })
    }

    fn replace_password(
        &mut self,
        username: &Username,
        old: &str,
        new: &str,
        keep: Option<&PublicKey>,
    ) -> Result<Verdict, StoreError> {
        self.transact(|transaction| {
            let verdict = accounts::judge(transaction, username, old)?;
            if verdict == Verdict::Accepted {
                accounts::set_password(transaction, username, new, keep)?;
            }
            Ok(verdict)
        })
    }

    fn add_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.transact(|transaction| accounts::add_key(transaction, username, key, now_ms))
    }

    fn check_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        let connection = self.connection()?;
        let (verdict, used_ms) = accounts::check_key(connection, username, key)?;
        // The clock may have been set back.
        let is_close = now_ms.abs_diff(used_ms) < KEY_USE_MS;
        if verdict == Verdict::Accepted
            && !is_close
            && let Err(error) = self.note_use(username, key, now_ms)
        {
            // A full disk must not lock out a user with a key.
            tracing::debug!(%error, "the use of a key is not written down");
        }
        if verdict == Verdict::Accepted && devices::is_unlisted(self.connection()?, username, key)?
        {
            return Ok(Verdict::Unlisted);
        }
        Ok(verdict)
    }

    fn claim_name(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        match self.check_key(username, key, now_ms)? {
            Verdict::Refused => self.transact(|transaction| {
                Ok(match accounts::create(transaction, username, NO_PASSWORD, now_ms)? {
                    Created::Taken => Verdict::Refused,
                    Created::New => {
                        accounts::add_key(transaction, username, key, now_ms)?;
                        Verdict::Accepted
                    }
                })
            }),
            verdict => Ok(verdict),
        }
    }

    fn load_log(&mut self) -> Result<StoredLog, StoreError> {
        self.transact(log::load)
    }

    fn append(&mut self, after: u64, broadcasts: &[NewBroadcast]) -> Result<u64, StoreError> {
        self.transact(|transaction| log::append(transaction, after, broadcasts))
    }

    fn forget(&mut self, through: u64) -> Result<(), StoreError> {
        log::forget(self.connection()?, through)
    }
}

/// Returns the numbers of new broadcasts. Numbers are never reused, even if their broadcasts are
/// deleted, since clients have seen them.
pub(super) fn next_numbers(head: u64, after: u64, count: usize) -> Result<Range<u64>, StoreError> {
    let first = head.max(after).checked_add(1);
    let end = first.and_then(|first| first.checked_add(count as u64));
    let numbers = first.zip(end).map(|(first, end)| first..end);
    numbers.ok_or_else(|| StoreError::Content(format!("no numbers are left above {head}")))
}

/// Returns a random epoch of a new log. It is never zero, which stands for a client without a log.
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
            // SQLite reports a "disk I/O error" for the file that its processes share.
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
    use crate::store::admin::AccountAdmin as _;
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
    fn nothing_is_committed_while_commits_do_not_wait() {
        let (_folder, path) = folder_with("");
        let mut store = Sqlite::open(&path).unwrap();
        let add = |store: &mut Sqlite, name: &str| {
            let name = name.parse().unwrap();
            [
                store.create_account(&name, "", 1).is_ok(),
                store.set_password(&name, "x", None).is_ok(),
            ]
        };
        // Imitates a key's use after which SQLite did not restore syncing. It can't within a
        // transaction.
        accounts::wait_for_disk(&store.connection, false).unwrap();
        store.is_synced = false;
        store.connection.execute_batch("BEGIN").unwrap();
        assert_eq!(add(&mut store, "alice"), [false, false]);
        store.connection.execute_batch("ROLLBACK").unwrap();
        assert_eq!(add(&mut store, "alice"), [true, true]);
        assert_eq!(single::<i64>(&store.connection, "PRAGMA synchronous"), 2);
    }

    #[test]
    fn key_use_that_is_not_written_leaves_commits_waiting() {
        let (_folder, path) = folder_with(
            "CREATE TRIGGER full BEFORE UPDATE ON account_keys
             BEGIN SELECT raise(ABORT, 'the disk is full'); END",
        );
        let mut store = Sqlite::open(&path).unwrap();
        let (alice, key) = ("alice".parse().unwrap(), Identity::from_seed(&[1; 32]).public_key());
        store.create_account(&alice, "", 1).unwrap();
        store.add_key(&alice, &key, 1).unwrap();
        let verdict = store.check_key(&alice, &key, 1 + KEY_USE_MS).unwrap();
        assert_eq!((verdict, store.is_synced), (Verdict::Accepted, true));
        assert_eq!(single::<i64>(&store.connection, "PRAGMA synchronous"), 2);
    }

    #[test]
    fn opening_again_changes_no_version() {
        let (_folder, path) = folder_with("");
        let store = Sqlite::open(&path).unwrap();
        let version: i64 = single(&store.connection, "PRAGMA user_version");
        assert_eq!(version, schema::MIGRATIONS.len() as i64);
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
    fn time_before_1970_is_unknown_and_shuts_nobody_out() {
        let (_folder, path) = folder_with("INSERT INTO log VALUES (1, 1, 7)");
        let mut store = Sqlite::open(&path).unwrap();
        let (alice, key) = ("alice".parse().unwrap(), Identity::from_seed(&[1; 32]).public_key());
        store.create_account(&alice, "", 1).unwrap();
        store.add_key(&alice, &key, 1).unwrap();
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "UPDATE accounts SET created_ms = -1;
                 UPDATE account_keys SET used_ms = -1, added_ms = -1;
                 INSERT INTO broadcasts VALUES (7, 'alice', -1, '', -1, 1)",
            )
            .unwrap();
        let shown = &store.accounts_after(None, 1).unwrap()[0];
        assert_eq!((shown.created_ms, shown.used_ms), (0, None));
        assert_eq!(store.load_log().unwrap().entries[0].broadcast.time_ms, 0);
        assert_eq!(store.check_key(&alice, &key, KEY_USE_MS).unwrap(), Verdict::Accepted);
        assert_eq!(store.accounts_after(None, 1).unwrap()[0].used_ms, Some(KEY_USE_MS));
    }

    #[test]
    fn a_number_beyond_the_columns_range_is_refused() {
        assert!(to_column(u64::MAX).is_err());
        assert_eq!(to_column(i64::MAX as u64).unwrap(), i64::MAX);
        assert!(from_column(-1).is_err());
    }
}
