//! The outcomes of posted envelopes, for each recipient.

use letschat_protocol::dialogue::Outcome;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::commits::After;
use super::posting::Letter;
use super::sending::{refused, reply};
use crate::codes::FailureCode;
use crate::conversation::{MessageState, Via};
use crate::failure::Failure;
use crate::mail::{MailChange, OutgoingKey, Stage};
use crate::session::Session;

impl Session {
    /// Handles what became of the envelope for one recipient. Returns the changes to record.
    pub(super) fn recipient_posted(
        &mut self,
        what: &Letter,
        who: &Username,
        outcome: Option<(Outcome, u64)>,
    ) -> Vec<MailChange> {
        let why = match outcome {
            Some((Outcome::Pushed, until_ms)) => {
                let state = (MessageState::Sent, Stage::Sent { until_ms });
                return self.recipient_done(what, who, state);
            }
            Some((Outcome::Kept, until_ms)) => {
                let state = (MessageState::Kept, Stage::Kept { until_ms });
                return self.recipient_done(what, who, state);
            }
            Some((Outcome::UnknownUser, _)) => {
                self.recipient_fails(what, who, &refused(FailureCode::UnknownUser));
                return Vec::new();
            }
            None => Failure::NotUnderstood,
            Some((Outcome::NoDevice | Outcome::Missing, _)) => refused(FailureCode::NoDevice),
            Some((Outcome::MailboxFull, _)) => refused(FailureCode::MailboxFull),
        };
        self.recipient_waits(what, who, &why);
        Vec::new()
    }

    /// Notes that the server has the envelope for a recipient. Returns the changes to record.
    fn recipient_done(
        &mut self,
        what: &Letter,
        who: &Username,
        (state, stage): (MessageState, Stage),
    ) -> Vec<MailChange> {
        self.mail.posting.succeeded(who);
        match what {
            Letter::Message(id) => {
                let key = OutgoingKey { id: *id, to: who.clone() };
                if let Some(via) = self.mail.posting.finished(&key) {
                    return self.delivered(&key.to, &[key.id], via);
                }
                if let Some(message) = self.mail.outbox.take(&key, stage) {
                    self.tell_state(&message, state, Via::Server, None);
                    if let Some(request) = self.mail.outbox.take_request(&key.id) {
                        self.cx.answer(request, reply(&message, state, Via::Server));
                    }
                    let forgotten = self.mail.outbox.forget_oldest();
                    let forgotten = forgotten.into_iter().map(MailChange::Settled);
                    return std::iter::once(MailChange::Outgoing(message))
                        .chain(forgotten)
                        .collect();
                }
            }
            Letter::Receipt(ids) => self.receipt_done(who, ids.clone()),
            Letter::People(names) => self.people_told(names.clone()),
            Letter::Group(id, letter) => self.group_told(id, *letter, std::slice::from_ref(who)),
        }
        Vec::new()
    }

    pub(super) fn receipt_done(&mut self, to: &Username, ids: Vec<MessageId>) {
        self.mail.posting.confirmed(to, &ids, self.cx.now_ms());
        self.commit(vec![MailChange::Confirmed(ids)], After::Nothing);
    }

    pub(super) fn refuse_recipient(&mut self, what: &Letter, who: &Username, why: &Failure) {
        match why.code() {
            // The name has no account, so that no message to it will ever arrive.
            FailureCode::UnknownUser => self.recipient_fails(what, who, why),
            FailureCode::EnvelopeInvalid | FailureCode::TextTooLong => match what {
                Letter::Message(id) => {
                    self.fail_message(&OutgoingKey { id: *id, to: who.clone() }, why);
                }
                what => self.give_letter_up(what, who),
            },
            _ => self.recipient_waits(what, who, why),
        }
    }

    /// Gives up everything to a person that has no account.
    fn recipient_fails(&mut self, what: &Letter, who: &Username, why: &Failure) {
        self.give_letter_up(what, who);
        for message in self.mail.outbox.waiting_to_alone(who) {
            self.fail_message(&message.key(), why);
        }
    }

    /// Gives up a letter that is no message.
    fn give_letter_up(&mut self, what: &Letter, who: &Username) {
        match what {
            Letter::Message(_) => {}
            Letter::Receipt(ids) => self.receipt_done(who, ids.clone()),
            Letter::People(names) => self.people_told(names.clone()),
            Letter::Group(id, letter) => self.group_told(id, *letter, std::slice::from_ref(who)),
        }
    }

    pub(super) fn fail_message(&mut self, key: &OutgoingKey, why: &Failure) {
        self.mail.posting.finished(key);
        if let Some(message) = self.mail.outbox.settle(key) {
            self.tell_failed(&message, why);
            self.commit(vec![MailChange::Settled(key.clone())], After::Nothing);
        }
    }

    /// Lets everything to a recipient wait: the next attempt comes later, or when the user writes again.
    fn recipient_waits(&mut self, what: &Letter, who: &Username, why: &Failure) {
        if self.account.is_blocked(who) {
            self.stop_writing_to(who);
        }
        let is_told = self.mail.posting.pause(who, self.cx.now_ms(), why.clone());
        if let Letter::Receipt(ids) = what
            && why.code() != FailureCode::MailboxFull
        {
            // A receipt is not worth waiting for.
            self.receipt_done(who, ids.clone());
        }
        for message in self.mail.outbox.waiting_to_alone(who) {
            if !is_told || self.mail.outbox.is_awaited(&message.id) {
                self.tell_state(&message, MessageState::Waiting, Via::Outbox, Some(why.code()));
            }
            self.answer_waiting(&message, Some(why));
        }
    }
}
