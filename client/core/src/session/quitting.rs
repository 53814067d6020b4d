//! The end of a session: it says goodbye to everybody, and first posts what it owes.

use super::{Effect, Reply, RequestId, Session};
use crate::failure::{Cancel, Failure};

/// The longest time for which a session that quits posts what it owes and waits for its front ends.
const LAST_POSTS_MS: u64 = 1_000;

/// A request to quit that is being carried out.
#[derive(Debug)]
pub(super) struct Quitting {
    id: RequestId,
    /// The time at which the session waits no longer.
    until_ms: u64,
    has_left_server: bool,
}

impl Quitting {
    /// Returns true once nothing more is begun.
    pub(super) fn has_left_server(&self) -> bool {
        self.has_left_server
    }

    /// Returns the deadline.
    pub(super) fn until_ms(&self, now_ms: u64) -> Option<u64> {
        (self.until_ms > now_ms || !self.has_left_server).then_some(self.until_ms)
    }
}

impl Session {
    /// Says goodbye to everybody, to the server once it has the messages and receipts that can go now. The session is
    /// finished when the last chat has delivered its messages or given up.
    pub(super) fn quit(&mut self, id: RequestId) {
        let until_ms = self.cx.now_ms() + LAST_POSTS_MS;
        self.quitting = Some(Quitting { id, until_ms, has_left_server: false });
        self.calls.end_all(&mut self.cx, &Failure::Cancelled(Cancel::Quitting));
        self.requests.end_all(&mut self.cx, &mut self.account);
        self.close_newcomers();
        self.chats.end_all(&mut self.cx);
        self.stop_files(&Failure::Quitting);
        self.mail.hurry();
        self.post_next();
    }

    /// Returns true while front ends display messages. A session that quits does not wait for ever.
    pub(super) fn waits_for_display(&self) -> bool {
        let has_time = |quitting: &Quitting| self.cx.now_ms() < quitting.until_ms;
        self.quitting.as_ref().is_none_or(has_time) && self.mail.is_displaying()
    }

    /// Takes the next steps of quitting that are possible now.
    pub(super) fn go_on_quitting(&mut self) {
        let now_ms = self.cx.now_ms();
        let is_posting = self.has_mail_to_post() || self.waits_for_display();
        let Some(quitting) = &mut self.quitting else {
            return;
        };
        if !quitting.has_left_server && (quitting.until_ms <= now_ms || !is_posting) {
            quitting.has_left_server = true;
            self.stop_server(&Failure::Quitting);
        }
    }

    /// Finishes the session if nothing is left to do.
    pub(super) fn finish_quitting(&mut self) {
        let is_done = |quitting: &mut Quitting| {
            quitting.has_left_server && self.chats.is_empty() && self.mail.is_recorded()
        };
        if self.waits_for_display() {
            return;
        }
        if let Some(Quitting { id, .. }) = self.quitting.take_if(is_done) {
            self.cx.answer(id, Reply::Done {});
            self.cx.push(Effect::Finished);
        }
    }
}
