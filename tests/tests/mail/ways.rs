//! The same command at the prompt, in plain lines and in Lua.

use std::fs;
use std::process::{Command, Stdio};

use letschat_tests::client::TestClient;
use letschat_tests::programs::{Running, program, without_settings};
use letschat_tests::server::TestServer;
use serde_json::json;

use super::*;

#[test]
fn plain_lines_send_messages() {
    let (server, mut alice, bob) = friends(&[]);
    let data = leave(bob);
    let mut plain = Command::new(program("letschat"));
    without_settings(&mut plain);
    plain.args(["--plain", "--server", &server.location(), "--data"]).arg(data.path());
    let mut bob = Running::start_with_input(&mut plain, Stdio::piped());
    bob.wait_line("login", |line| line.starts_with("Logged in as bob"));
    bob.type_line("send alice from plain lines");
    wait_mail(&mut alice, "from plain lines");
    send(&mut alice, "bob", "to plain lines");
    bob.wait_line("message", |line| line == "alice: to plain lines");
    bob.type_line("msg alice by its other name");
    wait_mail(&mut alice, "by its other name");
    bob.type_line("send nobody hello");
    bob.wait_errors("Nobody has that name here");
}

#[test]
fn lua_sends_and_receives_messages() {
    let server = TestServer::start(&[]);
    let mut bob = TestClient::join(&server, "bob");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mail.lua");
    fs::write(
        &script,
        r#"
        local password = "correct horse battery"
        chat.signup{username = "alice", password = password}
        chat.login{username = "alice", password = password}
        local sent = chat.send{to = "bob", text = "from lua"}
        assert(sent.state == "sent" and sent.via == "server", sent.state)
        local answer = chat.wait("message", { from = "bob" }, { timeout = 20 })
        assert(answer.text == "to lua" and answer.via == "server", answer.text)
        local ok, failure = pcall(chat.send, {to = "nobody", text = "hello"})
        assert(not ok and failure.code == "unknown_user", tostring(failure))
        print("done")
        "#,
    )
    .unwrap();
    let mut alice = Command::new(program("letschat"));
    without_settings(&mut alice);
    alice.args(["--server", &server.location(), "--no-login", "--data"]).arg(folder.path());
    alice.arg("--script").arg(&script);
    let mut alice = Running::start(&mut alice);
    bob.wait_event_with("request", "kind", "message");
    bob.ok("approve", json!({}));
    wait_mail(&mut bob, "from lua");
    send(&mut bob, "alice", "to lua");
    alice.wait_line("end", |line| line == "done");
}
