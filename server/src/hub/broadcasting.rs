//! A broadcast from the request to its delivery.
//!
//! ```text
//! BROADCAST ── judged ──▶ waiting ── Effect::Store(Append) ──▶ committing
//!                                                                  │ StoreAnswer::Appended
//!                     deliver to everybody ◀── log ◀── numbered ◀──┘
//! ```
//!
//! The database numbers broadcasts when it commits them. Only then are they delivered, and after
//! that their senders are answered. At most one commit is under way; broadcasts that arrive
//! meanwhile form the next batch. If the server is told to stop, they are neither committed nor
//! answered.

use std::collections::VecDeque;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Broadcast, Reply};
use letschat_protocol::limits::MAX_BROADCAST_BYTES;
use letschat_protocol::printable::{has_control, is_blank};
use letschat_protocol::username::Username;

use super::rate::Bucket;
use super::{ConnectionId, Effect, Hub, Record, Settings};
use crate::store::cluster::ClusterRequest;
use crate::store::{NewBroadcast, StoreRequest, StoredEntry, Unavailable};
use letschat_protocol::clock::Now;

/// The most broadcasts in one commit.
const MAX_BATCH: usize = 256;

/// Broadcasts that are not committed yet.
#[derive(Debug, Default)]
pub(super) struct Uncommitted {
    waiting: VecDeque<Waiting>,
    /// The batch being committed, with the connections to answer.
    committing: Vec<(ConnectionId, NewBroadcast)>,
}

impl Uncommitted {
    pub(super) fn is_committing(&self) -> bool {
        !self.committing.is_empty()
    }
}

#[derive(Debug)]
struct Waiting {
    from: ConnectionId,
    sender: Username,
    text: String,
}

impl Hub {
    /// Queues a broadcast. It is answered after its commit.
    pub(super) fn broadcast(&mut self, now: Now, id: ConnectionId, text: String) {
        let refusal = unsendable(&text).or_else(|| self.broadcast_too_soon(now, id));
        if let Some(reply) = refusal {
            return self.answer(now, id, &reply);
        }
        self.asked(id, "BROADCAST");
        let Some(member) = self.member_of(id) else {
            return;
        };
        // A connection has at most one uncommitted broadcast, since its next line is read only
        // after the answer. That bounds the queue.
        let waiting = Waiting { from: id, sender: member.username.clone(), text };
        self.uncommitted.waiting.push_back(waiting);
        self.commit_next(now);
    }

    fn broadcast_too_soon(&mut self, now: Now, id: ConnectionId) -> Option<Reply> {
        let username = self.member_of(id)?.username.clone();
        let Settings { broadcast_burst, broadcast_interval_ms, .. } = self.settings;
        let first = Bucket::new(broadcast_burst, broadcast_interval_ms);
        let wait_ms = self.broadcast_rates.take(username, first, now.boot_ms).err()?;
        let seconds = wait_ms.div_ceil(1_000);
        Some(Reply::new(Code::SlowDown, format!("too many broadcasts; the next in {seconds} s")))
    }

    /// Sends the waiting broadcasts to the store, unless a commit is under way.
    fn commit_next(&mut self, now: Now) {
        if self.uncommitted.is_committing() || self.uncommitted.waiting.is_empty() {
            return;
        }
        if self.cluster.as_ref().is_some_and(|cluster| cluster.is_stale(now)) {
            return self.rung(now);
        }
        let count = self.uncommitted.waiting.len().min(MAX_BATCH);
        for Waiting { from, sender, text } in self.uncommitted.waiting.drain(..count) {
            let broadcast = self.log.date(sender, text, now);
            self.uncommitted.committing.push((from, broadcast));
        }
        let committing = self.uncommitted.committing.iter();
        let broadcasts = committing.map(|(_, broadcast)| broadcast.clone()).collect();
        let after = self.log.head();
        self.effects.push(Effect::Store(match self.cluster {
            None => StoreRequest::Append { after, broadcasts },
            Some(_) => StoreRequest::Cluster(ClusterRequest::Append { after, broadcasts }),
        }));
    }

    /// Handles the result of a commit: the number of its first broadcast, or a failure.
    pub(super) fn appended(&mut self, now: Now, first: Result<u64, Unavailable>) {
        let committed = std::mem::take(&mut self.uncommitted.committing);
        for (place, (from, broadcast)) in (0_u64..).zip(committed) {
            match first {
                Ok(first) => self.committed(now, from, &broadcast.numbered(first + place)),
                Err(Unavailable) => {
                    let reply = self.broadcast_not_kept();
                    self.answer_later(now, from, &reply);
                }
            }
        }
        self.go_on(now);
    }

    /// Handles the result of a commit in a cluster: all entries after those that were published, of which the last
    /// ones are those of the batch.
    pub(super) fn appended_among_others(
        &mut self,
        now: Now,
        entries: Result<Vec<StoredEntry>, Unavailable>,
    ) {
        let Ok(entries) = entries else {
            return self.appended(now, Err(Unavailable));
        };
        let committed = std::mem::take(&mut self.uncommitted.committing);
        let others = entries.len().saturating_sub(committed.len());
        let (others, own) = entries.split_at(others);
        others.iter().for_each(|entry| self.publish_new(now, entry));
        for ((from, _), entry) in committed.iter().zip(own) {
            self.committed(now, *from, entry);
        }
        self.ring();
        self.go_on(now);
    }

    /// Goes on after an answer of the cluster. If it came late, who is logged in elsewhere by now has said it there.
    pub(super) fn broadcasts_go_on(&mut self, now: Now, was_stale: bool) {
        if was_stale {
            let connections = &self.connections;
            self.uncommitted.waiting.retain(|waiting| connections.contains_key(&waiting.from));
        }
        self.commit_next(now);
    }

    /// Refuses what waits for an answer of the cluster, which does not come.
    pub(super) fn broadcasts_wait_in_vain(&mut self, now: Now) {
        if !self.uncommitted.is_committing() {
            for Waiting { from, .. } in std::mem::take(&mut self.uncommitted.waiting) {
                let reply = self.broadcast_not_kept();
                self.answer_later(now, from, &reply);
            }
        }
    }

    /// Publishes what was committed, unless it was published before: in a cluster, entries come by two ways.
    pub(super) fn publish_new(&mut self, now: Now, entry: &StoredEntry) {
        if entry.broadcast.number > self.log.head() {
            self.publish(now, entry);
        }
    }

    /// Publishes a broadcast, and answers its sender.
    fn committed(&mut self, now: Now, from: ConnectionId, entry: &StoredEntry) {
        self.publish_new(now, entry);
        self.tally.broadcasts += 1;
        let reply = self.sent_to_everybody(from, &entry.broadcast);
        self.answer_later(now, from, &reply);
    }

    /// Goes on with the next batch, or with the farewell.
    fn go_on(&mut self, now: Now) {
        if self.is_stopping {
            return self.say_farewell(now);
        }
        self.commit_next(now);
    }

    fn publish(&mut self, now: Now, entry: &StoredEntry) {
        self.log.publish(entry, now);
        self.head_repeats.restart(now.boot_ms);
        let record = Record::Broadcast {
            username: entry.broadcast.sender.clone(),
            number: entry.broadcast.number,
            recipients: self.directory.len(),
        };
        self.effects.push(Effect::Record(record));
        self.show_said(&entry.broadcast.sender, &entry.broadcast.text);
        self.deliver(&entry.broadcast);
    }

    fn sent_to_everybody(&self, from: ConnectionId, sent: &Broadcast) -> Reply {
        let is_interactive =
            self.connections.get(&from).is_some_and(|connection| connection.is_interactive());
        let words = "Sent to everybody.";
        match is_interactive {
            true => Reply::new(Code::Ok, words),
            false => Reply::new(Code::Ok, format!("{} {} {words}", sent.number, sent.time_ms)),
        }
    }

    fn broadcast_not_kept(&mut self) -> Reply {
        self.effects.push(Effect::Record(Record::StoreFailed { what: "keep a broadcast" }));
        let why = match self.cluster {
            None => "The broadcast could not be kept, so it was not sent. Try again.",
            // Other servers show what was committed, also if the answer was lost.
            Some(_) => {
                "The database did not answer, and the broadcast may have been sent. Look before you repeat it."
            }
        };
        Reply::new(Code::StoreUnavailable, why)
    }

    pub(super) fn expire_broadcasts(&mut self, now: Now) {
        if let Some(through) = self.log.expire(now.boot_ms) {
            self.effects.push(Effect::Store(StoreRequest::Forget { through }));
        }
    }
}

/// Returns the refusal of an invalid text.
fn unsendable(text: &str) -> Option<Reply> {
    if text.len() > MAX_BROADCAST_BYTES {
        let limit = format!("a broadcast has at most {MAX_BROADCAST_BYTES} bytes of UTF-8");
        Some(Reply::new(Code::TextTooLong, limit))
    } else if is_blank(text) {
        Some(Reply::new(Code::TextInvalid, "there is nothing to read in that broadcast"))
    } else if has_control(text) {
        let expected = "a broadcast is one line of text, without control characters";
        Some(Reply::new(Code::TextInvalid, expected))
    } else {
        None
    }
}
