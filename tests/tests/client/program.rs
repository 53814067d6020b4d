//! The program `letschat` as a shell or another program uses it, without a server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};

use letschat_tests::programs::{program, without_settings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing listens on this port: it is reserved, and only root could take it.
const NO_SERVER: [&str; 2] = ["--server", "127.0.0.1:1"];

struct Program {
    child: Child,
    _data: TempDir,
}

fn start(arguments: &[&str]) -> Program {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("letschat"));
    without_settings(&mut command);
    let child = command
        .args(NO_SERVER)
        .arg("--data")
        .arg(data.path())
        .args(["--peer-port", "0", "--tries", "1"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Program { child, _data: data }
}

/// Runs the program to its end with this input.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut program = start(arguments);
    // The program may end before it has read everything.
    let _ = program.child.stdin.take().unwrap().write_all(input);
    program.child.wait_with_output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn error_codes(output: &Output) -> Vec<String> {
    let code = |line: &Value| line["error"]["code"].as_str().map(str::to_owned);
    json_lines(output).iter().filter_map(code).collect()
}

#[test]
fn an_empty_input_is_a_quiet_success() {
    for mode in ["--json", "--plain"] {
        let output = run(&[mode], b"");
        assert_eq!(status(&output), 0);
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn typed_lines_are_answered_in_order_and_objects_by_id() {
    let output = run(&["--json"], b"status\nhelp say\n/status\n");
    let names: Vec<Value> = json_lines(&output).iter().map(|line| line["reply"].clone()).collect();
    assert_eq!(names, ["status", "help", "status"]);
    assert_eq!(status(&output), 0);

    let output = run(&["--json"], br#"{"id": "x", "command": "status"}"#);
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["id"], &lines[0]["state"]), (&json!("x"), &json!("offline")));
}

#[test]
fn what_makes_no_sense_is_an_error_and_the_next_line_is_read() {
    let long = [&vec![b'x'; 200 * 1024][..], b"\n"].concat();
    let input = [&b"{oops\n"[..], b"\xff\xfe\n", &long, b"nonsense\n", b"connect\n", b"status\n"];
    let output = run(&["--json"], &input.concat());
    let expected = ["malformed", "malformed", "malformed", "unknown_command", "bad_arguments"];
    assert_eq!(error_codes(&output), expected);
    assert_eq!(json_lines(&output).last().unwrap()["reply"], "status");
    assert_eq!(status(&output), 1);
}

#[test]
fn the_first_failure_decides_the_exit_status() {
    let login = b"login alice\nnonsense\n";
    let output = run(&["--json"], login);
    assert_eq!(error_codes(&output), ["no_server", "unknown_command"]);
    assert_eq!(status(&output), 3);
    assert_eq!(status(&run(&["--json"], b"nonsense\nlogin alice\n")), 1);
    assert_eq!(status(&run(&["--plain", "--as", "alice"], b"")), 3);
}

#[test]
fn wrong_usage_is_told_before_anything_else() {
    for arguments in [&["--tries", "x"][..], &["--unknown"], &["--json", "--plain"], &["a b"]] {
        let output = run(arguments, b"");
        assert_eq!(status(&output), 2, "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn plain_failures_go_to_standard_error() {
    let output = run(&["--plain"], b"help quit\nlist\n");
    assert_eq!(status(&output), 1);
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("quit\n"));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
}

#[test]
fn a_password_file_that_is_not_there_is_told() {
    let output = run(&["--json", "--password-file", "/nowhere/at/all"], b"signup alice\n");
    assert_eq!(error_codes(&output), ["password_file"]);
}

#[test]
fn quit_ends_it_though_more_lines_wait() {
    let output = run(&["--json"], b"quit\nnonsense\nnonsense\n");
    assert_eq!(json_lines(&output), [json!({"reply": "quit"})]);
    assert_eq!(status(&output), 0);
}

#[test]
fn sigterm_ends_it_well_though_input_goes_on() {
    let mut program = start(&["--json"]);
    let mut input = program.child.stdin.take().unwrap();
    input.write_all(b"status\n").unwrap();
    let mut output = BufReader::new(program.child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    kill_process(Pid::from_child(&program.child), Signal::TERM).unwrap();
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
    drop(input);
}

#[test]
fn an_output_that_nobody_reads_ends_it_quietly() {
    let mut program = start(&["--json"]);
    let mut input = program.child.stdin.take().unwrap();
    drop(program.child.stdout.take());
    input.write_all(b"status\n").unwrap();
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
    let mut errors = String::new();
    program.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
    drop(input);
}
