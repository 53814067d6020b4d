//! How many messages of a chat go one way in a second, as two front ends see it.

use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_io::{Timer, block_on};
use futures_lite::future;
use letschat::session::Request;

use crate::people::{Person, in_a_chat};
use crate::programs::Outcome;
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::sides;

const TEXT_BYTES: usize = 200;

/// Messages that are handed to the client at a time; more than it takes without a wait.
const AT_ONCE: usize = 64;

/// How long to wait when too much is on its way unconfirmed.
const PAUSE: Duration = Duration::from_micros(200);

/// Sends messages as fast as the client takes them, and counts them where they are shown.
pub(crate) fn measure(bench: &Bench) -> Outcome<Vec<Row>> {
    let count = bench.plan.messages;
    let (one, other, _server) = in_a_chat(bench)?;
    let begin = Instant::now();
    let ((), end) = sides::both(|| write(&one, count), || read(&other, count))?;
    let seconds = end.duration_since(begin).as_secs_f64();
    let rate = count as f64 / seconds;
    let row = Row::new("chat_throughput", "chat messages one way a second", rate, "/s");
    Ok(vec![row.judged(Bar::AtLeast(200_000.0))])
}

/// Several at once, so that the front end does not wait for each answer.
fn write(person: &Person, count: usize) -> Outcome<()> {
    let executor = LocalExecutor::new();
    let share = count.div_ceil(AT_ONCE);
    let writers: Vec<_> = (0..AT_ONCE)
        .map(|number| share.min(count.saturating_sub(number * share)))
        .map(|share| executor.spawn(write_share(person, share)))
        .collect();
    block_on(executor.run(async {
        for writer in writers {
            writer.await?;
        }
        Ok(())
    }))
}

async fn write_share(person: &Person, share: usize) -> Outcome<()> {
    for _ in 0..share {
        loop {
            let say = Request::Say { to: None, text: "x".repeat(TEXT_BYTES) };
            match person.client.request(say).await {
                Ok(_) => break,
                Err(failure) if failure.code == "too_many_unconfirmed" => {
                    Timer::after(PAUSE).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        future::yield_now().await;
    }
    Ok(())
}

/// When the last one was shown.
fn read(person: &Person, count: usize) -> Outcome<Instant> {
    for _ in 0..count {
        person.reads()?;
    }
    Ok(Instant::now())
}
