//! Messages to people who may be away, with real programs: sealed envelopes, the server's mailbox, the outbox.

#![allow(clippy::unwrap_used)]

mod away;
mod consent;
mod devices;
mod groups;
mod limits;
mod lost;
mod rotated;
mod searched;
mod ways;

use ::mysql::prelude::Queryable as _;
use letschat_tests::client::TestClient;
use letschat_tests::mysql_server::Throwaway;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Sends a message and returns the reply.
fn send(from: &mut TestClient, to: &str, text: &str) -> Value {
    from.ok("send", json!({"to": to, "text": text}))
}

/// Waits for a message with this text, and checks its way.
fn wait_mail(to: &mut TestClient, text: &str) -> Value {
    let message = to.wait_event_with("message", "text", text);
    assert_eq!((&message["via"], &message["own"]), (&json!("server"), &json!(false)));
    message
}

/// Returns a server, and two people who have approved each other's messages.
fn friends(flags: &[&str]) -> (TestServer, TestClient, TestClient) {
    let server = TestServer::start(flags);
    let (mut alice, mut bob) =
        (TestClient::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.befriend(&mut bob);
    (server, alice, bob)
}

/// Starts a MySQL server in a folder, and a server that stores its mail there.
fn server_with_mysql(folder: &TempDir) -> (Throwaway, TestServer) {
    let database = Throwaway::private(folder);
    let mut administrator = database.server.administrator();
    for statement in ["CREATE USER chat", "GRANT ALL ON letschat.* TO chat"] {
        administrator.query_drop(statement).unwrap();
    }
    let store = format!("mysql://chat@{}/letschat", database.server.address);
    let server = TestServer::start(&["--store", &store]);
    (database, server)
}

/// Ends a client and returns its folder.
fn leave(client: TestClient) -> TempDir {
    let TestClient { mut process, data, .. } = client;
    process.end_input();
    assert_eq!(process.exit_code(), 0, "{}", process.transcript());
    data
}

/// Starts a client in a folder that has its account, and logs it in.
fn come_back(data: TempDir, server: &TestServer, name: &str) -> TestClient {
    let mut client = TestClient::start_in(data, &server.location(), name, &[]);
    client.ok("login", json!({"username": name}));
    client
}
