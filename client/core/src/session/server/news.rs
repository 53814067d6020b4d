//! What comes from the server by itself: broadcasts over TCP and UDP, and the repair of gaps.

use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{Broadcast, Request as ServerRequest};
use letschat_protocol::limits::UDP_KEEPALIVE_MS;
use letschat_protocol::message_id::MessageId;

use super::{Datagrams, Expected, Missing, Repair};
use crate::conversation::{ConversationId, Via};
use crate::event::Event;
use crate::session::backoff::{Backoff, SOON};
use crate::session::{Backlog, Displayed, Effect, Now, Save, Session};

/// A gap in the broadcasts is repaired after this time, since datagrams overtake each other.
const REORDERING_MS: u64 = 60;
/// Until the server's first challenge came, datagrams are sent at these times after the login.
pub(super) const FIRST_DATAGRAMS_MS: [u64; 3] = [1_000, 3_000, 10_000];
/// After a gap, keep-alives go out at these times, unless another gap comes first. Where much is
/// lost, the newest broadcast and all that would tell of it may be too.
const AFTER_GAP_MS: [u64; 3] = [2_000, 5_000, 12_000];

impl Session {
    pub(in crate::session) fn show_broadcast(
        &mut self,
        now: Now,
        entry: &Broadcast,
        own: bool,
        over: &'static str,
    ) {
        if self.backlog == Backlog::Full {
            return self.shown.skip(entry.number);
        }
        if self.shown.take(entry) {
            if self.is_blocked(&entry.sender) {
                // Taken even if it is not shown: it is no gap.
                self.shown.display(entry.number);
            } else {
                let event = Event::Broadcast {
                    from: entry.sender.clone(),
                    number: entry.number,
                    text: entry.text.clone(),
                    time_ms: entry.time_ms,
                    own,
                    over,
                    conversation: ConversationId::Everyone,
                    id: MessageId::of_broadcast(self.shown.epoch(), entry.number),
                    via: Via::Server,
                };
                let displayed = Displayed::Broadcast { log: self.logs, number: entry.number };
                self.effects.push(Effect::Display(event, displayed));
            }
        }
        self.save_position();
        self.plan_repair(now);
    }

    /// Whether a replay may be asked for. A front end that is far behind would only skip it again.
    fn may_repair(&self) -> bool {
        self.server.is_logged_in()
            && self.server.repair == Repair::None
            && self.backlog != Backlog::Full
    }

    pub(in crate::session) fn save_position(&mut self) {
        let position = self.shown.position();
        if let Some(account) = &mut self.account
            && account.position != position
        {
            account.position = position;
            self.effects.push(Effect::Save(Save::Position(position)));
        }
    }

    pub(super) fn learn_head(&mut self, now: Now, head: u64) {
        self.shown.learn(head);
        self.plan_repair(now);
    }

    /// A gap may close by itself in a moment; if not, it is repaired over TCP.
    pub(in crate::session) fn plan_repair(&mut self, now: Now) {
        self.server.repair_at_ms = match self.shown.missing() {
            Some(_) if self.may_repair() => {
                let due_ms = now.boot_ms + REORDERING_MS;
                let due_ms = due_ms.max(self.server.no_replay_before_ms);
                self.server.repair_at_ms.or(Some(due_ms))
            }
            _ => None,
        };
    }

    pub(super) fn repair(&mut self, now: Now) {
        self.server.repair_at_ms = None;
        let Some(from) = self.shown.missing() else {
            return;
        };
        if self.may_repair() {
            self.shown.replaying();
            let missing = Missing { head: self.shown.head(), taken: self.shown.taken() };
            self.server.repair = Repair::Asked(missing);
            let datagrams = &mut self.server.datagrams;
            if datagrams.work {
                datagrams.since_ms = now.boot_ms;
                datagrams.due_after_ms = &AFTER_GAP_MS;
                let regular_ms = datagrams.next_ms;
                datagrams.plan_next(now.boot_ms);
                // However many gaps there are, what is regular stays so.
                datagrams.next_ms = datagrams.next_ms.min(regular_ms);
            }
            self.ask_server(now, ServerRequest::Replay { from }, Expected::Replay);
        }
    }

    /// A replay is done. The end of one that was not asked for says nothing about what is missing.
    pub(super) fn replayed(&mut self, now: Now, through: u64) {
        let Repair::Running(missing) = self.server.repair else {
            return;
        };
        self.server.repair = Repair::None;
        self.shown.replayed(through);
        self.save_position();
        if through < missing.head || self.shown.taken() == missing.taken {
            self.replay_failed(now);
        } else {
            self.server.replays = Backoff::default();
        }
        self.plan_repair(now);
    }

    /// A replay did not bring what the server says there is, or nothing at all: the next one waits.
    pub(super) fn replay_failed(&mut self, now: Now) {
        self.server.replays.lived(now.boot_ms, self.server.no_replay_before_ms);
        let jitter = self.random.f64();
        let wait_ms = self.server.replays.fail(now.boot_ms, &SOON, jitter).unwrap_or_default();
        self.server.no_replay_before_ms = now.boot_ms + wait_ms;
    }

    pub(in crate::session) fn datagram(&mut self, now: Now, message: ToClient) {
        if !self.server.datagrams.open {
            return;
        }
        self.server.datagrams.heard_ms = now.boot_ms;
        match message {
            ToClient::Challenge(token) => {
                self.effects.push(Effect::Datagram(ToServer::Answer(token)));
            }
            ToClient::Head(head) => {
                let datagrams = &mut self.server.datagrams;
                if !std::mem::replace(&mut datagrams.work, true) {
                    datagrams.due_after_ms = &[];
                }
                self.learn_head(now, head);
            }
            ToClient::Broadcast { entry, own } => self.show_broadcast(now, &entry, own, "udp"),
        }
    }

    pub(super) fn tick_datagrams(&mut self, now: Now) {
        if self.server.datagrams.silent_at_ms().is_some_and(|at| at <= now.boot_ms) {
            self.server.datagrams.work = false;
            // Either only UDP is gone or all of it: the answer to this tells.
            self.ask_server(now, ServerRequest::Ping, Expected::Ping);
        }
        let datagrams = &mut self.server.datagrams;
        if datagrams.open && datagrams.next_ms <= now.boot_ms {
            datagrams.plan_next(now.boot_ms);
            self.effects.push(Effect::Datagram(ToServer::KeepAlive));
        }
    }
}

impl Datagrams {
    /// The next keep-alive: one of those that are due beyond the regular ones, if any are left.
    fn plan_next(&mut self, now_ms: u64) {
        let regular_ms = now_ms + UDP_KEEPALIVE_MS;
        let mut due_ms = self.due_after_ms.iter().map(|after_ms| self.since_ms + after_ms);
        self.next_ms = due_ms.find(|due_ms| *due_ms > now_ms).unwrap_or(regular_ms);
    }
}
