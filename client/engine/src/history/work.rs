//! Searches and changes of the history, each on a thread with a connection of its own.

use std::ops::ControlFlow;

use letschat_core::conversation::ConversationId;
use letschat_core::event::format_rfc3339;
use letschat_core::failure::Failure;
use letschat_core::history::{
    HistoryAction, HistoryFailure, HistoryMessage, HistoryStatus, MAX_FOUND, Older, Words,
};
use letschat_core::session::{FoundMessage, Reply, RequestId};
use letschat_protocol::dialogue::Secret;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::password::{self, are_same};

use super::keys::{Keys, KeysError};
use super::sealing::Opened;
use super::store::{LONG_WAIT, Store, StoreError};
use super::{DAY_MS, Job, MAX_BYTES, MAX_MESSAGES, Place};

/// The most messages that are loaded when the history is opened, and the most bytes of their texts.
const MAX_LOADED: usize = 2_000;
const MAX_LOADED_BYTES: usize = 512 * 1024;

/// The longest time without a message after which the clock is believed.
const MAX_SILENT_DAYS: u64 = 366;

/// The position after the last message.
const END: i64 = i64::MAX;

/// The rows between two looks whether the account is still open.
const ROWS_AT_ONCE: usize = 1_000;

/// Something to do, with all that it needs.
pub(crate) struct Work {
    pub(super) job: Job,
    pub(super) place: Place,
    pub(super) keys: Keys,
}

/// The outcome of work.
pub(crate) struct Report {
    /// The answer, if a request has asked for it.
    pub(crate) answer: Option<(RequestId, Result<Reply, Failure>)>,
    pub(crate) news: News,
}

impl Report {
    /// Returns the report of work that has failed by a fault of this program.
    pub(crate) fn of_fault(request: Option<RequestId>) -> Report {
        let why = HistoryFailure::Unusable("this program failed at it; try it once more".into());
        let answer = request.map(|request| (request, Err(Failure::History(why))));
        Report { answer, news: News::None }
    }
}

/// A change of the history that the thread leaves to its owner.
pub(crate) enum News {
    None,
    /// The last messages, oldest first.
    Loaded(Vec<HistoryMessage>),
    /// The passphrase has opened these keys.
    Unlocked(Box<Keys>),
    /// The keys are to be written, with another passphrase.
    Protected(Box<Keys>),
    /// All messages are to be deleted.
    ForgetAll,
    /// The file is damaged. The clause says how.
    Damaged(String),
}

/// The reason for which work failed.
enum WorkError {
    Store(StoreError),
    Refused(HistoryFailure),
    /// The account has been closed.
    Unwanted,
}

impl From<StoreError> for WorkError {
    fn from(error: StoreError) -> WorkError {
        WorkError::Store(error)
    }
}

impl From<HistoryFailure> for WorkError {
    fn from(failure: HistoryFailure) -> WorkError {
        WorkError::Refused(failure)
    }
}

type Done = Result<(Reply, News), WorkError>;

impl Work {
    /// Returns the request that has asked for it.
    pub(crate) fn request(&self) -> Option<RequestId> {
        match &self.job {
            Job::Action(request, _) => Some(*request),
            Job::Load | Job::Prune(_) => None,
        }
    }

    /// Does the work, as long as the account is open.
    pub(crate) fn run(self, is_wanted: impl Fn() -> bool) -> Report {
        let Work { job, place, keys } = self;
        let worker = Worker { place, keys };
        match job {
            Job::Load => worker.report(None, worker.load(&is_wanted)),
            Job::Prune(today) => worker.report(None, worker.prune(today)),
            Job::Action(request, action) => {
                worker.report(Some(request), worker.act(action, &is_wanted))
            }
        }
    }
}

/// A decision about a message that is read.
enum Pick {
    Skip,
    Take,
    TakeLast,
    /// It is not wanted, and none before it.
    End,
}

/// The history as a thread sees it.
#[derive(Clone)]
struct Worker {
    place: Place,
    keys: Keys,
}

impl Worker {
    fn report(&self, request: Option<RequestId>, done: Done) -> Report {
        let unusable = |why: &dyn std::fmt::Display| {
            let path = self.place.store_path();
            let why = format!("{} can't be used: {why}", path.display());
            Failure::History(HistoryFailure::Unusable(why))
        };
        let (result, news) = match done {
            Ok((reply, news)) => (Ok(reply), news),
            Err(WorkError::Refused(failure)) => (Err(Failure::History(failure)), News::None),
            Err(WorkError::Unwanted) => (Err(Failure::NotLoggedIn), News::None),
            Err(WorkError::Store(StoreError::Damaged(why))) => {
                (Err(unusable(&why)), News::Damaged(why))
            }
            Err(WorkError::Store(why)) => (Err(unusable(&why)), News::None),
        };
        Report { answer: request.map(|request| (request, result)), news }
    }

    fn act(&self, action: HistoryAction, is_wanted: &dyn Fn() -> bool) -> Done {
        match action {
            // The driver answers the second one itself.
            HistoryAction::Status | HistoryAction::CheckOpen => self.status(),
            HistoryAction::Search(text) => {
                let words = Words::of(&text).ok_or(HistoryFailure::NoWords)?;
                self.find_last(is_wanted, |opened| words.are_in(opened.text))
            }
            HistoryAction::Show(None) => self.find_last(is_wanted, |_| true),
            HistoryAction::Show(Some(with)) => {
                let with = with.to_string();
                self.find_last(is_wanted, |opened| opened.conversation == with)
            }
            HistoryAction::Older(wanted) => self.older(is_wanted, &wanted),
            HistoryAction::Unlock(passphrase) => self.clone().unlock(passphrase.as_ref()),
            HistoryAction::SetPassphrase(given) => self.set_passphrase(given.as_ref()),
            HistoryAction::Forget(None) => {
                let (messages, _) = self.store()?.count()?;
                Ok((Reply::Forgotten { with: None, messages }, News::ForgetAll))
            }
            HistoryAction::Forget(Some(with)) => self.forget(with, is_wanted),
        }
    }

    fn store(&self) -> Result<Store, StoreError> {
        Store::connect(&self.place.store_path(), LONG_WAIT)
    }

    fn status(&self) -> Done {
        let (messages, day) = self.store()?.count()?;
        let since = day.map(|day| format_rfc3339(day.saturating_mul(DAY_MS)));
        let status = HistoryStatus {
            messages,
            since: since.map(|time| time.chars().take("2026-01-01".len()).collect()),
            days: self.place.days,
            passphrase: self.keys.is_protected(),
            locked: self.keys.pair().is_none(),
        };
        Ok((Reply::History(status), News::None))
    }

    /// Calls `visit` with the position of each message, from the newest one on. Returns the number of those that can't
    /// be read.
    fn read(
        &self,
        is_wanted: &dyn Fn() -> bool,
        before: i64,
        mut visit: impl FnMut(i64, &[u8; 16], &Opened<'_>) -> ControlFlow<()>,
    ) -> Result<u64, WorkError> {
        let pair = self.keys.pair().ok_or(HistoryFailure::Locked)?;
        let (mut unreadable, mut rows, mut is_over) = (0, 0_usize, false);
        self.store()?.read(pair, before, |position, id, opened| {
            rows += 1;
            if rows.is_multiple_of(ROWS_AT_ONCE) && !is_wanted() {
                is_over = true;
                return ControlFlow::Break(());
            }
            let Some(opened) = opened else {
                unreadable += 1;
                return ControlFlow::Continue(());
            };
            visit(position, &id, &opened)
        })?;
        if is_over { Err(WorkError::Unwanted) } else { Ok(unreadable) }
    }

    /// Finds older messages of a conversation.
    fn older(&self, is_wanted: &dyn Fn() -> bool, wanted: &Older) -> Done {
        let before = match wanted.before {
            Some(id) => self.store()?.position_of(&id.to_bytes())?,
            None => Some(END),
        };
        let with = wanted.with.to_string();
        let (mut count, mut bytes) = (0, 0);
        // A message that the history does not have has none before it.
        self.find(is_wanted, before.unwrap_or_default(), |id, opened| {
            if opened.conversation != with {
                return Pick::Skip;
            }
            (count, bytes) = (count + 1, bytes + opened.text.len());
            match bytes > wanted.most_bytes {
                true => Pick::End,
                false if count == wanted.most || wanted.back_to == Some(id) => Pick::TakeLast,
                false => Pick::Take,
            }
        })
    }

    /// Finds the last messages that fit.
    fn find_last(&self, is_wanted: &dyn Fn() -> bool, fits: impl Fn(&Opened<'_>) -> bool) -> Done {
        let mut count = 0;
        self.find(is_wanted, END, |_, opened| {
            let is_found = fits(opened);
            count += usize::from(is_found);
            match is_found {
                false => Pick::Skip,
                true if count == MAX_FOUND => Pick::TakeLast,
                true => Pick::Take,
            }
        })
    }

    /// Finds the messages before a position that are picked, from the newest one on.
    fn find(
        &self,
        is_wanted: &dyn Fn() -> bool,
        before: i64,
        mut pick: impl FnMut(MessageId, &Opened<'_>) -> Pick,
    ) -> Done {
        let mut found = Vec::new();
        let mut malformed = 0;
        let unreadable = self.read(is_wanted, before, |_, id, opened| {
            let pick = pick(MessageId::from_bytes(*id), opened);
            if matches!(pick, Pick::Take | Pick::TakeLast) {
                match opened.to_message(*id) {
                    Some(message) => found.push(FoundMessage::from(message)),
                    None => malformed += 1,
                }
            }
            match pick {
                Pick::Skip | Pick::Take => ControlFlow::Continue(()),
                Pick::TakeLast | Pick::End => ControlFlow::Break(()),
            }
        })?;
        found.reverse();
        Ok((Reply::Found { messages: found, unreadable: unreadable + malformed }, News::None))
    }

    fn load(&self, is_wanted: &dyn Fn() -> bool) -> Done {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        self.read(is_wanted, END, |_, id, opened| {
            bytes += opened.text.len();
            if messages.len() == MAX_LOADED || bytes > MAX_LOADED_BYTES {
                return ControlFlow::Break(());
            }
            messages.extend(opened.to_message(*id));
            ControlFlow::Continue(())
        })?;
        messages.reverse();
        Ok((Reply::Done {}, News::Loaded(messages)))
    }

    /// Deletes old messages. `today` counts days since the Unix epoch. A clock that is more than a year after the last
    /// message is not believed.
    fn prune(&self, today: u64) -> Done {
        let store = self.store()?;
        let last_day = store.last_day()?.unwrap_or(today);
        let today = if today > last_day + MAX_SILENT_DAYS { last_day } else { today };
        let first_day = self.place.days.map_or(0, |days| today.saturating_sub(days.into()));
        store.prune(first_day, MAX_MESSAGES, MAX_BYTES)?;
        Ok((Reply::Done {}, News::None))
    }

    fn forget(&self, with: ConversationId, is_wanted: &dyn Fn() -> bool) -> Done {
        let name = with.to_string();
        let mut positions = Vec::new();
        self.read(is_wanted, END, |position, _, opened| {
            if opened.conversation == name {
                positions.push(position);
            }
            ControlFlow::Continue(())
        })?;
        self.store()?.delete(&positions)?;
        let messages = positions.len() as u64;
        Ok((Reply::Forgotten { with: Some(with), messages }, News::None))
    }

    fn unlock(mut self, passphrase: Option<&Secret>) -> Done {
        if self.keys.pair().is_some() {
            return match self.keys.is_protected() {
                true => self.status(),
                false => Err(HistoryFailure::NotLocked.into()),
            };
        }
        let passphrase = passphrase.ok_or(HistoryFailure::NoPassphrase)?;
        let keys = self.keys.unlock(&passphrase.0).map_err(|error| self.key_failed(&error))?;
        self.keys = keys.ok_or(HistoryFailure::WrongPassphrase)?;
        let status = self.status().map_or(Reply::Done {}, |(status, _)| status);
        Ok((status, News::Unlocked(Box::new(self.keys))))
    }

    fn set_passphrase(&self, given: Option<&(Secret, Secret)>) -> Done {
        if self.keys.pair().is_none() {
            return Err(HistoryFailure::Locked.into());
        }
        let (new, repeated) = given.ok_or(HistoryFailure::NoPassphrase)?;
        if !are_same(&new.0, &repeated.0) {
            return Err(HistoryFailure::PassphrasesDiffer.into());
        }
        if !new.0.is_empty()
            && let Err(weak) = password::check(&new.0, &self.place.username)
        {
            return Err(HistoryFailure::PassphraseWeak(weak.to_string()).into());
        }
        // An empty history gets a key that was never on the disk without the passphrase.
        let keys = match self.store()?.count()? {
            (0, _) => Keys::generate().map_err(|error| self.key_failed(&error))?,
            _ => self.keys.clone(),
        };
        let keys = keys.protected(&new.0).map_err(|error| self.key_failed(&error))?;
        let keys = keys.ok_or(HistoryFailure::Locked)?;
        let passphrase = keys.is_protected();
        Ok((Reply::PassphraseSet { passphrase }, News::Protected(Box::new(keys))))
    }

    fn key_failed(&self, error: &KeysError) -> HistoryFailure {
        let path = self.place.key_path();
        HistoryFailure::Unusable(format!("{} can't be used: {error}", path.display()))
    }
}
