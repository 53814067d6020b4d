//! A message in an envelope to somebody online, from the request to the display, against the sum of its parts.
//!
//! The sum has the median of each part, measured alone: a commit of the text (the sender's outbox), signing and sealing,
//! a TLS hop to the server, a commit of the envelope (the server's mailbox), a TLS hop to the recipient, opening and
//! verifying. Threads, queues, the session and the front end are in no part.

use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, bounded};
use letschat_protocol::username::Username;

use crate::baselines::echo;
use crate::baselines::message_parts::{self, MessageParts};
use crate::letters;
use crate::people::{Person, as_friends};
use crate::programs::BenchResult;
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;

const FIGURE: &str = "send";

/// The pause before each message, and before each round of the parts. Meanwhile the clients record and acknowledge the
/// last message.
const PAUSE: Duration = Duration::from_millis(30);

/// The medians of one turn, in microseconds.
struct Turn {
    send: f64,
    sender_commit: f64,
    sign_and_seal: f64,
    hop: f64,
    server_commit: f64,
    open_and_verify: f64,
}

impl Turn {
    /// Returns the sum of the parts.
    fn sum(&self) -> f64 {
        let sender = self.sender_commit + self.sign_and_seal;
        sender + self.server_commit + self.open_and_verify + 2.0 * self.hop
    }
}

/// Measures messages and their parts in turns. Each turn has two other people, with empty files.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let server = ServerProcess::start(bench)?;
    let turns = (0..bench.plan.turns).map(|turn| measure_turn(bench, &server, turn));
    let turns = turns.collect::<BenchResult<Vec<Turn>>>()?;
    let each = |value: fn(&Turn) -> f64| -> Vec<f64> { turns.iter().map(value).collect() };
    let (sends, sums) = (each(|turn| turn.send), each(Turn::sum));
    let ratios = Samples::ratios(&sends, &sums);
    let row = |what, values| Row::median_of(FIGURE, what, &Samples::new(values), "us");
    Ok(vec![
        Row::median_of(FIGURE, "send to somebody online, to the sum of its parts", &ratios, "x")
            .judged(Bar::AtMost(1.5)),
        row("send, from the request to the display: median", sends),
        row("the sum of its parts", sums),
        row("a commit of the text", each(|turn| turn.sender_commit)),
        row("signing and sealing", each(|turn| turn.sign_and_seal)),
        row("a TLS hop, half of an echo: one of two", each(|turn| turn.hop)),
        row("a commit of the envelope", each(|turn| turn.server_commit)),
        row("opening and verifying", each(|turn| turn.open_and_verify)),
    ])
}

fn measure_turn(bench: &Bench, server: &ServerProcess, turn: usize) -> BenchResult<Turn> {
    let (count, accounts) = (bench.plan.sends, &bench.accounts);
    let members = [accounts.member(2 * turn), accounts.member(2 * turn + 1)];
    let (shown, is_shown) = bounded(1);
    let write = async |person: &Person| write(person, &members[1].username, &is_shown, count).await;
    let read = async |person: &Person| read(person, &shown, count).await;
    let (times, ()) = as_friends(server, members, write, read)?;

    let parts = message_parts::measure(members, count, PAUSE)?;
    let bytes = parts.first().map_or(0, |part| part.envelope_bytes);
    let echoes = echo::over_tls(count, bytes, PAUSE)?;
    let part = |time: fn(&MessageParts) -> Duration| median_us(parts.iter().map(time));
    Ok(Turn {
        send: median_us(times),
        sender_commit: part(|parts| parts.sender_commit),
        sign_and_seal: part(|parts| parts.sign_and_seal),
        hop: median_us(echoes) / 2.0,
        server_commit: part(|parts| parts.server_commit),
        open_and_verify: part(|parts| parts.open_and_verify),
    })
}

fn median_us(times: impl IntoIterator<Item = Duration>) -> f64 {
    Samples::new(times.into_iter().map(|time| time.as_secs_f64() * 1e6)).median()
}

/// Sends messages, each after the one before was displayed. Returns the times until then.
async fn write(
    person: &Person,
    to: &Username,
    is_shown: &Receiver<Instant>,
    count: usize,
) -> BenchResult<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let text = letters::text();
        // The session has a thread of its own.
        thread::sleep(PAUSE);
        let begin = Instant::now();
        person.writes(to, text).await?;
        times.push(is_shown.recv().await?.duration_since(begin));
    }
    Ok(times)
}

/// Displays messages, and tells the time of each.
async fn read(person: &Person, shown: &Sender<Instant>, count: usize) -> BenchResult<()> {
    for _ in 0..count {
        person.reads().await?;
        shown.send(Instant::now()).await?;
    }
    Ok(())
}
