//! What a server takes of one core when its clients do nothing but keep alive.

use std::thread;
use std::time::Instant;

use crate::programs::Outcome;
use crate::report::{Bar, Row};
use crate::stage::Stage;

/// Watches it for a while.
pub(crate) fn measure(stage: &Stage<'_>) -> Outcome<Vec<Row>> {
    let (begin, before) = (Instant::now(), stage.server.cpu_time()?);
    thread::sleep(stage.bench.plan.idle);
    let spent = stage.server.cpu_time()? - before;
    let percent = 100.0 * spent.as_secs_f64() / begin.elapsed().as_secs_f64();
    let row = Row::new("idle", "idle server, of one core", percent, "%");
    Ok(vec![row.with_clients(stage.clients()).judged(Bar::AtMost(2.0))])
}
