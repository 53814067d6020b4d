//! Scripts ended by a signal.

use std::fs;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::run::Script;

/// A user who approves every chat, writes to the store, and waits in every possible way.
const WAITING: &str = "chat.on('message', print)\n\
    chat.spawn(function() local event = chat.wait('joined') print(event.count) end)\n\
    chat.every(0.01, function() pcall(chat.sleep, 100) end)\n\
    chat.store.set('runs', (chat.store.get('runs') or 0) + 1)\n\
    chat.wait('request')\n\
    chat.approve('alice')\n\
    print('waiting ' .. chat.store.get('runs'))\n\
    local message = chat.wait('message')\n\
    print('not reached', message.text)";

/// Starts a script that waits, in a chat with Alice.
fn in_a_chat(server: &TestServer, alice: &mut TestClient, name: &str, before: &str) -> Script {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("waiting.lua");
    let login = format!("{{username = '{name}', password = '{PASSWORD}'}}");
    let login = format!("chat.signup{login}\nchat.login{login}\nprint('here')");
    fs::write(&file, format!("{login}\n{before}\n{WAITING}")).unwrap();
    let mut script = Script::start_in(data, &server.location(), &file, &[], &[]);
    script.process.wait_line("word of its login", |line| line == "here");
    alice.ok("connect", json!({"who": name}));
    script.process.wait_line("word that it waits", |line| line.starts_with("waiting"));
    script
}

#[test]
fn a_signal_ends_a_script_in_order_and_well() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    for (signal, name) in [("TERM", "robin"), ("INT", "wren"), ("HUP", "lark")] {
        let mut script = in_a_chat(&server, &mut alice, name, "");
        script.process.signal(signal);
        let status = script.process.exit_code();
        let said = script.process.transcript();
        assert_eq!((status, script.process.errors().as_str()), (0, ""), "{signal}: {said}");
        assert!(!said.contains("not reached"), "{signal}: {said}");
        // The script closes its chats, so that peers need no timeout.
        let closed = alice.wait_event_with("chat_closed", "with", name);
        assert_eq!(closed["reason"], "peer_ended", "{signal}: {closed}");
        let kept = fs::read_to_string(script.data.path().join("scripts/waiting.json")).unwrap();
        assert!(kept.contains("\"runs\""), "{kept}");
    }
}

#[test]
fn a_signal_does_not_make_good_what_went_wrong_before() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let wrong = "chat.spawn(function() error('before') end)\nchat.sleep(0)";
    let mut script = in_a_chat(&server, &mut alice, "robin", wrong);
    script.process.wait_errors("before");
    script.process.signal("TERM");
    assert_eq!(script.process.exit_code(), 1, "{}", script.process.transcript());
}

#[test]
fn who_is_started_to_outlive_a_hang_up_does() {
    let server = TestServer::start(&[]);
    let nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"].map(str::to_owned);
    let mut alice = TestClient::start_by(&nohup, &server, "alice");
    alice.sign_up_and_log_in();
    alice.process.signal("HUP");
    // This waits long enough for the signal to have ended it.
    for _ in 0..60 {
        alice.ok("list", json!({}));
    }
    alice.quits();
}
