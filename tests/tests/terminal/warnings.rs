//! Warnings at the prompt.

use std::net::{IpAddr, SocketAddr, TcpListener};

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::person::Person;
use letschat_tests::relay::{LinkCondition, Relay};
use letschat_tests::server::TestServer;
use serde_json::json;
use vt100::Color;

const LIGHT_RED: Color = Color::Idx(9);

/// Returns true if these words are on the screen in the style of a warning.
fn is_warned(person: &Person, words: &str) -> bool {
    let cells = person.cells_of(words);
    cells.iter().all(|cell| cell.bold() && cell.fgcolor() == LIGHT_RED)
}

#[test]
fn what_could_not_be_delivered_is_named() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    let (mut bob, to_bob, _to_server) = behind_a_relay(&server, "bob");
    alice.chats_with(&mut bob);
    to_bob.weather(LinkCondition::Broken);
    alice.sees("The link to bob broke; it is being taken up again.");
    alice.is_prompted("→ bob · reconnecting> ");
    for text in ["into the void", "and 日本語 too"] {
        alice.types(text);
        alice.is_prompted("→ bob · reconnecting> ");
    }
    // Otherwise they would go on through the server.
    alice.types("/block bob");
    alice.sees("Chat with bob is over. Perhaps not delivered: into the void Perhaps not delivered: and 日本語 too");
    alice.is_prompted("letschat> ");
    for words in ["Perhaps not delivered: into the void", "Perhaps not delivered: and 日本語 too"]
    {
        assert!(is_warned(&alice, words), "{words} looks like anything else");
    }
}

/// Starts a client that can be reached only through a relay. The server sees it at the relay's far
/// side, so peers dial that address.
fn behind_a_relay(server: &TestServer, name: &str) -> (TestClient, Relay, Relay) {
    let seen_as: IpAddr = [127, 0, 4, 2].into();
    let to_server = Relay::start(SocketAddr::from(([127, 0, 4, 1], 0)), server.address, seen_as);
    let location = format!("{}#{}", to_server.address, server.fingerprint);
    let mut client = TestClient::start_at(&location, name, &["--peer-listen", "127.0.0.1"]);
    client.sign_up_and_log_in();
    let port = u16::try_from(client.ok("status", json!({}))["port"].as_u64().unwrap()).unwrap();
    let receiver = SocketAddr::from(([127, 0, 0, 1], port));
    let to_them = Relay::start(SocketAddr::new(seen_as, port), receiver, receiver.ip());
    (client, to_them, to_server)
}

#[test]
fn changed_key_is_a_loud_warning_and_opens_nothing() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    bob.quits();
    alice.sees("bob has ended the chat.");
    alice.types("/disconnect");
    alice.is_prompted("letschat> ");

    // Bob logs in on another machine: the same account, another key.
    let mut bob = TestClient::start(&server, "bob");
    bob.ok("login", json!({"username": "bob", "password": PASSWORD}));
    alice.types("/connect bob");
    alice.sees("bob's key is not the one you know");
    alice.is_prompted("letschat> ");
    let asked = bob.tell("connect", json!({"who": "alice"}));
    alice.sees("CHANGED: this may be somebody else. `/approve bob` or `/deny bob`?");
    alice.hears_bells(1);
    assert!(is_warned(&alice, "CHANGED: this may be somebody else"));
    alice.types("approve");
    alice.is_prompted("letschat> ");
    assert!(bob.all(|line| line["event"] == "chat_opened").is_empty());

    alice.types("trust bob");
    alice.is_prompted("letschat> ");
    alice.types("approve");
    assert_eq!(bob.reply(asked)["with"], "alice");
    alice.is_prompted("→ bob> ");
}

#[test]
fn retries_for_one_reason_are_told_once() {
    let mut server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    server.kill();
    let listener = TcpListener::bind(server.address).unwrap();
    for _ in 0..3 {
        drop(listener.accept().unwrap());
    }
    drop(listener);
    alice.sees("letschat · attempt ");
    server.start_again();
    alice.sees("Logged in as alice, by key.");
    let told = alice.all_rows().iter().filter(|row| row.contains("Trying again")).count();
    assert_eq!(told, 1, "{}", alice.screen());
}
