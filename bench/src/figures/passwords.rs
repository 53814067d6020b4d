//! Logins by password: their rate, their memory, and the latency of logged-in clients.

use std::time::Duration;

use letschat_core::session::Request;
use letschat_tests::pace::Pace;

use crate::baselines::argon2;
use crate::load::crowd::Crowd;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::statistics::Samples;
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "passwords";

/// The number of clients that log in and leave, so that a password is always waiting.
const AT_THE_DOOR: usize = 12;

/// The interval of requests for the list. The clients take turns.
const LIST_INTERVAL: Duration = Duration::from_millis(10);
const LISTERS: usize = 20;

const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// The memory of two hashes, and 2 MiB for waiting clients.
const TWO_HASHES_MIB: f64 = 2.0 * 19.0 + 2.0;

/// Compares passwords without a server and then with one, for the same time.
pub(crate) fn measure(under_load: &ServerUnderLoad<'_>) -> BenchResult<Vec<Row>> {
    let plan = &under_load.bench.plan;
    let bare = argon2::rate(plan.hashing / 2)?;
    let (logins, growth) = under_load.server.peak_growth(|| {
        let first = under_load.clients();
        let accounts = &under_load.bench.accounts;
        let members: Vec<_> =
            (first..first + AT_THE_DOOR).map(|number| accounts.member(number).clone()).collect();
        under_load.load.with(|crowd| crowd.come_and_go(members))?;
        let logins = logins(under_load, plan.hashing)?;
        under_load.load.with(Crowd::stay)?;
        Ok(logins)
    })?;
    let (lists, failures) =
        under_load.load.with(|crowd| (crowd.tally.lists.clone(), crowd.tally.failures.clone()))?;
    if let Some(failure) = failures.into_iter().next() {
        return Err(Failed(format!("something was refused: {failure}")).into());
    }
    let bare = Samples::new([bare, argon2::rate(plan.hashing / 2)?]);
    let lists = Samples::of_times_ms(lists);

    let percent = 100.0 * logins / bare.most();
    let listed = format!("a LIST of {} meanwhile: p99", under_load.clients());
    Ok(vec![
        Row::new(FIGURE, "logins by password, of the bare argon2 rate", percent, "%")
            .with_spread(100.0 * logins / bare.most(), 100.0 * logins / bare.least())
            .judged(Bar::AtLeast(85.0)),
        Row::new(FIGURE, "logins by password a second", logins, "/s"),
        Row::new(FIGURE, "bare argon2 on two threads", bare.most(), "/s")
            .with_spread(bare.least(), bare.most()),
        Row::new(
            FIGURE,
            "server memory more than before, at most",
            growth as f64 / MEBIBYTE,
            "MiB",
        )
        .judged(Bar::AtMost(TWO_HASHES_MIB)),
        Row::new(FIGURE, listed, lists.quantile(0.99), "ms")
            .with_spread(lists.least(), lists.most())
            .judged(Bar::AtMost(50.0)),
    ])
}

/// Returns the logins per second, while other clients ask for the list.
fn logins(under_load: &ServerUnderLoad<'_>, time: Duration) -> BenchResult<f64> {
    // Skip the first handshakes, during which nothing is hashed.
    let before = under_load.load.with(|crowd| crowd.tally.logins)?;
    let begin = under_load
        .load
        .wait("somebody is in by password", move |crowd| crowd.tally.logins > before)?;
    let first = under_load.load.with(|crowd| crowd.tally.logins)?;
    let mut pace = Pace::every(LIST_INTERVAL);
    let mut number = 0;
    while begin.elapsed() < time {
        pace.wait();
        let lister = number % LISTERS.min(under_load.clients());
        under_load.load.with(move |crowd| crowd.request(lister, Request::List))?;
        number += 1;
    }
    let (logins, elapsed) = (under_load.load.with(|crowd| crowd.tally.logins)?, begin.elapsed());
    Ok((logins - first) as f64 / elapsed.as_secs_f64())
}
