//! Chats and messages.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::kit::{App, Control};

/// The long messages of which only the last ones are loaded at a start.
const LONG_TEXTS: usize = 70;

#[test]
fn chat_is_approved_by_a_click() {
    let server = TestServer::start(&[]);
    let mut app = App::join("chat", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let asked = bob.tell("connect", json!({"who": "alice"}));
    app.wait_label("bob at 127.0.0.1 asks for a chat");
    app.picture("request");
    app.click("Approve");
    assert_eq!(bob.reply(asked)["with"], "alice");
    app.wait_gone("button", "Approve");
    bob.ok("say", json!({"to": "alice", "text": "good evening"}));
    // The chat is shown at once, and what is typed goes to it.
    app.wait("label", "good evening");
    app.desktop.move_as(&["type", "--delay", "20", "and to you"]);
    app.desktop.press(&["Return"]);
    bob.wait_event_with("message", "text", "and to you");
    app.picture("chat");
}

#[test]
fn denied_chat_does_not_open() {
    let server = TestServer::start(&[]);
    let app = App::join("denied", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let asked = bob.tell("connect", json!({"who": "alice"}));
    app.click("Deny");
    let (code, _) = bob.refusal(asked);
    assert_eq!(code, "denied");
    app.wait_gone("button", "Deny");
}

#[test]
fn remote_text_is_never_markup_and_links_show_where_they_go() {
    let server = TestServer::start(&[]);
    let mut app = App::join("markup", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    let text =
        "<b>bold</b> &amp; <a href=\"https://evil.example\">https://good.example</a> \u{202e}x";
    bob.ok("say", json!({"to": "alice", "text": text}));
    bob.ok("say", json!({"to": "alice", "text": "see https://a.example/x?y=1."}));
    app.open("bob");
    let shown = text.replace('\u{202e}', "\\u{202e}");
    app.wait("label", &shown);
    app.wait("link", "https://a.example/x?y=1");
    let links = app.all().into_iter().filter(|one| one.role == "link");
    let names: Vec<String> = links.map(|link| link.name).collect();
    assert!(!names.iter().any(|name| name.contains("evil.example\">")), "{names:?}");
    app.picture("text");
}

#[test]
fn message_waits_for_somebody_who_is_away() {
    let server = TestServer::start(&[]);
    let mut app = App::join("away", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    bob.quits();
    app.desktop.press(&["ctrl+n"]);
    app.write("text box", "New message", "bob");
    app.click("Write");
    app.wait("button", "Verify");
    app.say("for later");
    app.wait_label("(kept for them)");
    app.picture("kept");
}

#[test]
fn search_finds_a_message_and_goes_to_it() {
    let server = TestServer::start(&[]);
    let mut app = App::join("search", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    bob.ok("say", json!({"to": "alice", "text": "the Assam is in the cupboard"}));
    bob.ok("broadcast", json!({"text": "no tea here"}));
    app.wait_label("no tea here");
    app.desktop.press(&["ctrl+f"]);
    app.write("search box", "Search all messages", "CUPBOARD assam");
    app.click_row("the Assam is in the cupboard");
    app.picture("found");
    app.wait("button", "Verify");
    app.wait("label", "the Assam is in the cupboard");
}

#[test]
fn history_is_there_after_a_restart() {
    let server = TestServer::start(&[]);
    let mut app = App::start("history", &server, &["--history"]);
    app.sign_up("alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    bob.ok("say", json!({"to": "alice", "text": "remember the milk"}));
    app.wait_label("bob: remember the milk");
    let app = App::start_again("history-again", &server, app.close(), &["--history"]);
    app.open("bob");
    app.wait("label", "remember the milk");
}

#[test]
fn last_messages_stay_in_view_and_found_ones_come_into_it() {
    let server = TestServer::start(&[]);
    let mut app = App::join("in-view", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    for number in 0..80 {
        bob.ok("say", json!({"to": "alice", "text": format!("line {number}.")}));
    }
    app.wait_in_view("line 79.");
    app.open("Everyone");
    app.open("bob");
    app.wait_in_view("line 79.");
    app.say("one of mine");
    app.wait_in_view("one of mine");
    app.desktop.press(&["ctrl+f"]);
    app.write("search box", "Search all messages", "line 17.");
    app.click_row("line 17.");
    app.wait_in_view("line 17.");
    app.picture("found");
}

#[test]
fn older_messages_come_from_the_history() {
    let server = TestServer::start(&[]);
    let mut app = App::start("older", &server, &["--history"]);
    app.sign_up("alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    // The window loads half a megabyte of texts at its start.
    bob.ok("say", json!({"to": "alice", "text": "remember the milk"}));
    for number in 0..LONG_TEXTS {
        let text = format!("{number}: {}", "tea ".repeat(2_500));
        bob.ok("say", json!({"to": "alice", "text": text}));
    }
    bob.ok("say", json!({"to": "alice", "text": "this is the last"}));
    app.wait_label("bob: this is the last");
    let app = App::start_again("older-again", &server, app.close(), &["--history"]);
    app.open("bob");
    app.wait("label", "this is the last");
    app.desktop.press(&["ctrl+f"]);
    app.write("search box", "Search all messages", "milk");
    app.click_row("remember the milk");
    app.wait_in_view("remember the milk");
    // Another start, and by the keyboard.
    let mut app = App::start_again("older-by-key", &server, app.close(), &["--history"]);
    app.open("bob");
    app.wait("label", "this is the last");
    app.focus("Let's Chat");
    app.press_until("ctrl+Home", "remember the milk");
    app.picture("top");
}

#[test]
fn signal_ends_the_program_in_order() {
    let server = TestServer::start(&[]);
    let app = App::join("signal", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    bob.ok("watch", json!({}));
    app.end_by("TERM");
    bob.wait("alice's leaving", |line| line["event"] == "left" && line["usernames"][0] == "alice");
}

#[test]
fn text_stays_in_its_conversation_until_it_is_sent() {
    let server = TestServer::start(&[]);
    let mut app = App::join("draft", &server, "alice");
    let [mut bob, mut carol] = ["bob", "carol"].map(|name| TestClient::join(&server, name));
    app.befriend("alice", &mut bob);
    app.befriend("alice", &mut carol);
    app.open("bob");
    app.write("text box", "Message", "for bob alone");
    app.open("carol");
    app.say("for carol");
    carol.wait_event_with("message", "text", "for carol");
    app.open("bob");
    app.click("Send");
    bob.wait_event_with("message", "text", "for bob alone");
    assert!(carol.all(|line| line["text"] == "for bob alone").is_empty());
    // The chat with Carol is the session's current one, but Bob is shown.
    app.desktop.press(&["ctrl+k"]);
    app.wait_window("Commands");
    app.write("search box", "Find a command", "say something");
    app.write("text box", "text: the message", "from the list of commands");
    app.click("Run");
    bob.wait_event_with("message", "text", "from the list of commands");
}

#[test]
fn long_words_do_not_widen_the_window() {
    let server = TestServer::start(&[]);
    let mut app = App::join("wide", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    let address = format!("https://{}", "x".repeat(3_000));
    bob.ok("say", json!({"to": "alice", "text": address}));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{}.txt", "y".repeat(200)));
    std::fs::write(&path, "long").unwrap();
    bob.ok("file", json!({"action": "send", "to": "alice", "path": path}));
    app.open("bob");
    app.wait("link", &address);
    app.wait_label(", 4 bytes");
    let (left, _, width, _) = app.with("button", "Send", Control::place);
    assert!(left + width <= 1_000, "the window is wider than before");
    app.picture("long-words");
}

#[test]
fn changed_key_is_shown_beside_the_known_one() {
    let server = TestServer::start(&[]);
    let mut app = App::join("changed", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    let known = bob.ok("status", json!({}))["fingerprint"].as_str().unwrap().to_owned();
    bob.quits();
    // Another machine, which gives up the first one.
    let mut bob = TestClient::start(&server, "bob");
    let password = letschat_tests::client::PASSWORD;
    bob.ok("login", json!({"username": "bob", "password": password}));
    bob.ok("recover", json!({"password": password}));
    let new = bob.ok("status", json!({}))["fingerprint"].as_str().unwrap().to_owned();
    bob.tell("connect", json!({"who": "alice"}));
    app.click("Compare keys");
    app.wait("label", &format!("The key that you know: {known}"));
    app.wait("label", &format!("The new key: {new}"));
    app.picture("keys");
    app.click("Accept the new key");
    app.wait("button", "Approve");
}
