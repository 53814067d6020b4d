//! Changes that are on their way to the disk, and the steps that wait for them. Nothing is sent or acknowledged
//! before its record is durable.

use std::collections::VecDeque;

use letschat_protocol::message_id::MessageId;

use crate::mail::MailChange;
use crate::session::Effect;
use crate::session::context::Context;

/// The step that follows a commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// An own message is in the outbox.
    Queued(MessageId),
    /// An own message of a chat that ended is in the outbox.
    HandedOver(MessageId),
    /// The deliveries of these numbers can be acknowledged.
    Acknowledge(Vec<u64>),
    /// Nothing waits for it.
    Nothing,
}

/// The commits that have not been answered, in order.
#[derive(Debug, Default)]
pub(super) struct Commits {
    last: u64,
    waiting: VecDeque<(u64, After)>,
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

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
