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

/// The time in which is counted what the servers do anyway, and the peace before each count: strace interrupts the
/// servers when it comes, and they connect to the bell again.
const IDLE: Duration = Duration::from_secs(3);
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

/// What was spent in a time, over all servers.
#[derive(Debug, Clone, Copy)]
struct Spent {
    time: Duration,
    statements: f64,
    commands: f64,
    /// With the peace before. `None` without strace.
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
        self.under_load.grow(COUNTED)?;
        let have_prekeys = |count: usize| {
            move |crowd: &crate::load::crowd::Crowd| crowd.tally.mail.published >= count
        };
        let load = &self.under_load.load;
        load.wait("everybody has published a prekey", have_prekeys(COUNTED))?;
        let idle = self.spent(|_| {
            thread::sleep(IDLE);
            Ok(())
        })?;
        let logins = self.spent(|under_load| {
            under_load.grow(2 * COUNTED)?;
            let all = have_prekeys(2 * COUNTED);
            under_load.load.wait("everybody has published a prekey", all).map(drop)
        })?;
        let broadcasts = self.spent(|under_load| {
            for number in 0..COUNTED {
                let shown = under_load.load.with(move |crowd| {
                    crowd.broadcast(number);
                    crowd.tally.shown
                })?;
                let all = shown + under_load.clients() as u64;
                under_load.load.wait("all have it", move |crowd| crowd.tally.shown >= all)?;
            }
            Ok(())
        })?;
        let mut stacks = envelopes::seal(&self.under_load)?;
        let envelopes = self.spent(|under_load| {
            let letters: Vec<_> = stacks.iter_mut().take(COUNTED).map(|one| one.take(1)).collect();
            let through = under_load.load.with(move |crowd| {
                for (number, letters) in letters.into_iter().enumerate() {
                    crowd.post(number, letters);
                }
                crowd.tally.mail.acknowledged + COUNTED as u64
            })?;
            let acknowledged = "every envelope is acknowledged";
            let all =
                move |crowd: &crate::load::crowd::Crowd| crowd.tally.mail.acknowledged >= through;
            under_load.load.wait(acknowledged, all).map(drop)
        })?;
        // Its system calls are those of the peace before, too.
        let seconds = (IDLE + PEACE).as_secs_f64();
        let a_second = Spent {
            statements: idle.statements / IDLE.as_secs_f64() * seconds,
            commands: idle.commands / IDLE.as_secs_f64() * seconds,
            ..idle
        };
        let mut rows = a_second.rows(which, "a second without anything to do", seconds);
        for (what, spent) in
            [("a login", logins), ("a broadcast", broadcasts), ("an envelope", envelopes)]
        {
            rows.extend(spent.beyond(&idle).rows(which, what, COUNTED as f64));
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
        thread::sleep(PEACE);
        // A reading counts itself.
        let readings = (statements(), commands());
        let (statements_before, commands_before) = (statements(), commands());
        let own = (statements_before - readings.0, commands_before - readings.1);
        let begin = Instant::now();
        act(&mut self.under_load)?;
        let time = begin.elapsed();
        let system_calls = trace.map(Trace::finish).transpose()?;
        Ok(Spent {
            time,
            statements: (statements() - statements_before - own.0) as f64,
            commands: (commands() - commands_before - own.1) as f64,
            system_calls,
        })
    }
}

impl Spent {
    /// Returns what was spent beyond what is spent in that time anyway.
    fn beyond(self, idle: &Spent) -> Spent {
        let share =
            |peace: Duration| (self.time + peace).as_secs_f64() / (idle.time + peace).as_secs_f64();
        let rest = |all: f64, idle: f64, share: f64| (all - share * idle).max(0.0);
        let share_of_time = share(Duration::ZERO);
        let both = self.system_calls.zip(idle.system_calls);
        Spent {
            statements: rest(self.statements, idle.statements, share_of_time),
            commands: rest(self.commands, idle.commands, share_of_time),
            system_calls: both.map(|(all, idle)| rest(all, idle, share(PEACE))),
            ..self
        }
    }

    /// Returns a row for each kind, divided by this number.
    fn rows(self, which: &str, what: &str, by: f64) -> Vec<Row> {
        let row = |kind: &str, count: f64| {
            Row::new(FIGURE, format!("{which}, {what}: {kind}"), count / by, "")
        };
        let system_calls = self.system_calls.map(|count| row("system calls of the servers", count));
        let rows = [row("statements", self.statements), row("commands to the bell", self.commands)];
        rows.into_iter().chain(system_calls).collect()
    }
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
