//! A test that does not end, which the deadline catches.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;

use letschat_tests::programs::{PATIENCE, program};
use letschat_tests::project::root;
use letschat_tests::server::TestServer;

/// The variable that makes a test wait forever.
const WAITS: &str = "TEST_WAITS_FOR_EVER";

#[test]
fn a_test_waits_if_it_is_told_to() {
    if env::var_os(WAITS).is_some() {
        let server = TestServer::start(&[]);
        println!("started {}", server.process.pid());
        loop {
            thread::park();
        }
    }
}

#[test]
fn a_test_that_is_late_ends_the_run_by_its_name() {
    // Build the program that the test starts first.
    program("letschat-server");
    let name = "late::a_test_waits_if_it_is_told_to";
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=2"])
        .env(WAITS, "yes")
        .env("TEST_DEADLINE_SECONDS", "2")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(101), "{errors}");
    assert!(errors.contains(&format!("test {name} ... FAILED")), "{errors}");
    // The programs that it started are gone as well.
    let output = String::from_utf8_lossy(&run.stdout);
    let pid = output.split("started ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let state = format!("/proc/{}/stat", pid.unwrap());
    let lives = || fs::read_to_string(&state).is_ok_and(|state| !state.contains(") Z "));
    // A killed process may take a moment to free its memory.
    let until = Instant::now() + PATIENCE;
    while lives() {
        assert!(Instant::now() < until, "{output}");
        thread::yield_now();
    }
}

/// Runs a fake test harness by `scripts/deadline.sh`, with a second instead of the usual minute.
fn run_by_deadline(harness: &str) -> (Option<i32>, String) {
    let run = Command::new(root().join("scripts/deadline.sh"))
        .args(["sh", "-c", harness])
        .env("DEADLINE_REST_SECONDS", "1")
        .output()
        .unwrap();
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn any_test_that_is_late_ends_the_run_by_its_name() {
    let begun = "echo 'test one::slow has been running for over 60 seconds'";
    let begin = Instant::now();
    let late = run_by_deadline(&format!("{begun}; sleep 600"));
    assert_eq!(late, (Some(1), "test one::slow takes longer than two minutes\n".into()));
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    let slow = run_by_deadline(&format!("{begun}; echo 'test one::slow ... ok'; sleep 3; exit 3"));
    assert_eq!(slow, (Some(3), String::new()));
}
