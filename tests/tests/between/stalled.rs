//! Clients flooded by a peer, and clients whose output nobody reads.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use letschat_tests::client::TestClient;
use letschat_tests::programs::{Running, program, without_settings};
use letschat_tests::project::root;
use letschat_tests::rogue::Rogue;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The number of messages in a flood: more than a client ever queues for its front end.
const FLOOD: u64 = 40_000;

/// The number of event lines that more than fill a pipe.
const MANY: usize = 300;

#[test]
fn a_flood_of_messages_does_not_end_the_client() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut rogue = Rogue::join(&server, "rogue");
    let mut link = rogue.chats_with(&mut alice);
    link.floods(1..=FLOOD, "x");
    alice.wait("the last message", |line| line["number"] == FLOOD);
    let numbers = alice.all(|line| line["event"] == "message");
    let numbers = numbers.iter().map(|line| line["number"].as_u64().unwrap());
    assert!(numbers.eq(1..=FLOOD), "each is shown once and in order");
    alice.is_in();
}

#[test]
fn a_flood_of_messages_does_not_end_a_plain_client() {
    let server = TestServer::start(&[]);
    let data = account(&server, "alice");
    let mut alice = Running::start(client(&server, "alice", &data).arg("--plain"));
    alice.wait_line("the login", |line| line.starts_with("Logged in"));
    let mut rogue = Rogue::join(&server, "rogue");
    let mut link = rogue.calls("alice");
    alice.wait_line("the request", |line| line.contains("rogue"));
    alice.type_line("approve rogue");
    link.is_approved();
    link.floods(1..=FLOOD, "x");
    for _ in 0..FLOOD {
        alice.wait_line("a message", |line| line.ends_with("rogue: x"));
    }
}

#[test]
fn a_flood_of_messages_does_not_end_the_echo_bot() {
    let server = TestServer::start(&[]);
    let (mut bot, _data) = echo(&server);
    let mut rogue = Rogue::join(&server, "rogue");
    let mut link = rogue.calls("echo");
    link.is_approved();
    // The rogue reads nothing, so the echoes block.
    link.floods(1..=FLOOD / 4, "x");
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("connect", json!({"who": "echo"}));
    alice.ok("say", json!({"text": "still there?"}));
    alice.wait_event_with("message", "text", "still there?");
    drop(link);
    bot.signal("TERM");
    assert_eq!(bot.exit_code(), 0, "{}", bot.transcript());
}

#[test]
fn a_flood_without_end_can_be_ended_by_a_command() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut rogue = Rogue::join(&server, "rogue");
    let link = rogue.chats_with(&mut alice);
    let flood = thread::spawn(move || link.floods_without_end(1));
    alice.wait("a part of the flood", |line| line["number"] == 2_000);
    alice.ok("disconnect", json!({}));
    alice.wait_event("chat_closed");
    flood.join().unwrap();
    alice.is_in();
}

#[test]
fn a_script_in_a_flood_without_end_obeys_a_signal() {
    let server = TestServer::start(&[]);
    let (mut bot, _data) = echo(&server);
    let mut rogue = Rogue::join(&server, "rogue");
    let mut link = rogue.calls("echo");
    link.is_approved();
    let flood = thread::spawn(move || link.floods_without_end(1));
    // The chat is open when someone else gets an answer. On a busy machine that takes several calls.
    let mut alice = TestClient::join(&server, "alice");
    let mut is_answered = || {
        let id = alice.tell("connect", json!({"who": "echo"}));
        alice.reply(id)["error"].is_null()
    };
    while !is_answered() {}
    bot.signal("TERM");
    assert_eq!(bot.exit_code(), 0, "{}", bot.transcript());
    flood.join().unwrap();
}

#[test]
fn messages_that_nobody_read_go_on_through_the_server() {
    let server = TestServer::start(&[]);
    let mut bob = Unread::join(&server, "bob");
    let mut alice = TestClient::join(&server, "alice");
    let id = alice.tell("connect", json!({"who": "bob"}));
    bob.reads_until(|line| line["event"] == "request");
    bob.types(&json!({"command": "approve"}));
    bob.reads_until(|line| line["event"] == "chat_opened");
    alice.reply(id);
    let texts: Vec<String> = (0..MANY).map(|number| format!("{number:04} {}", pad())).collect();
    for text in &texts {
        alice.tell("say", json!({"text": text}));
    }
    alice.tell("disconnect", json!({}));
    let closed = alice.wait_event("chat_closed");
    bob.kill();
    let read: BTreeSet<String> =
        bob.reads_rest().iter().filter_map(|line| text_of(line, "message")).collect();
    assert_eq!(closed["undelivered"], json!([]));
    assert!(read.len() < MANY, "the pipe held everything: the test shows nothing");
    let mut bob = TestClient::start_in(bob.into_data(), &server.location(), "bob", &[]);
    bob.ok("login", json!({"username": "bob"}));
    let lost = texts.iter().filter(|text| !read.contains(*text));
    for text in lost {
        let again = bob.wait_event_with("message", "text", text);
        assert_eq!(again["via"], "server");
    }
}

#[test]
fn broadcasts_that_nobody_read_are_delivered_again() {
    let server = TestServer::start(&["--broadcast-burst", "100000"]);
    let mut bob = Unread::join(&server, "bob");
    let mut alice = TestClient::join(&server, "alice");
    let texts: Vec<String> = (0..MANY).map(|number| format!("{number:04} {}", pad())).collect();
    for text in &texts {
        alice.ok("broadcast", json!({"text": text}));
    }
    // The client has received everything before this.
    alice.tell("connect", json!({"who": "bob"}));
    alice.wait_event_with("notice", "code", "ringing");
    bob.kill();
    let mut read: BTreeSet<String> =
        bob.reads_rest().iter().filter_map(|line| text_of(line, "broadcast")).collect();
    assert!(read.len() < MANY, "the pipe held everything: the test shows nothing");
    let mut bob = bob.comes_again(&server);
    while read.len() < MANY {
        let line = bob.reads_until(|line| line["event"] == "broadcast");
        read.extend(text_of(&line, "broadcast"));
    }
    assert!(texts.iter().all(|text| read.contains(text)));
    bob.kill();
}

fn text_of(line: &Value, event: &str) -> Option<String> {
    (line["event"] == event).then(|| line["text"].as_str().unwrap().to_owned())
}

/// Returns padding: 300 such texts fill a pipe.
fn pad() -> String {
    "x".repeat(700)
}

/// Returns the data folder of a user who has signed up and logged in.
fn account(server: &TestServer, name: &str) -> TempDir {
    let joined = TestClient::join(server, name);
    let TestClient { mut process, data, .. } = joined;
    process.end_input();
    assert_eq!(process.exit_code(), 0);
    data
}

/// Starts a client that logs in by key.
fn client(server: &TestServer, name: &str, data: &TempDir) -> Command {
    let mut command = Command::new(program("letschat"));
    without_settings(&mut command);
    command.args(["--peer-port", "0", "--server", &server.location(), "--as", name, "--data"]);
    command.arg(data.path());
    command
}

/// Starts the shipped echo bot and logs it in.
fn echo(server: &TestServer) -> (Running, TempDir) {
    let data = account(server, "echo");
    let mut command = client(server, "echo", &data);
    let mut bot = Running::start(command.arg("--script").arg(shipped("bots/echo.lua")));
    bot.wait_line("word of echo", |line| line == "echo is here as echo");
    (bot, data)
}

fn shipped(name: &str) -> PathBuf {
    root().join("lua").join(name)
}

/// A `letschat --json` whose output the test reads explicitly.
struct Unread {
    child: Child,
    output: BufReader<ChildStdout>,
    name: String,
    data: TempDir,
}

impl Unread {
    fn join(server: &TestServer, name: &str) -> Unread {
        Unread::start(server, name, account(server, name))
    }

    fn start(server: &TestServer, name: &str, data: TempDir) -> Unread {
        let mut command = client(server, name, &data);
        command.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A larger buffer would read ahead, beyond the pipe's capacity.
        let output = BufReader::with_capacity(1, child.stdout.take().unwrap());
        let mut unread = Unread { child, output, name: name.to_owned(), data };
        unread.reads_until(|line| line["event"] == "logged_in");
        unread
    }

    fn types(&mut self, line: &Value) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    fn reads_until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.reads().expect("it is there");
            if fits(&line) {
                return line;
            }
        }
    }

    /// Reads a line, or `None` at the end or at a line cut off by a kill.
    fn reads(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(line.strip_suffix('\n')?).ok()
    }

    /// Reads the rest of the output after the client has ended.
    fn reads_rest(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.reads()).collect()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Returns the folder of a client that has ended.
    fn into_data(self) -> TempDir {
        self.data
    }

    /// Starts the next run in the same folder.
    fn comes_again(self, server: &TestServer) -> Unread {
        let name = self.name.clone();
        Unread::start(server, &name, self.data)
    }
}
