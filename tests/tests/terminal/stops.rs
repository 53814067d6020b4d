//! Ctrl+Z and job control: the terminal is the shell's while the client is stopped, and the client's again after
//! `fg`.

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::person::{CTRL_Z, Person};
use letschat_tests::programs::{NO_SETTINGS, foreign_settings, program};
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use serde_json::json;
use tempfile::TempDir;

/// A shell with job control that starts a program. It prints the terminal's state after the program has stopped.
const SHELL: &str = "set -m; \"$0\" \"$@\"; \
    echo \"stopped by $?\"; stty -a | grep -o '[-]*echo ' ; read -r line; fg; echo \"ended by $?\"; read -r line";

/// Starts a program in a shell.
fn in_a_shell(data: TempDir, name: &str, arguments: &[&str]) -> Person {
    let shell = Command::new("bash").args(["--norc", "-c", SHELL]);
    let shell = foreign_settings().into_iter().fold(shell, |shell, name| shell.env_remove(name));
    let shell = shell
        .arg(program(name))
        .args(arguments)
        .arg("--data")
        .arg(data.path())
        .env("LETSCHAT_CONFIG", NO_SETTINGS)
        .env("LETSCHAT_SERVER_CONFIG", NO_SETTINGS);
    Person::run(shell, "alice", data)
}

fn client(server: &TestServer, flags: &[&str]) -> Person {
    let data = tempfile::tempdir().unwrap();
    let location = server.address.to_string();
    let mut before = TestClient::start_in(data, &location, "alice", &["--accept-new-server"]);
    before.sign_up_and_log_in();
    before.process.end_input();
    assert_eq!(before.process.exit_code(), 0);
    let arguments = [&["--server", &location, "--peer-port", "0"], flags].concat();
    let alice = in_a_shell(before.data, "letschat", &arguments);
    alice.sees("Logged in as alice, by key.");
    alice
}

#[test]
fn ctrl_z_stops_the_client_and_fg_brings_the_line_back() {
    let server = TestServer::start(&[]);
    let alice = client(&server, &[]);
    alice.is_prompted("letschat> ");
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    let begun = format!("half {}a li", "x".repeat(100));
    alice.press(&begun);
    alice.sees(&format!("→ bob> {begun}"));
    alice.press(CTRL_Z);
    alice.sees("stopped by");
    // The terminal echoes again, so the shell can be used.
    alice.sees("echo");
    assert!(!alice.screen().contains("-echo"), "{}", alice.screen());
    bob.ok("say", json!({"text": "are you there?"}));
    alice.types("");
    alice.sees("bob: are you there?");
    alice.sees(&format!("→ bob> {begun}"));
    let prompts = alice.rows().iter().filter(|row| row.starts_with("→ bob>")).count();
    assert_eq!(prompts, 1, "{}", alice.screen());
    alice.types("ne");
    bob.wait_event_with("message", "text", &format!("{begun}ne"));
    alice.is_prompted("→ bob> ");
}

/// Sends a signal to the program in a shell.
fn kill_job(shell: &Person, signal: &str) {
    let shell = shell.process_id();
    let children = format!("/proc/{shell}/task/{shell}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let job = children.split_whitespace().next().unwrap();
    let sent = std::process::Command::new("kill").args(["-s", signal, job]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn stop_gives_the_terminal_back_and_fg_takes_it() {
    for by_key in [true, false] {
        let server = TestServer::start(&[]);
        let alice = client(&server, &[]);
        alice.is_prompted("letschat> ");
        alice.press("con");
        alice.is_prompted("letschat> con");
        if by_key {
            alice.press(CTRL_Z);
        } else {
            kill_job(&alice, "TSTP");
        }
        alice.sees("stopped by");
        alice.sees("echo");
        assert!(!alice.screen().contains("-echo"), "{}", alice.screen());
        assert!(alice.bytes().contains("\x1b[?2004l"), "pastes stay bracketed in the shell");
        alice.types("");
        alice.is_prompted("letschat> con");
        // A terminal in line mode keeps these keys.
        alice.press("n\t");
        alice.is_hinted("letschat> connect ", "WHO [force]");
        alice.press("\x03");
        alice.types("status");
        alice.sees("You are: alice");
    }
}

#[test]
fn ctrl_z_stops_no_client_that_nobody_could_continue() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    alice.press("con");
    alice.press(CTRL_Z);
    alice.press("n\t");
    alice.is_hinted("letschat> connect ", "WHO [force]");
}

#[test]
fn a_password_is_not_shown_after_a_stop() {
    let server = TestServer::start(&[]);
    let alice = client(&server, &["--plain"]);
    alice.types("passwd");
    alice.sees("Your present password:");
    alice.press(CTRL_Z);
    alice.sees("stopped by");
    alice.types("");
    alice.sees_times("Your present password:", 2);
    alice.types(PASSWORD);
    alice.sees("The new password:");
    alice.types("another horse battery");
    alice.sees("The new password again:");
    alice.types("another horse battery");
    alice.sees("Your password is changed");
    let shown = alice.bytes();
    assert!(!shown.contains("horse"), "{shown}");
}

#[test]
fn a_password_at_the_prompt_is_not_shown_after_a_stop() {
    let server = TestServer::start(&[]);
    let alice = client(&server, &[]);
    alice.is_prompted("letschat> ");
    alice.types("passwd");
    alice.is_prompted("Your present password: ");
    alice.press("correct ");
    alice.press(CTRL_Z);
    alice.sees("stopped by");
    alice.types("");
    alice.sees_times("Your present password:", 2);
    alice.types("horse battery");
    alice.is_prompted("The new password: ");
    alice.types("another horse battery");
    alice.is_prompted("The new password again: ");
    alice.types("another horse battery");
    alice.sees("Your password is changed");
    let shown = alice.bytes();
    assert!(!shown.contains("horse"), "{shown}");
}

#[test]
fn a_password_for_the_server_is_not_shown_after_a_stop() {
    let data = tempfile::tempdir().unwrap();
    let operator = in_a_shell(data, "letschat-server", &["account", "add", "robin"]);
    operator.sees("New password for robin:");
    operator.press("correct ");
    operator.press(CTRL_Z);
    operator.sees("stopped by");
    operator.types("");
    operator.sees_times("New password for robin:", 2);
    operator.types("horse battery");
    operator.sees("The same password again:");
    operator.types(PASSWORD);
    operator.sees("ended by 0");
    let shown = operator.bytes();
    assert!(!shown.contains("horse"), "{shown}");
}

#[test]
fn full_screen_is_left_while_stopped_and_drawn_again() {
    let server = TestServer::start(&[]);
    let alice = client(&server, &["--full"]);
    alice.is_prompted("letschat> ");
    alice.press("half a li");
    alice.is_prompted("letschat> half a li");
    alice.press(CTRL_Z);
    alice.sees("stopped by");
    assert!(!alice.screen().contains("half a li"), "{}", alice.screen());
    alice.types("");
    alice.sees("Logged in as alice, by key.");
    alice.is_prompted("letschat> half a li");
}
