//! The screens of the class, in terminals.

use super::*;
use letschat_tests::person::Person;
use letschat_tests::programs::{NO_SETTINGS, foreign_settings, program};
use pty_process::blocking::Command;

/// Sits down as a client of the class. All of them share a data folder, as on one machine.
fn sits_down(server: &TestServer, id: &str, shared: &TempDir) -> Person {
    let fresh = foreign_settings()
        .into_iter()
        .fold(Command::new(program("letschat")), |command, name| command.env_remove(name));
    let command = fresh
        .args([id, &free_port().to_string(), &free_port().to_string()])
        .args(["--server", &server.address.to_string(), "--data"])
        .arg(shared.path())
        .env_remove("NO_COLOR")
        .env("LETSCHAT_CONFIG", NO_SETTINGS);
    Person::run(command, id, tempfile::tempdir().unwrap())
}

/// Returns the rows of a screen without times and prompt, up to the last that has text.
fn talk(person: &Person) -> Vec<String> {
    let rows = person.all_rows();
    let is_prompt = |row: &String| row.starts_with('→') || row.is_empty();
    let without_time = |row: String| match row.split_once(' ') {
        Some((time, rest)) if time.len() == 8 && time.as_bytes()[2] == b':' => rest.to_owned(),
        _ => row,
    };
    rows.into_iter().filter(|row| !is_prompt(row)).map(without_time).collect()
}

#[test]
fn five_screens_show_the_class_from_first_to_last() {
    let mut server = TestServer::start(&["--classroom"]);
    let shared = tempfile::tempdir().unwrap();
    let mut class = Vec::new();
    for id in 1..=5 {
        let person = sits_down(&server, &id.to_string(), &shared);
        person.sees(&format!("Client {id}: initiated"));
        person.is_prompted("→ everyone> ");
        class.push(person);
        for earlier in &class {
            earlier.sees(&format!("Client {id}: initiated"));
        }
    }
    class[1].types("hello");
    class.iter().for_each(|person| person.sees("Client 2: hello"));
    server_shows(&mut server, "Client 2: hello");
    server.process.type_line("good day");
    class.iter().for_each(|person| person.sees("Server: good day"));
    server.process.type_line("exit");
    assert_eq!(server.process.exit_code(), 0);
    class.iter().for_each(|person| person.sees("Server: terminated."));
    class[4].types("still there?");
    class.iter().for_each(|person| person.sees("Client 5: still there?"));
    server.start_again();
    class.iter().for_each(|person| person.sees("Server: initiated"));
    for id in 1..=5 {
        server_shows(&mut server, &format!("Client {id}: reconnected"));
    }
    class[0].types("welcome back");
    class.iter().for_each(|person| person.sees("Client 1: welcome back"));
    let mut expected: Vec<String> = (1..=5).map(|id| format!("Client {id}: initiated")).collect();
    let rest = [
        "Client 2: hello",
        "Server: good day",
        "Server: terminated.",
        "Client 5: still there?",
        "Server: initiated",
        "Client 1: welcome back",
    ];
    expected.extend(rest.map(str::to_owned));
    for (id, person) in class.iter().enumerate() {
        person.is_prompted("→ everyone> ");
        assert_eq!(talk(person), expected[id..], "client {}", id + 1);
    }
}
