//! How long a script computes without giving way.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mlua::{Error, Lua, VmState};
use rustix::time::{ClockId, clock_gettime};

use super::limits::SLICE;

/// The time that is left to a script. Measured in time of its thread's processor, so that a busy
/// machine is not held against it.
#[derive(Default)]
pub(super) struct Budget {
    started: Cell<Duration>,
    /// When the time was last looked at, by a clock that steps every few milliseconds.
    looked: Cell<Duration>,
    is_spent: Cell<bool>,
    /// The script is over, whatever it thinks of that.
    stop: Arc<AtomicBool>,
}

impl Budget {
    pub(super) fn new(stop: Arc<AtomicBool>) -> Rc<Budget> {
        Rc::new(Budget { stop, ..Budget::default() })
    }

    /// Sets the time anew: whatever runs in Lua begins with this.
    pub(super) fn begin(&self) {
        self.started.set(processor_time());
        self.is_spent.set(false);
    }

    /// Nothing more runs from now on.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Has Luau ask before it goes on. Once the time is spent every answer is an error, so that no
    /// `pcall` gets further than to the end of its own call.
    pub(super) fn watch(self: &Rc<Self>, lua: &Lua) {
        let budget = self.clone();
        lua.set_interrupt(move |_| budget.interrupt());
    }

    fn interrupt(&self) -> mlua::Result<VmState> {
        if self.is_stopped() {
            return Err(Error::runtime("it was stopped"));
        }
        if !self.is_spent.get() && self.is_time_to_look() {
            self.is_spent.set(processor_time().saturating_sub(self.started.get()) > SLICE);
        }
        if self.is_spent.get() {
            let message = format!("it computed for {} ms without giving way", SLICE.as_millis());
            return Err(Error::runtime(message));
        }
        Ok(VmState::Continue)
    }

    /// Interrupts come with every call, every round of a loop and every try of a pattern. Most find
    /// the coarse clock where it was, which costs next to nothing to see.
    fn is_time_to_look(&self) -> bool {
        let now = coarse_time();
        self.looked.replace(now) != now
    }

    /// A future that runs Lua, with a slice of time for each of its turns.
    pub(super) fn slices<F: Future>(self: &Rc<Self>, future: F) -> Slices<F> {
        Slices { budget: self.clone(), future: Box::pin(future) }
    }
}

pub(super) struct Slices<F> {
    budget: Rc<Budget>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Slices<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.budget.begin();
        self.future.as_mut().poll(context)
    }
}

fn processor_time() -> Duration {
    time_of(ClockId::ThreadCPUTime)
}

fn coarse_time() -> Duration {
    time_of(ClockId::MonotonicCoarse)
}

fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
