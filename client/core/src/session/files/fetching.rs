//! Others' files, from the user's wish to the saved file.
//!
//! ```text
//! waiting ── LOCATE, or the known address ──▶ an attempt ──▶ saved
//!    ▲                                           │ the link broke, the device is away or busy
//!    └────────── wait, longer each time ─────────┘
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;

use letschat_protocol::dialogue::{Introduction, Request as ServerRequest};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::Refusal;
use letschat_protocol::username::Username;

use super::{Files, MAX_TRANSFERS};
use crate::conversation::LinkPath;
use crate::event::Event;
use crate::failure::Failure;
use crate::files::{FetchFailure, FetchFile, FetchNews, FileState, PartId, StoredFile, TransferId};
use crate::session::backoff::{Backoff, SOON};
use crate::session::server::Expected;
use crate::session::{Dial, Effect, Reply, Session};

/// The answers in a row that the device does not know this one or the file. Then the file is given up: a new device is
/// known to others after a moment.
const MAX_UNKNOWN: u8 = 5;

/// A wanted file.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    phase: Phase,
    backoff: Backoff,
    /// The answers in a row that the device does not know this one or the file.
    unknown: u8,
    /// The bytes that have come and are verified.
    pub(super) bytes: u64,
    /// The file that has them, as the last attempt left it.
    part: Option<PartId>,
    /// The receiver at which the attempt under way finds the device, unless it is met elsewhere.
    at: Option<SocketAddr>,
    /// The path of the attempt under way.
    pub(super) link: LinkPath,
}

#[derive(Debug)]
enum Phase {
    /// The next attempt begins at this time, or as soon as there is room for it.
    Waiting(Option<u64>),
    /// The server is asked for the address of the device.
    Locating,
    /// An attempt is under way.
    Running(TransferId),
}

impl Default for Phase {
    fn default() -> Phase {
        Phase::Waiting(None)
    }
}

impl Fetching {
    /// Returns true while an attempt is under way.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    fn is_ready(&self, now_ms: u64) -> bool {
        matches!(self.phase, Phase::Waiting(due) if due.is_none_or(|due_ms| due_ms <= now_ms))
    }
}

impl Files {
    /// Returns the wanted files whose next attempt can begin now.
    fn ready(&self, now_ms: u64) -> Vec<MessageId> {
        let begun = self.fetching.values().filter(|fetching| !fetching.is_waiting()).count();
        let ready = self.fetching.iter().filter(|(_, fetching)| fetching.is_ready(now_ms));
        ready.map(|(id, _)| *id).take(MAX_TRANSFERS.saturating_sub(begun)).collect()
    }

    /// Returns the time of the next attempt.
    pub(in crate::session) fn next_deadline(&self) -> Option<u64> {
        if self.fetching.is_empty() {
            return None;
        }
        let begun = self.fetching.values().filter(|fetching| !fetching.is_waiting()).count();
        let due_ms = self.fetching.values().filter_map(|fetching| match fetching.phase {
            Phase::Waiting(due_ms) => due_ms,
            Phase::Locating | Phase::Running(_) => None,
        });
        // The end of an attempt makes room for another one.
        due_ms.min().filter(|_| begun < MAX_TRANSFERS)
    }

    /// Returns the person from whom an attempt fetches a file.
    pub(in crate::session) fn fetched_from(&mut self, transfer: TransferId) -> Option<Username> {
        let (id, _) = self.transfer(transfer)?;
        Some(self.get(&id)?.from.clone())
    }

    fn transfer(&mut self, transfer: TransferId) -> Option<(MessageId, &mut Fetching)> {
        let is_meant = |fetching: &Fetching| matches!(fetching.phase, Phase::Running(running) if running == transfer);
        let found = self.fetching.iter_mut().find(|(_, fetching)| is_meant(fetching));
        found.map(|(id, fetching)| (*id, fetching))
    }

    /// Tries again without further wait to fetch the files of these people.
    fn resume(&mut self, is_meant: impl Fn(&StoredFile) -> bool) {
        for file in self.files.iter().filter(|file| is_meant(file)) {
            if let Some(fetching) = self.fetching.get_mut(&file.id)
                && fetching.is_waiting()
            {
                fetching.phase = Phase::Waiting(None);
            }
        }
    }
}

impl Session {
    /// Fetches an offered file. Events tell the rest.
    pub(in crate::session) fn get_file(
        &mut self,
        digits: &str,
        path: Option<PathBuf>,
    ) -> Result<Reply, Failure> {
        let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
        let file = self.files.called(digits)?.clone();
        if file.device == account.identity.public_key() {
            return Err(Failure::OwnFile(file.name));
        }
        if file.state == FileState::Wanted {
            return Err(Failure::FileUnderWay(file.name));
        }
        if self.account.is_blocked(&file.from) {
            return Err(Failure::Blocked(file.from));
        }
        // Keep the part, unless the user names another place.
        let keeps_part = file.part.is_some() && (path.is_none() || path == file.path);
        if !keeps_part && let Some(part) = file.part.clone() {
            self.cx.push(Effect::DeletePart(part));
        }
        self.change_file(&file.id, |file| {
            file.state = FileState::Wanted;
            if !keeps_part {
                (file.path, file.part) = (path, None);
            }
        });
        self.files.fetching.insert(file.id, Fetching::default());
        self.tick_files();
        Ok(Reply::FileWanted {
            message_id: file.id,
            name: file.name.to_string(),
            size: file.info.size(),
            state: FileState::Wanted.name(),
        })
    }

    /// Begins the attempts that are due.
    pub(in crate::session) fn tick_files(&mut self) {
        if self.files.is_idle() {
            return;
        }
        self.stop_serving_others();
        if self.quitting.is_some() || self.account.opened().is_none() {
            return;
        }
        for id in self.files.ready(self.cx.now_ms()) {
            self.begin_attempt(&id);
        }
    }

    /// Tries again without further wait to fetch the files of a person who is here, or of all.
    pub(in crate::session) fn resume_files(&mut self, from: Option<&Username>) {
        self.files.resume(|file| from.is_none_or(|from| file.from == *from));
    }

    fn begin_attempt(&mut self, id: &MessageId) {
        let (Some(file), Some(fetching)) =
            (self.files.get(id).cloned(), self.files.fetching.get_mut(id))
        else {
            return;
        };
        if !self.server.is_logged_in() {
            return self.fetch_without_server(&file);
        }
        fetching.phase = Phase::Locating;
        let request = ServerRequest::Locate { name: file.from.to_string(), key: file.device };
        self.server.ask(&mut self.cx, request, Expected::Locate(*id));
    }

    /// Handles the server's answer: the address of the device that has the file, or none.
    pub(in crate::session) fn device_located(
        &mut self,
        id: &MessageId,
        found: Option<Introduction>,
    ) {
        let is_locating = |fetching: &Fetching| matches!(fetching.phase, Phase::Locating);
        if !self.files.fetching.get(id).is_some_and(is_locating) {
            return; // cancelled meanwhile
        }
        let Some(file) = self.files.get(id).cloned() else {
            return;
        };
        match found.filter(|who| who.username == file.from && who.key == file.device) {
            Some(who) => {
                self.fetch_from(&file, self.server.scoped(who.receiver));
            }
            // It may have left the server and be there all the same.
            None => self.fetch_without_server(&file),
        }
    }

    fn fetch_without_server(&mut self, file: &StoredFile) {
        let known = self.account.peer(&file.from).filter(|peer| peer.key == file.device);
        match known.and_then(|peer| peer.receiver) {
            Some(receiver) => self.fetch_from(file, receiver),
            None => self.try_later(&file.id),
        }
    }

    fn fetch_from(&mut self, file: &StoredFile, to: SocketAddr) {
        self.files.attempts += 1;
        let transfer = TransferId(self.files.attempts);
        let Some(fetching) = self.files.fetching.get_mut(&file.id) else {
            return;
        };
        (fetching.phase, fetching.at) = (Phase::Running(transfer), Some(to));
        fetching.link = LinkPath::Direct;
        let verified = fetching.part.map(|part| (part, fetching.bytes));
        self.cx.push(Effect::FetchFile(Box::new(FetchFile {
            transfer,
            to,
            key: file.device,
            id: file.id,
            name: file.name.clone(),
            info: file.info,
            path: file.path.clone(),
            part: file.part.clone(),
            verified,
        })));
    }

    fn try_later(&mut self, id: &MessageId) {
        let (now_ms, jitter) = (self.cx.now_ms(), self.cx.jitter());
        if let Some(fetching) = self.files.fetching.get_mut(id) {
            let wait_ms = fetching.backoff.fail(now_ms, &SOON, jitter).unwrap_or_default();
            fetching.phase = Phase::Waiting(Some(now_ms + wait_ms));
        }
    }

    /// Gives up the attempt to fetch a file, and all further ones.
    pub(super) fn stop_fetching(&mut self, id: &MessageId) {
        if let Some(Fetching { phase: Phase::Running(transfer), .. }) =
            self.files.fetching.remove(id)
        {
            self.cx.push(Effect::StopFetch(transfer));
        }
    }

    /// Handles news of an attempt to fetch a file.
    pub(in crate::session) fn fetch_news(&mut self, transfer: TransferId, news: FetchNews) {
        let Some((id, fetching)) = self.files.transfer(transfer) else {
            return;
        };
        match news {
            FetchNews::MeetingWanted => {
                let key = self.files.get(&id).map(|file| file.device);
                if let Some(key) = key {
                    self.meeting_wanted(Dial::Transfer(transfer), key);
                }
            }
            FetchNews::Met(path) => (fetching.link, fetching.at) = (path, None),
            FetchNews::Begun(part, bytes) => {
                (fetching.bytes, fetching.part, fetching.unknown) = (bytes, None, 0);
                let at = fetching.at;
                self.transfer_begun(&id, part, at);
                self.tell_progress(&id, bytes);
            }
            FetchNews::Progress(bytes) => self.progressed(&id, bytes),
            FetchNews::Left(part, bytes) => {
                fetching.part = Some(part);
                self.progressed(&id, bytes);
            }
            FetchNews::Saved(path) => {
                self.files.fetching.remove(&id);
                self.change_file(&id, |file| {
                    (file.state, file.part) = (FileState::Saved, None);
                    file.path = Some(path.clone());
                });
                if let Some(file) = self.files.get(&id) {
                    let file = self.shown_file(file, None);
                    self.cx.tell(Event::FileDone { file, path: Some(path) });
                }
            }
            FetchNews::Failed(why) => self.attempt_failed(&id, why),
        }
    }

    /// Notes that a device sends a file, so that it has proved its key at that address.
    fn transfer_begun(&mut self, id: &MessageId, part: PathBuf, at: Option<SocketAddr>) {
        let Some(file) = self.files.get(id).cloned() else {
            return;
        };
        if let Some(at) = at {
            self.account.locate(&mut self.cx, &file.from, file.device, at);
        }
        if file.part.as_ref() != Some(&part) {
            self.change_file(id, |file| file.part = Some(part));
        }
    }

    /// Notes that so many bytes are verified and written.
    fn progressed(&mut self, id: &MessageId, bytes: u64) {
        let Some(fetching) = self.files.fetching.get_mut(id) else {
            return;
        };
        if bytes > fetching.bytes {
            fetching.backoff = Backoff::default();
        }
        fetching.bytes = bytes;
        self.tell_progress(id, bytes);
    }

    fn tell_progress(&mut self, id: &MessageId, bytes: u64) {
        if let (Some(file), Some(fetching)) = (self.files.get(id), self.files.fetching.get(id)) {
            let (file, link) = (self.shown_file(file, None), fetching.link);
            self.cx.tell(Event::FileProgress { file, bytes, link });
        }
    }

    fn attempt_failed(&mut self, id: &MessageId, why: FetchFailure) {
        let (Some(file), Some(fetching)) =
            (self.files.get(id).cloned(), self.files.fetching.get_mut(id))
        else {
            return;
        };
        fetching.unknown = match why {
            FetchFailure::Refused(Refusal::Unknown) => fetching.unknown + 1,
            _ => 0,
        };
        let is_unknown = fetching.unknown >= MAX_UNKNOWN;
        let keeps_part = matches!(why, FetchFailure::DiskFull { .. } | FetchFailure::File { .. });
        let given_up = || is_unknown.then(|| Failure::FileOver(file.from.clone()));
        let Some(why) = why.lasting(&file.from).or_else(given_up) else {
            return self.try_later(id);
        };
        self.files.fetching.remove(id);
        if let Some(part) = file.part.filter(|_| !keeps_part) {
            self.cx.push(Effect::DeletePart(part));
            self.change_file(id, |file| file.part = None);
        }
        self.fail_file(id, why);
    }
}
