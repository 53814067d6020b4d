//! A message to somebody and one back, as two front ends see it: numbered, acknowledged, escaped.

use std::time::{Duration, Instant};

use letschat_core::session::Request;

use crate::baselines::echo;
use crate::people::{Person, in_a_chat};
use crate::programs::BenchResult;
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;

const FIGURE: &str = "chat_round_trip";
const TEXT_BYTES: usize = 200;

/// Chat and bare echo take turns: how long it takes to wake a core changes both, and from time to
/// time.
const TURNS: usize = 5;

/// Measures both in turns.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let count = bench.plan.round_trips / TURNS;
    let server = ServerProcess::start(bench)?;
    let (mut chats, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        echoes.push(microseconds(echo::round_trips(count, TEXT_BYTES)?).median());
        let ask = async |person: &Person| ask(person, count).await;
        let answer = async |person: &Person| answer(person, count).await;
        let (times, ()) = in_a_chat(bench, &server, ask, answer)?;
        chats.push(microseconds(times).median());
    }
    let ratios = Samples::new(chats.iter().zip(&echoes).map(|(chat, echo)| chat / echo));
    let row = |what, samples: Samples, unit| {
        Row::new(FIGURE, what, samples.median(), unit).with_spread(samples.least(), samples.most())
    };
    Ok(vec![
        row("chat there and back, to a bare TCP echo", ratios, "x").judged(Bar::AtMost(1.6)),
        row("chat there and back: median", Samples::new(chats), "us"),
        row("bare TCP echo: median", Samples::new(echoes), "us"),
    ])
}

fn microseconds(times: Vec<Duration>) -> Samples {
    Samples::new(times.into_iter().map(|time| time.as_secs_f64() * 1e6))
}

async fn ask(person: &Person, count: usize) -> BenchResult<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        person.asks(say()).await?;
        person.reads().await?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

async fn answer(person: &Person, count: usize) -> BenchResult<()> {
    for _ in 0..count {
        person.reads().await?;
        person.asks(say()).await?;
    }
    Ok(())
}

fn say() -> Request {
    Request::Say { to: None, text: "x".repeat(TEXT_BYTES) }
}
