//! The way of own envelopes to the server: one at a time, so that messages to one person keep their order.
//!
//! ```text
//! job ── KEYS of the recipient and of the own account, unless known ──▶ sealed by the engine ──▶ POST ──▶ outcome
//!            └── another device list? DEVICES
//! ```

use std::collections::BTreeMap;

use letschat_protocol::dialogue::{AccountKeys, DeviceKeys};
use letschat_protocol::envelope::{EnvelopeId, Recipient};
use letschat_protocol::groups::GroupId;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::Suite;
use letschat_protocol::username::Username;

use crate::codes::FailureCode;
use crate::conversation::Via;
use crate::failure::Failure;
use crate::mail::{OutgoingKey, OwedReceipt};
use crate::session::Session;
use crate::session::backoff::{Backoff, SOON};
use crate::session::groups::GroupLetter;

/// The time for which an account's keys are used without asking again.
const KEYS_MS: u64 = 60 * 60 * 1_000;
/// The wait before another attempt to reach a person who can't be written to now. It doubles with each failure.
const PAUSE_MS: u64 = 1_000;
const MAX_PAUSE_MS: u64 = 60 * 60 * 1_000;
/// The interval of receipts to one author.
const RECEIPT_INTERVAL_MS: u64 = 1_000;
/// The most messages that wait for their confirmation to one author: as many as that author may have unconfirmed.
const MAX_OWED: usize = 10_000;

/// The job under way, and the reasons for which others wait.
#[derive(Debug, Default)]
pub(super) struct Posting {
    job: Option<Job>,
    /// The messages that were posted, but perhaps not to all devices yet, each with the route of a confirmation. They
    /// stay in the outbox although a device has displayed them.
    unfinished: BTreeMap<OutgoingKey, Option<Via>>,
    keys: BTreeMap<Username, Known>,
    paused: BTreeMap<Username, Pause>,
    /// The time of the next attempt after the server was busy.
    retry_ms: Option<u64>,
    backoff: Backoff,
    /// The displayed messages that have to be confirmed to their authors, and the time of the next receipt.
    owed: BTreeMap<Username, Owed>,
    /// True if receipts go without delay, since the session quits.
    is_hurried: bool,
}

/// An envelope that is on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) id: EnvelopeId,
    /// The recipients that are left: one, or members of a group.
    pub(super) to: Vec<Username>,
    pub(super) what: Letter,
    /// The keys that the server has shown and that wait for the newest device list of their account.
    pub(super) shown: Option<(Username, AccountKeys)>,
    /// The accounts whose keys have been asked for: the server need not be asked twice.
    pub(super) asked: Vec<Username>,
    /// The number of times that the envelope was posted.
    pub(super) posts: u8,
}

/// The content of an envelope that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Letter {
    /// A message of the outbox.
    Message(MessageId),
    /// A confirmation of these messages.
    Receipt(Vec<MessageId>),
    /// Knowledge of these people, for the account's other devices.
    People(Vec<Username>),
    /// A group's roster, or a wish.
    Group(GroupId, GroupLetter),
}

impl Job {
    pub(super) fn new(id: EnvelopeId, to: Vec<Username>, what: Letter) -> Job {
        Job { id, to, what, shown: None, asked: Vec::new(), posts: 0 }
    }

    /// Returns the message of the outbox, if it is one.
    pub(super) fn message(&self) -> Option<MessageId> {
        match &self.what {
            Letter::Message(id) => Some(*id),
            Letter::Receipt(_) | Letter::People(_) | Letter::Group(..) => None,
        }
    }

    /// Returns the entries of the outbox that the job is about.
    pub(super) fn keys(&self) -> impl Iterator<Item = OutgoingKey> {
        let key = |to: &Username| self.message().map(|id| OutgoingKey { id, to: to.clone() });
        self.to.iter().filter_map(key)
    }
}

#[derive(Debug)]
struct Known {
    recipients: Vec<Recipient>,
    until_ms: u64,
}

/// The reason for which nobody writes to a person for a while.
#[derive(Debug, Clone)]
struct Pause {
    until_ms: u64,
    wait_ms: u64,
    why: Failure,
}

#[derive(Debug, Default)]
struct Owed {
    ids: Vec<MessageId>,
    due_ms: u64,
}

impl Posting {
    pub(super) fn new(owed: Vec<OwedReceipt>) -> Posting {
        let mut posting = Posting::default();
        for one in owed {
            posting.owe(one);
        }
        posting
    }

    /// Lets receipts go without delay.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Adds a message to the next receipt to its author. Returns false if too many wait already, as those to an author
    /// whose mailbox stays full: the author then learns nothing of this message.
    pub(super) fn owe(&mut self, owed: OwedReceipt) -> bool {
        let ids = &mut self.owed.entry(owed.to).or_default().ids;
        let has_room = ids.len() < MAX_OWED;
        if has_room {
            ids.push(owed.id);
        }
        has_room
    }

    /// Notes the end of the link. The job is begun again on the next one.
    pub(super) fn link_ended(&mut self) {
        self.job = None;
        self.retry_ms = None;
        self.paused.clear();
        self.keys.clear();
    }

    /// Leaves these people out of the letter under way, if it is about people: there is newer knowledge of them.
    pub(super) fn forget_people(&mut self, names: &[Username]) {
        if let Some(Job { what: Letter::People(told), .. }) = &mut self.job {
            told.retain(|name| !names.contains(name));
        }
    }

    pub(super) fn job(&self) -> Option<&Job> {
        self.job.as_ref()
    }

    pub(super) fn begin(&mut self, job: Job) {
        self.job = Some(job);
    }

    /// Ends the job. Returns it.
    pub(super) fn end(&mut self) -> Option<Job> {
        self.job.take()
    }

    /// Notes that the job's envelope is on its way to the server.
    pub(super) fn sent(&mut self) {
        for key in self.job.iter().flat_map(Job::keys) {
            self.unfinished.entry(key).or_default();
        }
    }

    /// Notes that a device has displayed a message. Returns false if the message is not being posted.
    pub(super) fn confirm_unfinished(&mut self, key: &OutgoingKey, via: Via) -> bool {
        self.unfinished.get_mut(key).map(|confirmed| *confirmed = Some(via)).is_some()
    }

    /// Notes that a message was posted to all devices, or is given up. Returns the route of a confirmation.
    pub(super) fn finished(&mut self, key: &OutgoingKey) -> Option<Via> {
        self.unfinished.remove(key).flatten()
    }

    /// Returns true if a job may begin.
    pub(super) fn is_free(&self, now_ms: u64) -> bool {
        self.job.is_none() && self.retry_ms.is_none_or(|retry| retry <= now_ms)
    }

    /// Notes that the server took an envelope.
    pub(super) fn succeeded(&mut self, to: &Username) {
        self.backoff = Backoff::default();
        self.retry_ms = None;
        self.paused.remove(to);
    }

    /// Waits before anything else is posted, since the server is busy.
    pub(super) fn wait(&mut self, now_ms: u64, jitter: f64) {
        self.retry_ms = self.backoff.fail(now_ms, &SOON, jitter).map(|wait| now_ms + wait);
    }

    /// Returns the reason for which a person can't be written to now.
    pub(super) fn why_paused(&self, who: &Username, now_ms: u64) -> Option<&Failure> {
        let pause = self.paused.get(who).filter(|pause| pause.until_ms > now_ms)?;
        Some(&pause.why)
    }

    /// Waits before this person is written to again. Returns true if the last attempt failed for the same reason.
    pub(super) fn pause(&mut self, who: &Username, now_ms: u64, why: Failure) -> bool {
        self.keys.remove(who);
        let earlier = self.paused.get(who);
        let is_told = earlier.is_some_and(|pause| pause.why.code() == why.code());
        let earlier_ms = earlier.map_or(PAUSE_MS / 2, |pause| pause.wait_ms);
        let wait_ms = (earlier_ms * 2).min(MAX_PAUSE_MS);
        self.paused.insert(who.clone(), Pause { until_ms: now_ms + wait_ms, wait_ms, why });
        is_told
    }

    /// Writes to this person again without further wait.
    pub(super) fn resume(&mut self, who: &Username) {
        self.paused.remove(who);
    }

    /// Returns the devices to seal for, if they are known.
    pub(super) fn recipients(&self, who: &Username, now_ms: u64) -> Option<&[Recipient]> {
        let known = self.keys.get(who).filter(|known| known.until_ms > now_ms)?;
        Some(&known.recipients)
    }

    /// Notes the devices to seal for. If some are missing, they are asked for again with the next envelope.
    pub(super) fn learn(
        &mut self,
        who: &Username,
        recipients: Vec<Recipient>,
        is_whole: bool,
        now_ms: u64,
    ) {
        let until_ms = now_ms + if is_whole { KEYS_MS } else { 1 };
        self.keys.insert(who.clone(), Known { recipients, until_ms });
    }

    /// Forgets the devices of an account, since others may have taken their place.
    pub(super) fn forget_keys(&mut self, who: &Username) {
        self.keys.remove(who);
    }

    pub(super) fn job_mut(&mut self) -> Option<&mut Job> {
        self.job.as_mut()
    }

    /// Returns the author whose receipt is due, with the messages that it confirms.
    pub(super) fn next_receipt(
        &self,
        now_ms: u64,
        limit: usize,
    ) -> Option<(Username, Vec<MessageId>)> {
        let is_due = |(who, owed): &(&Username, &Owed)| {
            let is_time = !owed.ids.is_empty() && (self.is_hurried || owed.due_ms <= now_ms);
            is_time && self.why_paused(who, now_ms).is_none()
        };
        let (who, owed) = self.owed.iter().find(is_due)?;
        Some((who.clone(), owed.ids.iter().take(limit).copied().collect()))
    }

    /// Removes messages that were confirmed, or can't be. The next receipt to the author comes later.
    pub(super) fn confirmed(&mut self, who: &Username, ids: &[MessageId], now_ms: u64) {
        if let Some(owed) = self.owed.get_mut(who) {
            owed.ids.retain(|id| !ids.contains(id));
            owed.due_ms = now_ms + RECEIPT_INTERVAL_MS;
        }
        self.owed.retain(|_, owed| !owed.ids.is_empty() || owed.due_ms > now_ms);
    }

    /// Returns the time at which a waiting job may begin. `waiting` has the recipients of waiting messages.
    pub(super) fn next_deadline<'a>(
        &self,
        mut waiting: impl Iterator<Item = &'a Username>,
    ) -> Option<u64> {
        if self.job.is_some() {
            return None;
        }
        let mut due_ms: Option<u64> = None;
        let mut consider = |at: u64| due_ms = Some(due_ms.map_or(at, |due| due.min(at)));
        let pause = |who: &Username| self.paused.get(who).map_or(0, |pause| pause.until_ms);
        for (who, owed) in self.owed.iter().filter(|(_, owed)| !owed.ids.is_empty()) {
            consider(owed.due_ms.max(pause(who)));
        }
        // A message that is not paused is posted at once.
        waiting.by_ref().for_each(|who| consider(pause(who)));
        let due_ms = due_ms?;
        Some(self.retry_ms.map_or(due_ms, |retry| retry.max(due_ms)))
    }
}

impl Session {
    /// Chooses the devices of a person that an envelope is sealed for, from the server's answer. These are the devices
    /// of the held list. Of a person without a list it is the device with the known key or, of one who was never
    /// heard of, the one used last. The first device of a new person is pinned with their list.
    pub(super) fn choose_devices(
        &mut self,
        who: &Username,
        shown: &AccountKeys,
        pins: bool,
    ) -> Result<Vec<Recipient>, Failure> {
        let no_device = || {
            let said = String::new();
            Failure::Refused { code: FailureCode::NoDevice, said, choices: Vec::new() }
        };
        let newest = shown.devices.first().ok_or_else(no_device)?;
        // Of a member of a group the roster has named the list. Only a message to that person makes them known.
        let held = self.account.list(who);
        let is_vouched = !pins && held.is_some_and(|list| self.groups.vouch_for(who, list));
        let is_new = self.account.known_key(who).is_none() && !is_vouched;
        if is_new && !pins {
            // Only a message to that person makes them known.
            return Err(Failure::KeysInvalid(who.clone()));
        }
        if is_new && shown.list.number == 0 {
            self.check_keys(who, newest)?;
            self.pin(who, newest.device);
        } else if is_new {
            let offered = self.account.offered(who).or(self.account.list(who));
            let is_listed =
                |keys: &&DeviceKeys| offered.is_some_and(|list| list.contains(&keys.device));
            // A server that shows keys without their list is not believed.
            let listed = shown.devices.iter().find(is_listed);
            let listed = listed.ok_or_else(|| Failure::KeysInvalid(who.clone()))?;
            self.check_keys(who, listed)?;
            self.pin(who, listed.device);
        }
        let is_known = |keys: &&DeviceKeys| match is_vouched {
            true => self.account.list(who).is_some_and(|list| list.contains(&keys.device)),
            false => self.account.key_state(who, &keys.device).is_known(),
        };
        let known: Vec<&DeviceKeys> = shown.devices.iter().filter(is_known).collect();
        if known.is_empty()
            && self.account.offered(who).is_none()
            && self.account.list(who).is_some()
        {
            // The listed devices have no prekeys.
            return Err(no_device());
        }
        if known.is_empty() {
            let (known, new) = (self.account.known_key(who), newest.device);
            self.account.note_unshown_offer(who, new);
            return Err(Failure::KeyChanged { who: who.clone(), known, new, trusting: false });
        }
        for keys in &known {
            self.check_keys(who, keys)?;
        }
        Ok(self.usable(who, known))
            .and_then(|usable| if usable.is_empty() { Err(no_device()) } else { Ok(usable) })
    }

    /// Fails if a prekey is not signed by its device.
    fn check_keys(&self, who: &Username, keys: &DeviceKeys) -> Result<(), Failure> {
        let server = self.server.fingerprint().ok_or(Failure::NotLoggedIn)?;
        match keys.prekey.is_signed_by(&keys.device, &server, who) {
            true => Ok(()),
            false => Err(Failure::KeysInvalid(who.clone())),
        }
    }

    /// Returns the devices whose prekeys are valid now.
    fn usable(&self, who: &Username, devices: Vec<&DeviceKeys>) -> Vec<Recipient> {
        let wall_ms = self.cx.wall_ms();
        let is_usable = |keys: &&DeviceKeys| {
            keys.prekey.is_valid_at(wall_ms) && keys.prekey.suites.contains(&Suite::X25519)
        };
        let recipient = |keys: &DeviceKeys| {
            let (username, device, prekey) = (who.clone(), keys.device, keys.prekey.key);
            Recipient { username, device, prekey }
        };
        devices.into_iter().filter(is_usable).map(recipient).collect()
    }

    /// Chooses the other devices of the own account. Those that are not listed, and keys that are not signed, are left
    /// out.
    pub(super) fn choose_own_devices(&self, own: &Username, shown: &AccountKeys) -> Vec<Recipient> {
        let (Some(list), Some(key)) = (self.account.own_list(), self.account.key()) else {
            return Vec::new();
        };
        let is_other = |keys: &&DeviceKeys| keys.device != key && list.contains(&keys.device);
        let others = shown.devices.iter().filter(is_other);
        self.usable(own, others.filter(|keys| self.check_keys(own, keys).is_ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> Username {
        "bob".parse().unwrap()
    }

    #[test]
    fn receipts_to_one_author_come_once_a_second() {
        let ids: Vec<MessageId> = (1..=300).map(|n| MessageId::of_broadcast(1, n)).collect();
        let mut posting = Posting::default();
        for id in &ids {
            assert!(posting.owe(OwedReceipt { to: bob(), id: *id }));
        }
        let (who, first) = posting.next_receipt(1_000, 256).unwrap();
        assert_eq!((who, first.len()), (bob(), 256));
        posting.confirmed(&bob(), &first, 1_000);
        assert_eq!(posting.next_receipt(1_999, 256), None);
        assert_eq!(posting.next_deadline(std::iter::empty()), Some(2_000));
        let (_, second) = posting.next_receipt(2_000, 256).unwrap();
        posting.confirmed(&bob(), &second, 2_000);
        assert_eq!([first, second].concat(), ids);
        assert_eq!(posting.next_receipt(9_000, 256), None, "no receipt is empty");
    }

    #[test]
    fn person_who_is_not_reached_is_tried_rarely() {
        let (mut posting, mut now_ms, mut tries) = (Posting::default(), 0, 0);
        while now_ms < 24 * 60 * 60 * 1_000 {
            assert!(posting.why_paused(&bob(), now_ms).is_none());
            posting.pause(&bob(), now_ms, Failure::OutboxFull);
            now_ms = posting.next_deadline([bob()].iter()).unwrap();
            tries += 1;
        }
        assert!((24..40).contains(&tries), "{tries}");
    }
}
