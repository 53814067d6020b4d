//! Envelopes on their way from the outbox to the server: own messages, receipts, and what the own devices are told.

use letschat_protocol::body::{Content, MAX_RECEIPT_IDS};
use letschat_protocol::devices::DeviceList;
use letschat_protocol::dialogue::{
    AccountKeys, Outcome, Posted, Reply as ServerReply, Request as ServerRequest,
};
use letschat_protocol::envelope::{EnvelopeId, Recipient};
use letschat_protocol::groups::Wish;
use letschat_protocol::limits::{MAX_DEVICES, MAX_RECIPIENT_DEVICES};
use letschat_protocol::username::Username;

use super::Mail;
use super::bodies::{envelope_id, letter_body, message_body, people_body, receipt_body};
use super::commits::After;
use super::posting::{Job, Letter};
use crate::codes::FailureCode;
use crate::conversation::{MessageState, Via};
use crate::failure::Failure;
use crate::mail::{Outgoing, OutgoingKey, StoredGroup};
use crate::session::groups::{GroupLetter, hears_wishes};
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
        // Rosters come first: whoever gets a message in a group should know the group as it is.
        let about_group = self.groups.next_letter(&self.account, is_ready);
        let job = if let Some((id, letter, to)) = about_group {
            Job::new(self.new_envelope_id(), to, Letter::Group(id, letter))
        } else if let Some(message) = outbox.next(is_ready) {
            let (id, to) = (envelope_id(message), outbox.recipients_of(message, is_ready));
            Job::new(id, to, Letter::Message(message.id))
        } else if let Some((to, ids)) = posting.next_receipt(now_ms, MAX_RECEIPT_IDS) {
            Job::new(self.new_envelope_id(), vec![to], Letter::Receipt(ids))
        } else if let Some(job) = self.people_job() {
            job
        } else {
            return;
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
        let (Some(job), Some(own)) = (self.mail.posting.job(), self.account.name().cloned()) else {
            return;
        };
        let to: Vec<Username> =
            job.to.iter().filter(|who| self.is_due(job, who)).cloned().collect();
        if to.is_empty() {
            return self.drop_job();
        }
        // The first envelope goes to the own devices too. Knowledge of people is for them alone.
        let has_copies = job.posts == 0
            && matches!(job.what, Letter::Message(_) | Letter::Group(_, GroupLetter::Wish(_)))
            && !to.contains(&own)
            && self.has_other_devices();
        let mut recipients = Vec::new();
        let room = MAX_RECIPIENT_DEVICES - if has_copies { MAX_DEVICES } else { 0 };
        let mut served = 0;
        for who in &to {
            match self.mail.posting.recipients(who, now_ms) {
                None => return self.ask_keys(who.clone()),
                Some([]) => return self.recipient_refused(who, refused(FailureCode::NoDevice)),
                // The others get an envelope of their own.
                Some(devices) if recipients.len() + devices.len() > room => break,
                Some(devices) => recipients.extend_from_slice(devices),
            }
            served += 1;
        }
        if has_copies {
            match self.mail.posting.recipients(&own, now_ms) {
                Some(others) => recipients.extend_from_slice(others),
                None => return self.ask_keys(own),
            }
        }
        if let Some(job) = self.mail.posting.job_mut() {
            job.to = to.into_iter().take(served).collect();
        }
        self.seal(recipients);
    }

    /// Returns true if a recipient of the job still has to get it: a member of a group may have been removed meanwhile.
    fn is_due(&self, job: &Job, who: &Username) -> bool {
        match &job.what {
            Letter::Message(id) => {
                self.mail.outbox.get(&OutgoingKey { id: *id, to: who.clone() }).is_some()
            }
            Letter::Group(..) if self.account.name() == Some(who) && !self.has_other_devices() => {
                false
            }
            // The user may wish something else by now, and the group may have another owner.
            Letter::Group(id, GroupLetter::Wish(wish @ (Wish::Join | Wish::Leave))) => {
                self.groups.get(id).is_some_and(|group| {
                    group.wish == Some(*wish) && hears_wishes(group, &self.account) == who
                })
            }
            // This device may ask the account's others about a group that it does not know.
            Letter::Group(id, _) => {
                let is_member = |group: &StoredGroup| group.roster.roster().member(who).is_some();
                self.account.name() == Some(who) || self.groups.get(id).is_some_and(is_member)
            }
            Letter::Receipt(_) | Letter::People(_) => true,
        }
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
        let author = (account, self.account.own_reference());
        let wall_ms = self.cx.wall_ms();
        let body = match &job.what {
            Letter::Receipt(ids) => {
                job.to.first().map(|to| receipt_body(author, to, ids.clone(), wall_ms))
            }
            Letter::People(names) if names.is_empty() => None,
            Letter::People(names) => Some(people_body(author, self.people(names), wall_ms)),
            Letter::Message(_) => {
                let message = job.keys().find_map(|key| self.mail.outbox.get(&key));
                message
                    .and_then(|message| message_body(account, &self.account, &self.groups, message))
            }
            Letter::Group(id, letter) => {
                let roster = self.groups.get(id).map(|group| &group.roster);
                let content = match letter {
                    GroupLetter::Roster(_) => {
                        roster.map(|roster| Content::Roster(roster.to_bytes()))
                    }
                    GroupLetter::Wish(wish) => {
                        let number = roster.map_or(0, |roster| roster.reference().number);
                        Some(Content::Wish(*id, *wish, number))
                    }
                };
                content.map(|content| letter_body(author, job.to.clone(), content, wall_ms))
            }
        };
        match body {
            Some(body) => self.cx.push(Effect::Seal { body: Box::new(body), recipients }),
            None => self.drop_job(),
        }
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
            None => self.seal_one(),
        }
    }

    /// Goes on with the first recipient alone, since one of them has a key that nothing can be sealed to.
    fn seal_one(&mut self) {
        let Some(job) = self.mail.posting.job_mut() else {
            return;
        };
        if job.to.len() > 1 {
            job.to.truncate(1);
            return self.go_on_with_job();
        }
        if let Some(who) = job.to.first().cloned() {
            self.recipient_refused(&who, Failure::KeysInvalid(who.clone()));
        }
    }

    /// Handles the server's answer to KEYS.
    pub(in crate::session) fn keys_answered(&mut self, reply: &ServerReply) {
        let Some(job) = self.mail.posting.job() else {
            return;
        };
        let Some(who) = job.asked.last().cloned() else {
            return;
        };
        let is_recipient = job.to.contains(&who);
        let why = Failure::refused(reply.code, reply.last_line());
        if !reply.code.is_success() && why.is_busy() {
            return self.server_is_busy(&why);
        }
        match AccountKeys::from_reply(reply).filter(|_| reply.code.is_success()) {
            Some(shown) => self.keys_shown(who, shown),
            // Without the own keys the other devices get no copy.
            None if !is_recipient => self.keys_shown(who, AccountKeys::default()),
            None if reply.code.is_success() => self.recipient_refused(&who, Failure::NotUnderstood),
            None => self.recipient_refused(&who, why),
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
        let pins = self.mail.posting.job().is_none_or(|job| {
            let message = job.keys().find_map(|key| self.mail.outbox.get(&key));
            message.is_some_and(|message| message.conversation.person().is_some())
        });
        match self.choose_devices(who, shown, pins) {
            Ok(recipients) => {
                self.mail.posting.learn(who, recipients, true, now_ms);
                self.release_held(who);
                self.go_on_with_job();
            }
            Err(why) => self.recipient_refused(who, why),
        }
    }

    /// Handles the server's answer to POST.
    pub(in crate::session) fn posted(&mut self, reply: &ServerReply) {
        if !reply.code.is_success() {
            let why = Failure::refused(reply.code, reply.last_line());
            return self.job_refused(&why);
        }
        let Some(mut job) = self.mail.posting.end() else {
            return;
        };
        job.posts += 1;
        let is_last = job.posts >= MAX_POSTS;
        let items = reply.lines.split_last().map_or(&[][..], |(_, items)| items);
        let items: Vec<Posted> = items.iter().filter_map(|line| Posted::parse(line)).collect();
        let until_ms = reply.field(0);
        let mut missed = Vec::new();
        let mut changes = Vec::new();
        for who in std::mem::take(&mut job.to) {
            let of_one = items.iter().filter(|item| item.recipient == who);
            let (missing, outcomes): (Vec<&Posted>, Vec<&Posted>) =
                of_one.partition(|item| item.outcome == Outcome::Missing);
            let is_missed = !missing.is_empty();
            if is_missed || outcomes.iter().any(|item| item.outcome == Outcome::NoDevice) {
                // The person's devices are others now.
                self.mail.posting.forget_keys(&who);
            }
            if is_missed && !is_last {
                missed.push(who);
                continue;
            }
            let best = outcomes.iter().map(|item| item.outcome).min();
            changes.extend(self.recipient_posted(&job.what, &who, best.zip(until_ms)));
        }
        if !changes.is_empty() {
            self.commit(changes, After::Nothing);
        }
        match missed.is_empty() {
            true => self.post_next(),
            false => self.begin_job(Job { to: missed, ..job }),
        }
    }

    /// Handles a refusal of the job by the server.
    fn job_refused(&mut self, why: &Failure) {
        if why.is_busy() {
            return self.server_is_busy(why);
        }
        let Some(Job { to, what, .. }) = self.mail.posting.end() else {
            return;
        };
        for who in to {
            self.refuse_recipient(&what, &who, why);
        }
        self.post_next();
    }

    /// Goes on without a recipient who can't be written to.
    fn recipient_refused(&mut self, who: &Username, why: Failure) {
        let Some(mut job) = self.mail.posting.end() else {
            return;
        };
        job.to.retain(|other| other != who);
        let what = job.what.clone();
        let is_left = !job.to.is_empty();
        if is_left {
            self.mail.posting.begin(job);
        }
        self.refuse_recipient(&what, who, &why);
        match is_left {
            true => self.go_on_with_job(),
            false => self.post_next(),
        }
    }

    fn server_is_busy(&mut self, why: &Failure) {
        let jitter = self.cx.jitter();
        self.mail.posting.wait(self.cx.now_ms(), jitter);
        for who in self.mail.posting.end().map(|job| job.to).unwrap_or_default() {
            if self.account.is_blocked(&who) {
                self.stop_writing_to(&who);
            }
        }
        if why.code() == FailureCode::StoreUnavailable {
            for message in self.mail.outbox.awaited() {
                self.answer_waiting(&message, Some(why));
            }
        }
    }

    /// Ends a job that has become pointless. What it was about is not begun again.
    fn drop_job(&mut self) {
        let Some(job) = self.mail.posting.end() else {
            return;
        };
        let keys: Vec<OutgoingKey> = job.keys().collect();
        for key in &keys {
            self.fail_message(key, &refused(FailureCode::NoSuchGroup));
        }
        match &job.what {
            // A wish that is out of date is another one by now.
            Letter::Group(id, letter @ GroupLetter::Wish(Wish::Join | Wish::Leave)) => {
                self.group_told(id, *letter, &job.to);
            }
            Letter::Group(id, _) => self.groups.forget_letters(id, &job.to),
            Letter::Message(_) | Letter::Receipt(_) | Letter::People(_) => {}
        }
        self.post_next();
    }
}

pub(super) fn refused(code: FailureCode) -> Failure {
    Failure::refused(code, "")
}

pub(super) fn reply(message: &Outgoing, state: MessageState, via: Via) -> Reply {
    let to = message.conversation.to_string();
    let file = super::sent_file(message);
    Reply::Sent { to, number: None, message_id: message.id, state, via, code: None, file }
}
