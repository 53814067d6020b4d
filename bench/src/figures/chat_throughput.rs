//! The messages per second of a chat in one direction, as two front ends see it.

use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_io::Timer;
use futures_lite::future;
use letschat_core::codes::FailureCode;
use letschat_core::session::Request;

use crate::people::{Person, in_a_chat};
use crate::programs::BenchResult;
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;

const TEXT_BYTES: usize = 200;

/// The number of concurrent requests. It exceeds the client's window, so that the client is never
/// idle.
const AT_ONCE: usize = 64;

/// The pause while too many messages are unconfirmed.
const PAUSE: Duration = Duration::from_micros(200);

/// Sends messages as fast as the client accepts them, and counts them at the receiver's front end.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let server = ServerProcess::start(bench)?;
    let count = bench.plan.messages;
    let write = async |person: &Person| say_all(person, count, |_| "x".repeat(TEXT_BYTES)).await;
    let read = async |person: &Person| read(person, count).await;
    let (begin, end) = in_a_chat(bench, &server, write, read)?;
    let rate = count as f64 / end.duration_since(begin).as_secs_f64();
    let row = Row::new("chat_throughput", "chat messages one way a second", rate, "/s");
    Ok(vec![row.judged(Bar::AtLeast(200_000.0))])
}

/// Says the texts of these numbers, with several requests at once, so that the front end does not wait for each answer.
/// Returns the start.
pub(super) async fn say_all(
    person: &Person,
    count: usize,
    text: impl Fn(usize) -> String,
) -> BenchResult<Instant> {
    let begin = Instant::now();
    let (executor, text) = (LocalExecutor::new(), &text);
    let sayers: Vec<_> = (0..AT_ONCE)
        .map(|first| executor.spawn(say_some(person, (first..count).step_by(AT_ONCE), text)))
        .collect();
    let all = async {
        for sayer in sayers {
            sayer.await?;
        }
        Ok(begin)
    };
    executor.run(all).await
}

async fn say_some(
    person: &Person,
    numbers: impl Iterator<Item = usize>,
    text: impl Fn(usize) -> String,
) -> BenchResult<()> {
    for number in numbers {
        loop {
            let say = Request::Say { to: None, text: text(number) };
            match person.client.request(say).await {
                Ok(_) => break,
                Err(failure) if failure.code() == FailureCode::TooManyUnconfirmed => {
                    Timer::after(PAUSE).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        future::yield_now().await;
    }
    Ok(())
}

/// Receives the messages. Returns the time at which the last one was shown.
async fn read(person: &Person, count: usize) -> BenchResult<Instant> {
    for _ in 0..count {
        person.reads().await?;
    }
    Ok(Instant::now())
}
