//! Colours, and who wants none.

use letschat_tests::client::TestClient;
use letschat_tests::person::{CTRL_D, Person};
use letschat_tests::programs::{Running, program};
use letschat_tests::server::TestServer;
use serde_json::json;

/// Returns true if a sequence sets a colour or a style. A reset does not count.
fn is_colored(bytes: &str) -> bool {
    let mut sequences = bytes.split("\x1b[").skip(1);
    sequences.any(|sequence| {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic());
        matches!(end, Some(end) if sequence[end..].starts_with('m') && !["", "0"].contains(&&sequence[..end]))
    })
}

fn bytes_of_a_chat(flags: &[&str], environment: &[(&str, &str)]) -> String {
    let server = TestServer::start(&[]);
    let alice = Person::join_with(&server, "alice", flags, environment);
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    bob.ok("say", json!({"text": "hello"}));
    alice.sees("bob: hello");
    alice.is_prompted("→ bob> ");
    alice.bytes()
}

#[test]
fn there_are_colours_unless_they_are_not_wanted() {
    assert!(is_colored(&bytes_of_a_chat(&[], &[])));
    assert!(is_colored(&bytes_of_a_chat(&["--color", "always"], &[("NO_COLOR", "1")])));
    assert!(!is_colored(&bytes_of_a_chat(&[], &[("NO_COLOR", "1")])));
    assert!(!is_colored(&bytes_of_a_chat(&["--color", "never"], &[])));
    assert!(!is_colored(&bytes_of_a_chat(&["--theme", "plain"], &[])));
}

#[test]
fn plain_lines_have_no_control_sequences_even_at_a_terminal() {
    let server = TestServer::start(&[]);
    let data = tempfile::tempdir().unwrap();
    let mut person = Person::sit_down_with(&server, "alice", data, &["--plain"], &[]);
    person.types("help");
    person.sees("End your chats, leave the server and end.");
    person.press(CTRL_D);
    assert_eq!(person.sees_the_end(), 0);
    assert!(!person.bytes().contains('\x1b'), "{:?}", person.bytes());
}

#[test]
fn into_a_pipe_go_plain_lines() {
    let server = TestServer::start(&[]);
    let mut command = std::process::Command::new(program("letschat"));
    let data = tempfile::tempdir().unwrap();
    command.args(["--no-login", "--color", "always", "--server", &server.location(), "--data"]);
    command.arg(data.path()).args(["--peer-port", "0"]);
    let mut process = Running::start(&mut command);
    process.type_line("help");
    process.end_input();
    assert_eq!(process.exit_code(), 0, "{}", process.transcript());
    assert!(!process.transcript().contains('\x1b'), "{}", process.transcript());
}
