//! The time from a broadcast until the last client has it.

use std::time::{Duration, Instant};

use letschat_tests::pace::Pace;

use crate::load::tally::Delivery;
use crate::programs::BenchResult;
use crate::report::{Bar, Row, of_crowd};
use crate::statistics::Samples;
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "broadcast_delay";

/// The shortest pause between broadcasts. It grows with the crowd.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
const PAUSE_FOR_EACH: Duration = Duration::from_micros(40);

/// The number of clients that take turns.
const SENDERS: usize = 20;

/// Sends the plan's number of broadcasts. Returns the times until the last client has each.
pub(super) fn until_the_last(under_load: &ServerUnderLoad<'_>) -> BenchResult<Samples> {
    Ok(times(&broadcast(under_load)?, |broadcast| broadcast.last))
}

fn times(broadcasts: &[Delivery], end: fn(&Delivery) -> Instant) -> Samples {
    Samples::of_times_ms(broadcasts.iter().map(|broadcast| end(broadcast) - broadcast.sent))
}

/// Sends the plan's number of broadcasts and waits until all clients have all of them.
fn broadcast(under_load: &ServerUnderLoad<'_>) -> BenchResult<Vec<Delivery>> {
    let (clients, plan) = (under_load.clients(), &under_load.bench.plan);
    let first = under_load.load.with(|crowd| crowd.tally.broadcasts.len())?;
    let mut pace = Pace::every(LEAST_PAUSE.max(PAUSE_FOR_EACH * clients as u32));
    for number in 0..plan.delays {
        pace.wait();
        under_load.load.with(move |crowd| crowd.broadcast(number % SENDERS.min(clients)))?;
    }
    under_load.load.wait("everybody has every broadcast", move |crowd| {
        crowd.tally.broadcasts[first..].iter().all(|broadcast| broadcast.shown >= clients)
    })?;
    under_load.load.with(move |crowd| crowd.tally.broadcasts[first..].to_vec())
}

/// Measures a number of broadcasts.
pub(crate) fn measure(under_load: &ServerUnderLoad<'_>) -> BenchResult<Vec<Row>> {
    let (clients, plan) = (under_load.clients(), &under_load.bench.plan);
    let broadcasts = broadcast(under_load)?;
    let first = times(&broadcasts, |broadcast| broadcast.first);
    let last = times(&broadcasts, |broadcast| broadcast.last);
    let row = |until: &str, which: &str, milliseconds| {
        let what = format!("broadcast until the {until} client has it: {which} of {}", plan.delays);
        Row::new(FIGURE, what, milliseconds, "ms")
    };
    let rows = vec![
        row("last", "median", last.median())
            .with_spread(last.least(), last.most())
            .judged(Bar::AtMost(100.0)),
        row("last", "p99", last.quantile(0.99)).judged(Bar::AtMost(250.0)),
        row("last", "longest", last.most()),
        // This shows the share of the store's commit, whose disk may be busy.
        row("first", "median", first.median()).with_spread(first.least(), first.most()),
        row("first", "p99", first.quantile(0.99)),
    ];
    Ok(of_crowd(rows, clients, clients == plan.largest()))
}
