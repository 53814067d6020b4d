//! People who are here, away, or have no account.

use letschat_tests::client::TestClient;
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::server::TestServer;
use serde_json::json;

use super::*;

#[test]
fn somebody_who_is_here_sees_it_at_once() {
    let (server, mut alice, mut bob) = friends(&[]);
    let sent = send(&mut alice, "bob", "hello bob");
    assert_eq!((&sent["state"], &sent["via"]), (&json!("sent"), &json!("server")));
    let heard = wait_mail(&mut bob, "hello bob");
    assert_eq!(heard["id"], sent["message_id"]);
    server.wait_log("alice -> bob, 1 envelope, ");
    server.wait_log(" bytes, pushed");
    let delivered = alice.wait_event_with("message_state", "state", "delivered");
    assert!(delivered["conversation"] == "bob", "{delivered}");
}

/// Lets Alice write to Bob while he is away, kills the server, and lets Bob come back.
fn kept_over_a_kill(mut server: TestServer) {
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    alice.befriend(&mut bob);
    let data = leave(bob);
    let sent = send(&mut alice, "bob", "while you were away");
    assert_eq!(sent["state"], "kept", "{sent}");
    server.wait_log(" bytes, kept");
    server.kill();
    server.start_again();
    alice.wait_event("logged_in");
    let mut bob = come_back(data, &server, "bob");
    wait_mail(&mut bob, "while you were away");
    let delivered = alice.wait("delivery", |line| {
        line["event"] == "message_state" && line["id"] == sent["message_id"]
    });
    assert_eq!(delivered["state"], "kept", "the state that the reply named comes first");
    let delivered = alice.wait("delivery", |line| {
        line["event"] == "message_state" && line["id"] == sent["message_id"]
    });
    assert_eq!(delivered["state"], "delivered");
    // It is delivered once.
    let data = leave(bob);
    let mut bob = come_back(data, &server, "bob");
    send(&mut alice, "bob", "the last one");
    wait_mail(&mut bob, "the last one");
    assert!(bob.all(|line| line["text"] == "while you were away").is_empty());
}

#[test]
fn sqlite_keeps_a_message_over_a_kill() {
    kept_over_a_kill(TestServer::start(&[]));
}

#[test]
fn mysql_keeps_a_message_over_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (_database, server) = server_with_mysql(&folder);
    kept_over_a_kill(server);
}

#[test]
fn name_without_an_account_is_an_error() {
    let (_server, mut alice, _bob) = friends(&[]);
    let (code, message) = alice.refused("send", json!({"to": "nobody", "text": "hello"}));
    assert_eq!(code, "unknown_user", "{message}");
    // Nothing of it waits.
    send(&mut alice, "bob", "still works");
    assert!(alice.all(|line| line["state"] == "waiting").is_empty());
}

#[test]
fn imported_account_without_a_device_lets_messages_wait() {
    let (server, mut alice, _bob) = friends(&[]);
    let file = server.data.path().join("new.csv");
    std::fs::write(&file, "username,password\ncarol,correct horse battery\n").unwrap();
    let mut import = letschat_server(server.data.path());
    run(import.args(["account", "import"]).arg(&file), "").ok();
    let sent = send(&mut alice, "carol", "welcome");
    assert_eq!((&sent["state"], &sent["code"]), (&json!("waiting"), &json!("no_device")));
    // It is sent after her first login, at once when Alice writes again.
    let mut carol = TestClient::start(&server, "carol");
    carol.ok("login", json!({"username": "carol", "password": "correct horse battery"}));
    // The server answers in order, so that it has her prekey now.
    carol.ok("list", json!({}));
    let sent = send(&mut alice, "carol", "are you there?");
    assert_eq!(sent["state"], "sent", "{sent}");
    carol.wait_event_with("request", "kind", "message");
    carol.ok("approve", json!({"who": "alice"}));
    wait_mail(&mut carol, "welcome");
    wait_mail(&mut carol, "are you there?");
}

#[test]
fn full_mailbox_lets_messages_wait() {
    let (server, mut alice, bob) = friends(&["--post-burst", "1000"]);
    let data = leave(bob);
    let text = |n: usize| format!("number {n}");
    let sent = |n| send(&mut alice, "bob", &text(n));
    let (full, sent) =
        (0..).zip((0..).map(sent)).find(|(_, sent)| sent["state"] != "kept").unwrap();
    assert_eq!((&sent["state"], &sent["code"]), (&json!("waiting"), &json!("mailbox_full")));
    // A receipt may wait there as well.
    assert!((199..=200).contains(&full), "{full}");
    let mut bob = come_back(data, &server, "bob");
    for n in 0..full {
        assert_eq!(bob.wait_event("message")["text"], text(n));
    }
    send(&mut alice, "bob", "room again");
    wait_mail(&mut bob, &text(full));
    wait_mail(&mut bob, "room again");
}
