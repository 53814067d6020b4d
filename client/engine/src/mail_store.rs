//! The file `account.sqlite`: the account's messages and prekeys that outlive a run.
//!
//! * `schema` – the tables, and their migrations
//! * `reading` – reads everything, up to limits
//! * `changes` – applies a change
//! * `erasure` – removes deleted keys and texts from the files
//!
//! Every commit waits for the disk. SQLite's integers are signed, and some numbers come from other people and use all
//! 64 bits: they are stored bit for bit.

mod changes;
mod erasure;
mod reading;
mod schema;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use letschat_core::mail::{MailChange, StoredMail, StoredPrekey};
use letschat_protocol::prekey::PrekeyPublic;
use letschat_protocol::sealing::Prekey;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::sqlite::{Refused, Trouble, open_or_make};

/// The largest value or row, in bytes. The largest one that this program writes is the record of a stream.
const MAX_ROW_BYTES: i32 = 128 * 1024;
/// The size of the write-ahead log from which a commit moves its pages into the database.
const MAX_LOG_PAGES: u32 = 1_000;
/// The longest wait for another program that holds the file. The account's folder is locked, so it is no client.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// The store of an account's messages and prekeys.
#[derive(Debug)]
pub(crate) struct MailStore {
    connection: Connection,
    path: PathBuf,
    /// True if the files may hold deleted texts. The database has noted it.
    has_old_texts: bool,
    /// True if the write-ahead log may hold a deleted prekey.
    has_old_prekeys: bool,
}

/// The reason for which the store can't be used: a clause that can follow "because".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MailStoreError {
    /// A file can't be opened, read or written.
    #[error("{} can't be used: {reason}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A file is damaged, or this program did not write it.
    #[error(
        "{} can't be used: {reason}; repair it, or move away the whole folder that it is in, so that this \
         device gets a new key (it is left as it is)",
        .path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A newer version of this program wrote the file.
    #[error(
        "{} can't be used: a newer letschat wrote it (its version is {version}, and this program \
         knows versions up to {}); install that one",
        .path.display(), schema::MIGRATIONS.len()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its tables.
        version: i64,
    },
}

impl MailStore {
    /// Opens the database in the folder `top` or below, and reads everything. A missing file is created for its owner
    /// alone; its folder must exist. The caller keeps other processes away.
    ///
    /// # Errors
    ///
    /// Fails if others can read or replace a file of the database, or if it holds something else. It is never
    /// replaced.
    pub(crate) fn open(top: &Path, path: &Path) -> Result<(MailStore, StoredMail), MailStoreError> {
        let real_path = open_or_make(top, path).map_err(MailStoreError::of_file)?;
        let failed = |error| MailStoreError::of_sqlite(path, &error);
        let mut connection = connect(&real_path).map_err(failed)?;
        let version = schema::version(&connection).map_err(failed)?;
        let Some(outstanding) = schema::outstanding(version) else {
            return Err(MailStoreError::Newer { path: path.to_owned(), version });
        };
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        schema::migrate(&mut connection, outstanding).map_err(failed)?;
        let mail = reading::read(&connection).map_err(failed)?;
        let has_old_texts = erasure::is_due(&connection).map_err(failed)?;
        let path = path.to_owned();
        // A run that was killed may have left a deleted prekey in the log.
        let mut store = MailStore { connection, path, has_old_texts, has_old_prekeys: true };
        store
            .erase_texts()
            .and_then(|()| store.erase_log())
            .map_err(|error| store.failed(&error))?;
        Ok((store, mail))
    }

    /// Stores all of the changes, or none. Storing them again changes nothing.
    ///
    /// # Errors
    ///
    /// Fails only if nothing was stored. If only the write-ahead log can't be erased after a
    /// [`Forgotten`](MailChange::Forgotten) prekey, the next commit tries again, or the next run.
    pub(crate) fn commit(&mut self, changes: &[MailChange]) -> Result<(), MailStoreError> {
        let deletes_prekey =
            changes.iter().any(|change| matches!(change, MailChange::Forgotten(_)));
        let deletes_text = changes.iter().any(changes::deletes_text);
        let is_news = deletes_text && !self.has_old_texts;
        self.transact(|transaction| {
            changes.iter().try_for_each(|change| changes::apply(transaction, change))?;
            if deletes_prekey {
                erasure::rewrite(transaction, "prekeys")?;
            }
            if is_news { erasure::note_due(transaction) } else { Ok(()) }
        })
        .map_err(|error| self.failed(&error))?;
        self.has_old_texts |= deletes_text;
        self.has_old_prekeys |= deletes_prekey;
        if self.has_old_prekeys {
            // A failure leaves the flag, and the changes are stored.
            self.erase_log().ok();
        }
        Ok(())
    }

    /// Generates a prekey, and stores it before it returns.
    ///
    /// # Errors
    ///
    /// Fails if the system's random source fails, or if the prekey can't be stored.
    pub(crate) fn make_prekey(
        &mut self,
        created_ms: u64,
        until_ms: u64,
    ) -> Result<StoredPrekey, MailStoreError> {
        let prekey = Prekey::generate().map_err(|_| MailStoreError::Unusable {
            path: self.path.clone(),
            reason: "the system's random source failed".into(),
        })?;
        let stored = StoredPrekey { key: prekey.public(), created_ms, until_ms, published: None };
        changes::add_prekey(&self.connection, &stored, prekey.private_bytes())
            .map_err(|error| self.failed(&error))?;
        Ok(stored)
    }

    /// Returns the prekey with its private half, or `None` if it is unknown or its row is damaged.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read.
    pub(crate) fn prekey(&self, public: &PrekeyPublic) -> Result<Option<Prekey>, MailStoreError> {
        let read = || {
            let select = "SELECT private FROM prekeys WHERE public = ?1";
            let mut statement = self.connection.prepare_cached(select)?;
            statement.query_row([public.0], |row| row.get(0)).optional()
        };
        match read() {
            Ok(private) => Ok(private.map(|private| Prekey::from_bytes(*public, private))),
            // The row is read, and is no prekey.
            Err(error) if error.sqlite_error_code().is_none() => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    fn erase_texts(&mut self) -> rusqlite::Result<()> {
        if self.has_old_texts {
            self.transact(erasure::erase_texts)?;
            self.has_old_texts = false;
        }
        Ok(())
    }

    fn erase_log(&mut self) -> rusqlite::Result<()> {
        erasure::truncate_log(&self.connection)?;
        self.has_old_prekeys = false;
        Ok(())
    }

    fn failed(&self, error: &rusqlite::Error) -> MailStoreError {
        MailStoreError::of_sqlite(&self.path, error)
    }
}

impl Drop for MailStore {
    fn drop(&mut self) {
        // If this fails, the next run erases the texts.
        self.erase_texts().and_then(|()| self.erase_log()).ok();
    }
}

/// Connects to an existing file. SQLite opens it only when it is read first.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A reader outside could keep a checkpoint from erasing the log.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    // Temporary tables and journals hold texts and keys too.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", MAX_LOG_PAGES)?;
    // The first commit after a checkpoint truncates the log behind its own pages.
    connection.pragma_update(None, "journal_size_limit", 0)?;
    Ok(connection)
}

impl MailStoreError {
    fn of_file(Refused { path, error }: Refused) -> MailStoreError {
        let reason = error.to_string();
        match error.kind() {
            io::ErrorKind::InvalidData => MailStoreError::Content { path, reason },
            _ => MailStoreError::Unusable { path, reason },
        }
    }

    fn of_sqlite(path: &Path, error: &rusqlite::Error) -> MailStoreError {
        let path = path.to_owned();
        match Trouble::of(error) {
            Trouble::Content(reason) => MailStoreError::Content { path, reason },
            Trouble::Unusable(reason) => MailStoreError::Unusable { path, reason },
        }
    }
}
