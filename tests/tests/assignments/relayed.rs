//! The commands of the relayed online chat.

use std::fs;

use letschat_tests::machine::Machine;

use crate::{commands, join, section, table};

/// The size that the document tells of, rounded.
const FILE_BYTES: usize = 12_000;

#[test]
fn relayed_chat_goes_as_the_document_tells() {
    let Some(machine) = Machine::of("relayed_chat_goes_as_the_document_tells") else { return };
    let title = "The relayed online chat";
    let section = section(title);
    let homes = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let [operators, alices, bobs, carols] = homes.each_ref().map(tempfile::TempDir::path);
    for name in ["notes.txt", "plan.txt"] {
        fs::write(alices.join(name), name.repeat(FILE_BYTES / name.len())).unwrap();
    }
    let [server, client] = commands(title)[..] else { panic!("two commands are there") };
    let operator = machine.types(server, operators);
    operator.sees("listening on");
    let alice = join(&machine, client, "alice", alices);
    let bob = join(&machine, client, "bob", bobs);
    let carol = join(&machine, client, "carol", carols);
    let cast = [("Alice", &alice), ("Bob", &bob), ("Carol", &carol)];
    table::play(section, 0, &cast, str::to_owned);
    table::play(section, 1, &cast, |typed| typed.replace("5d1c02aa", &offered(&bob.screen())));
    // The server's terminal, with envelopes of any size.
    let line = "alice -> bob, 1 envelope, ";
    assert!(section.contains(&format!("`{line}")));
    operator.sees(line);
    operator.sees(" bytes, pushed");
}

/// Returns the id of the newest offer on a screen: `/file get` is followed by it.
fn offered(screen: &str) -> String {
    let command = "/file get ";
    let id = screen.rsplit(command).next().filter(|_| screen.contains(command)).unwrap_or_default();
    id.chars().take_while(char::is_ascii_hexdigit).collect()
}
