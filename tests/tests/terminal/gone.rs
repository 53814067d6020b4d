//! A terminal that is closed under programs that ignore the hang-up, as under nohup(1).

use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::network::Network;
use letschat_tests::person::Person;
use letschat_tests::programs::{NO_SETTINGS, foreign_settings, program};
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use serde_json::json;
use tempfile::TempDir;

/// Starts a client that ignores hang-ups. Its folder may have been used before.
fn deaf_client(server: &TestServer, data: TempDir, flags: &[&str]) -> Person {
    let shell = Command::new("sh").args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    let shell = foreign_settings().into_iter().fold(shell, |shell, name| shell.env_remove(name));
    let shell = shell
        .arg(program("letschat"))
        .args(["--server", &server.address.to_string(), "--peer-port", "0"])
        .args(flags)
        .arg("--data")
        .arg(data.path())
        .env("LETSCHAT_CONFIG", NO_SETTINGS);
    Person::run(shell, "alice", data)
}

fn account(server: &TestServer) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let location = server.address.to_string();
    let mut before = TestClient::start_in(data, &location, "alice", &["--accept-new-server"]);
    before.sign_up_and_log_in();
    before.process.end_input();
    assert_eq!(before.process.exit_code(), 0);
    before.data
}

#[test]
fn client_ends_in_order_with_its_terminal_without_a_signal() {
    for flags in [&[][..], &["--full"], &["--plain"], &["--json"]] {
        let server = TestServer::start(&[]);
        let mut alice = deaf_client(&server, account(&server), flags);
        server.wait_log("datagrams reach alice");
        let mut bob = TestClient::join(&server, "bob");
        bob.tell("connect", json!({"who": "alice"}));
        alice.sees("bob");
        alice.types("approve");
        bob.wait_event_with("chat_opened", "with", "alice");
        let begin = Instant::now();
        alice.closes_the_terminal();
        // Otherwise the client is cut short after eight seconds.
        assert!(begin.elapsed() < Duration::from_secs(7), "{flags:?}: {:?}", begin.elapsed());
        let closed = bob.wait_event_with("chat_closed", "with", "alice");
        assert_eq!(closed["reason"], "peer_ended", "{flags:?}");
        server.wait_log("alice left: said QUIT");
    }
}

#[test]
fn a_client_ends_while_it_waits_for_a_server_or_asks_a_question() {
    for flags in [&[][..], &["--full"], &["--plain"]] {
        // The client asks for a password.
        let server = TestServer::start(&[]);
        let mut alice = deaf_client(&server, account(&server), flags);
        alice.sees("Logged in as alice");
        alice.types("passwd");
        alice.sees("Your present password:");
        alice.closes_the_terminal_by("\r");
        server.wait_log("alice left: said QUIT");
    }
    // The client retries a server that is gone for a long time.
    let mut server = TestServer::start(&[]);
    let data = account(&server);
    server.stop();
    let mut alice = deaf_client(&server, data, &["--plain", "--as", "alice"]);
    alice.sees("Trying again");
    alice.closes_the_terminal();
}

#[test]
fn the_first_question_of_all_ends_with_its_terminal() {
    let data = tempfile::tempdir().unwrap();
    // The first run looks for servers on the local network.
    let (_network, by) = Network::alone();
    let shell = Command::new("sh").args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    let shell = foreign_settings().into_iter().fold(shell, |shell, name| shell.env_remove(name));
    let shell = shell
        .args(&by)
        .arg(program("letschat"))
        .args(["--peer-port", "0"])
        .env("XDG_CONFIG_HOME", data.path())
        .env("XDG_DATA_HOME", data.path());
    let mut alice = Person::run(shell, "alice", data);
    alice.sees("Server (empty: 127.0.0.1:4400, this machine's):");
    assert_eq!(alice.closes_the_terminal(), 0);
}
