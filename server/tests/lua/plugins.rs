//! Plugins of a line client at a terminal.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use crate::client::TestClient;
use crate::person::{Person, TAB};
use crate::programs::PATIENCE;
use crate::run::shipped;
use crate::server::TestServer;

/// A folder with these plugins.
pub(crate) fn folder(plugins: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in plugins {
        put(folder.path(), name, source);
    }
    folder
}

fn put(folder: &Path, name: &str, source: &str) {
    fs::write(folder.join(format!("{name}.lua")), source).unwrap();
}

fn shipped_plugin(name: &str) -> TempDir {
    folder(&[(name, &fs::read_to_string(shipped(&format!("plugins/{name}.lua"))).unwrap())])
}

/// Somebody who has these plugins, once they are loaded.
pub(crate) fn with(server: &TestServer, plugins: &TempDir) -> Person {
    let flags = ["--plugins", plugins.path().to_str().unwrap()];
    let person = Person::join_with(server, "alice", &flags, &[]);
    person.types("/plugin");
    person.sees(": loaded");
    person
}

const ROLL: &str = "chat.command{name = 'roll', parameters = {'[sides]', '[who]'}, \
                    summary = 'Roll a die.', \
                    run = function(arguments) return 'rolled with ' .. (arguments.sides or 6) end}";

#[test]
fn a_command_of_a_plugin_runs_and_stands_in_help_and_completion() {
    let server = TestServer::start(&[]);
    let alice = with(&server, &folder(&[("dice", ROLL)]));
    alice.sees("dice: loaded, /roll");
    alice.types("roll");
    alice.sees("rolled with 6");
    alice.types("/roll 20");
    alice.sees("rolled with 20");
    alice.types("/roll 20 bob carol");
    alice.sees("Usage: roll [SIDES] [WHO]");
    alice.types("help roll");
    alice.sees("Roll a die.");
    alice.types("/plugin relod dice");
    alice.sees("action must be list or load or unload or reload.");
    alice.types("list");
    alice.sees("127.0.0.1");
    alice.press(&format!("/rol{TAB}"));
    alice.is_hinted("letschat> /roll ", "[SIDES] [WHO]");
    alice.press(&format!("20 al{TAB}"));
    alice.is_prompted("letschat> /roll 20 alice ");
}

#[test]
fn a_built_in_name_and_anothers_are_not_to_be_had() {
    let server = TestServer::start(&[]);
    let take = |name: &str| format!("chat.command{{name = '{name}', run = print}}");
    let plugins =
        folder(&[("a", ROLL), ("b", &take("roll")), ("c", &take("list")), ("d", &take("exit"))]);
    let alice = with(&server, &plugins);
    alice.sees("roll is a command of the plugin a.");
    alice.sees("list is a command of the client");
    alice.sees("exit is a command of the client");
    alice.types("/plugin");
    alice.sees("b: not loaded");
}

#[test]
fn unloading_leaves_nothing_behind() {
    let server = TestServer::start(&[]);
    let noisy = "chat.filter('send', function(m) return {text = 'changed'} end)\n\
                 chat.on('message', function() chat.print('heard') end)\n\
                 chat.every(0.02, function() pcall(chat.say, 'tick') end)\n";
    let alice = with(&server, &folder(&[("noisy", &format!("{noisy}{ROLL}"))]));
    let is_there = |alice: &Person| alice.threads().contains(&"plugin noisy".to_owned());
    assert!(is_there(&alice), "{:?}", alice.threads());
    alice.types("/plugin unload noisy");
    alice.sees("noisy is gone.");
    let until = Instant::now() + PATIENCE;
    while is_there(&alice) {
        assert!(Instant::now() < until, "its thread goes on: {:?}", alice.threads());
        std::thread::yield_now();
    }
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    alice.types("as typed");
    bob.wait_event_with("message", "text", "as typed");
    bob.ok("say", json!({"text": "hello"}));
    alice.sees("hello");
    alice.types("/roll");
    alice.sees("There is no such command");
    assert!(!alice.screen().contains("heard"), "{}", alice.screen());
    assert!(bob.all(|line| line["text"] == "tick" || line["text"] == "changed").is_empty());
}

#[test]
fn a_reload_keeps_the_state_and_the_old_one_if_the_new_one_is_broken() {
    let server = TestServer::start(&[]);
    let version = |number: u8| {
        format!(
            "local count = 0\n\
             chat.command{{name = 'count', run = function() count += 1\n\
               return 'version {number} counts ' .. count end}}\n\
             function save() return {{count = count}} end\n\
             function restore(state) count = state.count end\n"
        )
    };
    let plugins = folder(&[("counter", &version(1))]);
    let alice = with(&server, &plugins);
    alice.types("/count");
    alice.sees("version 1 counts 1");
    put(plugins.path(), "counter", "local = broken");
    alice.types("/plugin reload counter");
    alice.sees("counter is not loaded:");
    alice.types("/count");
    alice.sees("version 1 counts 2");
    put(plugins.path(), "counter", "error('at once')");
    alice.types("/plugin reload counter");
    alice.sees("at once");
    put(plugins.path(), "counter", &version(2));
    alice.types("/plugin reload counter");
    alice.sees("counter is loaded anew.");
    alice.types("/count");
    alice.sees("version 2 counts 3");
}

#[test]
fn filters_change_and_hold_back_in_their_order() {
    let server = TestServer::start(&[]);
    let adds = |word: &str, priority: i8| {
        format!(
            "chat.filter('send', function(m)\n\
               if m.text == 'secret' then return chat.DROP end\n\
               return {{text = m.text .. ' {word}'}} end, {{priority = {priority}}})\n\
             chat.filter('show', function(m)\n\
               if m.text == 'spam' then return chat.DROP end\n\
               return {{text = m.text .. ' {word}'}} end)"
        )
    };
    let plugins = folder(&[("a", &adds("a", 5)), ("b", &adds("b", 0)), ("c", &adds("c", -5))]);
    let alice = with(&server, &plugins);
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    alice.types("secret");
    alice.sees("A plugin has held it back");
    alice.types("hello");
    bob.wait_event_with("message", "text", "hello c b a");
    for text in ["spam", "welcome"] {
        bob.ok("say", json!({"text": text}));
    }
    alice.sees("welcome a b c");
    assert!(!alice.screen().contains("spam"), "{}", alice.screen());
}

#[test]
fn a_filter_that_takes_too_long_changes_nothing_and_is_ended() {
    let server = TestServer::start(&[]);
    let slow = "chat.filter('send', function(m) chat.sleep(10) return {text = 'late'} end)";
    let alice = with(&server, &folder(&[("slow", slow)]));
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    for number in 1..=6 {
        let text = format!("line {number}");
        alice.types(&text);
        bob.wait_event_with("message", "text", &text);
    }
    alice.sees("its filter took more than 20 ms: the end.");
    alice.types("/plugin");
    alice.sees("slow: ended");
}

#[test]
fn a_plugin_that_fails_too_often_is_ended_and_can_be_loaded_again() {
    let server = TestServer::start(&[]);
    let plugins =
        folder(&[("wrong", "chat.command{name = 'fail', run = function() error('no') end}")]);
    let alice = with(&server, &plugins);
    for failures in 1..=5 {
        alice.types("/fail");
        alice.sees_times("The plugin has failed", failures);
    }
    alice.sees("5 errors are too many");
    alice.types("/plugin");
    alice.sees("wrong: ended");
    alice.types("/plugin load wrong");
    alice.sees("wrong is loaded.");
}

#[test]
fn without_plugins_there_are_none() {
    let server = TestServer::start(&[]);
    let alice = Person::join_with(&server, "alice", &["--no-plugins"], &[]);
    alice.types("/plugin list");
    alice.sees("not with --no-plugins");
}

#[test]
fn notify_rings_when_nothing_was_typed_for_a_while() {
    let server = TestServer::start(&[]);
    let alice = with(&server, &shipped_plugin("notify"));
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    bob.ok("say", json!({"text": "not yet"}));
    alice.sees("not yet");
    alice.types("/notify 0");
    alice.sees("The bell rings for messages after 0 s");
    bob.ok("say", json!({"text": "now"}));
    alice.hears_bells(1);
    alice.types("/notify off");
    alice.sees("The bell stays silent.");
}

#[test]
fn aliases_stand_for_texts_and_are_kept() {
    let server = TestServer::start(&[]);
    let plugins = shipped_plugin("aliases");
    let alice = with(&server, &plugins);
    let mut bob = TestClient::join(&server, "bob");
    alice.types("/alias brb Be right back.");
    alice.sees("brb is: Be right back.");
    alice.types("/plugin reload aliases");
    alice.sees("aliases is loaded anew.");
    alice.chats_with(&mut bob);
    alice.types("brb");
    bob.wait_event_with("message", "text", "Be right back.");
    alice.types("/alias brb -");
    alice.sees("brb is forgotten.");
    alice.types("brb");
    bob.wait_event_with("message", "text", "brb");
}

#[test]
fn away_answers_each_person_once() {
    let server = TestServer::start(&[]);
    let alice = with(&server, &shipped_plugin("away"));
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    alice.types("/away at lunch");
    alice.sees("You are away: at lunch");
    for text in ["one", "two"] {
        bob.ok("say", json!({"text": text}));
    }
    bob.wait_event_with("message", "text", "(away) at lunch");
    alice.types("/back");
    alice.sees("You are back.");
    alice.types("here again");
    bob.wait_event_with("message", "text", "here again");
    assert_eq!(bob.all(|line| line["text"] == "(away) at lunch").len(), 1);
}

#[test]
fn highlight_marks_words_that_others_say() {
    let server = TestServer::start(&[]);
    let alice = with(&server, &shipped_plugin("highlight"));
    let mut bob = TestClient::join(&server, "bob");
    alice.types("/highlight deploy");
    alice.sees("Marked: deploy");
    alice.chats_with(&mut bob);
    bob.ok("say", json!({"text": "Deploy the redeployment, 100%"}));
    alice.sees("*Deploy* the redeployment, 100%");
}
