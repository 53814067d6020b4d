//! The limit on the time that a script computes without yielding.

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

/// The remaining slice of a script. It counts the thread's processor time, so that a busy machine does not
/// use it up.
#[derive(Default)]
pub(super) struct Budget {
    started: Cell<Duration>,
    /// The time of the last check, on a clock that advances every few milliseconds.
    looked: Cell<Duration>,
    is_spent: Cell<bool>,
    /// True once the script must end.
    stop: Arc<AtomicBool>,
}

impl Budget {
    pub(super) fn new(stop: Arc<AtomicBool>) -> Rc<Budget> {
        Rc::new(Budget { stop, ..Budget::default() })
    }

    /// Starts a new slice. Every call into Lua starts with this.
    pub(super) fn begin(&self) {
        self.started.set(processor_time());
        self.is_spent.set(false);
    }

    /// Makes every later interrupt fail.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Installs the interrupt. Once the slice is spent each interrupt returns an error, so a `pcall` can't
    /// continue past the end of its own call.
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

    /// Returns true if the coarse clock has advanced since the last check. Luau interrupts at every call,
    /// loop iteration and pattern attempt, and reading this clock is cheap.
    fn is_time_to_look(&self) -> bool {
        let now = coarse_time();
        self.looked.replace(now) != now
    }

    /// Wraps a future that runs Lua. Each poll gets a new slice.
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
