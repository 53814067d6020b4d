//! Groups.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

use super::*;

fn act(client: &mut TestClient, action: &str, who: Option<&str>) -> Value {
    let who = who.map_or(Value::Null, |who| json!(who));
    let mut arguments = json!({"action": action, "name": "team"});
    if who.is_string() {
        arguments["who"] = who;
    }
    client.ok("group", arguments)
}

/// Lets a person be invited by the owner, and join.
fn add(owner: &mut TestClient, guest: &mut TestClient) {
    let name = guest.name.clone();
    act(owner, "invite", Some(&name));
    let request = guest.wait_event_with("request", "kind", "group");
    assert_eq!(request["group"], "#team", "{request}");
    guest.ok("approve", json!({"who": "#team"}));
    wait_joined(owner, &name);
    wait_joined(guest, &name);
}

/// Waits until a client knows that a person has joined.
fn wait_joined(client: &mut TestClient, who: &str) {
    client.wait("somebody joining", |line| {
        line["event"] == "group_changed" && line["change"] == "joined" && line["who"] == who
    });
}

/// Returns a group of Alice's with two others, who do not know each other.
fn three() -> (TestServer, TestClient, TestClient, TestClient) {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let (mut bob, mut carol) =
        (TestClient::join(&server, "bob"), TestClient::join(&server, "carol"));
    act(&mut alice, "create", None);
    add(&mut alice, &mut bob);
    add(&mut alice, &mut carol);
    let invited = bob.wait_event_with("group_changed", "who", "carol");
    assert_eq!((&invited["change"], &invited["by"]), (&json!("invited"), &json!("alice")));
    wait_joined(&mut bob, "carol");
    (server, alice, bob, carol)
}

fn says(client: &mut TestClient, text: &str) -> Value {
    client.ok("send", json!({"to": "#team", "text": text}))
}

fn hears(client: &mut TestClient, from: &str, text: &str) {
    let message = client.wait_event_with("message", "text", text);
    assert_eq!((&message["conversation"], &message["from"]), (&json!("#team"), &json!(from)));
}

#[test]
fn everybody_shows_what_is_said_in_a_group() {
    let (_server, mut alice, mut bob, mut carol) = three();
    let sent = says(&mut bob, "hello, team");
    assert_eq!(sent["to"], "#team", "{sent}");
    hears(&mut alice, "bob", "hello, team");
    hears(&mut carol, "bob", "hello, team");
    says(&mut carol, "hello, bob");
    hears(&mut alice, "carol", "hello, bob");
    hears(&mut bob, "carol", "hello, bob");
    let state = carol.wait_event_with("message_state", "to", "bob");
    assert_eq!(state["conversation"], "#team", "{state}");
    let group = act(&mut bob, "members", None);
    assert_eq!(group["owner"], "alice");
    assert_eq!(group["members"].as_array().unwrap().len(), 3, "{group}");
    assert!(bob.all(|line| line["event"] == "request" && line["kind"] == "message").is_empty());
}

#[test]
fn absent_member_gets_everything_later_in_order() {
    let (server, mut alice, mut bob, carol) = three();
    let home = leave(carol);
    for n in 0..5 {
        says(&mut bob, &format!("line {n}"));
        hears(&mut alice, "bob", &format!("line {n}"));
    }
    let mut carol = come_back(home, &server, "carol");
    for n in 0..5 {
        hears(&mut carol, "bob", &format!("line {n}"));
    }
}

#[test]
fn removed_member_reads_and_says_nothing_more() {
    let (_server, mut alice, mut bob, mut carol) = three();
    says(&mut bob, "before");
    hears(&mut carol, "bob", "before");
    act(&mut alice, "remove", Some("carol"));
    let removed = bob.wait_event_with("group_changed", "change", "removed");
    assert_eq!((&removed["who"], &removed["by"]), (&json!("carol"), &json!("alice")));
    says(&mut bob, "after");
    hears(&mut alice, "bob", "after");
    says(&mut carol, "am I still here?");
    says(&mut bob, "the end");
    hears(&mut alice, "bob", "the end");
    for client in [&mut alice, &mut bob] {
        assert!(client.all(|line| line["text"] == "am I still here?").is_empty());
    }
    // Another invitation brings her back.
    add(&mut alice, &mut carol);
    says(&mut alice, "welcome back");
    hears(&mut carol, "alice", "welcome back");
    assert!(carol.all(|line| line["text"] == "after").is_empty());
}

#[test]
fn members_leave_and_the_owner_gives_the_group_away() {
    let (_server, mut alice, mut bob, mut carol) = three();
    assert_eq!(
        bob.fails("group", json!({"action": "remove", "name": "team", "who": "carol"})),
        "not_the_owner"
    );
    assert_eq!(alice.fails("group", json!({"action": "leave", "name": "team"})), "owner_stays");
    let to_herself = json!({"action": "give", "name": "team", "who": "alice"});
    assert_eq!(alice.fails("group", to_herself), "member_already");
    act(&mut alice, "give", Some("bob"));
    bob.wait_event_with("group_changed", "change", "given");
    carol.wait_event_with("group_changed", "change", "given");
    act(&mut alice, "leave", None);
    bob.wait_event_with("group_changed", "change", "left");
    carol.wait_event_with("group_changed", "change", "left");
    says(&mut carol, "only two of us");
    hears(&mut bob, "carol", "only two of us");
    let groups = alice.ok("groups", json!({}));
    assert_eq!(groups["groups"], json!([]));
}

#[test]
fn own_devices_are_in_the_group_too() {
    let (server, mut alice, mut bob, mut carol) = three();
    for (member, from) in [(&mut bob, "bob"), (&mut alice, "alice")] {
        let mut phone = devices::approved_device(&server, member, "phone");
        says(member, "from my laptop");
        hears(&mut carol, from, "from my laptop");
        let copy = phone.wait_event_with("message", "text", "from my laptop");
        assert_eq!((&copy["own"], &copy["conversation"]), (&json!(true), &json!("#team")));
        says(&mut carol, &format!("hello, {from}"));
        hears(&mut phone, "carol", &format!("hello, {from}"));
        says(&mut phone, "from my phone");
        hears(&mut carol, from, "from my phone");
        says(&mut carol, "thank you");
        hears(member, "carol", "thank you");
    }
}

#[test]
fn group_goes_on_without_the_server() {
    let (server, mut alice, mut bob, mut carol) = three();
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let mut all = [&mut alice, &mut bob, &mut carol];
        let (left, right) = all.split_at_mut(other);
        left[one].chat_with(right[0]);
        left[one].ok("disconnect", json!({"who": right[0].name}));
        right[0].wait_event("chat_closed");
    }
    drop(server);
    for client in [&mut alice, &mut bob, &mut carol] {
        client.wait_event("retrying");
    }
    says(&mut bob, "the server is gone");
    hears(&mut alice, "bob", "the server is gone");
    let heard = carol.wait_event_with("message", "text", "the server is gone");
    assert_eq!((&heard["conversation"], &heard["via"]), (&json!("#team"), &json!("peer")));
}

#[test]
fn second_group_of_a_name_gets_another_one() {
    let (_server, mut alice, mut bob, _carol) = three();
    let team = json!({"action": "create", "name": "team"});
    assert_eq!(bob.ok("group", team)["group"], "#team-2");
    bob.ok("group", json!({"action": "invite", "name": "team-2", "who": "alice"}));
    let request = alice.wait_event_with("request", "group", "#team-2");
    assert_eq!(request["from"], "bob", "{request}");
    alice.ok("approve", json!({}));
    wait_joined(&mut bob, "alice");
    bob.ok("send", json!({"to": "#team-2", "text": "just us"}));
    let heard = alice.wait_event_with("message", "text", "just us");
    assert_eq!(heard["conversation"], "#team-2", "{heard}");
}

#[test]
fn blocked_member_is_not_shown_and_does_not_notice() {
    let (_server, mut alice, mut bob, mut carol) = three();
    carol.ok("block", json!({"who": "bob"}));
    says(&mut bob, "can you hear me?");
    hears(&mut alice, "bob", "can you hear me?");
    says(&mut carol, "I am here");
    hears(&mut bob, "carol", "I am here");
    says(&mut alice, "good");
    hears(&mut carol, "alice", "good");
    assert!(carol.all(|line| line["text"] == "can you hear me?").is_empty());
}

#[test]
fn changes_by_two_devices_at_once_are_both_made() {
    let (server, mut laptop, mut bob, carol) = three();
    let mut dave = TestClient::join(&server, "dave");
    let mut phone = devices::approved_device(&server, &mut laptop, "phone");
    phone.wait_event_with("group_changed", "change", "joined");
    // Neither waits for the other.
    let removal = json!({"action": "remove", "name": "team", "who": "carol"});
    let invitation = json!({"action": "invite", "name": "team", "who": "dave"});
    let (one, other) = (laptop.tell("group", removal), phone.tell("group", invitation));
    let replies = [laptop.reply(one), phone.reply(other)];
    assert!(replies.iter().all(|reply| reply["reply"] == "group"), "{replies:?}");
    dave.wait_event_with("request", "kind", "group");
    dave.ok("approve", json!({"who": "#team"}));
    wait_joined(&mut bob, "dave");
    let gone = |line: &Value| line["change"] == "removed" && line["who"] == "carol";
    bob.wait("carol's removal", gone);
    says(&mut bob, "who is here?");
    for client in [&mut laptop, &mut phone, &mut dave] {
        hears(client, "bob", "who is here?");
        let group = act(client, "members", None);
        let members = group["members"].as_array().unwrap();
        let names: Vec<&Value> = members.iter().map(|member| &member["name"]).collect();
        assert_eq!(names, ["alice", "bob", "dave"], "{group}");
    }
    assert!(carol.all(|line| line["text"] == "who is here?").is_empty());
}

#[test]
fn which_of_several_invitations_is_meant_is_asked() {
    let (_server, mut alice, mut bob, _carol) = three();
    for name in ["gang", "club"] {
        bob.ok("group", json!({"action": "create", "name": name}));
        bob.ok("group", json!({"action": "invite", "name": name, "who": "alice"}));
        alice.wait_event_with("request", "group", &format!("#{name}"));
        // Whoever is invited would wait for an owner who has left.
        assert_eq!(bob.fails("group", json!({"action": "leave", "name": name})), "owner_stays");
    }
    for command in ["approve", "deny"] {
        let (code, message) = alice.refused(command, json!({}));
        assert_eq!((code.as_str(), message.as_str()), ("which_one", "Which one? #club, #gang"));
    }
    alice.ok("deny", json!({"who": "#gang"}));
    alice.ok("approve", json!({}));
    wait_joined(&mut bob, "alice");
    assert_eq!(alice.fails("approve", json!({})), "nobody_such");
}
