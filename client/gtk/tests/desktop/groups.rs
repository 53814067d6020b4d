//! Groups, and the comparison of keys.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::kit::App;

#[test]
fn group_is_created_and_somebody_invited() {
    let server = TestServer::start(&[]);
    let mut app = App::join("group", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    app.desktop.press(&["ctrl+g"]);
    app.write("text box", "New group", "team");
    app.click("Create");
    app.wait("list item", "#team");
    app.click("Members");
    app.picture("members");
    app.click("Invite…");
    app.write("text box", "Invite", "bob");
    app.click("Invite");
    bob.wait_event_with("request", "group", "#team");
    bob.ok("approve", json!({"who": "#team"}));
    app.wait_label("joined");
    app.picture("joined");
    // The window below has a button of this name as well.
    app.click_in("Members of #team", "Close");
    bob.ok("send", json!({"to": "#team", "text": "hello, all"}));
    app.wait("label", "hello, all");
    app.say("welcome");
    bob.wait_event_with("message", "text", "welcome");
    app.picture("talk");
    app.click("Members");
    app.wait_window("Members of #team");
    app.click("Remove");
    app.wait_window("Remove bob from #team?");
    app.click_in("Remove bob from #team?", "Remove");
    app.wait_gone("button", "Remove");
}

#[test]
fn invitation_is_approved_by_a_click() {
    let server = TestServer::start(&[]);
    let mut app = App::join("invited", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    bob.ok("group", json!({"action": "create", "name": "tea"}));
    bob.ok("group", json!({"action": "invite", "name": "tea", "who": "alice"}));
    app.wait_label("bob invites you to the group #tea.");
    app.picture("invitation");
    app.click("Approve");
    app.wait("list item", "#tea");
}

#[test]
fn safety_number_is_compared() {
    let server = TestServer::start(&[]);
    let mut app = App::join("verification", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    app.open("bob");
    app.click("Verify");
    let number = bob.ok("verify", json!({"who": "alice"}))["safety_number"].clone();
    let groups: Vec<&str> = number.as_str().unwrap().split_whitespace().collect();
    let rows: Vec<String> = groups.chunks(4).map(|row| row.join(" ")).collect();
    app.wait("label", &rows.join("\n"));
    app.picture("digits");
    app.click("They match");
    app.wait("label", "verified");
    app.picture("verified");
}
