//! Direct chats by name and by address, across network breaks and without the server.

use std::time::Duration;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::pair::Pair;
use letschat_tests::relay::LinkCondition;
use letschat_tests::server::TestServer;
use serde_json::json;

const BREAK: Duration = Duration::from_secs(20);

/// Sends messages both ways under this link condition and checks that all arrive.
fn nothing_is_lost_or_doubled(mut pair: Pair, weather: LinkCondition) {
    pair.to_bob.weather(weather);
    let texts: Vec<String> = (1..=10).map(|n| format!("number {n}")).collect();
    for text in &texts {
        pair.alice.ok("say", json!({"text": text}));
        pair.bob.ok("say", json!({"text": text}));
        // The break takes its time. An unexpected message in it would fail the test at the end.
        pair.bob.wait_within(BREAK / 10, |_| false);
    }
    pair.to_bob.weather(LinkCondition::Fine);
    let (alice, bob) = (&mut pair.alice, &mut pair.bob);
    alice.wait_event_with("message", "text", "number 10");
    bob.wait_event_with("message", "text", "number 10");
    alice.says_to(bob, "after the break");
    for (person, first) in [(&*alice, None), (&*bob, Some("before the break"))] {
        let messages = person.all(|line| line["event"] == "message");
        let heard: Vec<&str> = messages.iter().map(|line| line["text"].as_str().unwrap()).collect();
        let expected = first.into_iter().chain(texts.iter().map(String::as_str));
        let last = first.map(|_| "after the break");
        assert_eq!(heard, expected.chain(last).collect::<Vec<_>>(), "{}", person.name);
    }
    assert!(alice.all(|line| line["event"] == "chat_closed").is_empty());
}

#[test]
fn a_chat_outlives_twenty_seconds_in_which_its_links_break() {
    nothing_is_lost_or_doubled(Pair::chatting("127.0.3.2"), LinkCondition::Broken);
}

#[test]
fn a_chat_outlives_twenty_seconds_in_which_nothing_gets_through() {
    nothing_is_lost_or_doubled(Pair::chatting("127.0.3.3"), LinkCondition::BlackHole);
}

#[test]
fn unconfirmed_message_waits_when_the_chat_ends() {
    let mut pair = Pair::chatting("127.0.3.4");
    pair.to_bob.weather(LinkCondition::Broken);
    pair.alice.wait_event("chat_interrupted");
    let said = pair.alice.ok("say", json!({"text": "into the void"}));
    pair.alice.ok("disconnect", json!({}));
    let waits = pair.alice.wait_event_with("message_state", "state", "waiting");
    assert_eq!((&waits["id"], &waits["via"]), (&said["message_id"], &json!("outbox")));
    let closed = pair.alice.wait_event("chat_closed");
    assert_eq!(closed["undelivered"], json!([]));
    // Nothing goes to somebody whom the user has blocked.
    pair.alice.ok("block", json!({"who": "bob"}));
}

#[test]
fn own_messages_are_printed_for_programs_that_ask() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::start_at(&server.location(), "alice", &["--own-messages"]);
    alice.sign_up_and_log_in();
    let mut bob = TestClient::join(&server, "bob");
    let id = alice.tell("connect", json!({"who": "bob"}));
    bob.wait_event("request");
    bob.ok("approve", json!({}));
    alice.reply(id);
    bob.wait_event("chat_opened");
    let sent = alice.ok("say", json!({"text": "hello"}));
    let (own, heard) = (alice.wait_event("message"), bob.wait_event("message"));
    assert_eq!((&own["own"], &heard["own"]), (&json!(true), &json!(false)));
    assert_eq!((&own["conversation"], &heard["conversation"]), (&json!("bob"), &json!("alice")));
    assert_eq!((&own["id"], &heard["id"]), (&sent["message_id"], &sent["message_id"]));
    let state = alice.wait_event("message_state");
    assert_eq!((&state["id"], &state["state"]), (&own["id"], &json!("delivered")));
    // A program of version 0.1 that answers every message must not answer itself.
    bob.ok("say", json!({"text": "and back"}));
    alice.wait_event_with("message", "text", "and back");
    bob.wait_event("message_state");
    assert!(bob.all(|line| line["own"] == true).is_empty());
}

#[test]
fn somebody_is_reached_by_name_address_or_address_and_port() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let list = alice.ok("list", json!({}));
    let at =
        list["users"].as_array().unwrap().iter().find(|user| user["username"] == "bob").unwrap();
    let address = at["address"].as_str().unwrap().to_owned();
    let with_port = format!("{address}:{}", at["port"]);
    for who in ["bob", "BOB", &address, &with_port] {
        let id = alice.tell("connect", json!({"who": who}));
        let request = bob.wait_event_with("request", "from", "alice");
        assert_eq!(request["address"], "127.0.0.1");
        bob.ok("approve", json!({}));
        assert_eq!(alice.reply(id)["with"], "bob", "by {who}");
        alice.ok("disconnect", json!({}));
        bob.wait_event("chat_closed");
    }
}

#[test]
fn a_request_tells_whether_the_key_is_known_and_verified() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    for key in ["new", "known", "verified"] {
        let id = alice.tell("connect", json!({"who": "bob"}));
        assert_eq!(bob.wait_event("request")["key"], key);
        bob.ok("approve", json!({}));
        alice.reply(id);
        let ours = alice.ok("verify", json!({"who": "bob"}))["safety_number"].clone();
        assert_eq!(bob.ok("verify", json!({"who": "alice"}))["safety_number"], ours);
        if key == "known" {
            let verified = bob.ok("verify", json!({"who": "alice", "matches": true}));
            assert_eq!(verified["verified"], true);
        }
        alice.ok("disconnect", json!({}));
        bob.wait_event("chat_closed");
    }
}

#[test]
fn changed_key_is_a_loud_warning_and_opens_nothing() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    bob.chat_with(&mut alice);
    bob.quits();
    alice.wait_event("chat_closed");

    // Bob logs in from another machine: the same account, another key.
    let mut bob = TestClient::start(&server, "bob");
    bob.ok("login", json!({"username": "bob", "password": PASSWORD}));
    assert_eq!(alice.fails("connect", json!({"who": "bob"})), "key_changed");
    let id = bob.tell("connect", json!({"who": "alice"}));
    let request = alice.wait_event("request");
    assert_eq!(request["key"], "changed");
    let (code, message) = alice.refused("approve", json!({"who": "bob"}));
    assert_eq!(code, "key_changed");
    assert!(message.contains(request["fingerprint"].as_str().unwrap()), "{message}");
    let trusted = alice.ok("trust", json!({"who": "bob"}));
    assert_eq!(trusted["fingerprint"], request["fingerprint"]);
    alice.ok("approve", json!({"who": "bob"}));
    assert_eq!(bob.reply(id)["with"], "alice");
}

#[test]
fn several_chats_are_open_and_text_goes_to_the_current_one() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let mut carol = TestClient::join(&server, "carol");
    alice.chat_with(&mut bob);
    carol.chat_with(&mut alice);
    assert_eq!(alice.ok("say", json!({"text": "to whom?"}))["to"], "bob");
    alice.ok("switch", json!({"who": "carol"}));
    assert_eq!(alice.ok("say", json!({"text": "and now?"}))["to"], "carol");
    assert_eq!(carol.wait_event("message")["text"], "and now?");
    assert_eq!(bob.wait_event("message")["text"], "to whom?");
}

#[test]
fn detach_keeps_the_chat_without_the_server() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    alice.chat_with(&mut bob);
    assert_eq!(alice.fails("leave", json!({})), "chat_open");
    alice.ok("detach", json!({}));
    assert_eq!(alice.wait_event("left_server")["chats"], 1);
    server.wait_log("alice left");
    alice.says_to(&mut bob, "just us");
    alice.ok("login", json!({}));
    alice.ok("disconnect", json!({}));
    alice.ok("leave", json!({}));
    assert_eq!(alice.ok("status", json!({}))["state"], "offline");
}

#[test]
fn with_the_setting_the_server_is_left_as_soon_as_a_chat_opens() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::start_at(&server.location(), "alice", &["--detach-on-chat"]);
    alice.sign_up_and_log_in();
    let mut bob = TestClient::join(&server, "bob");
    alice.chat_with(&mut bob);
    alice.wait_event("left_server");
    bob.says_to(&mut alice, "are you there?");
}

#[test]
fn any_text_arrives_as_it_was_said() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    alice.chat_with(&mut bob);
    let long = "ß".repeat(8 * 1024);
    for text in ["two\nlines", "\u{1b}[2J", "你好 👍🏽", "BYE +5", &long] {
        alice.says_to(&mut bob, text);
    }
    let too_long = "x".repeat(16 * 1024 + 1);
    assert_eq!(alice.fails("say", json!({"text": too_long})), "text_too_long");
    for nothing in [" ", "\u{200b}\u{2060}", "\u{e0041}"] {
        assert_eq!(alice.fails("say", json!({"text": nothing})), "text_invalid", "{nothing:?}");
        assert_eq!(alice.fails("broadcast", json!({"text": nothing})), "text_invalid");
    }
}
