//! The full screen: the time from its start to the first paint and until it is logged in, its memory, and the time from
//! a key to the screen while messages arrive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use letschat_tests::person::{self, CTRL_U};
use serde_json::json;

use crate::json_client::JsonClient;
use crate::people::Person;
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;
use crate::terminal;

const FIGURE: &str = "full_screen";
const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// A word of the status line, and the words of the login.
const PAINTED: &str = "keys";
const LOGGED_IN: &str = "Logged in as";

/// The interval of messages, and the pause between two keys.
const INTERVAL: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(37);

/// Keys that nothing else on the screen contains.
const KEYS: [&str; 8] = ["{", "}", "~", "^", "@", "%", "&", "="];

/// The deadline of what the talking client does.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the client repeatedly, then types while somebody says 100 messages a second.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let server = ServerProcess::start(bench)?;
    let [mut data, talkative] = [tempfile::tempdir()?, tempfile::tempdir()?];
    for (number, folder) in [&data, &talkative].into_iter().enumerate() {
        Person::live(&server, bench.accounts.member(number), folder.path(), async |person| {
            person.quits().await
        })?;
    }
    let (mut painted, mut logged_in, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.plan.starts {
        let begin = Instant::now();
        let screen = terminal::start(bench, &server, data, &["--full"]);
        screen.sees(PAINTED);
        painted.push(begin.elapsed());
        screen.sees(LOGGED_IN);
        logged_in.push(begin.elapsed());
        memory.push(process::memory(screen.process_id())? as f64 / MEBIBYTE);
        data = terminal::finish(screen);
    }
    let screen = terminal::start(bench, &server, data, &["--full"]);
    screen.sees(LOGGED_IN);
    let keys = keys_during_messages(bench, &server, &screen)?;
    let busy = process::memory(screen.process_id())? as f64 / MEBIBYTE;
    let row = |what, samples: Samples, unit| {
        Row::new(FIGURE, what, samples.median(), unit).with_spread(samples.least(), samples.most())
    };
    let [painted, logged_in, keys] = [painted, logged_in, keys].map(Samples::of_times_ms);
    Ok(vec![
        row("full screen, start to first paint: median", painted, "ms").judged(Bar::AtMost(40.0)),
        row("full screen, start to logged in: median", logged_in, "ms"),
        row("full screen memory (PSS): median", Samples::new(memory), "MiB")
            .judged(Bar::AtMost(16.0)),
        row("key to screen, 100 messages a second: median", keys, "ms").judged(Bar::AtMost(5.0)),
        Row::new(FIGURE, "full screen memory (PSS) after them", busy, "MiB")
            .judged(Bar::AtMost(16.0)),
    ])
}

/// Returns the times from keys to the screen, while somebody says 100 messages a second in a chat.
fn keys_during_messages(
    bench: &Bench,
    server: &ServerProcess,
    screen: &person::Person,
) -> BenchResult<Vec<Duration>> {
    let until = Instant::now() + PATIENCE;
    let [own, other] = [0, 1].map(|number| &bench.accounts.member(number).username);
    let mut talker = JsonClient::start(bench, server)?;
    talker.log_in(until, other)?;
    screen.types(&format!("/connect {other}"));
    talker.wait(until, "a request", |line| line["event"] == "request")?;
    talker.ask(until, "approve", &json!({"who": own.as_str()}))?;
    screen.sees(&format!("{other}> "));
    let is_over = AtomicBool::new(false);
    let said = |talker: &mut JsonClient| -> BenchResult<u64> {
        let mut count = 0;
        let mut next = Instant::now();
        while !is_over.load(Ordering::Relaxed) {
            next += INTERVAL;
            let text = "some words that somebody says to somebody else";
            talker.tell("say", &json!({"to": own.as_str(), "text": text}));
            count += 1;
            while talker.next_line(next)?.is_some() {}
        }
        Ok(count)
    };
    thread::scope(|scope| {
        let talking = scope.spawn(|| said(&mut talker).map_err(|error| error.to_string()));
        let begin = Instant::now();
        let times = type_keys(bench.plan.keys, screen);
        let elapsed = begin.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let count = talking.join().map_err(|_| Failed("the talker has failed".into()))?;
        let rate = count.map_err(Failed)? as f64 / elapsed.as_secs_f64();
        if rate < 80.0 {
            return Err(Failed(format!("only {rate:.0} messages a second were said")).into());
        }
        Ok(times)
    })
}

fn type_keys(count: usize, screen: &person::Person) -> Vec<Duration> {
    let mut times = Vec::new();
    for key in KEYS.iter().cycle().take(count) {
        // Another moment of the interval each time.
        thread::sleep(PAUSE);
        let begin = Instant::now();
        screen.press(key);
        screen.sees(key);
        times.push(begin.elapsed());
        screen.press(CTRL_U);
    }
    times
}
