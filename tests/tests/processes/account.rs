//! The operator's account commands, with and without a running server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Child;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::operator::{CommandOutput, letschat_server, run};
use letschat_tests::programs::{PATIENCE, program};
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use pty_process::blocking::{Command as PtyCommand, Pty, open};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use tempfile::TempDir;

const NEW_PASSWORD: &str = "another horse entirely";

/// Runs `letschat-server account` in this folder.
fn account(data: &Path, arguments: &[&str], input: &str) -> CommandOutput {
    run(letschat_server(data).arg("account").args(arguments), input)
}

/// Runs it with a password on standard input.
fn with_password(data: &Path, task: &str, name: &str, password: &str) -> CommandOutput {
    account(data, &[task, name, "--password-file", "-"], &format!("{password}\n"))
}

/// Returns the accounts as JSON.
fn listed(data: &Path) -> Vec<Value> {
    let output = account(data, &["list", "--json"], "").ok();
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Logs in with this password. An error holds the code of the refusal.
fn login(server: &TestServer, name: &str, password: &str) -> Result<(), String> {
    let mut client = TestClient::start(server, name);
    let id = client.tell("login", json!({"username": name, "password": password}));
    let reply = client.reply(id);
    reply["error"]["code"].as_str().map_or(Ok(()), |code| Err(code.to_owned()))
}

fn refused(code: &str) -> Result<(), String> {
    Err(code.to_owned())
}

#[test]
fn an_account_that_the_operator_adds_can_log_in() {
    let server = TestServer::start(&[]);
    let data = server.data.path();
    let said = with_password(data, "add", "alice", PASSWORD).ok();
    assert_eq!(said, "alice has an account now\n");
    let file = data.join("password");
    fs::write(&file, format!("{NEW_PASSWORD}\r\nnot this\n")).unwrap();
    account(data, &["add", "Bob", "--password-file", file.to_str().unwrap()], "").ok();
    assert_eq!(login(&server, "alice", PASSWORD), Ok(()));
    assert_eq!(login(&server, "bob", NEW_PASSWORD), Ok(()));
}

#[test]
fn a_reserved_name_is_the_operators_to_give() {
    let server = TestServer::start(&[]);
    let mut mallory = TestClient::start(&server, "mallory");
    for name in ["admin", "127.0.0.l"] {
        let (code, why) =
            mallory.refused("signup", json!({"username": name, "password": PASSWORD}));
        assert_eq!(code, "name_invalid", "{why}");
        assert!(why.starts_with("That name is reserved: "), "{why}");
        let added = with_password(server.data.path(), "add", name, PASSWORD);
        assert!(added.errors.starts_with(&format!("Nobody can sign up as {name}: ")));
        assert_eq!(added.ok(), format!("{name} has an account now\n"));
        assert_eq!(login(&server, name, PASSWORD), Ok(()));
    }
}

#[test]
fn a_ban_counts_from_the_next_login_until_it_is_lifted() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let outcome = account(server.data.path(), &["ban", "alice"], "");
    assert_eq!(outcome.output, "alice is banned\n");
    let hint = "if alice is logged in now, `kick alice` at the server's console ends that\n";
    assert_eq!(outcome.errors, hint);
    alice.is_in();
    alice.ok("leave", json!({}));
    let (code, sentence) = alice.refused("login", json!({"username": "alice"}));
    assert_eq!(code, "banned");
    // The sentence shows no remaining attempts, since the password was right.
    assert_eq!(sentence, "The operator has banned this account.");
    assert_eq!(login(&server, "alice", PASSWORD), refused("banned"));
    assert_eq!(login(&server, "alice", "a wrong password"), refused("wrong_password"));

    let outcome = account(server.data.path(), &["unban", "alice"], "");
    assert_eq!(outcome.errors, "");
    assert_eq!(outcome.ok(), "alice may log in\n");
    alice.ok("login", json!({"username": "alice"}));
}

#[test]
fn a_deleted_account_is_unknown_and_its_name_is_free() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let outcome = account(server.data.path(), &["delete", "alice", "--yes"], "");
    assert!(outcome.errors.contains("`kick alice`"), "{}", outcome.errors);
    assert_eq!(outcome.ok(), "alice and all keys of that account are deleted\n");
    assert_eq!(login(&server, "alice", PASSWORD), refused("wrong_password"));
    assert_eq!(listed(server.data.path()), [] as [Value; 0]);
    TestClient::join(&server, "alice").quits();
}

#[test]
fn after_a_reset_only_the_new_password_opens() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("leave", json!({}));
    let outcome = with_password(server.data.path(), "reset-password", "alice", NEW_PASSWORD);
    assert!(outcome.errors.contains("`kick alice`"), "{}", outcome.errors);
    let said = outcome.ok();
    assert!(said.contains("every device has to log in with it once"), "{said}");
    assert_eq!(alice.fails("login", json!({"username": "alice"})), "key_refused");
    assert_eq!(login(&server, "alice", PASSWORD), refused("wrong_password"));
    alice.ok("login", json!({"username": "alice", "password": NEW_PASSWORD}));
    alice.ok("leave", json!({}));
    alice.ok("login", json!({"username": "alice"}));
}

#[test]
fn the_list_shows_who_there_is_with_their_keys() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let _harry = Typist::joins(server.address, "harry");
    account(server.data.path(), &["ban", "harry"], "").ok();
    let [alice, harry] = listed(server.data.path()).try_into().unwrap();
    for (account, name, banned, keys) in [(&alice, "alice", false, 1), (&harry, "harry", true, 0)] {
        let shown = [&account["username"], &account["banned"], &account["keys"]];
        assert_eq!(shown, [&json!(name), &json!(banned), &json!(keys)]);
        assert!(account["created"].as_str().unwrap().starts_with("20"), "{account}");
    }
    assert!(alice["last_used"].as_str() >= alice["created"].as_str(), "{alice}");
    assert_eq!(harry["last_used"], Value::Null);

    let table = account(server.data.path(), &["list"], "").ok();
    let lines: Vec<&str> = table.lines().collect();
    let column = lines[0].find("KEYS").unwrap();
    assert_eq!([&lines[1][column..=column], &lines[2][column..=column]], ["1", "0"], "{table}");
    assert!(lines[2].starts_with("harry") && lines[2].contains(" banned "), "{table}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn the_first_account_may_come_before_the_first_start() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    for task in [&["list"][..], &["ban", "alice"], &["delete", "alice", "--yes"]] {
        let said = account(&data, task, "").refused(1);
        assert!(said.contains("there is no database yet; start letschat-server once"), "{said}");
    }
    assert!(!data.exists(), "looking makes nothing");
    with_password(&data, "add", "alice", PASSWORD).ok();
    assert_eq!(listed(&data)[0]["username"], "alice");

    let said = run(letschat_server(&data).arg("fingerprint"), "").refused(1);
    assert!(said.contains("the first start of letschat-server makes it"), "{said}");
}

#[test]
fn what_can_not_be_done_is_one_sentence() {
    let server = TestServer::start(&[]);
    let data = server.data.path();
    with_password(data, "add", "alice", PASSWORD).ok();
    for task in [&["ban", "bob"][..], &["unban", "bob"], &["delete", "bob", "--yes"]] {
        assert_eq!(
            account(data, task, "").refused(1),
            "letschat-server: there is no account bob\n"
        );
    }
    for (task, name, password, told) in [
        ("reset-password", "bob", PASSWORD, "there is no account bob"),
        ("add", "alice", PASSWORD, "there is an account alice already"),
        ("add", "bob", "short", "at least 8 characters"),
        ("add", "bobbybob", "bobbybob", "too easy to guess"),
        ("reset-password", "alice", "12345678", "too easy to guess"),
        ("add", "bob", "", "at least 8 characters"),
    ] {
        let said = with_password(data, task, name, password).refused(1);
        assert!(said.contains(told), "{said}");
    }
    let said = account(data, &["add", "bob", "--password-file", "/no/such/file"], "").refused(1);
    assert!(said.contains("can't read the password from /no/such/file"), "{said}");
    assert_eq!(login(&server, "alice", PASSWORD), Ok(()), "nothing was changed");
}

#[test]
fn wrong_usage_is_2() {
    let server = TestServer::start(&[]);
    let data = server.data.path();
    with_password(data, "add", "alice", PASSWORD).ok();
    assert!(account(data, &["delete", "alice"], "yes\n").refused(2).contains("--yes"));
    for task in ["add", "reset-password"] {
        let name = if task == "add" { "bob" } else { "alice" };
        let said = account(data, &[task, name], PASSWORD).refused(2);
        assert!(said.contains("--password-file -"), "{said}");
    }
    for arguments in [
        &["add", "no name!"][..],
        &["add"],
        &["ban", "alice", "bob"],
        &["add", "bob", "--password", PASSWORD],
        &["add", "bob", PASSWORD],
        &["lists"],
        &[],
    ] {
        let outcome = account(data, arguments, "");
        assert_eq!(outcome.status, 2, "{arguments:?}: {}{}", outcome.output, outcome.errors);
    }
    assert_eq!(listed(data).len(), 1, "nothing was changed");
}

#[test]
fn a_password_shows_up_nowhere() {
    let server = TestServer::start(&[]);
    let data = server.data.path();
    for (task, password) in [("add", PASSWORD), ("reset-password", NEW_PASSWORD)] {
        let outcome = with_password(data, task, "alice", password);
        assert!(!format!("{}{}", outcome.output, outcome.errors).contains("horse"));
    }
    let stored = |words: &[u8]| {
        let mut files = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
        files.any(|path| fs::read(path).unwrap().windows(words.len()).any(|part| part == words))
    };
    assert!(stored(b"alice"), "the search does not work");
    assert!(!stored(b"horse"));
}

#[test]
fn the_fingerprint_is_the_one_that_clients_are_told() {
    let server = TestServer::start(&[]);
    let fingerprint = || run(letschat_server(server.data.path()).arg("fingerprint"), "").ok();
    assert_eq!(fingerprint(), format!("{}\n", server.fingerprint));
}

/// An operator at a terminal. Each program's exit status and the terminal's settings are printed after it.
struct AtTerminal {
    terminal: Pty,
    child: Child,
    seen: String,
}

impl AtTerminal {
    fn account(data: &Path, arguments: &[&str]) -> AtTerminal {
        let (terminal, line) = open().unwrap();
        let child = PtyCommand::new("sh")
            .args(["-c", r#""$@"; echo "status $?"; stty -a; echo over"#, "sh"])
            .arg(program("letschat-server"))
            .arg("--data")
            .arg(data)
            .arg("account")
            .args(arguments)
            .spawn(line)
            .unwrap();
        AtTerminal { terminal, child, seen: String::new() }
    }

    /// Waits until the screen shows these words. Returns all output.
    fn sees(&mut self, words: &str) -> &str {
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let mut bytes = [0; 1_024];
        while !self.seen.contains(words) {
            let ready = poll(&mut [PollFd::new(&self.terminal, PollFlags::IN)], Some(&patience));
            assert_eq!(ready, Ok(1), "no {words:?} in {:?}", self.seen);
            match self.terminal.read(&mut bytes) {
                Ok(count) => self.seen.push_str(&String::from_utf8_lossy(&bytes[..count])),
                Err(error) => panic!("{error}: no {words:?} in {:?}", self.seen),
            }
        }
        &self.seen
    }

    fn types(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Expects this exit status and a terminal that echoes again. Returns all output.
    fn ends_with(mut self, status: i32) -> String {
        self.sees("over\r\n");
        let seen = std::mem::take(&mut self.seen);
        assert!(seen.contains(&format!("status {status}\r\n")), "{seen}");
        assert!(seen.contains(" echo ") && seen.contains(" icanon "), "{seen}");
        seen
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a folder with Alice's account.
fn alices() -> TempDir {
    let data = tempfile::tempdir().unwrap();
    with_password(data.path(), "add", "alice", PASSWORD).ok();
    data
}

#[test]
fn at_a_terminal_the_password_is_asked_for_twice_and_not_shown() {
    let data = alices();
    for (task, name, done) in
        [("add", "bob", "bob has an account now"), ("reset-password", "alice", "a new password")]
    {
        let mut operator = AtTerminal::account(data.path(), &[task, name]);
        operator.sees(&format!("New password for {name}: "));
        operator.types(&format!("{NEW_PASSWORD}X\u{7f}\r"));
        operator.sees("The same password again: ");
        operator.types(&format!("{NEW_PASSWORD}\r"));
        let seen = operator.ends_with(0);
        assert!(seen.contains(done), "{seen}");
        assert!(!seen.contains("horse") && !seen.contains('*'), "{seen}");
    }
    assert_eq!(listed(data.path()).len(), 2);
}

#[test]
fn standard_input_that_is_a_terminal_shows_no_password() {
    let data = alices();
    let add = ["add", "bob", "--password-file", "-"];
    let mut operator = AtTerminal::account(data.path(), &add);
    for question in ["New password for bob: ", "The same password again: "] {
        operator.sees(question);
        operator.types(&format!("{NEW_PASSWORD}\r"));
    }
    let seen = operator.ends_with(0);
    assert!(seen.contains("bob has an account now") && !seen.contains("horse"), "{seen}");
}

#[test]
fn two_passwords_that_differ_or_a_weak_one_change_nothing() {
    let data = alices();
    let mut operator = AtTerminal::account(data.path(), &["add", "bob"]);
    operator.sees("New password for bob: ");
    operator.types("short\r");
    assert!(operator.ends_with(1).contains("at least 8 characters"));

    let mut operator = AtTerminal::account(data.path(), &["add", "bob"]);
    operator.sees("New password for bob: ");
    operator.types(&format!("{PASSWORD}\r"));
    operator.sees("The same password again: ");
    operator.types(&format!("{NEW_PASSWORD}\r"));
    assert!(operator.ends_with(1).contains("the two passwords are not the same"));
    assert_eq!(listed(data.path()).len(), 1);
}

#[test]
fn two_spellings_of_one_password_are_the_same_at_a_terminal() {
    let data = alices();
    let mut operator = AtTerminal::account(data.path(), &["add", "bob"]);
    operator.sees("New password for bob: ");
    operator.types("caf\u{e9} au lait\r");
    operator.sees("The same password again: ");
    operator.types("cafe\u{301}\u{a0}au lait\r");
    operator.ends_with(0);
}

#[test]
fn ctrl_c_at_the_question_leaves_a_terminal_with_echo() {
    let data = alices();
    for key in ["\u{3}", "\u{4}"] {
        let mut operator = AtTerminal::account(data.path(), &["add", "bob"]);
        operator.sees("New password for bob: ");
        operator.types(&format!("half a pass{key}"));
        assert!(operator.ends_with(1).contains("no password was given; nothing was changed"));
    }
    assert_eq!(listed(data.path()).len(), 1);
}

#[test]
fn at_a_terminal_deleting_is_asked_about() {
    let data = alices();
    for (answer, status, left) in [("no", 1, 1), ("y", 1, 1), ("", 1, 1), ("yes", 0, 0)] {
        let mut operator = AtTerminal::account(data.path(), &["delete", "alice"]);
        operator.sees("Delete alice and all keys of that account? Type yes to do so: ");
        operator.types(&format!("{answer}\r"));
        operator.ends_with(status);
        assert_eq!(listed(data.path()).len(), left, "{answer:?}");
    }
    let operator = AtTerminal::account(data.path(), &["delete", "alice"]);
    assert!(
        operator.ends_with(1).contains("there is no account alice"),
        "nobody is asked about it"
    );
}
