//! Bytes that are no usual keys: blanks, controls, broken pastes, and no text at all.

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::person::{CTRL_C, Person, UP};
use letschat_tests::server::TestServer;
use serde_json::json;

const PASTE_START: &str = "\x1b[200~";

/// The prompt and the full screen.
const INTERFACES: [&[&str]; 2] = [&[], &["--full"]];

/// Runs a test of alice in a chat with bob, at the prompt and in the full screen.
fn in_a_chat(test: impl Fn(&Person, &mut TestClient)) {
    for flags in INTERFACES {
        let server = TestServer::start(&[]);
        let alice = Person::join_with(&server, "alice", flags, &[]);
        let mut bob = TestClient::join(&server, "bob");
        alice.chats_with(&mut bob);
        test(&alice, &mut bob);
    }
}

/// Counts the prompts of the chat on the screen and above it.
fn prompts(alice: &Person) -> usize {
    alice.all_rows().iter().filter(|row| row.starts_with("→ bob>")).count()
}

#[test]
fn tabs_in_a_line_leave_no_copies_of_the_prompt() {
    in_a_chat(|alice, bob| {
        for number in 0..30 {
            bob.ok("say", json!({"text": format!("number {number}")}));
        }
        alice.sees("bob: number 29");
        // At the bottom of the screen, and wider than it.
        let text = format!("a{}x", "\t".repeat(25));
        alice.pastes(&text);
        alice.press("y");
        alice.sees("xy");
        bob.ok("say", json!({"text": "in the middle"}));
        alice.sees("bob: in the middle");
        alice.press("z");
        alice.sees("xyz");
        assert_eq!(prompts(alice), 1, "{}", alice.all_rows().join("\n"));
        alice.types("");
        bob.wait_event_with("message", "text", &format!("{text}yz"));
    });
}

#[test]
fn controls_in_ones_own_line_are_shown_and_sent() {
    in_a_chat(|alice, bob| {
        let text = "a\u{1b}[41mb\u{1b}]0;owned\u{7}\u{9b}2Jc";
        let shown = "→ bob> a\u{241b}[41mb\u{241b}]0;owned\u{2407}\\u{9b}2Jc";
        alice.pastes(text);
        alice.sees(shown);
        alice.types("");
        bob.wait_event_with("message", "text", text);
        alice.is_prompted("→ bob> ");
        alice.press(UP);
        alice.is_prompted(shown);
        for raw in ["\u{1b}[41m", "\u{1b}]0", "\u{9b}"] {
            assert!(!alice.bytes().contains(raw), "{raw:?}");
        }
    });
}

#[test]
fn ctrl_c_ends_a_paste_without_an_end() {
    in_a_chat(|alice, bob| {
        alice.press(PASTE_START);
        alice.press("lost");
        alice.press(CTRL_C);
        alice.sees("The paste was called off; nothing was added.");
        alice.types("hello");
        bob.wait_event_with("message", "text", "hello");
        alice.is_prompted("→ bob> ");
    });
}

#[test]
fn silence_ends_a_paste_without_an_end() {
    in_a_chat(|alice, bob| {
        alice.press(PASTE_START);
        alice.press("kept");
        alice.is_prompted("→ bob> kept");
        alice.types(" and sent");
        bob.wait_event_with("message", "text", "kept and sent");
    });
}

#[test]
fn enormous_paste_is_dropped_and_told() {
    in_a_chat(|alice, bob| {
        alice.pastes(&"x".repeat(100_000));
        alice.sees("There is no room for that in one line");
        alice.is_prompted("→ bob> ");
        alice.types("hello");
        bob.wait_event_with("message", "text", "hello");
    });
}

#[test]
fn bytes_that_are_no_text_swallow_no_keys() {
    in_a_chat(|alice, bob| {
        alice.press_bytes(b"caf\xe9\r");
        bob.wait_event_with("message", "text", "caf\u{fffd}");
        alice.press_bytes(b"gr\xfc\xdfe\r");
        bob.wait_event_with("message", "text", "gr\u{fffd}\u{fffd}e");
    });
}

#[test]
fn terminal_is_asked_nothing() {
    in_a_chat(|alice, bob| {
        bob.ok("say", json!({"text": "hello"}));
        alice.sees("bob: hello");
        alice.types("answer");
        bob.wait_event_with("message", "text", "answer");
        for question in ["\x1b[6n", "\x1b[c", "\x1b[5n", "\x1b[?u", "\x1b]11"] {
            assert!(!alice.bytes().contains(question), "{question:?}");
        }
    });
}

#[test]
fn text_typed_beyond_a_password_is_never_shown() {
    for flags in INTERFACES {
        let server = TestServer::start(&[]);
        let alice = Person::join_with(&server, "alice", flags, &[]);
        alice.types("login carol");
        alice.is_prompted("Password (empty: log in by this machine's key): ");
        alice.press(&format!("{PASSWORD}\r{PASSWORD}\r"));
        alice.is_prompted("letschat> ");
        alice.types("status");
        alice.sees("You are: alice");
        assert!(!alice.bytes().contains(PASSWORD), "{}", alice.bytes());
    }
}
