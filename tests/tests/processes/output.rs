//! Output that the system refuses, and output that nobody reads.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};

use letschat_tests::programs::{program, without_settings};
use letschat_tests::server::TestServer;
use tempfile::{TempDir, tempdir};

/// A run: the program, its arguments, its input, and its status on success.
type Run = (&'static str, Vec<String>, &'static str, i32);

/// Returns runs that each print something, in a folder with everything they need.
fn runs(folder: &TempDir) -> Vec<Run> {
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("says.lua"), "print('hello') print('again')").unwrap();
    fs::write(path("wrong.lua"), "local = 1").unwrap();
    let client = |more: &[&str]| -> Vec<String> {
        let data = path("client");
        let common = ["--server", "127.0.0.1:1", "--peer-port", "0"];
        let common = common.into_iter().chain(["--data", &data]);
        common.chain(more.iter().copied()).map(str::to_owned).collect()
    };
    let server = |more: &[&str]| -> Vec<String> {
        let words = ["--data".to_owned(), folder.path().display().to_string()];
        words.into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect()
    };
    vec![
        ("letschat", client(&["--plain"]), "help\n", 0),
        ("letschat", client(&["--json"]), "help\n", 0),
        // The end of the output is noticed during a login or while lines are queued.
        ("letschat", client(&["--plain", "--as", "alice"]), "", 0),
        ("letschat", client(&["--json", "--as", "alice"]), "", 0),
        ("letschat", client(&["--plain"]), "help\nnonsense\nnonsense\n", 0),
        ("letschat", client(&["--json"]), "nonsense\nlogin alice\n", 0),
        ("letschat", client(&["--script", &path("says.lua")]), "", 0),
        ("letschat", client(&["--check", &path("wrong.lua")]), "", 1),
        ("letschat", client(&["--help"]), "", 0),
        ("letschat-server", server(&["--help"]), "", 0),
        ("letschat-server", server(&["--version"]), "", 0),
        ("letschat-server", server(&["fingerprint"]), "", 0),
        ("letschat-server", server(&["account", "list"]), "", 0),
        ("letschat-server", server(&["account", "list", "--json"]), "", 0),
        ("letschat-server", server(&["account", "ban", "alice"]), "", 0),
    ]
}

/// Returns a folder in which a server has run, with an account.
fn folder() -> TempDir {
    let mut server = TestServer::start(&[]);
    server.stop();
    let folder = server.data;
    let password = folder.path().join("password");
    fs::write(&password, "correct horse battery\n").unwrap();
    let mut add = Command::new(program("letschat-server"));
    without_settings(&mut add);
    add.arg("--data").arg(folder.path()).args(["account", "add", "alice", "--password-file"]);
    assert!(add.arg(password).output().unwrap().status.success());
    folder
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Returns the write end of a pipe without a reader.
fn unread() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    OwnedFd::from(writer).into()
}

fn perform(run: &Run, output: Stdio, errors: Stdio) -> Output {
    let (name, arguments, typed, _) = run;
    let mut command = Command::new(program(name));
    without_settings(&mut command);
    command.args(arguments).stdin(Stdio::piped()).stdout(output).stderr(errors);
    let mut child = command.spawn().unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn refused_output_is_one_sentence_and_status_1() {
    let folder = folder();
    for run in runs(&folder) {
        let ended = perform(&run, full(), Stdio::piped());
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{run:?}: {errors}");
        let sentences: Vec<&str> = errors.lines().filter(|line| !line.contains("`kick")).collect();
        let why = "standard output can't be written: No space left on device (os error 28)";
        assert_eq!(sentences, [format!("{}: {why}", run.0)], "{run:?}");
    }
}

#[test]
fn output_that_nobody_reads_ends_quietly() {
    let folder = folder();
    for run in runs(&folder) {
        let ended = perform(&run, unread(), Stdio::piped());
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(run.3), "{run:?}: {errors}");
        assert!(errors.lines().all(|line| line.contains("`kick")), "{run:?}: {errors}");
    }
}

#[test]
fn a_complaint_that_is_refused_is_no_panic() {
    let folder = folder();
    let data = folder.path().join("client").display().to_string();
    let missing = folder.path().join("missing.lua").display().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let runs: [Run; 6] = [
        ("letschat", words(&["--check", &missing]), "", 1),
        ("letschat", words(&["--data", &data, "--script", &missing]), "", 1),
        ("letschat", words(&["--no-such-flag"]), "", 2),
        ("letschat", words(&["--data", &data, "--plain", "--tries", "1"]), "nonsense\n", 1),
        ("letschat", words(&["--data", &data, "--plain"]), "nonsense\nhelp\n", 1),
        ("letschat-server", words(&["--data", &data, "fingerprint"]), "", 1),
    ];
    for run in runs {
        for errors in [full(), unread()] {
            let ended = perform(&run, Stdio::piped(), errors);
            assert_eq!(ended.status.code(), Some(run.3), "{run:?}");
        }
    }
}

#[test]
fn console_whose_answers_are_refused_is_obeyed_and_says_so() {
    let folder = tempdir().unwrap();
    let mut command = Command::new(program("letschat-server"));
    without_settings(&mut command);
    command.args(["--listen", "127.0.0.1", "--port", "0", "--data"]).arg(folder.path());
    command.stdin(Stdio::piped()).stdout(unread()).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    server.stdin.as_mut().unwrap().write_all(b"stats\nexit\n").unwrap();
    let ended = server.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}
