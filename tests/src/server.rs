//! A server in its own folder.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::ports::free_port;
use crate::programs::{Running, program_by, without_settings};

/// A running server, and its parameters for a restart.
pub struct TestServer {
    /// The running program.
    pub process: Running,
    /// The address where it listens.
    pub address: SocketAddr,
    /// The fingerprint of its key.
    pub fingerprint: String,
    /// The data folder.
    pub data: TempDir,
    by: Vec<String>,
    flags: Vec<String>,
}

impl TestServer {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start(flags: &[&str]) -> TestServer {
        TestServer::start_with_input(flags, Stdio::piped())
    }

    /// Starts a server with this standard input as its console.
    pub fn start_with_input(flags: &[&str], input: Stdio) -> TestServer {
        TestServer::launch_in(&[], tempfile::tempdir().unwrap(), flags, input)
    }

    /// Starts a server through programs that exec it, such as `env`.
    pub fn start_by(by: &[String], flags: &[&str]) -> TestServer {
        TestServer::launch_in(by, tempfile::tempdir().unwrap(), flags, Stdio::piped())
    }

    /// Starts a server in a prepared folder.
    pub fn start_in(data: TempDir, flags: &[&str]) -> TestServer {
        TestServer::launch_in(&[], data, flags, Stdio::piped())
    }

    fn launch_in(by: &[String], data: TempDir, flags: &[&str], input: Stdio) -> TestServer {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (process, address, fingerprint) = launch(by, &data, free_port(), &flags, input);
        TestServer { process, address, fingerprint, data, by: by.to_vec(), flags }
    }

    /// Returns the server's address and key fingerprint for clients.
    pub fn location(&self) -> String {
        format!("{}#{}", self.address, self.fingerprint)
    }

    /// Stops the server as an operator does.
    pub fn stop(&mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit_code(), 0, "{}", self.process.transcript());
    }

    /// Kills the server, as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Restarts the server on the same port and data.
    pub fn start_again(&mut self) {
        let port = self.address.port();
        let (process, address, fingerprint) =
            launch(&self.by, &self.data, port, &self.flags, Stdio::piped());
        assert_eq!((address, &fingerprint), (self.address, &self.fingerprint));
        self.process = process;
    }

    /// Waits until the log has a line with these words.
    pub fn wait_log(&self, words: &str) {
        self.process.wait_errors(words);
    }

    /// Types a line at the console and reads the answer up to the line that starts with `last`.
    pub fn answers(&mut self, typed: &str, last: &str) -> Vec<String> {
        let before = self.process.heard.len();
        self.process.type_line(typed);
        self.process.wait_line(last, |line| line.starts_with(last));
        self.process.heard[before..].to_vec()
    }

    /// Returns the number of open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.pid())).unwrap().count()
    }

    /// Returns the processor time of all threads.
    pub fn processor_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.pid())).unwrap();
        let times = threads.filter_map(|thread| {
            // A thread may have ended in the meantime.
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }
}

fn launch(
    by: &[String],
    data: &TempDir,
    port: u16,
    flags: &[String],
    input: Stdio,
) -> (Running, SocketAddr, String) {
    let mut command = program_by(by, "letschat-server");
    without_settings(&mut command);
    if !flags.iter().any(|flag| flag == "--listen") {
        command.args(["--listen", "127.0.0.1"]);
    }
    command.args(["--log", "debug", "--port", &port.to_string(), "--data"]);
    command.arg(data.path()).args(flags);
    let mut process = Running::start_with_input(&mut command, input);
    let line = process.wait_line("address", |line| line.starts_with("listening on "));
    let address = line.trim_start_matches("listening on ").parse().unwrap();
    let line = process.wait_line("fingerprint", |line| line.starts_with("fingerprint "));
    let fingerprint = line.trim_start_matches("fingerprint ").to_owned();
    (process, address, fingerprint)
}
