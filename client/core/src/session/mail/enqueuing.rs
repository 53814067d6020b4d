//! Own messages on their way into the outbox.

use std::slice;

use letschat_protocol::body::Place;
use letschat_protocol::files::FileInfo;
use letschat_protocol::groups::GroupName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::commits::After;
use super::sending::reply;
use super::shown::Shown;
use crate::codes::FailureCode;
use crate::conversation::{ConversationId, MessageState, Via};
use crate::failure::Failure;
use crate::files::ReadFile;
use crate::mail::{MailChange, Outgoing, Stage};
use crate::session::{RequestId, Session};

/// The content of an own message: a text, or the name of a file that it offers.
#[derive(Debug, Clone)]
pub(in crate::session) struct Said {
    pub(in crate::session) text: String,
    pub(in crate::session) file: Option<ReadFile>,
}

impl Said {
    fn info(&self) -> Option<FileInfo> {
        self.file.as_ref().map(|file| file.info)
    }
}

impl From<String> for Said {
    fn from(text: String) -> Said {
        Said { text, file: None }
    }
}

impl Session {
    /// Puts a text for a person into the outbox. The request is answered when the server has it, or when it is known
    /// to wait.
    pub(in crate::session) fn enqueue(&mut self, id: RequestId, to: &Username, said: Said) {
        match self.enqueued(to, &said) {
            Ok(message) => {
                self.mail.outbox.await_change(message.id, id);
                // A user who writes again wants another attempt.
                self.mail.posting.resume(to);
                self.mail.peering.resume(to);
                let queued = After::Queued(message.id);
                let shared = self.share_file(slice::from_ref(&message), said.file);
                let changes = [MailChange::Outgoing(message)].into_iter().chain(shared);
                self.commit(changes.collect(), queued);
            }
            Err(why) => self.offer_failed(id, said, why),
        }
    }

    fn enqueued(&mut self, to: &Username, said: &Said) -> Result<Outgoing, Failure> {
        let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
        if *to == account.username {
            return Err(Failure::WritesToOneself);
        }
        if self.account.is_blocked(to) {
            return Err(Failure::Blocked(to.clone()));
        }
        self.mail.outbox.check_room(said.text.len())?;
        let author = account.identity.public_key();
        let text = (said.text.clone(), said.info());
        Ok(self.mail.outbox.add(&author, to, text, self.cx.wall_ms()))
    }

    /// Puts a text for a group into the outbox: for each member.
    pub(in crate::session) fn enqueue_for_group(
        &mut self,
        id: RequestId,
        label: &GroupName,
        said: Said,
    ) {
        match self.enqueued_for_group(label, &said) {
            Ok(messages) => {
                let Some(first) = messages.first().map(|message| message.id) else {
                    return self.offer_failed(id, said, Failure::NobodyJoined(label.clone()));
                };
                self.mail.outbox.await_change(first, id);
                for message in &messages {
                    self.mail.posting.resume(&message.to);
                    self.mail.peering.resume(&message.to);
                }
                let counted = messages.first().and_then(|message| self.counted(label, message));
                let shared = self.share_file(&messages, said.file);
                let messages = messages.into_iter().map(MailChange::Outgoing);
                let changes = messages.chain(counted).chain(shared).collect();
                self.commit(changes, After::Queued(first));
            }
            Err(why) => self.offer_failed(id, said, why),
        }
    }

    /// Fails the request of a message that can't be sent. The hashes of its file are not needed then.
    fn offer_failed(&mut self, id: RequestId, said: Said, why: Failure) {
        if let Some(info) = said.info() {
            self.forget_hashes(&info);
        }
        self.cx.fail(id, why);
    }

    fn counted(&self, label: &GroupName, message: &Outgoing) -> Option<MailChange> {
        let (group, _) = self.groups.called(label)?;
        match message.place {
            Place::Sequence(number) => Some(MailChange::Counted(group.to_string(), number)),
            Place::Group { .. } | Place::Chat { .. } => None,
        }
    }

    fn enqueued_for_group(
        &mut self,
        label: &GroupName,
        said: &Said,
    ) -> Result<Vec<Outgoing>, Failure> {
        let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
        let missing = || Failure::NoSuchGroup(label.as_str().to_owned());
        let found = self.groups.joined(label);
        let (group, state) = found.ok_or_else(missing)?;
        self.mail.outbox.check_room(said.text.len())?;
        let own = &account.username;
        if !state.roster.roster().has_joined(own) {
            return Err(Failure::NotJoinedYet(label.clone()));
        }
        let members = state.roster.roster().joined().filter(|who| *who != own).cloned();
        let author = account.identity.public_key();
        let (text, now_ms) = ((said.text.as_str(), said.info()), self.cx.wall_ms());
        Ok(self.mail.outbox.add_for_group(&author, (group, label), members, text, now_ms))
    }

    /// Puts a text for everyone into the outbox: for each person who can be reached without the server.
    pub(in crate::session) fn enqueue_for_everyone(&mut self, id: RequestId, text: &str) {
        let Some(author) = self.account.key() else {
            return self.cx.fail(id, Failure::NobodyToWrite);
        };
        let people = self.account.reachable_people();
        if people.is_empty() {
            return self.cx.fail(id, Failure::NobodyToWrite);
        }
        let recipients: Vec<(Username, bool)> =
            people.into_iter().map(|who| (who.clone(), self.is_reachable(&who))).collect();
        let now_ms = self.cx.wall_ms();
        let (added, left_out) =
            self.mail.outbox.add_for_everyone(&author, recipients, text, now_ms);
        for message in &left_out {
            self.tell_state(
                message,
                MessageState::Failed,
                Via::Outbox,
                Some(FailureCode::OutboxFull),
            );
        }
        let Some(first) = added.first().map(|message| message.id) else {
            return self.cx.fail(id, Failure::OutboxFull);
        };
        self.mail.outbox.await_change(first, id);
        let changes = added.into_iter().map(MailChange::Outgoing).collect();
        self.commit(changes, After::Queued(first));
    }

    /// Handles the result of the record of a new message.
    pub(super) fn queued(&mut self, id: MessageId, result: Result<(), String>) {
        if let Err(why) = result {
            self.take_back(&id);
            self.forget_file(&id);
            if let Some(request) = self.mail.outbox.take_request(&id) {
                self.cx.fail(request, Failure::Folder(why));
            }
            return;
        }
        self.mail.outbox.durable(&id);
        let (Some(message), Some(from)) =
            (self.mail.outbox.waiting_of(&id).next().cloned(), self.account.name().cloned())
        else {
            return;
        };
        let via = match self.server.is_logged_in() {
            true => Via::Server,
            false if self.is_reachable(&message.to) => Via::Peer,
            false => Via::Outbox,
        };
        let shown = Shown {
            from,
            conversation: message.conversation.clone(),
            text: message.text.clone(),
            file: message.file,
            sent_ms: message.time_ms,
            time_ms: message.time_ms,
            via,
            own: true,
            device: None,
        };
        self.cx.tell(shown.into_event(id));
        let is_class = message.conversation == ConversationId::Everyone;
        let is_group = message.conversation.person().is_none() && !is_class;
        if is_class || is_group && via != Via::Outbox {
            // Answer now: the recipients confirm at different times.
            if let Some(request) = self.mail.outbox.take_request(&id) {
                let via = if is_class { Via::Peer } else { via };
                self.cx.answer(request, reply(&message, MessageState::Sent, via));
            }
        } else if via == Via::Outbox {
            self.answer_waiting(&message, None);
        } else if via == Via::Server
            && let Some(why) = self.mail.posting.why_paused(&message.to, self.cx.now_ms()).cloned()
        {
            self.answer_waiting(&message, Some(&why));
        }
    }

    /// Removes a message that could not be recorded.
    pub(super) fn take_back(&mut self, id: &MessageId) -> Vec<Outgoing> {
        let name_of = |conversation: &ConversationId| match conversation {
            ConversationId::Group(label) => {
                let group = self.groups.called(label).map(|(group, _)| group.to_string());
                group.unwrap_or_default()
            }
            ConversationId::Person(_) | ConversationId::Everyone => conversation.to_string(),
        };
        self.mail.outbox.take_back(id, name_of)
    }

    /// Hands an unconfirmed message of a chat that ended to the outbox, under the same id. Returns false if it can't
    /// be handed over.
    pub(in crate::session) fn hand_over(
        &mut self,
        to: &Username,
        place: Place,
        id: MessageId,
        text: &str,
    ) -> bool {
        let can = self.account.opened().is_some()
            && !self.account.is_blocked(to)
            && self.mail.outbox.check_room(text.len()).is_ok();
        if can {
            let (text, time_ms) = (text.to_owned(), self.cx.wall_ms());
            let (to, conversation) = (to.clone(), ConversationId::Person(to.clone()));
            let stage = Stage::Waiting;
            let file = None;
            let message = Outgoing { id, to, conversation, place, time_ms, text, file, stage };
            let message = self.mail.outbox.add_under(message);
            self.tell_state(&message, MessageState::Waiting, Via::Outbox, None);
            self.commit(vec![MailChange::Outgoing(message)], After::HandedOver(id));
        }
        can
    }
}
