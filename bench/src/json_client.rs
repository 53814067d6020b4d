//! A client that is a program of its own. It takes commands and tells events as lines of JSON.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use letschat_protocol::username::Username;
use letschat_tests::programs::Running;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::accounts::password;
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::run::Bench;
use crate::server::ServerProcess;

/// A running `letschat --json`, which is killed when this is dropped.
pub(crate) struct JsonClient {
    process: Running,
    /// A folder of its own, which is removed after the program has ended.
    _data: Option<TempDir>,
    commands: u64,
}

impl JsonClient {
    /// Starts a client that is not logged in.
    pub(crate) fn start(bench: &Bench, server: &ServerProcess) -> BenchResult<JsonClient> {
        JsonClient::start_with(bench, server, &[])
    }

    /// Starts a client that is not logged in. It saves files in this folder.
    pub(crate) fn start_with_downloads(
        bench: &Bench,
        server: &ServerProcess,
        downloads: &Path,
    ) -> BenchResult<JsonClient> {
        JsonClient::start_with(bench, server, &["--downloads".as_ref(), downloads.as_os_str()])
    }

    fn start_with(
        bench: &Bench,
        server: &ServerProcess,
        flags: &[&OsStr],
    ) -> BenchResult<JsonClient> {
        let data = tempfile::tempdir()?;
        let process = run(bench, server, data.path(), flags);
        Ok(JsonClient { process, _data: Some(data), commands: 0 })
    }

    /// Starts a client that is not logged in, with the data in this folder.
    pub(crate) fn start_in(
        bench: &Bench,
        server: &ServerProcess,
        data: &Path,
        flags: &[&str],
    ) -> BenchResult<JsonClient> {
        let flags: Vec<&OsStr> = flags.iter().map(OsStr::new).collect();
        Ok(JsonClient { process: run(bench, server, data, &flags), _data: None, commands: 0 })
    }

    /// Logs in by password.
    pub(crate) fn log_in(&mut self, until: Instant, username: &Username) -> BenchResult<()> {
        let password = password().0;
        let arguments = json!({"username": username.as_str(), "password": password});
        self.ask(until, "login", &arguments)
    }

    /// Runs a command and waits for its success. Skips other output.
    pub(crate) fn ask(
        &mut self,
        until: Instant,
        command: &str,
        arguments: &Value,
    ) -> BenchResult<()> {
        let id = self.tell(command, arguments);
        self.reply(until, command, id)
    }

    /// Sends a command without waiting. Returns the number of its reply.
    pub(crate) fn tell(&mut self, command: &str, arguments: &Value) -> u64 {
        self.commands += 1;
        let line = json!({"id": self.commands, "command": command, "arguments": arguments});
        self.process.type_line(&line.to_string());
        self.commands
    }

    /// Waits for the reply with this number, which must be a success. Skips other output.
    pub(crate) fn reply(&mut self, until: Instant, command: &str, id: u64) -> BenchResult<()> {
        let is_reply = |line: &Value| line.get("reply").is_some() && line["id"] == id;
        let reply = self.wait(until, command, is_reply)?;
        match reply.get("error") {
            Some(error) => Err(Failed(format!("the command {command} failed: {error}")).into()),
            None => Ok(()),
        }
    }

    /// Waits for a line that fits, and returns it. Skips other output.
    pub(crate) fn wait(
        &mut self,
        until: Instant,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> BenchResult<Value> {
        let (_, line) = self.wait_at(until, what, fits)?;
        Ok(line)
    }

    /// Waits for a line that fits, and returns it with the time of its arrival. Skips other output.
    pub(crate) fn wait_at(
        &mut self,
        until: Instant,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> BenchResult<(Instant, Value)> {
        while let Some((at, line)) = self.next_line(until)? {
            if fits(&line) {
                return Ok((at, line));
            }
        }
        let errors = self.process.errors();
        Err(Failed(format!("a client was waited for in vain: {what}; {errors}")).into())
    }

    /// Returns the next line with the time of its arrival, or `None` if none comes until then.
    pub(crate) fn next_line(&mut self, until: Instant) -> BenchResult<Option<(Instant, Value)>> {
        match self.process.next_line(until) {
            Ok(Some(line)) => {
                let at = self.process.heard_at.last().copied().unwrap_or_else(Instant::now);
                Ok(Some((at, serde_json::from_str(&line)?)))
            }
            Ok(None) => {
                Err(Failed(format!("a client has ended: {}", self.process.errors())).into())
            }
            Err(_) => Ok(None),
        }
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns the processor time used so far.
    pub(crate) fn cpu_time(&self) -> BenchResult<Duration> {
        Ok(process::cpu_time(self.process.pid())?)
    }
}

fn run(bench: &Bench, server: &ServerProcess, data: &Path, flags: &[&OsStr]) -> Running {
    let mut command = Command::new(&bench.programs.client);
    // The user's own settings must not affect the measurement.
    command.env_clear().env("HOME", data);
    command.args(["--json", "--no-login", "--peer-port", "0"]);
    command.args(["--server", &server.location(), "--data"]).arg(data).args(flags);
    Running::start(&mut command)
}
