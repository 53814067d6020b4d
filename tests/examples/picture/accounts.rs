//! An operator imports a CSV file beside a running server, and exports the accounts for another one. Two people log in,
//! and one broadcasts.

use std::fs;

use letschat_tests::client::PASSWORD;
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::recording;

const WINDOW: Window = Window { rows: 19, columns: 80 };

/// Returns the final screens of the operator, Alice and Bob.
pub(crate) fn play() -> [(String, Screen); 3] {
    let server = TestServer::start(&[]);
    let good = format!("username,password\nalice,{PASSWORD}\nbob,{PASSWORD}\n");
    let bad = format!("{good}carol,short\n");
    let file = server.data.path().join("accounts.csv");
    let import = |csv: &str| {
        fs::write(&file, csv).unwrap();
        run(letschat_server(server.data.path()).args(["account", "import"]).arg(&file), "")
    };
    let refused = import(&bad).errors;
    let imported = import(&good).ok();
    let exported = run(letschat_server(server.data.path()).args(["account", "export"]), "").ok();
    // Another server takes the hashes.
    let other = tempfile::tempdir().unwrap();
    let hashes = other.path().join("hashes.csv");
    fs::write(&hashes, &exported).unwrap();
    let import_hashes = ["account", "import", hashes.to_str().unwrap()];
    let taken = run(letschat_server(other.path()).args(import_hashes), "").ok();
    // The hashes are longer than a row.
    let exported: String =
        exported.lines().map(|line| line.chars().take(60).collect::<String>() + "\n").collect();
    let typed = [
        format!("$ cat accounts.csv\n{bad}"),
        format!("$ letschat-server account import accounts.csv\n{refused}"),
        format!(
            "$ sed -i '$ d' accounts.csv\n$ letschat-server account import accounts.csv\n{imported}"
        ),
        format!(
            "$ letschat-server account export >hashes.csv\n$ cut -c 1-60 hashes.csv\n{exported}"
        ),
        format!("$ letschat-server --data elsewhere account import hashes.csv\n{taken}"),
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
