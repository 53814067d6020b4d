//! Import and export of accounts by CSV file, with and without a running server.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::operator::{CommandOutput, letschat_server, run};
use letschat_tests::programs::program;
use letschat_tests::server::TestServer;
use pty_process::blocking::{Command as PtyCommand, open};
use serde_json::json;
use tempfile::TempDir;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8gc3VjaCBhY2NvdW50Lg\
                    $dGhpcyBpcyBub3QgdGhlIGhhc2ggb2YgYW55dGhpbmc";

/// Runs `letschat-server account` in this folder.
fn account(data: &Path, arguments: &[&str], input: &str) -> CommandOutput {
    run(letschat_server(data).arg("account").args(arguments), input)
}

fn import(data: &Path, csv: &str) -> CommandOutput {
    account(data, &["import", "-"], csv)
}

/// Logs in with an account that came from a file.
fn log_in(server: &TestServer, name: &str, password: &str) -> TestClient {
    let mut client = TestClient::start(server, name);
    client.ok("login", json!({"username": name, "password": password}));
    client.wait_event("logged_in");
    client
}

fn hears(client: &mut TestClient, text: &str) {
    client.wait(text, |line| line["event"] == "broadcast" && line["text"] == text);
}

#[test]
fn broadcast_reaches_each_imported_account_in_time() {
    let server = TestServer::start(&[]);
    let csv = format!("username,password\nalice,{PASSWORD}\nbob,{PASSWORD}\ncarol,{PASSWORD}\n");
    assert_eq!(import(server.data.path(), &csv).ok(), "3 imported\n");
    let mut alice = log_in(&server, "alice", PASSWORD);
    let mut bob = log_in(&server, "bob", PASSWORD);
    alice.ok("broadcast", json!({"text": "lunch at noon"}));
    hears(&mut alice, "lunch at noon");
    hears(&mut bob, "lunch at noon");
    // The account was not yet active when the broadcast was sent.
    hears(&mut log_in(&server, "carol", PASSWORD), "lunch at noon");
}

#[test]
fn exported_accounts_log_in_at_another_server() {
    let (from, to) = (TestServer::start(&[]), TestServer::start(&[]));
    TestClient::join(&from, "alice").quits();
    import(from.data.path(), "bob,\"comma, \"\"quote\"\" and é\"\r\n").ok();
    let file = from.data.path().join("accounts.csv");
    let name = file.to_str().unwrap();
    let said = account(from.data.path(), &["export", name], "").ok();
    assert_eq!(said, format!("2 exported to {name}\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(account(to.data.path(), &["import", name], "").ok(), "2 imported\n");
    log_in(&to, "alice", PASSWORD).quits();
    log_in(&to, "bob", "comma, \"quote\" and é").quits();
    // An imported account is exported unchanged.
    let again = account(to.data.path(), &["export"], "").ok();
    assert_eq!(again, fs::read_to_string(&file).unwrap());
}

#[test]
fn no_exported_cell_starts_a_formula() {
    let data = tempfile::tempdir().unwrap();
    import(data.path(), &format!("username,password_hash\n0-=+@,{HASH}\n")).refused_rows(1);
    let csv = format!("username,password_hash\n0-a.b,\"{HASH}\"\n9_-x,\"{HASH}\"\n");
    import(data.path(), &csv).ok();
    let exported = account(data.path(), &["export", "-"], "").ok();
    assert_eq!(exported, csv.replace('\n', "\r\n"));
    for line in exported.lines() {
        let (name, hash) = line.split_once(',').unwrap();
        for cell in [name, hash.trim_matches('"')] {
            assert!(cell.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$'), "{cell}");
        }
    }
}

#[test]
fn bad_row_stops_the_import_unless_it_is_skipped() {
    let data = tempfile::tempdir().unwrap();
    import(data.path(), &format!("alice,{PASSWORD}\n")).ok();
    let csv = format!("username,password\nbob,{PASSWORD}\nAlice,{PASSWORD}\ncarol,short\n");
    let bad = "line 3: there is an account alice already\n\
               line 4: carol: a password has at least 8 characters";
    assert_eq!(import(data.path(), &csv).refused_rows(2), bad);
    assert_eq!(account(data.path(), &["list"], "").ok().lines().count(), 2);
    let skipped = account(data.path(), &["import", "--skip-bad", "-"], &csv);
    assert_eq!(skipped.errors, format!("{bad}\n"));
    assert_eq!(skipped.ok(), "1 imported, 2 skipped\n");
    assert_eq!(account(data.path(), &["list"], "").ok().lines().count(), 3);
}

#[test]
fn useless_file_makes_no_database() {
    let data = TempDir::new().unwrap();
    let inner = data.path().join("data");
    for (csv, why) in [
        ("", "it is empty"),
        ("username,email\n", "line 1: column 2 is none of username, password and password_hash"),
        ("u\0s\0e\0r\0", "it is UTF-16; save it as UTF-8"),
    ] {
        let told = import(&inner, csv).refused(1);
        assert_eq!(told, format!("letschat-server: can't import standard input: {why}\n"));
        assert!(!inner.exists());
    }
    let missing = account(&inner, &["import", "no-such-file.csv"], "").refused(1);
    assert!(missing.contains("can't import no-such-file.csv: it can't be read: "), "{missing}");
    assert_eq!(import(&inner, "username,password\n").ok(), "0 imported\n");
}

#[test]
fn endless_line_ends_the_import_early() {
    let data = tempfile::tempdir().unwrap();
    let mut command = letschat_server(data.path());
    command.args(["account", "import", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let chunk = [b'x'; 64 * 1024];
    // The server closes its input long before a gigabyte.
    let written = (0..16 * 1024).take_while(|_| input.write_all(&chunk).is_ok()).count();
    assert!(written < 64, "{written} chunks were read");
    drop(input);
    let ended = child.wait_with_output().unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(errors.contains("line 1: the row has more than 4096 bytes"), "{errors}");
}

#[test]
fn export_leaves_out_the_banned_and_keeps_files() {
    let data = tempfile::tempdir().unwrap();
    import(data.path(), &format!("alice,{PASSWORD}\nmallory,{PASSWORD}\n")).ok();
    account(data.path(), &["ban", "mallory"], "").ok();
    let outcome = account(data.path(), &["export"], "");
    assert_eq!(outcome.errors, "left out: mallory is banned\n");
    assert_eq!(outcome.ok().lines().count(), 2);
    let file = data.path().join("there.csv");
    fs::write(&file, "precious").unwrap();
    let told = account(data.path(), &["export", file.to_str().unwrap()], "").refused(1);
    assert!(told.contains("can't export to "), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn hundred_thousand_hashes_are_imported_and_exported() {
    let data = tempfile::tempdir().unwrap();
    let mut csv = String::from("username,password_hash\r\n");
    for number in 0..100_000 {
        write!(csv, "guest{number:05},\"{HASH}\"\r\n").unwrap();
    }
    let begin = Instant::now();
    assert_eq!(import(data.path(), &csv).ok(), "100000 imported\n");
    let imported = begin.elapsed();
    let exported = account(data.path(), &["export"], "").ok();
    println!("imported in {imported:?}, exported in {:?}", begin.elapsed() - imported);
    assert!(exported == csv, "the export differs");
}

#[test]
fn terminal_shows_how_far_the_hashing_is() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("people.csv");
    let rows: String = (0..20).map(|number| format!("guest{number},{PASSWORD}\n")).collect();
    fs::write(&file, rows).unwrap();
    let (mut terminal, line) = open().unwrap();
    let command = PtyCommand::new(program("letschat-server")).arg("--data").arg(data.path());
    let mut child = command.args(["account", "import"]).arg(&file).spawn(line).unwrap();
    let mut shown = Vec::new();
    // When the last program closes the terminal, reading ends with an error.
    let _ = terminal.read_to_end(&mut shown);
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    let (progress, result) = shown.split_once("\r\u{1b}[K").expect(&shown);
    assert!(progress.starts_with("\rhashing passwords: 1 of 20"), "{shown:?}");
    assert_eq!(result, "20 imported\r\n");
}
