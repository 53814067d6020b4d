//! The bots in `lua/bots`.

use std::fs;
use std::time::Instant;

use letschat_tests::client::TestClient;
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

use crate::run::{NOWHERE, Script, run, shipped};

#[test]
fn echo_lets_everybody_in_and_says_back_what_it_is_told() {
    let server = TestServer::start(&[]);
    let mut echo = Script::bot(&server, "echo", &[], &[]);
    echo.process.wait_line("word of echo", |line| line == "echo is here as echo");
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    for client in [&mut alice, &mut bob] {
        client.ok("connect", json!({"who": "echo"}));
        let text = format!("hello from {}", client.name);
        client.ok("say", json!({"text": text}));
        client.wait_event_with("message", "text", &text);
    }
}

#[test]
fn echo_complains_once_about_a_peer_that_does_not_read() {
    let before = "local handlers, logged, reads = {}, 0, false
        local chat = {
            arguments = {},
            status = function() return { state = 'logged_in', username = 'echo' } end,
            on = function(event, handler) handlers[event] = handler end,
            say = function() if not reads then error('Too many messages wait.') end end,
            log = function(level) if level == 'warn' then logged += 1 end end,
            print = function() end,
        }";
    let after = "local function say(from, times)
            for _ = 1, times do handlers.message({ from = from, text = 'x' }) end
            print(logged)
        end
        say('mallory', 1000)
        say('bob', 1000)
        reads = true
        say('mallory', 1)
        reads = false
        say('mallory', 1000)
        handlers.chat_closed({ with = 'bob' })
        say('bob', 1000)";
    let echo = fs::read_to_string(shipped("bots/echo.lua")).unwrap();
    let ended = run(&format!("{before}\n{echo}\n{after}"));
    assert_eq!((ended.said.as_str(), ended.errors.as_str()), ("1\n2\n2\n3\n4", ""));
}

#[test]
fn echo_comes_back_after_an_idle_timeout() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let mut echo = Script::bot(&server, "echo", &["--return-after-idle"], &[]);
    echo.process.wait_line("word of echo", |line| line.starts_with("echo is here"));
    server.wait_log("idle");
    // She is disconnected too if this takes long.
    let location = server.location();
    let mut alice = TestClient::start_at(&location, "alice", &["--return-after-idle"]);
    alice.sign_up_and_log_in();
    assert_eq!(called_again_and_again(&mut alice, "echo")["with"], "echo");
}

/// Requests a chat until there is one, since the other user is about to log in.
fn called_again_and_again(client: &mut TestClient, who: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let id = client.tell("connect", json!({"who": who}));
        let reply = client.reply(id);
        if reply.get("error").is_none() {
            return reply;
        }
        assert!(Instant::now() < until, "{reply}\n{}", client.process.transcript());
    }
}

#[test]
fn herald_broadcasts_again_and_again() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let herald = Script::bot(&server, "herald", &[], &["0.1", "tea", "time", "--times", "3"]);
    for _ in 0..3 {
        let broadcast = alice.wait_event_with("broadcast", "text", "tea time");
        assert_eq!(broadcast["from"], "herald");
    }
    let ended = herald.ends();
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
    assert_eq!(ended.said.lines().last(), Some("broadcast 3: tea time"));
}

#[test]
fn bots_that_are_called_wrongly_say_how_they_are_used() {
    for (bot, arguments) in [
        ("herald", &[][..]),
        ("herald", &["often"]),
        ("herald", &["often", "tea"]),
        ("herald", &["1"]),
        ("herald", &["0", "tea"]),
        ("herald", &["-1", "tea"]),
        ("herald", &["nan", "tea"]),
        ("herald", &["1e9", "tea"]),
        ("herald", &["1", "tea", "--times"]),
        ("herald", &["1", "tea", "--times", "x"]),
        ("herald", &["1", "tea", "--times", "0"]),
        ("herald", &["1", "tea", "--times", "1.5"]),
        ("herald", &["1", "tea", "--time", "3"]),
        ("echo", &["--loud"]),
        ("echo", &["twice"]),
        ("greeter", &["Hello,", "--once"]),
        ("minutes", &["now"]),
    ] {
        // The bot ends before it logs in.
        let ended = Script::start(NOWHERE, &shipped(&format!("bots/{bot}.lua")), arguments).ends();
        let usage = format!("usage: {bot}.lua");
        assert_eq!((ended.status, ended.errors.as_str()), (2, ""), "{bot} {arguments:?}");
        assert!(ended.said.starts_with(&usage), "{bot} {arguments:?}: {}", ended.said);
        assert_eq!(ended.said.lines().count(), 1, "{bot} {arguments:?}: {}", ended.said);
    }
}

#[test]
fn greeter_welcomes_who_comes_by_name_and_once() {
    let server = TestServer::start(&[]);
    let mut greeter = Script::bot(&server, "greeter", &[], &["Hello,", "NAME!"]);
    greeter.process.wait_line("word of greeter", |line| line == "greeter is here");
    let mut alice = TestClient::join(&server, "alice");
    alice.wait_event_with("broadcast", "text", "Hello, alice!");
    alice.ok("leave", json!({}));
    alice.ok("login", json!({"username": "alice"}));
    let mut bob = TestClient::join(&server, "bob");
    // Earlier ones come by TCP and may be overtaken.
    bob.wait_event_with("broadcast", "text", "Hello, bob!");
    bob.wait_event_with("broadcast", "text", "Hello, alice!");
    let hellos = bob.all(|line| line["text"] == "Hello, alice!");
    assert_eq!(hellos.len(), 1, "{hellos:?}");
}

#[test]
fn minutes_of_a_group_are_kept_on_request() {
    let server = TestServer::start(&[]);
    let mut bot = Script::bot(&server, "minutes", &[], &[]);
    bot.process.wait_line("word of minutes", |line| line == "minutes is here");
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("group", json!({"action": "create", "name": "team"}));
    alice.ok("group", json!({"action": "invite", "name": "team", "who": "minutes"}));
    alice.wait_event_with("group_changed", "change", "joined");
    let mut say = |text: &str| drop(alice.ok("send", json!({"to": "#team", "text": text})));
    say("before");
    say("!minutes");
    say("first");
    say("second\nline");
    say("!minutes");
    let minutes = alice.wait("the minutes", |line| {
        line["event"] == "message" && line["text"].as_str().unwrap_or("").starts_with("Minutes:")
    });
    assert_eq!(minutes["conversation"], "#team");
    let lines: Vec<&str> = minutes["text"].as_str().unwrap().lines().skip(1).collect();
    let said: Vec<&str> = lines.iter().map(|line| &line["12:34 ".len()..]).collect();
    assert_eq!(said, ["alice: first", "alice: second line"]);
}
