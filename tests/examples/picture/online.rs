//! Accounts at a server, and the terminals of the server and its users.

use letschat_tests::client::TestClient;
use letschat_tests::person::{Person, Window};
use letschat_tests::programs::{NO_SETTINGS, foreign_settings, program};
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use serde_json::json;
use tempfile::TempDir;
use vt100::Screen;

/// Signs people up and logs them in, by clients without a terminal.
pub(crate) fn sign_up<const N: usize>(server: &TestServer, names: [&str; N]) -> [TestClient; N] {
    names.map(|name| {
        let (data, location) = (tempfile::tempdir().unwrap(), server.address.to_string());
        let mut client = TestClient::start_in(data, &location, name, &["--accept-new-server"]);
        client.sign_up_and_log_in();
        // The client publishes its device list and its prekey after the login. Others need both.
        while client.ok("devices", json!({}))["devices"].as_array().is_none_or(Vec::is_empty) {}
        client.ok("list", json!({}));
        client
    })
}

/// Ends a client and returns its data folder.
pub(crate) fn leave(client: TestClient) -> TempDir {
    let TestClient { mut process, data, .. } = client;
    process.end_input();
    assert_eq!(process.exit_code(), 0, "{}", process.transcript());
    data
}

/// Returns the data folders of Alice and Bob, who have approved each other's messages.
pub(crate) fn friends(server: &TestServer) -> [TempDir; 2] {
    let [mut alice, mut bob] = sign_up(server, ["alice", "bob"]);
    alice.befriend(&mut bob);
    [alice, bob].map(leave)
}

/// Stops a server and starts it again at a terminal, with the same port and data.
pub(crate) fn serve_at_a_terminal(server: &mut TestServer, window: Window) -> Person {
    serve_at_a_terminal_with(server, window, &[])
}

/// The same with flags, which the title of the window shows.
pub(crate) fn serve_at_a_terminal_with(
    server: &mut TestServer,
    window: Window,
    flags: &[&str],
) -> Person {
    server.stop();
    let fresh = foreign_settings()
        .into_iter()
        .fold(Command::new(program("letschat-server")), |command, name| command.env_remove(name));
    let command = fresh
        .args(["--listen", "127.0.0.1", "--port", &server.address.port().to_string(), "--data"])
        .arg(server.data.path())
        .args(flags)
        .env("LETSCHAT_SERVER_CONFIG", NO_SETTINGS)
        .env_remove("NO_COLOR");
    let title = [&["letschat-server"], flags].concat().join(" ");
    let operator = Person::run_at(command, &title, tempfile::tempdir().unwrap(), window);
    operator.sees("fingerprint");
    operator
}

/// Goes through the first run, and makes an account.
pub(crate) fn signs_up(person: &Person) {
    person.is_prompted("Do you have an account here (y/n)? ");
    person.types("n");
    person.is_prompted("The name you want (a-z, 0-9, _ - .): ");
    person.types(&person.name);
    person.chooses_password();
    person.sees("What next?");
    person.is_prompted("letschat> ");
}

/// Logs somebody in at a terminal, by the key in their data folder.
pub(crate) fn log_in(server: &TestServer, name: &str, data: TempDir, window: Window) -> Person {
    logged_in(Person::sit_down_at(server, name, data, window, &[], &[]))
}

/// Waits until somebody is logged in by their key.
pub(crate) fn logged_in(person: Person) -> Person {
    person.sees(&format!("Logged in as {}, by key.", person.name));
    person.is_prompted("letschat> ");
    person
}

/// Asks somebody for a direct chat, who approves it.
pub(crate) fn open_chat(caller: &Person, called: &Person) {
    caller.types(&format!("connect {}", called.name));
    called.sees(&format!("{} at 127.0.0.1 asks for a chat.", caller.name));
    called.is_prompted("letschat> ");
    called.types("approve");
    for (person, other) in [(caller, called), (called, caller)] {
        person.sees(&format!("Chat with {} is open.", other.name));
        person.is_prompted(&format!("→ {}> ", other.name));
    }
}

/// Returns the current screens, each with its title.
pub(crate) fn windows<const N: usize>(people: [&Person; N]) -> [(String, Screen); N] {
    people.map(|person| (person.name.clone(), person.looks_at_the_screen()))
}
