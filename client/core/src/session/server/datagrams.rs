//! The keep-alives over UDP, and a check that datagrams arrive.

use letschat_protocol::datagram::ToServer;
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::limits::{MISSED_KEEPALIVES, UDP_KEEPALIVE_MS};

use crate::session::Effect;
use crate::session::context::Context;

/// The tolerated delay of the answer to a keep-alive.
const KEEPALIVE_SLACK_MS: u64 = 5_000;
/// The times after the login at which datagrams are sent until the server's first challenge
/// arrives.
const FIRST_DATAGRAMS_MS: [u64; 3] = [1_000, 3_000, 10_000];
/// The times after a gap at which keep-alives are sent, unless another gap comes first. If much is
/// lost, the newest broadcast and the datagrams that reveal it may be lost too.
const AFTER_GAP_MS: [u64; 3] = [2_000, 5_000, 12_000];

#[derive(Debug, Default)]
pub(super) struct Datagrams {
    is_open: bool,
    /// True once the server has proved our address and answers from it.
    work: bool,
    next_ms: u64,
    heard_ms: u64,
    /// The time from which the additional keep-alives are counted.
    since_ms: u64,
    due_after_ms: &'static [u64],
}

impl Datagrams {
    pub(super) fn open(&mut self, cx: &mut Context, session: SessionId, port: u16) {
        cx.push(Effect::OpenDatagrams { session, port });
        *self = Datagrams {
            is_open: true,
            next_ms: cx.now_ms(),
            since_ms: cx.now_ms(),
            due_after_ms: &FIRST_DATAGRAMS_MS,
            ..Datagrams::default()
        };
    }

    pub(super) fn close(&mut self, cx: &mut Context) {
        if std::mem::take(self).is_open {
            cx.push(Effect::CloseDatagrams);
        }
    }

    /// Returns true if datagrams are known to work both ways.
    pub(super) fn work(&self) -> bool {
        self.work
    }

    /// Notes a received datagram. Returns false if none is expected.
    pub(super) fn heard(&mut self, now_ms: u64) -> bool {
        self.heard_ms = now_ms;
        self.is_open
    }

    /// Notes that the server answers from the address that it proved.
    pub(super) fn proved(&mut self) {
        if !std::mem::replace(&mut self.work, true) {
            self.due_after_ms = &[];
        }
    }

    /// Schedules additional keep-alives after a loss.
    pub(super) fn hurry(&mut self, now_ms: u64) {
        if self.work {
            self.since_ms = now_ms;
            self.due_after_ms = &AFTER_GAP_MS;
            let regular_ms = self.next_ms;
            self.plan_next(now_ms);
            // Gaps do not delay the regular keep-alive.
            self.next_ms = self.next_ms.min(regular_ms);
        }
    }

    /// Returns true if the server has been silent for too long. Datagrams then count as not
    /// working.
    pub(super) fn fell_silent(&mut self, now_ms: u64) -> bool {
        let is_silent = self.silent_at_ms().is_some_and(|at| at <= now_ms);
        self.work &= !is_silent;
        is_silent
    }

    /// Sends the keep-alive that is due.
    pub(super) fn tick(&mut self, cx: &mut Context) {
        if self.is_open && self.next_ms <= cx.now_ms() {
            self.plan_next(cx.now_ms());
            cx.push(Effect::Datagram(ToServer::KeepAlive));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let keep_alive = self.is_open.then_some(self.next_ms);
        keep_alive.into_iter().chain(self.silent_at_ms()).min()
    }

    fn silent_at_ms(&self) -> Option<u64> {
        let limit = UDP_KEEPALIVE_MS * MISSED_KEEPALIVES + KEEPALIVE_SLACK_MS;
        self.work.then_some(self.heard_ms + limit)
    }

    /// Schedules the next keep-alive: an additional one if any are left, or a regular one.
    fn plan_next(&mut self, now_ms: u64) {
        let regular_ms = now_ms + UDP_KEEPALIVE_MS;
        let mut due_ms = self.due_after_ms.iter().map(|after_ms| self.since_ms + after_ms);
        self.next_ms = due_ms.find(|due_ms| *due_ms > now_ms).unwrap_or(regular_ms);
    }
}
