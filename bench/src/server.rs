//! A real server in a folder of its own.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use letschat_protocol::identity::Fingerprint;
use letschat_tests::programs::NO_SETTINGS;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::run::{Bench, say};

/// The timeout of a server's stop. The server itself promises 3 s.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
const STOP_POLL: Duration = Duration::from_millis(2);

/// The number of log lines to show when a server has failed.
const LAST_LINES: usize = 10;

/// The flags that raise the limits which a crowd would hit. All other settings are the defaults.
const SETTINGS: &[&str] = &[
    "--places",
    "100000",
    "--broadcast-burst",
    "1000000",
    "--broadcast-interval-ms",
    "1",
    "--post-burst",
    "1000000",
    "--post-interval-ms",
    "1",
    "--signup-burst",
    "1000000",
    "--relays",
    "100000",
];

/// A running server. Killed when it is dropped.
pub(crate) struct ServerProcess {
    child: Child,
    program: PathBuf,
    data: TempDir,
    port: u16,
    fingerprint: Fingerprint,
    ipv6: bool,
    flags: Vec<String>,
}

impl ServerProcess {
    /// Starts a server on a free port, with all accounts.
    pub(crate) fn start(bench: &Bench) -> BenchResult<ServerProcess> {
        ServerProcess::start_with(bench, &[])
    }

    /// Starts a server with further flags. All servers of a run have the same key.
    pub(crate) fn start_with(bench: &Bench, flags: &[&str]) -> BenchResult<ServerProcess> {
        ServerProcess::start_by(bench, &[SETTINGS, flags].concat())
    }

    /// Starts a server of a classroom.
    pub(crate) fn start_class(bench: &Bench) -> BenchResult<ServerProcess> {
        ServerProcess::start_by(bench, &["--classroom"])
    }

    fn start_by(bench: &Bench, flags: &[&str]) -> BenchResult<ServerProcess> {
        let data = tempfile::tempdir()?;
        bench.accounts.copy_to(data.path())?;
        let program = bench.programs.server.clone();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let Launched { child, address, fingerprint } = launch(&program, &data, 0, &flags)?;
        let (port, ipv6) = (address.port(), address.is_ipv6());
        Ok(ServerProcess { child, program, data, port, fingerprint, ipv6, flags })
    }

    /// Starts a server once, so that its key and its empty database are in this folder. Returns the key's fingerprint.
    pub(crate) fn make_data(program: &Path, data: &TempDir) -> BenchResult<Fingerprint> {
        let flags: Vec<String> = SETTINGS.iter().map(|flag| (*flag).to_owned()).collect();
        let Launched { mut child, fingerprint, .. } = launch(program, data, 0, &flags)?;
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        match child.wait()? {
            status if status.success() => Ok(fingerprint),
            status => Err(Failed(format!("the server ended: {status}")).into()),
        }
    }

    /// Stops the server as an operator does, and waits for its end.
    pub(crate) fn stop(&mut self) -> BenchResult<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        let until = Instant::now() + STOP_PATIENCE;
        while Instant::now() < until {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.failed(&format!("the server ended: {status}"))),
                None => thread::sleep(STOP_POLL),
            }
        }
        Err(self.failed("the server does not stop"))
    }

    /// Starts the server again on the same port and data. Returns when it listens.
    pub(crate) fn start_again(&mut self) -> BenchResult<()> {
        self.child = launch(&self.program, &self.data, self.port, &self.flags)?.child;
        Ok(())
    }

    /// Returns the address for clients on this machine.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns true if the server's sockets are IPv6 ones, which carry IPv4 as well.
    pub(crate) fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    /// Returns the server's location for the client: its address and its key.
    pub(crate) fn location(&self) -> String {
        format!("{}#{}", self.address(), self.fingerprint)
    }

    /// Returns the fingerprint of the server's key, which envelopes name.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Returns the id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the processor time used so far.
    pub(crate) fn cpu_time(&self) -> BenchResult<Duration> {
        Ok(process::cpu_time(self.child.id())?)
    }

    /// Returns the memory (PSS) in bytes.
    pub(crate) fn memory(&self) -> BenchResult<u64> {
        Ok(process::memory(self.child.id())?)
    }

    /// Returns the peak growth of memory while a function runs.
    pub(crate) fn peak_growth<T>(
        &self,
        meanwhile: impl FnOnce() -> BenchResult<T>,
    ) -> BenchResult<(T, u64)> {
        let pid = self.child.id();
        process::forget_peak(pid)?;
        let before = process::resident(pid)?;
        let result = meanwhile()?;
        Ok((result, process::peak_resident(pid)?.saturating_sub(before)))
    }

    fn failed(&self, what: &str) -> Box<dyn Error> {
        let log = fs::read_to_string(self.data.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        Failed(format!("{what}; its log ends so:\n{last}")).into()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // This fails only if the server has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LOG: &str = "server.log";

struct Launched {
    child: Child,
    address: SocketAddr,
    fingerprint: Fingerprint,
}

/// Starts the server with its log in a file, as under a service manager.
fn launch(program: &Path, data: &TempDir, port: u16, flags: &[String]) -> BenchResult<Launched> {
    let log = File::options().create(true).append(true).open(data.path().join(LOG))?;
    let mut command = Command::new(program);
    // The operator's own settings must not affect the measurement.
    command.env_clear().env("LETSCHAT_SERVER_CONFIG", NO_SETTINGS).env("HOME", data.path());
    command.args(["--port", &port.to_string(), "--data"]).arg(data.path()).args(flags);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn()?;
    // The process id allows for other measuring tools.
    say(format_args!("a server, process {}", child.id()));
    let Some(stdout) = child.stdout.take() else {
        return Err(Failed("the server has no output".into()).into());
    };
    let mut lines = BufReader::new(stdout).lines();
    let mut announced = |label: &str| -> BenchResult<String> {
        let line = lines.next().transpose()?.unwrap_or_default();
        let told = line.strip_prefix(label).map(|told| told.trim().to_owned());
        told.ok_or_else(|| Failed(format!("the server said {line:?}, not {label:?}")).into())
    };
    let address = announced("listening on")?.parse()?;
    let fingerprint = announced("fingerprint")?.parse()?;
    Ok(Launched { child, address, fingerprint })
}
