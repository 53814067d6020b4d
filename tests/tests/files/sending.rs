//! Files from one person to another, and to a group.

use super::*;

#[test]
fn file_arrives_whole_beside_a_chat() {
    let (_server, mut alice, mut bob) = friends();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("empty", 0), ("one", 1), ("photo.jpg", 5_000_000), ("even", 2 << 20)] {
        let source = make_file(&folder, name, bytes);
        let offered = offer(&mut alice, &mut bob, &source);
        assert_eq!((&offered["name"], &offered["size"]), (&json!(name), &json!(bytes)));
        assert_eq!((&offered["from"], &offered["own"]), (&json!("alice"), &json!(false)));
        get(&mut bob, &offered);
        let saved = wait_saved(&mut bob, &offered);
        assert_eq!(saved, bob.data.path().join("downloads").join(name));
        assert_same(&saved, &source);
        let done = alice.wait_event("file_done");
        assert_eq!((&done["to"], &done["id"]), (&json!("bob"), &offered["id"]));
    }
    let names = fs::read_dir(bob.data.path().join("downloads")).unwrap();
    assert_eq!(names.count(), 4, "nothing else is left in the folder");
    let listed = bob.ok("files", json!({}))["files"].clone();
    assert!(listed.as_array().unwrap().iter().all(|file| file["state"] == "saved"), "{listed}");
}

#[test]
fn chat_goes_on_while_a_file_is_sent() {
    let (_server, mut alice, mut bob) = friends();
    alice.chat_with(&mut bob);
    let folder = tempfile::tempdir().unwrap();
    let source = make_file(&folder, "film.mkv", 64 << 20);
    let offered = offer(&mut alice, &mut bob, &source);
    get(&mut bob, &offered);
    bob.wait_event("file_progress");
    let mut said = 0;
    while bob.all(|line| line["event"] == "file_done").is_empty() {
        said += 1;
        alice.says_to(&mut bob, &format!("number {said}"));
    }
    assert!(said > 1, "the file was there at once");
    assert_same(&wait_saved(&mut bob, &offered), &source);
    let progress = bob.all_with_times(|line| line["event"] == "file_progress");
    let bytes: Vec<u64> =
        progress.iter().map(|(_, line)| line["bytes"].as_u64().unwrap()).collect();
    assert!(bytes.is_sorted(), "{bytes:?}");
    let took = progress[progress.len() - 1].0 - progress[0].0;
    // Five a second, and the first and the last one. The way of each takes a moment that differs.
    let most = (took.as_millis() + 50) / 200 + 2;
    assert!(progress.len() as u128 <= most, "{} events in {took:?}", progress.len());
}

#[test]
fn file_in_a_group_goes_to_its_members_alone() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut others = ["bob", "carol"].map(|name| TestClient::join(&server, name));
    let act = |action: &str, who: Value| json!({"action": action, "name": "team", "who": who});
    alice.ok("group", act("create", Value::Null));
    for member in &mut others {
        let name = member.name.clone();
        // The server answers in order, so that it has the prekey then.
        member.ok("list", json!({}));
        alice.ok("group", act("invite", json!(name)));
        member.wait_event_with("request", "kind", "group");
        member.ok("approve", json!({"who": "#team"}));
        let joined = |line: &Value| line["event"] == "group_changed" && line["change"] == "joined";
        alice.wait("joining", |line| joined(line) && line["who"] == name);
        member.wait("joining", |line| joined(line) && line["who"] == name);
    }
    let folder = tempfile::tempdir().unwrap();
    let source = make_file(&folder, "plan.pdf", 2_000_000);
    alice.ok("file", json!({"action": "send", "to": "#team", "path": source}));
    let [bob, carol] = &mut others;
    let offered = [&mut *bob, &mut *carol].map(|member| member.wait_event("file_offered"));
    assert_eq!(offered[0]["conversation"], "#team");
    get(bob, &offered[0]);
    assert_same(&wait_saved(bob, &offered[0]), &source);
    // Whoever is removed does not get it any more.
    alice.ok("group", act("remove", json!("carol")));
    get(carol, &offered[1]);
    assert_eq!(carol.wait_event("file_failed")["code"], "file_over");
    let fetched = alice.all(|line| line["event"] == "file_done");
    assert!(fetched.iter().all(|line| line["to"] == "bob"), "{fetched:?}");
}

#[test]
fn file_goes_from_client_to_client_without_the_server() {
    let (mut server, mut alice, mut bob) = friends();
    alice.chat_with(&mut bob);
    server.kill();
    alice.wait_event("disconnected");
    bob.wait_event("disconnected");
    let folder = tempfile::tempdir().unwrap();
    let source = make_file(&folder, "photo.jpg", 3_000_000);
    let offered = offer(&mut alice, &mut bob, &source);
    assert_eq!(offered["via"], "peer", "{offered}");
    get(&mut bob, &offered);
    assert_same(&wait_saved(&mut bob, &offered), &source);
    alice.says_to(&mut bob, "the chat goes on");
}

#[test]
fn offer_waits_for_somebody_who_is_away() {
    let (server, mut alice, bob) = friends();
    let TestClient { mut process, data, .. } = bob;
    process.end_input();
    assert_eq!(process.exit_code(), 0);
    let folder = tempfile::tempdir().unwrap();
    let source = make_file(&folder, "photo.jpg", 1_000_000);
    let sent = alice.ok("file", json!({"action": "send", "to": "bob", "path": source}));
    assert_eq!((&sent["state"], &sent["name"]), (&json!("kept"), &json!("photo.jpg")));
    let mut bob = TestClient::start_in(data, &server.location(), "bob", &[]);
    bob.ok("login", json!({"username": "bob"}));
    let offered = bob.wait_event("file_offered");
    get(&mut bob, &offered);
    assert_same(&wait_saved(&mut bob, &offered), &source);
}

#[test]
fn withdrawn_file_is_not_sent() {
    let (_server, mut alice, mut bob) = friends();
    let folder = tempfile::tempdir().unwrap();
    let offered = offer(&mut alice, &mut bob, &make_file(&folder, "photo.jpg", 1_000));
    let id = offered["id"].as_str().unwrap()[..8].to_owned();
    alice.ok("file", json!({"action": "cancel", "id": id}));
    get(&mut bob, &offered);
    assert_eq!(bob.wait_event("file_failed")["code"], "file_over");
    assert_eq!(bob.fails("file", json!({"action": "get", "id": "ffffffff"})), "no_such_file");
    let missing = json!({"action": "send", "to": "bob", "path": folder.path().join("missing")});
    assert_eq!(alice.fails("file", missing), "file");
    let folder = json!({"action": "send", "to": "bob", "path": folder.path()});
    assert_eq!(alice.fails("file", folder), "file");
}
