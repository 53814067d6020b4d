//! Own messages from the outbox to their end: their states, their envelopes, and receipts.

use letschat_protocol::body::{MAX_RECEIPT_IDS, Place};
use letschat_protocol::dialogue::{
    DeviceKeys, Outcome, Posted, Reply as ServerReply, Request as ServerRequest,
};
use letschat_protocol::envelope::{EnvelopeId, Recipient};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::CLOCK_TOLERANCE_MS;
use letschat_protocol::username::Username;

use super::bodies::{envelope_id, receipt_body, text_body};
use super::commits::After;
use super::posting::{Job, Letter};
use super::{Mail, reply_waiting};
use crate::codes::FailureCode;
use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::Event;
use crate::failure::Failure;
use crate::mail::{MailChange, Outgoing, OutgoingKey, Stage};
use crate::session::server::Expected;
use crate::session::{Effect, Reply, Session};

/// Their states.
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
        let is_for_everyone = conversation == ConversationId::Everyone;
        let was_kept = matches!(message.stage, Stage::Kept { .. });
        let is_news = !is_awaited
            && !is_for_everyone
            && match state {
                MessageState::Kept | MessageState::Expired | MessageState::Failed => true,
                // The user was told that it waits, unless a chat handed it over.
                MessageState::Sent => matches!(message.place, Place::Sequence(_)),
                // That of a message to somebody who is here goes without saying.
                MessageState::Delivered => was_kept,
                MessageState::Waiting => false,
            };
        self.cx.tell(Event::MessageState {
            conversation,
            id: message.id,
            to: is_for_everyone.then(|| message.to.clone()),
            state,
            via,
            code,
            is_news,
        });
    }

    /// Reports that a message will never arrive, to the request that waits or as an event.
    pub(super) fn tell_failed(&mut self, message: &Outgoing, why: &Failure) {
        self.tell_state(message, MessageState::Failed, Via::Outbox, Some(why.code()));
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
        let under_way = self.mail.posting.job().and_then(Job::message).cloned();
        for message in self.mail.outbox.waiting_to(who) {
            let is_under_way = under_way.as_ref().is_some_and(|key| message.is(key));
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

/// Envelopes, from the outbox to the server.
impl Session {
    /// Begins the next job, if one is possible.
    pub(in crate::session) fn post_next(&mut self) {
        let now_ms = self.cx.now_ms();
        self.deliver_to_peers();
        self.release_talk();
        if !self.server.is_logged_in() || !self.mail.posting.is_free(now_ms) {
            return;
        }
        let Mail { posting, peering, outbox, .. } = &self.mail;
        let is_ready =
            |who: &Username| posting.why_paused(who, now_ms).is_none() && !peering.is_busy(who);
        let message = outbox.next(is_ready);
        let job = match message {
            Some(message) => {
                let (id, to) = (envelope_id(message), message.to.clone());
                Job { id, to, what: Letter::Message(message.key()) }
            }
            None => match posting.next_receipt(now_ms, MAX_RECEIPT_IDS) {
                Some((to, ids)) => {
                    let id = EnvelopeId(self.cx.new_chat_id().0);
                    Job { id, to, what: Letter::Receipt(ids) }
                }
                None => return,
            },
        };
        self.begin_job(job);
    }

    /// Returns true if something can be posted now (a message that is not paused, or a receipt) or acknowledged.
    pub(in crate::session) fn has_mail_to_post(&self) -> bool {
        let (mail, now_ms) = (&self.mail, self.cx.now_ms());
        let is_under_way = mail.posting.job().is_some()
            || !mail.commits.is_empty()
            || mail.acknowledging.is_busy();
        let can_post = || {
            let is_reached = |who: &Username| {
                mail.posting.why_paused(who, now_ms).is_none() && !mail.peering.is_busy(who)
            };
            mail.posting.is_free(now_ms)
                && (mail.outbox.next(is_reached).is_some()
                    || mail.posting.next_receipt(now_ms, MAX_RECEIPT_IDS).is_some())
        };
        match self.server.is_logged_in() {
            true => is_under_way || can_post(),
            false => mail.peering.is_active(),
        }
    }

    fn begin_job(&mut self, job: Job) {
        let to = job.to.clone();
        self.mail.posting.begin(job);
        match self.mail.posting.recipient(&to, self.cx.now_ms()) {
            Some(recipient) => self.seal(recipient),
            None => {
                let request = ServerRequest::Keys { name: to.to_string() };
                self.server.ask(&mut self.cx, request, Expected::Keys);
            }
        }
    }

    /// Lets the engine sign and seal the body of the job.
    fn seal(&mut self, recipient: Recipient) {
        let (Some(job), Some(account)) = (self.mail.posting.job(), self.account.opened()) else {
            return;
        };
        let body = match &job.what {
            Letter::Receipt(ids) => receipt_body(account, &job.to, ids.clone(), self.cx.wall_ms()),
            Letter::Message(key) => match self.mail.outbox.get(key) {
                Some(message) => text_body(account, message),
                None => return self.finish_job(),
            },
        };
        self.cx.push(Effect::Seal { body: Box::new(body), recipients: vec![recipient] });
    }

    /// Handles the sealed envelope of the job, or none if it could not be sealed.
    pub(in crate::session) fn sealed(&mut self, envelope: Option<Vec<u8>>) {
        let Some(job) = self.mail.posting.job() else {
            return;
        };
        match envelope {
            Some(envelope) if self.server.is_logged_in() => {
                let request = ServerRequest::Post { id: job.id, envelope };
                self.server.ask(&mut self.cx, request, Expected::Post);
            }
            Some(_) => {}
            None => {
                let why = Failure::KeysInvalid(job.to.clone());
                self.job_has_to_wait(why);
            }
        }
    }

    /// Handles the server's answer to KEYS.
    pub(in crate::session) fn keys_answered(&mut self, reply: &ServerReply) {
        let Some(to) = self.mail.posting.job().map(|job| job.to.clone()) else {
            return;
        };
        if !reply.code.is_success() {
            let why = Failure::refused(reply.code, reply.last_line());
            return self.job_refused(why);
        }
        let items = &reply.lines[..reply.lines.len().saturating_sub(1)];
        let listed: Vec<DeviceKeys> =
            items.iter().filter_map(|line| DeviceKeys::parse(line)).collect();
        match self.choose_device(&to, &listed) {
            Ok(recipient) => {
                self.mail.posting.learn(recipient.clone(), self.cx.now_ms());
                self.release_held(&to);
                self.seal(recipient);
            }
            Err(why) => self.job_has_to_wait(why),
        }
    }

    /// Handles the server's answer to POST.
    pub(in crate::session) fn posted(&mut self, reply: &ServerReply) {
        if !reply.code.is_success() {
            let why = Failure::refused(reply.code, reply.last_line());
            return self.job_refused(why);
        }
        let outcome = reply.lines.first().and_then(|line| Posted::parse(line));
        let until_ms = reply.field(0);
        let (Some(Posted { outcome, .. }), Some(until_ms)) = (outcome, until_ms) else {
            return self.job_has_to_wait(Failure::NotUnderstood);
        };
        match outcome {
            Outcome::Pushed => self.job_done(MessageState::Sent, Stage::Sent { until_ms }),
            Outcome::Kept => self.job_done(MessageState::Kept, Stage::Kept { until_ms }),
            Outcome::UnknownUser => self.job_refused(refused(FailureCode::UnknownUser)),
            Outcome::NoDevice => self.job_refused(refused(FailureCode::NoDevice)),
            Outcome::MailboxFull => self.job_refused(refused(FailureCode::MailboxFull)),
        }
    }

    /// Finishes a job whose envelope the server has.
    fn job_done(&mut self, state: MessageState, stage: Stage) {
        let Some(Job { to, what, .. }) = self.mail.posting.end() else {
            return;
        };
        self.mail.posting.succeeded(&to);
        match what {
            Letter::Message(key) => {
                if let Some(message) = self.mail.outbox.take(&key, stage) {
                    self.tell_state(&message, state, Via::Server, None);
                    if let Some(request) = self.mail.outbox.take_request(&key.id) {
                        self.cx.answer(request, reply(&message, state, Via::Server));
                    }
                    self.commit(vec![MailChange::Outgoing(message)], After::Nothing);
                }
            }
            Letter::Receipt(ids) => self.receipt_done(&to, ids),
        }
        self.post_next();
    }

    fn receipt_done(&mut self, to: &Username, ids: Vec<MessageId>) {
        self.mail.posting.confirmed(to, &ids, self.cx.now_ms());
        self.commit(vec![MailChange::Confirmed(ids)], After::Nothing);
    }

    /// Handles a refusal of the job by the server.
    fn job_refused(&mut self, why: Failure) {
        match why.code() {
            FailureCode::SlowDown | FailureCode::StoreUnavailable => self.server_is_busy(&why),
            // The name has no account, so that no message to it will ever arrive.
            FailureCode::UnknownUser => self.job_fails_for_all(&why),
            FailureCode::EnvelopeInvalid | FailureCode::TextTooLong => self.job_fails(&why),
            _ => self.job_has_to_wait(why),
        }
    }

    fn server_is_busy(&mut self, why: &Failure) {
        let jitter = self.cx.jitter();
        self.mail.posting.wait(self.cx.now_ms(), jitter);
        if let Some(job) = self.mail.posting.end()
            && self.account.is_blocked(&job.to)
        {
            self.stop_writing_to(&job.to);
        }
        if why.code() == FailureCode::StoreUnavailable {
            for message in self.mail.outbox.awaited() {
                self.answer_waiting(&message, Some(why));
            }
        }
    }

    fn job_fails(&mut self, why: &Failure) {
        match self.mail.posting.end().map(|job| (job.to, job.what)) {
            Some((_, Letter::Message(key))) => self.fail_message(&key, why),
            Some((to, Letter::Receipt(ids))) => self.receipt_done(&to, ids),
            None => {}
        }
        self.post_next();
    }

    fn job_fails_for_all(&mut self, why: &Failure) {
        let Some(Job { to, what, .. }) = self.mail.posting.end() else {
            return;
        };
        if let Letter::Receipt(ids) = what {
            self.receipt_done(&to, ids);
        }
        for message in self.mail.outbox.waiting_to_alone(&to) {
            self.fail_message(&message.key(), why);
        }
        self.post_next();
    }

    fn fail_message(&mut self, key: &OutgoingKey, why: &Failure) {
        if let Some(message) = self.mail.outbox.settle(key) {
            self.tell_failed(&message, why);
            self.commit(vec![MailChange::Settled(key.clone())], After::Nothing);
        }
    }

    /// Lets everything to the job's recipient wait: the next attempt comes later, or when the user writes again.
    fn job_has_to_wait(&mut self, why: Failure) {
        let Some(Job { to, what, .. }) = self.mail.posting.end() else {
            return;
        };
        if self.account.is_blocked(&to) {
            self.stop_writing_to(&to);
        }
        let is_told = self.mail.posting.pause(&to, self.cx.now_ms(), why.clone());
        if let Letter::Receipt(ids) = what
            && why.code() != FailureCode::MailboxFull
        {
            // A receipt is not worth waiting for.
            self.receipt_done(&to, ids);
        }
        for message in self.mail.outbox.waiting_to_alone(&to) {
            if !is_told || self.mail.outbox.is_awaited(&message.id) {
                self.tell_state(&message, MessageState::Waiting, Via::Outbox, Some(why.code()));
            }
            self.answer_waiting(&message, Some(&why));
        }
        self.post_next();
    }

    /// Ends a job that has become pointless.
    fn finish_job(&mut self) {
        self.mail.posting.end();
        self.post_next();
    }
}

fn refused(code: FailureCode) -> Failure {
    Failure::refused(code, "")
}

pub(super) fn reply(message: &Outgoing, state: MessageState, via: Via) -> Reply {
    let to = message.conversation.to_string();
    Reply::Sent { to, number: None, message_id: message.id, state, via, code: None }
}
