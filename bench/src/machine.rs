//! The machine and the circumstances of a run, for comparisons with other runs.

use std::fmt;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::process;

/// The machine.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
}

/// The circumstances of one run.
#[derive(Debug, Serialize)]
pub(crate) struct RunInfo {
    /// The measured version, from git, with `-dirty` if there are uncommitted changes.
    commit: String,
    /// The start of the run (RFC 3339).
    date: String,
    seconds: f64,
    /// The share of the processor that other programs used meanwhile. If the kernel accounts
    /// interrupts separately, those for our own datagrams are included.
    others_percent: Option<f64>,
}

impl Machine {
    /// Describes this machine. Unavailable values are `unknown`.
    pub(crate) fn describe() -> Machine {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        });
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        Machine {
            processor: processor.unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_mib: process::field("/proc/meminfo", "MemTotal:").unwrap_or_default() >> 20,
            kernel: kernel.map_or_else(|_| unknown(), |text| text.trim().to_owned()),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { processor, cores, memory_mib, kernel } = self;
        write!(f, "{processor}, {cores} cores, {memory_mib} MiB, Linux {kernel}")
    }
}

impl fmt::Display for RunInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunInfo { commit, date, seconds, others_percent } = self;
        write!(f, "commit {commit}, {date}, {seconds:.0} s")?;
        match others_percent {
            Some(percent) => write!(f, ", others took {percent:.1} % of the machine"),
            None => Ok(()),
        }
    }
}

/// A run from its start to its end.
pub(crate) struct Span {
    begin: Instant,
    date: String,
    busy: Option<Busy>,
}

/// The processor's clock ticks since boot.
#[derive(Clone, Copy)]
struct Busy {
    /// All ticks.
    total: f64,
    /// The ticks that were not idle.
    used: f64,
    /// The ticks of this program and of its children that have ended.
    own: f64,
}

impl Span {
    /// Starts a run.
    pub(crate) fn start() -> Span {
        let date = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        Span { begin: Instant::now(), date, busy: Busy::read() }
    }

    /// Finishes the run, after all programs that it started.
    pub(crate) fn finish(self) -> RunInfo {
        let others = self.busy.zip(Busy::read()).map(|(before, after)| after.others_since(before));
        RunInfo {
            commit: commit(),
            date: self.date,
            seconds: self.begin.elapsed().as_secs_f64(),
            others_percent: others,
        }
    }
}

impl Busy {
    fn read() -> Option<Busy> {
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let ticks = numbers(machine.lines().next()?.strip_prefix("cpu ")?);
        // User time includes guest time already.
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else {
            return None;
        };
        let used = user + nice + system + irq + softirq + steal;
        let total = used + idle + iowait;

        let own = fs::read_to_string("/proc/self/stat").ok()?;
        let own = numbers(own.rsplit_once(')')?.1);
        // After the name: state, ten fields, then utime stime cutime cstime.
        let own = own.get(11..15)?.iter().sum();
        Some(Busy { total, used, own })
    }

    fn others_since(self, before: Busy) -> f64 {
        let total = (self.total - before.total).max(1.0);
        let others = (self.used - before.used) - (self.own - before.own);
        (100.0 * others / total).max(0.0)
    }
}

/// Parses numbers. Anything else counts as 0, so that positions are kept.
fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let folder = env!("CARGO_MANIFEST_DIR");
        let output = Command::new("git").args(["-C", folder]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        None => unknown(),
        Some(commit) => match git(&["status", "--porcelain"]) {
            Some(changes) if changes.is_empty() => commit,
            _ => format!("{commit}-dirty"),
        },
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}
