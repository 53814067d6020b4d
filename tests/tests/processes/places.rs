//! A full server, and a missing one.

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::programs::nobodys_address;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

fn credentials(client: &TestClient) -> Value {
    json!({"username": client.name, "password": PASSWORD})
}

/// A server whose two places Alice and Bob occupy, and Carol, who has an account.
struct FullServer {
    server: TestServer,
    alice: TestClient,
    bob: TestClient,
    carol: TestClient,
}

fn full_server(carols_flags: &[&str]) -> FullServer {
    let server = TestServer::start(&["--places", "2"]);
    let mut carol = TestClient::start_at(&server.location(), "carol", carols_flags);
    carol.ok("signup", credentials(&carol));
    carol.ok("leave", json!({}));
    let alice = TestClient::join(&server, "alice");
    let bob = TestClient::join(&server, "bob");
    FullServer { server, alice, bob, carol }
}

/// Checks that the first retry is announced with its delay, about five seconds.
fn is_announced(client: &mut TestClient, reason: &str) {
    let retrying = client.wait_event("retrying");
    assert_eq!((&retrying["reason"], &retrying["attempt"]), (&json!(reason), &json!(1)));
    let in_ms = retrying["in_ms"].as_u64().unwrap();
    assert!((4_000..=6_000).contains(&in_ms), "{retrying}");
    let message = retrying["message"].as_str().unwrap();
    assert!(message.contains("Trying again in") && message.contains("`/cancel`"), "{message}");
}

/// Ends the client and returns its exit status.
fn end(mut client: TestClient) -> i32 {
    client.process.end_input();
    client.process.exit_code()
}

#[test]
fn whoever_finds_no_place_gets_in_when_there_is_one() {
    let FullServer { server: _server, alice, mut bob, mut carol } = full_server(&[]);
    let login = carol.tell("login", credentials(&carol));
    is_announced(&mut carol, "busy");
    alice.quits();
    assert_eq!(carol.reply(login)["username"], "carol");

    let users = bob.ok("list", json!({}))["users"].clone();
    let names: Vec<&Value> = users.as_array().unwrap().iter().map(|one| &one["username"]).collect();
    assert_eq!(names, ["bob", "carol"]);
    let events: Vec<Value> = bob
        .all(|line| line.get("event").is_some())
        .iter()
        .map(|one| one["event"].clone())
        .collect();
    assert_eq!(events, ["connected", "logged_in"]);
}

#[test]
fn place_taken_just_before_the_login_is_waited_for_too() {
    let server = TestServer::start(&["--places", "1"]);
    let mut alice = TestClient::start(&server, "alice");
    alice.ok("signup", credentials(&alice));
    let bob = TestClient::join(&server, "bob");
    let login = alice.tell("login", credentials(&alice));
    is_announced(&mut alice, "busy");
    bob.quits();
    assert_eq!(alice.reply(login)["username"], "alice");
}

#[test]
fn cancel_ends_the_waiting_for_a_place() {
    let FullServer { server: _server, alice: _alice, bob: _bob, mut carol } = full_server(&[]);
    let login = carol.tell("login", credentials(&carol));
    is_announced(&mut carol, "busy");
    carol.ok("cancel", json!({}));
    assert_eq!(carol.refusal(login).0, "cancelled");
    assert_eq!(carol.ok("status", json!({}))["state"], "offline");
}

#[test]
fn with_one_try_a_full_server_is_a_failure_at_once() {
    let FullServer { server: _server, alice: _alice, bob: _bob, mut carol } =
        full_server(&["--tries", "1"]);
    let (code, message) = carol.refused("login", credentials(&carol));
    assert_eq!(code, "busy");
    assert!(message.contains("All places are taken."), "{message}");
    assert!(carol.all(|line| line["event"] == "retrying").is_empty());
    assert_eq!(end(carol), 3);
}

#[test]
fn where_no_server_is_one_is_looked_for_as_often_as_told() {
    let (address, _held) = nobodys_address();
    let mut alice = TestClient::start_at(&address.to_string(), "alice", &["--tries", "2"]);
    let login = alice.tell("login", credentials(&alice));
    is_announced(&mut alice, "no_server");
    let (code, message) = alice.refusal(login);
    assert_eq!(code, "no_server");
    assert!(message.contains(&address.to_string()), "{message}");
    assert_eq!(alice.all(|line| line["event"] == "retrying").len(), 1);
    assert_eq!(end(alice), 3);
}
