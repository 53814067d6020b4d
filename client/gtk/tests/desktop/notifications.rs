//! Notifications on the desktop.

use std::time::Duration;

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::kit::App;

/// Returns the next notification, or nothing if none comes in time.
fn next(app: &App, time: Duration) -> Option<(String, String)> {
    app.desktop.notifications.recv_timeout(time).ok()
}

/// Forgets the notification of a request, which there is if the desktop has not given the window the focus.
fn drain(app: &App) {
    while next(app, Duration::from_millis(300)).is_some() {}
}

#[test]
fn notification_names_the_author_and_hides_the_text() {
    let server = TestServer::start(&[]);
    let mut app = App::join("notification", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    let patience = Duration::from_secs(20);
    // There is no notification of a message that is shown.
    app.open("Notes");
    drain(&app);
    bob.ok("say", json!({"to": "alice", "text": "the secret is tea"}));
    let (title, text) = next(&app, patience).unwrap();
    assert_eq!((title.as_str(), text.contains("secret")), ("bob", false), "{text}");
    // What goes to everybody is not for her alone.
    bob.ok("broadcast", json!({"text": "hello, all"}));
    app.wait_label("bob: hello, all");
    // Messages notify once a second at most.
    assert_eq!(next(&app, Duration::from_millis(1_200)), None);
    bob.ok("broadcast", json!({"text": "hello, alice"}));
    assert!(next(&app, patience).is_some(), "a mention");
}

#[test]
fn text_is_shown_if_that_is_wanted_and_is_no_markup() {
    let server = TestServer::start(&[]);
    let mut app = App::start("notified-text", &server, &["--notify-text"]);
    app.sign_up("alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    let patience = Duration::from_secs(20);
    // There is no notification of a message that is shown.
    app.open("Notes");
    drain(&app);
    bob.ok("say", json!({"to": "alice", "text": "<b>tea</b>"}));
    let (_, text) = next(&app, patience).unwrap();
    assert_eq!(text, "‹b›tea‹/b›");
}
