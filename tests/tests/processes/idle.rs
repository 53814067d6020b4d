//! The idle timeout. It disconnects users who do nothing, but not those who give commands or chat.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::programs::{PATIENCE, Running, program, without_settings};
use letschat_tests::server::TestServer;
use serde_json::json;

#[test]
fn an_idle_client_is_let_go_and_its_next_command_logs_in_again() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let mut alice = TestClient::join(&server, "alice");
    for (command, arguments) in [
        ("list", json!({})),
        ("broadcast", json!({"text": "hello"})),
        ("watch", json!({})),
        ("login", json!({})),
    ] {
        alice.is_out_for_good("idle");
        // A command that needs no server does not log in.
        alice.ok("help", json!({}));
        assert_eq!(alice.ok("status", json!({}))["state"], "offline");
        alice.ok(command, arguments);
        assert_eq!(alice.wait_event("logged_in")["by"], "key", "{command}");
    }
}

#[test]
fn an_idle_user_of_plain_lines_is_logged_in_again() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let data = tempfile::tempdir().unwrap();
    let password = data.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    let mut command = Command::new(program("letschat"));
    without_settings(&mut command);
    command.args(["--plain", "--peer-port", "0", "--server", &server.location(), "--data"]);
    command.arg(data.path().join("letschat")).arg("--password-file").arg(&password);
    let mut alice = Running::start(&mut command);
    alice.type_line("signup alice");
    alice.type_line("login alice");
    alice.wait_line("the end", |line| line.contains("You were idle for too long."));
    alice.type_line("broadcast back again");
    alice.wait_line("the login", |line| line == "Logged in as alice, by key.");
    alice.wait_line("the answer", |line| line.ends_with("alice (you) to all: back again"));
    alice.end_input();
    assert_eq!((alice.exit_code(), alice.errors().as_str()), (0, ""));
}

#[test]
fn with_the_setting_an_idle_client_comes_back_by_itself() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let mut alice = TestClient::start_at(&server.location(), "alice", &["--return-after-idle"]);
    alice.sign_up_and_log_in();
    assert_eq!(alice.wait_event("disconnected")["reason"], "idle");
    assert_eq!(alice.wait_event("retrying")["reason"], "idle");
    assert_eq!(alice.wait_event("logged_in")["by"], "key");
}

#[test]
fn commands_and_broadcasts_put_the_end_off() {
    let idle = Duration::from_secs(2);
    let server = TestServer::start(&["--idle-seconds", "2", "--broadcast-burst", "100000"]);
    let mut lister = TestClient::join(&server, "lister");
    let mut hearer = TestClient::join(&server, "hearer");
    let begin = Instant::now();
    while begin.elapsed() < 2 * idle {
        lister.ok("list", json!({}));
        lister.ok("broadcast", json!({"text": "still here"}));
    }
    lister.is_in();
    hearer.is_in();
    assert!(hearer.all(|line| line["event"] == "disconnected").is_empty());
    for person in [&mut lister, &mut hearer] {
        let told = person.wait_within(PATIENCE, |line| line["event"] == "disconnected");
        assert_eq!(told.unwrap()["reason"], "idle");
    }
}

/// Returns the position in the log at which the idle timeout disconnected a user.
fn when_let_go(server: &TestServer, name: &str) -> usize {
    let line = format!("{name} left: closed, idle");
    server.wait_log(&line);
    server.process.errors().find(&line).unwrap()
}

#[test]
fn a_chat_puts_the_end_off_for_both_sides() {
    let server = TestServer::start(&["--idle-seconds", "5"]);
    let mut people = ["alice", "bob", "carol"].map(|name| TestClient::join(&server, name));
    // They log in by key, which is quick, so that all are logged in while the chat opens.
    for person in &mut people {
        person.ok("leave", json!({}));
        person.ok("login", json!({}));
    }
    let [alice, bob, _carol] = &mut people;
    alice.chat_with(bob);
    let carol = when_let_go(&server, "carol");
    for name in ["alice", "bob"] {
        assert!(when_let_go(&server, name) > carol, "{name} was let go before carol");
    }
}
