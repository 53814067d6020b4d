//! The server's console at a terminal that also shows its log.

use letschat_tests::person::{CTRL_D, Person};
use letschat_tests::programs::program;
use pty_process::blocking::Command;
use tempfile::tempdir;

/// Starts an operator's server at a terminal. Without echo the screen shows only the server's
/// output.
fn operator(echo: &str) -> Person {
    let data = tempdir().unwrap();
    let command = Command::new("sh")
        .args(["-c", &format!("stty {echo}; exec \"$0\" \"$@\"")])
        .arg(program("letschat-server"))
        .args(["--listen", "127.0.0.1", "--port", "0", "--data"])
        .arg(data.path());
    let operator = Person::run(command, "the operator", data);
    operator.sees("fingerprint");
    operator
}

#[test]
fn a_command_is_answered_and_ctrl_d_does_not_end_the_console() {
    let mut operator = operator("echo");
    operator.types("list");
    operator.sees("0 of 50 places taken; 0 connections before login");
    operator.press(CTRL_D);
    operator.types("lunch?");
    operator.sees("said to nobody: lunch?");
    operator.sees("the operator spoke to everybody");
    operator.types("EXIT");
    assert_eq!(operator.sees_the_end(), 0);
}

#[test]
fn answers_and_the_log_share_the_screen_line_by_line() {
    let mut operator = operator("-echo");
    for number in 0..200 {
        operator.types(&format!("text {number}"));
    }
    operator.sees("said to nobody: text 199");
    // At its end the server does not wait long for the log to be written.
    operator.is_sent_times("the operator spoke to everybody", 200);
    operator.types("exit");
    assert_eq!(operator.sees_the_end(), 0);
    let bytes = operator.bytes();
    let lines = |is_one: fn(&str) -> bool| bytes.lines().filter(|line| is_one(line)).count();
    let answers = lines(|line| {
        let number = line.strip_prefix("said to nobody: text ");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let logged = lines(|line| {
        line.ends_with("the operator spoke to everybody") && line.matches("nobody").count() == 0
    });
    assert_eq!((answers, logged), (200, 200), "{bytes}");
}

#[test]
fn background_server_serves_and_in_the_foreground_obeys() {
    let data = tempdir().unwrap();
    let script =
        "set -m; \"$0\" \"$@\" & read line; echo \"the shell got $line\"; read line; fg %1";
    let command = Command::new("bash")
        .args(["--norc", "-c", script])
        .arg(program("letschat-server"))
        .args(["--listen", "127.0.0.1", "--port", "0", "--data"])
        .arg(data.path());
    let mut operator = Person::run(command, "the operator", data);
    operator.sees("fingerprint");
    operator.types("list");
    operator.sees("the shell got list");
    let screen = operator.screen();
    let address = screen.split("listening on ").nth(1).unwrap().split_whitespace().next().unwrap();
    let health = std::process::Command::new(program("letschat-server"))
        .args(["health", "--address", address])
        .output()
        .unwrap();
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));

    operator.types("");
    operator.types("list");
    operator.sees("0 of 50 places taken");
    operator.types("exit");
    assert_eq!(operator.sees_the_end(), 0);
}
