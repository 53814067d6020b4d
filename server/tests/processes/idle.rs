//! Who does nothing with peers for a while is let go; who chats is not.

use std::time::Instant;

use serde_json::{Value, json};

use crate::client::TestClient;
use crate::programs::PATIENCE;
use crate::server::TestServer;

#[test]
fn an_idle_client_is_let_go_and_comes_back_when_its_user_says_so() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let mut alice = TestClient::join(&server, "alice");
    alice.is_out_for_good("idle");
    alice.ok("login", json!({}));
    assert_eq!(alice.wait_event("logged_in")["by"], "key");
}

#[test]
fn with_the_setting_an_idle_client_comes_back_by_itself() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let mut alice = TestClient::start_at(&server.location(), "alice", &["--return-after-idle"]);
    alice.sign_up_and_log_in();
    assert_eq!(alice.wait_event("disconnected")["reason"], "idle");
    assert_eq!(alice.wait_event("retrying")["reason"], "idle");
    assert_eq!(alice.wait_event("logged_in")["by"], "key");
}

#[test]
fn what_concerns_the_server_alone_is_no_activity() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let mut alice = TestClient::join(&server, "alice");
    let is_disconnected = |line: &Value| line["event"] == "disconnected";
    // Asks on and on until it is let go all the same; a request under way then comes to nothing.
    let until = Instant::now() + PATIENCE;
    let mut listed = 0;
    while alice.all(is_disconnected).is_empty() {
        assert!(Instant::now() < until, "it is never let go");
        let id = alice.tell("list", json!({}));
        listed += usize::from(alice.reply(id).get("error").is_none());
    }
    assert!(listed > 1, "it was let go before it had asked anything");
    assert_eq!(alice.wait_event("disconnected")["reason"], "idle");
}

/// Where in the server's log it says that somebody was let go for idleness.
fn when_let_go(server: &TestServer, name: &str) -> usize {
    let line = format!("{name} left: closed, idle");
    server.wait_log(&line);
    server.process.errors().find(&line).unwrap()
}

#[test]
fn a_chat_puts_the_end_off_for_both_sides() {
    let server = TestServer::start(&["--idle-seconds", "5"]);
    let mut people = ["alice", "bob", "carol"].map(|name| TestClient::join(&server, name));
    // In again by key, which takes no time, so that all are in while the chat opens.
    for person in &mut people {
        person.ok("leave", json!({}));
        person.ok("login", json!({}));
    }
    let [alice, bob, _carol] = &mut people;
    alice.chat_with(bob);
    let carol = when_let_go(&server, "carol");
    for name in ["alice", "bob"] {
        assert!(when_let_go(&server, name) > carol, "{name} was let go before carol");
    }
}
