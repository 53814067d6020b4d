//! Accounts, sessions, groups and files over all servers.

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::cluster::TestCluster;
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::typist::Typist;
use serde_json::json;

use crate::sees;

const NEW_PASSWORD: &str = "another horse entirely";

#[test]
fn name_belongs_to_one_of_two_who_sign_up_at_once() {
    let cluster = TestCluster::start(2);
    let mut clients = [0, 1].map(|at| TestClient::start(&cluster.servers[at], "alice"));
    let asked = clients
        .each_mut()
        .map(|client| client.tell("signup", json!({"username": "alice", "password": PASSWORD})));
    let mut outcomes: Vec<String> = (clients.iter_mut().zip(asked))
        .map(|(client, id)| client.reply(id)["error"]["code"].as_str().unwrap_or("ok").to_owned())
        .collect();
    outcomes.sort();
    assert_eq!(outcomes, ["name_taken", "ok"]);
}

#[test]
fn changed_password_ends_the_sessions_at_other_servers() {
    let cluster = TestCluster::start(2);
    let mut laptop = TestClient::join(&cluster.servers[0], "alice");
    let mut phone = TestClient::start(&cluster.servers[1], "alice");
    phone.ok("login", json!({"username": "alice", "password": PASSWORD}));
    laptop.ok("passwd", json!({"password": PASSWORD, "new_password": NEW_PASSWORD}));
    phone.is_out_for_good("removed");
    laptop.is_in();
    let old = json!({"username": "alice", "password": PASSWORD});
    assert_eq!(phone.fails("login", old), "wrong_password");
    phone.ok("login", json!({"username": "alice", "password": NEW_PASSWORD}));
}

#[test]
fn banned_person_is_kicked_and_refused_everywhere() {
    let mut cluster = TestCluster::start(2);
    let mut alice = TestClient::join(&cluster.servers[0], "alice");
    let mut bob = TestClient::join(&cluster.servers[1], "bob");
    sees(&mut bob, &["alice", "bob"]);
    let data = tempfile::tempdir().unwrap();
    let mut command = letschat_server(data.path());
    run(command.args(["--store", &cluster.store, "account", "ban", "alice"]), "").ok();
    cluster.servers[1].answers("kick alice", "alice was told so");
    alice.is_out_for_good("kicked");
    for server in &cluster.servers {
        let mut again = TestClient::start(server, "alice");
        let credentials = json!({"username": "alice", "password": PASSWORD});
        assert_eq!(again.fails("login", credentials), "banned");
    }
}

#[test]
fn session_typed_by_hand_is_taken_from_another_server() {
    let cluster = TestCluster::start(2);
    let mut first = Typist::joins(cluster.servers[0].address, "alice");
    let mut second = Typist::connect(cluster.servers[1].address);
    second.expects("220 ");
    for (line, answer) in [
        ("HELLO", "300 "),
        ("LOGIN", "331 "),
        ("alice", "332 "),
        (PASSWORD, "453 "),
        ("LOGIN TAKE", "331 "),
        ("alice", "332 "),
        (PASSWORD, "230 "),
    ] {
        second.types(line);
        second.expects(answer);
    }
    first.expects("* Your account logged in again, from elsewhere.");
    first.expects_end();
}

#[test]
fn groups_and_files_go_from_server_to_server() {
    let cluster = TestCluster::start(2);
    let mut alice = TestClient::join(&cluster.servers[0], "alice");
    let mut bob = TestClient::join(&cluster.servers[1], "bob");
    alice.befriend(&mut bob);
    alice.ok("group", json!({"action": "create", "name": "team"}));
    alice.ok("group", json!({"action": "invite", "name": "team", "who": "bob"}));
    bob.wait_event_with("request", "group", "#team");
    bob.ok("approve", json!({"who": "#team"}));
    for client in [&mut alice, &mut bob] {
        client.wait_event_with("group_changed", "change", "joined");
    }
    bob.ok("send", json!({"to": "#team", "text": "here I am"}));
    alice.wait_event_with("message", "text", "here I am");
    let path = alice.data.path().join("photo");
    std::fs::write(&path, "a photo").unwrap();
    alice.ok("file", json!({"action": "send", "to": "bob", "path": path}));
    let offered = bob.wait_event("file_offered");
    bob.ok("file", json!({"action": "get", "id": offered["id"]}));
    let done = bob.wait_event("file_done");
    let saved = std::fs::read_to_string(done["path"].as_str().unwrap()).unwrap();
    assert_eq!(saved, "a photo");
}
