//! The assistant of the first run.

use letschat_tests::client::TestClient;
use letschat_tests::network::Network;
use letschat_tests::server::TestServer;

use crate::kit::{App, Control, PASSWORD};

/// Returns the words of the title of a window that is logged in.
fn here(server: &TestServer) -> String {
    format!("alice at {}", server.address)
}

#[test]
fn new_user_finds_the_way_from_the_server_to_the_window() {
    let server = TestServer::start(&[]);
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start_in_home("first-run", data, &[]);
    app.write("text box", "Address of the server", "no server/");
    app.click("Continue");
    app.wait_label("That names no server");
    app.picture("wrong-address");
    app.write("text box", "Address of the server", &server.location());
    app.click("Continue");
    app.wait_label("has the key");
    app.picture("account");
    app.write("text box", "Name", "alice");
    app.write("text box", "Password", PASSWORD);
    app.write("text box", "The same password again", "another one entirely");
    app.click("Create the account");
    app.wait_label("The two passwords are not the same.");
    app.write("text box", "The same password again", PASSWORD);
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
    app.point_at("checkbox", "I have no account here yet");
    app.wait_gone("text box", "The same password again");
    app.write("text box", "Name", "alice");
    app.write("text box", "Password", "not the password");
    app.click("Log in");
    app.wait_label("Wrong username or password");
    app.write("text box", "Password", PASSWORD);
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
    app.with("switch", "Keep messages", Control::click);
    let file = app.folder().join(".config/letschat/settings.toml");
    app.wait_file(&file, "history = true");
}

#[test]
fn server_that_announces_itself_is_offered() {
    let test = "server_that_announces_itself_is_offered";
    let Some(network) = Network::of(2, test) else { return };
    let address = Network::address(1);
    let flags = ["--listen", &address, "--announce"];
    let server = TestServer::start_by(&network.by(1), &flags);
    server.wait_log("announced on the local network as ");
    let mut app = App::start_by("found", tempfile::tempdir().unwrap(), &network.by(2), &[]);
    app.wait_label("Found on the local network:");
    app.picture("servers");
    app.point_at("label", &server.address.to_string());
    app.click("Continue");
    app.wait_label(&format!("{} has the key", server.address));
    app.sign_up("alice");
    app.wait_label(&here(&server));
}

#[test]
fn another_server_can_be_chosen_before_there_is_an_account() {
    let [first, second] = [(); 2].map(|()| TestServer::start(&[]));
    let app = App::start("another-server", &first, &[]);
    app.wait_label(&format!("{} has the key", first.address));
    app.click("Another server");
    app.write("text box", "Address of the server", &second.location());
    app.click("Continue");
    app.wait_label(&format!("{} has the key", second.address));
    app.sign_up("alice");
    app.wait_label(&here(&second));
}

#[test]
fn login_is_offered_while_nobody_is_logged_in() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let mut app = App::start("log-in-later", &server, &["--no-login"]);
    app.click("Log in…");
    app.wait_window("Log in");
    app.write("text box", "Name", "alice");
    app.click_in("Log in", "Log in");
    // Another machine has the key of the account.
    app.wait_label("This machine has no key of alice's for this server");
    app.picture("password");
    app.write("text box", "Password", PASSWORD);
    app.click_in("Log in", "Log in");
    app.wait_label(&here(&server));
    app.wait_gone("button", "Log in…");
}

#[test]
fn second_start_shows_the_window_of_the_first() {
    let server = TestServer::start(&[]);
    let app = App::join("second-start", &server, "alice");
    let flags = ["--server", &server.location()];
    // The desktop has put another window in front.
    app.desktop.move_as(&["search", "--name", "^Let's Chat$", "windowunmap"]);
    app.start_beside(&flags);
    app.desktop.move_as(&["search", "--sync", "--onlyvisible", "--name", "^Let's Chat$"]);
}

#[test]
fn settings_that_are_wrong_are_told_in_a_dialog() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/letschat");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("settings.toml"), "server = [").unwrap();
    let mut app = App::start_in_home("wrong-settings", home, &[]);
    app.wait_window("Let's Chat can't go on");
    app.wait_label("settings.toml is not TOML at line 1");
    app.picture("dialog");
    app.click("Close");
    assert_eq!(app.exit_code(), 2);
}

#[test]
fn setting_that_can_not_be_taken_is_told_beside_it() {
    let server = TestServer::start(&[]);
    let mut app = App::join("wrong-setting", &server, "alice");
    app.desktop.press(&["ctrl+comma"]);
    app.wait_window("Settings");
    app.focus("Settings");
    let days = "Days for which they are kept (empty: without end)";
    app.point_at("text box", days);
    app.desktop.move_as(&["type", "many"]);
    app.desktop.press(&["Return"]);
    app.wait_label("Days are a number from 1 to 36500.");
    app.picture("days");
}

#[test]
fn window_follows_the_desktop_into_the_dark() {
    let server = TestServer::start(&[]);
    let app = App::join("colours", &server, "alice");
    app.wait_brightness("light window", |mean| mean > 180);
    app.desktop.colours.prefer_dark(true);
    app.wait_brightness("dark window", |mean| mean < 80);
}
