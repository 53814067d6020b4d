//! The commands of the direct chat, with a database server at the default port.

use std::fs;

use letschat_tests::client::PASSWORD;
use letschat_tests::machine::Machine;
use letschat_tests::mysql_server::Throwaway;

use crate::{commands, join, section, table};

#[test]
fn direct_chat_goes_as_the_document_tells() {
    let test = "direct_chat_goes_as_the_document_tells";
    let Some(machine) = Machine::of(test) else { return };
    let title = "Direct chat with broadcasts";
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let [databases, operators, alices, bobs] = &folders;
    let setup = databases.path().join("setup.sql");
    let statements = format!(
        "CREATE USER chat@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON letschat.* TO chat@'%';\n"
    );
    fs::write(&setup, statements).unwrap();
    let started = Throwaway::start_by(&machine.by(), databases, 3306, &setup, test);
    let Some(_database) = started else { return };
    let password = operators.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    let [server, client] = commands(title)[..] else { panic!("two commands are there") };
    let command = server.replace("FILE", password.to_str().unwrap());
    let operator = machine.types(&command, operators.path());
    operator.sees("listening on");
    let alice = join(&machine, client, "alice", alices.path());
    let bob = join(&machine, client, "bob", bobs.path());
    let cast = [("Alice", &alice), ("Bob", &bob), ("Operator", &operator)];
    table::play(section(title), 0, &cast, str::to_owned);
}
