//! A deadline for each test that starts a program. One that is not done by then ends the run, by its name: a
//! test that waits for ever would never be named by the harness.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, exit};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(120);

/// Another deadline, in seconds.
const VARIABLE: &str = "TEST_DEADLINE_SECONDS";

/// The exit status of a test program in which a test failed.
const FAILED: i32 = 101;

thread_local! {
    /// Gone with the thread of its test.
    static WATCH: Watch = Watch::begin();
}

/// Has a thread of its own wait for the end of a test, and be told of it by the end of a channel.
struct Watch {
    /// Ends the channel when it is dropped.
    _runs: Sender<Infallible>,
}

/// Begins the deadline of the test that runs on this thread, if it has not begun.
pub(crate) fn begin() {
    // A thread may come back for a program while its own end is under way.
    let _ = WATCH.try_with(|_| ());
}

impl Watch {
    fn begin() -> Watch {
        let (_runs, is_over) = channel();
        // Each test has a thread, which is called like it. One after the other (`--test-threads=1`) they
        // are on the main thread. Played in full, the tests of faults take half an hour.
        let name = thread::current().name().map(str::to_owned);
        let name = name.filter(|name| name != "main" && env::var_os("CHAOS").is_none());
        if let Some(name) = name {
            let other = env::var(VARIABLE).ok().and_then(|seconds| seconds.parse().ok());
            let deadline = other.map_or(DEADLINE, Duration::from_secs);
            thread::spawn(move || {
                if is_over.recv_timeout(deadline) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    fail(&name, deadline);
                }
            });
        }
        Watch { _runs }
    }
}

fn fail(name: &str, deadline: Duration) -> ! {
    // Not by a macro, whose output the harness would keep.
    let _ = writeln!(
        io::stderr(),
        "test {name} ... FAILED: it was not done after {} s",
        deadline.as_secs()
    );
    for child in children() {
        let _ = Command::new("kill").args(["-s", "KILL", &child]).status();
    }
    exit(FAILED)
}

/// The programs that the tests have started and not ended (proc_pid_task_tid_children(5)).
fn children() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let paths = tasks.filter_map(|task| Some(task.ok()?.path().join("children")));
    let children = paths.filter_map(|path| fs::read_to_string(path).ok()).collect::<String>();
    children.split_whitespace().map(str::to_owned).collect()
}
