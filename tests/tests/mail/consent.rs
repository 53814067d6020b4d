//! Messages of strangers wait for the user's approval.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

use super::*;

fn strangers() -> (TestServer, TestClient, TestClient) {
    let server = TestServer::start(&[]);
    let (alice, bob) = (TestClient::join(&server, "alice"), TestClient::join(&server, "bob"));
    (server, alice, bob)
}

#[test]
fn text_of_a_stranger_is_hidden_until_it_is_approved() {
    let (_server, mut alice, mut bob) = strangers();
    send(&mut alice, "bob", "buy this");
    let request = bob.wait_event_with("request", "kind", "message");
    assert_eq!((&request["from"], &request["key"]), (&json!("alice"), &json!("new")));
    assert!(!request.to_string().contains("buy this"), "{request}");
    assert!(bob.all(|line| line.to_string().contains("buy this")).is_empty());
    assert_eq!(bob.ok("status", json!({}))["requests"], json!(["alice"]));
    bob.ok("approve", json!({"who": "alice"}));
    wait_mail(&mut bob, "buy this");
    assert_eq!(bob.ok("status", json!({}))["requests"], json!([]));
}

#[test]
fn denied_and_blocked_strangers_are_not_heard() {
    let (server, mut alice, mut bob) = strangers();
    send(&mut alice, "bob", "first");
    bob.wait_event("request");
    bob.ok("deny", json!({}));
    send(&mut alice, "bob", "second");
    bob.wait_event("request");
    bob.ok("block", json!({"who": "alice"}));
    let sent = send(&mut alice, "bob", "third");
    assert_eq!(sent["state"], "sent", "a block is not given away");
    let mut carol = TestClient::join(&server, "carol");
    send(&mut carol, "bob", "from carol");
    let request = bob.wait_event("request");
    assert_eq!(request["from"], "carol");
    assert!(bob.all(|line| line["event"] == "message").is_empty());
    assert!(alice.all(|line| line["state"] == "delivered").is_empty());
}

#[test]
fn answer_to_a_request_approves_it() {
    let (_server, mut alice, mut bob) = strangers();
    send(&mut alice, "bob", "who are you?");
    bob.wait_event("request");
    send(&mut bob, "alice", "bob, and you?");
    wait_mail(&mut bob, "who are you?");
    wait_mail(&mut alice, "bob, and you?");
}
