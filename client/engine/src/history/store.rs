//! The file `history.sqlite`: sealed messages, and the sealed keys of the runs that wrote them.
//!
//! Readable without the keys are the id of a row, the day on which it was written, and its length. Most commits do not
//! wait for the disk: a power failure may lose the last ones, and damages nothing.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use letschat_core::history::HistoryMessage;
use letschat_protocol::prekey::PrekeyPublic;
use letschat_protocol::sealing::{Prekey, SEALED_KEY_BYTES, open_key, seal_key};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use zeroize::Zeroizing;

use super::sealing::{Opened, RunKey};
use crate::sqlite::{COMPANIONS, Trouble, open_or_make, with_suffix};

/// The label of sealed keys of runs.
const LABEL: &[u8] = b"letschat history run v1\0";

/// The version of the tables.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE runs (
        run          INTEGER NOT NULL PRIMARY KEY,
        sealed       BLOB    NOT NULL CHECK (length(sealed) = 80)
    ) STRICT;
    -- `day` counts days since the Unix epoch.
    CREATE TABLE messages (
        position     INTEGER NOT NULL PRIMARY KEY,
        id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
        day          INTEGER NOT NULL,
        run          INTEGER NOT NULL,
        sealed       BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX days ON messages (day);
";

/// The largest row, in bytes. A message is much smaller.
const MAX_ROW_BYTES: i32 = 128 * 1024;
/// The longest wait for another connection. The session's thread tries again later instead.
const SHORT_WAIT: Duration = Duration::from_millis(100);
pub(super) const LONG_WAIT: Duration = Duration::from_secs(5);
/// The most rows that are deleted in one commit. Others wait for it.
const DELETED_AT_ONCE: usize = 100;

/// A connection to the file.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
}

/// The key of the present run, and its number.
pub(super) struct Run {
    number: i64,
    key: RunKey,
}

/// The reason for which the file can't be used: a clause that can follow "because".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreError {
    /// It is damaged, or holds something else.
    #[error("{0}")]
    Damaged(String),
    /// It can't be opened, read or written now.
    #[error("{0}")]
    Unusable(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        match Trouble::of(&error) {
            Trouble::Content(why) => StoreError::Damaged(why),
            Trouble::Unusable(why) => StoreError::Unusable(why),
        }
    }
}

impl Store {
    /// Opens the file, which is in the folder `top` or below. A missing one is created for its owner alone. No other
    /// connection of this process may be open: see [`open_or_make`].
    ///
    /// # Errors
    ///
    /// Fails if others can read or replace it, or if it holds something else.
    pub(super) fn open(top: &Path, path: &Path) -> Result<Store, StoreError> {
        open_or_make(top, path)
            .map_err(|refused| StoreError::Unusable(refused.error.to_string()))?;
        Store::connect(path, SHORT_WAIT)
    }

    /// Opens a file that was checked, beside another connection.
    pub(super) fn connect(path: &Path, wait: Duration) -> Result<Store, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)?;
        connection.busy_timeout(wait)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > VERSION {
            let why =
                format!("a newer letschat wrote it (its version is {version}); install that one");
            return Err(StoreError::Unusable(why));
        }
        // Otherwise readers and the writer would wait for each other.
        let set_mode = "PRAGMA journal_mode = WAL";
        let mode: String = connection.query_row(set_mode, [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::Unusable(
                "its file system allows no write-ahead log; choose a folder elsewhere with --data"
                    .into(),
            ));
        }
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        if version == 0 {
            let make =
                format!("BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;");
            connection.execute_batch(&make)?;
        }
        Ok(Store { connection })
    }

    /// Makes the key of a run, which only the private half of this key opens again. Returns `None` if the system's
    /// random source fails.
    pub(super) fn begin_run(&self, public: &PrekeyPublic) -> Result<Option<Run>, StoreError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let is_random = SystemRandom::new().fill(&mut *bytes).is_ok();
        let (true, Some(key), Ok(sealed)) =
            (is_random, RunKey::new(&bytes), seal_key(LABEL, public, &bytes))
        else {
            return Ok(None);
        };
        self.connection.execute("INSERT INTO runs (sealed) VALUES (?1)", [sealed])?;
        Ok(Some(Run { number: self.connection.last_insert_rowid(), key }))
    }

    /// Adds messages that are not there yet. Returns their number.
    pub(super) fn append(
        &mut self,
        run: &Run,
        day: u64,
        messages: &[HistoryMessage],
    ) -> Result<usize, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut added = 0;
        {
            let insert =
                "INSERT OR IGNORE INTO messages (id, day, run, sealed) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare_cached(insert)?;
            let mut add = |id: [u8; 16], message: &HistoryMessage| -> Result<usize, StoreError> {
                let Some(sealed) = run.key.seal(id, message) else { return Ok(0) };
                Ok(insert.execute(params![id, day as i64, run.number, sealed])?)
            };
            for message in messages {
                let mut count = add(message.message.id.to_bytes(), message)?;
                // The other side chooses a part of the ids of a chat, and could repeat them.
                let mut id = [0; 16];
                if count == 0 && message.message.own && SystemRandom::new().fill(&mut id).is_ok() {
                    count = add(id, message)?;
                }
                added += count;
            }
        }
        transaction.commit()?;
        Ok(added)
    }

    /// Reads messages from the newest one on. `visit` gets the position and id of each, and the message, or `None` if
    /// it can't be opened.
    pub(super) fn read(
        &self,
        pair: &Prekey,
        before: i64,
        mut visit: impl FnMut(i64, [u8; 16], Option<Opened<'_>>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let select = "SELECT position, id, run, sealed FROM messages WHERE position < ?1
                      ORDER BY position DESC";
        let mut statement = self.connection.prepare(select)?;
        let mut rows = statement.query([before])?;
        let mut buffer = Vec::new();
        // The rows of a run are beside each other.
        let mut run_key: (Option<i64>, Option<RunKey>) = (None, None);
        while let Some(row) = rows.next()? {
            let (position, id, run) = (row.get(0)?, row.get(1)?, row.get(2)?);
            buffer.clear();
            buffer.extend_from_slice(row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?);
            if run_key.0 != Some(run) {
                run_key = (Some(run), self.run_key(pair, run)?);
            }
            let opened = run_key.1.as_ref().and_then(|key| key.open(id, &mut buffer));
            if visit(position, id, opened).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the position of a message.
    pub(super) fn position_of(&self, id: &[u8; 16]) -> Result<Option<i64>, StoreError> {
        let select = "SELECT position FROM messages WHERE id = ?1";
        Ok(self.connection.query_row(select, [id], |row| row.get(0)).optional()?)
    }

    fn run_key(&self, pair: &Prekey, run: i64) -> Result<Option<RunKey>, StoreError> {
        let mut select =
            self.connection.prepare_cached("SELECT sealed FROM runs WHERE run = ?1")?;
        let sealed = select.query_row([run], |row| row.get::<_, [u8; SEALED_KEY_BYTES]>(0));
        let sealed = sealed.optional()?;
        Ok(sealed.and_then(|sealed| RunKey::new(&*open_key(LABEL, pair, &sealed)?)))
    }

    /// Returns the number of messages, and the day of the first one.
    pub(super) fn count(&self) -> Result<(u64, Option<u64>), StoreError> {
        let select = "SELECT count(*), min(day) FROM messages";
        let (count, day): (i64, Option<i64>) =
            self.connection.query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((count.max(0) as u64, day.and_then(|day| u64::try_from(day).ok())))
    }

    /// Returns the day of the last message.
    pub(super) fn last_day(&self) -> Result<Option<u64>, StoreError> {
        let select = "SELECT max(day) FROM messages";
        let day: Option<i64> = self.connection.query_row(select, [], |row| row.get(0))?;
        Ok(day.and_then(|day| u64::try_from(day).ok()))
    }

    /// Returns the bytes of the pages that hold something.
    fn bytes(&self) -> Result<u64, StoreError> {
        let pragma = |name| {
            let value =
                self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?;
            Ok::<u64, StoreError>(value.max(0) as u64)
        };
        let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(used * pragma("page_size")?)
    }

    /// Deletes the messages at these positions.
    pub(super) fn delete(&mut self, positions: &[i64]) -> Result<(), StoreError> {
        for some in positions.chunks(DELETED_AT_ONCE) {
            let transaction = self.connection.transaction()?;
            {
                let delete = "DELETE FROM messages WHERE position = ?1";
                let mut delete = transaction.prepare_cached(delete)?;
                some.iter().try_for_each(|position| delete.execute([position]).map(drop))?;
            }
            transaction.commit()?;
        }
        self.erase_log()
    }

    /// Deletes the messages from before a day, and the oldest ones beyond a number of messages or bytes.
    pub(super) fn prune(&self, first_day: u64, most: u64, bytes: u64) -> Result<(), StoreError> {
        let delete = "DELETE FROM messages WHERE position IN (
            SELECT position FROM messages WHERE day < ?1 LIMIT ?2)";
        let mut deleted = 0;
        loop {
            let count =
                self.connection.execute(delete, [first_day as i64, DELETED_AT_ONCE as i64])?;
            deleted += count;
            if count == 0 {
                break;
            }
        }
        let (count, _) = self.count()?;
        let used = self.bytes()?;
        // As large as the average.
        let too_large = count.saturating_mul(used.saturating_sub(bytes)) / used.max(1);
        let mut surplus = count.saturating_sub(most).max(too_large);
        let delete = "DELETE FROM messages WHERE position IN (
            SELECT position FROM messages ORDER BY position LIMIT ?1)";
        while surplus > 0 {
            let at_once = surplus.min(DELETED_AT_ONCE as u64);
            deleted += self.connection.execute(delete, [at_once as i64])?;
            surplus -= at_once;
        }
        if deleted > 0 { self.erase_log() } else { Ok(()) }
    }

    /// Empties the write-ahead log, which has deleted rows, unless another connection is reading it.
    fn erase_log(&self) -> Result<(), StoreError> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// Deletes the file and its companions. No connection may be open.
pub(super) fn delete(path: &Path) -> io::Result<()> {
    for path in all(path) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Gives the file and its companions another name. Returns that of the file. No connection may be open.
pub(super) fn set_aside(path: &Path, wall_ms: u64) -> io::Result<PathBuf> {
    let name = |number| with_suffix(path, &format!(".damaged-{}", wall_ms / 1_000 + number));
    // An earlier one is never replaced.
    let aside = (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
    for (from, to) in all(path).zip(all(&aside)) {
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

fn all(path: &Path) -> impl Iterator<Item = PathBuf> {
    let suffixes = [""].into_iter().chain(COMPANIONS);
    suffixes.map(|suffix| with_suffix(path, suffix))
}
