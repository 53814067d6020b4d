//! Own files, from the user's request to the message that offers them.

use std::path::PathBuf;

use letschat_protocol::files::FileInfo;
use letschat_protocol::files::name::FileName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::{MAX_OFFERED, MAX_TRANSFERS};
use crate::conversation::ConversationId;
use crate::failure::Failure;
use crate::files::{FileState, ReadFile, StoredFile};
use crate::mail::{MailChange, Outgoing};
use crate::session::mail::Said;
use crate::session::{Effect, Request, RequestId, Session};

impl Session {
    /// Offers a file to a person or a group. The request is answered as that of a message, once the file has been read.
    pub(in crate::session) fn send_file(&mut self, id: RequestId, to: String, path: PathBuf) {
        if self.account.opened().is_none() && self.server.is_away() {
            let request = Request::SendFile { to, path };
            return self.server.ask_when_back(&mut self.cx, &self.account, id, request);
        }
        match self.file_target(&to) {
            Ok(conversation) => {
                self.files.reading.insert(id, conversation);
                self.cx.push(Effect::ReadFile { request: id, path });
            }
            Err(why) => self.cx.fail(id, why),
        }
    }

    /// Returns the conversation to offer a file in. The rest is checked when the offer is sent.
    fn file_target(&self, to: &str) -> Result<ConversationId, Failure> {
        let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
        let own = self.files.files.iter().filter(|file| file.is_offered_here());
        if own.count() + self.files.reading.len() >= MAX_OFFERED {
            return Err(Failure::TooManyFiles { limit: MAX_OFFERED });
        }
        if self.files.reading.len() >= MAX_TRANSFERS {
            return Err(Failure::TooManyReading { limit: MAX_TRANSFERS });
        }
        match to.parse() {
            Ok(ConversationId::Everyone) => Err(Failure::FileForEveryone),
            Ok(ConversationId::Group(label)) if self.groups.joined(&label).is_none() => {
                Err(Failure::NoSuchGroup(label.as_str().to_owned()))
            }
            Ok(ConversationId::Person(who)) if who == account.username => {
                Err(Failure::WritesToOneself)
            }
            Ok(ConversationId::Person(who)) if self.account.is_blocked(&who) => {
                Err(Failure::Blocked(who))
            }
            Ok(conversation) => Ok(conversation),
            Err(_) => Err(Failure::WhomToWrite),
        }
    }

    /// Offers a file that was read.
    pub(in crate::session) fn file_read(
        &mut self,
        id: RequestId,
        result: Result<ReadFile, Failure>,
    ) {
        let Some(conversation) = self.files.reading.remove(&id) else {
            // The account has been closed meanwhile.
            return;
        };
        let file = match result {
            Ok(file) => file,
            Err(why) => return self.cx.fail(id, why),
        };
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let text = FileName::reduced(&name).to_string();
        let said = Said { text, file: Some(file) };
        match conversation {
            ConversationId::Person(who) => self.enqueue(id, &who, said),
            ConversationId::Group(label) => self.enqueue_for_group(id, &label, said),
            ConversationId::Everyone => self.cx.fail(id, Failure::FileForEveryone),
        }
    }

    /// Notes the file that a message offers to the recipients of these entries. Returns the change to record.
    pub(in crate::session) fn share_file(
        &mut self,
        entries: &[Outgoing],
        file: Option<ReadFile>,
    ) -> Option<MailChange> {
        let (first, ReadFile { path, info }) = (entries.first()?, file?);
        let account = self.account.opened()?;
        let file = StoredFile {
            id: first.id,
            conversation: first.conversation.clone(),
            from: account.username.clone(),
            device: account.identity.public_key(),
            audience: entries.iter().map(|entry| entry.to.clone()).collect(),
            name: FileName::reduced(&first.text),
            info,
            time_ms: first.time_ms,
            state: FileState::Offered,
            path: Some(path),
            part: None,
        };
        self.files.files.push(file.clone());
        Some(MailChange::File(Box::new(file)))
    }

    /// Forgets a file whose offer could not be recorded.
    pub(in crate::session) fn forget_file(&mut self, id: &MessageId) {
        if let Some(file) = self.files.remove(id) {
            self.forget_hashes(&file.info);
        }
    }

    /// Notes that the offer of an own file does not reach a person. A file that is offered to nobody else is forgotten.
    pub(in crate::session) fn offer_did_not_arrive(&mut self, id: &MessageId, to: &Username) {
        let is_last = |file: &StoredFile| file.audience.iter().all(|other| other == to);
        match self.files.get(id).map(is_last) {
            Some(true) => {
                self.forget_file(id);
                self.record(vec![MailChange::NoFile(*id)]);
            }
            Some(false) => self.change_file(id, |file| file.audience.retain(|other| other != to)),
            None => {}
        }
    }

    /// Forgets the list of a file's hashes, unless the same file is offered elsewhere too.
    pub(in crate::session) fn forget_hashes(&mut self, info: &FileInfo) {
        let is_same = |file: &StoredFile| file.is_offered_here() && file.info == *info;
        if !self.files.files.iter().any(is_same) {
            self.cx.push(Effect::ForgetHashes(info.root()));
        }
    }
}
