//! A client of twenty lines, in another language.

use std::process::Command;

use letschat_tests::programs::Running;
use letschat_tests::room::TestRoom;

#[test]
fn python_client_and_ours_hear_each_other() {
    let room = TestRoom::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/open_room/client.py");
    let port = room.port.to_string();
    let mut python = Running::start(Command::new("python3").args([script, "127.0.0.1", &port]));
    python.wait_line("greeting", |line| line == "greeted");
    let mut ours = room.client();
    ours.type_line("hello from Rust");
    ours.wait_line("its own line", |line| line.ends_with(">: hello from Rust"));
    let heard = python.wait_line("our line", |line| line.ends_with(">: hello from Rust"));
    assert!(heard.starts_with("<From 127.0.0.1:"), "{heard}");
    python.type_line("grüße from Python");
    for client in [&mut python, &mut ours] {
        client.wait_line("its line", |line| line.ends_with(">: grüße from Python"));
    }
}
