//! Plays an afternoon in a full screen: a chat, a group, messages to everybody, and a request.
//!
//! Each step waits for text on the screen and fails without it. The peers are programs.

use letschat_tests::client::TestClient;
use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use serde_json::json;
use vt100::Screen;

const WINDOW: Window = Window { rows: 24, columns: 100 };

const ALT_Y: &str = "\x1by";
const ALT_0: &str = "\x1b0";
const ALT_A: &str = "\x1ba";

/// Returns the final screen of Alice.
pub(crate) fn play() -> [(String, Screen); 1] {
    let server = TestServer::start(&[]);
    let mut bob = TestClient::join(&server, "bob");
    let mut carol = TestClient::join(&server, "carol");
    let mut dave = TestClient::join(&server, "dave");
    let alice = Person::join_at(&server, "alice", WINDOW, &["--full"], &[]);
    bob_asks_for_a_chat(&mut bob, &alice);
    alice.press(ALT_0);
    alice.types("verify bob matches");
    alice.sees("bob is verified");
    they_found_a_group(&alice, &mut bob);
    carol.ok("broadcast", json!({"text": "The printer works again"}));
    alice.sees("everyone 1");
    bob.ok("send", json!({"to": "alice", "text": "alice, are you coming?"}));
    alice.press(ALT_A);
    alice.is_prompted("→ bob> ");
    let _call = dave.tell("connect", json!({"who": "alice"}));
    alice.sees("dave asks for a chat");
    bob.ok("say", json!({"text": "I have the tickets. 🎟"}));
    alice.sees("I have the tickets.");
    alice.press("On my w");
    alice.is_prompted("→ bob> On my w");
    [("letschat --full".to_owned(), alice.looks_at_the_screen())]
}

fn bob_asks_for_a_chat(bob: &mut TestClient, alice: &Person) {
    let call = bob.tell("connect", json!({"who": "alice"}));
    alice.sees("bob asks for a chat");
    alice.press(ALT_Y);
    bob.reply(call);
    alice.is_prompted("→ bob> ");
    bob.ok("say", json!({"text": "Hi Alice! 👋 This goes straight to you, past the server."}));
    alice.sees("Hi Alice!");
    alice.types("Hello Bob! Lunch at noon? 🍜 ラーメン?");
    alice.sees("ラーメン? ✓");
    bob.ok("say", json!({"text": "Ramen it is."}));
    alice.sees("Ramen it is.");
}

fn they_found_a_group(alice: &Person, bob: &mut TestClient) {
    alice.types("/group create team");
    alice.sees("#team is founded.");
    alice.types("/switch #team");
    alice.is_prompted("→ #team> ");
    alice.types("/group invite team bob");
    bob.wait_event_with("request", "kind", "group");
    bob.ok("approve", json!({"who": "#team"}));
    alice.sees("#team: bob has joined.");
    alice.types("Who takes the notes on Monday?");
    bob.wait_event_with("message", "text", "Who takes the notes on Monday?");
    bob.ok("send", json!({"to": "#team", "text": "I do."}));
    alice.sees("bob: I do.");
}
