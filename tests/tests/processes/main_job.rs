//! A whole session of programs.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

#[test]
fn three_people_meet_talk_and_go_on_without_the_server() {
    let mut server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    alice.ok("watch", json!({}));
    let mut carol = TestClient::join(&server, "carol");
    alice.wait("joined", |line| line["event"] == "joined" && line["usernames"] == json!(["carol"]));

    let list = alice.ok("list", json!({}));
    let names: Vec<&str> = list["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["alice", "bob", "carol"]);

    // Everybody is shown a broadcast over UDP once UDP is known to work.
    for name in ["alice", "bob", "carol"] {
        server.wait_log(&format!("datagrams reach {name}"));
    }
    alice.ok("broadcast", json!({"text": "hi, all"}));
    for person in [&mut alice, &mut bob, &mut carol] {
        let broadcast = person.wait_event_with("broadcast", "text", "hi, all");
        assert_eq!((&broadcast["from"], &broadcast["over"]), (&json!("alice"), &json!("udp")));
        assert_eq!(broadcast["own"], person.name == "alice");
    }

    alice.chat_with(&mut bob);
    alice.says_to(&mut bob, "hello, bob");
    bob.says_to(&mut alice, "hello, alice");

    // The server stops; the chat continues.
    server.stop();
    for person in [&mut alice, &mut bob, &mut carol] {
        let gone = person.wait_event("disconnected");
        assert_eq!(gone["reason"], "terminated");
        assert!(gone["message"].as_str().unwrap().contains("Server: terminated."));
        person.wait_event("retrying");
    }
    alice.says_to(&mut bob, "still there?");
    bob.says_to(&mut alice, "still here");

    // The server restarts, and everybody is logged in again by key.
    server.start_again();
    for person in [&mut alice, &mut bob, &mut carol] {
        let back = person.wait_event("logged_in");
        assert_eq!(back["by"], "key");
    }
    carol.ok("broadcast", json!({"text": "welcome back"}));
    bob.wait_event_with("broadcast", "text", "welcome back");

    alice.ok("disconnect", json!({}));
    let closed = bob.wait_event("chat_closed");
    assert_eq!((&closed["with"], &closed["reason"]), (&json!("alice"), &json!("peer_ended")));
    assert_eq!(closed["undelivered"], json!([]));

    for person in [alice, bob, carol] {
        person.quits();
    }
}
