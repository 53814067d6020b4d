//! A POST from the request through the store to its answer.
//!
//! Envelopes are committed in batches, as broadcasts are: at most one commit is under way, and
//! envelopes that arrive meanwhile form the next batch. Only after the commit are they pushed to
//! devices that are here, and after that their senders are answered.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Outcome, Posted, Reply};
use letschat_protocol::envelope::{Envelope, EnvelopeId, Header, NotAnEnvelope};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::limits::MAX_ENVELOPE_BYTES;
use letschat_protocol::username::Username;

use super::super::rate::Bucket;
use super::super::{ConnectionId, Effect, Hub, Record, Settings};
use crate::store::Unavailable;
use crate::store::mailbox::{MailRequest, NewEnvelope, Placement, Placements};
use letschat_protocol::clock::Now;

/// The most deliveries in one commit, unless a single envelope has more. It bounds the time that
/// others wait for the database.
const MAX_BATCH_DELIVERIES: usize = 256;

/// The headers of an envelope that one token of the rate limit pays for.
pub const HEADERS_PER_TOKEN: usize = 16;

/// The recipients that a record of an envelope names. The others are counted.
const NAMED_RECIPIENTS: usize = 3;

/// Envelopes that are not committed yet.
#[derive(Debug, Default)]
pub(super) struct Unposted {
    waiting: VecDeque<Waiting>,
    committing: Vec<Committing>,
}

#[derive(Debug)]
struct Waiting {
    from: ConnectionId,
    sender: Username,
    id: EnvelopeId,
    envelope: Envelope,
    /// The size of the POST's payload.
    bytes: usize,
}

/// An envelope being committed, with the connection to answer.
#[derive(Debug)]
struct Committing {
    from: ConnectionId,
    envelope: Arc<NewEnvelope>,
    bytes: usize,
}

impl Hub {
    /// Queues an envelope. It is answered after its commit.
    pub(in crate::hub) fn post(
        &mut self,
        now: Now,
        from: ConnectionId,
        id: EnvelopeId,
        payload: &[u8],
    ) {
        let Some((sender, device)) = self.device_of(from) else {
            return;
        };
        let is_listed = self.member_of(from).is_some_and(|member| member.is_listed);
        let id = if is_listed { id } else { id_of_unlisted(id, &device) };
        let envelope = match parse(payload) {
            Ok(envelope) => envelope,
            Err(reply) => return self.answer(now, from, &reply),
        };
        if let Some(reply) = self.post_too_soon(now, &sender, &envelope) {
            return self.answer(now, from, &reply);
        }
        // What the devices of an account tell each other is not the user's act.
        if envelope.headers.iter().any(|header| header.recipient != sender) {
            self.has_posted(from, now);
        }
        self.asked(from, "POST");
        // A connection has at most one uncommitted envelope, since its next line is read only after
        // the answer. That bounds the queue.
        let bytes = payload.len();
        let waiting = Waiting { from, sender, id, envelope, bytes };
        self.mailbox.unposted.waiting.push_back(waiting);
        self.commit_envelopes(now);
    }

    /// Returns the refusal of an envelope that exceeds the sender's rate limit. An envelope takes a
    /// token for each [`HEADERS_PER_TOKEN`] headers that it begins, since each header is a delivery.
    fn post_too_soon(&mut self, now: Now, sender: &Username, envelope: &Envelope) -> Option<Reply> {
        let Settings { post_burst, post_interval_ms, .. } = self.settings;
        let first = Bucket::new(post_burst, post_interval_ms);
        let tokens = envelope.headers.len().div_ceil(HEADERS_PER_TOKEN) as u64;
        let rates = &mut self.mailbox.rates;
        let wait_ms = rates.take_several(tokens, sender.clone(), first, now.boot_ms).err()?;
        let why = format!("too many envelopes; the next in {wait_ms} ms");
        Some(Reply::new(Code::SlowDown, why))
    }

    /// Sends waiting envelopes to the store, unless a commit is under way.
    fn commit_envelopes(&mut self, now: Now) {
        let Unposted { waiting, committing } = &mut self.mailbox.unposted;
        if !committing.is_empty() {
            return;
        }
        let mut deliveries = 0;
        while let Some(next) = waiting.front() {
            deliveries += next.envelope.headers.len();
            if !committing.is_empty() && deliveries > MAX_BATCH_DELIVERIES {
                break;
            }
            let Some(Waiting { from, sender, id, envelope, bytes }) = waiting.pop_front() else {
                break;
            };
            let envelope = Arc::new(NewEnvelope { sender, id, time_ms: now.wall_ms, envelope });
            committing.push(Committing { from, envelope, bytes });
        }
        if committing.is_empty() {
            return;
        }
        let envelopes = committing.iter().map(|each| Arc::clone(&each.envelope)).collect();
        let after = self.mailbox.last;
        self.ask_mailbox(MailRequest::Post { after, envelopes });
    }

    /// Handles the result of a commit: what became of each envelope, or a failure. Every sender is
    /// answered, also if the connection of another one has gone.
    pub(super) fn posted(&mut self, now: Now, result: Result<Vec<Placements>, Unavailable>) {
        let committed = std::mem::take(&mut self.mailbox.unposted.committing);
        match result {
            Ok(placements) => {
                for (committed, placements) in committed.into_iter().zip(placements) {
                    let reply = self.deliver_envelope(now, &committed, &placements);
                    self.answer_later(now, committed.from, &reply);
                }
            }
            Err(Unavailable) => {
                for Committing { from, envelope, .. } in committed {
                    self.look_for_mail(now, &envelope);
                    let reply = self.envelope_not_kept();
                    self.answer_later(now, from, &reply);
                }
            }
        }
        self.commit_envelopes(now);
    }

    /// Pushes a committed envelope to the devices that are here, and returns the reply.
    fn deliver_envelope(
        &mut self,
        now: Now,
        committed: &Committing,
        Placements { headers: placements, missing }: &Placements,
    ) -> Reply {
        let new = &committed.envelope;
        let mut taken_ms = new.time_ms;
        let mut items = Vec::with_capacity(placements.len());
        for (header, placement) in new.envelope.headers.iter().zip(placements) {
            let outcome = match *placement {
                Placement::Stored { number } => {
                    self.mailbox.last = self.mailbox.last.max(number);
                    let cluster = self.cluster.as_mut();
                    let is_next = cluster.is_none_or(|cluster| cluster.note_delivery(number));
                    match self.push(now, new, header, number, is_next) {
                        true => Outcome::Pushed,
                        false => {
                            // The device may be at another server, which sends it.
                            self.ring();
                            match self.is_elsewhere(now, &header.recipient, header.device) {
                                true => Outcome::Pushed,
                                false => Outcome::Kept,
                            }
                        }
                    }
                }
                Placement::Repeated { time_ms } => {
                    taken_ms = taken_ms.min(time_ms);
                    Outcome::Kept
                }
                Placement::Refused(outcome) => outcome,
            };
            let Header { recipient, device, .. } = header;
            items.push(Posted { recipient: recipient.clone(), device: *device, outcome });
        }
        items.extend(missing.iter().map(|(recipient, device)| {
            let (recipient, outcome) = (recipient.clone(), Outcome::Missing);
            Posted { recipient, device: *device, outcome }
        }));
        if placements.iter().any(|placement| matches!(placement, Placement::Stored { .. })) {
            self.tally.envelopes_posted += 1;
        }
        self.record_posted(&new.sender, committed.bytes, &items);
        let until_ms = taken_ms.saturating_add(self.settings.mail_retention_ms);
        let last = format!("{until_ms} {}", items.len());
        Reply::long(Code::Ok, items.iter().map(Posted::to_string), last)
    }

    /// Records an envelope once for each outcome, so that one with many recipients can't flood the
    /// log. The best outcome of a recipient's devices counts.
    fn record_posted(&mut self, sender: &Username, bytes: usize, items: &[Posted]) {
        let mut best = best_outcomes(items);
        if best.len() > 1 {
            // The sender's own devices get a copy.
            best.retain(|(name, _)| *name != sender);
        }
        for outcome in Outcome::ALL.iter().copied() {
            let mut alike = best.iter().filter(|(_, best)| *best == outcome).map(|(name, _)| *name);
            let to: Vec<Username> = alike.by_ref().take(NAMED_RECIPIENTS).cloned().collect();
            if to.is_empty() {
                continue;
            }
            let (username, others) = (sender.clone(), alike.count());
            let record = Record::Posted { username, to, others, bytes, outcome };
            self.effects.push(Effect::Record(record));
        }
    }

    fn envelope_not_kept(&mut self) -> Reply {
        self.effects.push(Effect::Record(Record::StoreFailed { what: "keep an envelope" }));
        let why = "The envelope could not be kept, so it was not sent. Try again.";
        Reply::new(Code::StoreUnavailable, why)
    }
}

/// Returns each recipient once, in order, with the best outcome of the devices.
fn best_outcomes(items: &[Posted]) -> Vec<(&Username, Outcome)> {
    let mut recipients: Vec<(&Username, Outcome)> = Vec::new();
    for Posted { recipient, outcome, .. } in items {
        match recipients.iter_mut().find(|(known, _)| *known == recipient) {
            Some((_, best)) => *best = (*best).min(*outcome),
            None => recipients.push((recipient, *outcome)),
        }
    }
    recipients
}

/// Returns the id under which an envelope of an unlisted device is kept. Ids count for a whole account, and those of its
/// messages can be guessed: a thief of the password must not use them up.
fn id_of_unlisted(id: EnvelopeId, device: &PublicKey) -> EnvelopeId {
    let bytes = [&b"letschat unlisted v1\0"[..], device.as_bytes(), &id.0.to_be_bytes()].concat();
    let mut own = [0; 16];
    own.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..16]);
    EnvelopeId(u128::from_be_bytes(own))
}

/// Parses the payload of a POST, or returns the refusal.
fn parse(payload: &[u8]) -> Result<Envelope, Reply> {
    if payload.len() > MAX_ENVELOPE_BYTES {
        let limit = format!("an envelope has at most {MAX_ENVELOPE_BYTES} bytes");
        return Err(Reply::new(Code::TextTooLong, limit));
    }
    Envelope::parse(payload)
        .map_err(|error: NotAnEnvelope| Reply::new(Code::EnvelopeInvalid, error.to_string()))
}
