//! A class with five clients, whose server ends and comes back.

use std::fs;

use letschat_tests::person::{Person, Window};
use letschat_tests::ports::free_port;
use letschat_tests::programs::{NO_SETTINGS, foreign_settings, program};
use pty_process::blocking::Command;
use tempfile::TempDir;
use vt100::Screen;

use crate::recording;

const SERVER_WINDOW: Window = Window { rows: 11, columns: 80 };
const CLIENT_WINDOW: Window = Window { rows: 13, columns: 80 };

/// Returns the final screens of the server, of three of the clients, and of the server that came back, and the file of
/// clients.
pub(crate) fn play() -> Vec<(String, Screen)> {
    let (data, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let port = free_port().to_string();
    let server = serves(&data, &port);
    let mut class = Vec::new();
    let mut peer_ports = Vec::new();
    for id in 1..=5 {
        let peer_port = free_port();
        class.push(joins(&shared, &port, id, peer_port));
        peer_ports.push(peer_port);
        for person in class.iter().chain([&server]) {
            person.sees(&format!("Client {id}: initiated"));
        }
    }
    let all_see = |class: &[Person], words: &str| class.iter().for_each(|one| one.sees(words));
    class[1].types("hello");
    all_see(&class, "Client 2: hello");
    server.sees("Client 2: hello");
    server.types("good day");
    all_see(&class, "Server: good day");
    server.types("Exit");
    all_see(&class, "Server: terminated.");
    class[0].types("still there?");
    all_see(&class, "Client 1: still there?");
    class[2].types("sure");
    all_see(&class, "Client 3: sure");
    let again = serves(&data, &port);
    all_see(&class, "Server: initiated");
    (1..=5).for_each(|id| again.sees(&format!("Client {id}: reconnected")));
    class.iter().for_each(|person| person.is_prompted("→ everyone> "));

    let title = "letschat-server --classroom";
    let mut windows = vec![(title.to_owned(), server.looks_at_the_screen())];
    for (place, person) in class.iter().take(3).enumerate() {
        let id = place + 1;
        windows.push((format!("letschat {id} 500{id} 600{id}"), person.looks_at_the_screen()));
    }
    windows.push((title.to_owned(), again.looks_at_the_screen()));
    let mut clients = fs::read_to_string(data.path().join("clients.txt")).unwrap();
    // The titles have the usual ports, which may not be free here.
    for (id, port) in (1..).zip(peer_ports) {
        clients = clients.replace(&format!(" {port}\n"), &format!(" 600{id}\n"));
    }
    windows.push(("clients.txt".into(), recording::short_screen(&clients)));
    windows
}

fn serves(data: &TempDir, port: &str) -> Person {
    let command = fresh("letschat-server")
        .args(["--classroom", "--port", port, "--data"])
        .arg(data.path())
        .env("LETSCHAT_SERVER_CONFIG", NO_SETTINGS);
    let server = Person::run_at(command, "server", tempfile::tempdir().unwrap(), SERVER_WINDOW);
    server.sees("fingerprint");
    server
}

fn joins(shared: &TempDir, port: &str, id: u16, peer_port: u16) -> Person {
    let command = fresh("letschat")
        .args([id, free_port(), peer_port].map(|word| word.to_string()))
        .args(["--server", &format!("127.0.0.1:{port}"), "--data"])
        .arg(shared.path())
        .env("LETSCHAT_CONFIG", NO_SETTINGS)
        .env_remove("NO_COLOR");
    Person::run_at(command, &id.to_string(), tempfile::tempdir().unwrap(), CLIENT_WINDOW)
}

fn fresh(name: &str) -> Command {
    foreign_settings()
        .into_iter()
        .fold(Command::new(program(name)), |command, name| command.env_remove(name))
}
