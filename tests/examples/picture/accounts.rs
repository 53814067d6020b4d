//! An operator imports a CSV file beside a running server; two people log in, and one broadcasts.

use std::fs;

use letschat_tests::client::PASSWORD;
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::recording;

const WINDOW: Window = Window { rows: 21, columns: 80 };

/// Returns the final screens of the operator, Alice and Bob.
pub(crate) fn play() -> [(String, Screen); 3] {
    let server = TestServer::start(&[]);
    let csv = format!("username,password\nalice,{PASSWORD}\nbob,{PASSWORD}\n");
    let file = server.data.path().join("accounts.csv");
    fs::write(&file, &csv).unwrap();
    let mut command = letschat_server(server.data.path());
    let imported = run(command.args(["account", "import"]).arg(&file), "").ok();
    let typed = [
        format!("$ cat accounts.csv\n{csv}"),
        format!("$ letschat-server account import accounts.csv\n{imported}"),
    ];
    let alice = logs_in(&server, "alice");
    let bob = logs_in(&server, "bob");
    alice.types("broadcast Lunch at noon");
    alice.sees("alice (you) to all: Lunch at noon");
    alice.is_prompted("letschat> ");
    bob.sees("alice to all: Lunch at noon");
    bob.is_prompted("letschat> ");
    let people = [&alice, &bob].map(|person| (person.name.clone(), person.looks_at_the_screen()));
    let [alice, bob] = people;
    [("the operator".into(), recording::short_screen(&typed.concat())), alice, bob]
}

fn logs_in(server: &TestServer, name: &str) -> Person {
    let data = tempfile::tempdir().unwrap();
    let person = Person::sit_down_at(server, name, data, WINDOW, &[], &[]);
    person.is_prompted("Do you have an account here (y/n)? ");
    person.types("y");
    person.sees("Your name:");
    person.types(name);
    person.sees("Password");
    person.types(PASSWORD);
    person.sees(&format!("Logged in as {name}"));
    person.is_prompted("letschat> ");
    person
}
