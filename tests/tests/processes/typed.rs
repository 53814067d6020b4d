//! Typed lines in plain mode and in `--json`: messages and commands are never confused.

use std::process::Command;

use letschat_tests::client::TestClient;
use letschat_tests::programs::{Running, program, without_settings};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "all right, the code of the safe is 4711";

/// A user with an account who types lines into a client with these flags.
struct Typing {
    process: Running,
    name: String,
    _data: TempDir,
}

impl Typing {
    fn join(server: &TestServer, name: &str, flags: &[&str]) -> Typing {
        let mut before = TestClient::start(server, name);
        before.sign_up_and_log_in();
        before.process.end_input();
        assert_eq!(before.process.exit_code(), 0);
        let mut command = Command::new(program("letschat"));
        without_settings(&mut command);
        command.args(["--peer-port", "0", "--server", &server.location(), "--as", name, "--data"]);
        command.arg(before.data.path()).args(flags);
        let mut process = Running::start(&mut command);
        process.wait_line("login", |line| is_in(line, "Logged in as", "\"logged_in\""));
        Typing { process, name: name.to_owned(), _data: before.data }
    }

    fn types(&mut self, line: &str) {
        self.process.type_line(line);
    }

    /// Requests a chat, which the other user approves.
    fn chats_with(&mut self, other: &mut TestClient, command: &str) {
        self.types(&format!("{command} {}", other.name));
        other.wait_event_with("request", "from", &self.name);
        other.ok("approve", json!({"who": self.name}));
        self.sees_opened(&other.name);
        other.wait_event_with("chat_opened", "with", &self.name);
    }

    fn sees_opened(&mut self, name: &str) {
        let (plain, event) = (format!("Chat with {name} is open"), opened(name));
        self.process.wait_line("chat", |line| is_in(line, &plain, &event));
    }
}

fn opened(name: &str) -> String {
    format!("\"chat_opened\",\"with\":\"{name}\"")
}

fn is_in(line: &str, plain: &str, json: &str) -> bool {
    line.contains(plain) || line.contains(json)
}

const FRONT_ENDS: [&[&str]; 2] = [&["--plain"], &["--json"]];

#[test]
fn text_is_no_command_after_the_other_side_left() {
    for flags in FRONT_ENDS {
        let server = TestServer::start(&[]);
        let mut alice = Typing::join(&server, "alice", flags);
        let mut bob = TestClient::join(&server, "bob");
        alice.chats_with(&mut bob, "connect");
        alice.types("hello");
        bob.wait_event_with("message", "text", "hello");
        bob.ok("disconnect", json!({}));
        let over = |line: &str| is_in(line, "has ended the chat", "\"chat_closed\"");
        alice.process.wait_line("end", over);
        // Text goes on to bob, through the server.
        let texts = [
            (SECRET, SECRET),
            ("broadcast it", "broadcast it"),
            ("//all", "/all"),
            ("quit", "quit"),
        ];
        for (typed, said) in texts {
            alice.types(typed);
            let heard = bob.wait_event("message");
            assert_eq!((&heard["text"], &heard["via"]), (&json!(said), &json!("server")));
        }
        alice.types("/broadcast knowingly");
        let heard = bob.wait_event("broadcast");
        assert_eq!(heard["text"], "knowingly", "{flags:?}");
        // Leaving the conversation makes lines commands again.
        alice.types("/disconnect");
        alice.types("broadcast plainly");
        assert_eq!(bob.wait_event("broadcast")["text"], "plainly", "{flags:?}");
        alice.types("quit");
        assert_eq!(alice.process.exit_code(), 0, "{}", alice.process.transcript());
    }
}

#[test]
fn text_for_a_chat_that_ended_goes_to_no_other_chat() {
    for flags in FRONT_ENDS {
        let server = TestServer::start(&[]);
        let mut alice = Typing::join(&server, "alice", flags);
        let mut bob = TestClient::join(&server, "bob");
        let mut carol = TestClient::join(&server, "carol");
        alice.chats_with(&mut carol, "connect");
        alice.chats_with(&mut bob, "/connect");
        bob.ok("disconnect", json!({}));
        alice.process.wait_line("end", |line| is_in(line, "has ended", "\"chat_closed\""));
        alice.types(SECRET);
        assert_eq!(bob.wait_event("message")["text"], SECRET, "{flags:?}");
        alice.types("/switch carol");
        alice.types("for carol");
        let heard = carol.wait_event("message");
        assert_eq!(heard["text"], "for carol", "{flags:?}");
        assert!(bob.all(|line| line["event"] == "broadcast").is_empty());
    }
}

#[test]
fn whoever_ends_the_chat_goes_on_with_commands() {
    for flags in FRONT_ENDS {
        let server = TestServer::start(&[]);
        let mut alice = Typing::join(&server, "alice", flags);
        let mut bob = TestClient::join(&server, "bob");
        alice.chats_with(&mut bob, "connect");
        for line in ["hello", "/disconnect", "broadcast over", "quit"] {
            alice.types(line);
        }
        assert_eq!(bob.wait_event("broadcast")["text"], "over", "{flags:?}");
        assert_eq!(alice.process.exit_code(), 0, "{}", alice.process.transcript());
    }
}

#[test]
fn text_goes_to_the_chat_that_was_asked_for() {
    for flags in FRONT_ENDS {
        let server = TestServer::start(&[]);
        let mut alice = Typing::join(&server, "alice", flags);
        let mut bob = TestClient::join(&server, "bob");
        let mut carol = TestClient::join(&server, "carol");
        let mut dave = TestClient::join(&server, "dave");
        alice.chats_with(&mut bob, "connect");
        alice.chats_with(&mut carol, "/connect");
        alice.types("secret for carol");
        carol.wait_event_with("message", "text", "secret for carol");
        // A newly approved chat does not receive the text.
        dave.tell("connect", json!({"who": "alice"}));
        alice.process.wait_line("request", |line| is_in(line, "dave at", "\"request\""));
        alice.types("/approve dave");
        alice.sees_opened("dave");
        alice.types("more for carol");
        carol.wait_event_with("message", "text", "more for carol");
        alice.types("/connect bob");
        alice.types("for bob");
        bob.wait_event_with("message", "text", "for bob");
        for other in [&mut bob, &mut dave] {
            assert!(other.all(|line| line["text"] == "secret for carol").is_empty());
        }
    }
}

#[test]
fn json_that_is_no_object_is_said_to_nobody() {
    let server = TestServer::start(&[]);
    let mut alice = Typing::join(&server, "alice", &["--json"]);
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob, "connect");
    let passwd = r#"{"command":"passwd","arguments":{"password":"a secret","new_password":"b"}}"#;
    for line in [
        format!("[{passwd}]"),
        format!("\"{passwd}"),
        format!("\u{200b}{passwd}"),
        passwd.chars().flat_map(|c| ['\0', c]).collect(),
    ] {
        alice.types(&line);
        let refused = |line: &str| line.contains("\"code\":\"malformed\"");
        alice.process.wait_line("refusal", refused);
    }
    // With a byte order mark it is still the object that it looks like.
    alice.types(&format!("\u{feff}{passwd}"));
    alice.process.wait_line("reply", |line| line.contains("\"reply\":\"passwd\""));
    let id = "340282366920938463463374607431768211457";
    alice.types(&format!(r#"{{"id": {id}, "command": "help"}}"#));
    let reply = alice.process.wait_line("reply", |line| line.contains("\"reply\":\"help\""));
    assert!(reply.contains(&format!("\"id\":{id},")), "{reply}");
    alice.types("/say [so]");
    assert_eq!(bob.wait_event("message")["text"], "[so]");
    let texts: Vec<Value> = bob.all(|line| line["event"] == "message");
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn a_bare_broadcast_is_a_mistake_where_nobody_types() {
    let server = TestServer::start(&[]);
    let mut alice = Typing::join(&server, "alice", &["--json"]);
    for line in ["broadcast", "all", "{\"command\": \"broadcast\"}"] {
        alice.types(line);
        let reply =
            alice.process.wait_line("reply", |line| line.contains("\"reply\":\"broadcast\""));
        assert!(reply.contains("bad_arguments"), "{reply}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_plain_line() {
    let server = TestServer::start(&[]);
    let mut alice = Typing::join(&server, "alice", &["--plain"]);
    alice.types("\u{feff}status");
    alice.process.wait_line("status", |line| line.contains("You are: alice"));
}

#[test]
fn conversation_of_a_program_stays_current_after_its_chat() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut others = ["bob", "carol"].map(|name| TestClient::join(&server, name));
    for other in &mut others {
        other.tell("connect", json!({"who": "alice"}));
        alice.wait_event_with("request", "from", &other.name);
        alice.ok("approve", json!({"who": other.name}));
        alice.wait_event_with("chat_opened", "with", &other.name);
        alice.ok("say", json!({"text": "hello", "to": other.name}));
        other.wait_event_with("message", "text", "hello");
        other.ok("disconnect", json!({}));
        alice.wait_event_with("chat_closed", "with", &other.name);
    }
    // The first one was never left.
    let said = alice.ok("say", json!({"text": "one more thing"}));
    assert_eq!((&said["to"], &said["via"]), (&json!("bob"), &json!("server")));
    others[0].wait_event_with("message", "text", "one more thing");
    alice.ok("disconnect", json!({}));
    assert_eq!(alice.fails("say", json!({"text": "too late"})), "no_chat");
}
