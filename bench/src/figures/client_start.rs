//! The time from the client's start to its prompt at a terminal, logged in by key, and its memory
//! at that point.

use std::time::Instant;

use crate::people::Person;
use crate::process;
use crate::programs::BenchResult;
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;
use crate::terminal;

const FIGURE: &str = "client_start";
const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// The prompt of a logged-in user in no chat.
const PROMPT: &str = "letschat> ";

/// Starts the client repeatedly with the same data.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let server = ServerProcess::start(bench)?;
    let mut data = tempfile::tempdir()?;
    Person::live(&server, bench.accounts.member(0), data.path(), async |person| {
        person.quits().await
    })?;

    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..bench.plan.starts {
        let begin = Instant::now();
        let client = terminal::start(bench, &server, data, &[]);
        client.is_prompted(PROMPT);
        times.push(begin.elapsed());
        memory.push(process::memory(client.process_id())? as f64 / MEBIBYTE);
        data = terminal::finish(client);
    }
    let (times, memory) = (Samples::of_times_ms(times), Samples::new(memory));
    Ok(vec![
        Row::new(FIGURE, "client, start to prompt: median", times.median(), "ms")
            .with_spread(times.least(), times.most())
            .judged(Bar::AtMost(30.0)),
        Row::new(FIGURE, "client memory (PSS) at the prompt: median", memory.median(), "MiB")
            .with_spread(memory.least(), memory.most())
            .judged(Bar::AtMost(10.0)),
    ])
}
