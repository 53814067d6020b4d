//! The operator's console commands while the server runs.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use serde_json::json;
use tempfile::TempDir;

/// Starts a server with a client and a person.
fn company() -> (TestServer, TestClient, Typist) {
    let server = TestServer::start(&[]);
    let alice = TestClient::join(&server, "alice");
    let harry = Typist::joins(server.address, "harry");
    (server, alice, harry)
}

/// Splits a line into columns, which are at least two blanks apart.
fn columns(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn list_shows_who_is_here_and_how_many_places_that_takes() {
    let (mut server, mut alice, _harry) = company();
    server.wait_log("datagrams reach alice");
    let users = alice.ok("list", json!({}))["users"].clone();
    let port = users[0]["port"].to_string();
    let mut knocking = Typist::connect(server.address);
    knocking.expects("220 ");

    let shown = server.answers("list", "2 of 50 places");
    let [head, first, second, count] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!(
        columns(head),
        ["username", "address", "port", "kind", "since (UTC)", "for", "idle", "delivery"]
    );
    let (first, second) = (columns(first), columns(second));
    assert_eq!(first[..4], ["alice", "127.0.0.1", &port, "program"]);
    assert_eq!(second[..4], ["harry", "127.0.0.1", "-", "by hand"]);
    assert_eq!((first[7], second[7]), ("UDP", "TCP"));
    for cells in [first, second] {
        assert!(cells[4].starts_with("20"), "{cells:?}");
        assert!(cells[5..7].iter().all(|time| time.ends_with(" s")), "{cells:?}");
    }
    assert_eq!(count, "2 of 50 places taken; 1 connection before login");
}

#[test]
fn what_is_no_command_is_said_like_what_is_said() {
    let (mut server, mut alice, mut harry) = company();
    for (typed, text) in [("say back in an hour", "back in an hour"), ("lunch!", "lunch!")] {
        let shown = server.answers(typed, "said");
        assert_eq!(shown, [format!("said to 2: {text}")]);
        let message = format!("Server: {text}");
        let heard = alice.wait_event_with("notice", "message", &message);
        assert_eq!(heard["code"], "server_says");
        assert_eq!(harry.expects("* "), format!("* {message}"));
    }
    server.wait_log("the operator spoke to everybody");
    let log = server.process.errors();
    assert!(!log.contains("back in an hour"), "{log}");
}

#[test]
fn a_mistyped_command_is_told_to_nobody_unless_say_forces_it() {
    let (mut server, mut alice, mut harry) = company();
    for typed in [
        "kick",
        "help me",
        "lst",
        "exti",
        "Kik alice",
        "say",
        "account ban alice",
        "quit",
        "\x1b[A",
    ] {
        let shown = server.answers(typed, "Nothing was done: ");
        assert!(shown[0].contains("`say` before a text says it to everybody."), "{shown:?}");
    }
    assert_eq!(server.answers("say lst", "said"), ["said to 2: lst"]);
    // No line came before it.
    assert_eq!(harry.expects("* "), "* Server: lst");
    alice.wait_event_with("notice", "message", "Server: lst");
    let said = alice.all(|line| line["code"] == "server_says");
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn whoever_is_kicked_is_told_why_and_stays_out() {
    let (mut server, mut alice, mut harry) = company();
    assert_eq!(server.answers("kick Alice", "alice"), ["alice was told so, and is out."]);
    alice.is_out_for_good("kicked");
    assert_eq!(server.answers("kick harry", "harry"), ["harry was told so, and is out."]);
    assert_eq!(harry.expects("* "), "* The operator closed your connection.");
    harry.expects_end();
    let nobody = ["Nobody was kicked: alice is not here; `list` shows who is."];
    assert_eq!(server.answers("kick alice", "Nobody"), nobody);
    server.wait_log("alice left: closed, kicked");

    alice.ok("login", json!({}));
    assert_eq!(alice.wait_event("logged_in")["by"], "key");
    assert_eq!(server.answers("list", "1 of 50").len(), 3);
}

#[test]
fn stats_tell_how_the_server_is_doing() {
    let (mut server, mut alice, _harry) = company();
    alice.ok("broadcast", json!({"text": "hello"}));
    let shown = server.answers("stats", "store failures");
    let told = |label: &str| {
        let line = shown.iter().find(|line| line.starts_with(label));
        columns(line.unwrap_or_else(|| panic!("no {label} in {shown:?}")))[1]
    };
    assert!(told("up").contains(" s, since 20"), "{shown:?}");
    assert_eq!(told("sessions"), "2 of 50 places taken; 0 connections before login");
    assert_eq!(told("connections"), "2, turned away for want of a place: 0");
    assert_eq!(told("accounts made"), "2");
    assert_eq!(told("logins"), "2 accepted, 0 refused");
    assert_eq!(told("broadcasts"), "1 sent, 1 kept, the last has number 1");
    assert_eq!(told("store failures"), "0");
}

#[test]
fn exit_in_any_case_tells_everybody_and_ends_well() {
    let (mut server, mut alice, mut harry) = company();
    server.process.type_line("ExIt");
    assert_eq!(harry.expects("* "), "* Server: terminated.");
    harry.expects_end();
    let gone = alice.wait_event("disconnected");
    assert_eq!(gone["reason"], "terminated");
    assert!(gone["message"].as_str().unwrap().contains("Server: terminated."), "{gone}");
    assert_eq!(server.process.exit_code(), 0, "{}", server.process.transcript());
}

#[test]
fn the_end_of_input_ends_the_console_alone() {
    let (mut server, mut alice, _harry) = company();
    server.process.end_input();
    alice.ok("broadcast", json!({"text": "still here"}));
    alice.wait_event_with("broadcast", "text", "still here");
    server.stop();
}

#[test]
fn a_line_of_100_kib_is_refused_whole_and_the_next_is_obeyed() {
    let (mut server, mut alice, _harry) = company();
    let endless = "x".repeat(100 * 1024);
    let refusal = "Nothing was said: a text has at most 900 bytes, and that has 102400.";
    assert_eq!(server.answers(&endless, "Nothing"), [refusal]);
    let over = format!("say {}", "x".repeat(901));
    let refusal = "Nothing was said: a text has at most 900 bytes, and that has 901.";
    assert_eq!(server.answers(&over, "Nothing"), [refusal]);
    assert_eq!(server.answers("enough", "said"), ["said to 2: enough"]);
    alice.wait_event_with("notice", "message", "Server: enough");
    let said = alice.all(|line| line["code"] == "server_says");
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn help_shows_the_commands_of_the_document() {
    let mut server = TestServer::start(&[]);
    let shown = server.answers("help", "exit");
    let shown: Vec<Vec<&str>> = shown.iter().map(|line| columns(line)).collect();
    let document = include_str!("../../../docs/OPERATING.md");
    let rows = document.lines().skip_while(|line| !line.starts_with("| at the console |")).skip(2);
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(|cell| cell.trim());
    let told: Vec<Vec<&str>> = rows
        .take_while(|row| row.starts_with('|'))
        .map(|row| cells(row).map(|cell| cell.trim_matches('`')).collect())
        .collect();
    assert_eq!(told, shown);
}

/// A FIFO in a folder.
struct Fifo {
    _folder: TempDir,
    path: PathBuf,
}

impl Fifo {
    fn make() -> Fifo {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        Fifo { _folder: folder, path }
    }

    /// Opens it for non-blocking reads, as the starter of a service may. It has no writer yet.
    fn input(&self) -> File {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        OpenOptions::new().read(true).custom_flags(flags).open(&self.path).unwrap()
    }
}

/// Opens, writes and closes a file, as a shell's `>` does.
fn write_to(path: &Path, text: &[u8]) {
    fs::write(path, text).unwrap();
}

#[test]
fn through_a_fifo_one_writer_after_another_is_heard() {
    let fifo = Fifo::make();
    let mut server = TestServer::start_with_input(&[], fifo.input().into());
    write_to(&fifo.path, b"hello\n");
    server.process.wait_line("answer", |line| line == "said to nobody: hello");
    write_to(&fifo.path, b"caf\xe9\nlist\n");
    server.process.wait_line("refusal", |line| line.ends_with("that line is not UTF-8."));
    server.process.wait_line("count", |line| line.starts_with("0 of 50 places taken"));
    write_to(&fifo.path, b"EXIT\n");
    assert_eq!(server.process.exit_code(), 0, "{}", server.process.transcript());
}
