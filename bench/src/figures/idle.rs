//! The share of one core that a server uses while its clients only keep their sessions alive.

use std::thread;
use std::time::Instant;

use crate::programs::BenchResult;
use crate::report::{Bar, Row};
use crate::under_load::ServerUnderLoad;

/// Measures an idle server for a while.
pub(crate) fn measure(under_load: &ServerUnderLoad<'_>) -> BenchResult<Vec<Row>> {
    let (begin, before) = (Instant::now(), under_load.server.cpu_time()?);
    thread::sleep(under_load.bench.plan.idle);
    let spent = under_load.server.cpu_time()? - before;
    let percent = 100.0 * spent.as_secs_f64() / begin.elapsed().as_secs_f64();
    let row = Row::new("idle", "idle server, of one core", percent, "%");
    Ok(vec![row.with_clients(under_load.clients()).judged(Bar::AtMost(2.0))])
}
