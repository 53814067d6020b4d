//! Groups at the prompt.

use letschat_tests::client::TestClient;
use letschat_tests::person::{CTRL_C, Person};
use letschat_tests::server::TestServer;
use serde_json::json;

#[test]
fn group_is_founded_written_in_and_left() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    // Bob's client begins its device list after the login, and can be invited from then on.
    while bob.ok("devices", json!({}))["devices"].as_array().is_none_or(Vec::is_empty) {}
    alice.types("group create my team");
    alice.sees("group create: give the group's name alone.");
    alice.types("group create Team");
    alice.sees("#team is founded.");
    alice.types("group invite #team bob");
    alice.sees("#team: alice has invited bob.");
    bob.wait_event_with("request", "group", "#team");
    bob.ok("approve", json!({}));
    alice.sees("#team: bob has joined.");
    alice.types("switch #team");
    alice.is_prompted("→ #team> ");
    alice.types("hello, team");
    alice.sees("you → #team: hello, team");
    bob.wait_event_with("message", "text", "hello, team");
    bob.ok("send", json!({"to": "#team", "text": "hello, alice"}));
    alice.sees("#team bob: hello, alice");
    alice.types("/disconnect");
    alice.is_prompted("letschat> ");
    alice.types("switch #team");
    alice.is_prompted("→ #team> ");
    alice.press(CTRL_C);
    alice.is_prompted("letschat> ");
    alice.types("switch #team");
    alice.is_prompted("→ #team> ");
    alice.types("/groups");
    alice.sees("#team, of alice: alice, bob");
    alice.types("/group remove team bob");
    alice.sees("#team: alice has removed bob.");
    alice.types("anybody here?");
    alice.sees("Nobody else has joined #team yet.");
    alice.types("/group leave team");
    alice.is_prompted("letschat> ");
    alice.types("/groups");
    alice.sees("You are in no group.");
}

#[test]
fn invitation_is_turned_down() {
    let server = TestServer::start(&[]);
    let _carol = TestClient::join(&server, "carol");
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    bob.ok("group", json!({"action": "create", "name": "team"}));
    bob.ok("group", json!({"action": "invite", "name": "team", "who": "alice"}));
    alice.sees("bob invites you to #team.");
    alice.types("/deny");
    alice.types("/groups");
    alice.sees("You are in no group.");
    // A stranger is not told, and does not ask again.
    bob.ok("group", json!({"action": "invite", "name": "team", "who": "carol"}));
    alice.types("/approve");
    alice.sees("Nobody asks you for anything.");
}
