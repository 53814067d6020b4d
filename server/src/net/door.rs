//! How fast newcomers are accepted: a crowd that is getting in is not to push itself out.
//!
//! After a restart thousands come at once, faster than they can be served. If all were accepted as
//! they come, they would push each other out of the antechamber, after the handshake has been done
//! for them in vain. So while most of the antechamber is taken, and people are getting in from it,
//! newcomers stay in the kernel's queue, where waiting costs nothing, until one has left.
//!
//! A crowd that stands there in silence holds up nobody: where nobody gets in nobody waits, and the
//! hub has an old one leave. In any case the next in the queue waits for a moment only, and where
//! more than a crowd stands there each login lets one in: silent ones can't hold up the others.
//!
//! For each one more than the antechamber has places the hub has one leave. While it has not come to
//! do so nobody is accepted: those who come faster than the hub can look at them wait in the kernel's
//! queue, and not in the hub's, where the words of those inside would wait behind them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer;
use event_listener::Event;
use futures_lite::future;

use crate::hub::ANTECHAMBER_PLACES;

/// With so many at the door, newcomers wait: enough to keep the processors busy while answers are
/// on their way, and some places fewer than the antechamber has.
const CROWD: usize = ANTECHAMBER_PLACES / 4 * 3;

/// With so many at the door, the hub has not looked at the last ones yet.
const UNSEEN: usize = ANTECHAMBER_PLACES + 16;

/// How newcomers are held up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// After a login, people are taken to be getting in for so long.
    pub(crate) moving: Duration,
    /// So long the next in the queue waits at the most.
    pub(crate) longest_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { moving: Duration::from_millis(100), longest_wait: Duration::from_millis(20) }
    }
}

/// The door, as the listener sees it.
#[derive(Clone, Default)]
pub(crate) struct Door {
    shared: Arc<Shared>,
    pace: Pace,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody has left the door, inwards or outwards.
    left: Event,
}

#[derive(Default)]
struct State {
    /// How many places are taken.
    standing: usize,
    /// Newcomers who take the turn of one that got in, however many stand there still.
    due: usize,
    last_login: Option<Instant>,
}

/// A place at the door, from being accepted until the login, or until the hub closes it.
pub(crate) struct Place(Arc<Shared>);

impl Door {
    /// Waits for room, if it is worth the wait.
    pub(crate) async fn wait_for_room(&self) {
        let long_enough = async {
            Timer::after(self.pace.longest_wait).await;
        };
        future::or(self.until(|| self.may_enter(Instant::now())), long_enough).await;
        self.until(|| self.shared.lock().standing < UNSEEN).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        while !holds() {
            let left = self.shared.left.listen();
            // Whoever left before there was a listener is seen here.
            if holds() {
                return;
            }
            left.await;
        }
    }

    fn may_enter(&self, now: Instant) -> bool {
        let mut state = self.shared.lock();
        let since_login = state.last_login.map(|login| now.saturating_duration_since(login));
        let is_moving = since_login.is_some_and(|time| time < self.pace.moving);
        if state.standing < CROWD || !is_moving {
            return true;
        }
        let is_due = state.due > 0;
        state.due -= usize::from(is_due);
        is_due
    }

    /// Takes a place, whether there is room or not.
    pub(crate) fn take_place(&self) -> Place {
        self.shared.lock().standing += 1;
        Place(self.shared.clone())
    }
}

impl Place {
    /// Gives the place up for one inside.
    pub(crate) fn log_in(self) {
        let mut state = self.0.lock();
        state.last_login = Some(Instant::now());
        // Those who only stand there are not to keep out those who get in.
        if state.standing > CROWD {
            state.due = (state.due + 1).min(ANTECHAMBER_PLACES - CROWD);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().standing -= 1;
        self.0.left.notify(1);
    }
}

impl Shared {
    /// Nobody panics while holding this lock, and if somebody did, the state would still be whole.
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

    fn door(longest_wait: Duration) -> Door {
        Door { pace: Pace { moving: LONG, longest_wait }, ..Door::default() }
    }

    fn crowd(door: &Door) -> Vec<Place> {
        (0..CROWD).map(|_| door.take_place()).collect()
    }

    /// Whether somebody who came now would wait.
    async fn waits(door: &Door) -> bool {
        future::poll_once(door.wait_for_room()).await.is_none()
    }

    #[test]
    fn crowd_at_the_door_holds_up_newcomers_until_one_leaves() {
        let door = door(LONG);
        let mut places = crowd(&door);
        async_io::block_on(async {
            places.remove(0).log_in();
            assert!(!waits(&door).await);
            places.push(door.take_place());
            for logs_in in [true, false] {
                let mut newcomer = pin!(door.wait_for_room());
                assert!(future::poll_once(&mut newcomer).await.is_none());
                let place = places.remove(0);
                if logs_in {
                    place.log_in();
                } else {
                    drop(place);
                }
                assert!(future::poll_once(&mut newcomer).await.is_some());
                places.push(door.take_place());
            }
        });
    }

    #[test]
    fn a_crowd_of_which_nobody_gets_in_holds_up_nobody() {
        let door = door(LONG);
        let mut places = crowd(&door);
        async_io::block_on(async {
            assert!(!waits(&door).await);
            drop(places.remove(0));
            places.push(door.take_place());
            assert!(!waits(&door).await);
        });
        let login = Instant::now();
        door.take_place().log_in();
        assert!(door.may_enter(login), "in the place of the one");
        assert!(!door.may_enter(login));
        assert!(door.may_enter(login + LONG + LONG));
    }

    #[test]
    fn a_newcomer_waits_for_a_moment_only() {
        let door = door(Duration::from_millis(1));
        let _places = crowd(&door);
        door.take_place().log_in();
        assert!(door.may_enter(Instant::now()), "in the place of the one");
        assert!(!door.may_enter(Instant::now()));
        async_io::block_on(door.wait_for_room());
    }

    #[test]
    fn whoever_comes_faster_than_the_hub_looks_waits() {
        let door = door(Duration::ZERO);
        let mut unseen: Vec<Place> = (0..UNSEEN).map(|_| door.take_place()).collect();
        async_io::block_on(async {
            let mut newcomer = pin!(door.wait_for_room());
            // The first wait is over, and the second one is not.
            Timer::after(Duration::from_millis(1)).await;
            assert!(future::poll_once(&mut newcomer).await.is_none());
            drop(unseen.pop());
            assert!(future::poll_once(&mut newcomer).await.is_some());
        });
    }

    #[test]
    fn who_only_stands_there_does_not_hold_up_those_who_get_in() {
        let door = door(LONG);
        let _silent = crowd(&door);
        async_io::block_on(async {
            for _ in 0..3 {
                let getting_in = door.take_place();
                getting_in.log_in();
                assert!(!waits(&door).await, "one got in, so one may come");
                assert!(waits(&door).await, "and not two");
            }
        });
    }
}
