//! The time until all clients have reconnected after a restart of the server. They log in by key
//! and retry by themselves, as real clients do.

use std::thread;
use std::time::Instant;

use crate::load::crowd::Crowd;
use crate::programs::BenchResult;
use crate::report::{Bar, Row, of_crowd};
use crate::under_load::{ServerUnderLoad, everybody_is_there};

const FIGURE: &str = "coming_back";

/// Restarts the server and waits for all clients.
pub(crate) fn measure(under_load: &mut ServerUnderLoad<'_>) -> BenchResult<Vec<Row>> {
    let (clients, plan) = (under_load.clients(), &under_load.bench.plan);
    under_load.server.stop()?;
    thread::sleep(plan.away);
    let dials = under_load.load.with(|crowd| crowd.tally.dials)?;
    under_load.server.start_again()?;
    let (listening, starting) = (Instant::now(), under_load.server.cpu_time()?);
    let all_back = move |crowd: &Crowd| crowd.tally.logged_in == clients;
    let back = under_load.load.wait("everybody is back", all_back)?;
    under_load.load.wait("UDP reaches everybody again", everybody_is_there(clients))?;
    let spent = under_load.server.cpu_time()? - starting;
    let dials = under_load.load.with(|crowd| crowd.tally.dials)? - dials;

    let seconds = back.duration_since(listening).as_secs_f64();
    let milliseconds = spent.as_secs_f64() * 1_000.0 / clients as f64;
    let tries = dials as f64 / clients as f64;
    let rows = vec![
        Row::new(FIGURE, "until all are back", seconds, "s").judged(Bar::AtMost(10.0)),
        Row::new(FIGURE, "server CPU for each who came back", milliseconds, "ms")
            .judged(Bar::AtMost(0.8)),
        Row::new(FIGURE, "tries to connect meanwhile, each", tries, "tries"),
    ];
    Ok(of_crowd(rows, clients, !plan.is_small(clients)))
}
