//! The server's broadcasts. Each is shown once, and missing ones are requested again.

mod shown;

use letschat_protocol::dialogue::Broadcast;
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use self::shown::Shown;
use super::backoff::{Backoff, SOON};
use super::context::Context;
use super::{Displayed, Effect, LogPosition};
use crate::conversation::{ConversationId, Via};
use crate::event::Event;

/// The wait before a gap is repaired, since datagrams overtake each other.
const REORDERING_MS: u64 = 60;

/// The followed log and the repair of its gaps.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    shown: Shown,
    /// The number of logs followed so far. It keeps a confirmation for one log from counting for
    /// another.
    logs: u64,
    /// The server and the user to whom the broadcasts were shown.
    shown_to: Option<(Fingerprint, Username)>,
    /// True while broadcasts are skipped, since the front end is far behind.
    is_skipping: bool,
    repair: Repair,
    /// The replays that did not bring the missing broadcasts, and the time before which none is
    /// requested.
    replays: Backoff,
    no_replay_before_ms: u64,
}

/// The state of the repair of missing broadcasts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Repair {
    /// The user is not logged in, so no replay can be requested.
    #[default]
    Offline,
    Idle,
    /// A replay will be requested at that time.
    Planned {
        at_ms: u64,
    },
    /// A replay was requested.
    Asked(Missing),
    /// A replay has begun. The next end of a replay is its end.
    Running(Missing),
}

/// The state of the broadcasts at the request for a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missing {
    /// The highest number known to exist.
    head: u64,
    /// The number of broadcasts that had arrived.
    taken: u64,
}

impl Broadcasts {
    /// Returns the id of a broadcast by its number in the log.
    pub(super) fn message_id(&self, number: u64) -> MessageId {
        MessageId::of_broadcast(self.shown.epoch(), number)
    }

    /// Follows the log of a server from the position where an earlier run stopped. If the user
    /// comes back to the same log, what was shown after a gap is still known.
    pub(super) fn follow(&mut self, log: Option<(Fingerprint, Username)>, position: LogPosition) {
        if self.shown_to != log {
            self.shown = Shown::default();
            self.logs += 1;
            self.shown_to = log;
        }
        self.shown.resume(position);
    }

    /// Notes a login: the log has this epoch and goes up to this number.
    pub(super) fn logged_in(&mut self, epoch: u64, head: u64) {
        self.repair = Repair::Idle;
        if self.shown.welcome(epoch, head) {
            self.logs += 1;
        }
    }

    /// Notes that the link to the server ended.
    pub(super) fn link_ended(&mut self) {
        self.repair = Repair::Offline;
        self.replays = Backoff::default();
        self.no_replay_before_ms = 0;
    }

    /// Starts to skip broadcasts, or stops and requests the skipped ones.
    pub(super) fn skip(&mut self, cx: &Context, is_skipping: bool) {
        self.is_skipping = is_skipping;
        self.plan_repair(cx);
    }

    /// Takes a broadcast, and shows it if it is new. Returns false if it was skipped.
    pub(super) fn take(
        &mut self,
        cx: &mut Context,
        entry: &Broadcast,
        own: bool,
        over: &'static str,
        is_blocked: bool,
    ) -> bool {
        if self.is_skipping {
            self.shown.skip(entry.number);
            return false;
        }
        if self.shown.take(entry) {
            if is_blocked {
                // A blocked person's broadcast counts as displayed, so that it leaves no gap.
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
                    id: self.message_id(entry.number),
                    via: Via::Server,
                };
                let displayed = Displayed::Broadcast { log: self.logs, number: entry.number };
                cx.push(Effect::Display(event, displayed));
            }
        }
        self.plan_repair(cx);
        true
    }

    /// Notes that the front end has displayed a broadcast of a log. Returns false if that log is
    /// not followed any more.
    pub(super) fn displayed(&mut self, log: u64, number: u64) -> bool {
        let is_followed = log == self.logs;
        if is_followed {
            self.shown.display(number);
        }
        is_followed
    }

    /// Returns the position from which the next run continues.
    pub(super) fn position(&self) -> LogPosition {
        self.shown.position()
    }

    /// Notes that the log goes up to this number at least.
    pub(super) fn learn(&mut self, cx: &Context, head: u64) {
        self.shown.learn(head);
        self.plan_repair(cx);
    }

    /// Plans the repair of a gap over TCP, after a moment in which it may close by itself. A front
    /// end that is far behind would only skip the broadcasts again.
    fn plan_repair(&mut self, cx: &Context) {
        let is_wanted = self.shown.missing().is_some() && !self.is_skipping;
        self.repair = match self.repair {
            Repair::Idle if is_wanted => {
                let at_ms = (cx.now_ms() + REORDERING_MS).max(self.no_replay_before_ms);
                Repair::Planned { at_ms }
            }
            Repair::Planned { .. } if !is_wanted => Repair::Idle,
            as_before => as_before,
        };
    }

    /// Returns the time at which a replay will be requested.
    pub(super) fn repair_due_ms(&self) -> Option<u64> {
        match self.repair {
            Repair::Planned { at_ms } => Some(at_ms),
            _ => None,
        }
    }

    /// Begins a repair. Returns the number from which to request a replay, if one may be requested.
    pub(super) fn begin_repair(&mut self) -> Option<u64> {
        if !matches!(self.repair, Repair::Idle | Repair::Planned { .. }) {
            return None;
        }
        self.repair = Repair::Idle;
        let from = self.shown.missing().filter(|_| !self.is_skipping)?;
        self.shown.replaying();
        let missing = Missing { head: self.shown.head(), taken: self.shown.taken() };
        self.repair = Repair::Asked(missing);
        Some(from)
    }

    /// Handles the server's answer to the request for a replay.
    pub(super) fn replay_answered(&mut self, cx: &mut Context, is_granted: bool) {
        match self.repair {
            Repair::Asked(missing) if is_granted => self.repair = Repair::Running(missing),
            _ if is_granted => {}
            _ => {
                // The server may have limited the rate. The next head or broadcast requests it
                // again.
                self.repair = Repair::Idle;
                self.replay_failed(cx);
            }
        }
    }

    /// Handles the end of a replay. Returns false if that replay was not requested: its end says
    /// nothing about missing broadcasts.
    pub(super) fn replayed(&mut self, cx: &mut Context, through: u64) -> bool {
        let Repair::Running(missing) = self.repair else {
            return false;
        };
        self.repair = Repair::Idle;
        self.shown.replayed(through);
        if through < missing.head || self.shown.taken() == missing.taken {
            self.replay_failed(cx);
        } else {
            self.replays = Backoff::default();
        }
        self.plan_repair(cx);
        true
    }

    /// Delays the next replay, since this one brought nothing or did not reach the server's head.
    fn replay_failed(&mut self, cx: &mut Context) {
        self.replays.lived(cx.now_ms(), self.no_replay_before_ms);
        let jitter = cx.jitter();
        let wait_ms = self.replays.fail(cx.now_ms(), &SOON, jitter).unwrap_or_default();
        self.no_replay_before_ms = cx.now_ms() + wait_ms;
    }
}
