//! The client in a shell: its exit status, plain lines, and no secrets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::programs::{Running, nobodys_address, program, without_settings};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A user's folder with a password file.
struct Home {
    folder: TempDir,
}

/// The result of a run of the client.
struct Ran {
    status: i32,
    output: Vec<String>,
    errors: String,
}

impl Home {
    fn new() -> Home {
        Home::with_password(PASSWORD)
    }

    fn with_password(password: &str) -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        fs::write(home.password_file(), format!("{password}\n")).unwrap();
        home
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("letschat")
    }

    fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Runs the client to its end on these lines.
    fn run(&self, location: &str, flags: &[&str], lines: &[&str]) -> Ran {
        let mut command = Command::new(program("letschat"));
        without_settings(&mut command);
        command.args(["--server", location, "--peer-port", "0", "--tries", "1"]).args(flags);
        command.arg("--data").arg(self.data());
        if self.password_file().exists() {
            command.arg("--password-file").arg(self.password_file());
        }
        let mut client = Running::start(&mut command);
        for line in lines {
            client.type_line(line);
        }
        client.end_input();
        let status = client.exit_code();
        Ran { status, errors: client.errors(), output: client.heard.clone() }
    }
}

impl Ran {
    fn everything(&self) -> String {
        format!("{}\n{}", self.output.join("\n"), self.errors)
    }

    /// Returns the codes of the failures in JSON output.
    fn codes(&self) -> Vec<String> {
        let lines = self.output.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| line["error"]["code"].as_str().map(str::to_owned)).collect()
    }
}

const NEWCOMER: [&str; 4] = ["signup alice", "login alice", "list", "broadcast hello"];

#[test]
fn a_piped_session_of_plain_lines_ends_well() {
    let server = TestServer::start(&[]);
    let ran = Home::new().run(&server.location(), &[], &NEWCOMER);
    assert_eq!((ran.status, ran.errors.as_str()), (0, ""));
    for line in ["Logged in as alice, by password.", "alice (you) to all: hello"] {
        assert!(ran.output.iter().any(|said| said.ends_with(line)), "{:?}", ran.output);
    }
    assert!(ran.output.iter().any(|said| said.starts_with("alice  127.0.0.1")), "{:?}", ran.output);
    assert!(!ran.output.concat().contains(char::is_control), "{:?}", ran.output);
}

#[test]
fn a_piped_session_of_typed_lines_is_answered_in_json_too() {
    let server = TestServer::start(&[]);
    let ran = Home::new().run(&server.location(), &["--json"], &NEWCOMER);
    assert_eq!((ran.status, ran.codes()), (0, Vec::new()));
    let replies: Vec<Value> =
        ran.output.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = replies.iter().filter_map(|line| line["reply"].as_str()).collect();
    assert_eq!(names, ["signup", "login", "list", "broadcast"]);
}

#[test]
fn only_account_of_a_machine_is_logged_in_by_key() {
    let server = TestServer::start(&[]);
    let home = Home::new();
    assert_eq!(home.run(&server.location(), &[], &NEWCOMER).status, 0);
    fs::remove_file(home.password_file()).unwrap();
    let ran = home.run(&server.location(), &[], &["list"]);
    assert_eq!(ran.status, 0, "{}", ran.everything());
    assert!(ran.output.iter().any(|said| said == "Logged in as alice, by key."));
    // A program gets replies only to its own requests.
    let ran = home.run(&server.location(), &["--json"], &["list"]);
    let has = |words: &str| ran.output.iter().any(|line| line.contains(words));
    assert!(has("\"event\":\"logged_in\"") && has("\"reply\":\"list\""), "{}", ran.everything());
    assert!(!has("\"reply\":\"login\""), "{}", ran.everything());
}

#[test]
fn a_command_that_fails_makes_it_1_and_the_rest_is_done() {
    for flags in [&["--plain"], &["--json"]] {
        let server = TestServer::start(&[]);
        let lines = [&["signup alice"], &NEWCOMER[..]].concat();
        let ran = Home::new().run(&server.location(), flags, &lines);
        assert_eq!(ran.status, 1, "{}", ran.everything());
        server.wait_log("alice asked: BROADCAST");
    }
}

#[test]
fn wrong_usage_is_2() {
    let server = TestServer::start(&[]);
    for flags in [&["--json", "--plain"][..], &["--as", "no name!"], &["--tries", "0"]] {
        assert_eq!(Home::new().run(&server.location(), flags, &[]).status, 2, "{flags:?}");
    }
}

#[test]
fn no_server_is_3() {
    let (address, _held) = nobodys_address();
    let location = address.to_string();
    let ran = Home::new().run(&location, &["--json"], &["login alice"]);
    assert_eq!((ran.status, ran.codes()), (3, vec!["no_server".into()]));
    let ran = Home::new().run(&location, &["--as", "alice"], &[]);
    assert_eq!(ran.status, 3);
    assert!(ran.errors.contains(&location), "{}", ran.errors);
}

#[test]
fn a_refused_login_is_4() {
    let server = TestServer::start(&[]);
    Home::new().run(&server.location(), &[], &["signup alice"]);
    for flags in [&["--plain"], &["--json"]] {
        let ran = Home::with_password("not the password").run(
            &server.location(),
            flags,
            &["login alice"],
        );
        assert_eq!(ran.status, 4);
        assert!(ran.everything().contains("Wrong username or password."), "{}", ran.everything());
    }
}

#[test]
fn a_login_without_a_password_or_a_key_is_4() {
    let server = TestServer::start(&[]);
    let home = Home::new();
    fs::remove_file(home.password_file()).unwrap();
    let ran = home.run(&server.location(), &["--json"], &["login alice"]);
    assert_eq!((ran.status, ran.codes()), (4, vec!["no_key".into()]));
}

#[test]
fn a_penalty_is_4() {
    let server = TestServer::start(&[]);
    for (name, who, code) in [("alice", "nobody", "nobody"), ("bob", "bob", "yourself")] {
        let mut client = TestClient::join(&server, name);
        assert_eq!(client.fails("connect", json!({"who": who, "force": true})), code);
        client.process.end_input();
        assert_eq!(client.process.exit_code(), 4);
    }
}

/// Returns a fingerprint that belongs to no key.
fn wrong_fingerprint() -> String {
    "0".repeat(64)
}

#[test]
fn server_with_another_key_is_4_and_hears_nothing() {
    let server = TestServer::start(&[]);
    let location = format!("{}#{}", server.address, wrong_fingerprint());
    let ran = Home::new().run(&location, &["--json"], &["signup alice", "login alice"]);
    let changed = "server_key_changed".to_owned();
    assert_eq!((ran.status, ran.codes()), (4, vec![changed.clone(), changed]));
    assert!(ran.everything().contains(&server.fingerprint), "{}", ran.everything());
    server.wait_log("ended without a login");
    assert!(!server.process.errors().contains("alice"));
}

#[test]
fn a_server_whose_key_is_not_the_remembered_one_is_4() {
    let server = TestServer::start(&[]);
    let location = server.address.to_string();
    let home = Home::new();
    let first = home.run(&location, &["--json"], &["signup alice"]);
    assert_eq!(first.status, 0);
    assert!(first.everything().contains("server_key_pinned"), "{}", first.everything());

    let remembered = home.data().join("known_servers.json");
    let text = fs::read_to_string(&remembered).unwrap();
    fs::write(&remembered, text.replace(&server.fingerprint, &wrong_fingerprint())).unwrap();
    let ran = home.run(&location, &["--json"], &["login alice"]);
    assert_eq!((ran.status, ran.codes()), (4, vec!["server_key_changed".into()]));
    assert_eq!(home.run(&server.location(), &[], &["login alice"]).status, 0);
}

#[test]
fn known_server_under_another_name_is_no_new_one() {
    let server = TestServer::start(&[]);
    let home = Home::new();
    let lines = ["signup alice", "login alice"];
    assert_eq!(home.run(&server.address.to_string(), &["--json"], &lines).status, 0);
    let other_name = format!("localhost:{}", server.address.port());
    // The client logs in with the only account of this machine.
    let ran = home.run(&other_name, &["--json"], &["list"]);
    let everything = ran.everything();
    assert_eq!(ran.status, 0, "{everything}");
    let known = format!("The server {other_name} is the one that you know as {}.", server.address);
    assert!(everything.contains(&known), "{everything}");
    assert!(!everything.contains("server_key_pinned"), "{everything}");
}

#[test]
fn a_password_in_a_typed_line_is_refused_and_not_repeated() {
    let server = TestServer::start(&[]);
    for line in ["login alice hunter2-secret", "signup alice hunter2-secret hunter2-secret"] {
        for flags in [&["--plain"], &["--json"]] {
            let ran = Home::new().run(&server.location(), flags, &[line]);
            assert_eq!(ran.status, 1);
            let everything = ran.everything();
            assert!(everything.contains("a password is never typed in the line"), "{everything}");
            assert!(!everything.contains("hunter2"), "{everything}");
        }
    }
    assert!(!server.process.errors().contains("came from"), "{}", server.process.errors());
}

/// Returns true if any file in the folder contains these words.
fn anything_has(folder: &Path, words: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return anything_has(&path, words);
        }
        fs::read(&path).unwrap().windows(words.len()).any(|window| window == words.as_bytes())
    })
}

#[test]
fn a_password_is_written_nowhere() {
    let server = TestServer::start(&[]);
    let home = Home::new();
    let ran = home.run(&server.location(), &["--json"], &NEWCOMER);
    assert_eq!(ran.status, 0);
    assert!(anything_has(server.data.path(), "alice"), "the search does not work");
    for folder in [server.data.path(), &home.data()] {
        assert!(!anything_has(folder, PASSWORD), "{}", folder.display());
    }
    assert!(!server.process.errors().contains(PASSWORD));
    assert!(!ran.everything().contains(PASSWORD));
}
