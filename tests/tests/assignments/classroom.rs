//! The commands of the classroom.

use std::fs;

use letschat_tests::machine::Machine;
use letschat_tests::person::Person;

use crate::commands;

#[test]
fn commands_of_the_document_make_a_class() {
    let test = "commands_of_the_document_make_a_class";
    let Some(machine) = Machine::of(test) else { return };
    let home = tempfile::tempdir().unwrap();
    let commands = commands("The classroom");
    let mut server = machine.types(commands[0], home.path());
    server.sees("listening on 127.0.0.1:4400");
    let mut class: Vec<Person> = Vec::new();
    for (command, id) in commands[1..].iter().zip(1..) {
        class.push(machine.types(command, home.path()));
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
    let again = machine.types(commands[0], home.path());
    all_see("Server: initiated");
    (1..=5).for_each(|id| again.sees(&format!("Client {id}: reconnected")));
}
