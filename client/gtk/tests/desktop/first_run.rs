//! The assistant of the first run.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;

use crate::kit::{App, PASSWORD};

/// Returns the words of the title of a window that is logged in.
fn here(server: &TestServer) -> String {
    format!("alice at {}", server.address)
}

#[test]
fn new_user_finds_the_way_from_the_server_to_the_window() {
    let server = TestServer::start(&[]);
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start_in_home("first-run", data, &[]);
    app.wait("text box", "Address of the server").write("no server/");
    app.click("Continue");
    app.wait_label("That names no server");
    app.picture("wrong-address");
    app.wait("text box", "Address of the server").write(&server.location());
    app.click("Continue");
    app.wait_label("has the key");
    app.picture("account");
    app.wait("text box", "Name").write("alice");
    app.wait("text box", "Password").write(PASSWORD);
    app.wait("text box", "The same password again").write("another one entirely");
    app.click("Create the account");
    app.wait_label("The two passwords are not the same.");
    app.wait("text box", "The same password again").write(PASSWORD);
    app.click("Create the account");
    app.wait_label(&here(&server));
    app.picture("window");
    // The next start knows the server, and asks nothing.
    let again = App::start_in_home("first-run-again", app.close(), &[]);
    again.wait_label(&here(&server));
}

#[test]
fn server_on_the_command_line_is_not_asked_for() {
    let server = TestServer::start(&[]);
    let app = App::start("named-server", &server, &[]);
    app.wait_label("has the key");
    app.sign_up("alice");
    app.wait_label(&here(&server));
}

#[test]
fn existing_account_logs_in_by_its_password() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let app = App::start("log-in", &server, &[]);
    app.point_at(&app.wait("checkbox", "I have no account here yet"));
    app.wait_gone("text box", "The same password again");
    app.wait("text box", "Name").write("alice");
    app.wait("text box", "Password").write("not the password");
    app.click("Log in");
    app.wait_label("Wrong username or password");
    app.wait("text box", "Password").write(PASSWORD);
    app.click("Log in");
    app.wait_label(&here(&server));
}

#[test]
fn setting_is_saved_for_the_next_start() {
    let server = TestServer::start(&[]);
    let location = server.location();
    let data = tempfile::tempdir().unwrap();
    let app = App::start_in_home("settings", data, &["--server", &location]);
    app.sign_up("alice");
    app.desktop.press(&["ctrl+comma"]);
    app.wait_window("Settings");
    app.wait("switch", "Keep messages").click();
    let file = app.folder().join(".config/letschat/settings.toml");
    app.wait_file(&file, "history = true");
}
