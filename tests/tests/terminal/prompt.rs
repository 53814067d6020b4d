//! The line that is being typed: what is completed, and what becomes of it while things happen.

use std::time::{Duration, Instant};

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::person::{CTRL_C, CTRL_D, CTRL_U, CTRL_X, HOME, Person, TAB};
use letschat_tests::programs::{NO_SETTINGS, program};
use letschat_tests::server::TestServer;
use serde_json::json;

#[test]
fn a_line_stays_whole_while_messages_arrive() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    alice.press("half a li");
    alice.is_prompted("→ bob> half a li");
    bob.ok("say", json!({"text": "in the middle"}));
    alice.sees("bob: in the middle");
    alice.is_prompted("→ bob> half a li");
    alice.types("ne");
    bob.wait_event_with("message", "text", "half a line");
    alice.is_prompted("→ bob> ");
}

#[test]
fn long_line_of_wide_characters_overwrites_nothing() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    let long = format!("{} {}", "日本語👋".repeat(10), "x".repeat(60));
    alice.press(&long);
    alice.sees(&long);
    for text in ["first 👋", "second 日本語"] {
        bob.ok("say", json!({"text": text}));
        alice.sees(&format!("bob: {text}"));
        alice.sees(&long);
    }
    // The cursor at its beginning is the hard case: the line's rows are below it.
    alice.press(HOME);
    bob.ok("say", json!({"text": "third"}));
    alice.sees("bob: third");
    alice.sees(&format!("→ bob> {long}"));
    alice.sees("bob: first 👋");
    alice.sees("bob: second 日本語");
    alice.types("");
    bob.wait_event_with("message", "text", &long);
}

#[test]
fn a_line_outlives_a_resize() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    alice.press("typed before");
    alice.is_prompted("→ bob> typed before");
    alice.resizes(40);
    alice.press(" and after");
    alice.is_prompted("→ bob> typed before and after");
    bob.ok("say", json!({"text": "narrow"}));
    alice.sees("bob: narrow");
    alice.is_prompted("→ bob> typed before and after");
    alice.resizes(120);
    alice.types("");
    bob.wait_event_with("message", "text", "typed before and after");
}

#[test]
fn commands_and_users_are_completed() {
    let server = TestServer::start(&[]);
    let (alice, _bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.types("list");
    alice.sees("bob    127.0.0.1");
    alice.is_prompted("letschat> ");
    alice.press(&format!("conn{TAB}"));
    alice.is_hinted("letschat> connect ", "WHO [force]");
    alice.press(&format!("b{TAB}"));
    alice.is_prompted("letschat> connect bob ");
}

#[test]
fn groups_are_completed() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    alice.types("group create team");
    alice.sees("#team is founded.");
    for (typed, completed) in [
        (format!("switch #{TAB}"), "switch #team "),
        (format!("send #t{TAB}"), "send #team "),
        (format!("group invite #{TAB}"), "group invite #team "),
    ] {
        alice.press(&typed);
        alice.is_prompted(&format!("letschat> {completed}"));
        alice.press(CTRL_U);
    }
}

#[test]
fn a_chat_that_opens_takes_over_no_line_that_was_begun() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.types("connect bob");
    bob.wait_event_with("request", "from", "alice");
    alice.sees("bob is being asked");
    alice.is_prompted("letschat> ");
    alice.press("stat");
    alice.is_prompted("letschat> stat");
    bob.ok("approve", json!({"who": "alice"}));
    alice.sees("This line is still a command.");
    alice.is_prompted("letschat> stat");
    alice.types("us");
    alice.sees("You are: alice");
    alice.is_prompted("→ bob> ");
    alice.types("hello");
    bob.wait_event_with("message", "text", "hello");
    assert!(bob.all(|line| line["text"] == "status").is_empty());
}

#[test]
fn a_line_for_a_chat_that_ended_goes_to_nobody_else() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    let (mut bob, mut carol) =
        (TestClient::join(&server, "bob"), TestClient::join(&server, "carol"));
    alice.chats_with(&mut bob);
    carol.tell("connect", json!({"who": "alice"}));
    alice.sees("carol at 127.0.0.1");
    alice.types("/approve carol");
    alice.sees("Chat with carol is open.");
    alice.is_prompted("→ bob> ");
    alice.press("for bob al");
    alice.is_prompted("→ bob> for bob al");
    bob.ok("disconnect", json!({}));
    alice.is_prompted("→ bob · no chat> for bob al");
    alice.types("one");
    let heard = bob.wait_event_with("message", "text", "for bob alone");
    assert_eq!(heard["via"], "server");
    alice.is_prompted("→ bob · no chat> ");
    alice.types("/switch carol");
    alice.is_prompted("→ carol> ");
    assert!(carol.all(|line| line["event"] == "message").is_empty());
}

#[test]
fn text_is_no_command_after_the_other_side_left() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    for end in [CTRL_C, "/disconnect\r"] {
        alice.chats_with(&mut bob);
        bob.ok("disconnect", json!({}));
        alice.is_prompted("→ bob · no chat> ");
        alice.types("all right, the code of the safe is 4711");
        let heard = bob.wait_event("message");
        assert_eq!(heard["text"], "all right, the code of the safe is 4711");
        alice.is_prompted("→ bob · no chat> ");
        // After a mistyped switch the next line is not meant as a command.
        alice.types("/switch carrol");
        alice.types("all my love");
        assert_eq!(bob.wait_event("message")["text"], "all my love");
        alice.is_prompted("→ bob · no chat> ");
        alice.press(end);
        alice.is_prompted("letschat> ");
    }
    // A word that begins many a sentence sends nothing without a slash.
    alice.types("all right, then");
    alice.sees("This was sent to nobody.");
    for command in ["broadcast knowingly", "/all knowingly"] {
        alice.types(command);
        let heard = bob.wait_event("broadcast");
        assert_eq!(heard["text"], "knowingly");
    }
}

#[test]
fn a_chat_that_was_asked_for_takes_an_empty_line_and_no_other() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    let (mut bob, mut carol) =
        (TestClient::join(&server, "bob"), TestClient::join(&server, "carol"));
    alice.chats_with(&mut bob);
    alice.types("/connect carol");
    carol.wait_event_with("request", "from", "alice");
    alice.sees("carol is being asked");
    alice.press("for bob");
    alice.is_prompted("→ bob> for bob");
    carol.ok("approve", json!({"who": "alice"}));
    alice.sees("`/switch carol` goes to carol.");
    alice.is_prompted("→ bob> for bob");
    alice.types("");
    bob.wait_event_with("message", "text", "for bob");
    alice.is_prompted("→ bob> ");
    carol.ok("disconnect", json!({}));
    alice.sees("carol has ended the chat.");

    alice.types("/connect carol");
    carol.wait_event_with("request", "from", "alice");
    carol.ok("approve", json!({"who": "alice"}));
    alice.is_prompted("→ carol> ");
    alice.types("for carol");
    carol.wait_event_with("message", "text", "for carol");
    alice.types("/connect bob");
    alice.sees("The chat with bob is open already.");
    alice.is_prompted("→ bob> ");
}

#[test]
fn message_reaches_somebody_without_a_chat_and_tells_its_fate() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.types("/send bob may I?");
    bob.wait_event_with("request", "kind", "message");
    bob.ok("approve", json!({}));
    bob.wait_event_with("message", "text", "may I?");
    alice.types("/send bob hello");
    let heard = bob.wait_event_with("message", "text", "hello");
    assert_eq!((&heard["from"], &heard["via"]), (&json!("alice"), &json!("server")));
    alice.sees("you → bob: hello");
    let TestClient { mut process, data, .. } = bob;
    process.end_input();
    assert_eq!(process.exit_code(), 0);
    alice.types("/send bob good night");
    alice.sees("The server keeps your message for bob and delivers it later.");
    let mut bob = TestClient::start_in(data, &server.location(), "bob", &[]);
    bob.ok("login", json!({"username": "bob"}));
    bob.wait_event_with("message", "text", "good night");
    alice.sees("bob has received your message.");
    alice.is_prompted("letschat> ");
}

#[test]
fn keys_typed_ahead_stay_with_the_chat_of_their_prompt() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    let (mut bob, mut carol) =
        (TestClient::join(&server, "bob"), TestClient::join(&server, "carol"));
    alice.chats_with(&mut bob);
    // No prompt is shown between the lines, so they can't be for one that names carol.
    alice.press("/connect carol\rfor bob");
    carol.wait_event_with("request", "from", "alice");
    carol.ok("approve", json!({"who": "alice"}));
    alice.sees("`/switch carol` goes to carol.");
    alice.is_prompted("→ bob> for bob");
    alice.types("");
    bob.wait_event_with("message", "text", "for bob");
    // A command that the user gives is followed at once.
    alice.press("/switch carol\rfor carol\r");
    carol.wait_event_with("message", "text", "for carol");
    alice.press("/switch bob\rfor bob again\r");
    bob.wait_event_with("message", "text", "for bob again");
}

#[test]
fn a_bare_broadcast_asks_for_its_text() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    let question = "What do you want to say to everybody? (An empty line: nothing.) ";
    for (command, text) in [("broadcast", "hello, all"), ("all", "/shrug")] {
        alice.types(command);
        alice.is_prompted(question);
        alice.types(text);
        assert_eq!(bob.wait_event("broadcast")["text"], text);
        alice.is_prompted("letschat> ");
    }
    for answer in ["\r", CTRL_C] {
        alice.types("/broadcast");
        alice.is_prompted(question);
        alice.press(answer);
        alice.sees("Nothing was sent.");
        alice.is_prompted("letschat> ");
    }
}

/// Logs in alice, who types plain lines at a terminal.
fn alice_in_plain_lines(server: &TestServer) -> Person {
    let data = tempfile::tempdir().unwrap();
    let alice = Person::sit_down_with(server, "alice", data, &["--plain", "--no-login"], &[]);
    alice.types("signup alice");
    alice.chooses_password();
    alice.sees("The account is made");
    alice.types("login alice");
    alice.sees("Password (empty:");
    alice.types(PASSWORD);
    alice.sees("Logged in as alice");
    alice
}

#[test]
fn a_bare_broadcast_asks_in_plain_lines_too() {
    let server = TestServer::start(&[]);
    let alice = alice_in_plain_lines(&server);
    alice.types("all");
    alice.sees("What do you want to say to everybody?");
    alice.types("list of one");
    alice.sees("alice (you) to all: list of one");
    alice.types("broadcast");
    alice.sees_times("What do you want to say to everybody?", 2);
    alice.types("");
    alice.sees("Nothing was sent.");
    alice.types("broadcast");
    alice.sees_times("What do you want to say to everybody?", 3);
    alice.types("/status");
    alice.sees("Nothing was sent; give `/status` as a command now.");
}

#[test]
fn two_chats_are_told_apart_at_each_step() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    let mut others = ["bob", "carol"].map(|name| TestClient::join(&server, name));
    for other in &mut others {
        other.tell("connect", json!({"who": "alice"}));
        alice.sees(&format!("{} at", other.name));
        alice.types(&format!("/approve {}", other.name));
        alice.sees(&format!("Chat with {} is open.", other.name));
    }
    alice.sees("What you type still goes to bob; `/switch carol` goes to carol.");
    alice.types("list");
    alice.sees("`list` is sent as text; `/list` is the command.");
    others[0].wait_event_with("message", "text", "list");
    alice.types("verify bob");
    alice.sees("`verify bob` is sent as text; `/verify bob` is the command.");
    alice.press(CTRL_X);
    alice.sees("Nothing was done, since chats are open: bob, carol.");
    alice.press(CTRL_C);
    alice.sees("Your chat with carol is still open: `/switch carol` goes there.");
    alice.is_prompted("letschat> ");
    alice.types("hello carol");
    alice.sees("Your chat with carol is open: `/switch carol` goes there.");
}

#[test]
fn a_chat_that_opens_takes_no_plain_line_at_a_terminal() {
    let server = TestServer::start(&[]);
    let alice = alice_in_plain_lines(&server);
    let mut others = ["bob", "carol"].map(|name| TestClient::join(&server, name));
    for other in &mut others {
        alice.types(&format!("/connect {}", other.name));
        other.wait_event_with("request", "from", "alice");
        other.ok("approve", json!({"who": "alice"}));
    }
    alice.sees("What you type still goes to bob; `/switch carol` goes to carol.");
    alice.types("for bob");
    others[0].wait_event_with("message", "text", "for bob");
    // Nor one that is meant for bob, whom it reaches without a chat.
    let mut dave = TestClient::join(&server, "dave");
    alice.types("/connect dave");
    dave.wait_event_with("request", "from", "alice");
    others[0].ok("disconnect", json!({}));
    alice.sees("bob has ended the chat.");
    dave.ok("approve", json!({"who": "alice"}));
    alice.sees("What you type still goes to bob; `/switch dave` goes to dave.");
    alice.types("for bob, too");
    others[0].wait_event_with("message", "text", "for bob, too");
}

#[test]
fn the_prompt_is_at_the_terminal_wherever_errors_go() {
    let server = TestServer::start(&[]);
    let data = tempfile::tempdir().unwrap();
    let errors = data.path().join("errors");
    let command = pty_process::blocking::Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" 2>\"$ERRORS\""])
        .arg(program("letschat"))
        .args(["--server", &server.location(), "--peer-port", "0", "--no-login", "--data"])
        .arg(data.path())
        .env("LETSCHAT_CONFIG", NO_SETTINGS)
        .env("ERRORS", &errors);
    let mut alice = Person::run(command, "alice", data);
    alice.is_prompted("letschat · offline> ");
    alice.types("signup alice");
    alice.chooses_password();
    alice.sees("The account is made");
    alice.press(CTRL_D);
    assert_eq!(alice.sees_the_end(), 0);
    assert_eq!(std::fs::read_to_string(&errors).unwrap(), "");
}

#[test]
fn many_pasted_lines_are_asked_about() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    alice.pastes("one\ntwo\nthree");
    alice.sees("three");
    alice.types("");
    alice.sees("Send 3 lines to bob:");
    alice.types("l");
    for text in ["one", "two", "three"] {
        bob.wait_event_with("message", "text", text);
    }
    alice.is_prompted("→ bob> ");
    // In a chat even what looks like a command is text.
    alice.pastes("/broadcast nine\n  /quit\n//seven");
    alice.sees("//seven");
    alice.types("");
    alice.sees("Send 3 lines to bob:");
    alice.types("l");
    for text in ["/broadcast nine", "/quit", "//seven"] {
        bob.wait_event_with("message", "text", text);
    }
    alice.is_prompted("→ bob> ");
    alice.pastes("/quit\nfive");
    alice.sees("five");
    alice.types("");
    alice.sees("Send 2 lines to bob:");
    alice.types("o");
    bob.wait_event_with("message", "text", "/quit\nfive");
    alice.is_prompted("→ bob> ");
    alice.pastes("six\nseven");
    alice.sees("seven");
    alice.types("");
    alice.is_prompted("Send 2 lines to bob: as (o)ne message, (l)ine by line, (n)ot at all? ");
    alice.press(CTRL_C);
    alice.sees("Not sent.");
    alice.is_prompted("→ bob> ");
    bob.ok("status", json!({}));
    assert!(
        bob.all(|line| line["text"].as_str().is_some_and(|text| text.contains("six"))).is_empty()
    );
}

#[test]
fn no_line_of_a_message_looks_like_another_message() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    bob.ok("say", json!({"text": "def f():\n    return 1\ncarol: hello\r"}));
    alice.sees("bob: def f():");
    let screen = alice.screen();
    let lines: Vec<&str> = screen.lines().map(str::trim_end).collect();
    assert!(lines.contains(&"  |     return 1"), "{screen}");
    assert!(lines.contains(&"  | carol: hello\\r"), "{screen}");
}

#[test]
fn a_pasted_tab_is_said_and_shown_as_blanks() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.pastes("broadcast to\tall");
    alice.types("");
    bob.wait_event_with("broadcast", "text", "to\tall");
    alice.chats_with(&mut bob);
    alice.pastes("to\tbob");
    alice.types("");
    bob.wait_event_with("message", "text", "to\tbob");
    bob.ok("broadcast", json!({"text": "by\tbob"}));
    alice.sees("by    bob");
}

#[test]
fn what_arrives_while_a_question_is_open_is_shown_above_it() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    alice.pastes("one\ntwo");
    alice.sees("two");
    alice.types("");
    let question = "Send 2 lines to bob: as (o)ne message, (l)ine by line, (n)ot at all? ";
    alice.is_prompted(question);
    alice.press("o");
    alice.is_prompted(&format!("{question}o"));
    bob.ok("say", json!({"text": "wait, not yet"}));
    alice.sees("bob: wait, not yet");
    alice.is_prompted(&format!("{question}o"));
    alice.types("");
    bob.wait_event_with("message", "text", "one\ntwo");
    assert_eq!(alice.screen().matches("as (o)ne message").count(), 1, "{}", alice.screen());
}

#[test]
fn a_terminal_that_is_closed_takes_its_client_along_in_order() {
    let server = TestServer::start(&[]);
    let (mut alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    let begin = Instant::now();
    assert_eq!(alice.closes_the_terminal(), 0, "{}", alice.screen());
    // Else it is cut short after eight seconds.
    assert!(begin.elapsed() < Duration::from_secs(7), "it took {:?}", begin.elapsed());
    let closed = bob.wait_event_with("chat_closed", "with", "alice");
    assert_eq!(closed["reason"], "peer_ended");
    server.wait_log("alice left: said QUIT");
}
