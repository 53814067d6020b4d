//! Plays a short session between a real server and two real clients, each at a terminal of its own.
//!
//! Each step waits for text on a screen and fails without it. The people and their terminals are those of
//! the tests.

use letschat_tests::client::TestClient;
use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use serde_json::json;
use vt100::Screen;

use crate::online;

const ALICES: Window = Window { rows: 31, columns: 80 };
const BOBS: Window = Window { rows: 17, columns: 80 };

/// Returns the final screens of Alice and Bob.
pub(crate) fn play() -> [(String, Screen); 2] {
    let server = TestServer::start(&[]);
    let mut carol = TestClient::join(&server, "carol");
    let bob = Person::join_at(&server, "bob", BOBS, &[], &[]);
    let alice = alice_signs_up(&server);
    bob_asks_alice_for_a_chat(&bob, &alice);
    they_talk(&bob, &alice, &mut carol);
    [&alice, &bob].map(|person| (person.name.clone(), person.looks_at_the_screen()))
}

fn alice_signs_up(server: &TestServer) -> Person {
    let data = tempfile::tempdir().unwrap();
    let alice = Person::sit_down_at(server, "alice", data, ALICES, &[], &[]);
    online::signs_up(&alice);
    alice
}

fn bob_asks_alice_for_a_chat(bob: &Person, alice: &Person) {
    bob.types("connect alice");
    bob.sees("alice is being asked");
    alice.sees("`/approve bob` or `/deny bob`?");
    alice.is_prompted("letschat> ");
    alice.types("approve");
    alice.sees("Chat with bob is open.");
    alice.is_prompted("→ bob> ");
    bob.sees("Chat with alice is open.");
    bob.is_prompted("→ alice> ");
}

fn they_talk(bob: &Person, alice: &Person, carol: &mut TestClient) {
    says(bob, alice, "Hi Alice! 👋 This goes straight to you, past the server.");
    says(alice, bob, "Hello Bob! Lunch at noon? 🍜 ラーメン?");
    carol.ok("broadcast", json!({"text": "The printer works again"}));
    for person in [alice, bob] {
        person.sees("carol to all: The printer works again");
    }
    says(bob, alice, "Ramen it is.");
    bob.types("/list");
    bob.sees("carol  127.0.0.1");
    bob.is_prompted("→ alice> ");
    alice.press("See you th");
    alice.is_prompted("→ bob> See you th");
}

fn says(speaker: &Person, listener: &Person, text: &str) {
    speaker.types(text);
    listener.sees(&format!("{}: {text}", speaker.name));
    speaker.is_prompted(&format!("→ {}> ", listener.name));
    listener.is_prompted(&format!("→ {}> ", speaker.name));
}
