//! Timers and tasks: `after`, `every`, `sleep`, `spawn` and `now`.

use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use mlua::{Function, MultiValue, Value, Variadic};

use super::FunctionTable;
use super::events::handle;
use crate::failure::{LuaResult, misuse};
use crate::host::Host;
use letschat_flags::clock;

/// The longest delay, one year. A longer one is probably a mistake.
const LONGEST_S: f64 = 365.0 * 24.0 * 3600.0;

/// The shortest period of `every`. A shorter one would keep the thread busy.
const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

pub(super) fn add(functions: &FunctionTable<'_>, host: &Rc<Host>) -> mlua::Result<()> {
    let after = host.clone();
    functions.add("after", move |lua, (delay, function): (f64, Function)| {
        let (host, delay) = (after.clone(), seconds(delay)?);
        let id = after.add_timer(async move {
            Timer::after(delay).await;
            run(&host, &function).await;
        })?;
        let host = after.clone();
        handle(lua, move || host.remove(id))
    })?;
    let every = host.clone();
    functions.add("every", move |lua, (period, function): (f64, Function)| {
        let (host, period) = (every.clone(), seconds(period)?.max(SHORTEST_PERIOD));
        let id = every.add_timer(async move {
            // The period starts after the last round has ended, so two rounds never overlap.
            loop {
                Timer::after(period).await;
                run(&host, &function).await;
            }
        })?;
        let host = every.clone();
        handle(lua, move || host.remove(id))
    })?;
    let spawn = host.clone();
    functions.add("spawn", move |lua, (function, arguments): (Function, Variadic<Value>)| {
        let id = spawn.spawn(&function, arguments.into_iter().collect())?;
        let host = spawn.clone();
        handle(lua, move || host.remove(id))
    })?;
    functions.add_waiting("sleep", |_, delay: f64| async move {
        let delay = seconds(delay)?;
        // A timer that has already expired does not yield, and the script asked for a pause.
        futures_lite::future::yield_now().await;
        Timer::after(delay).await;
        Ok(())
    })?;
    functions.add("now", |_, (): ()| Ok(clock::now().wall_ms as f64 / 1000.0))
}

async fn run(host: &Rc<Host>, function: &Function) {
    if let Err(trace) = host.runner.run(function, MultiValue::new()).await {
        host.fail(trace);
    }
}

/// Converts a script's number of seconds.
pub(super) fn seconds(seconds: f64) -> LuaResult<Duration> {
    let fits = (0.0..=LONGEST_S).contains(&seconds);
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|_| fits);
    duration.ok_or_else(|| misuse("A time is a number of seconds from 0 up to a year."))
}
