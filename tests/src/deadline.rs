//! A deadline for each test that starts a program. A test that misses it ends the run with an error that
//! names it, which the harness would not do.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, exit};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(120);

/// The variable that overrides the deadline, in seconds.
const VARIABLE: &str = "TEST_DEADLINE_SECONDS";

/// The exit status of a test program in which a test failed.
const FAILED: i32 = 101;

thread_local! {
    /// Dropped when the test's thread ends.
    static WATCH: Watch = Watch::begin();
}

/// A thread that waits for the end of a test, which closes the channel.
struct Watch {
    /// Closes the channel on drop.
    _runs: Sender<Infallible>,
}

/// Starts the deadline of the current thread's test, unless it has already started.
pub(crate) fn begin() {
    // A thread may start a program while its thread-locals are being dropped.
    let _ = WATCH.try_with(|_| ());
}

impl Watch {
    fn begin() -> Watch {
        let (_runs, is_over) = channel();
        // Each test runs on a thread with its name, or with `--test-threads=1` on the main thread. The full
        // tests of faults take half an hour.
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
    // The harness would capture the output of a macro.
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

/// Returns the programs that the tests started and that still run (proc_pid_task_tid_children(5)).
fn children() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let paths = tasks.filter_map(|task| Some(task.ok()?.path().join("children")));
    let children = paths.filter_map(|path| fs::read_to_string(path).ok()).collect::<String>();
    children.split_whitespace().map(str::to_owned).collect()
}
