//! The way of own envelopes to the server: one at a time, so that messages to one person keep their order.
//!
//! ```text
//! job ── KEYS, unless known ──▶ sealed by the engine ──▶ POST ──▶ outcome
//! ```

use std::collections::BTreeMap;

use letschat_protocol::dialogue::DeviceKeys;
use letschat_protocol::envelope::{EnvelopeId, Recipient};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::Suite;
use letschat_protocol::username::Username;

use crate::codes::FailureCode;
use crate::event::KeyState;
use crate::failure::Failure;
use crate::mail::{OutgoingKey, OwedReceipt};
use crate::session::Session;
use crate::session::backoff::{Backoff, SOON};

/// The time for which an account's keys are used without asking again.
const KEYS_MS: u64 = 60 * 60 * 1_000;
/// The wait before another attempt to reach a person who can't be written to now. It doubles with each failure.
const PAUSE_MS: u64 = 60_000;
const MAX_PAUSE_MS: u64 = 60 * 60 * 1_000;
/// The interval of receipts to one author.
const RECEIPT_INTERVAL_MS: u64 = 1_000;
/// The most messages that wait for their confirmation to one author: as many as that author may have unconfirmed.
const MAX_OWED: usize = 10_000;

/// The job under way, and the reasons for which others wait.
#[derive(Debug, Default)]
pub(super) struct Posting {
    job: Option<Job>,
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
    pub(super) to: Username,
    pub(super) what: Letter,
}

/// The content of an envelope that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Letter {
    /// A message of the outbox.
    Message(OutgoingKey),
    /// A confirmation of these messages.
    Receipt(Vec<MessageId>),
}

impl Job {
    /// Returns the message of the outbox, if it is one.
    pub(super) fn message(&self) -> Option<&OutgoingKey> {
        match &self.what {
            Letter::Message(key) => Some(key),
            Letter::Receipt(_) => None,
        }
    }
}

#[derive(Debug)]
struct Known {
    recipient: Recipient,
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

    /// Returns the device to seal for, if it is known.
    pub(super) fn recipient(&self, who: &Username, now_ms: u64) -> Option<Recipient> {
        let known = self.keys.get(who).filter(|known| known.until_ms > now_ms)?;
        Some(known.recipient.clone())
    }

    pub(super) fn learn(&mut self, recipient: Recipient, now_ms: u64) {
        let until_ms = now_ms + KEYS_MS;
        self.keys.insert(recipient.username.clone(), Known { recipient, until_ms });
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
    /// Chooses the device of a person that an envelope is sealed for, from the server's answer. That is the device
    /// with the known key or, of a person who was never heard of, the one used last, whose key is pinned.
    pub(super) fn choose_device(
        &mut self,
        who: &Username,
        listed: &[DeviceKeys],
    ) -> Result<Recipient, Failure> {
        let no_device = || {
            let said = String::new();
            Failure::Refused { code: FailureCode::NoDevice, said, choices: Vec::new() }
        };
        let known = self.account.known_key(who);
        let newest = listed.first().ok_or_else(no_device)?;
        let chosen = match known {
            None => newest,
            Some(key) => match listed.iter().find(|keys| keys.device == key) {
                Some(keys) => keys,
                None => {
                    let (known, new) = (Some(key), newest.device);
                    self.account.note_unshown_offer(who, new);
                    let who = who.clone();
                    return Err(Failure::KeyChanged { who, known, new, trusting: false });
                }
            },
        };
        let server = self.server.fingerprint().ok_or(Failure::NotLoggedIn)?;
        let prekey = &chosen.prekey;
        if !prekey.is_signed_by(&chosen.device, &server, who) {
            return Err(Failure::KeysInvalid(who.clone()));
        }
        if !prekey.is_valid_at(self.cx.wall_ms()) || !prekey.suites.contains(&Suite::X25519) {
            return Err(no_device());
        }
        if self.account.key_state(who, &chosen.device) == KeyState::New {
            self.account.pin(&mut self.cx, who, chosen.device);
        }
        Ok(Recipient { username: who.clone(), device: chosen.device, prekey: prekey.key })
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
