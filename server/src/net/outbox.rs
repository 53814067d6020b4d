//! The hub's instructions to a connection: bytes to send, a line to read, an end.
//!
//! The hub's driver adds instructions without ever waiting, and the connection's task takes them.
//! One lock covers everything including the task's waker, so that no wake-up is lost.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use letschat_protocol::frame::Mode;

use super::relay::RelayEnd;

/// The most bytes that may wait for one connection. A client that exceeds it is dropped. The largest
/// page of mail (64 KiB) fits beside the largest reply (32 KiB) and smaller notices.
pub(crate) const OUTBOX_BYTES: usize = 128 * 1024;

/// The outbox shared by the hub's driver and one connection's task.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    instructions: Instructions,
    /// True if `instructions` holds anything that the task has not taken.
    fresh: bool,
    /// Bytes that the task has taken but not sent yet.
    in_flight: usize,
    closed: bool,
    task: Option<Waker>,
}

/// The instructions since the task last took them.
#[derive(Default)]
pub(crate) struct Instructions {
    /// The bytes to send, in order, before anything else here.
    pub(crate) bytes: Vec<u8>,
    /// The mode in which to read the next line.
    pub(crate) line: Option<Mode>,
    /// True if the hub wants a notice once all bytes are sent.
    pub(crate) tell_when_drained: bool,
    /// The end of a relay that takes over the connection once all bytes are sent.
    pub(crate) relay: Option<RelayEnd>,
    /// True if the connection has to send the rest and close.
    pub(crate) close: bool,
    /// True if the bytes exceeded the limit. Some are missing, so the connection closes at once.
    pub(crate) overflowed: bool,
}

/// The hub's side, which never waits.
impl Outbox {
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.instruct(|state| {
            let waiting = state.instructions.bytes.len() + state.in_flight;
            if waiting + bytes.len() > OUTBOX_BYTES {
                state.instructions.overflowed = true;
            } else {
                state.instructions.bytes.extend_from_slice(bytes);
            }
        });
    }

    pub(crate) fn ask_for_line(&self, mode: Mode) {
        self.instruct(|state| state.instructions.line = Some(mode));
    }

    pub(crate) fn tell_when_drained(&self) {
        self.instruct(|state| state.instructions.tell_when_drained = true);
    }

    pub(crate) fn relay(&self, end: RelayEnd) {
        self.instruct(|state| state.instructions.relay = Some(end));
    }

    pub(crate) fn close(&self) {
        self.instruct(|state| {
            state.instructions.close = true;
            state.closed = true;
        });
    }

    fn instruct(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.fresh = true;
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// The connection's side.
impl Outbox {
    /// Takes all instructions, or registers the task to be woken by the next.
    pub(crate) fn poll_instructions(&self, cx: &mut Context<'_>) -> Poll<Instructions> {
        let mut state = self.lock();
        if !state.fresh {
            state.wake_later(cx);
            return Poll::Pending;
        }
        state.fresh = false;
        let instructions = std::mem::take(&mut state.instructions);
        state.in_flight += instructions.bytes.len();
        Poll::Ready(instructions)
    }

    /// Records that this many of the taken bytes have been sent.
    pub(crate) fn passed_on(&self, bytes: usize) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(bytes);
    }

    /// Returns when the hub closes the connection, whatever else it wants.
    pub(crate) async fn closed(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.closed {
                return Poll::Ready(());
            }
            state.wake_later(cx);
            Poll::Pending
        })
        .await;
    }

    /// Locks the state. Poisoning is ignored: no panic happens under this lock, and the state is
    /// always consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_later(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn take(outbox: &Outbox) -> Option<Instructions> {
        match outbox.poll_instructions(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(instructions) => Some(instructions),
            Poll::Pending => None,
        }
    }

    #[test]
    fn instructions_are_taken_once_and_together() {
        let outbox = Outbox::default();
        outbox.send(b"one ");
        outbox.send(b"two");
        outbox.ask_for_line(Mode::Verbatim);
        let instructions = take(&outbox).unwrap();
        assert_eq!(instructions.bytes, b"one two");
        assert_eq!(instructions.line, Some(Mode::Verbatim));
        assert!(take(&outbox).is_none());
    }

    #[test]
    fn an_instruction_wakes_the_task_that_found_nothing() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let outbox = Outbox::default();
        assert!(outbox.poll_instructions(&mut Context::from_waker(&waker)).is_pending());
        outbox.close();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(take(&outbox).unwrap().close);
    }

    #[test]
    fn the_bound_counts_what_waits_and_what_is_under_way() {
        let outbox = Outbox::default();
        outbox.send(&[0; OUTBOX_BYTES]);
        assert!(!take(&outbox).unwrap().overflowed);
        outbox.passed_on(10);
        outbox.send(&[0; 10]);
        assert!(!take(&outbox).unwrap().overflowed);
        outbox.send(&[0; 1]);
        let instructions = take(&outbox).unwrap();
        assert!(instructions.overflowed);
        assert_eq!(instructions.bytes, b"");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// Checks that taken bytes arrive in order and the limit is never exceeded, for any sends
        /// and any speed of the task.
        #[test]
        fn outbox_holds_its_limit_and_says_when_it_loses_something(
            steps in prop::collection::vec((0_u8..4, 0_usize..50_000), 1..16),
        ) {
            let outbox = Outbox::default();
            let (mut waiting, mut under_way) = (0, 0);
            let (mut overflowed, mut told) = (false, false);
            let (mut sent, mut came) = (0_u8, Vec::new());
            let mut expected: Vec<u8> = Vec::new();
            for (step, size) in steps {
                match step {
                    0 | 1 => {
                        sent = sent.wrapping_add(1);
                        outbox.send(&vec![sent; size]);
                        if waiting + under_way + size > OUTBOX_BYTES {
                            overflowed = true;
                        } else {
                            waiting += size;
                            expected.resize(expected.len() + size, sent);
                        }
                    }
                    2 => {
                        let instructions = take(&outbox).unwrap_or_default();
                        prop_assert_eq!(instructions.bytes.len(), waiting);
                        told |= instructions.overflowed;
                        prop_assert_eq!(told, overflowed);
                        under_way += std::mem::take(&mut waiting);
                        came.extend_from_slice(&instructions.bytes);
                    }
                    _ => {
                        let out = size.min(under_way);
                        outbox.passed_on(out);
                        under_way -= out;
                    }
                }
                prop_assert!(waiting + under_way <= OUTBOX_BYTES);
            }
            came.extend_from_slice(&take(&outbox).unwrap_or_default().bytes);
            prop_assert!(came == expected, "other bytes came out than went in");
        }
    }
}
