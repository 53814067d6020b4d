//! Two servers as one service, against one with the same database: a broadcast until the last client has it, and how many
//! statements, commands and system calls a login, a broadcast and an envelope take.
//!
//! The database and the bell are on this machine. The figure is left out where they are missing.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use letschat_server::store::mysql::Mysql;
use letschat_tests::cluster::Bell;
use letschat_tests::mysql_server::Throwaway;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::{broadcast_delay, envelopes};
use crate::letters::Letter;
use crate::load::crowd::Crowd;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "cluster";

/// The crowd that the bar is set for.
const MOST_CLIENTS: usize = 2_000;

/// The number of logins, broadcasts and envelopes that are counted, and of the clients beside them.
const COUNTED: usize = 20;

/// The longest time in which the servers are counted without anything to do.
const IDLE: Duration = Duration::from_secs(3);

/// The longest pause before each count: strace interrupts the servers when it comes, and they look at the bell.
const PEACE: Duration = Duration::from_millis(1_500);

/// Measures one server, then two.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    if !Throwaway::is_here_to_test("the figures of a cluster") {
        return Ok(Vec::new());
    }
    let clients = bench.plan.largest().clamp(2 * COUNTED, MOST_CLIENTS);
    let (mut counts, mut delays) = (Vec::new(), Vec::new());
    for (servers, which) in [(1, "one server"), (2, "two servers")] {
        let mut service = Service::start(bench, servers, clients)?;
        counts.extend(service.count(which)?);
        service.under_load.grow(clients)?;
        delays.push(broadcast_delay::until_the_last(&service.under_load)?.median());
    }
    let ratio = delays[1] / delays[0];
    let row = |what, measured, unit| Row::new(FIGURE, what, measured, unit).with_clients(clients);
    let delays = [
        row("broadcast until the last client has it: two servers to one", ratio, "x")
            .judged(Bar::AtMost(2.0)),
        row("the same, one server with MySQL: median", delays[0], "ms"),
        row("the same, two servers: median", delays[1], "ms"),
    ];
    Ok(delays.into_iter().chain(counts).collect())
}

/// Servers with a database and, if there are several, a bell.
struct Service<'a> {
    // The fields are dropped in this order: the servers end first.
    under_load: ServerUnderLoad<'a>,
    bell: Option<Bell>,
}

/// The cost of some work, over all servers.
#[derive(Debug, Clone, Copy)]
struct Spent {
    time: Duration,
    /// The time in which system calls were counted, with the pause before.
    traced: Duration,
    statements: f64,
    commands: f64,
    /// `None` without strace.
    system_calls: Option<f64>,
}

impl<'a> Service<'a> {
    fn start(bench: &'a Bench, servers: usize, clients: usize) -> BenchResult<Service<'a>> {
        let location = Throwaway::shared().server.location(&format!("bench{servers}"));
        // The database is made by the first who opens it.
        bench.accounts.copy_to_store(&mut Mysql::open(&location)?, clients)?;
        let store = location.to_string();
        let bell = (servers > 1).then(Bell::start);
        let start = |number: usize| {
            let name = format!("server{number}");
            let mut flags = vec!["--store".to_owned(), store.clone()];
            if let Some(bell) = &bell {
                let bell = format!("redis://{}", bell.address());
                flags.extend(["--cluster".to_owned(), bell, "--name".to_owned(), name]);
            }
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            ServerProcess::start_with(bench, &flags)
        };
        let first = start(0)?;
        let others = (1..servers).map(start).collect::<BenchResult<_>>()?;
        Ok(Service { under_load: ServerUnderLoad::of(bench, first, others)?, bell })
    }

    /// Counts what logins, broadcasts and envelopes take, beyond what the servers do anyway.
    fn count(&mut self, which: &str) -> BenchResult<Vec<Row>> {
        log_in(&mut self.under_load, COUNTED)?;
        let pause = self.under_load.bench.plan.idle.min(IDLE);
        let idle = self.spent(|_| {
            thread::sleep(pause);
            Ok(())
        })?;
        let logins = self.spent(|under_load| log_in(under_load, 2 * COUNTED))?;
        let broadcasts = self.spent(|under_load| broadcast(under_load))?;
        let mut stacks = envelopes::seal(&self.under_load)?;
        let letters = stacks.iter_mut().take(COUNTED).map(|one| one.take(1)).collect();
        let envelopes = self.spent(|under_load| post(under_load, letters))?;
        let (seconds, traced) = (idle.time.as_secs_f64(), idle.traced.as_secs_f64());
        let mut rows = idle.rows(which, "a second without anything to do", (seconds, traced));
        for (what, spent) in
            [("a login", logins), ("a broadcast", broadcasts), ("an envelope", envelopes)]
        {
            let count = COUNTED as f64;
            rows.extend(spent.beyond(&idle).rows(which, what, (count, count)));
        }
        Ok(rows)
    }

    /// Counts what the servers spend while something is done.
    fn spent(
        &mut self,
        act: impl FnOnce(&mut ServerUnderLoad<'a>) -> BenchResult<()>,
    ) -> BenchResult<Spent> {
        let statements = || Throwaway::shared().server.statements();
        let commands = || self.bell.as_ref().map_or(0, Bell::commands);
        let all = [&self.under_load.server].into_iter().chain(&self.under_load.others);
        let trace = Trace::start(all.map(ServerProcess::pid))?;
        let begin_traced = Instant::now();
        thread::sleep(self.under_load.bench.plan.idle.min(PEACE));
        // A reading counts itself.
        let readings = (statements(), commands());
        let (statements_before, commands_before) = (statements(), commands());
        let own = (statements_before - readings.0, commands_before - readings.1);
        // The servers ask at times of their own, and so may have done so between the two readings.
        let beyond =
            |after: u64, before: u64, own: u64| (after - before).saturating_sub(own) as f64;
        let begin = Instant::now();
        act(&mut self.under_load)?;
        let (time, traced) = (begin.elapsed(), begin_traced.elapsed());
        let system_calls = trace.map(Trace::finish).transpose()?;
        Ok(Spent {
            time,
            traced,
            statements: beyond(statements(), statements_before, own.0),
            commands: beyond(commands(), commands_before, own.1),
            system_calls,
        })
    }
}

impl Spent {
    /// Returns what was spent beyond what is spent in that time anyway.
    fn beyond(self, idle: &Spent) -> Spent {
        let rest = |all: f64, idle_all: f64, times: [Duration; 2]| {
            let share = times[0].as_secs_f64() / times[1].as_secs_f64();
            (all - share * idle_all).max(0.0)
        };
        let times = [self.time, idle.time];
        let both = self.system_calls.zip(idle.system_calls);
        Spent {
            statements: rest(self.statements, idle.statements, times),
            commands: rest(self.commands, idle.commands, times),
            system_calls: both
                .map(|(all, idle_all)| rest(all, idle_all, [self.traced, idle.traced])),
            ..self
        }
    }

    /// Returns a row for each kind, divided by the first number, and for system calls by the second one.
    fn rows(self, which: &str, what: &str, (by, calls_by): (f64, f64)) -> Vec<Row> {
        let row = |kind: &str, count: f64| {
            Row::new(FIGURE, format!("{which}, {what}: {kind}"), count, "")
        };
        let calls = self.system_calls.map(|count| count / calls_by);
        let system_calls = calls.map(|count| row("system calls of the servers", count));
        let rows = [
            row("statements", self.statements / by),
            row("commands to the bell", self.commands / by),
        ];
        rows.into_iter().chain(system_calls).collect()
    }
}

/// Logs clients in until there are so many, and each has published a prekey.
fn log_in(under_load: &mut ServerUnderLoad<'_>, clients: usize) -> BenchResult<()> {
    under_load.grow(clients)?;
    let all = move |crowd: &Crowd| crowd.tally.mail.published >= clients;
    under_load.load.wait("everybody has published a prekey", all).map(drop)
}

/// Sends broadcasts, each once everybody has the one before.
fn broadcast(under_load: &ServerUnderLoad<'_>) -> BenchResult<()> {
    for number in 0..COUNTED {
        let shown = under_load.load.with(move |crowd| {
            crowd.broadcast(number);
            crowd.tally.shown
        })?;
        let all = shown + under_load.clients() as u64;
        under_load.load.wait("all have it", move |crowd| crowd.tally.shown >= all)?;
    }
    Ok(())
}

/// Lets each client post its letters, and waits until all are acknowledged.
fn post(under_load: &ServerUnderLoad<'_>, letters: Vec<Vec<Letter>>) -> BenchResult<()> {
    let through = under_load.load.with(move |crowd| {
        for (number, letters) in letters.into_iter().enumerate() {
            crowd.post(number, letters);
        }
        crowd.tally.mail.acknowledged + COUNTED as u64
    })?;
    let all = move |crowd: &Crowd| crowd.tally.mail.acknowledged >= through;
    under_load.load.wait("every envelope is acknowledged", all).map(drop)
}

/// A count of the system calls of processes, by strace.
struct Trace {
    strace: Child,
    summary: NamedTempFile,
}

impl Trace {
    /// Starts to count. Returns `None` without strace.
    fn start(pids: impl Iterator<Item = u32>) -> BenchResult<Option<Trace>> {
        let summary = NamedTempFile::new()?;
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(summary.path());
        let mut count = 0;
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
            count += 1;
        }
        let Ok(mut strace) = command.stderr(Stdio::piped()).spawn() else { return Ok(None) };
        let lines = strace.stderr.take().map(|stderr| BufReader::new(stderr).lines());
        let attached = lines.into_iter().flatten().map_while(Result::ok);
        let attached = attached.filter(|line| line.contains("attached")).take(count).count();
        match attached == count {
            true => Ok(Some(Trace { strace, summary })),
            // It may not trace here.
            false => strace.wait().map(|_| None).map_err(Into::into),
        }
    }

    /// Returns the number of calls since the start.
    fn finish(mut self) -> BenchResult<f64> {
        kill_process(Pid::from_child(&self.strace), Signal::INT)?;
        self.strace.wait()?;
        let summary = fs::read_to_string(self.summary.path())?;
        // The columns are the share, seconds, microseconds for each call, calls, errors if any, and the name.
        let total = summary.lines().rev().find(|line| line.ends_with(" total"));
        let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
        Ok(calls.ok_or_else(|| Failed("strace tells no total".into()))?)
    }
}
