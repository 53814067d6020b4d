//! Keys, the mouse and signals of the full screen, at a real terminal.

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::person::{CTRL_U, Person, Window};
use letschat_tests::programs::{NO_SETTINGS, program};
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use serde_json::json;

const ALT_A: &str = "\x1ba";
const ALT_N: &str = "\x1bn";
const ALT_Y: &str = "\x1by";
const ALT_0: &str = "\x1b0";
const F2: &str = "\x1bOQ";
const PAGE_UP: &str = "\x1b[5~";
const CTRL_R: &str = "\x12";

/// The terminal tells that its window has or has lost the focus.
const FOCUS: &str = "\x1b[I";
const LOST_FOCUS: &str = "\x1b[O";

/// The other screen is left at the end, and reports of the mouse for the bare view.
const LEFT: &str = "\x1b[?1049l";
const MOUSE_OFF: &str = "\x1b[?1000l";

const WIDE: Window = Window { rows: 30, columns: 110 };

fn join(server: &TestServer, name: &str) -> Person {
    Person::join_at(server, name, WIDE, &["--full"], &[])
}

/// Presses a button of the mouse at a column and row, counted from 1 (SGR, xterm's mode 1006).
fn button(person: &Person, number: u8, column: u16, row: u16) {
    person.press(&format!("\x1b[<{number};{column};{row}M\x1b[<{number};{column};{row}m"));
}

/// Lets somebody open a chat with alice.
fn is_called(alice: &Person, other: &mut TestClient) {
    let call = other.tell("connect", json!({"who": "alice"}));
    alice.sees(&format!("{} asks for a chat", other.name));
    alice.press(ALT_Y);
    other.reply(call);
    alice.is_prompted(&format!("→ {}> ", other.name));
}

#[test]
fn click_goes_to_a_conversation_and_the_wheel_scrolls() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    is_called(&alice, &mut bob);
    alice.press(ALT_0);
    alice.is_prompted("letschat> ");
    for number in 0..60 {
        bob.ok("say", json!({"text": format!("line {number}.")}));
    }
    alice.sees("bob               60|");
    button(&alice, 0, 3, 2);
    alice.sees("line 59.");
    alice.is_prompted("→ bob> ");
    for _ in 0..30 {
        button(&alice, 64, 40, 10);
    }
    alice.sees("line 0.");
    alice.sees("rows above the end");
    bob.ok("say", json!({"text": "the latest"}));
    alice.sees("1 new");
    assert!(!alice.screen().contains("the latest"), "{}", alice.screen());
    for _ in 0..40 {
        button(&alice, 65, 40, 10);
    }
    alice.sees("the latest");
    button(&alice, 0, 3, 1);
    alice.is_prompted("letschat> ");
    button(&alice, 0, 3, 20);
    alice.press("still here");
    alice.is_prompted("letschat> still here");
}

#[test]
fn messages_that_came_while_nobody_looked_are_new() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    is_called(&alice, &mut bob);
    bob.ok("say", json!({"text": "seen"}));
    alice.sees("bob: seen");
    alice.press(LOST_FOCUS);
    bob.ok("say", json!({"text": "meanwhile"}));
    alice.sees("bob: meanwhile");
    alice.sees("1 unread");
    alice.press(FOCUS);
    alice.sees("- new -");
    alice.sees_no("1 unread");
}

#[test]
fn messages_alone_are_shown_until_any_key() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    is_called(&alice, &mut bob);
    bob.ok("say", json!({"text": "copy this"}));
    alice.sees("bob: copy this");
    alice.press(F2);
    alice.sees_no("|");
    alice.sees("bob: copy this");
    assert!(alice.bytes().contains(MOUSE_OFF), "the terminal selects by itself");
    alice.press("x");
    alice.is_prompted("→ bob> ");
}

#[test]
fn only_the_request_on_the_screen_is_answered() {
    let server = TestServer::start(&[]);
    let alice = join(&server, "alice");
    let (mut bob, mut carol) =
        (TestClient::join(&server, "bob"), TestClient::join(&server, "carol"));
    let first = bob.tell("connect", json!({"who": "alice"}));
    alice.sees("bob asks for a chat");
    let second = carol.tell("connect", json!({"who": "alice"}));
    alice.sees("(1 more): bob asks for a chat");
    alice.press(ALT_N);
    assert_eq!(bob.reply(first)["error"]["code"], "denied");
    alice.sees("alt+y approves, alt+n denies: carol asks for a chat");
    alice.press(ALT_Y);
    assert!(carol.reply(second).get("error").is_none());
    alice.is_prompted("→ carol> ");
    alice.press(ALT_Y);
    alice.sees("No request is shown");
}

#[test]
fn keys_do_nothing_during_a_question_without_echo() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    bob.ok("broadcast", json!({"text": "hello"}));
    alice.sees("everyone 1");
    alice.types("passwd");
    alice.sees("Your present password:");
    alice.press(&format!("{ALT_A}{PASSWORD}\r"));
    alice.sees("The new password:");
    alice.press("\x1b");
    alice.sees("Cancelled; nothing was changed.");
    alice.is_prompted("letschat> ");
    assert!(!alice.bytes().contains(PASSWORD));
}

#[test]
fn search_for_an_earlier_line_keeps_its_keys() {
    let server = TestServer::start(&[]);
    let alice = join(&server, "alice");
    alice.types("status");
    alice.sees("You are: alice");
    alice.press(CTRL_R);
    alice.press("stat");
    alice.sees("status");
    // Elsewhere it opens the list of conversations.
    alice.press("\x07");
    alice.press(CTRL_U);
    alice.is_prompted("letschat> ");
    assert!(!alice.screen().contains("Go to:"), "{}", alice.screen());
}

#[test]
fn current_conversation_is_shown_again_by_its_command() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    is_called(&alice, &mut bob);
    alice.press(ALT_0);
    alice.is_prompted("letschat> ");
    alice.types("switch bob");
    alice.is_prompted("→ bob> ");
}

#[test]
fn people_stay_unwatched_if_the_user_wants_that() {
    let mut server = TestServer::start(&[]);
    let alice = join(&server, "alice");
    alice.sees("1 here");
    alice.types("watch off");
    alice.sees("no longer announced");
    server.stop();
    server.start_again();
    alice.sees_times("Logged in as alice, by key.", 2);
    alice.sees("1 here");
    let mut bob = TestClient::join(&server, "bob");
    bob.ok("broadcast", json!({"text": "hello"}));
    alice.sees("everyone 1");
    assert!(!alice.screen().contains("2 here"), "{}", alice.screen());
}

#[test]
fn people_are_listed_again_when_the_server_is_back() {
    let mut server = TestServer::start(&[]);
    let (alice, _bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.sees("2 here");
    server.stop();
    alice.sees("waiting for the server");
    alice.sees_no("2 here");
    server.start_again();
    alice.sees(&format!("alice, at {}", server.address));
    alice.sees("2 here");
}

#[test]
fn own_words_are_highlighted_and_ring() {
    let server = TestServer::start(&[]);
    let flags = ["--full", "--notify", "mentions", "--highlight", "lunch"];
    let alice = Person::join_at(&server, "alice", WIDE, &flags, &[]);
    let mut bob = TestClient::join(&server, "bob");
    bob.ok("broadcast", json!({"text": "nothing of interest"}));
    alice.sees("everyone 1");
    alice.hears_bells(0);
    bob.ok("broadcast", json!({"text": "Lunch is ready"}));
    alice.hears_bells(1);
    alice.press(ALT_A);
    alice.sees("Lunch is ready");
    let [plain, marked] =
        ["nothing of interest", "Lunch is ready"].map(|words| alice.cells_of(words)[0].fgcolor());
    assert_ne!(plain, marked);
}

#[test]
fn signals_restore_the_terminal_and_end_in_order() {
    for signal in ["TERM", "HUP", "INT"] {
        let server = TestServer::start(&[]);
        let data = join(&server, "alice").leaves_the_data();
        // The tests may run with signals ignored, as under nohup.
        let letschat = Command::new("env").arg("--default-signal=HUP,INT").arg(program("letschat"));
        let letschat = letschat
            .args(["--full", "--peer-port", "0", "--server", &server.address.to_string()])
            .arg("--data")
            .arg(data.path())
            .env("LETSCHAT_CONFIG", NO_SETTINGS);
        let mut alice = Person::run_at(letschat, "alice", data, WIDE);
        alice.sees("Logged in as alice, by key.");
        let mut bob = TestClient::join(&server, "bob");
        is_called(&alice, &mut bob);
        let pid = alice.process_id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
        assert_eq!(alice.sees_the_end(), 0, "{signal}");
        assert!(alice.bytes().ends_with(LEFT), "{signal}: {:?}", alice.bytes());
        assert_eq!(bob.wait_event_with("chat_closed", "with", "alice")["reason"], "peer_ended");
    }
}

#[test]
fn unread_messages_are_printed_at_the_end() {
    let server = TestServer::start(&[]);
    let (mut alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    bob.ok("broadcast", json!({"text": "read this"}));
    alice.sees("everyone 1");
    alice.types("/quit");
    assert_eq!(alice.sees_the_end(), 0);
    let bytes = alice.bytes();
    let (_, after) = bytes.rsplit_once(LEFT).unwrap();
    assert_eq!(after, "everyone, bob: read this\r\n");
}

#[test]
fn pages_scroll_and_a_line_that_is_sent_goes_to_the_end() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (join(&server, "alice"), TestClient::join(&server, "bob"));
    is_called(&alice, &mut bob);
    for number in 0..60 {
        bob.ok("say", json!({"text": format!("line {number}.")}));
    }
    alice.sees("line 59.");
    alice.press(&PAGE_UP.repeat(10));
    alice.sees("line 0.");
    alice.types("an answer");
    alice.sees("alice: an answer");
    alice.sees("line 59.");
}
