//! A server that can't start: it prints one sentence that says what to do, exits with a status, and does
//! not listen.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use letschat_tests::operator::{letschat_server, run};
use letschat_tests::ports::free_port;
use letschat_tests::programs::nobodys_address;
use letschat_tests::server::TestServer;
use socket2::Socket;
use tempfile::TempDir;

/// A failure, and the words that its sentence must contain: the subject and the remedy.
struct Failure {
    name: &'static str,
    command: Command,
    status: i32,
    told: Vec<String>,
}

/// A folder with one obstacle of each kind, and an address where nobody listens.
struct Obstacles {
    folder: TempDir,
    nobody: (SocketAddr, Socket),
}

impl Obstacles {
    fn new() -> Obstacles {
        Obstacles { folder: tempfile::tempdir().unwrap(), nobody: nobodys_address() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Returns the command to start on any port, with data in an unobstructed folder.
    fn start(&self, flags: &[&str]) -> Command {
        self.start_in(&self.path("data"), flags)
    }

    fn start_in(&self, data: &str, flags: &[&str]) -> Command {
        let mut command = letschat_server(Path::new(data));
        command.args(flags);
        if !flags.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1"]);
        }
        if !flags.contains(&"--port") {
            command.args(["--port", "0"]);
        }
        command
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Returns the failures to start, one for each reason.
fn failures(obstacles: &Obstacles, other: &TestServer) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut fails = |name, status, command, told: &[&str]| {
        let told = told.iter().map(|words| (*words).to_owned()).collect();
        failures.push(Failure { name, command, status, told });
    };
    let start = |flags: &[&str]| obstacles.start(flags);
    let others_port = other.address.port().to_string();
    let others_data = other.data.path().to_str().unwrap();
    let others_store = format!("sqlite:{others_data}/letschat.sqlite");

    // These are other paths to the same file.
    let [to_file, to_folder, hard] =
        ["to-file.sqlite", "to-folder", "hard.sqlite"].map(|name| obstacles.path(name));
    let others_file = format!("{others_data}/letschat.sqlite");
    symlink(&others_file, &to_file).unwrap();
    symlink(others_data, &to_folder).unwrap();
    fs::hard_link(&others_file, &hard).unwrap();
    let by_link_to_file = format!("sqlite:{to_file}");
    let by_link_to_folder = format!("sqlite:{to_folder}/letschat.sqlite");
    let by_hard_link = format!("sqlite:{hard}");

    // The network.
    let taken = format!("port {others_port} is taken");
    fails("port taken", 1, start(&["--port", &others_port]), &[&taken, "--port"]);
    let elsewhere = "192.0.2.1 is no address of this machine";
    fails("address", 1, start(&["--listen", "192.0.2.1"]), &[elsewhere, "--listen"]);

    // The data folder.
    let file = obstacles.file("file", "something else");
    let below = format!("{file}/data");
    fails(
        "below a file",
        1,
        obstacles.start_in(&below, &[]),
        &[&below, "--data", "ot a directory"],
    );
    fails("a file", 1, obstacles.start_in(&file, &[]), &[&file, "--data", "not a directory"]);
    fails("read-only", 1, obstacles.start_in("/proc/letschat", &[]), &["/proc/letschat", "--data"]);
    fails(
        "data in use",
        1,
        obstacles.start_in(others_data, &[]),
        &[others_data, "another server is using", "--data"],
    );

    // The key.
    let key = obstacles.file("keyless/server-certificate.pem", "");
    let keyless = key.trim_end_matches("/server-certificate.pem");
    fails(
        "no key",
        1,
        obstacles.start_in(keyless, &[]),
        &["server-key.pem is missing", "bring it back"],
    );
    let key = obstacles.file("spoilt/server-key.pem", "no key");
    let spoilt = key.trim_end_matches("/server-key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fails("spoilt key", 1, obstacles.start_in(spoilt, &[]), &["holds no key", "bring back a copy"]);
    let key = obstacles.file("exposed/server-key.pem", "no key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = key.trim_end_matches("/server-key.pem");
    let mend = format!("`chmod 600 {key}`");
    fails("exposed key", 1, obstacles.start_in(exposed, &[]), &["others have access", &mend]);
    let shared = obstacles.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let mend = format!("`chmod go-w {shared}`");
    fails("folder of all", 1, obstacles.start_in(&shared, &[]), &["everybody may change", &mend]);

    // The store.
    for (name, store, why) in [
        ("store in use", others_store, "another server is using"),
        ("by a link to it", by_link_to_file, "another server is using"),
        ("by a link to its folder", by_link_to_folder, "another server is using"),
        ("by a hard link", by_hard_link, "another server is using"),
        ("no folder", format!("sqlite:{}/none/a.sqlite", obstacles.path("")), "No such file"),
        ("a folder", format!("sqlite:{}", obstacles.path("")), "no regular file"),
        ("read-only", "sqlite:/proc/letschat.sqlite".into(), "can't be opened"),
        ("no database", format!("sqlite:{file}"), "not one of SQLite's"),
        ("spoilt", format!("sqlite:{}", spoilt_database(obstacles)), "malformed"),
        (
            "newer",
            format!("sqlite:{}", newer_database(obstacles)),
            "a newer letschat-server made it",
        ),
        (
            "no MySQL",
            format!("mysql://chat@{}/letschat", obstacles.nobody.0),
            "nobody answers there",
        ),
    ] {
        let place = store.trim_start_matches("sqlite:").trim_end_matches('/').to_owned();
        fails(name, 1, start(&["--store", &store]), &[&place, why, "--store"]);
    }

    // The settings.
    let mysql = "mysql://chat@127.0.0.1/letschat";
    let password = ["--store", mysql, "--store-password-file", "/no/such/file"];
    fails("no password", 2, start(&password), &["/no/such/file", "--store-password-file"]);
    let useless = start(&["--store", mysql, "--store-ca", "ca.pem"]);
    fails("useless authority", 2, useless, &["--store-ca", "--store-tls verified"]);
    fails("no file", 2, start(&["--config", "/no/such/file"]), &["/no/such/file"]);
    let settings = obstacles.file("bad.toml", "places = 0");
    fails("bad file", 2, start(&["--config", &settings]), &[&settings, "`places`"]);
    failures
}

/// Creates a database with a page of random bytes.
fn spoilt_database(obstacles: &Obstacles) -> String {
    let path = obstacles.path("spoilt.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE accounts (username TEXT)").unwrap();
    drop(database);
    let mut bytes = fs::read(&path).unwrap();
    // The first page's B-tree starts after the header of 100 bytes.
    bytes[100..200].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    path
}

fn newer_database(obstacles: &Obstacles) -> String {
    let path = obstacles.path("newer.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 1_000).unwrap();
    path
}

#[test]
fn a_server_that_can_not_start_says_in_one_sentence_what_to_do() {
    let obstacles = Obstacles::new();
    let other = TestServer::start(&[]);
    for Failure { name, mut command, status, told } in failures(&obstacles, &other) {
        let said = run(&mut command, "").refused(status);
        for words in told {
            assert!(said.contains(&words), "{name}: no {words:?} in {said}");
        }
    }
}

#[test]
fn a_store_that_is_none_is_wrong_usage_in_one_line() {
    let obstacles = Obstacles::new();
    for (store, told) in [
        ("postgres:x", "expected sqlite:PATH or mysql://USER@HOST[:PORT]/DATABASE"),
        ("mysql://chat@db", "expected mysql://USER@HOST[:PORT]/DATABASE"),
        ("mysql://chat:hunter2@db/letschat", "LETSCHAT_SERVER_STORE_PASSWORD"),
    ] {
        let outcome = run(&mut obstacles.start(&["--store", store]), "");
        assert_eq!((outcome.status, outcome.output.as_str()), (2, ""), "{}", outcome.errors);
        assert_eq!(outcome.errors.lines().count(), 1, "{}", outcome.errors);
        assert!(outcome.errors.contains(told), "{}", outcome.errors);
        assert!(!outcome.errors.contains("hunter2"), "{}", outcome.errors);
    }
}

#[test]
fn port_taken_for_tcp_or_udp_is_taken_for_both() {
    let obstacles = Obstacles::new();
    let port = free_port();
    let _taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let said = run(&mut obstacles.start(&["--port", &port.to_string()]), "").refused(1);
    assert!(said.contains(&format!("port {port} is taken")), "{said}");
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
}
