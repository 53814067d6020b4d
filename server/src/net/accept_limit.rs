//! Backpressure on accepting connections.
//!
//! After a restart thousands of clients connect at once, faster than they can be served. If all
//! were accepted at once, they would evict each other from the pre-login places after their
//! handshakes. While most places are taken and clients log in from them, new connections therefore
//! wait in the kernel's queue, where waiting costs nothing.
//!
//! Silent connections block nobody. While nobody logs in, nobody waits, and the hub evicts old
//! connections. The next connection waits only briefly, and while the places are crowded each login
//! admits one connection.
//!
//! The hub evicts one connection for each that is accepted beyond the places, and until then no
//! other is accepted. Connections that come faster wait in the kernel's queue. In the hub's queue
//! they would delay the lines of logged-in clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer;
use event_listener::Event;
use futures_lite::future;

use crate::hub::PRE_LOGIN_PLACES;

/// The number of taken places at which new connections wait. It keeps the processors busy while
/// answers are in transit, and leaves some places free.
const CROWD: usize = PRE_LOGIN_PLACES / 4 * 3;

/// The number of taken places that shows that the hub has not handled the last arrivals yet.
const UNSEEN: usize = PRE_LOGIN_PLACES + 16;

/// The timing of the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// The time after a login during which clients count as logging in.
    pub(crate) moving: Duration,
    /// The longest wait of the next connection.
    pub(crate) longest_wait: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Waits { moving: Duration::from_millis(100), longest_wait: Duration::from_millis(20) }
    }
}

/// A limit on the connections that are accepted but not logged in.
#[derive(Clone, Default)]
pub(crate) struct AcceptLimit {
    shared: Arc<Shared>,
    waits: Waits,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when a place is released.
    left: Event,
}

#[derive(Default)]
struct State {
    /// The number of places that are taken.
    taken: usize,
    /// Connections that may be accepted in place of ones that logged in, however many remain.
    due: usize,
    last_login: Option<Instant>,
}

/// A pre-login place, held from the accept until the login or until the hub closes the connection.
pub(crate) struct PreLoginPlace(Arc<Shared>);

impl AcceptLimit {
    /// Waits for room, at most `longest_wait`, and then until the hub has handled the last arrivals.
    pub(crate) async fn wait_for_room(&self) {
        let long_enough = async {
            Timer::after(self.waits.longest_wait).await;
        };
        future::or(self.until(|| self.may_enter(Instant::now())), long_enough).await;
        self.until(|| self.shared.lock().taken < UNSEEN).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        while !holds() {
            let left = self.shared.left.listen();
            // Check again: a place released before the listener existed does not notify it.
            if holds() {
                return;
            }
            left.await;
        }
    }

    fn may_enter(&self, now: Instant) -> bool {
        let mut state = self.shared.lock();
        let since_login = state.last_login.map(|login| now.saturating_duration_since(login));
        let is_moving = since_login.is_some_and(|time| time < self.waits.moving);
        if state.taken < CROWD || !is_moving {
            return true;
        }
        let is_due = state.due > 0;
        state.due -= usize::from(is_due);
        is_due
    }

    /// Takes a place, even if none is free.
    pub(crate) fn take_place(&self) -> PreLoginPlace {
        self.shared.lock().taken += 1;
        PreLoginPlace(self.shared.clone())
    }
}

impl PreLoginPlace {
    /// Releases the place after a login.
    pub(crate) fn log_in(self) {
        let mut state = self.0.lock();
        state.last_login = Some(Instant::now());
        // Silent connections must not keep out clients that log in.
        if state.taken > CROWD {
            state.due = (state.due + 1).min(PRE_LOGIN_PLACES - CROWD);
        }
    }
}

impl Drop for PreLoginPlace {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
        self.0.left.notify(1);
    }
}

impl Shared {
    /// Locks the state. Poisoning is ignored: no panic happens under this lock, and the state is
    /// always consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3_600);

    fn limit(longest_wait: Duration) -> AcceptLimit {
        AcceptLimit { waits: Waits { moving: LONG, longest_wait }, ..AcceptLimit::default() }
    }

    fn crowd(limit: &AcceptLimit) -> Vec<PreLoginPlace> {
        (0..CROWD).map(|_| limit.take_place()).collect()
    }

    /// Returns true if a new connection would wait.
    async fn waits(limit: &AcceptLimit) -> bool {
        future::poll_once(limit.wait_for_room()).await.is_none()
    }

    #[test]
    fn crowd_at_the_door_holds_up_newcomers_until_one_leaves() {
        let limit = limit(LONG);
        let mut places = crowd(&limit);
        async_io::block_on(async {
            places.remove(0).log_in();
            assert!(!waits(&limit).await);
            places.push(limit.take_place());
            for logs_in in [true, false] {
                let mut newcomer = pin!(limit.wait_for_room());
                assert!(future::poll_once(&mut newcomer).await.is_none());
                let place = places.remove(0);
                if logs_in {
                    place.log_in();
                } else {
                    drop(place);
                }
                assert!(future::poll_once(&mut newcomer).await.is_some());
                places.push(limit.take_place());
            }
        });
    }

    #[test]
    fn a_crowd_of_which_nobody_gets_in_holds_up_nobody() {
        let limit = limit(LONG);
        let mut places = crowd(&limit);
        async_io::block_on(async {
            assert!(!waits(&limit).await);
            drop(places.remove(0));
            places.push(limit.take_place());
            assert!(!waits(&limit).await);
        });
        let login = Instant::now();
        limit.take_place().log_in();
        assert!(limit.may_enter(login), "in the place of the one");
        assert!(!limit.may_enter(login));
        assert!(limit.may_enter(login + LONG + LONG));
    }

    #[test]
    fn a_newcomer_waits_for_a_moment_only() {
        let limit = limit(Duration::from_millis(1));
        let _places = crowd(&limit);
        limit.take_place().log_in();
        assert!(limit.may_enter(Instant::now()), "in the place of the one");
        assert!(!limit.may_enter(Instant::now()));
        async_io::block_on(limit.wait_for_room());
    }

    #[test]
    fn whoever_comes_faster_than_the_hub_looks_waits() {
        let limit = limit(Duration::ZERO);
        let mut unseen: Vec<PreLoginPlace> = (0..UNSEEN).map(|_| limit.take_place()).collect();
        async_io::block_on(async {
            let mut newcomer = pin!(limit.wait_for_room());
            // The first wait is over, and the second one is not.
            Timer::after(Duration::from_millis(1)).await;
            assert!(future::poll_once(&mut newcomer).await.is_none());
            drop(unseen.pop());
            assert!(future::poll_once(&mut newcomer).await.is_some());
        });
    }

    #[test]
    fn who_only_stands_there_does_not_hold_up_those_who_get_in() {
        let limit = limit(LONG);
        let _silent = crowd(&limit);
        async_io::block_on(async {
            for _ in 0..3 {
                let getting_in = limit.take_place();
                getting_in.log_in();
                assert!(!waits(&limit).await, "one got in, so one may come");
                assert!(waits(&limit).await, "and not two");
            }
        });
    }
}
