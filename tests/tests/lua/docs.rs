//! The Lua blocks of docs/SCRIPTING.md and README.md, run as they are.

use std::fs;

use letschat_lua::check;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::plugins::{folder, with};
use crate::run::{Script, shipped};

const SCRIPTING: &str = include_str!("../../../docs/SCRIPTING.md");
const README: &str = include_str!("../../../README.md");

/// A user who approves every chat, calls newcomers, and greets them.
const BOB: &str = "chat.login('bob')\n\
    chat.on('request', function(request) pcall(chat.approve, request.from) end)\n\
    chat.on('chat_opened', function(chat_) chat.say('hello ' .. chat_.with, {to = chat_.with}) end)\n\
    chat.on('joined', function(joined)\n\
      for _, name in joined.usernames do pcall(chat.connect, name) end\n\
    end)\n\
    chat.watch('on')\n\
    print('bob is here')";

/// Returns the contents of a text's blocks with this fence.
fn blocks(text: &'static str, fence: &str) -> Vec<&'static str> {
    let inside = text.split("```").skip(1).step_by(2);
    inside.filter_map(|part| part.strip_prefix(fence)?.strip_prefix('\n')).collect()
}

#[test]
fn every_block_of_lua_runs() {
    let scripts = blocks(SCRIPTING, "lua");
    assert!(scripts.len() >= 7, "{} blocks", scripts.len());
    for script in scripts {
        let server = TestServer::start(&[]);
        let mut bob = TestClient::start(&server, "bob");
        bob.sign_up_and_log_in();
        bob.process.end_input();
        assert_eq!(bob.process.exit_code(), 0);
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("bob.lua");
        fs::write(&file, BOB).unwrap();
        let mut bob = Script::start_in(bob.data, &server.location(), &file, &[], &[]);
        bob.process.wait_line("word of bob", |line| line == "bob is here");

        let account = format!("{{username = 'robin', password = '{PASSWORD}'}}");
        let login = format!("chat.signup{account} chat.login{account} ");
        let begin = if script.contains("robin\", password") { "" } else { &login };
        let file = files.path().join("block.lua");
        fs::write(&file, format!("{begin}{script}")).unwrap();
        let ended = Script::start(&server.location(), &file, &[]).ends();
        let known = ended.errors.lines().all(|line| line.contains(" warn "));
        assert!(ended.status == 0 && known, "{script}\n{ended:?}");
    }
}

#[test]
fn the_block_of_lua_in_the_readme_runs() {
    let scripts = blocks(README, "lua");
    let [script] = scripts[..] else { panic!("{} blocks", scripts.len()) };
    let server = TestServer::start(&[]);
    let mut robin = TestClient::start(&server, "robin");
    robin.sign_up_and_log_in();
    robin.process.end_input();
    assert_eq!(robin.process.exit_code(), 0);
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("robin.lua");
    fs::write(&file, format!("{script}\nprint('robin is here')")).unwrap();
    let mut robin = Script::start_in(robin.data, &server.location(), &file, &[], &[]);
    robin.process.wait_line("word of robin", |line| line == "robin is here");

    let mut alice = TestClient::join(&server, "alice");
    alice.ok("connect", json!({"who": "robin"}));
    alice.ok("say", json!({"text": "hello"}));
    alice.wait_event_with("message", "text", "you said: hello");
    robin.process.signal("TERM");
    let ended = robin.ends();
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
}

#[test]
fn the_plugin_in_the_text_works() {
    let server = TestServer::start(&[]);
    let plugins = blocks(SCRIPTING, "lua plugin");
    assert_eq!(plugins.len(), 1);
    let plugins = folder(&[("dice", plugins[0])]);
    let alice = with(&server, &plugins);
    alice.types("/roll 1 for luck");
    alice.sees("rolled 1 for luck");
    alice.types("/plugin reload dice");
    alice.sees("dice is loaded anew.");
    // A roll of six sides eventually differs.
    for rolls in 2..=10 {
        alice.types("/roll");
        alice.sees_times("rolled 1 ", rolls);
    }
}

#[test]
fn everything_that_is_shipped_compiles() {
    let mut count = 0;
    for folder in [".", "bots", "demo", "plugins", "tests"] {
        for entry in fs::read_dir(shipped(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "lua") {
                continue;
            }
            assert_eq!(check::file(&path).unwrap(), None, "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 16, "{count} files");
    let told = [blocks(SCRIPTING, "lua"), blocks(SCRIPTING, "lua plugin"), blocks(README, "lua")];
    for block in told.concat() {
        assert_eq!(check::source(block), None, "{block}");
    }
}
