//! Files at the prompt: the row of a running transfer, and the completion of ids and paths.

use std::fs::{self, File};
use std::num::NonZeroU16;
use std::path::Path;

use letschat_tests::client::TestClient;
use letschat_tests::person::{Person, TAB, Window};
use letschat_tests::server::TestServer;
use serde_json::json;
use vt100::Parser;

/// The size of a file whose transfer takes some steps.
const LARGE_BYTES: u64 = 200_000_000;

/// A part of each row of progress.
const PROGRESS: &str = " % of ";

/// Wide enough for the path of a temporary folder.
const WIDE: Window = Window { rows: 24, columns: 200 };

/// Returns a server, alice at a terminal with this folder for received files, and bob, who have written to each other.
fn friends(downloads: &Path) -> (TestServer, Person, TestClient) {
    let server = TestServer::start(&[]);
    let flags = ["--downloads", downloads.to_str().unwrap()];
    let alice = Person::join_at(&server, "alice", WIDE, &flags, &[]);
    let mut bob = TestClient::join(&server, "bob");
    // The server answers in order, so that it has the prekey then.
    bob.ok("list", json!({}));
    alice.types("/send bob may I?");
    bob.wait_event_with("request", "kind", "message");
    bob.ok("approve", json!({}));
    bob.wait_event_with("message", "text", "may I?");
    bob.ok("send", json!({"to": "alice", "text": "you may"}));
    alice.sees("bob: you may");
    alice.is_prompted("letschat> ");
    (server, alice, bob)
}

/// Makes a file of zeros, which takes no room on the disk.
fn make_sparse(path: &Path, bytes: u64) {
    File::create(path).unwrap().set_len(bytes).unwrap();
}

/// Returns the number of rows with this text, on the screen and above it.
fn rows_with(person: &Person, text: &str) -> usize {
    person.all_rows().iter().filter(|row| row.contains(text)).count()
}

/// Fails unless the terminal showed progress in the row above the prompt, and never in two rows. The steps are shorter
/// than what is drawn after the prompt.
fn assert_one_row_of_progress(person: &Person) {
    let size = |count: u16| NonZeroU16::new(count).unwrap();
    let mut terminal = Parser::new(size(WIDE.rows), size(WIDE.columns), 0);
    let mut is_above_the_prompt = false;
    for bytes in person.raw_bytes().chunks(8) {
        terminal.process(bytes);
        let shown = terminal.screen().contents();
        assert!(shown.matches(PROGRESS).count() <= 1, "{shown}");
        let rows: Vec<&str> = shown.lines().collect();
        is_above_the_prompt |= rows
            .windows(2)
            .any(|pair| pair[0].contains(PROGRESS) && pair[1].starts_with("letschat>"));
    }
    assert!(is_above_the_prompt, "{:?}", person.bytes());
}

#[test]
fn transfer_has_one_row_above_the_prompt_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, alice, mut bob) = friends(&folder.path().join("downloads"));
    let source = folder.path().join("big.bin");
    make_sparse(&source, LARGE_BYTES);
    let sent = bob.ok("file", json!({"action": "send", "to": "alice", "path": source}));
    let id = &sent["message_id"].as_str().unwrap()[..8];
    alice.sees(&format!("bob offers big.bin, 200 MB. `/file get {id}` saves it."));

    alice.press(&format!("file get {TAB}"));
    alice.is_prompted(&format!("letschat> file get {id} "));
    alice.types("");
    alice.press("half a li");
    alice.sees("big.bin from bob is saved:");
    alice.press("ne");
    alice.is_prompted("letschat> half a line");

    assert_eq!(rows_with(&alice, PROGRESS), 0, "{}", alice.screen());
    assert_eq!(rows_with(&alice, "is saved:"), 1, "{}", alice.screen());
    assert_eq!(rows_with(&alice, &format!("letschat> file get {id}")), 1, "{}", alice.screen());
    assert_one_row_of_progress(&alice);
    assert_eq!(fs::metadata(folder.path().join("downloads/big.bin")).unwrap().len(), LARGE_BYTES);
}

#[test]
fn path_is_completed_and_its_file_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, alice, mut bob) = friends(folder.path());
    fs::create_dir(folder.path().join("my photos")).unwrap();
    make_sparse(&folder.path().join("my photos/the sea.jpg"), 3_000_000);
    let top = folder.path().display();
    alice.press(&format!("file send bob {top}/my{TAB}th{TAB}"));
    alice.is_prompted(&format!("letschat> file send bob {top}/my photos/the sea.jpg"));
    alice.types("");
    let offered = bob.wait_event("file_offered");
    assert_eq!(offered["name"], "the sea.jpg", "{offered}");
    alice.sees("you → bob: the file the sea.jpg, 3.0 MB");

    bob.ok("file", json!({"action": "get", "id": offered["id"]}));
    bob.wait_event("file_done");
    alice.sees("bob has received the sea.jpg.");
    alice.is_prompted("letschat> ");
    assert_eq!(rows_with(&alice, PROGRESS), 0, "{}", alice.screen());
}
