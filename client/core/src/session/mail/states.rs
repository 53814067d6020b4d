//! The states of own messages, from the outbox to their end.

use letschat_protocol::body::Place;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::CLOCK_TOLERANCE_MS;
use letschat_protocol::username::Username;

use super::commits::After;
use super::reply_waiting;
use super::sending::reply;
use crate::codes::FailureCode;
use crate::conversation::{MessageState, Via};
use crate::event::Event;
use crate::failure::Failure;
use crate::mail::{MailChange, Outgoing, OutgoingKey, Stage};
use crate::session::Session;

impl Session {
    /// Writes to a person again without further wait.
    pub(in crate::session) fn resume_posting(&mut self, who: &Username) {
        self.mail.posting.resume(who);
        self.mail.peering.resume(who);
        self.post_next();
    }

    /// Answers the request of a message that waits. One that is not on disk yet is answered after its record.
    pub(super) fn answer_waiting(&mut self, message: &Outgoing, why: Option<&Failure>) {
        if !self.mail.outbox.is_durable(message) {
            return;
        }
        if let Some(request) = self.mail.outbox.take_request(&message.id) {
            self.cx.answer(request, reply_waiting(message, why));
        }
    }

    pub(super) fn tell_state(
        &mut self,
        message: &Outgoing,
        state: MessageState,
        via: Via,
        code: Option<FailureCode>,
    ) {
        let (conversation, is_awaited) =
            (message.conversation.clone(), self.mail.outbox.is_awaited(&message.id));
        let is_for_several = conversation.person().is_none();
        let was_kept = matches!(message.stage, Stage::Kept { .. });
        let is_news = !is_awaited
            && !is_for_several
            && match state {
                MessageState::Kept | MessageState::Expired | MessageState::Failed => true,
                // The user was told that it waits, unless a chat handed it over.
                MessageState::Sent => matches!(message.place, Place::Sequence(_)),
                // That of a message to somebody who is here goes without saying.
                // Of a file it means little that the offer has arrived.
                MessageState::Delivered => was_kept && message.file.is_none(),
                MessageState::Waiting => false,
            };
        self.cx.tell(Event::MessageState {
            conversation,
            id: message.id,
            to: is_for_several.then(|| message.to.clone()),
            state,
            via,
            code,
            is_news,
        });
    }

    /// Reports that a message will never arrive, to the request that waits or as an event.
    pub(super) fn tell_failed(&mut self, message: &Outgoing, why: &Failure) {
        self.tell_state(message, MessageState::Failed, Via::Outbox, Some(why.code()));
        if message.file.is_some() {
            self.offer_did_not_arrive(&message.id, &message.to);
        }
        if let Some(request) = self.mail.outbox.take_request(&message.id) {
            self.cx.fail(request, why.clone());
        }
    }

    /// Reports the messages that the server has given up.
    pub(super) fn expire_messages(&mut self) {
        // The clocks of the two machines differ.
        let wall_ms = self.cx.wall_ms().saturating_sub(CLOCK_TOLERANCE_MS);
        let expired = self.mail.outbox.expire(wall_ms);
        for message in &expired {
            self.mail.posting.finished(&message.key());
            self.tell_state(message, MessageState::Expired, Via::Server, None);
        }
        if !expired.is_empty() {
            let settled = expired.iter().map(|message| MailChange::Settled(message.key()));
            self.commit(settled.collect(), After::Nothing);
        }
    }

    /// Gives up the messages that wait for a person whom the user blocks. The server may have the one under way: its
    /// answer decides about that.
    pub(in crate::session) fn stop_writing_to(&mut self, who: &Username) {
        let under_way: Vec<OutgoingKey> =
            self.mail.posting.job().iter().flat_map(|job| job.keys()).collect();
        for message in self.mail.outbox.waiting_to_person(who) {
            let is_under_way = under_way.iter().any(|key| message.is(key));
            if !is_under_way && !self.mail.peering.has_in_flight(who, &message.id) {
                self.fail_message(&message.key(), &Failure::Blocked(who.clone()));
            }
        }
    }

    /// Notes that a device of `from` has displayed these messages.
    pub(super) fn delivered(
        &mut self,
        from: &Username,
        ids: &[MessageId],
        via: Via,
    ) -> Vec<MailChange> {
        let mut changes = Vec::new();
        for id in ids {
            // Only the recipient confirms a message.
            let key = OutgoingKey { id: *id, to: from.clone() };
            // One that came straight is done, or it would be sent again and again.
            if via != Via::Server {
                self.mail.posting.finished(&key);
            } else if self.mail.posting.confirm_unfinished(&key, via) {
                continue;
            }
            if let Some(message) = self.mail.outbox.settle(&key) {
                self.tell_state(&message, MessageState::Delivered, via, None);
                if let Some(request) = self.mail.outbox.take_request(id) {
                    self.cx.answer(request, reply(&message, MessageState::Delivered, via));
                }
                changes.push(MailChange::Settled(key));
            }
        }
        changes
    }
}
