//! The send queue of one link.
//!
//! The driver adds frames without ever waiting, and the link's task takes them. The queue never
//! exceeds its limit: a link that falls so far behind counts as broken.

use std::cell::RefCell;

use event_listener::Event;
use letschat_protocol::frame::Frame;

/// A send queue shared by the driver and one link's task, on one thread.
pub(crate) struct Outbox {
    limit_bytes: usize,
    state: RefCell<State>,
    changed: Event,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// The bytes that the task has taken and not yet sent.
    in_flight: usize,
    overflowed: bool,
    closed: bool,
    detached: bool,
}

/// The next step for the link's task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send these bytes, then ask for the next step.
    Send(Vec<u8>),
    /// Close the link: everything is sent.
    Close,
    /// Leave the stream to somebody else: everything is sent.
    Detach,
}

impl Outbox {
    pub(crate) fn new(limit_bytes: usize) -> Outbox {
        Outbox { limit_bytes, state: RefCell::default(), changed: Event::new() }
    }

    /// Adds a frame, unless the outbox is closed.
    pub(crate) fn send(&self, frame: &Frame) {
        let mut state = self.state.borrow_mut();
        if state.closed || state.overflowed {
            return;
        }
        frame.encode(&mut state.bytes);
        if state.bytes.len() + state.in_flight > self.limit_bytes {
            state.overflowed = true;
            state.bytes = Vec::new();
        }
        self.changed.notify(usize::MAX);
    }

    /// Closes the outbox. The link ends after the rest is sent.
    pub(crate) fn close(&self) {
        self.state.borrow_mut().closed = true;
        self.changed.notify(usize::MAX);
    }

    /// Ends the link after the rest is sent, and leaves its stream to somebody else.
    pub(crate) fn detach(&self) {
        self.state.borrow_mut().detached = true;
        self.changed.notify(usize::MAX);
    }

    /// Waits until [`close`](Self::close) was called, even if the outbox is not empty.
    pub(crate) async fn closed(&self) {
        self.until(|state| state.closed.then_some(())).await;
    }

    /// Waits until the limit is exceeded. Frames are then missing, so the link is broken, even if
    /// its task waits for the network and asks for no next step.
    pub(crate) async fn overflowed(&self) {
        self.until(|state| state.overflowed.then_some(())).await;
    }

    /// Returns the next step. The bytes of the last one count as sent.
    pub(crate) async fn next(&self) -> Step {
        self.state.borrow_mut().in_flight = 0;
        self.until(State::step).await
    }

    async fn until<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.listen();
            if let Some(value) = ready(&mut self.state.borrow_mut()) {
                return value;
            }
            changed.await;
        }
    }
}

impl State {
    fn step(&mut self) -> Option<Step> {
        if self.overflowed {
            return None;
        }
        if !self.bytes.is_empty() {
            self.in_flight = self.bytes.len();
            return Some(Step::Send(std::mem::take(&mut self.bytes)));
        }
        match self.detached {
            true => Some(Step::Detach),
            false => self.closed.then_some(Step::Close),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use proptest::prelude::*;

    fn step_of(outbox: &Outbox) -> Option<Step> {
        block_on(poll_once(outbox.next()))
    }

    #[test]
    fn what_was_said_goes_out_in_order_before_the_end() {
        let outbox = Outbox::new(100);
        outbox.send(&Frame::line("ONE"));
        outbox.send(&Frame::with_payload("TWO", "x"));
        outbox.close();
        outbox.send(&Frame::line("TOO LATE"));
        assert_eq!(step_of(&outbox), Some(Step::Send(b"ONE\nTWO +1\nx\n".to_vec())));
        assert_eq!(step_of(&outbox), Some(Step::Close));
    }

    #[test]
    fn the_bound_counts_what_waits_and_what_is_under_way() {
        let outbox = Outbox::new(8);
        outbox.send(&Frame::line("1234"));
        assert_eq!(step_of(&outbox), Some(Step::Send(b"1234\n".to_vec())));
        outbox.send(&Frame::line("12"));
        assert_eq!(step_of(&outbox), Some(Step::Send(b"12\n".to_vec())));
        assert_eq!(block_on(poll_once(outbox.overflowed())), None);
        outbox.send(&Frame::line("123456"));
        assert_eq!(block_on(poll_once(outbox.overflowed())), Some(()));
        outbox.close();
        assert_eq!(step_of(&outbox), None);
    }

    #[test]
    fn a_wish_wakes_who_waits() {
        let outbox = Outbox::new(8);
        let mut closed = Box::pin(outbox.closed());
        assert_eq!(block_on(poll_once(&mut closed)), None);
        outbox.close();
        assert_eq!(block_on(poll_once(&mut closed)), Some(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn outbox_holds_its_limit_and_says_when_it_loses_something(
            steps in prop::collection::vec(prop::option::of(0_usize..40), 1..40),
        ) {
            const LIMIT: usize = 100;
            let outbox = Outbox::new(LIMIT);
            let (mut waiting, mut under_way) = (Vec::new(), 0);
            for step in steps {
                match step {
                    Some(size) => {
                        outbox.send(&Frame::line("x".repeat(size)));
                        waiting.extend(Frame::line("x".repeat(size)).to_bytes());
                    }
                    // The task asks for the next step, so its last bytes are sent.
                    None => {
                        let step = step_of(&outbox);
                        prop_assert_eq!(&step, &(!waiting.is_empty()).then(|| Step::Send(waiting.clone())));
                        under_way = std::mem::take(&mut waiting).len();
                    }
                }
                let over = waiting.len() + under_way > LIMIT;
                prop_assert_eq!(block_on(poll_once(outbox.overflowed())).is_some(), over);
                if over {
                    prop_assert_eq!(step_of(&outbox), None);
                    return Ok(());
                }
            }
        }
    }
}
