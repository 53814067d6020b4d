//! Input as high as the window, or higher. The text above it is never lost.

use letschat_tests::client::TestClient;
use letschat_tests::person::{CTRL_C, HOME, Person, USUAL, Window};
use letschat_tests::server::TestServer;
use serde_json::json;

const SMALL: Window = Window { rows: 10, columns: 40 };
const LOW: Window = Window { rows: 8, columns: 80 };

fn in_a_chat(window: Window) -> (TestServer, Person, TestClient) {
    let server = TestServer::start(&[]);
    let alice = Person::join_at(&server, "alice", window, &[], &[]);
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    (server, alice, bob)
}

/// Sends this many messages, and waits until the last one is shown.
fn says(bob: &mut TestClient, alice: &Person, told: &mut Vec<String>, count: usize) {
    for _ in 0..count {
        let text = format!("message {}.", told.len());
        bob.ok("say", json!({"text": text}));
        told.push(format!("bob: {text}"));
    }
    alice.sees(&told[told.len() - 1]);
}

#[test]
fn tall_paste_loses_no_message_before_or_after_it() {
    let lines: Vec<String> = (0..23).map(|number| format!("line {number}")).collect();
    let (lines, last) = (lines.join("\n"), "| line 22");
    let long = format!("{}end", "x".repeat(1_900));
    let less_long = format!("{}end", "x".repeat(650));
    for (window, pasted, last) in [
        (USUAL, &lines, last),
        (USUAL, &long, "end"),
        (SMALL, &lines, last),
        (SMALL, &less_long, "end"),
        (LOW, &lines, last),
        (LOW, &less_long, "end"),
    ] {
        let (_server, alice, mut bob) = in_a_chat(window);
        let mut told = Vec::new();
        says(&mut bob, &alice, &mut told, 26);
        alice.pastes(pasted);
        alice.sees(last);
        // The input leaves at least one row of the window for new messages.
        says(&mut bob, &alice, &mut told, 3);
        alice.keeps(&told);
        alice.press(HOME);
        says(&mut bob, &alice, &mut told, 1);
        alice.keeps(&told);
        alice.press(CTRL_C);
        alice.is_prompted("→ bob> ");
        says(&mut bob, &alice, &mut told, 1);
        alice.is_prompted("→ bob> ");
        alice.keeps(&told);
    }
}

#[test]
fn tall_line_is_sent_whole_and_stays_above_the_prompt() {
    let (_server, alice, mut bob) = in_a_chat(SMALL);
    let mut told = Vec::new();
    says(&mut bob, &alice, &mut told, 12);
    let words: Vec<String> = (0..100).map(|number| format!("w{number:03}")).collect();
    let text = words.join("\n");
    alice.pastes(&text);
    alice.sees("w099");
    alice.types("");
    alice.sees("as (o)ne message");
    alice.types("o");
    bob.wait_event_with("message", "text", &text);
    alice.is_prompted("→ bob> ");
    told.extend(words);
    alice.keeps(&told);
}

#[test]
fn ctrl_l_clears_the_screen_and_loses_no_message() {
    let (_server, alice, mut bob) = in_a_chat(USUAL);
    let mut told = Vec::new();
    says(&mut bob, &alice, &mut told, 12);
    alice.press("half a li\x0c");
    alice.press("ne");
    alice.is_prompted("→ bob> half a line");
    assert_eq!(alice.screen().trim(), "→ bob> half a line");
    alice.keeps(&told);
}

#[test]
fn narrowed_window_loses_no_message() {
    let (_server, alice, mut bob) = in_a_chat(USUAL);
    let mut told = Vec::new();
    says(&mut bob, &alice, &mut told, 26);
    alice.press(&"y".repeat(300));
    alice.resizes(40);
    says(&mut bob, &alice, &mut told, 3);
    alice.resizes(100);
    says(&mut bob, &alice, &mut told, 3);
    alice.keeps(&told);
    alice.press(CTRL_C);
    alice.is_prompted("→ bob> ");
}
