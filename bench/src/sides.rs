//! The two sides of a conversation, each on a core of its own, if the machine has two.
//!
//! Otherwise the scheduler would switch both between one core and two every few seconds. Waking a
//! thread on another core takes five times as long.

use std::io;
use std::thread::{self, ScopedJoinHandle};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::programs::{BenchResult, Failed};

/// Runs both functions at the same time. Threads that they start stay on their core.
pub(crate) fn both<A: Send, B: Send>(
    one: impl FnOnce() -> BenchResult<A> + Send,
    other: impl FnOnce() -> BenchResult<B> + Send,
) -> BenchResult<(A, B)> {
    thread::scope(|scope| {
        let one = scope.spawn(|| on_core(0, one));
        let other = scope.spawn(|| on_core(1, other));
        Ok((joined(one)?, joined(other)?))
    })
}

fn on_core<T>(side: usize, work: impl FnOnce() -> BenchResult<T>) -> Result<T, String> {
    keep_to_core(side).map_err(|error| error.to_string())?;
    work().map_err(|error| error.to_string())
}

fn joined<T>(side: ScopedJoinHandle<'_, Result<T, String>>) -> BenchResult<T> {
    let done = side.join().unwrap_or_else(|_| Err("one side has panicked".into()));
    Ok(done.map_err(Failed)?)
}

/// Binds this thread and its future children to the core of this side, or to the only core.
fn keep_to_core(side: usize) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let Some(core) = cores.cycle().nth(side) else {
        return Ok(());
    };
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}
