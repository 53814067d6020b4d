//! The pictures of the documents: a story, in light and dark, at one and two pixels for each of its points.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::kit::{App, Look};

/// Plays the story, and keeps its last picture.
fn play(name: &'static str, look: Look) {
    let server = TestServer::start(&[]);
    let mut app = App::start_with(name, &server, look);
    app.sign_up("alice");
    let [mut bob, mut carol] = ["bob", "carol"].map(|name| TestClient::join(&server, name));
    app.befriend("alice", &mut bob);
    bob.ok("group", json!({"action": "create", "name": "tea"}));
    bob.ok("group", json!({"action": "invite", "name": "tea", "who": "alice"}));
    app.wait_label("bob invites you to the group #tea.");
    app.click("Approve");
    bob.wait_event_with("group_changed", "change", "joined");
    bob.ok("send", json!({"to": "#tea", "text": "The Assam has come 🍵"}));
    bob.ok("broadcast", json!({"text": "Who has seen my cup?"}));
    app.wait_label("bob: Who has seen my cup?");
    app.open("bob");
    for (text, answer) in [
        ("Good morning, Alice!", "Good morning. Is the 3 o'clock release still on?"),
        ("Yes. The notes are at https://notes.example/42", "Thanks, I'll read them."),
        ("مرحبا, שלום 👋🏽", "👍"),
    ] {
        bob.ok("say", json!({"to": "alice", "text": text}));
        app.wait("label", text);
        app.say(answer);
        bob.wait_event_with("message", "text", answer);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.pdf");
    std::fs::write(&path, vec![7; 48_000]).unwrap();
    bob.ok("file", json!({"action": "send", "to": "alice", "path": path}));
    app.wait_label("plan.pdf, 48 kB");
    carol.tell("connect", json!({"who": "alice"}));
    app.wait_label("carol at 127.0.0.1 asks for a chat");
    app.wait("button", "Approve");
    app.picture_of_window("window");
}

#[test]
fn window_in_light() {
    play("picture-light", Look { scale: 1, is_dark: false });
}

#[test]
fn window_in_dark() {
    play("picture-dark", Look { scale: 1, is_dark: true });
}

#[test]
fn window_in_light_at_two_pixels_a_point() {
    play("picture-light-2x", Look { scale: 2, is_dark: false });
}

#[test]
fn window_in_dark_at_two_pixels_a_point() {
    play("picture-dark-2x", Look { scale: 2, is_dark: true });
}
