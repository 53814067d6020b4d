//! The assistant of the first run.

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
