//! The commands of the CSV file.

use std::fs;

use letschat_tests::machine::Machine;

use crate::{commands, lines, section};

#[test]
fn csv_file_goes_as_the_document_tells() {
    let Some(machine) = Machine::of("csv_file_goes_as_the_document_tells") else { return };
    let title = "The same with a CSV file of accounts";
    let [import, server, client, export] = commands(title)[..] else {
        panic!("four commands are there")
    };
    let homes = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [operators, alices, bobs] = homes.each_ref().map(tempfile::TempDir::path);
    fs::write(operators.join("accounts.csv"), lines(section(title), "csv").join("\n")).unwrap();

    let mut importing = machine.types(import, operators);
    assert_eq!(importing.sees_the_end(), 0);
    importing.sees("2 imported");
    assert!(section(title).contains("(`2 imported`)"));
    let serving = machine.types(server, operators);
    serving.sees("listening on");
    let command = client.replace("HOST", "127.0.0.1");
    let [alice, bob] =
        [("alice", "correct horse battery", alices), ("bob", "a password, with a comma", bobs)]
            .map(|(name, password, home)| {
                let person = machine.types(&command, home);
                person.sees("Do you have an account here (y/n)?");
                person.types("y");
                person.types(name);
                person.sees("Password");
                person.types(password);
                person.sees(&format!("Logged in as {name}, by password."));
                person
            });
    alice.types("broadcast Lunch at noon");
    bob.sees("alice to all: Lunch at noon");
    let mut exporting = machine.types(export, operators);
    assert_eq!(exporting.sees_the_end(), 0);
    let copy = fs::read_to_string(operators.join("copy.csv")).unwrap();
    assert!(copy.starts_with("username,password_hash\r\nalice,"), "{copy}");
}
