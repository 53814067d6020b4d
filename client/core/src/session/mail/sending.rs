//! Envelopes on their way from the outbox to the server: own messages, receipts, and what the own devices are told.

use letschat_protocol::body::MAX_RECEIPT_IDS;
use letschat_protocol::devices::DeviceList;
use letschat_protocol::dialogue::{
    AccountKeys, Outcome, Posted, Reply as ServerReply, Request as ServerRequest,
};
use letschat_protocol::envelope::{EnvelopeId, Recipient};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::Mail;
use super::bodies::{envelope_id, people_body, receipt_body, text_body};
use super::commits::After;
use super::posting::{Job, Letter};
use crate::codes::FailureCode;
use crate::conversation::{MessageState, Via};
use crate::failure::Failure;
use crate::mail::{MailChange, Outgoing, OutgoingKey, Stage};
use crate::session::server::Expected;
use crate::session::{Effect, Reply, Session};

/// The most times that one envelope is posted while the recipient's devices change.
const MAX_POSTS: u8 = 4;

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
                Job::new(id, to, Letter::Message(message.key()))
            }
            None => match posting.next_receipt(now_ms, MAX_RECEIPT_IDS) {
                Some((to, ids)) => Job::new(self.new_envelope_id(), to, Letter::Receipt(ids)),
                None => match self.people_job() {
                    Some(job) => job,
                    None => return,
                },
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

    pub(super) fn new_envelope_id(&mut self) -> EnvelopeId {
        EnvelopeId(self.cx.new_chat_id().0)
    }

    fn begin_job(&mut self, job: Job) {
        self.mail.posting.begin(job);
        self.go_on_with_job();
    }

    /// Asks for the keys that the job needs, and lets the engine seal it once they are known.
    fn go_on_with_job(&mut self) {
        let now_ms = self.cx.now_ms();
        let (Some(job), Some(own)) = (self.mail.posting.job(), self.account.name()) else {
            return;
        };
        let (to, own, is_message) = (job.to.clone(), own.clone(), job.message().is_some());
        let Some(recipients) = self.mail.posting.recipients(&to, now_ms) else {
            return self.ask_keys(to);
        };
        let mut recipients = recipients.to_vec();
        if recipients.is_empty() {
            return self.job_has_to_wait(refused(FailureCode::NoDevice));
        }
        if is_message && self.has_other_devices() {
            match self.mail.posting.recipients(&own, now_ms) {
                Some(others) => recipients.extend_from_slice(others),
                None => return self.ask_keys(own),
            }
        }
        self.seal(recipients);
    }

    fn ask_keys(&mut self, who: Username) {
        let request = ServerRequest::Keys { name: who.to_string() };
        if let Some(job) = self.mail.posting.job_mut() {
            job.asked.push(who);
        }
        self.server.ask(&mut self.cx, request, Expected::Keys);
    }

    /// Lets the engine sign and seal the body of the job.
    fn seal(&mut self, recipients: Vec<Recipient>) {
        let (Some(job), Some(account)) = (self.mail.posting.job(), self.account.opened()) else {
            return;
        };
        let list = self.account.own_reference();
        let body = match &job.what {
            Letter::Receipt(ids) => {
                receipt_body((account, list), &job.to, ids.clone(), self.cx.wall_ms())
            }
            Letter::People(names) if names.is_empty() => return self.finish_job(),
            Letter::People(names) => {
                let people = self.people(names);
                people_body((account, list), people, self.cx.wall_ms())
            }
            Letter::Message(key) => match self.mail.outbox.get(key) {
                Some(message) => text_body((account, list), message),
                None => return self.finish_job(),
            },
        };
        self.cx.push(Effect::Seal { body: Box::new(body), recipients });
    }

    /// Handles the sealed envelope of the job, or none if it could not be sealed.
    pub(in crate::session) fn sealed(&mut self, envelope: Option<Vec<u8>>) {
        let Some(job) = self.mail.posting.job() else {
            return;
        };
        match envelope {
            Some(envelope) if self.server.is_logged_in() => {
                let request = ServerRequest::Post { id: job.id, envelope };
                self.mail.posting.sent();
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
        let Some((to, who)) = self
            .mail
            .posting
            .job()
            .and_then(|job| Some((job.to.clone(), job.asked.last()?.clone())))
        else {
            return;
        };
        let why = Failure::refused(reply.code, reply.last_line());
        if who != to && !why.is_busy() {
            // Without the own keys the other devices get no copy.
            let shown = AccountKeys::from_reply(reply).unwrap_or_default();
            return self.keys_shown(who, shown);
        }
        if !reply.code.is_success() {
            return self.job_refused(why);
        }
        match AccountKeys::from_reply(reply) {
            Some(shown) => self.keys_shown(who, shown),
            None => self.job_has_to_wait(Failure::NotUnderstood),
        }
    }

    /// Uses the keys of an account, after a look at its device list if that is another than the held one.
    fn keys_shown(&mut self, who: Username, shown: AccountKeys) {
        let held = self.account.list(&who).map(DeviceList::reference).unwrap_or_default();
        if shown.list != held && self.look_up(&who) {
            if let Some(job) = self.mail.posting.job_mut() {
                job.shown = Some((who, shown));
            }
            return;
        }
        self.use_keys(&who, &shown);
    }

    /// Forgets the keys of an account, whose devices are others now.
    pub(in crate::session) fn forget_keys(&mut self, who: &Username) {
        self.mail.posting.forget_keys(who);
        self.mail.posting.resume(who);
    }

    /// Goes on with a job that waits for the newest device list of this account.
    pub(in crate::session) fn job_keys_changed(&mut self, who: &Username) {
        self.mail.posting.forget_keys(who);
        let shown = self
            .mail
            .posting
            .job_mut()
            .and_then(|job| job.shown.take_if(|(waits_for, _)| waits_for == who));
        if let Some((who, shown)) = shown {
            self.use_keys(&who, &shown);
        }
    }

    /// Lets a job wait that needs the newest device list of this account, if the server is too busy to show it.
    pub(in crate::session) fn job_list_refused(&mut self, who: &Username, reply: &ServerReply) {
        let why = Failure::refused(reply.code, reply.last_line());
        let shown = self.mail.posting.job().and_then(|job| job.shown.as_ref());
        if why.is_busy() && shown.is_some_and(|(waits_for, _)| waits_for == who) {
            self.server_is_busy(&why);
        }
    }

    fn use_keys(&mut self, who: &Username, shown: &AccountKeys) {
        let now_ms = self.cx.now_ms();
        if self.account.name() == Some(who) {
            let others = self.choose_own_devices(who, shown);
            let listed = self.account.own_list().map_or(0, |list| list.devices().len());
            let is_whole = others.len() + 1 >= listed;
            self.mail.posting.learn(who, others, is_whole, now_ms);
            return self.go_on_with_job();
        }
        match self.choose_devices(who, shown) {
            Ok(recipients) => {
                self.mail.posting.learn(who, recipients, true, now_ms);
                self.release_held(who);
                self.go_on_with_job();
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
        let Some(job) = self.mail.posting.job_mut() else {
            return;
        };
        job.posts += 1;
        let (to, is_last) = (job.to.clone(), job.posts >= MAX_POSTS);
        let items = reply.lines.split_last().map_or(&[][..], |(_, items)| items);
        let items = items.iter().filter_map(|line| Posted::parse(line));
        let (missing, outcomes): (Vec<Posted>, Vec<Posted>) = items
            .filter(|item| item.recipient == to)
            .partition(|item| item.outcome == Outcome::Missing);
        if outcomes.iter().any(|item| item.outcome == Outcome::NoDevice) || !missing.is_empty() {
            // The person's devices are others now.
            self.mail.posting.forget_keys(&to);
        }
        if !missing.is_empty() && !is_last {
            return self.go_on_with_job();
        }
        let best = outcomes.iter().map(|item| item.outcome).min();
        let (Some(best), Some(until_ms)) = (best, reply.field(0)) else {
            return self.job_has_to_wait(Failure::NotUnderstood);
        };
        match best {
            Outcome::Pushed => self.job_done(MessageState::Sent, Stage::Sent { until_ms }),
            Outcome::Kept => self.job_done(MessageState::Kept, Stage::Kept { until_ms }),
            Outcome::UnknownUser => self.job_refused(refused(FailureCode::UnknownUser)),
            Outcome::NoDevice | Outcome::Missing => {
                self.job_refused(refused(FailureCode::NoDevice));
            }
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
                if let Some(via) = self.mail.posting.finished(&key) {
                    let changes = self.delivered(&key.to, &[key.id], via);
                    self.commit(changes, After::Nothing);
                } else if let Some(message) = self.mail.outbox.take(&key, stage) {
                    self.tell_state(&message, state, Via::Server, None);
                    if let Some(request) = self.mail.outbox.take_request(&key.id) {
                        self.cx.answer(request, reply(&message, state, Via::Server));
                    }
                    self.commit(vec![MailChange::Outgoing(message)], After::Nothing);
                }
            }
            Letter::Receipt(ids) => self.receipt_done(&to, ids),
            Letter::People(names) => self.people_told(names),
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
            _ if why.is_busy() => self.server_is_busy(&why),
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
            Some((_, Letter::People(names))) => self.people_told(names),
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

    pub(super) fn fail_message(&mut self, key: &OutgoingKey, why: &Failure) {
        self.mail.posting.finished(key);
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
