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

/// Broadcasts in a second, by so many clients in turn.
const A_SECOND: usize = 20;
const SENDERS: usize = 20;

/// The last head is repeated 1.5 s after the last broadcast; then there is nothing more to do.
const UNTIL_QUIET: Duration = Duration::from_millis(1_700);

/// Compares streams of broadcasts with runs of the baseline, in turns; then sends a few isolated
/// broadcasts.
pub(crate) fn measure(under_load: &ServerUnderLoad<'_>) -> BenchResult<Vec<Row>> {
    let (clients, plan) = (under_load.clients(), &under_load.bench.plan);
    let interval = Duration::from_secs(1) / A_SECOND as u32;
    let ipv6 = under_load.server.is_ipv6();
    let (mut server, mut bare, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.turns {
        let stream = stream(under_load, interval)?;
        server.push(stream.cost_us);
        lost.push(stream.lost_percent);
        let rounds = sendmmsg::measure(clients, plan.bare_rounds(), interval, ipv6)?;
        bare.push(Samples::new(rounds).median());
    }
    let isolated = isolated(under_load)?;

    let row = |what, samples, unit| Row::median_of(FIGURE, what, &samples, unit);
    let ratios = Samples::ratios(&server, &bare);
    let rows = vec![
        row("server CPU a delivery, to bare sendmmsg", ratios, "x").judged(Bar::AtMost(1.4)),
        row("server CPU a delivery", Samples::new(server), "us"),
        row("bare sendmmsg a datagram", Samples::new(bare), "us"),
        row("server CPU a delivery of an isolated one", isolated, "us"),
        // A repair over TCP costs less than datagrams, so a loss must not look like a gain.
        Row::new(
            FIGURE,
            "deliveries over TCP, the datagram being lost: most",
            Samples::new(lost).most(),
            "%",
        )
        .judged(Bar::AtMost(1.0)),
    ];
    Ok(of_crowd(rows, clients, !plan.is_small(clients)))
}

struct Stream {
    cost_us: f64,
    lost_percent: f64,
}

fn stream(under_load: &ServerUnderLoad<'_>, interval: Duration) -> BenchResult<Stream> {
    let clients = under_load.clients();
    let begin = Reading::take(under_load)?;
    let mut pace = Pace::every(interval);
    for number in 0..under_load.bench.plan.stream {
        pace.wait();
        under_load.load.with(move |crowd| crowd.broadcast(number % SENDERS.min(clients)))?;
    }
    let all = begin.shown + (under_load.bench.plan.stream * clients) as u64;
    under_load.load.wait("everybody has every broadcast", move |crowd| crowd.tally.shown >= all)?;
    thread::sleep(UNTIL_QUIET);
    let end = Reading::take(under_load)?;
    let over_tcp = (end.over_tcp - begin.over_tcp) as f64;
    Ok(Stream {
        cost_us: end.cost_since(&begin),
        lost_percent: 100.0 * over_tcp / (end.shown - begin.shown) as f64,
    })
}

/// Broadcasts that are so far apart that each has its three repeated heads.
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

/// The server's clock and the crowd's count at one moment.
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

    /// Microseconds for each delivery since then.
    fn cost_since(&self, earlier: &Reading) -> f64 {
        let microseconds = (self.spent - earlier.spent).as_secs_f64() * 1e6;
        microseconds / (self.shown - earlier.shown).max(1) as f64
    }
}
