//! A message to a peer and one back, as two front ends see it: numbered, acknowledged, escaped.

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
const NO_PAUSE: Duration = Duration::ZERO;

/// The number of turns. The chat and both echoes alternate, since the time to wake a core affects
/// all of them and varies.
const TURNS: usize = 5;

/// Measures the chat and both echoes in turns.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let count = bench.plan.round_trips / TURNS;
    let server = ServerProcess::start(bench)?;
    let (mut tcp, mut tls, mut chat) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        tcp.push(median_us(echo::over_tcp(count, TEXT_BYTES, NO_PAUSE)?));
        tls.push(median_us(echo::over_tls(count, TEXT_BYTES, NO_PAUSE)?));
        let ask = async |person: &Person| ask(person, count).await;
        let answer = async |person: &Person| answer(person, count).await;
        let (times, ()) = in_a_chat(bench, &server, ask, answer)?;
        chat.push(median_us(times));
    }
    let row = |what, samples, unit| Row::median_of(FIGURE, what, &samples, unit);
    Ok(vec![
        row("chat there and back, to a TLS echo", Samples::ratios(&chat, &tls), "x")
            .judged(Bar::AtMost(1.5)),
        row("chat there and back, to a bare TCP echo", Samples::ratios(&chat, &tcp), "x"),
        row("chat there and back: median", Samples::new(chat), "us"),
        row("TLS echo: median", Samples::new(tls), "us"),
        row("bare TCP echo: median", Samples::new(tcp), "us"),
    ])
}

fn median_us(times: Vec<Duration>) -> f64 {
    Samples::new(times.into_iter().map(|time| time.as_secs_f64() * 1e6)).median()
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
