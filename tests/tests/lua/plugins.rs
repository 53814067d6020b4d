//! Plugins of a line client at a terminal.

use std::fs;
use std::path::Path;
use std::time::Instant;

use letschat_tests::client::TestClient;
use letschat_tests::person::{Person, TAB};
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::shipped;

/// Returns a folder with these plugins.
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

/// Starts a client with these plugins and waits until they are loaded.
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
fn what_is_declared_by_a_name_that_means_nothing_is_told() {
    let server = TestServer::start(&[]);
    let plugins = folder(&[
        ("a", "chat.command{name = 'a', run = print, sumary = 'slip'}"),
        ("b", "chat.filter('show', print, {prority = 1})"),
        ("c", "print('and this one is right')"),
    ]);
    let alice = with(&server, &plugins);
    alice.sees("A command takes no sumary; it takes name, parameters, summary, run.");
    alice.sees("A filter takes no prority; it takes priority.");
    alice.sees("and this one is right");
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
fn reload_keeps_the_state_and_a_broken_one_changes_nothing() {
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

/// Repeats an attempt until it succeeds. On a busy machine filters may miss their deadline, so it reloads
/// the plugins to reset the count of misses.
fn in_time(alice: &Person, plugins: &[&str], mut attempt: impl FnMut(usize) -> bool) {
    let is_well = (0..20).any(|number| {
        let is_well = attempt(number);
        for name in plugins.iter().filter(|_| !is_well) {
            alice.types(&format!("/plugin reload {name}"));
            alice.sees(&format!("{name} is loaded anew."));
        }
        is_well
    });
    assert!(is_well, "the filters were never in time");
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
               if string.find(m.text, 'spam') then return chat.DROP end\n\
               return {{text = m.text .. ' {word}'}} end)"
        )
    };
    let plugins = folder(&[("a", &adds("a", 5)), ("b", &adds("b", 0)), ("c", &adds("c", -5))]);
    let alice = with(&server, &plugins);
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    in_time(&alice, &["a", "b", "c"], |number| {
        let before = bob.all(|line| is_message(line, "secret")).len();
        alice.types("secret");
        let text = format!("hello {number}");
        alice.types(&text);
        let hello = bob.wait("message", |line| is_message(line, &text));
        let is_held_back = bob.all(|line| is_message(line, "secret")).len() == before;
        is_held_back && hello["text"] == format!("{text} c b a")
    });
    alice.sees("A plugin has held it back");
    in_time(&alice, &["a", "b", "c"], |number| {
        let (spam, welcome) = (format!("spam {number}"), format!("welcome {number}:"));
        for text in [&spam, &welcome] {
            bob.ok("say", json!({"text": text}));
        }
        alice.sees(&welcome);
        let screen = alice.screen();
        screen.contains(&format!("{welcome} a b c")) && !screen.contains(&spam)
    });
}

fn is_message(line: &Value, beginning: &str) -> bool {
    let text = line["text"].as_str().unwrap_or_default();
    line["event"] == "message" && text.starts_with(beginning)
}

#[test]
fn late_filters_share_one_time_and_their_end_is_said_once() {
    let server = TestServer::start(&[]);
    let slow = "for number = 1, 8 do\n\
                chat.filter('send', function(m) chat.print('begun', number)\n\
                chat.sleep(10) return {text = 'late'} end)\nend";
    let alice = with(&server, &folder(&[("slow", slow)]));
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    for number in 1..=7 {
        let text = format!("line {number}");
        alice.types(&text);
        bob.wait_event_with("message", "text", &text);
    }
    alice.sees("5 times its filters took more than 20 ms: the end.");
    alice.types("/plugin");
    alice.sees("slow: ended");
    let screen = alice.screen();
    assert_eq!(screen.matches("20 ms: the end.").count(), 1, "{screen}");
    assert!(!screen.contains("begun 2"), "{screen}");
}

#[test]
fn what_a_plugin_hands_back_is_measured_first() {
    let server = TestServer::start(&[]);
    let hands = "chat.filter('send', function() return {text = string.rep('x', 1e6)} end)\n\
                 print(pcall(chat.command, {name = 'many', run = print,\n\
                   parameters = table.create(1e6, string.rep('x', 1e6))}))";
    let saves = "function save() local state = {} state.state = state return state end";
    let plugins = folder(&[("hands", hands), ("saves", saves)]);
    let alice = with(&server, &plugins);
    alice.sees("false There are 16 parameters");
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    in_time(&alice, &["hands"], |number| {
        let text = format!("as typed {number}");
        alice.types(&text);
        bob.wait_event_with("message", "text", &text);
        alice.screen().contains("A text has at most 65536 bytes")
    });
    alice.types("/plugin reload saves");
    alice.sees("save: A table that contains itself can't be kept.");
    alice.sees("saves is loaded anew.");
}

#[test]
fn what_a_plugin_keeps_outlasts_reloads_and_the_client() {
    let server = TestServer::start(&[]);
    let keeper = "print('found ' .. tostring(chat.store.get('word')))\n\
                  chat.command{name = 'keep', parameters = {'word'}, run = function(arguments)\n\
                    chat.store.set('word', arguments.word) return 'kept ' .. arguments.word end}\n\
                  function save() chat.store.set('word', chat.store.get('word') .. '-saved') end";
    let plugins = folder(&[("keeper", keeper)]);
    let mut alice = with(&server, &plugins);
    alice.sees("found nil");
    for word in ["one", "two"] {
        alice.types(&format!("/keep {word}"));
        alice.sees(&format!("kept {word}"));
        alice.types("/plugin reload keeper");
        alice.sees(&format!("found {word}"));
    }
    alice.types("/plugin unload keeper");
    alice.sees("keeper is gone.");
    let file = alice.data.path().join("plugins/keeper.json");
    assert!(fs::read_to_string(&file).unwrap().contains("two-saved"));
    alice.types("/plugin load keeper");
    alice.sees("found two-saved");
    alice.types("/keep three");
    alice.sees("kept three");
    alice.types("/quit");
    assert_eq!(alice.sees_the_end(), 0);
    assert!(fs::read_to_string(&file).unwrap().contains("three"));
}

#[test]
fn a_plugin_that_would_wait_for_itself_is_told_at_once() {
    let server = TestServer::start(&[]);
    let tries = |other: &str| {
        format!(
            "for _, action in {{'load', 'reload', 'unload'}} do\n\
             local ok, failure = pcall(chat.plugin, action, '{other}')\n\
             print(action, ok, failure and failure.code) end\n\
             print(chat.plugin('list') ~= nil)"
        )
    };
    let again = "chat.command{name = 'again', run = function() chat.plugin('reload', 'c') end}\n\
                 print('begun')";
    let load = "chat.plugin('load', 'a')";
    let plugins = folder(&[("a", &tries("a")), ("b", load), ("c", again)]);
    let alice = with(&server, &plugins);
    // Consecutive lines of a plugin show its name once, but the login may appear between them.
    for action in ["load", "reload", "unload"] {
        alice.sees(&format!("{action} false plugin"));
    }
    alice.sees("a is loaded; `/plugin reload a` loads it anew.");
    alice.sees("c: begun");
    alice.types("/again");
    alice.sees_times("c: begun", 2);
}

#[test]
fn plugin_that_fails_too_often_is_ended_and_can_come_back() {
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
    // Handlers start in the order of registration, so this output comes after the effects of the message.
    let tells = "\nchat.on('message', function(event) print('heard ' .. event.text) end)";
    let source = fs::read_to_string(shipped("plugins/notify.lua")).unwrap() + tells;
    let alice = with(&server, &folder(&[("notify", &source)]));
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);
    bob.ok("say", json!({"text": "not yet"}));
    alice.sees("heard not yet");
    alice.types("/notify 0");
    alice.sees("The bell rings for messages after 0 s");
    bob.ok("say", json!({"text": "now"}));
    alice.hears_bells(1);
    alice.types("/notify off");
    alice.sees("The bell stays silent.");
    alice.types("/notify inf");
    alice.sees("SECONDS is a number, or off.");
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
    in_time(&alice, &["aliases"], |_| {
        alice.types("brb");
        let heard = bob.wait("message", |line| line["event"] == "message");
        heard["text"] == "Be right back."
    });
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
    in_time(&alice, &["highlight"], |number| {
        let text = format!("the redeployment, {number} %.");
        bob.ok("say", json!({"text": format!("Deploy {text}")}));
        alice.sees(&text);
        alice.screen().contains(&format!("*Deploy* {text}"))
    });
    alice.types("/highlight deploy please");
    alice.sees("`/highlight deploy off` ends that.");
    alice.types("/highlight off");
    alice.sees("`/highlight WORD off` ends WORD.");
    alice.types("/highlight deploy off");
    alice.sees("No words are marked.");
}
