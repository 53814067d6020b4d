//! The server's processor time for each broadcast that reaches a client, everything included:
//! sealing, sending, the repeated heads, the store, the log.

use std::thread;
use std::time::Duration;

use letschat_tests::pace::Pace;

use crate::baselines::sendmmsg;
use crate::programs::BenchResult;
use crate::report::{Bar, Row, of_crowd};
use crate::statistics::Samples;
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "broadcast_cost";

/// Broadcasts per second. The clients take turns.
const A_SECOND: usize = 20;
const SENDERS: usize = 20;

/// The time until the server is quiet: the last head is repeated 1.5 s after the last broadcast.
const UNTIL_QUIET: Duration = Duration::from_millis(1_700);

/// Sends a stream of broadcasts and a few isolated ones, between two runs of the baseline.
pub(crate) fn measure(under_load: &ServerUnderLoad<'_>) -> BenchResult<Vec<Row>> {
    let (clients, plan) = (under_load.clients(), &under_load.bench.plan);
    let interval = Duration::from_secs(1) / A_SECOND as u32;
    let rounds = plan.stream / 4;
    let ipv6 = under_load.server.is_ipv6();
    let mut bare = sendmmsg::measure(clients, rounds.max(1), interval, ipv6)?;
    let stream = stream(under_load, interval)?;
    let isolated = isolated(under_load)?;
    bare.extend(sendmmsg::measure(clients, rounds.max(1), interval, ipv6)?);

    let bare = Samples::new(bare);
    let ratio = stream.whole_us / bare.median();
    let rows = vec![
        Row::new(FIGURE, "server CPU a delivery, to bare sendmmsg", ratio, "x")
            .with_spread(
                stream.seconds_us.least() / bare.most(),
                stream.seconds_us.most() / bare.least(),
            )
            .judged(Bar::AtMost(1.4)),
        Row::new(FIGURE, "server CPU a delivery", stream.whole_us, "us")
            .with_spread(stream.seconds_us.least(), stream.seconds_us.most()),
        Row::new(FIGURE, "bare sendmmsg a datagram", bare.median(), "us")
            .with_spread(bare.least(), bare.most()),
        Row::new(FIGURE, "server CPU a delivery of an isolated one", isolated.median(), "us")
            .with_spread(isolated.least(), isolated.most()),
        // Repairs in pages over TCP cost less, so losing datagrams must not look like an
        // improvement.
        Row::new(FIGURE, "deliveries over TCP, the datagram being lost", stream.lost_percent, "%")
            .judged(Bar::AtMost(1.0)),
    ];
    Ok(of_crowd(rows, clients, !plan.is_small(clients)))
}

struct Stream {
    whole_us: f64,
    /// The cost in each second.
    seconds_us: Samples,
    lost_percent: f64,
}

fn stream(under_load: &ServerUnderLoad<'_>, interval: Duration) -> BenchResult<Stream> {
    let clients = under_load.clients();
    let begin = Reading::take(under_load)?;
    let mut last = begin;
    let mut seconds = Vec::new();
    let mut pace = Pace::every(interval);
    for number in 0..under_load.bench.plan.stream {
        pace.wait();
        under_load.load.with(move |crowd| crowd.broadcast(number % SENDERS.min(clients)))?;
        if (number + 1) % A_SECOND == 0 {
            let now = Reading::take(under_load)?;
            seconds.push(now.cost_since(&last));
            last = now;
        }
    }
    let all = begin.shown + (under_load.bench.plan.stream * clients) as u64;
    under_load.load.wait("everybody has every broadcast", move |crowd| crowd.tally.shown >= all)?;
    thread::sleep(UNTIL_QUIET);
    let end = Reading::take(under_load)?;
    let over_tcp = (end.over_tcp - begin.over_tcp) as f64;
    Ok(Stream {
        whole_us: end.cost_since(&begin),
        seconds_us: Samples::new(if seconds.is_empty() {
            vec![end.cost_since(&begin)]
        } else {
            seconds
        }),
        lost_percent: 100.0 * over_tcp / (end.shown - begin.shown) as f64,
    })
}

/// Measures broadcasts so far apart that each has its own three repeated heads.
fn isolated(under_load: &ServerUnderLoad<'_>) -> BenchResult<Samples> {
    let clients = under_load.clients();
    let mut costs = Vec::new();
    for _ in 0..under_load.bench.plan.isolated {
        let begin = Reading::take(under_load)?;
        under_load.load.with(|crowd| crowd.broadcast(0))?;
        let all = begin.shown + clients as u64;
        under_load
            .load
            .wait("everybody has the broadcast", move |crowd| crowd.tally.shown >= all)?;
        thread::sleep(UNTIL_QUIET);
        costs.push(Reading::take(under_load)?.cost_since(&begin));
    }
    Ok(Samples::new(costs))
}

/// The server's processor time and the crowd's count at one moment.
#[derive(Clone, Copy)]
struct Reading {
    spent: Duration,
    shown: u64,
    over_tcp: u64,
}

impl Reading {
    fn take(under_load: &ServerUnderLoad<'_>) -> BenchResult<Reading> {
        let (shown, over_tcp) =
            under_load.load.with(|crowd| (crowd.tally.shown, crowd.tally.over_tcp))?;
        Ok(Reading { spent: under_load.server.cpu_time()?, shown, over_tcp })
    }

    /// Returns the microseconds for each delivery since the earlier reading.
    fn cost_since(&self, earlier: &Reading) -> f64 {
        let microseconds = (self.spent - earlier.spent).as_secs_f64() * 1e6;
        microseconds / (self.shown - earlier.shown).max(1) as f64
    }
}
