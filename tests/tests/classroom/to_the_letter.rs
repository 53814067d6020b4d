//! The commands of docs/ASSIGNMENTS.md as they stand there: default ports and folders, on a machine of their own.

use std::fs;

use letschat_tests::network::Network;
use letschat_tests::person::Person;
use letschat_tests::programs::{foreign_settings, program};
use pty_process::blocking::Command;
use tempfile::TempDir;

const DOCUMENT: &str = include_str!("../../../docs/ASSIGNMENTS.md");

/// Returns the commands of the section about the classroom: the server's, and those of the clients.
fn commands() -> Vec<&'static str> {
    let section = DOCUMENT.split("## The classroom").nth(1).unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    block.lines().collect()
}

/// Types a command in a terminal of its own.
fn types(command: &str, network: &Network, home: &TempDir) -> Person {
    let words: Vec<&str> = command.split(' ').collect();
    let by = network.by(1);
    let fresh = Command::new(&by[0]).args(&by[1..]).arg(program(words[0])).args(&words[1..]);
    let fresh =
        foreign_settings().into_iter().fold(fresh, |command, name| command.env_remove(name));
    let fresh = fresh
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME")
        .env_remove("NO_COLOR")
        .env("HOME", home.path());
    Person::run(fresh, command, tempfile::tempdir().unwrap())
}

#[test]
fn commands_of_the_document_make_a_class() {
    let test = "commands_of_the_document_make_a_class";
    let Some(network) = Network::of(1, test) else { return };
    let home = tempfile::tempdir().unwrap();
    let commands = commands();
    let mut server = types(commands[0], &network, &home);
    server.sees("listening on 127.0.0.1:4400");
    let mut class: Vec<Person> = Vec::new();
    for (command, id) in commands[1..].iter().zip(1..) {
        class.push(types(command, &network, &home));
        for screen in class.iter().chain([&server]) {
            screen.sees(&format!("Client {id}: initiated"));
        }
    }
    assert_eq!(class.len(), 5);
    let all_see = |words: &str| class.iter().for_each(|client| client.sees(words));
    class[1].types("hello");
    all_see("Client 2: hello");
    server.sees("Client 2: hello");
    server.types("good day");
    all_see("Server: good day");
    let file = home.path().join(".local/share/letschat-server/clients.txt");
    let lines = fs::read_to_string(file).unwrap();
    assert_eq!(lines.lines().nth(2), Some("3 127.0.0.1 6003"), "{lines}");
    server.types("Exit");
    assert_eq!(server.sees_the_end(), 0);
    all_see("Server: terminated.");
    class[0].types("still there?");
    all_see("Client 1: still there?");
    class[3].pastes("one\ntwo\tand\nthree");
    class[3].press("\r");
    all_see("Client 4: three");
    let again = types(commands[0], &network, &home);
    all_see("Server: initiated");
    (1..=5).for_each(|id| again.sees(&format!("Client {id}: reconnected")));
}
