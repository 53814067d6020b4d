//! Nothing is lost: clients are killed, servers and databases are away, chats end.

use std::time::Duration;

use letschat_tests::client::TestClient;
use letschat_tests::pair::Pair;
use letschat_tests::relay::LinkCondition;
use serde_json::json;

use super::*;

#[test]
fn client_killed_with_a_full_outbox_sends_it_when_it_runs_again() {
    let (mut server, mut alice, mut bob) = friends(&["--post-burst", "1000"]);
    server.kill();
    alice.wait_event("disconnected");
    for n in 0..100 {
        let sent = send(&mut alice, "bob", &format!("number {n}"));
        assert_eq!((&sent["state"], &sent["via"]), (&json!("waiting"), &json!("outbox")));
    }
    alice.process.kill();
    server.start_again();
    let TestClient { data, .. } = alice;
    let mut alice = come_back(data, &server, "alice");
    for n in 0..100 {
        let heard = bob.wait_event("message");
        assert_eq!(heard["text"], format!("number {n}"));
    }
    for _ in 0..100 {
        alice.wait_event_with("message_state", "state", "delivered");
    }
}

#[test]
fn message_waits_for_the_database_and_goes_out_by_itself() {
    if !Throwaway::is_here_to_test("message_waits_for_the_database_and_goes_out_by_itself") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut database, server) = server_with_mysql(&folder);
    let (mut alice, mut bob) =
        (TestClient::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.befriend(&mut bob);
    database.stop();
    let sent = send(&mut alice, "bob", "are you there?");
    assert_eq!((&sent["state"], &sent["code"]), (&json!("waiting"), &json!("store_unavailable")));
    database.start_again();
    let heard = wait_mail(&mut bob, "are you there?");
    assert_eq!(heard["id"], sent["message_id"]);
    alice.wait("delivery", |line| line["state"] == "delivered" && line["id"] == sent["message_id"]);
    let shown = bob.all(|line| line["text"] == "are you there?");
    assert_eq!(shown, [heard], "it is shown once");
    for person in [&alice, &bob] {
        assert!(person.all(|line| line["event"] == "disconnected").is_empty());
    }
}

#[test]
fn chat_that_ends_for_good_hands_its_messages_over() {
    let mut pair = Pair::chatting("127.0.3.40");
    pair.to_bob.weather(LinkCondition::Broken);
    pair.alice.wait_event("chat_interrupted");
    let said = pair.alice.ok("say", json!({"text": "into the void"}));
    assert_eq!(said["via"], "direct");
    pair.alice.ok("disconnect", json!({}));
    let closed = pair.alice.wait_event("chat_closed");
    assert_eq!(closed["undelivered"], json!([]));
    let heard = wait_mail(&mut pair.bob, "into the void");
    assert_eq!(heard["id"], said["message_id"], "it is the same message");
    let delivered = pair.alice.wait("delivery", |line| {
        line["event"] == "message_state"
            && line["id"] == said["message_id"]
            && line["state"] == "delivered"
    });
    assert_eq!(delivered["via"], "server");
    pair.to_bob.weather(LinkCondition::Fine);
    // The chat's own copy is not shown again.
    let again =
        pair.bob.wait_within(Duration::from_secs(3), |line| line["text"] == "into the void");
    assert_eq!(again, None);
}

#[test]
fn say_after_the_chat_goes_through_the_server() {
    let server = TestServer::start(&[]);
    let (mut alice, mut bob) =
        (TestClient::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chat_with(&mut bob);
    bob.ok("disconnect", json!({}));
    alice.wait_event("chat_closed");
    let said = alice.ok("say", json!({"text": "one more thing"}));
    assert_eq!(said["via"], "server");
    wait_mail(&mut bob, "one more thing");
    let data = leave(bob);
    assert_eq!(alice.ok("say", json!({"text": "good night"}))["state"], "kept");
    wait_mail(&mut come_back(data, &server, "bob"), "good night");
}

#[test]
fn killed_recipient_sees_each_message_at_least_once() {
    let (server, mut alice, mut bob) = friends(&["--post-burst", "1000"]);
    for n in 0..60 {
        send(&mut alice, "bob", &format!("number {n}"));
        if n % 20 == 10 {
            bob.process.kill();
            let TestClient { data, .. } = bob;
            bob = come_back(data, &server, "bob");
        }
    }
    wait_mail(&mut bob, "number 59");
    for _ in 0..60 {
        alice.wait_event_with("message_state", "state", "delivered");
    }
}

#[test]
fn reader_who_leaves_at_once_has_confirmed_what_was_read() {
    let (_server, mut alice, mut bob) = friends(&[]);
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(send(&mut alice, "bob", text)["message_id"].clone());
        wait_mail(&mut bob, text);
    }
    leave(bob);
    for id in ids {
        alice.wait("delivery", |line| line["state"] == "delivered" && line["id"] == id);
    }
}

#[test]
fn author_who_leaves_at_once_has_sent_what_was_written() {
    let (_server, mut alice, mut bob) = friends(&[]);
    alice.tell("send", json!({"to": "bob", "text": "and good bye"}));
    leave(alice);
    wait_mail(&mut bob, "and good bye");
}
