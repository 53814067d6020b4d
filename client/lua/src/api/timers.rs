//! Time: later, again and again, and at the same time.

use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use mlua::{Function, MultiValue, Value, Variadic};

use super::FunctionTable;
use super::events::handle;
use crate::failure::{LuaResult, misuse};
use crate::host::Host;
use letschat_flags::clock;

/// A year: what is later is a slip.
const LONGEST_S: f64 = 365.0 * 24.0 * 3600.0;

/// Something done more often than this is done all the time.
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
            // The next round begins when the last is over, and never two at once.
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
        // A time that is over already is no pause by itself, and the script asked for one.
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

/// A number of seconds as a script gives it.
pub(super) fn seconds(seconds: f64) -> LuaResult<Duration> {
    let fits = (0.0..=LONGEST_S).contains(&seconds);
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|_| fits);
    duration.ok_or_else(|| misuse("A time is a number of seconds from 0 up to a year."))
}
