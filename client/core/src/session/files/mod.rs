//! Offered files: an offer is a message, and the device that has made it sends the file to whom it was offered.
//!
//! ```text
//! file send ── read and hashed by the engine ──▶ a message ──▶ file_offered ── file get ──▶ LOCATE the device
//!    serving ◀── GET over a link of its own ◀── fetching: one attempt after another until all chunks are verified
//! ```
//!
//! * `offering` – own files; `serving` – the links over which they are sent
//! * `fetching` – others' files, from the user's wish to the saved file

mod fetching;
mod offering;
mod serving;

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::files::FileInfo;
use letschat_protocol::files::name::FileName;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use self::fetching::Fetching;
use self::serving::Serving;
use super::{Effect, LinkId, ListedFile, Reply, RequestId, Session};
use crate::conversation::ConversationId;
use crate::event::{Event, FileShown};
use crate::failure::Failure;
use crate::files::{FileState, StoredFile};
use crate::mail::MailChange;

/// The limit of own offers and, separately, of others'. Beyond it one of others' that is not wanted is forgotten.
const MAX_OFFERED: usize = 256;
/// The most files that are fetched at a time, and the most that are sent at a time.
const MAX_TRANSFERS: usize = 8;
/// The fewest digits of an id that name a file.
const MIN_DIGITS: usize = 4;

/// The offered files of the open account.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// All of them, oldest first.
    files: Vec<StoredFile>,
    /// The wanted ones.
    fetching: BTreeMap<MessageId, Fetching>,
    /// The links over which own files are sent.
    serving: BTreeMap<LinkId, Serving>,
    /// The files that are being read in order to offer them, and to whom.
    reading: BTreeMap<RequestId, ConversationId>,
    /// The number of attempts to fetch a file so far.
    attempts: u64,
}

impl Files {
    /// Takes over the stored files. Those that are wanted are fetched. No attempt has the number of an earlier one.
    pub(super) fn open(&mut self, files: Vec<StoredFile>) {
        let wanted = files.iter().filter(|file| file.state == FileState::Wanted);
        let fetching = wanted.map(|file| (file.id, Fetching::default())).collect();
        let attempts = self.attempts;
        *self = Files { files, fetching, attempts, ..Files::default() };
    }

    /// Returns true if no file is wanted or sent. Most inputs find it so.
    fn is_idle(&self) -> bool {
        self.fetching.is_empty() && self.serving.is_empty()
    }

    /// Returns true while a file is on its way.
    pub(super) fn is_active(&self) -> bool {
        !self.serving.is_empty() || self.fetching.values().any(Fetching::is_running)
    }

    /// Returns the files that are on their way, in the order of their ids.
    pub(super) fn transfers(&self) -> impl Iterator<Item = MessageId> {
        let fetched = self.fetching.iter().filter(|(_, fetching)| fetching.is_running());
        let sent = self.serving.values().map(|serving| serving.id);
        fetched.map(|(id, _)| *id).chain(sent).collect::<BTreeSet<_>>().into_iter()
    }

    /// Returns true if these files are on their way.
    pub(super) fn are_transfers(&self, told: &BTreeSet<MessageId>) -> bool {
        if self.is_idle() { told.is_empty() } else { self.transfers().eq(told.iter().copied()) }
    }

    fn get(&self, id: &MessageId) -> Option<&StoredFile> {
        self.files.iter().find(|file| file.id == *id)
    }

    /// Returns the file whose id begins with these digits.
    fn called(&self, digits: &str) -> Result<&StoredFile, Failure> {
        let digits = digits.trim().to_ascii_lowercase();
        let missing = || Failure::NoSuchFile(digits.clone());
        if digits.len() < MIN_DIGITS {
            return Err(missing());
        }
        let mut found = self.files.iter().filter(|file| file.id.to_string().starts_with(&digits));
        match (found.next(), found.next()) {
            (Some(file), None) => Ok(file),
            (Some(_), Some(_)) => Err(Failure::WhichFile(digits)),
            (None, _) => Err(missing()),
        }
    }

    /// Changes a file. Returns the change to record.
    fn change(
        &mut self,
        id: &MessageId,
        change: impl FnOnce(&mut StoredFile),
    ) -> Option<MailChange> {
        let file = self.files.iter_mut().find(|file| file.id == *id)?;
        change(file);
        Some(MailChange::File(Box::new(file.clone())))
    }

    fn remove(&mut self, id: &MessageId) -> Option<StoredFile> {
        let place = self.files.iter().position(|file| file.id == *id)?;
        Some(self.files.remove(place))
    }

    /// Returns true if as many of others' files are known as may be.
    fn is_full(&self) -> bool {
        let others = self.files.iter().filter(|file| !file.is_offered_here());
        others.count() >= MAX_OFFERED
    }

    /// Returns the file to forget: the oldest that is not wanted, of the author with the most of these. So nobody evicts
    /// the offers of others with many of their own.
    fn to_forget(&self) -> Option<MessageId> {
        let is_idle =
            |file: &&StoredFile| !file.is_offered_here() && file.state != FileState::Wanted;
        let idle: Vec<&StoredFile> = self.files.iter().filter(is_idle).collect();
        let of_one = |from: &Username| idle.iter().filter(|file| file.from == *from).count();
        let most = idle.iter().map(|file| of_one(&file.from)).max()?;
        idle.iter().find(|file| of_one(&file.from) == most).map(|file| file.id)
    }
}

impl StoredFile {
    /// Returns true if this device offers it.
    fn is_offered_here(&self) -> bool {
        !self.audience.is_empty()
    }
}

impl Session {
    /// Notes a file that another device offers. Nothing changes if it is known.
    pub(super) fn file_offered(
        &mut self,
        id: MessageId,
        conversation: ConversationId,
        (from, device): (Username, PublicKey),
        (name, info): (FileName, FileInfo),
    ) {
        if self.files.get(&id).is_some() {
            return;
        }
        let mut changes = Vec::new();
        if self.files.is_full() {
            // If all of them are wanted, the new one can't be.
            let Some(oldest) = self.files.to_forget() else {
                return;
            };
            let part = self.files.remove(&oldest).and_then(|oldest| oldest.part);
            part.into_iter().for_each(|part| self.cx.push(Effect::DeletePart(part)));
            changes.push(MailChange::NoFile(oldest));
        }
        let file = StoredFile {
            id,
            conversation,
            from,
            device,
            audience: Vec::new(),
            name,
            info,
            time_ms: self.cx.wall_ms(),
            state: FileState::Offered,
            path: None,
            part: None,
        };
        changes.push(MailChange::File(Box::new(file.clone())));
        self.files.files.push(file);
        self.record(changes);
    }

    pub(super) fn list_files(&self) -> Result<Reply, Failure> {
        self.account.opened().ok_or(Failure::NotLoggedIn)?;
        let files = self.files.files.iter().map(|file| self.listed_file(file)).collect();
        Ok(Reply::Files { files })
    }

    fn listed_file(&self, file: &StoredFile) -> ListedFile {
        let serving = self.files.serving.values().filter(|serving| serving.id == file.id);
        ListedFile {
            id: file.id,
            name: file.name.to_string(),
            size: file.info.size(),
            conversation: file.conversation.clone(),
            from: file.from.to_string(),
            own: file.is_offered_here(),
            state: file.state.name(),
            bytes: self.files.fetching.get(&file.id).map(|fetching| fetching.bytes),
            link: self
                .files
                .fetching
                .get(&file.id)
                .filter(|fetching| fetching.is_running())
                .map(|fetching| fetching.link),
            to: serving.map(|serving| serving.to.to_string()).collect(),
            path: file
                .path
                .clone()
                .filter(|_| file.is_offered_here() || file.state == FileState::Saved),
            code: match file.state {
                FileState::Failed(code) => Some(code),
                _ => None,
            },
        }
    }

    /// Returns the file for an event. `to` is the person who fetches an own one.
    fn shown_file(&self, file: &StoredFile, to: Option<Username>) -> Box<FileShown> {
        Box::new(FileShown {
            id: file.id,
            conversation: file.conversation.clone(),
            from: file.from.clone(),
            own: self.account.name() == Some(&file.from),
            to,
            name: file.name.clone(),
            size: file.info.size(),
        })
    }

    /// Stops fetching a file, and forgets what has come of it; forgets its offer; or offers an own file no more.
    pub(super) fn cancel_file(&mut self, digits: &str) -> Result<Reply, Failure> {
        self.account.opened().ok_or(Failure::NotLoggedIn)?;
        let file = self.files.called(digits)?.clone();
        if file.state == FileState::Wanted {
            self.stop_fetching(&file.id);
            let part = file.part.clone();
            self.change_file(&file.id, |file| {
                (file.state, file.path, file.part) = (FileState::Offered, None, None);
            });
            part.into_iter().for_each(|part| self.cx.push(Effect::DeletePart(part)));
            return Ok(cancelled(&file, "stopped"));
        }
        self.files.remove(&file.id);
        self.record(vec![MailChange::NoFile(file.id)]);
        if file.is_offered_here() {
            self.stop_serving(|serving| serving.id == file.id);
            self.forget_hashes(&file.info);
        }
        let state = if file.is_offered_here() { "withdrawn" } else { "forgotten" };
        let reply = cancelled(&file, state);
        file.part.into_iter().for_each(|part| self.cx.push(Effect::DeletePart(part)));
        Ok(reply)
    }

    /// Changes a file, and records the change.
    fn change_file(&mut self, id: &MessageId, change: impl FnOnce(&mut StoredFile)) {
        let change = self.files.change(id, change);
        self.record(change.into_iter().collect());
    }

    /// Notes that a file will not come, or is not offered any more.
    fn fail_file(&mut self, id: &MessageId, why: Failure) {
        let code = why.code();
        self.change_file(id, |file| file.state = FileState::Failed(code));
        if let Some(file) = self.files.get(id) {
            let file = self.shown_file(file, None);
            self.cx.tell(Event::FileFailed { file, code, why });
        }
    }

    /// Stops all transfers. They go on when the account is open again.
    pub(super) fn stop_files(&mut self, why: &Failure) {
        let wanted: Vec<MessageId> = self.files.fetching.keys().copied().collect();
        wanted.iter().for_each(|id| self.stop_fetching(id));
        self.stop_serving(|_| true);
        for request in std::mem::take(&mut self.files.reading).into_keys() {
            self.cx.fail(request, why.clone());
        }
    }

    /// Forgets the files of an account that closes. They stay on disk.
    pub(super) fn close_files(&mut self) {
        self.stop_files(&Failure::NotLoggedIn);
        self.files.open(Vec::new());
    }

    /// Stops the transfers from and to a person whom the user blocks.
    pub(super) fn stop_files_with(&mut self, who: &Username) {
        self.stop_serving(|serving| serving.to == *who);
        let theirs = |file: &&StoredFile| file.from == *who && file.state == FileState::Wanted;
        let wanted: Vec<MessageId> =
            self.files.files.iter().filter(theirs).map(|file| file.id).collect();
        for id in wanted {
            self.stop_fetching(&id);
            self.fail_file(&id, Failure::Blocked(who.clone()));
        }
    }
}

fn cancelled(file: &StoredFile, state: &'static str) -> Reply {
    Reply::FileCancelled { message_id: file.id, name: file.name.to_string(), state }
}
