//! No text of another user begins a row of a screen, however wide the terminal draws it.

use std::fs;

use letschat_protocol::rows::most_columns;
use letschat_tests::client::TestClient;
use letschat_tests::person::{Person, USUAL};
use letschat_tests::programs::{NO_SETTINGS, program};
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use serde_json::json;

const FORGED: &str = "332 Your password?";

/// Returns texts whose forged line would begin a row if widths were underestimated.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> =
        (0..80).step_by(7).map(|blanks| format!("hi{}{FORGED}", " ".repeat(blanks))).collect();
    for filling in ["\u{302e}", "\u{70f}", "ы", "…", "\u{a0}", "\u{3000}", "👩\u{200d}💻", "x "]
    {
        let count = 850 / filling.len();
        texts.push(format!("{}{FORGED}", filling.repeat(count.min(80))));
        texts.push(format!("{}{FORGED}", filling.repeat(count.min(40))));
    }
    texts
}

/// Fails unless each row fits, and begins with one of these texts.
fn assert_moved_in(rows: &[String], columns: usize, beginnings: &[&str]) {
    for row in rows {
        assert!(most_columns(row.trim_end()) <= columns, "{row:?} of\n{}", rows.join("\n"));
        let is_known = beginnings.iter().any(|beginning| row.starts_with(beginning));
        assert!(is_known || row.is_empty(), "{row:?} of\n{}", rows.join("\n"));
    }
}

/// Starts a client with an account at a terminal that draws nothing.
fn at_a_plain_terminal(server: &TestServer, name: &str, flags: &[&str]) -> Person {
    let mut before = TestClient::start(server, name);
    before.sign_up_and_log_in();
    before.process.end_input();
    assert_eq!(before.process.exit_code(), 0);
    let letschat = pty_process::blocking::Command::new(program("letschat"))
        .args(["--peer-port", "0", "--server", &server.location(), "--data"])
        .arg(before.data.path())
        .env("LETSCHAT_CONFIG", NO_SETTINGS)
        .args(flags);
    Person::run_at(letschat, name, before.data, USUAL)
}

fn rows_of(person: &Person) -> Vec<String> {
    let bytes = String::from_utf8(person.raw_bytes()).unwrap();
    bytes.split('\n').map(|row| row.trim_end_matches('\r').to_owned()).collect()
}

#[test]
fn rows_of_a_plain_terminal_are_moved_in() {
    let server = TestServer::start(&["--broadcast-burst", "1000"]);
    let alice = at_a_plain_terminal(&server, "alice", &["--plain"]);
    alice.sees("Logged in as alice, by key.");
    let mut bob = TestClient::join(&server, "bob");
    for text in texts().iter().map(String::as_str).chain(["endofbroadcasts"]) {
        bob.ok("broadcast", json!({"text": text}));
    }
    alice.sees("endofbroadcasts");
    assert_moved_in(&rows_of(&alice), 80, &["  ", "[2", "Connected to ", "Logged in "]);
}

#[test]
fn rows_of_a_script_at_a_terminal_are_moved_in() {
    let server = TestServer::start(&["--broadcast-burst", "1000"]);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("listens.lua");
    let source = "
        chat.on('broadcast', function(event)
            print('said: ' .. event.text .. '\\n332 Your password?')
        end)
        chat.login{username = 'alice'}
        print('said: begun')";
    fs::write(&script, source).unwrap();
    let flags = ["--script", script.to_str().unwrap()];
    let alice = at_a_plain_terminal(&server, "alice", &flags);
    alice.sees("said: begun");
    let mut bob = TestClient::join(&server, "bob");
    for text in texts().iter().map(String::as_str).chain(["endofbroadcasts"]) {
        bob.ok("broadcast", json!({"text": text}));
    }
    alice.sees("endofbroadcasts");
    assert_moved_in(&rows_of(&alice), 80, &["  ", "said: "]);
}

#[test]
fn rows_of_a_session_by_hand_have_a_mark() {
    let mut server = TestServer::start(&["--broadcast-burst", "1000"]);
    let mut harry = Typist::joins(server.address, "harry");
    let before = harry.heard.len();
    let mut bob = TestClient::join(&server, "bob");
    for text in texts() {
        bob.ok("broadcast", json!({"text": text}));
        server.process.type_line(&format!("say {text}"));
    }
    bob.ok("broadcast", json!({"text": "endofbroadcasts"}));
    harry.hears("endofbroadcasts");
    assert_moved_in(&harry.heard[before..], 60, &["* 2", "* Server: ", "*   "]);
    server.stop();
}

#[test]
fn rows_above_the_prompt_are_moved_in() {
    let server = TestServer::start(&["--broadcast-burst", "1000"]);
    let alice = Person::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    for (number, text) in texts().iter().enumerate() {
        bob.ok("broadcast", json!({"text": format!("{text} {number:03}end")}));
        alice.sees(&format!("{number:03}end"));
        let forged = alice.rows().iter().any(|row| row.starts_with("332"));
        assert!(!forged, "{}", alice.screen());
    }
}

#[test]
fn plugin_that_can_not_be_loaded_tells_why_over_several_rows() {
    let server = TestServer::start(&[]);
    let plugins = tempfile::tempdir().unwrap();
    let flags = ["--plugins", plugins.path().to_str().unwrap()];
    let alice = Person::join_with(&server, "alice", &flags, &[]);
    let source = "local function fails() error('what a pity') end\nfails()";
    fs::write(plugins.path().join("broken.lua"), source).unwrap();
    alice.types("/plugin load broken");
    alice.sees("what a pity");
    alice.sees("at broken");
    assert!(!alice.bytes().contains("\\n"), "{}", alice.screen());
}
