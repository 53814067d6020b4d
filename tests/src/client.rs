//! A client that takes commands and reports events.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs::{PATIENCE, Running, program_by, without_settings};
use crate::server::TestServer;

/// The password of every account of a test.
pub const PASSWORD: &str = "correct horse battery";

/// A running `letschat --json`.
pub struct TestClient {
    /// The running program.
    pub process: Running,
    /// The username.
    pub name: String,
    /// The data folder.
    pub data: TempDir,
    /// The events and replies not yet waited for.
    mailbox: Vec<Value>,
    commands: u64,
}

impl TestClient {
    /// Starts a client that knows the server and is not logged in.
    pub fn start(server: &TestServer, name: &str) -> TestClient {
        TestClient::start_at(&server.location(), name, &[])
    }

    /// Starts a client with this address and these flags.
    pub fn start_at(location: &str, name: &str, flags: &[&str]) -> TestClient {
        let data = tempfile::tempdir().unwrap();
        TestClient::start_in(data, location, name, flags)
    }

    /// Starts a client in a folder that may have been used before.
    pub fn start_in(data: TempDir, location: &str, name: &str, flags: &[&str]) -> TestClient {
        TestClient::start_in_by(&[], data, location, name, flags)
    }

    /// Starts a client through programs that exec it, such as `env`.
    pub fn start_by(by: &[String], server: &TestServer, name: &str) -> TestClient {
        let data = tempfile::tempdir().unwrap();
        TestClient::start_in_by(by, data, &server.location(), name, &[])
    }

    /// Starts a client through programs that exec it, in a folder that may exist for it alone.
    pub fn start_in_by(
        by: &[String],
        data: TempDir,
        location: &str,
        name: &str,
        flags: &[&str],
    ) -> TestClient {
        let mut command = program_by(by, "letschat");
        without_settings(&mut command);
        command.args(["--json", "--no-login"]);
        if !flags.contains(&"--peer-port") {
            command.args(["--peer-port", "0"]);
        }
        if !flags.contains(&"--downloads") {
            command.arg("--downloads").arg(data.path().join("downloads"));
        }
        command.args(["--server", location, "--data"]);
        command.arg(data.path()).args(flags);
        TestClient::run(&mut command, name, data)
    }

    /// Starts a client of a classroom with these two ports.
    pub fn start_in_class(
        server: &TestServer,
        id: &str,
        ports: (u16, u16),
        data: TempDir,
    ) -> TestClient {
        let mut command = program_by(&[], "letschat");
        without_settings(&mut command);
        command.args([id, &ports.0.to_string(), &ports.1.to_string(), "--json"]);
        command.args(["--server", &server.location(), "--data"]).arg(data.path());
        TestClient::run(&mut command, id, data)
    }

    fn run(command: &mut Command, name: &str, data: TempDir) -> TestClient {
        let process = Running::start(command);
        TestClient { process, name: name.to_owned(), data, mailbox: Vec::new(), commands: 0 }
    }

    /// Starts a client, signs it up and logs it in.
    pub fn join(server: &TestServer, name: &str) -> TestClient {
        let mut client = TestClient::start(server, name);
        client.sign_up_and_log_in();
        client
    }

    /// Signs up and logs in.
    pub fn sign_up_and_log_in(&mut self) {
        let credentials = json!({"username": self.name, "password": PASSWORD});
        self.ok("signup", credentials.clone());
        self.ok("login", credentials);
        self.wait_event("logged_in");
    }

    /// Sends a command without waiting. Returns the number of its reply.
    pub fn tell(&mut self, command: &str, arguments: Value) -> u64 {
        self.commands += 1;
        let line = json!({"id": self.commands, "command": command, "arguments": arguments});
        self.process.type_line(&line.to_string());
        self.commands
    }

    /// Waits for the reply with this number.
    pub fn reply(&mut self, id: u64) -> Value {
        self.wait("reply", |line| line.get("reply").is_some() && line["id"] == id)
    }

    /// Runs a command and expects success.
    pub fn ok(&mut self, command: &str, arguments: Value) -> Value {
        let id = self.tell(command, arguments);
        let reply = self.reply(id);
        assert!(reply.get("error").is_none(), "{command}: {reply}\n{}", self.process.transcript());
        reply
    }

    /// Runs a command, expects a failure and returns its code.
    pub fn fails(&mut self, command: &str, arguments: Value) -> String {
        let (code, _) = self.refused(command, arguments);
        code
    }

    /// Runs a command, expects a failure and returns its code and message.
    pub fn refused(&mut self, command: &str, arguments: Value) -> (String, String) {
        let id = self.tell(command, arguments);
        self.refusal(id)
    }

    /// Waits for the reply with this number, expects a failure and returns its code and message.
    pub fn refusal(&mut self, id: u64) -> (String, String) {
        let reply = self.reply(id);
        let text = |field: &str| reply["error"][field].as_str().map(str::to_owned);
        let refusal = text("code").zip(text("message"));
        refusal.unwrap_or_else(|| panic!("it did not fail: {reply}"))
    }

    /// Expects the client to be logged out for this reason and not to reconnect.
    pub fn is_out_for_good(&mut self, reason: &str) {
        let closed = self.wait_event("disconnected");
        assert_eq!(closed["reason"], reason, "{closed}");
        assert_eq!(self.ok("status", json!({}))["state"], "offline");
        let tries = self.all(|line| line["event"] == "retrying");
        assert!(tries.is_empty(), "{tries:?}");
    }

    /// Expects the client to be logged in, at once or after a reconnection.
    pub fn is_in(&mut self) {
        assert_eq!(self.ok("status", json!({}))["state"], "logged_in");
    }

    /// Waits for an event of this name.
    pub fn wait_event(&mut self, name: &str) -> Value {
        self.wait(name, |line| line["event"] == name)
    }

    /// Waits for an event of this name with this value in a field.
    pub fn wait_event_with(&mut self, name: &str, field: &str, value: &str) -> Value {
        let wanted = format!("{name} with {field} {value}");
        self.wait(&wanted, |line| line["event"] == name && line[field] == value)
    }

    /// Waits for output that fits. Earlier output counts if no call has taken it.
    pub fn wait(&mut self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        let found = self.wait_until(until, fits);
        found.unwrap_or_else(|| {
            panic!("{} saw no {wanted}:\n{}", self.name, self.process.transcript())
        })
    }

    /// Waits at most this long for output that fits.
    pub fn wait_within(&mut self, time: Duration, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        self.wait_until(Instant::now() + time, fits)
    }

    fn wait_until(&mut self, until: Instant, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(index) = self.mailbox.iter().position(&fits) {
            return Some(self.mailbox.remove(index));
        }
        loop {
            let line = self.process.next_line(until).ok().flatten()?;
            let value: Value = serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"));
            if fits(&value) {
                return Some(value);
            }
            self.mailbox.push(value);
        }
    }

    /// Returns all output so far that fits, taken or not.
    pub fn all(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let heard = self.process.heard.iter().map(|line| serde_json::from_str(line).unwrap());
        heard.filter(|value| fits(value)).collect()
    }

    /// Returns all output so far that fits, with the time of each.
    pub fn all_with_times(&self, fits: impl Fn(&Value) -> bool) -> Vec<(Instant, Value)> {
        let heard = self.process.heard.iter().map(|line| serde_json::from_str(line).unwrap());
        let times = self.process.heard_at.iter().copied();
        times.zip(heard).filter(|(_, value)| fits(value)).collect()
    }

    /// Has messages of each side approved by the other.
    pub fn befriend(&mut self, other: &mut TestClient) {
        // The server answers in order, so that it has the prekey then.
        other.ok("list", json!({}));
        self.ok("send", json!({"to": other.name, "text": "may I?"}));
        other.wait_event_with("request", "kind", "message");
        other.ok("approve", json!({}));
        other.wait_event_with("message", "text", "may I?");
        self.wait_event_with("message_state", "state", "delivered");
        other.ok("send", json!({"to": self.name, "text": "you may"}));
        self.wait_event_with("message", "text", "you may");
    }

    /// Requests a chat and has it approved.
    pub fn chat_with(&mut self, other: &mut TestClient) {
        let id = self.tell("connect", json!({"who": other.name}));
        other.wait_event_with("request", "from", &self.name);
        other.ok("approve", json!({"who": self.name}));
        let reply = self.reply(id);
        assert_eq!(reply["with"], other.name, "{reply}");
        self.wait_event_with("chat_opened", "with", &other.name);
        other.wait_event_with("chat_opened", "with", &self.name);
    }

    /// Sends a message in a chat and waits until it arrives.
    pub fn says_to(&mut self, other: &mut TestClient, text: &str) {
        self.ok("say", json!({"text": text, "to": other.name}));
        let message = other.wait_event_with("message", "text", text);
        assert_eq!(message["from"], self.name);
    }

    /// Ends the client and expects success.
    pub fn quits(mut self) {
        self.process.end_input();
        assert_eq!(self.process.exit_code(), 0, "{}", self.process.transcript());
    }
}
