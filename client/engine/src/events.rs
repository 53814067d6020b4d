//! The events for a front end, and its confirmations that it has displayed them.
//!
//! A front end confirms each event after it has displayed it. Only then does the client acknowledge
//! messages and save its position in the server's log, so that a killed front end loses nothing. A
//! front end that confirms nothing holds up the peers: see [`Backlog`].
//!
//! [`Backlog`]: letschat_core::session::Backlog

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::Receiver;
use event_listener::Event as Wakeup;

use letschat_core::event::Event;
use letschat_core::view::View;

/// The state of a client, and the events after it.
#[derive(Debug)]
pub struct Subscription {
    /// The state. It stays the client's state while each event is [applied](View::apply) to it.
    pub view: View,
    /// The later events. A notice reports dropped ones. Only another subscription then has the
    /// whole state again.
    pub events: Events,
}

/// The events of a client, in order.
pub type Events = Receiver<Told>;

/// An event with its receipt.
#[derive(Debug)]
pub struct Told {
    /// The event.
    pub event: Event,
    /// The receipt to confirm once the event is displayed.
    pub receipt: Receipt,
}

/// A receipt that confirms an event and all before it as displayed. Dropping it confirms nothing.
#[derive(Debug)]
pub struct Receipt {
    number: u64,
    confirmed: Arc<Confirmed>,
}

impl Receipt {
    pub(crate) fn new(number: u64, confirmed: Arc<Confirmed>) -> Receipt {
        Receipt { number, confirmed }
    }

    /// Confirms that the event was displayed.
    pub fn confirm(self) {
        self.confirmed.through(self.number);
    }
}

/// The count of confirmed events since the first, shared by the client and its front end.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    count: AtomicU64,
    /// The count that is waited for. Lower counts wake nobody.
    wanted: AtomicU64,
    reached: Wakeup,
}

impl Confirmed {
    /// Returns a count that continues after the events told before.
    pub(crate) fn after(count: u64) -> Arc<Confirmed> {
        Arc::new(Confirmed { count: AtomicU64::new(count), ..Confirmed::default() })
    }

    /// Confirms the events up to this one, numbered from 1.
    fn through(&self, number: u64) {
        let before = self.count.fetch_max(number, Ordering::SeqCst);
        let wanted = self.wanted.load(Ordering::SeqCst);
        if (before + 1..=number).contains(&wanted) {
            self.reached.notify(usize::MAX);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until this many are confirmed. Only one task waits at a time.
    pub(crate) async fn reaches(&self, count: u64) {
        self.wanted.store(count, Ordering::SeqCst);
        loop {
            let reached = self.reached.listen();
            if self.count() >= count {
                return;
            }
            reached.await;
        }
    }
}
