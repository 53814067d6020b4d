//! Messages outside of chats: to anybody with an account, through the server, also while they are away. While the
//! server is away they go straight to people whose key and address are known.
//!
//! * `outbox` – own messages until their fate is known; `waiting` – those without a route
//! * `posting` – their way to the server, one envelope at a time; `outcomes` – what became of it
//! * `peering` – their way straight to people, while the server is away
//! * `arrivals` – others' messages, from the envelope to the acknowledgement
//! * `acknowledging` – the acknowledgements on their way to the server
//! * `held_talk` – lines to everyone that wait for older ones
//! * `own_copies` – what the account's other devices send
//! * `people` – what the devices tell each other about people
//! * `held` – messages of people whom the user has not approved
//! * `prekeys` – the keys that others seal envelopes to
//! * `enqueuing`, `sending`, `receiving` – the session's part of both directions; `shown`, `states` – what the user is told
//! * `bodies` – what is signed; `commits` – steps that wait for the disk

mod acknowledging;
mod arrivals;
mod bodies;
mod commits;
mod enqueuing;
mod held;
mod held_talk;
mod outbox;
mod outcomes;
mod own_copies;
mod peering;
mod people;
mod posting;
mod prekeys;
mod receiving;
mod sending;
mod shown;
mod states;
mod waiting;

use std::collections::BTreeSet;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Request as ServerRequest;
use letschat_protocol::groups::GroupName;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::prekey::{PREKEY_VALID_MS, SignedPrekey};
use letschat_protocol::username::Username;

use self::acknowledging::Acknowledging;
pub(in crate::session) use self::arrivals::ChatProgress;
use self::arrivals::{Arrivals, Delivery};
use self::commits::{After, Commits};
pub(in crate::session) use self::enqueuing::Said;
use self::held::HeldMessages;
use self::held_talk::HeldTalk;
use self::outbox::Outbox;
use self::peering::Peering;
use self::posting::Posting;
use self::prekeys::{Prekeys, Step};
pub(in crate::session) use self::receiving::Incoming;
use super::groups::Groups;
use super::server::Expected;
use super::{Effect, SentFile, Session};
use crate::conversation::{ConversationId, MessageState, Via};
use crate::failure::Failure;
use crate::mail::{MailChange, Outgoing, OutgoingKey, StoredMail, StoredPrekey};
use crate::notice::Notice;

/// The messages in envelopes of the open account.
#[derive(Debug, Default)]
pub(super) struct Mail {
    outbox: Outbox,
    posting: Posting,
    peering: Peering,
    held_talk: HeldTalk,
    arrivals: Arrivals,
    acknowledging: Acknowledging,
    held: HeldMessages,
    prekeys: Prekeys,
    commits: Commits,
    /// The people about whom the other devices have to be told.
    people: BTreeSet<Username>,
    /// The envelopes with messages that front ends are displaying for their chats. They are handled after that.
    in_chats: Vec<Incoming>,
    /// The time of the last notice about mail.
    noticed_ms: Option<u64>,
}

impl Mail {
    /// Returns the people who have a held message.
    pub(super) fn asking(&self) -> impl Iterator<Item = &Username> {
        self.held.people().iter()
    }

    /// Returns the device whose messages of this person are held.
    pub(super) fn held_device(&self, who: &Username) -> Option<PublicKey> {
        self.held.device(who)
    }

    /// Notes that this device is listed from now on.
    pub(super) fn note_listed(&mut self) {
        self.arrivals.note_listed();
    }

    /// Returns true if a change of a failed record still holds. Updates that of a stream.
    fn is_still_true(&self, change: &mut MailChange) -> bool {
        match change {
            MailChange::Received(row) => {
                if let Some(current) = self.arrivals.received(&row.stream) {
                    *row = current;
                }
                true
            }
            MailChange::Held(held) => self.held.get(&held.stream, held.number).is_some(),
            _ => true,
        }
    }

    /// Returns true if nothing is on its way to the disk.
    pub(super) fn is_recorded(&self) -> bool {
        self.commits.is_empty() && self.arrivals.record_due_ms().is_none()
    }

    /// Returns true while front ends display a message, or while its record waits.
    pub(super) fn is_displaying(&self) -> bool {
        !self.arrivals.is_idle() || self.arrivals.has_undisplayed_chats()
    }

    /// Lets receipts go without their usual delay.
    pub(super) fn hurry(&mut self) {
        self.posting.hurry();
    }

    /// Returns the next deadline. Nothing is posted while the user is not logged in.
    pub(super) fn next_deadline<'a>(
        &'a self,
        is_logged_in: bool,
        owed: impl Iterator<Item = &'a Username>,
    ) -> Option<u64> {
        let posting = is_logged_in.then(|| {
            // The acknowledgement or the end of a link lets the others go on.
            let waiting = self.outbox.ready().chain(owed);
            self.posting.next_deadline(waiting.filter(|who| !self.peering.is_busy(who)))
        });
        let acknowledging = self.acknowledging.next_deadline();
        [
            posting.flatten(),
            self.peering.next_deadline(),
            self.held_talk.next_deadline(),
            self.commits.retry_ms(),
            acknowledging,
            self.arrivals.record_due_ms(),
            self.prekeys.check_due_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Session {
    /// Takes over the stored messages of an account that opens.
    pub(super) fn open_mail(&mut self, stored: StoredMail) {
        // The account has taken the device lists.
        let StoredMail {
            sequences,
            outbox,
            received,
            held,
            receipts,
            prekeys,
            people,
            groups,
            files,
            ..
        } = stored;
        self.groups = Groups::new(groups);
        self.files.open(files);
        self.mail = Mail {
            outbox: Outbox::new(sequences, outbox),
            posting: Posting::new(receipts),
            arrivals: Arrivals::new(received),
            held: HeldMessages::new(held),
            prekeys: Prekeys::new(prekeys),
            people,
            ..Mail::default()
        };
        for who in self.mail.asking().cloned().collect::<Vec<_>>() {
            // The last run may have ended between the approval and the record.
            self.release_held(&who);
        }
        self.tell_held_requests();
        self.tell_invitations();
        self.expire_messages();
    }

    /// Forgets the messages of an account that closes. They stay on disk.
    pub(super) fn close_mail(&mut self) {
        for (request, message) in self.mail.outbox.close() {
            let reply = message.map(|message| reply_waiting(&message, None));
            self.cx.reply(request, reply.ok_or(Failure::NotLoggedIn));
        }
        self.drop_talk();
        for link in self.cx.links.for_deliveries() {
            self.cx.close(link);
        }
        self.mail = Mail::default();
        self.groups = Groups::default();
        self.close_files();
    }

    /// Handles the result of a commit. The text says why it failed, which the engine has told.
    pub(super) fn committed(&mut self, commit: u64, result: Result<(), String>) {
        let Some(after) = self.mail.commits.end(commit) else {
            return;
        };
        match (after, result) {
            (After::Queued(id), result) => self.queued(id, result),
            (After::HandedOver(id), Ok(())) => self.mail.outbox.durable(&id),
            (After::HandedOver(id), Err(why)) => {
                for message in self.take_back(&id) {
                    self.tell_failed(&message, &Failure::Folder(why.clone()));
                }
            }
            (After::Acknowledge(deliveries, _), Ok(())) => self.acknowledge(deliveries),
            (After::Acknowledge(deliveries, changes), Err(_)) => {
                // The server sends little more until they are acknowledged.
                self.mail.commits.keep_failed(changes, deliveries, self.cx.now_ms());
            }
            (After::Nothing, _) => {}
        }
        self.post_next();
    }

    /// Records changes, then takes the next step.
    fn commit(&mut self, changes: Vec<MailChange>, after: After) {
        self.mail.commits.begin(&mut self.cx, changes, after);
    }

    /// Records changes.
    pub(super) fn record(&mut self, changes: Vec<MailChange>) {
        self.commit(changes, After::Nothing);
    }

    /// Forgets the own messages in a group to people who are not members any more. Returns their keys.
    pub(super) fn keys_in_group(
        &mut self,
        label: &GroupName,
        is_gone: impl Fn(&Username) -> bool,
    ) -> Vec<OutgoingKey> {
        let keys = self.mail.outbox.keys_in(&ConversationId::Group(label.clone()), is_gone);
        for key in &keys {
            self.mail.posting.finished(key);
            self.mail.outbox.settle(key);
            if let Some(request) = self.mail.outbox.take_request(&key.id) {
                self.cx.fail(request, Failure::NobodyJoined(label.clone()));
            }
        }
        keys
    }

    /// Records a change of the held device lists, if there is one.
    pub(super) fn record_list(&mut self, change: Option<MailChange>) {
        if let Some(change) = change {
            self.commit(vec![change], After::Nothing);
        }
    }

    /// Records changes, then acknowledges deliveries.
    fn commit_and_acknowledge(&mut self, changes: Vec<MailChange>, deliveries: Vec<Delivery>) {
        match changes.is_empty() {
            true => self.acknowledge(deliveries),
            false => self.commit(changes.clone(), After::Acknowledge(deliveries, changes)),
        }
    }

    /// Tries records again that failed. What they record of a stream may have grown meanwhile.
    fn retry_records(&mut self) {
        for (mut changes, deliveries) in self.mail.commits.take_failed(self.cx.now_ms()) {
            changes.retain_mut(|change| self.mail.is_still_true(change));
            self.commit_and_acknowledge(changes, deliveries);
        }
    }

    /// Begins to receive and to send mail after a login.
    pub(super) fn mail_logged_in(&mut self, epoch: u64, by_key: bool) {
        self.mail.prekeys.logged_in(epoch, by_key, self.cx.now_ms());
        self.expire_messages();
        self.advance_prekeys();
        self.resume_files(None);
        self.post_next();
    }

    /// Notes the end of the link to the server.
    pub(super) fn mail_link_ended(&mut self) {
        self.devices_link_ended();
        self.mail.prekeys.link_ended();
        self.mail.posting.link_ended();
        // The next login delivers again what was not acknowledged.
        self.mail.acknowledging = Acknowledging::default();
        self.mail.commits.forget_failed();
        self.mail.in_chats.clear();
        for message in self.mail.outbox.awaited() {
            // A message that goes by another route is answered when that succeeds or fails.
            if !self.is_reachable(&message.to) {
                self.answer_waiting(&message, None);
            }
        }
    }

    pub(super) fn tick_mail(&mut self) {
        let now_ms = self.cx.now_ms();
        if self.mail.arrivals.record_due_ms().is_some_and(|due| due <= now_ms) {
            self.record_displayed();
        }
        if self.mail.prekeys.check_due_ms().is_some_and(|due| due <= now_ms) {
            let (wall_ms, is_idle) = (self.cx.wall_ms(), self.mail.arrivals.is_idle());
            let gone = self.mail.prekeys.check(now_ms, wall_ms, is_idle);
            if !gone.is_empty() {
                self.commit(gone.into_iter().map(MailChange::Forgotten).collect(), After::Nothing);
            }
            self.expire_messages();
            self.advance_prekeys();
        }
        self.retry_records();
        self.acknowledge_next();
        self.tick_peering();
        self.post_next();
    }

    /// Makes or publishes a prekey if that is due.
    fn advance_prekeys(&mut self) {
        let wall_ms = self.cx.wall_ms();
        match self.mail.prekeys.begin(wall_ms) {
            None => {}
            Some(Step::Make) => {
                let (created_ms, until_ms) = (wall_ms, wall_ms + PREKEY_VALID_MS);
                self.cx.push(Effect::MakePrekey { created_ms, until_ms });
            }
            Some(Step::Publish(prekey)) => self.publish_prekey(prekey),
        }
    }

    fn publish_prekey(&mut self, prekey: StoredPrekey) {
        let (Some(account), Some(server)) = (self.account.opened(), self.server.fingerprint())
        else {
            return self.mail.prekeys.failed();
        };
        let StoredPrekey { key, until_ms, .. } = prekey;
        // The server refuses one that is valid for longer, as one that was made by a clock that was ahead.
        let until_ms = until_ms.min(self.cx.wall_ms() + PREKEY_VALID_MS);
        let signed =
            SignedPrekey::sign(&account.identity, &server, &account.username, key, until_ms);
        self.server.ask(&mut self.cx, ServerRequest::Prekey(signed), Expected::Prekey);
    }

    /// Handles a prekey that the engine has made, or none if it could not be stored.
    pub(super) fn prekey_made(&mut self, made: Option<StoredPrekey>) {
        match made {
            Some(prekey) => {
                self.mail.prekeys.made(prekey);
                self.advance_prekeys();
            }
            None => self.mail.prekeys.failed(),
        }
    }

    /// Handles the server's answer to a prekey. A server of version 0.1 does not know the request.
    pub(super) fn prekey_answered(&mut self, code: Code) {
        if !code.is_success() {
            if code == Code::BadArguments {
                // It takes one that is valid from now on, for 60 days at most.
                self.cx.notify(Notice::PrekeyRefused);
            }
            return self.mail.prekeys.failed();
        }
        if let Some((key, at_ms, epoch)) = self.mail.prekeys.published(self.cx.wall_ms()) {
            self.commit(vec![MailChange::Published { key, at_ms, epoch }], After::Nothing);
        }
    }
}

/// Returns the file of a message that offers one.
fn sent_file(message: &Outgoing) -> Option<SentFile> {
    message.file.map(|file| SentFile { name: message.text.clone(), size: file.size() })
}

/// Returns the reply for a message that waits in the outbox.
fn reply_waiting(message: &Outgoing, why: Option<&Failure>) -> super::Reply {
    super::Reply::Sent {
        to: message.conversation.to_string(),
        number: None,
        message_id: message.id,
        state: MessageState::Waiting,
        via: Via::Outbox,
        code: why.map(Failure::code),
        file: sent_file(message),
    }
}
