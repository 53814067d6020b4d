//! The history: the messages that this device keeps on disk, if its user wants that.
//!
//! * `keys` – the key pair, as it is or under a passphrase
//! * `sealing` – messages as sealed rows
//! * `store` – the file of sealed rows
//! * `work` – searches and changes, on a thread of their own
//!
//! The file is not `account.sqlite`: a damaged history is set aside without the loss of anything else, and a search of
//! a large one keeps nobody waiting.

mod keys;
mod sealing;
mod store;
#[cfg(test)]
mod tests;
mod work;

use std::collections::VecDeque;
use std::io;
use std::mem::size_of;
use std::path::{Path, PathBuf};

use letschat_core::event::Event;
use letschat_core::history::{HistoryAction, HistoryFailure, HistoryMessage};
use letschat_core::notice::Notice;
use letschat_core::session::RequestId;
use letschat_protocol::username::Username;

use keys::{Keys, KeysError};
use store::{Run, Store, StoreError};
pub(crate) use work::{News, Report, Work};

const STORE_FILE: &str = "history.sqlite";
const KEY_FILE: &str = "history.key";

/// The most messages that are kept, and the most bytes of their file. Beyond that the oldest are deleted.
const MAX_MESSAGES: u64 = 1_000_000;
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// The number of new messages after which old ones are deleted.
const PRUNED_AFTER: usize = 10_000;
/// The most bytes of messages that wait while the file can't be written. Beyond that the oldest are lost.
const MAX_UNWRITTEN_BYTES: usize = 4 * 1024 * 1024;
/// The most actions that wait for their turn.
const MAX_WAITING: usize = 64;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The place and the limits of a history.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The data folder.
    pub(crate) top: PathBuf,
    /// The account's folder, in it.
    pub(crate) folder: PathBuf,
    /// The account's name, which is no passphrase.
    pub(crate) username: Username,
    /// The days for which messages are kept, if that is limited.
    pub(crate) days: Option<u32>,
}

/// The open history of an account.
pub(crate) struct History {
    place: Place,
    keys: Keys,
    /// The file, unless it is damaged.
    store: Option<Store>,
    /// The damage of a file that is not set aside yet: a clause.
    damage: Option<String>,
    /// The key of this run, once there is a message.
    run: Option<Run>,
    /// The messages that are not in the file yet, and their bytes.
    unwritten: VecDeque<HistoryMessage>,
    unwritten_bytes: usize,
    /// True once it was told that they can't be written.
    is_failing: bool,
    /// The day of the last message. A clock that is set back changes no order.
    last_day: u64,
    /// The number of messages that were written since old ones were deleted, and the day of that.
    written: usize,
    pruned_day: u64,
    /// The work that waits for its turn.
    jobs: VecDeque<Job>,
    is_working: bool,
}

/// Something for the thread.
#[derive(Debug)]
pub(crate) enum Job {
    /// The action of a request.
    Action(RequestId, HistoryAction),
    /// Read the last messages.
    Load,
    /// Delete old messages. The number is that of today, in days since the Unix epoch.
    Prune(u64),
}

/// The reason for which there is no history: a clause that can follow "because".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} can't be used: {why}", .path.display())]
pub(crate) struct HistoryError {
    path: PathBuf,
    why: String,
}

impl Place {
    fn store_path(&self) -> PathBuf {
        self.folder.join(STORE_FILE)
    }

    fn key_path(&self) -> PathBuf {
        self.folder.join(KEY_FILE)
    }

    /// Deletes a history that is not open, and its key. Returns the number of its messages, as far as it can be read.
    pub(crate) fn delete(&self) -> Result<u64, HistoryError> {
        let (store_path, key_path) = (self.store_path(), self.key_path());
        let count = match store_path.exists() {
            true => Store::open(&self.top, &store_path).and_then(|store| store.count()),
            false => Ok((0, None)),
        };
        store::delete(&store_path).map_err(|error| failed(&store_path, &error))?;
        match std::fs::remove_file(&key_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&key_path, &error)),
            _ => Ok(count.map_or(0, |(messages, _)| messages)),
        }
    }
}

impl History {
    /// Opens the history in an account's folder, and makes a missing one. A damaged file gets another name, and a new
    /// one is begun: the notice says so.
    ///
    /// # Errors
    ///
    /// Fails if a file can't be used or made.
    pub(crate) fn open(
        place: Place,
        wall_ms: u64,
    ) -> Result<(History, Option<Notice>), HistoryError> {
        let (store_path, key_path) = (place.store_path(), place.key_path());
        let key_failed = |error: KeysError| failed(&key_path, &error);
        // A history without its key is set aside first, so that it never stands beside another key.
        let mut notice = None;
        let mut aside = |why: String| {
            if !store_path.exists() {
                return Ok(());
            }
            let name = store::set_aside(&store_path, wall_ms)
                .map_err(|error| failed(&store_path, &error))?;
            let name = name.display().to_string();
            notice = Some(Notice::HistorySetAside { name, why });
            Ok(())
        };
        let keys = match Keys::read(&place.top, &key_path) {
            Ok(Some(keys)) => keys,
            Ok(None) => {
                aside(format!("its key in {KEY_FILE} is gone"))?;
                Keys::make(&key_path).map_err(key_failed)?
            }
            Err(KeysError::Damaged) => {
                aside(format!(
                    "its key in {KEY_FILE} is damaged, and the new one has no passphrase"
                ))?;
                store::set_aside(&key_path, wall_ms).map_err(|error| failed(&key_path, &error))?;
                Keys::make(&key_path).map_err(key_failed)?
            }
            Err(error) => return Err(key_failed(error)),
        };
        let (store, damage) = match Store::open(&place.top, &store_path) {
            Ok(store) => (Some(store), None),
            Err(StoreError::Damaged(why)) => (None, Some(why)),
            Err(StoreError::Unusable(why)) => return Err(failed(&store_path, &why)),
        };
        let mut history = History {
            place,
            keys,
            store,
            damage,
            run: None,
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            is_failing: false,
            last_day: 0,
            written: 0,
            pruned_day: wall_ms / DAY_MS,
            jobs: VecDeque::from([Job::Prune(wall_ms / DAY_MS)]),
            is_working: false,
        };
        if !history.is_locked() {
            history.jobs.push_front(Job::Load);
        }
        let mended = history.set_aside_if_damaged(wall_ms)?;
        let last_day = history.store.as_ref().and_then(|store| store.last_day().ok().flatten());
        history.last_day = last_day.unwrap_or_default();
        Ok((history, notice.or(mended)))
    }

    /// Returns true if its passphrase has not been given.
    pub(crate) fn is_locked(&self) -> bool {
        self.keys.pair().is_none()
    }

    /// Notes the message of an event, if it has one.
    pub(crate) fn note(&mut self, event: &Event) {
        let Some(message) = HistoryMessage::of(event) else { return };
        self.unwritten_bytes += size_of::<HistoryMessage>() + message.text_bytes();
        self.unwritten.push_back(message);
        while self.unwritten_bytes > MAX_UNWRITTEN_BYTES
            && let Some(lost) = self.unwritten.pop_front()
        {
            self.unwritten_bytes -= size_of::<HistoryMessage>() + lost.text_bytes();
        }
    }

    /// Writes the noted messages. If the file is found to be damaged, it is set aside, and the notice says so.
    ///
    /// # Errors
    ///
    /// Fails if the messages can't be written now. That is told once. They are kept, up to a limit, and the next call
    /// tries again.
    pub(crate) fn write(&mut self, wall_ms: u64) -> Result<Option<Notice>, HistoryError> {
        let written = self.try_to_write(wall_ms);
        let was_failing = std::mem::replace(&mut self.is_failing, written.is_err());
        if was_failing { Ok(written.ok().flatten()) } else { written }
    }

    fn try_to_write(&mut self, wall_ms: u64) -> Result<Option<Notice>, HistoryError> {
        let mut notice = self.set_aside_if_damaged(wall_ms)?;
        let mut written = self.append(wall_ms);
        if let Err(StoreError::Damaged(why)) = written {
            self.damage = Some(why);
            notice = self.set_aside_if_damaged(wall_ms)?;
            written = self.append(wall_ms);
        }
        if self.damage.is_some() {
            // They are written once the thread is done.
            return Ok(notice);
        }
        self.written += written.map_err(|why| failed(&self.place.store_path(), &why))?;
        self.unwritten.clear();
        self.unwritten_bytes = 0;
        let day = wall_ms / DAY_MS;
        if self.written >= PRUNED_AFTER || self.pruned_day != day {
            (self.written, self.pruned_day) = (0, day);
            self.jobs.push_back(Job::Prune(day));
        }
        Ok(notice)
    }

    fn append(&mut self, wall_ms: u64) -> Result<usize, StoreError> {
        let Some(store) = self.store.as_mut().filter(|_| !self.unwritten.is_empty()) else {
            return Ok(0);
        };
        if self.run.is_none() {
            self.run = store.begin_run(self.keys.public())?;
        }
        let no_key = || StoreError::Unusable("no key could be made".into());
        let run = self.run.as_ref().ok_or_else(no_key)?;
        let day = self.last_day.max(wall_ms / DAY_MS);
        let added = store.append(run, day, self.unwritten.make_contiguous())?;
        self.last_day = day;
        Ok(added)
    }

    /// Gives a damaged file another name and begins a new one, as soon as no thread uses it: closing a connection
    /// deletes the companions that have its name. After a failure the next call tries again.
    fn set_aside_if_damaged(&mut self, wall_ms: u64) -> Result<Option<Notice>, HistoryError> {
        let Some(why) = self.damage.clone().filter(|_| !self.is_working) else { return Ok(None) };
        (self.store, self.run) = (None, None);
        let path = self.place.store_path();
        let aside = store::set_aside(&path, wall_ms).map_err(|error| failed(&path, &error))?;
        self.store = Some(self.open_store()?);
        self.damage = None;
        Ok(Some(Notice::HistorySetAside { name: aside.display().to_string(), why }))
    }

    fn open_store(&self) -> Result<Store, HistoryError> {
        let path = self.place.store_path();
        Store::open(&self.place.top, &path).map_err(|why| failed(&path, &why))
    }

    /// Deletes all messages. The key is replaced unless a passphrase protects it and was given: messages that may be left
    /// on the disk stay sealed, and a forgotten passphrase is gone.
    fn forget_all(&mut self) -> Result<(), HistoryError> {
        let (store_path, key_path) = (self.place.store_path(), self.place.key_path());
        (self.store, self.run) = (None, None);
        self.unwritten.clear();
        (self.unwritten_bytes, self.last_day) = (0, 0);
        // Until the new file is open.
        self.damage = Some("it was not deleted as a whole".into());
        store::delete(&store_path).map_err(|error| failed(&store_path, &error))?;
        if !self.keys.is_protected() || self.is_locked() {
            self.keys = Keys::make(&key_path).map_err(|error| failed(&key_path, &error))?;
        }
        self.store = Some(self.open_store()?);
        self.damage = None;
        Ok(())
    }

    /// Fails if messages can't be read before the passphrase is given.
    pub(crate) fn check_open(&self) -> Result<(), HistoryFailure> {
        if self.is_locked() { Err(HistoryFailure::Locked) } else { Ok(()) }
    }

    /// Adds an action. Returns false if too many wait.
    pub(crate) fn add(&mut self, request: RequestId, action: HistoryAction) -> bool {
        let has_room = self.jobs.len() < MAX_WAITING;
        if has_room {
            self.jobs.push_back(Job::Action(request, action));
        }
        has_room
    }

    /// Returns the next work for a thread, if none is under way.
    pub(crate) fn next_work(&mut self) -> Option<Work> {
        if self.is_working {
            return None;
        }
        let job = self.jobs.pop_front()?;
        self.is_working = true;
        Some(Work { job, place: self.place.clone(), keys: self.keys.clone() })
    }

    /// Takes what the thread has found out, now that it is done. Returns the messages that it has loaded.
    pub(crate) fn take(&mut self, news: News) -> Result<Vec<HistoryMessage>, HistoryError> {
        self.is_working = false;
        match news {
            News::None => {}
            News::Loaded(messages) => return Ok(messages),
            News::Unlocked(keys) => {
                self.keys = *keys;
                self.jobs.push_front(Job::Load);
            }
            News::Protected(keys) => {
                let path = self.place.key_path();
                keys.write(&path).map_err(|error| failed(&path, &error))?;
                // The present run may have sealed its key to another one.
                self.run.take_if(|_| keys.public() != self.keys.public());
                self.keys = *keys;
            }
            News::ForgetAll => self.forget_all()?,
            News::Damaged(why) => self.damage = Some(why),
        }
        Ok(Vec::new())
    }

    /// Notes that the system has no thread for the work.
    pub(crate) fn give_up(&mut self) {
        self.is_working = false;
    }

    /// Returns the requests that have not been answered.
    pub(crate) fn unanswered(self) -> impl Iterator<Item = RequestId> {
        self.jobs.into_iter().filter_map(|job| match job {
            Job::Action(request, _) => Some(request),
            Job::Load | Job::Prune(_) => None,
        })
    }
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> HistoryError {
    HistoryError { path: path.to_owned(), why: why.to_string() }
}
