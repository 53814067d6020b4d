//! The server as a process and as a value: start, refusals and end.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use letschat_server::hub::Operator;
use letschat_server::{Server, ServerSettings, StartError};
use letschat_tests::programs::program;
use rustix::process::{Pid, Signal, kill_process};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn settings(data_folder: &Path) -> ServerSettings {
    ServerSettings {
        listen: Some(LOOPBACK),
        port: 0,
        ..ServerSettings::in_folder(data_folder.to_owned())
    }
}

fn command(data_folder: &Path) -> Command {
    let mut command = Command::new(program("letschat-server"));
    command.env_clear().args(["--listen", "127.0.0.1", "--port", "0", "--data"]).arg(data_folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server process. Dropping it kills the process.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut announced = |label: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.trim().strip_prefix(label).unwrap().trim().to_owned()
        };
        let address = announced("listening on").parse().unwrap();
        assert_eq!(announced("fingerprint").len(), 64);
        Running { child, stdout, address }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end and returns the log.
    fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // This fails if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one sentence was expected: {text}");
    text
}

#[test]
fn a_restarted_server_has_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(settings(folder.path())).unwrap();
    let fingerprint = first.fingerprint();
    drop(first);
    let second = started_again(&settings(folder.path()));
    assert_eq!(second.fingerprint(), fingerprint);
}

#[test]
fn two_servers_never_share_a_data_folder_or_a_store() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = Server::start(settings(one.path())).unwrap();
    let same_folder = Server::start(settings(one.path())).err();
    assert!(matches!(same_folder, Some(StartError::InUse(_))), "{same_folder:?}");

    let store = settings(one.path()).store;
    let same_store = Server::start(ServerSettings { store, ..settings(other.path()) }).err();
    assert!(matches!(same_store, Some(StartError::InUse(_))), "{same_store:?}");
    drop(running);
    started_again(&settings(one.path()));
}

/// Starts a server where one has just ended. Another test's new child process may still hold the lock and
/// the port until it calls exec.
fn started_again(settings: &ServerSettings) -> Server {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match Server::start(settings.clone()) {
            Err(_) if Instant::now() < until => thread::yield_now(),
            started => return started.unwrap(),
        }
    }
}

#[test]
fn a_stopped_server_says_so_and_lets_go_of_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(settings(folder.path())).unwrap();
    let address = server.address();
    assert_eq!(smol::block_on(server.operate(Operator::Stop)), None);
    smol::block_on(server.stopped());
    assert!(TcpStream::connect(address).is_err());
    drop(server);
    let again = ServerSettings { port: address.port(), ..settings(folder.path()) };
    assert_eq!(started_again(&again).address(), address);
}

#[test]
fn tls_1_2_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(settings(folder.path())).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_none());
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = "letschat-server".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(server.address()).unwrap();
    let error = session.complete_io(&mut tcp).unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}

#[test]
fn sigterm_and_sigint_end_the_program_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(command(folder.path()));
        let address = running.address;
        let client = TcpStream::connect(address).unwrap();
        running.signal(signal);
        let (status, log) = running.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(TcpStream::connect(address).is_err());
        drop(client);
    }
}

#[test]
fn console_ends_the_program_by_a_word_and_not_by_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut console = running.child.stdin.take().unwrap();
    console.write_all(b"dance\nEXIT\n").unwrap();
    let mut answers = String::new();
    running.stdout.read_to_string(&mut answers).unwrap();
    assert_eq!(answers, "said to nobody: dance\n");
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("dance"), "{log}");
}

#[test]
fn unread_answers_hold_up_the_console_and_not_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut console = running.child.stdin.take().unwrap();
    console.write_all("help\n".repeat(1_000).as_bytes()).unwrap();
    // A pipe holds 64 KiB. An answer that does not fit leaves less than a page free.
    while rustix::io::ioctl_fionread(running.stdout.get_ref()).unwrap() < 60_000 {
        std::thread::yield_now();
    }
    running.signal(Signal::TERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_end_of_the_consoles_input_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    drop(running.child.stdin.take());
    TcpStream::connect(running.address).unwrap();
    assert_eq!(running.child.try_wait().unwrap(), None);
    running.signal(Signal::TERM);
    let mut rest = String::new();
    running.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "standard output has two lines and no more");
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_one_sentence_and_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // This also tests the configuration by environment.
    let mut command = Command::new(program("letschat-server"));
    command
        .env_clear()
        .env("LETSCHAT_SERVER_LISTEN", "127.0.0.1")
        .env("LETSCHAT_SERVER_PORT", &port);
    let output = command.arg("--data").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains(&format!("port {port} is taken")));
}

#[test]
fn unusable_folder_or_store_is_one_sentence_and_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder and no database, but long enough to be looked at").unwrap();
    let output = command(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("can't use the data folder"));

    let store = format!("sqlite:{}", file.display());
    let output = command(folder.path()).args(["--store", &store]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("can't use the database"));
}

#[test]
fn wrong_usage_is_status_2() {
    for wrong in [&["--places", "0"][..], &["--store", "x:y"], &["--log", "loud"], &["--sing"]] {
        let folder = tempfile::tempdir().unwrap();
        let output = command(folder.path()).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
