//! Changes that are on their way to the disk, and the steps that wait for them. Nothing is sent or acknowledged
//! before its record is durable. A record of deliveries that fails is kept here and tried again.

use std::collections::VecDeque;

use letschat_protocol::message_id::MessageId;

use super::arrivals::Delivery;
use crate::mail::MailChange;
use crate::session::Effect;
use crate::session::context::Context;

/// The wait before a record that failed is tried again, such as on a full disk.
const RETRY_MS: u64 = 30_000;

/// The step that follows a commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// An own message is in the outbox.
    Queued(MessageId),
    /// An own message of a chat that ended is in the outbox.
    HandedOver(MessageId),
    /// These deliveries can be acknowledged, since these changes record them.
    Acknowledge(Vec<Delivery>, Vec<MailChange>),
    /// Nothing waits for it.
    Nothing,
}

/// The commits that have not been answered, in order.
#[derive(Debug, Default)]
pub(super) struct Commits {
    last: u64,
    waiting: VecDeque<(u64, After)>,
    /// The records that failed, each with the deliveries that wait for it.
    failed: Vec<(Vec<MailChange>, Vec<Delivery>)>,
    /// The time at which they are tried again.
    retry_ms: Option<u64>,
}

impl Commits {
    /// Begins a commit.
    pub(super) fn begin(&mut self, cx: &mut Context, changes: Vec<MailChange>, after: After) {
        self.last += 1;
        self.waiting.push_back((self.last, after));
        cx.push(Effect::Commit { commit: self.last, changes });
    }

    /// Ends a commit. Returns the step that waited for it.
    pub(super) fn end(&mut self, commit: u64) -> Option<After> {
        let place = self.waiting.iter().position(|(number, _)| *number == commit)?;
        self.waiting.remove(place).map(|(_, after)| after)
    }

    /// Keeps a record that failed, to try it again.
    pub(super) fn keep_failed(
        &mut self,
        changes: Vec<MailChange>,
        deliveries: Vec<Delivery>,
        now_ms: u64,
    ) {
        self.failed.push((changes, deliveries));
        self.retry_ms.get_or_insert(now_ms + RETRY_MS);
    }

    /// Takes the records that failed, if it is time to try them again.
    pub(super) fn take_failed(&mut self, now_ms: u64) -> Vec<(Vec<MailChange>, Vec<Delivery>)> {
        match self.retry_ms.take_if(|retry_ms| *retry_ms <= now_ms) {
            Some(_) => std::mem::take(&mut self.failed),
            None => Vec::new(),
        }
    }

    /// Forgets the records that failed. Their messages are delivered again.
    pub(super) fn forget_failed(&mut self) {
        self.failed.clear();
        self.retry_ms = None;
    }

    pub(super) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
