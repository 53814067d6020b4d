//! The server's broadcasts: each is shown once, and those that are missing are asked for.

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

/// A gap in the broadcasts is repaired after this time, since datagrams overtake each other.
const REORDERING_MS: u64 = 60;

/// The log that is followed, and the repair of its gaps.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    shown: Shown,
    /// Counts the logs that were followed, so that what was displayed of one is not taken for another's.
    logs: u64,
    /// At which server and to whom they have been shown.
    shown_to: Option<(Fingerprint, Username)>,
    /// Whether broadcasts are skipped, since the front end is far behind.
    is_skipping: bool,
    repair: Repair,
    /// Replays that did not bring what was missing, and the time before which none is asked for.
    replays: Backoff,
    no_replay_before_ms: u64,
}

/// How far the repair of missing broadcasts has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Repair {
    /// Nobody is logged in who could ask for a replay.
    #[default]
    Offline,
    Idle,
    /// A replay is to be asked for at that time.
    Planned {
        at_ms: u64,
    },
    /// A replay was asked for.
    Asked(Missing),
    /// It has begun: its end is to be taken for it.
    Running(Missing),
}

/// What was known of the broadcasts when a replay was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missing {
    /// The highest number that there is.
    head: u64,
    /// How many had come.
    taken: u64,
}

impl Broadcasts {
    /// Follows the log of a server, from where an earlier run stopped. Who comes back has not
    /// forgotten what was shown after a gap.
    pub(super) fn follow(&mut self, log: Option<(Fingerprint, Username)>, position: LogPosition) {
        if self.shown_to != log {
            self.shown = Shown::default();
            self.logs += 1;
            self.shown_to = log;
        }
        self.shown.resume(position);
    }

    /// The user is logged in: the log has this epoch and goes up to this number.
    pub(super) fn logged_in(&mut self, epoch: u64, head: u64) {
        self.repair = Repair::Idle;
        if self.shown.welcome(epoch, head) {
            self.logs += 1;
        }
    }

    /// The link to the server is no more.
    pub(super) fn link_ended(&mut self) {
        self.repair = Repair::Offline;
        self.replays = Backoff::default();
        self.no_replay_before_ms = 0;
    }

    /// Skips what comes from now on, or takes it again and asks for what was skipped.
    pub(super) fn skip(&mut self, cx: &Context, is_skipping: bool) {
        self.is_skipping = is_skipping;
        self.plan_repair(cx);
    }

    /// A broadcast came: shows it if it is new. Returns false if it was skipped.
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
                cx.push(Effect::Display(event, displayed));
            }
        }
        self.plan_repair(cx);
        true
    }

    /// The front end has displayed a broadcast of a log. Returns false if that is another log.
    pub(super) fn displayed(&mut self, log: u64, number: u64) -> bool {
        let is_followed = log == self.logs;
        if is_followed {
            self.shown.display(number);
        }
        is_followed
    }

    /// Where the next run is to go on.
    pub(super) fn position(&self) -> LogPosition {
        self.shown.position()
    }

    /// The log goes up to this number at least.
    pub(super) fn learn(&mut self, cx: &Context, head: u64) {
        self.shown.learn(head);
        self.plan_repair(cx);
    }

    /// A gap may close by itself in a moment; if not, it is repaired over TCP. A front end that is
    /// far behind would only skip it again.
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

    /// When a replay is to be asked for.
    pub(super) fn repair_due_ms(&self) -> Option<u64> {
        match self.repair {
            Repair::Planned { at_ms } => Some(at_ms),
            _ => None,
        }
    }

    /// Begins a repair. Returns the number to ask for a replay from, if one may be asked for.
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

    /// The server answers that a replay begins, or that it does not.
    pub(super) fn replay_answered(&mut self, cx: &mut Context, is_granted: bool) {
        match self.repair {
            Repair::Asked(missing) if is_granted => self.repair = Repair::Running(missing),
            _ if is_granted => {}
            _ => {
                // Slowed, perhaps: the next head or broadcast asks again.
                self.repair = Repair::Idle;
                self.replay_failed(cx);
            }
        }
    }

    /// A replay is done. Returns false for the end of one that was not asked for, which says nothing
    /// about what is missing.
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

    /// A replay did not bring what the server says there is, or nothing at all: the next one waits.
    fn replay_failed(&mut self, cx: &mut Context) {
        self.replays.lived(cx.now_ms(), self.no_replay_before_ms);
        let jitter = cx.jitter();
        let wait_ms = self.replays.fail(cx.now_ms(), &SOON, jitter).unwrap_or_default();
        self.no_replay_before_ms = cx.now_ms() + wait_ms;
    }
}
