//! A client that is a program of its own. It takes commands and tells events as lines of JSON.

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
    /// Removed after the program has ended.
    _data: TempDir,
    commands: u64,
}

impl JsonClient {
    /// Starts a client that is not logged in.
    pub(crate) fn start(bench: &Bench, server: &ServerProcess) -> BenchResult<JsonClient> {
        let data = tempfile::tempdir()?;
        let mut command = Command::new(&bench.programs.client);
        // The user's own settings must not affect the measurement.
        command.env_clear().env("HOME", data.path());
        command.args(["--json", "--no-login", "--peer-port", "0"]);
        command.args(["--server", &server.location(), "--data"]).arg(data.path());
        let process = Running::start(&mut command);
        Ok(JsonClient { process, _data: data, commands: 0 })
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
        self.commands += 1;
        let id = self.commands;
        let line = json!({"id": id, "command": command, "arguments": arguments});
        self.process.type_line(&line.to_string());
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
        while let Ok(Some(line)) = self.process.next_line(until) {
            let value: Value = serde_json::from_str(&line)?;
            if fits(&value) {
                return Ok(value);
            }
        }
        let errors = self.process.errors();
        Err(Failed(format!("a client was waited for in vain: {what}; {errors}")).into())
    }

    /// Returns the processor time used so far.
    pub(crate) fn cpu_time(&self) -> BenchResult<Duration> {
        Ok(process::cpu_time(self.process.pid())?)
    }
}
