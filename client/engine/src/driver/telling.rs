//! The events for front ends, their confirmations, and the backlog.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use async_channel::Sender;

use crate::events::{Confirmed, Events, Receipt, Told};
use letschat_core::event::Event;
use letschat_core::session::{Backlog, Displayed};

/// The limit of unconfirmed events, in bytes. Beyond it nothing is read from peers.
const PEERS_BYTES: usize = 512 * 1024;

/// The limit beyond which broadcasts are skipped and other events dropped, in bytes.
const FULL_BYTES: usize = 8 * 1024 * 1024;

/// The limit of unconfirmed events of own messages, in bytes. They never hold up peers, who did not
/// cause them. Beyond it they are dropped.
const OWN_BYTES: usize = 2 * 1024 * 1024;

/// The number of confirmations that are passed on without another cause.
const CONFIRMATIONS_AT_ONCE: usize = 32;

/// The wait before confirmations are read, unless another cause comes first. Only then does the
/// session wait for them: waking it for each message would cost more than the message.
const LOOK_MS: u64 = 10;

/// The interval of reading confirmations during that wait, since a slow reader may send few.
const LOOK_AGAIN_MS: u64 = 500;

/// The session's side of the events.
#[derive(Default)]
pub(super) struct Telling {
    subscribers: Vec<Subscriber>,
    /// The number of told events.
    told: u64,
    /// The unconfirmed events, oldest first.
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The bytes of unconfirmed events of own messages, which are not in `bytes`.
    own_bytes: usize,
    backlog: Backlog,
    dropped: u64,
    look: Look,
}

/// A front end, a script or a plugin.
struct Subscriber {
    events: Sender<Told>,
    confirmed: Arc<Confirmed>,
}

/// The time at which confirmations are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Look {
    /// Never, since none is missing.
    #[default]
    Never,
    /// With the next input, or at this time.
    At(u64),
    /// With a batch of them, or at this time.
    Batch(u64),
}

struct Waiting {
    bytes: usize,
    is_own: bool,
    displayed: Option<Displayed>,
}

impl Telling {
    /// Adds a subscriber. Returns the events from now on.
    pub(super) fn subscribe(&mut self) -> Events {
        // The backlog is the bound. A bounded channel would allocate its memory at once.
        let (events, told) = async_channel::unbounded();
        self.subscribers.retain(|subscriber| !subscriber.events.is_closed());
        self.subscribers.push(Subscriber { events, confirmed: Confirmed::after(self.told) });
        told
    }

    /// Sends an event to all subscribers, or drops it if one of them is too far behind.
    pub(super) fn tell(&mut self, event: Event, displayed: Option<Displayed>, now_ms: u64) {
        let bytes = size_of::<Told>() + event.text_bytes();
        // The backlog keeps events with a confirmation far below this limit. Undelivered texts are
        // reported nowhere else, and requests are few.
        let is_lasting = matches!(event, Event::ChatClosed { .. } | Event::Request { .. });
        let is_own = event.is_of_own_message();
        let has_room = match is_own {
            true => self.own_bytes + bytes <= OWN_BYTES,
            false => displayed.is_some() || is_lasting || self.bytes + bytes <= FULL_BYTES,
        };
        if !has_room {
            self.dropped += 1;
            return;
        }
        self.told += 1;
        if let Some((last, others)) = self.subscribers.split_last() {
            others.iter().for_each(|subscriber| subscriber.tell(event.clone(), self.told));
            last.tell(event, self.told);
        }
        *(if is_own { &mut self.own_bytes } else { &mut self.bytes }) += bytes;
        self.waiting.push_back(Waiting { bytes, is_own, displayed });
        if self.look == Look::Never {
            self.look = Look::At(now_ms + LOOK_MS);
        }
    }

    /// Returns true if the session should read the confirmations now.
    pub(super) fn has_news(&self) -> bool {
        self.new_confirmations() >= CONFIRMATIONS_AT_ONCE || self.level() != self.backlog
    }

    /// Returns the subscriber that has confirmed the fewest events, of those that still want any.
    fn slowest(&self) -> Option<&Subscriber> {
        let live = self.subscribers.iter().filter(|subscriber| !subscriber.events.is_closed());
        live.min_by_key(|subscriber| subscriber.confirmed.count())
    }

    /// Counts the events displayed since the last look. Without a subscriber all count.
    fn new_confirmations(&self) -> usize {
        let confirmed = self.slowest().map_or(self.told, |slowest| slowest.confirmed.count());
        let unconfirmed = usize::try_from(self.told - confirmed).unwrap_or(0);
        self.waiting.len().saturating_sub(unconfirmed)
    }

    /// Returns the confirmations since the last look. Of consecutive messages of a chat, or from
    /// envelopes, the last one stands for all.
    pub(super) fn displayed(&mut self) -> Vec<Displayed> {
        let mut displayed = Vec::new();
        for waiting in self.waiting.drain(..self.new_confirmations()) {
            let counted = if waiting.is_own { &mut self.own_bytes } else { &mut self.bytes };
            *counted -= waiting.bytes;
            match (displayed.last_mut(), waiting.displayed) {
                (
                    Some(Displayed::Message { chat, number }),
                    Some(Displayed::Message { chat: same, number: next }),
                ) if *chat == same => *number = next,
                (Some(Displayed::Mail { count }), Some(Displayed::Mail { count: next })) => {
                    *count = next;
                }
                (_, next) => displayed.extend(next),
            }
        }
        if self.waiting.is_empty() {
            self.look = Look::Never;
        }
        displayed
    }

    /// Returns the backlog if it has changed.
    pub(super) fn changed_backlog(&mut self) -> Option<Backlog> {
        let level = self.level();
        (std::mem::replace(&mut self.backlog, level) != level).then_some(level)
    }

    /// Returns the backlog. A level ends when half of the bytes that caused it are displayed.
    fn level(&self) -> Backlog {
        let rising = match self.bytes {
            FULL_BYTES.. => Backlog::Full,
            PEERS_BYTES.. => Backlog::Peers,
            _ => Backlog::None,
        };
        let falling = match self.bytes * 2 {
            FULL_BYTES.. => Backlog::Full,
            PEERS_BYTES.. => Backlog::Peers,
            _ => Backlog::None,
        };
        self.backlog.clamp(rising, falling)
    }

    /// Returns true if nothing is read from peers.
    pub(super) fn holds_peers(&self) -> bool {
        self.backlog != Backlog::None
    }

    /// Returns the number of dropped events, once the front end keeps up again.
    pub(super) fn take_dropped(&mut self) -> Option<u64> {
        let keeps_up = self.backlog == Backlog::None && self.own_bytes * 2 <= OWN_BYTES;
        let dropped = if keeps_up { std::mem::take(&mut self.dropped) } else { 0 };
        (dropped > 0).then_some(dropped)
    }

    /// Returns the time at which confirmations are read without another cause.
    pub(super) fn next_look(&self) -> Option<u64> {
        match self.look {
            Look::At(at_ms) | Look::Batch(at_ms) => Some(at_ms),
            Look::Never => None,
        }
    }

    /// Notes that the confirmations were read. If some are missing, starts to wait for them.
    pub(super) fn looked(&mut self, now_ms: u64) {
        if self.next_look().is_some_and(|at_ms| at_ms <= now_ms) {
            self.look = Look::Batch(now_ms + LOOK_AGAIN_MS);
        }
    }

    /// Waits for a batch of confirmations, if the session waits for them.
    pub(super) async fn confirmed(&self) {
        if !matches!(self.look, Look::Batch(_)) {
            return std::future::pending().await;
        }
        let some = self.waiting.len().min(CONFIRMATIONS_AT_ONCE);
        if let Some(slowest) = self.slowest() {
            slowest.confirmed.reaches(self.told - (self.waiting.len() - some) as u64).await;
        }
    }
}

impl Subscriber {
    fn tell(&self, event: Event, number: u64) {
        let receipt = Receipt::new(number, self.confirmed.clone());
        // A subscriber that dropped its end wants no events.
        let _ = self.events.try_send(Told { event, receipt });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_core::conversation::{ConversationId, MessageState, Via};
    use letschat_core::notice::Notice;
    use letschat_protocol::message_id::MessageId;

    fn telling() -> (Telling, Events) {
        let mut telling = Telling::default();
        let told = telling.subscribe();
        (telling, told)
    }

    fn notice(bytes: usize) -> Event {
        Event::notice(Notice::ServerSays("x".repeat(bytes)))
    }

    fn displayed(number: u64) -> Option<Displayed> {
        Some(Displayed::Broadcast { log: 1, number })
    }

    #[test]
    fn only_confirmed_events_are_displayed() {
        let (mut telling, told) = telling();
        telling.tell(notice(1), displayed(1), 0);
        telling.tell(notice(1), None, 0);
        telling.tell(notice(1), displayed(2), 0);
        assert_eq!(telling.displayed(), []);
        // The event is received, but dropped unconfirmed.
        drop(told.try_recv().unwrap());
        assert_eq!(telling.displayed(), []);
        told.try_recv().unwrap().receipt.confirm();
        assert_eq!(telling.displayed(), [Displayed::Broadcast { log: 1, number: 1 }]);
        told.try_recv().unwrap().receipt.confirm();
        assert_eq!(telling.displayed(), [Displayed::Broadcast { log: 1, number: 2 }]);
        assert_eq!(telling.next_look(), None);
    }

    #[test]
    fn a_front_end_that_is_behind_holds_peers_until_half_is_read() {
        let (mut telling, told) = telling();
        while !telling.holds_peers() {
            telling.tell(notice(1_000), None, 0);
            telling.changed_backlog();
        }
        let count = told.len();
        for read in 1..=count {
            told.try_recv().unwrap().receipt.confirm();
            telling.displayed();
            let changed = telling.changed_backlog();
            assert_eq!(changed.is_some(), !telling.holds_peers());
            if changed.is_some() {
                assert!((count / 2 - 2..=count / 2 + 2).contains(&read), "{read} of {count}");
                return;
            }
        }
        panic!("peers are held for ever");
    }

    #[test]
    fn a_front_end_that_reads_nothing_loses_events_but_no_memory() {
        let (mut telling, told) = telling();
        for _ in 0..20_000 {
            telling.tell(notice(1_000), None, 0);
            telling.changed_backlog();
        }
        assert!(told.len() < FULL_BYTES / 1_000);
        assert_eq!(telling.take_dropped(), None, "it is told later");
        let read = told.len() as u64;
        while let Ok(one) = told.try_recv() {
            one.receipt.confirm();
        }
        telling.displayed();
        telling.changed_backlog();
        assert_eq!(telling.take_dropped(), Some(20_000 - read));
    }

    #[test]
    fn own_messages_that_nobody_reads_hold_up_no_peer() {
        let (mut telling, told) = telling();
        let id = MessageId::of_broadcast(1, 1);
        for _ in 0..100_000 {
            let conversation = ConversationId::Everyone;
            let (state, via) = (MessageState::Delivered, Via::Direct);
            telling.tell(
                Event::MessageState {
                    conversation,
                    id,
                    to: None,
                    state,
                    via,
                    code: None,
                    is_news: false,
                },
                None,
                0,
            );
            telling.changed_backlog();
            assert_eq!(telling.take_dropped(), None, "each word of it would wait as well");
        }
        assert!(!telling.holds_peers());
        assert!(told.len() < 100_000, "they take memory without a bound");
        while let Ok(one) = told.try_recv() {
            one.receipt.confirm();
        }
        telling.displayed();
        assert_eq!((telling.bytes, telling.own_bytes), (0, 0));
        assert!(telling.take_dropped().is_some());
    }

    #[test]
    fn event_is_displayed_when_every_subscriber_has_confirmed_it() {
        let (mut telling, first) = telling();
        telling.tell(notice(1), displayed(1), 0);
        let second = telling.subscribe();
        telling.tell(notice(1), displayed(2), 0);
        first.try_recv().unwrap().receipt.confirm();
        first.try_recv().unwrap().receipt.confirm();
        assert_eq!(telling.displayed(), [Displayed::Broadcast { log: 1, number: 1 }]);
        assert_eq!(second.len(), 1, "the second has only what came after it");
        drop(second);
        assert_eq!(telling.displayed(), [Displayed::Broadcast { log: 1, number: 2 }]);
    }

    #[test]
    fn a_front_end_that_wants_no_events_is_never_behind() {
        let (mut telling, told) = telling();
        drop(told);
        telling.tell(notice(1), displayed(1), 0);
        assert_eq!(telling.displayed(), [Displayed::Broadcast { log: 1, number: 1 }]);
    }
}
