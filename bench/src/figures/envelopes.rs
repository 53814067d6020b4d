//! Envelopes through one server: how many in a second, and the server's processor time for each.
//!
//! Everything that the server does for an envelope is counted: the commit of the POST and its answer, the delivery, and
//! the acknowledgement, which deletes it.

use std::time::{Duration, Instant};

use letschat_protocol::envelope::Recipient;

use crate::letters::{self, Letter};
use crate::load::crowd::Crowd;
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row, of_crowd};
use crate::run::Bench;
use crate::statistics::Samples;
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "envelopes";

/// The crowd that the bars are set for.
const MOST_CLIENTS: usize = 1_000;

/// Lets all clients of a crowd post at once, in turns.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let plan = &bench.plan;
    let clients = plan.largest().clamp(2, MOST_CLIENTS);
    let under_load = ServerUnderLoad::open(bench, clients)?;
    let have_prekeys = move |crowd: &Crowd| crowd.tally.mail.published >= clients;
    under_load.load.wait("everybody has published a prekey", have_prekeys)?;
    let mut stacks = seal(&under_load)?;

    let (mut rates, mut costs, mut clients_costs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.turns {
        let turn = post(&under_load, &mut stacks)?;
        rates.push(turn.rate);
        costs.push(turn.server_us);
        clients_costs.push(turn.clients_us);
    }
    let row = |what, values, unit| Row::median_of(FIGURE, what, &Samples::new(values), unit);
    let rows = vec![
        row("envelopes committed, delivered, acknowledged", rates, "/s")
            .judged(Bar::AtLeast(5_000.0)),
        row("server CPU an envelope", costs, "us").judged(Bar::AtMost(120.0)),
        // The clients share the machine with the server.
        row("the clients' CPU an envelope", clients_costs, "us"),
    ];
    Ok(of_crowd(rows, clients, true))
}

/// The envelopes that one client posts: the same content under many ids.
pub(super) struct Stack {
    letter: Letter,
    next: u64,
}

/// Seals an envelope of each client for the next one.
pub(super) fn seal(under_load: &ServerUnderLoad<'_>) -> BenchResult<Vec<Stack>> {
    let clients = under_load.clients();
    let recipients = under_load.load.with(move |crowd| {
        let each = (0..clients).map(|number| crowd.recipient((number + 1) % clients));
        each.collect::<Option<Vec<Recipient>>>()
    })?;
    let recipients = recipients.ok_or_else(|| Failed("a client has no prekey".into()))?;
    let (accounts, server) = (&under_load.bench.accounts, under_load.server.fingerprint());
    let stack = |(number, to): (usize, &Recipient)| {
        let envelope = letters::seal(accounts.member(number), to, server, 1)?;
        let next = (number as u64) << 32;
        Ok(Stack { letter: Letter { id: letters::id(next), envelope }, next })
    };
    recipients.iter().enumerate().map(stack).collect()
}

impl Stack {
    /// Returns the next envelopes, each under another id.
    pub(super) fn take(&mut self, count: usize) -> Vec<Letter> {
        let ids = self.next..self.next + count as u64;
        self.next = ids.end;
        ids.map(|number| Letter { id: letters::id(number), ..self.letter.clone() }).collect()
    }
}

struct Turn {
    rate: f64,
    server_us: f64,
    clients_us: f64,
}

/// Lets each client post its envelopes, and waits until all are acknowledged.
fn post(under_load: &ServerUnderLoad<'_>, stacks: &mut [Stack]) -> BenchResult<Turn> {
    let each = under_load.bench.plan.envelopes;
    let count = (each * stacks.len()) as u64;
    let all: Vec<Vec<Letter>> = stacks.iter_mut().map(|stack| stack.take(each)).collect();
    let (before, begin) = (Reading::take(under_load)?, Instant::now());
    under_load.load.with(move |crowd| {
        for (number, letters) in all.into_iter().enumerate() {
            crowd.post(number, letters);
        }
    })?;
    let through = before.acknowledged + count;
    let end = under_load.load.wait("every envelope is acknowledged", move |crowd| {
        crowd.tally.mail.acknowledged >= through || !crowd.tally.failures.is_empty()
    })?;
    let after = Reading::take(under_load)?;
    after.is_sound(&before, count)?;
    let each_us = |spent: Duration| spent.as_secs_f64() * 1e6 / count as f64;
    Ok(Turn {
        rate: count as f64 / end.duration_since(begin).as_secs_f64(),
        server_us: each_us(after.server - before.server),
        clients_us: each_us(after.clients.saturating_sub(before.clients)),
    })
}

/// The clocks and the crowd's counts at one moment.
struct Reading {
    server: Duration,
    clients: Duration,
    posted: u64,
    delivered: u64,
    acknowledged: u64,
    unexpected: u64,
    failure: Option<String>,
}

impl Reading {
    fn take(under_load: &ServerUnderLoad<'_>) -> BenchResult<Reading> {
        let server = under_load.server.cpu_time()?;
        let clients = process::cpu_time(std::process::id())?;
        under_load.load.with(move |Crowd { tally, .. }| Reading {
            server,
            clients,
            posted: tally.mail.posted,
            delivered: tally.mail.delivered,
            acknowledged: tally.mail.acknowledged,
            unexpected: tally.mail.unexpected,
            failure: tally.failures.first().cloned(),
        })
    }

    /// Fails unless each of this many envelopes was posted, delivered once and acknowledged since then.
    fn is_sound(&self, before: &Reading, count: u64) -> BenchResult<()> {
        if let Some(failure) = &self.failure {
            return Err(Failed(format!("something was refused: {failure}")).into());
        }
        let passed = [
            self.posted - before.posted,
            self.delivered - before.delivered,
            self.acknowledged - before.acknowledged,
        ];
        if passed != [count; 3] || self.unexpected != before.unexpected {
            let [posted, delivered, acknowledged] = passed;
            let unexpected = self.unexpected - before.unexpected;
            let why = format!(
                "of {count} envelopes {posted} were posted, {delivered} delivered and {acknowledged} \
                 acknowledged, and {unexpected} came unexpected"
            );
            return Err(Failed(why).into());
        }
        Ok(())
    }
}
