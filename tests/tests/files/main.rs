//! Files between clients, with real programs.

#![allow(clippy::unwrap_used)]

mod places;
mod resuming;
mod sending;

use std::fs;
use std::path::{Path, PathBuf};

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Returns a server, and two people who have approved each other's messages.
fn friends() -> (TestServer, TestClient, TestClient) {
    let server = TestServer::start(&[]);
    let (mut alice, mut bob) =
        (TestClient::join(&server, "alice"), TestClient::join(&server, "bob"));
    befriend(&mut alice, &mut bob);
    (server, alice, bob)
}

fn befriend(alice: &mut TestClient, bob: &mut TestClient) {
    // The server answers in order, so that it has the prekey then.
    bob.ok("list", json!({}));
    alice.ok("send", json!({"to": bob.name, "text": "may I?"}));
    bob.wait_event_with("request", "kind", "message");
    bob.ok("approve", json!({}));
    alice.wait_event_with("message_state", "state", "delivered");
    bob.ok("send", json!({"to": alice.name, "text": "you may"}));
    alice.wait_event_with("message", "text", "you may");
}

/// Writes a file of so many bytes that do not repeat, and returns its path.
fn make_file(folder: &TempDir, name: &str, bytes: usize) -> PathBuf {
    let path = folder.path().join(name);
    let mut random = fastrand::Rng::with_seed(bytes as u64);
    let content: Vec<u8> = (0..bytes).map(|_| random.u8(..)).collect();
    fs::write(&path, content).unwrap();
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
    let done = client.wait("saved file", |line| {
        (line["event"] == "file_done" || line["event"] == "file_failed") && line["id"] == id
    });
    assert_eq!(done["event"], "file_done", "{done}");
    done["path"].as_str().unwrap().into()
}

/// Checks that two files are equal.
fn assert_same(one: &Path, other: &Path) {
    assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{one:?} is not {other:?}");
}
