//! Files between clients, with real programs.

#![allow(clippy::unwrap_used)]

mod places;
mod resuming;
mod sending;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest time for a transfer: one of 2 GiB that is cut ten times, on a slow disk.
const LONGEST: Duration = Duration::from_secs(180);

/// Returns a server, and two people who have approved each other's messages.
fn friends() -> (TestServer, TestClient, TestClient) {
    let server = TestServer::start(&[]);
    let (mut alice, mut bob) =
        (TestClient::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.befriend(&mut bob);
    (server, alice, bob)
}

/// Writes a file of so many bytes that do not repeat, and returns its path.
fn make_file(folder: &TempDir, name: &str, bytes: usize) -> PathBuf {
    let path = folder.path().join(name);
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let mut random = fastrand::Rng::with_seed(bytes as u64);
    let mut block = vec![0; 1 << 20];
    for start in (0..bytes).step_by(block.len()) {
        let length = block.len().min(bytes - start);
        random.fill(&mut block[..length]);
        file.write_all(&block[..length]).unwrap();
    }
    file.flush().unwrap();
    path
}

/// Offers a file, and returns the other side's event of the offer.
fn offer(from: &mut TestClient, to: &mut TestClient, path: &Path) -> Value {
    let sent = from.ok("file", json!({"action": "send", "to": to.name, "path": path}));
    let offered = to.wait_event("file_offered");
    assert_eq!(offered["id"], sent["message_id"], "{offered}");
    offered
}

/// Fetches an offered file.
fn get(client: &mut TestClient, offered: &Value) {
    let reply = client.ok("file", json!({"action": "get", "id": offered["id"]}));
    assert_eq!(reply["state"], "wanted", "{reply}");
}

/// Waits until an offered file is saved, and returns its path.
fn wait_saved(client: &mut TestClient, offered: &Value) -> PathBuf {
    let id = offered["id"].as_str().unwrap();
    let ends = |line: &Value| line["event"] == "file_done" || line["event"] == "file_failed";
    let done = client.wait_within(LONGEST, |line| ends(line) && line["id"] == id);
    let done = done.unwrap_or_else(|| panic!("it is not saved:\n{}", client.process.transcript()));
    assert_eq!(done["event"], "file_done", "{done}");
    done["path"].as_str().unwrap().into()
}

/// Checks that two files are equal.
fn assert_same(one: &Path, other: &Path) {
    let mut files =
        [one, other].map(|path| BufReader::with_capacity(1 << 20, File::open(path).unwrap()));
    loop {
        let [first, second] = &mut files;
        let (block, other_block) = (first.fill_buf().unwrap(), second.fill_buf().unwrap());
        let length = block.len().min(other_block.len());
        assert!(block[..length] == other_block[..length], "{one:?} is not {other:?}");
        if length == 0 {
            assert_eq!(block.len(), other_block.len(), "{one:?} and {other:?}");
            return;
        }
        first.consume(length);
        second.consume(length);
    }
}
