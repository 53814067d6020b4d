//! A message to somebody and one back, as two front ends see it: numbered, acknowledged, escaped.

use std::time::{Duration, Instant};

use letschat::session::Request;

use crate::baselines::echo;
use crate::people::{Person, in_a_chat};
use crate::programs::Outcome;
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::sides;
use crate::statistics::Samples;

const FIGURE: &str = "chat_round_trip";
const TEXT_BYTES: usize = 200;

/// Chat and bare echo take turns: how long it takes to wake a core changes both, and from time to
/// time.
const TURNS: usize = 5;

/// Measures both in turns.
pub(crate) fn measure(bench: &Bench) -> Outcome<Vec<Row>> {
    let count = bench.plan.round_trips / TURNS;
    let (one, other, _server) = in_a_chat(bench)?;
    let (mut chats, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        echoes.push(microseconds(echo::round_trips(count, TEXT_BYTES)?).median());
        chats.push(microseconds(round_trips(&one, &other, count)?).median());
    }
    let ratios = chats.iter().zip(&echoes).map(|(chat, echo)| chat / echo);
    let (ratios, chats, echoes) = (Samples::new(ratios), Samples::new(chats), Samples::new(echoes));
    let row = |what, samples: &Samples, unit| {
        Row::new(FIGURE, what, samples.median(), unit).with_spread(samples.least(), samples.most())
    };
    Ok(vec![
        row("chat there and back, to a bare TCP echo", &ratios, "x").judged(Bar::AtMost(1.6)),
        row("chat there and back: median", &chats, "us"),
        row("bare TCP echo: median", &echoes, "us"),
    ])
}

fn microseconds(times: Vec<Duration>) -> Samples {
    Samples::new(times.into_iter().map(|time| time.as_secs_f64() * 1e6))
}

fn round_trips(one: &Person, other: &Person, count: usize) -> Outcome<Vec<Duration>> {
    let (times, ()) = sides::both(|| ask(one, count), || answer(other, count))?;
    Ok(times)
}

fn ask(person: &Person, count: usize) -> Outcome<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        person.asks(say())?;
        person.reads()?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

fn answer(person: &Person, count: usize) -> Outcome<()> {
    for _ in 0..count {
        person.reads()?;
        person.asks(say())?;
    }
    Ok(())
}

fn say() -> Request {
    Request::Say { to: None, text: "x".repeat(TEXT_BYTES) }
}
