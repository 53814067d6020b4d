//! The names of controls.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;

use crate::kit::{App, Control};

/// The roles of controls that somebody uses.
const USED: &[&str] = &[
    "button",
    "toggle button",
    "checkbox",
    "text box",
    "search box",
    "list",
    "combo box",
    "link",
    "switch",
    "progress bar",
];

/// Returns the controls without a name. One without a name of its own has that of its class.
fn unnamed(app: &App) -> Vec<String> {
    let is_unnamed = |control: &Control| {
        let name = control.name.trim();
        let is_class = name.starts_with("Gtk") || name.starts_with("Adw");
        USED.contains(&control.role.as_str()) && (name.is_empty() || is_class || name.contains('_'))
    };
    // The list below a combo box is a part of it.
    let all = app.program().map(|program| program.all_but_below("combo box"));
    let unnamed = all.unwrap_or_default().into_iter().filter(is_unnamed);
    unnamed.map(|control| format!("{} {:?}", control.role, control.name)).collect()
}

#[test]
fn every_control_has_a_name() {
    let server = TestServer::start(&[]);
    let mut app = App::start("labels", &server, &[]);
    app.wait("text box", "Name");
    assert_eq!(unnamed(&app), [""; 0], "in the assistant");
    app.sign_up("alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    app.open("bob");
    app.click("Verify");
    app.wait_window("Safety number with bob");
    let mut carol = TestClient::join(&server, "carol");
    carol.tell("connect", serde_json::json!({"who": "alice"}));
    app.wait("button", "Approve");
    assert_eq!(unnamed(&app), [""; 0], "in the window");
    app.desktop.press(&["Escape"]);
    app.wait_no_window("Safety number with bob");
    for (keys, title) in [
        ("ctrl+k", "Commands"),
        ("ctrl+n", "New message"),
        ("ctrl+g", "New group"),
        ("ctrl+comma", "Settings"),
        ("F1", "Keyboard"),
    ] {
        app.desktop.press(&[keys]);
        app.wait_window(title);
        app.picture(&title.to_lowercase().replace(' ', "-"));
        assert_eq!(unnamed(&app), [""; 0], "in {title}");
        app.desktop.press(&["Escape"]);
        app.wait_no_window(title);
    }
}
