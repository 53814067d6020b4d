//! Acknowledgements of deliveries.
//!
//! They are committed in batches, as envelopes are: at most one commit is under way, and those that
//! arrive meanwhile form the next batch.

use std::collections::VecDeque;
use std::sync::Arc;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Reply;

use super::super::{ConnectionId, Hub};
use crate::store::Unavailable;
use crate::store::mailbox::{Acknowledgement, MailRequest};
use letschat_protocol::clock::Now;

/// The most acknowledgements in one commit. It bounds the time that others wait for the database.
const MAX_BATCH: usize = 64;

/// Acknowledgements that are not committed yet, each with the connection to answer.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    waiting: VecDeque<(ConnectionId, Arc<Acknowledgement>)>,
    committing: Vec<(ConnectionId, Arc<Acknowledgement>)>,
}

impl Hub {
    /// Queues an acknowledgement of deliveries that are in flight on this connection. It is answered
    /// after its commit. Other numbers are ignored, so that nothing is deleted that the device has
    /// not received.
    pub(in crate::hub) fn acknowledge(
        &mut self,
        now: Now,
        id: ConnectionId,
        mut numbers: Vec<u64>,
    ) {
        let Some((username, device)) = self.device_of(id) else {
            return;
        };
        numbers.sort_unstable();
        numbers.dedup();
        if let Some(link) = self.mail_link(id) {
            numbers.retain(|number| link.is_in_flight(*number));
        }
        if numbers.is_empty() {
            return self.answer(now, id, &Reply::new(Code::Ok, "0"));
        }
        // As with POST, a connection has at most one here.
        let acknowledgement = Acknowledgement { username, device, numbers };
        self.mailbox.unacknowledged.waiting.push_back((id, Arc::new(acknowledgement)));
        self.commit_acknowledgements();
    }

    /// Sends waiting acknowledgements to the store, unless a commit is under way.
    fn commit_acknowledgements(&mut self) {
        let Unacknowledged { waiting, committing } = &mut self.mailbox.unacknowledged;
        if !committing.is_empty() || waiting.is_empty() {
            return;
        }
        committing.extend(waiting.drain(..waiting.len().min(MAX_BATCH)));
        let acknowledgements = committing.iter().map(|(_, each)| Arc::clone(each)).collect();
        self.ask_mailbox(MailRequest::Acknowledge { acknowledgements });
    }

    /// Handles the result of a commit: the number of deliveries that each acknowledgement deleted.
    /// Frees the windows of what was acknowledged, and continues with what waits.
    pub(super) fn acknowledged(&mut self, now: Now, result: Result<Vec<u64>, Unavailable>) {
        let committed = std::mem::take(&mut self.mailbox.unacknowledged.committing);
        self.commit_acknowledgements();
        for (place, (id, acknowledgement)) in committed.into_iter().enumerate() {
            let reply = match result.as_ref().map(|counts| counts.get(place)) {
                Ok(count) => {
                    let count = count.copied().unwrap_or_default();
                    self.tally.envelopes_delivered += count;
                    if let Some(link) = self.mail_link(id) {
                        link.acknowledge(&acknowledgement.numbers);
                    }
                    Reply::new(Code::Ok, count.to_string())
                }
                Err(Unavailable) => self.store_failed("delete acknowledged mail"),
            };
            self.answer_later(now, id, &reply);
            self.read_mail(now, id);
        }
    }
}
