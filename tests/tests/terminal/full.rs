//! The full screen, at a real terminal.

use letschat_tests::client::TestClient;
use letschat_tests::person::{CTRL_U, Person, Window};
use letschat_tests::programs::program;
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use serde_json::json;

const ALT_A: &str = "\x1ba";
const ALT_Y: &str = "\x1by";
/// The terminal tells that its window has the focus.
const FOCUS: &str = "\x1b[I";
const F1: &str = "\x1bOP";
const CTRL_G: &str = "\x07";

/// The other screen is left at the end.
const LEFT: &str = "\x1b[?1049l";

const WIDE: Window = Window { rows: 30, columns: 110 };

fn join(server: &TestServer, name: &str) -> Person {
    Person::join_at(server, name, WIDE, &["--full"], &[])
}

#[test]
fn chat_is_approved_by_a_key_and_messages_go_both_ways() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    let call = bob.tell("connect", json!({"who": "alice"}));
    alice.sees("bob asks for a chat");
    alice.press(ALT_Y);
    assert!(bob.reply(call).get("error").is_none());
    alice.is_prompted("→ bob> ");
    bob.ok("say", json!({"text": "hello, alice"}));
    alice.sees("bob: hello, alice");
    alice.types("hello, bob");
    bob.wait_event_with("message", "text", "hello, bob");
    alice.sees("alice: hello, bob ✓");
}

#[test]
fn unread_conversation_is_marked_and_reached_by_a_key() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    bob.ok("broadcast", json!({"text": "to all of you"}));
    alice.sees("everyone 1");
    alice.press(ALT_A);
    alice.sees("bob: to all of you");
    alice.is_prompted("→ everyone> ");
    alice.types("and to you");
    bob.wait_event_with("broadcast", "text", "and to you");
}

#[test]
fn conversation_is_reached_by_letters_of_its_name() {
    let server = TestServer::start(&[]);
    let alice = join(&server, "alice");
    let _bob = TestClient::join(&server, "bob");
    alice.sees("2 here");
    alice.press(&format!("{CTRL_G}bb\r"));
    alice.is_prompted("→ bob · no chat> ");
}

#[test]
fn help_lists_the_keys_and_commands_work_as_at_the_prompt() {
    let server = TestServer::start(&[]);
    let mut alice = Person::join_at(&server, "alice", WIDE, &["--full", "--keys", "jump=f5"], &[]);
    alice.press(F1);
    alice.sees("go to a conversation by a part of its name");
    alice.sees("f5");
    alice.press("x");
    alice.types("list");
    alice.sees("alice  127.0.0.1");
    alice.types("/quit");
    assert_eq!(alice.sees_the_end(), 0);
    assert!(alice.bytes().ends_with(LEFT), "the terminal is as it was");
}

#[test]
fn terminal_without_cursor_movement_is_refused() {
    let dumb = Command::new("env").arg("TERM=dumb").arg(program("letschat")).arg("--full");
    let alice = Person::run(dumb, "alice", tempfile::tempdir().unwrap());
    alice.sees("--plain");
}

#[test]
fn plugin_changes_and_hides_messages() {
    let server = TestServer::start(&[]);
    let plugins = tempfile::tempdir().unwrap();
    let filter = "chat.filter('show', function(event)\n\
                  if event.text == 'spam' then return false end\n\
                  return {text = string.upper(event.text)} end)";
    std::fs::write(plugins.path().join("loud.lua"), filter).unwrap();
    let flags = ["--full", "--plugins", plugins.path().to_str().unwrap()];
    let alice = Person::join_at(&server, "alice", WIDE, &flags, &[]);
    alice.types("/plugin");
    alice.sees("loud: loaded");
    let mut bob = TestClient::join(&server, "bob");
    for text in ["hello", "spam", "bye"] {
        bob.ok("broadcast", json!({"text": text}));
    }
    alice.sees("everyone 2");
    alice.press(ALT_A);
    alice.sees("bob: HELLO");
    alice.sees("bob: BYE");
    assert!(!alice.screen().contains("spam"), "{}", alice.screen());
}

#[test]
fn direct_message_rings_and_a_seen_one_does_not() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    let call = bob.tell("connect", json!({"who": "alice"}));
    alice.hears_bells(1);
    alice.press(ALT_Y);
    bob.reply(call);
    alice.is_prompted("→ bob> ");
    bob.ok("say", json!({"text": "are you at your desk?"}));
    alice.hears_bells(2);
    alice.press(FOCUS);
    bob.ok("say", json!({"text": "ah, there"}));
    bob.ok("broadcast", json!({"text": "all of you"}));
    alice.sees("ah, there");
    alice.sees("everyone 1");
    alice.hears_bells(2);
}

#[test]
fn window_of_any_size_is_drawn_again() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    let call = bob.tell("connect", json!({"who": "alice"}));
    alice.sees("bob asks for a chat");
    alice.press(ALT_Y);
    bob.reply(call);
    let many_widths = "👩 é 日本 שלום";
    for (columns, rows) in
        [(40, 10), (300, 100), (60, 24), (20, 5), (89, 24), (90, 40), (110, 3), (80, 24)]
    {
        alice.resizes_to(columns, rows);
        bob.ok("say", json!({"text": format!("{columns} by {rows}")}));
        alice.sees(&format!("{columns} by {rows}"));
        alice.is_prompted("→ bob> ");
        match columns >= 90 {
            true => alice.sees("2 here"),
            false => alice.sees_no("2 here"),
        }
        bob.ok("say", json!({"text": many_widths}));
    }
    alice.sees(many_widths);
}

#[test]
fn without_colours_nothing_is_coloured() {
    let server = TestServer::start(&[]);
    let alice = Person::join_at(&server, "alice", WIDE, &["--full"], &[("NO_COLOR", "1")]);
    let mut bob = TestClient::join(&server, "bob");
    bob.ok("broadcast", json!({"text": "hello"}));
    alice.sees("everyone 1");
    alice.press(ALT_A);
    alice.sees("bob: hello");
    assert!(alice.all_cells().iter().all(|cell| cell.fgcolor() == vt100::Color::Default));
}

#[test]
fn lines_are_broken_by_a_key_and_earlier_ones_come_back() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    alice.press("one\x1b\rtwo\r");
    bob.wait_event_with("message", "text", "one\ntwo");
    alice.press("/sta\t");
    alice.is_prompted("→ bob> /status ");
    alice.press(CTRL_U);
    alice.press(letschat_tests::person::UP);
    alice.sees("→ bob> one");
    alice.types("");
    bob.wait_event_with("message", "text", "one\ntwo");
}

#[test]
fn line_that_has_been_begun_keeps_its_target() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.types("connect bob");
    bob.wait_event_with("request", "from", "alice");
    alice.press("/login carol");
    alice.is_prompted("letschat> /login carol");
    bob.ok("approve", json!({"who": "alice"}));
    alice.sees("Chat with bob is open");
    alice.is_prompted("letschat> /login carol");
    alice.press(CTRL_U);
    alice.is_prompted("→ bob> ");
}

#[test]
fn lines_that_are_pasted_to_a_person_are_one_message() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    let call = bob.tell("connect", json!({"who": "alice"}));
    alice.sees("bob asks for a chat");
    alice.press(ALT_Y);
    bob.reply(call);
    alice.is_prompted("→ bob> ");
    alice.pastes("/quit\nand more");
    alice.types("");
    bob.wait_event_with("message", "text", "/quit\nand more");
}
