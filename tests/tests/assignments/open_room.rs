//! The commands of the open room.

use letschat_tests::machine::Machine;

use crate::commands;

#[test]
fn open_room_goes_as_the_document_tells() {
    let Some(machine) = Machine::of("open_room_goes_as_the_document_tells") else { return };
    let home = tempfile::tempdir().unwrap();
    let [server, client] = commands("The open room over UDP")[..] else {
        panic!("two commands are there")
    };
    let server = machine.types(server, home.path());
    server.sees("Server Initialized...");
    let client = client.replace("HOST", "127.0.0.1");
    let people = [(); 3].map(|()| machine.types(&client, home.path()));
    people.iter().for_each(|person| person.is_prompted("] "));
    people[0].types("hello");
    for person in &people {
        person.sees("<From 127.0.0.1:");
        person.sees(">: hello");
    }
}
