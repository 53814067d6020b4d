//! Passwords from files of every kind, and passwords with two Unicode spellings.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::server::TestServer;
use serde_json::json;
use tempfile::TempDir;

/// A named pipe, which blocks until it has a writer.
struct Fifo {
    _folder: TempDir,
    path: PathBuf,
}

impl Fifo {
    fn new() -> Fifo {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Fifo { _folder: folder, path }
    }

    fn flags(&self) -> [&str; 2] {
        ["--password-file", self.path.to_str().unwrap()]
    }
}

#[test]
fn client_answers_while_it_waits_for_a_fifo() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let fifo = Fifo::new();
    let mut alice = TestClient::start_at(&server.location(), "alice", &fifo.flags());
    let login = alice.tell("login", json!({"username": "alice"}));
    alice.ok("status", json!({}));
    fs::write(&fifo.path, format!("\u{feff}\u{feff}{PASSWORD}\r\nnot this")).unwrap();
    let reply = alice.reply(login);
    assert_eq!(reply["error"], json!(null), "{reply}");

    // The pipe is now empty.
    alice.ok("leave", json!({}));
    alice.ok("login", json!({"username": "alice"}));
}

#[test]
fn client_that_waits_for_a_fifo_can_quit() {
    let server = TestServer::start(&[]);
    let fifo = Fifo::new();
    let mut alice = TestClient::start_at(&server.location(), "alice", &fifo.flags());
    alice.tell("signup", json!({"username": "alice"}));
    let login = alice.tell("login", json!({"username": "alice"}));
    alice.ok("quit", json!({}));
    assert_eq!(alice.refusal(login).0, "ended");
    // The status is that of a failed command.
    assert_eq!(alice.process.exit_code(), 1);
}

#[test]
fn operators_password_file_may_have_a_byte_order_mark() {
    let server = TestServer::start(&[]);
    let add = ["account", "add", "alice", "--password-file", "-"];
    run(letschat_server(server.data.path()).args(add), &format!("\u{feff}\u{feff}{PASSWORD}\r\n"))
        .ok();
    let mut alice = TestClient::start(&server, "alice");
    alice.ok("login", json!({"username": "alice", "password": PASSWORD}));
}

#[test]
fn both_ways_to_write_a_password_log_in() {
    let server = TestServer::start(&[]);
    let ways = ["caf\u{e9} au\u{a0}lait", "cafe\u{301} au lait"];
    let mut alice = TestClient::start(&server, "alice");
    alice.ok("signup", json!({"username": "alice", "password": ways[0]}));
    let add = ["account", "add", "bob", "--password-file", "-"];
    run(letschat_server(server.data.path()).args(add), &format!("{}\n", ways[1])).ok();
    for name in ["alice", "bob"] {
        for password in ways {
            alice.ok("login", json!({"username": name, "password": password}));
            alice.ok("leave", json!({}));
        }
        let other = json!({"username": name, "password": "cafe au lait"});
        assert_eq!(alice.fails("login", other), "wrong_password");
    }
    alice.ok("login", json!({"username": "alice", "password": ways[0]}));
    let change = json!({"password": ways[1], "new_password": "na\u{ef}ve caf\u{e9}"});
    alice.ok("passwd", change);
    alice.ok("leave", json!({}));
    let changed = json!({"username": "alice", "password": "nai\u{308}ve cafe\u{301}"});
    alice.ok("login", changed);
}
