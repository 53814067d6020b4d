//! Plugins that attack, and a user who notices nothing.

use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::person::Person;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::plugins::{folder, with};

/// The time limit for an answer at the prompt and for a message.
const PROMPT: Duration = Duration::from_millis(100);

/// The number of round trips in one window.
const PROBES: usize = 8;

/// The number of times in a window that must be short. One window must pass, since the machine may be busy
/// with other tests.
const SHORT: usize = PROBES * 2 * 3 / 4;
const WINDOWS: usize = 10;

/// Computes for 100 ms again and again. That fits in a slice, so it continues even on a slow machine.
const BURNS: &str = "local began = os.clock()\n\
    while os.clock() - began < 0.1 do pcall(string.find, string.rep('a', 200), 'a*a*b') end";

/// Fills its memory and frees it.
const HOARDS: &str = "local hoard = {}\n\
    pcall(function() for i = 1, 100 do hoard[i] = string.rep('x', 1e6) .. i end end)";

/// Requests everything available. It prints nothing, since a flood could push the awaited lines off the
/// screen.
const FLOODS: &str = "for i = 1, 10 do\n\
    pcall(chat.store.set, 'key' .. i, string.rep('x', 1e3)) pcall(chat.say, {to = 'nobody'})\n\
    pcall(chat.after, 0.001, function() end) pcall(chat.wait, 'message', nil, {timeout = 0}) end";

/// Misses every filter deadline and loops in every handler until it is ended.
const STALLS: &str = "local function stall() while true do end end\n\
    chat.filter('send', stall) chat.filter('show', stall)\n\
    chat.on('message', stall) chat.every(0.01, stall)";

/// Returns a plugin that repeats `round` and has a command that reports the number of rounds.
fn attacker(name: &str, round: &str) -> String {
    format!(
        "local rounds = 0\n\
         chat.command{{name = '{name}', parameters = {{'[than]'}}, run = function(arguments)\n\
           local than = tonumber(arguments.than or 0)\n\
           while rounds <= than do chat.sleep(0.01) end\n\
           return '{name} is beyond round ' .. than .. '.'\n\
         end}}\n\
         chat.spawn(function() while true do {round}\n rounds += 1 chat.sleep(0.001) end end)"
    )
}

/// Waits until an attacker has completed more rounds than this.
fn goes_on(alice: &Person, name: &str, rounds: usize) {
    alice.types(&format!("/{name} {rounds}"));
    alice.sees(&format!("{name} is beyond round {rounds}."));
}

#[test]
fn the_prompt_answers_while_three_plugins_attack() {
    let server = TestServer::start(&[]);
    let plugins = folder(&[
        ("burns", &attacker("burns", BURNS)),
        ("hoards", &attacker("hoards", HOARDS)),
        ("floods", &attacker("floods", FLOODS)),
        ("stalls", STALLS),
    ]);
    let alice = with(&server, &plugins);
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);

    let attackers = ["burns", "hoards", "floods"];
    for name in attackers {
        goes_on(&alice, name, 0);
    }
    let mut windows = Vec::new();
    let is_well = (0..WINDOWS).any(|number| {
        let times = window(&alice, &mut bob, number);
        let is_well = times.iter().filter(|time| **time < PROMPT).count() >= SHORT;
        windows.push(times);
        is_well
    });
    assert!(is_well, "{windows:#?}");
    // The attackers were active before and still are.
    for name in attackers {
        goes_on(&alice, name, 5);
    }
    alice.types("/plugin");
    alice.sees("stalls: ended");
}

/// Measures the time of a typed line to another client and of an answer to the screen.
fn window(alice: &Person, bob: &mut TestClient, number: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for probe in 0..PROBES {
        let text = format!("line {number}.{probe}.");
        let began = Instant::now();
        alice.types(&text);
        bob.wait_event_with("message", "text", &text);
        times.push(began.elapsed());
        let text = format!("answer {number}.{probe}.");
        let began = Instant::now();
        bob.ok("say", json!({"text": text}));
        alice.sees(&text);
        times.push(began.elapsed());
    }
    times
}
