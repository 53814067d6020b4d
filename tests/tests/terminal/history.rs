//! The history, at a real terminal and in the files.

use std::fs;
use std::path::{Path, PathBuf};

use letschat_tests::client::TestClient;
use letschat_tests::person::{CTRL_U, Person, Window};
use letschat_tests::server::TestServer;
use serde_json::json;

const CTRL_S: &str = "\x13";
const ALT_A: &str = "\x1ba";
const WINDOW: Window = Window { rows: 30, columns: 110 };

const KEPT: &[&str] = &["--history"];
const KEPT_IN_FULL: &[&str] = &["--history", "--full"];

const PASSPHRASE: &str = "correct horse";

/// Returns all files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Returns the files below a folder that hold this word.
fn holding(folder: &Path, word: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let content = fs::read(path).unwrap();
        content.windows(word.len()).any(|part| part == word.as_bytes())
    };
    files(folder).into_iter().filter(holds).collect()
}

/// Ends the client, and starts it again with the same folder.
fn restart(server: &TestServer, mut person: Person, flags: &[&str]) -> Person {
    person.press(CTRL_U);
    person.types("/quit");
    assert_eq!(person.sees_the_end(), 0);
    let (name, data) = (person.name.clone(), person.leaves_the_data());
    let person = Person::sit_down_at(server, &name, data, WINDOW, flags, &[]);
    person.sees(&format!("Logged in as {name}, by key."));
    person
}

fn talk(alice: &Person, bob: &mut TestClient) {
    alice.chats_with(bob);
    bob.ok("say", json!({"text": "the treasure is below the oak"}));
    alice.sees("the treasure is below the oak");
    alice.types("then bring a spade");
    bob.wait_event_with("message", "text", "then bring a spade");
}

#[test]
fn next_run_finds_what_was_said_and_no_file_shows_it() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) =
        (Person::join_at(&server, "alice", WINDOW, KEPT, &[]), TestClient::join(&server, "bob"));
    talk(&alice, &mut bob);
    let alice = restart(&server, alice, KEPT);
    alice.types("history search OAK treasure");
    alice.sees("] bob, bob: the treasure is below the oak");
    alice.types("history show bob");
    alice.sees("] bob, you: then bring a spade");
    alice.types("history");
    alice.sees("The history has 2 messages since");
    for word in ["treasure", "OAK", "spade"] {
        assert_eq!(holding(alice.data.path(), word), Vec::<PathBuf>::new(), "{word}");
    }
    alice.types("history forget bob");
    alice.sees("The history with bob is deleted: 2 messages.");
    alice.types("history search oak");
    alice.sees("Nothing was found.");
}

#[test]
fn nothing_is_kept_unless_it_is_wanted() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    talk(&alice, &mut bob);
    let alice = restart(&server, alice, &[]);
    alice.types("history search oak");
    alice.sees("No history is kept.");
    assert!(!files(alice.data.path()).iter().any(|path| path.ends_with("history.sqlite")));
}

#[test]
fn passphrase_is_asked_for_without_echo_and_once_in_a_run() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) =
        (Person::join_at(&server, "alice", WINDOW, KEPT, &[]), TestClient::join(&server, "bob"));
    talk(&alice, &mut bob);
    alice.types("/history passphrase");
    alice.sees("New passphrase of the history (empty: none):");
    alice.types(PASSPHRASE);
    alice.sees("The same passphrase again:");
    alice.types(PASSPHRASE);
    alice.sees("The history has a new passphrase.");
    let alice = restart(&server, alice, KEPT);
    alice.sees("Your history is locked");
    alice.types("history passphrase");
    alice.sees("The history is locked");
    alice.types("history search oak");
    alice.sees_times("The history is locked", 2);
    alice.types("history unlock");
    alice.sees("Passphrase of the history:");
    alice.types("wrong horse");
    alice.sees("That is not the passphrase");
    alice.types(&format!("history unlock {PASSPHRASE}"));
    alice.sees("a password is never typed in the line");
    alice.types("history unlock");
    alice.sees_times("Passphrase of the history:", 2);
    alice.types(PASSPHRASE);
    alice.sees("unlocked by its passphrase");
    alice.types("history search oak");
    alice.sees("] bob, bob: the treasure is below the oak");
    assert!(holding(alice.data.path(), PASSPHRASE).is_empty());
}

#[test]
fn full_screen_begins_with_the_last_messages_and_searches_all() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) =
        (Person::join_at(&server, "alice", WINDOW, KEPT, &[]), TestClient::join(&server, "bob"));
    talk(&alice, &mut bob);
    bob.ok("broadcast", json!({"text": "tea is ready"}));
    alice.sees("tea is ready");
    let alice = restart(&server, alice, KEPT_IN_FULL);
    alice.sees("everyone");
    alice.press(ALT_A);
    alice.sees("Nothing is unread.");
    alice.press(CTRL_S);
    alice.sees("Search:");
    alice.press("oak");
    alice.sees("bob  bob: the treasure is below the oak");
    alice.press("\r");
    alice.sees("alice: then bring a spade");
    alice.press(CTRL_S);
    alice.press("spade\x1b[B\r");
    alice.sees("] bob, you: then bring a spade");
}

#[test]
fn damaged_history_is_set_aside_with_a_sentence() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) =
        (Person::join_at(&server, "alice", WINDOW, KEPT, &[]), TestClient::join(&server, "bob"));
    talk(&alice, &mut bob);
    alice.press(CTRL_U);
    let mut alice = alice;
    alice.types("/quit");
    assert_eq!(alice.sees_the_end(), 0);
    let data = alice.leaves_the_data();
    let history = files(data.path()).into_iter().find(|path| path.ends_with("history.sqlite"));
    fs::write(history.unwrap(), "this is no database, but a text of some length").unwrap();
    let alice = Person::sit_down_at(&server, "alice", data, WINDOW, KEPT, &[]);
    alice.sees("Your history can't be read: it is no SQLite file.");
    alice.sees("a new one was begun");
    alice.types("history");
    alice.sees("The history has 0 messages");
}
