//! The commands, with their parameters as fields.

use letschat_commands::commands::TABLE;
use letschat_tests::server::TestServer;

use crate::kit::App;

#[test]
fn every_command_is_offered_and_runs_with_its_fields() {
    let server = TestServer::start(&[]);
    let mut app = App::join("palette", &server, "alice");
    app.desktop.press(&["ctrl+k"]);
    app.wait_window("Commands");
    let offered: Vec<String> =
        app.all().into_iter().filter(|one| one.role == "list item").map(|one| one.name).collect();
    for command in TABLE {
        assert!(offered.iter().any(|name| name == command.name), "{}: {offered:?}", command.name);
    }
    app.write("search box", "Find a command", "broadcast");
    app.write("text box", "text: one line", "tea is ready");
    app.picture("fields");
    app.click("Run");
    app.wait_label("Done.");
    app.desktop.press(&["Escape"]);
    app.open("Everyone");
    app.wait("label", "tea is ready");
}

#[test]
fn command_of_a_plugin_is_offered_too() {
    let server = TestServer::start(&[]);
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lua/plugins");
    let app = App::start("plugin", &server, &["--plugins", plugins]);
    app.sign_up("alice");
    app.desktop.press(&["ctrl+k"]);
    app.write("search box", "Find a command", "while you are away");
    app.wait_label("A plugin has added it.");
    app.write("text box", "reason (may be left out)", "at lunch");
    app.click("Run");
    app.wait_label("You are away: at lunch");
}
