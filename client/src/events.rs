//! Events on their way to a front end, and the word back that they were displayed.
//!
//! A front end confirms each event after it has displayed it. The client acknowledges messages and
//! remembers its position in the server's log only then, so that nothing is lost with a front end
//! that is killed. A front end that confirms nothing holds up the peers: see [`Backlog`].
//!
//! [`Backlog`]: crate::session::Backlog

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::Receiver;
use event_listener::Event as Wakeup;

use crate::event::Event;

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
    changed: Wakeup,
}

impl Confirmed {
    /// Confirms the events up to this one, numbered from 1.
    pub(crate) fn through(&self, number: u64) {
        self.count.fetch_max(number, Ordering::SeqCst);
        self.changed.notify(usize::MAX);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns when more than so many are confirmed.
    pub(crate) async fn beyond(&self, count: u64) {
        loop {
            let changed = self.changed.listen();
            if self.count() > count {
                return;
            }
            changed.await;
        }
    }
}
