//! Commands at the prompt about the user's own account and those of others.

use std::fs;
use std::process::Command;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::person::Person;
use letschat_tests::server::TestServer;
use serde_json::json;

#[test]
fn a_password_is_changed_by_three_answers_that_nobody_sees() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    let other = "other horse battery";
    for (present, answer) in [
        ("not it at all", "That is not your present password."),
        (PASSWORD, "Your password is changed. Your other machines log in with it once."),
    ] {
        alice.types("passwd");
        alice.is_prompted("Your present password: ");
        alice.types(present);
        alice.is_prompted("The new password: ");
        alice.types(other);
        alice.is_prompted("The new password again: ");
        alice.types(other);
        alice.sees(answer);
        alice.is_prompted("letschat> ");
    }
    let shown = alice.bytes();
    assert!(!shown.contains(PASSWORD) && !shown.contains(other), "a password was shown");

    let mut laptop = TestClient::start(&server, "alice");
    let login = json!({"username": "alice", "password": other, "take": true});
    laptop.ok("login", login);
}

#[test]
fn prompt_answers_while_a_password_comes_from_a_fifo() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("password");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let flags = ["--no-login", "--password-file", fifo.to_str().unwrap()];
    let data = tempfile::tempdir().unwrap();
    let alice = Person::sit_down_with(&server, "alice", data, &flags, &[]);
    alice.is_prompted("letschat · offline> ");
    alice.types("login alice");
    alice.types("list");
    alice.sees("You are not logged in");
    fs::write(&fifo, format!("{PASSWORD}\n")).unwrap();
    alice.sees("Logged in as alice, by password.");
    assert!(!alice.bytes().contains(PASSWORD), "a password was shown");
}

#[test]
fn block_silences_somebody_and_can_be_seen_and_taken_back() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    let mut mallory = TestClient::join(&server, "mallory");
    alice.types("block mallory");
    alice.sees("mallory is blocked; `/block mallory off` takes it back.");
    mallory.tell("connect", json!({"who": "alice"}));
    // To a blocked caller it rings like any other request.
    mallory.wait("ringing", |line| line["code"] == "ringing");
    mallory.ok("cancel", json!({"who": "alice"}));
    alice.types("block");
    alice.sees("You block: mallory.");
    alice.is_prompted("letschat> ");
    assert!(!alice.screen().contains("asks for a chat"), "{}", alice.screen());
    alice.types("block mallory off");
    alice.sees("mallory is no longer blocked.");
    mallory.tell("connect", json!({"who": "alice"}));
    alice.sees("mallory at 127.0.0.1 asks for a chat.");
    alice.hears_bells(1);
}

#[test]
fn status_and_watch_tell_who_one_is_and_who_comes() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    alice.types("status");
    for part in ["You are: alice", "Your key: ", "Friends reach you at: 127.0.0.1:"] {
        alice.sees(part);
    }
    alice.types("watch");
    alice.sees("Arrivals and departures are announced from now on.");
    let bob = TestClient::join(&server, "bob");
    alice.sees("bob came.");
    bob.quits();
    alice.sees("bob left.");
}

#[test]
fn safety_numbers_are_compared_at_the_prompt() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    let number = bob.ok("verify", json!({"who": "alice"}))["safety_number"].clone();
    alice.types("/verify bob");
    // At the edge of the window the number is wrapped between its groups.
    for group in number.as_str().unwrap().split(' ') {
        alice.sees(group);
    }
    alice.sees("`/verify bob matches`");
    alice.types("/verify bob matches");
    alice.sees("bob is verified.");
}
