//! Builds and runs the programs, and records their output.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::deadline;

/// The time limit for output that must come. It is generous, since the machine may be busy with other
/// tests.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// An empty settings file, so that the user's own does not affect the tests.
pub const NO_SETTINGS: &str = "/dev/null";

/// Returns the variables of the environment that would change a setting.
pub fn foreign_settings() -> Vec<OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(b"LETSCHAT_")).collect()
}

/// Removes all settings from the command's environment.
pub fn without_settings(command: &mut Command) {
    for name in foreign_settings() {
        command.env_remove(name);
    }
    command.env("LETSCHAT_CONFIG", NO_SETTINGS).env("LETSCHAT_SERVER_CONFIG", NO_SETTINGS);
}

/// Returns the program of that name, built if necessary, and starts the calling test's deadline.
pub fn program(name: &str) -> PathBuf {
    let program = folder().join(name);
    // The deadline starts after the build, which may take long.
    deadline::begin();
    program
}

/// Returns the folder of all programs, built if necessary. Cargo gives a test of one package no programs of
/// others.
pub fn folder() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = folder_of_programs();
        build(&folder);
        folder
    });
    &BUILT
}

fn build(folder: &Path) {
    let mut build = Command::new(env!("CARGO"));
    // All packages: a package alone may be built with fewer features, which would rebuild everything.
    build.args(["build", "--quiet", "--workspace", "--bins"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    // Variables that cargo sets for this package's tests would make it rebuild the others.
    let is_of_a_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if is_of_a_package(&name) {
            build.env_remove(name);
        }
    }
    assert!(build.status().unwrap().success(), "the programs do not build");
}

/// Returns the folder of the programs: that of this one, or the one above that of tests and examples.
fn folder_of_programs() -> PathBuf {
    let program = env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    let is_below = ["deps", "examples"].iter().any(|name| folder.ends_with(name));
    if is_below { folder.parent().unwrap().into() } else { folder.into() }
}

/// Returns the program as a command, started through programs that exec it, such as `env`.
pub fn program_by(by: &[String], name: &str) -> Command {
    let program = program(name);
    match by.split_first() {
        None => Command::new(program),
        Some((first, arguments)) => {
            let mut command = Command::new(first);
            command.args(arguments).arg(program);
            command
        }
    }
}

/// Returns an address where nobody listens. Nobody else gets it while the socket is held.
pub fn nobodys_address() -> (SocketAddr, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap(), socket)
}

/// The standard error so far, and a signal for more.
#[derive(Default)]
struct Errors {
    text: Mutex<String>,
    more: Condvar,
}

/// A running program. Dropping it kills the program.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<(Instant, String)>,
    errors: Arc<Errors>,
    collecting: Option<JoinHandle<()>>,
    /// All lines of standard output so far.
    pub heard: Vec<String>,
    /// The arrival time of each line, independent of when the test read it.
    pub heard_at: Vec<Instant>,
}

impl Running {
    /// Starts a program that reads the test's input.
    pub fn start(command: &mut Command) -> Running {
        Running::start_with_input(command, Stdio::piped())
    }

    /// Starts a program with this standard input.
    pub fn start_with_input(command: &mut Command, input: Stdio) -> Running {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                let _ = sender.send((Instant::now(), line));
            }
        });
        let errors = Arc::new(Errors::default());
        let collecting = Some(collect(child.stderr.take().unwrap(), errors.clone()));
        Running {
            stdin: child.stdin.take(),
            child,
            lines,
            errors,
            collecting,
            heard: Vec::new(),
            heard_at: Vec::new(),
        }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is still open");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Ends the program's standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Returns the next line of standard output, or `None` at its end.
    pub fn next_line(&mut self, until: Instant) -> Result<Option<String>, RecvTimeoutError> {
        let left = until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok((at, line)) => {
                self.heard.push(line.clone());
                self.heard_at.push(at);
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Waits for a line that fits.
    pub fn wait_line(&mut self, wanted: &str, fits: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.next_line(until) {
                Ok(Some(line)) if fits(&line) => return line,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => panic!("no {wanted} in\n{}", self.transcript()),
            }
        }
    }

    /// Waits until the program exits, and reads the rest of its output.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        while let Ok(Some(_)) = self.next_line(until) {}
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                if let Some(collecting) = self.collecting.take() {
                    collecting.join().unwrap();
                }
                return status;
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.transcript());
            thread::yield_now();
        }
    }

    /// Waits for the exit and returns the status, or -1 after a signal.
    pub fn exit_code(&mut self) -> i32 {
        self.wait_exit().code().unwrap_or(-1)
    }

    /// Sends a signal by its name, as in `kill`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// Kills the program with SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns the standard error so far.
    pub fn errors(&self) -> String {
        self.errors.text.lock().unwrap().clone()
    }

    /// Waits until the standard error contains these words.
    pub fn wait_errors(&self, words: &str) {
        let text = self.errors.text.lock().unwrap();
        let is_missing = |text: &mut String| !text.contains(words);
        let waited = self.errors.more.wait_timeout_while(text, PATIENCE, is_missing).unwrap();
        assert!(!waited.1.timed_out(), "no {words:?} in\n{}", *waited.0);
    }

    /// Returns all output, for the message of a failed test.
    pub fn transcript(&self) -> String {
        format!("{}\n--- standard error:\n{}", self.heard.join("\n"), self.errors())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(mut stream: impl Read + Send + 'static, into: Arc<Errors>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(count) = stream.read(&mut bytes) {
            if count == 0 {
                break;
            }
            into.text.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            into.more.notify_all();
        }
    })
}
