//! Password changes and blocked users, with real processes.

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

const OTHER: &str = "other horse battery";

fn change(present: &str, new: &str) -> Value {
    json!({"password": present, "new_password": new})
}

#[test]
fn changed_password_counts_and_other_machines_need_it() {
    let server = TestServer::start(&[]);
    let mut desktop = TestClient::join(&server, "alice");
    let mut laptop = TestClient::start(&server, "alice");
    let login = |password| json!({"username": "alice", "password": password});
    laptop.ok("login", login(PASSWORD));

    assert_eq!(laptop.fails("passwd", change("not it at all", OTHER)), "wrong_password");
    assert_eq!(laptop.fails("passwd", change(PASSWORD, "short")), "password_weak");
    laptop.ok("passwd", change(PASSWORD, OTHER));
    desktop.is_out_for_good("removed");

    // Its own key still works; the other machine's key and the old password do not.
    laptop.ok("leave", json!({}));
    laptop.ok("login", json!({"username": "alice"}));
    let (code, sentence) = desktop.refused("login", json!({"username": "alice"}));
    assert_eq!(code, "key_refused");
    assert!(sentence.ends_with("`/login alice` asks for the password."), "{sentence}");
    assert_eq!(desktop.fails("login", login(PASSWORD)), "wrong_password");
    desktop.ok("login", login(OTHER));
}

#[test]
fn guesser_of_an_open_sessions_password_is_out_after_three() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    for _ in 0..3 {
        assert_eq!(alice.fails("passwd", change("not it at all", OTHER)), "wrong_password");
    }
    alice.wait_event("disconnected");
    let credentials = json!({"username": "alice", "password": PASSWORD});
    alice.ok("login", credentials);
}

/// Checks that a blocked user's call rings as usual and gets no answer.
fn calls_in_vain(mallory: &mut TestClient) {
    let id = mallory.tell("connect", json!({"who": "alice"}));
    mallory.wait("ringing", |line| line["code"] == "ringing");
    mallory.ok("cancel", json!({"who": "alice"}));
    assert_eq!(mallory.refusal(id).0, "cancelled");
}

#[test]
fn somebody_blocked_is_not_heard_until_unblocked() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let mut mallory = TestClient::join(&server, "mallory");
    alice.ok("block", json!({"who": "mallory"}));
    assert_eq!(alice.ok("block", json!({}))["blocked"], json!(["mallory"]));
    calls_in_vain(&mut mallory);
    mallory.ok("broadcast", json!({"text": "buy this"}));
    bob.ok("broadcast", json!({"text": "hello all"}));
    alice.wait_event_with("broadcast", "text", "hello all");
    bob.wait_event_with("broadcast", "text", "buy this");

    // The next run remembers the block and removes it.
    let shown = |line: &Value| line["event"] == "request" || line["from"] == "mallory";
    assert!(alice.all(shown).is_empty());
    let TestClient { process, data, .. } = alice;
    drop(process);
    let mut alice = TestClient::start_in(data, &server.location(), "alice", &[]);
    alice.ok("login", json!({"username": "alice"}));
    calls_in_vain(&mut mallory);
    assert!(alice.all(shown).is_empty());
    alice.ok("block", json!({"who": "mallory", "off": true}));
    mallory.chat_with(&mut alice);
}
