//! Servers that announce themselves on the local network, on a network of the test's own.

use letschat_tests::network::Network;
use letschat_tests::person::{CTRL_C, CTRL_D, Person};
use letschat_tests::programs::{foreign_settings, program};
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use tempfile::TempDir;

/// The question if nothing was found.
const USUAL: &str = "Server (empty: 127.0.0.1:4400, this machine's): ";

/// The beginning of the list.
const OFFER: &str = "Found there.";

/// A server on the first machine.
fn server(network: &Network, flags: &[&str]) -> TestServer {
    let address = Network::address(1);
    let flags = [&["--listen", &address], flags].concat();
    TestServer::start_by(&network.by(1), &flags)
}

/// Somebody on the second machine whose settings and data are in this folder.
fn person(network: &Network, home: &TempDir, arguments: &[&str]) -> Person {
    let by = network.by(2);
    let command = Command::new(&by[0])
        .args(&by[1..])
        .arg(program("letschat"))
        .args(["--peer-port", "0"])
        .args(arguments)
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .env("XDG_DATA_HOME", home.path().join("data"));
    let fresh =
        foreign_settings().into_iter().fold(command, |command, name| command.env_remove(name));
    Person::run(fresh, "alice", tempfile::tempdir().unwrap())
}

/// Somebody to whom a server was offered. The search lasts two seconds, which a busy machine may need to start programs.
fn finder(network: &Network, home: &TempDir) -> Person {
    let found = (0..10).find_map(|_| {
        let alice = person(network, home, &[]);
        alice.sees("Looking for servers on the local network…");
        alice.sees("Server (");
        alice.bytes().contains(OFFER).then_some(alice)
    });
    found.expect("nothing is found")
}

#[test]
fn announced_server_is_offered_with_its_key() {
    let test = "announced_server_is_offered_with_its_key";
    let Some(network) = Network::of(2, test) else { return };
    let server = server(&network, &["--announce"]);
    server.wait_log("announced on the local network as ");
    let home = tempfile::tempdir().unwrap();
    let mut alice = finder(&network, &home);
    let key = &server.fingerprint;
    let short = [&key[..4], &key[4..8], &key[8..12], &key[12..16]].join(" ");
    alice.sees(&format!("1  {}, key {short}, ", server.address));
    alice.types("1");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("n");
    alice.sees("The name you want");
    alice.types("alice");
    alice.chooses_password();
    alice.sees("Logged in as alice, by password.");
    alice.press(CTRL_D);
    assert_eq!(alice.sees_the_end(), 0);
    let settings = home.path().join("config/letschat/settings.toml");
    let settings = std::fs::read_to_string(settings).unwrap();
    assert!(settings.contains(&server.location()), "{settings}");
}

#[test]
fn stopped_server_withdraws_its_announcement() {
    let test = "stopped_server_withdraws_its_announcement";
    let Some(network) = Network::of(2, test) else { return };
    let mut server = server(&network, &["--announce"]);
    server.wait_log("announced on the local network as ");
    let before = network.multicasts_from(1);
    server.stop();
    assert!(network.multicasts_from(1) > before);
}

#[test]
fn server_without_the_flag_sends_and_answers_nothing() {
    let test = "server_without_the_flag_sends_and_answers_nothing";
    let Some(network) = Network::of(2, test) else { return };
    let _server = server(&network, &[]);
    let home = tempfile::tempdir().unwrap();
    let alice = person(&network, &home, &[]);
    alice.is_prompted(USUAL);
    assert!(network.multicasts_from(2) > 0, "nothing was asked");
    assert_eq!(network.multicasts_from(1), 0);
    assert!(!alice.bytes().contains(OFFER));
}

#[test]
fn named_server_is_not_looked_for_on_the_network() {
    let test = "named_server_is_not_looked_for_on_the_network";
    let Some(network) = Network::of(2, test) else { return };
    let server = server(&network, &[]);
    let (ip, port) = (server.address.ip().to_string(), server.address.port().to_string());
    let home = tempfile::tempdir().unwrap();
    let alice = person(&network, &home, &[&ip, &port]);
    alice.sees("Do you have an account here (y/n)?");
    let plain = person(&network, &home, &["--plain"]);
    plain.sees("`/signup NAME` makes an account");
    assert_eq!(network.multicasts_from(2), 0);
}

#[test]
fn machine_without_a_network_is_asked_as_before() {
    let test = "machine_without_a_network_is_asked_as_before";
    let Some(network) = Network::of(2, test) else { return };
    network.cut_off(2);
    let home = tempfile::tempdir().unwrap();
    let alice = person(&network, &home, &[]);
    alice.is_prompted(USUAL);
    assert!(!alice.bytes().contains(OFFER));
}

#[test]
fn ctrl_c_ends_the_search() {
    let Some(network) = Network::of(2, "ctrl_c_ends_the_search") else { return };
    let home = tempfile::tempdir().unwrap();
    let mut alice = person(&network, &home, &[]);
    alice.sees("Looking for servers on the local network…");
    alice.press(CTRL_C);
    alice.sees_the_end();
    assert!(!alice.bytes().contains("Server ("));
}
