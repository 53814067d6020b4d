//! Events on their way to a front end, and the word back that they were displayed.
//!
//! A front end confirms each event after it has displayed it. The client acknowledges messages and
//! remembers its position in the server's log only then, so that nothing is lost with a front end
//! that is killed. A front end that confirms nothing holds up the peers: see [`Backlog`].
//!
//! [`Backlog`]: letschat_core::session::Backlog

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::Receiver;
use event_listener::Event as Wakeup;

use letschat_core::event::Event;
use letschat_core::view::View;

/// The state of a client, and what happens after it.
#[derive(Debug)]
pub struct Subscription {
    /// The state. Each event that is [applied](View::apply) to it makes it the client's state again.
    pub view: View,
    /// The events that came later. When some were dropped, which a notice tells, only another subscription
    /// has the whole state again.
    pub events: Events,
}

/// The events of a client, in order.
pub type Events = Receiver<Told>;

/// An event, and what confirms it.
#[derive(Debug)]
pub struct Told {
    /// What happened.
    pub event: Event,
    /// To be confirmed once the event is displayed.
    pub receipt: Receipt,
}

/// Confirms that an event and all before it were displayed. Dropped without that, it confirms nothing.
#[derive(Debug)]
pub struct Receipt {
    number: u64,
    confirmed: Arc<Confirmed>,
}

impl Receipt {
    pub(crate) fn new(number: u64, confirmed: Arc<Confirmed>) -> Receipt {
        Receipt { number, confirmed }
    }

    /// The event was displayed.
    pub fn confirm(self) {
        self.confirmed.through(self.number);
    }
}

/// How many events were confirmed, counted from the first; shared by the client and its front end.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    count: AtomicU64,
    /// The count that is waited for. Below it nobody is woken.
    wanted: AtomicU64,
    reached: Wakeup,
}

impl Confirmed {
    /// Counts on from the events that were told before.
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

    /// Returns when so many are confirmed. One waits at a time.
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
