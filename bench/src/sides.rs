//! The two sides of a conversation, each on a core of its own, as far as the machine has two.
//!
//! Left to itself the system runs both on one core or on two, as it pleases, and changes its mind
//! from second to second; to wake somebody on another core takes five times as long.

use std::io;
use std::thread::{self, ScopedJoinHandle};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::programs::{BenchResult, Failed};

/// Does both at the same time. The threads that either starts are on its core too.
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

/// Keeps this thread, and those that it starts, to the core of this side; to the only one, if the
/// machine has no other.
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
