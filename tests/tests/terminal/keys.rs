//! The keys with a meaning of their own.

use letschat_tests::client::TestClient;
use letschat_tests::person::{CTRL_C, CTRL_D, CTRL_R, CTRL_X, Person};
use letschat_tests::server::TestServer;
use serde_json::json;

#[test]
fn ctrl_c_clears_a_typed_line_and_ends_the_chat_on_an_empty_one() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    alice.press("never sent");
    alice.is_prompted("→ bob> never sent");
    alice.press(CTRL_C);
    alice.is_prompted("→ bob> ");
    bob.ok("say", json!({"text": "still here?"}));
    alice.sees("bob: still here?");
    alice.is_prompted("→ bob> ");

    alice.press(CTRL_C);
    let closed = bob.wait_event_with("chat_closed", "with", "alice");
    assert_eq!(closed["reason"], "peer_ended");
    alice.sees("Chat with bob is over.");
    alice.is_prompted("letschat> ");
    assert!(bob.all(|line| line["event"] == "message").is_empty());

    alice.press(CTRL_C);
    alice.sees("type `/quit` or press Ctrl+D");
    alice.is_prompted("letschat> ");
}

#[test]
fn ctrl_c_in_the_history_search_ends_no_chat() {
    for flags in [&[][..], &["--full"]] {
        let server = TestServer::start(&[]);
        let alice = Person::join_with(&server, "alice", flags, &[]);
        let mut bob = TestClient::join(&server, "bob");
        alice.chats_with(&mut bob);
        alice.press(CTRL_R);
        alice.sees("(earlier line with ``)");
        alice.press(CTRL_C);
        alice.is_prompted("→ bob> ");
        alice.types("still here");
        bob.wait_event_with("message", "text", "still here");
    }
}

#[test]
fn ctrl_x_leaves_the_server_unless_a_chat_is_open() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    alice.press("unfinished");
    alice.is_prompted("→ bob> unfinished");
    alice.press(CTRL_X);
    alice.sees("Nothing was done, since chats are open: bob.");
    alice.is_prompted("→ bob> unfinished");
    alice.types("");
    bob.wait_event_with("message", "text", "unfinished");
    alice.is_prompted("→ bob> ");

    alice.press(CTRL_C);
    alice.is_prompted("letschat> ");
    alice.press(CTRL_X);
    alice.sees("Left the server.");
    alice.is_prompted("letschat · offline> ");
    alice.types("login");
    alice.sees("Logged in as alice, by key.");
    alice.is_prompted("letschat> ");
}

#[test]
fn ctrl_d_and_quit_end_the_client_and_tell_the_peer() {
    let server = TestServer::start(&[]);
    let mut bob = TestClient::join(&server, "bob");
    for (name, farewell) in [("alice", CTRL_D), ("carol", "/quit\r")] {
        let mut person = Person::join(&server, name);
        person.chats_with(&mut bob);
        person.press(farewell);
        bob.wait_event_with("chat_closed", "with", name);
        assert_eq!(person.sees_the_end(), 0);
        assert!(!person.screen().trim_end().ends_with('>'), "{}", person.screen());
    }
}

#[test]
fn a_request_rings_and_says_what_to_type() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.press("busy ty");
    alice.is_prompted("letschat> busy ty");
    bob.tell("connect", json!({"who": "alice"}));
    alice.sees("bob at 127.0.0.1");
    alice.sees("not seen before. `/approve bob` or `/deny bob`?");
    alice.hears_bells(1);
    alice.is_prompted("letschat> busy ty");
    alice.press(CTRL_C);
    alice.is_prompted("letschat> ");
    alice.press("approve ");
    alice.is_hinted("letschat> approve ", "[WHO]");
    alice.types("\t");
    alice.sees("Chat with bob is open.");
    alice.is_prompted("→ bob> ");
}

#[test]
fn ctrl_d_ends_a_client_that_waits_for_a_server() {
    let mut server = TestServer::start(&[]);
    let mut alice = Person::join(&server, "alice");
    server.stop();
    alice.sees("Trying again");
    alice.types("login");
    alice.press(CTRL_D);
    assert_eq!(alice.sees_the_end(), 0);
}
