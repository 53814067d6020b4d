//! Coalesces self-wakes into one poll, and polls only after a wake.
//!
//! The session, the links and the channels to front ends wake each other on one thread, several
//! times for each message. On each wake an executor calls the operating system before it polls
//! again, to be fair to other sources: five system calls each time. Here a wake during a poll only
//! means one more round.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::future::poll_fn;

/// The rounds in a row, after which other sources have their turn.
const ROUNDS: usize = 16;

/// No poll is under way, so a wake goes on to the executor.
const IDLE: u8 = 0;
/// A poll is under way.
const POLLING: u8 = 1;
/// A wake has come and no poll has followed yet.
const WOKEN: u8 = 2;

/// Runs the future to its end, and polls it only after a wake of its own, however often the
/// surrounding task is polled. A needless look at a socket is a system call.
pub(crate) async fn when_woken<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let bell = Arc::new(Bell { state: AtomicU8::new(WOKEN), executor: Mutex::new(None) });
    let waker = Waker::from(bell.clone());
    poll_fn(move |context| {
        bell.note(context.waker());
        match bell.state.swap(IDLE, Ordering::SeqCst) {
            WOKEN => future.as_mut().poll(&mut Context::from_waker(&waker)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Runs the future to its end. Its own wakes only mean one more round.
pub(crate) async fn settling<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let bell = Arc::new(Bell { state: AtomicU8::new(IDLE), executor: Mutex::new(None) });
    let waker = Waker::from(bell.clone());
    poll_fn(move |context| bell.poll(context, &waker, future.as_mut())).await
}

/// The waker of the future.
struct Bell {
    state: AtomicU8,
    /// The waker of the executor.
    executor: Mutex<Option<Waker>>,
}

impl Bell {
    fn note(&self, waker: &Waker) {
        // No code panics while it holds this lock, and the waker is whole or absent.
        let mut executor = self.executor.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *executor {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
    }

    fn poll<T>(
        &self,
        context: &mut Context<'_>,
        waker: &Waker,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> Poll<T> {
        self.note(context.waker());
        for _ in 0..ROUNDS {
            self.state.store(POLLING, Ordering::SeqCst);
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(value);
            }
            let order = Ordering::SeqCst;
            if self.state.compare_exchange(POLLING, IDLE, order, order).is_ok() {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::SeqCst) == IDLE {
            let executor = self.executor.lock().unwrap_or_else(PoisonError::into_inner).clone();
            executor.inspect(Waker::wake_by_ref);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once, yield_now};
    use std::thread;

    /// A waker that counts its wakes.
    struct Counted(AtomicU8);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_wakes_itself_does_not_wake_the_executor() {
        let executor = Arc::new(Counted(AtomicU8::new(0)));
        let waker = Waker::from(executor.clone());
        let mut future = pin!(settling(async {
            for _ in 0..ROUNDS - 1 {
                yield_now().await;
            }
        }));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        assert_eq!(executor.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_never_settles_lets_others_have_their_turn() {
        let executor = Arc::new(Counted(AtomicU8::new(0)));
        let waker = Waker::from(executor.clone());
        let mut future = pin!(settling(async {
            loop {
                yield_now().await;
            }
        }));
        let polled: Poll<()> = future.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(executor.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_is_not_woken_is_not_polled_again() {
        let (sender, receiver) = async_channel::bounded::<u8>(1);
        let mut polls = 0;
        let counted = poll_fn(|context| {
            polls += 1;
            pin!(receiver.recv()).poll(context)
        });
        let mut future = Box::pin(when_woken(counted));
        for _ in 0..3 {
            assert!(block_on(poll_once(&mut future)).is_none());
        }
        assert!(sender.try_send(7).is_ok());
        drop(future);
        assert_eq!(polls, 1);
    }

    #[test]
    fn what_is_woken_is_polled_again() {
        let (sender, receiver) = async_channel::bounded(1);
        let mut future = Box::pin(when_woken(receiver.recv()));
        assert!(block_on(poll_once(&mut future)).is_none());
        assert!(sender.try_send(7).is_ok());
        assert_eq!(block_on(future), Ok(7));
    }

    #[test]
    fn a_wake_from_another_thread_is_never_lost() {
        for _ in 0..200 {
            let (sender, receiver) = async_channel::bounded(1);
            let sending = thread::spawn(move || {
                for number in 0..20 {
                    assert!(sender.send_blocking(number).is_ok());
                    thread::yield_now();
                }
            });
            block_on(settling(async {
                for number in 0..20 {
                    assert_eq!(receiver.recv().await, Ok(number));
                }
            }));
            assert!(sending.join().is_ok());
        }
    }
}
