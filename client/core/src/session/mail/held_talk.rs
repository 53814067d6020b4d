//! Lines to everyone that wait until the older ones have gone straight to all who can be reached: after the server is
//! back, broadcasts would overtake them.

use std::collections::VecDeque;

use crate::conversation::ConversationId;
use crate::failure::Failure;
use crate::session::{Request, RequestId, Session};

/// The longest wait. Then order gives way: somebody may not acknowledge.
const HOLD_MS: u64 = 2_000;
/// The most lines that wait.
const MAX_HELD: usize = 1_000;

/// The lines, oldest first.
#[derive(Debug, Default)]
pub(super) struct HeldTalk {
    lines: VecDeque<(RequestId, String)>,
    until_ms: Option<u64>,
}

impl HeldTalk {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.until_ms
    }

    fn take(&mut self) -> VecDeque<(RequestId, String)> {
        self.until_ms = None;
        std::mem::take(&mut self.lines)
    }
}

impl Session {
    /// Holds a line while older ones are on their way. Returns it if it can go now.
    pub(in crate::session) fn hold_talk(&mut self, id: RequestId, text: String) -> Option<String> {
        let must_wait = !self.mail.held_talk.lines.is_empty() || self.has_older_talk();
        if !must_wait || self.mail.held_talk.lines.len() >= MAX_HELD {
            return Some(text);
        }
        let until_ms = self.cx.now_ms() + HOLD_MS;
        self.mail.held_talk.until_ms.get_or_insert(until_ms);
        self.mail.held_talk.lines.push_back((id, text));
        None
    }

    /// Returns true if lines to everyone wait for somebody who can be reached.
    fn has_older_talk(&self) -> bool {
        let waiting = self.mail.outbox.recipients_in(&ConversationId::Everyone);
        waiting.into_iter().any(|who| self.is_reachable(&who))
    }

    /// Lets the held lines go if nothing older is on its way, or if that takes too long.
    pub(super) fn release_talk(&mut self) {
        let Some(until_ms) = self.mail.held_talk.until_ms else {
            return;
        };
        if self.server.is_logged_in() && until_ms > self.cx.now_ms() && self.has_older_talk() {
            return;
        }
        for (id, text) in self.mail.held_talk.take() {
            match self.server.is_logged_in() {
                true => self.request(id, Request::Broadcast(text)),
                false => self.enqueue_for_everyone(id, &text),
            }
        }
    }

    /// Fails the requests of the held lines, for an account that closes.
    pub(super) fn drop_talk(&mut self) {
        for (id, _) in self.mail.held_talk.take() {
            self.cx.fail(id, Failure::NotLoggedIn);
        }
    }
}
