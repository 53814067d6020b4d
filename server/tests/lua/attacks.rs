//! Plugins that attack, and a user who does not notice.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::TestClient;
use crate::plugins::{folder, with};
use crate::server::TestServer;

/// In which the prompt answers and a message passes.
const PROMPT: Duration = Duration::from_millis(100);

/// Of so many tries most have to be in time: the machine may be busy with other tests.
const TRIES: usize = 15;

/// Computes for nearly all the time that it has, again and again.
const BURNS: &str = "while true do\n\
    local began = os.clock()\n\
    while os.clock() - began < 0.2 do pcall(string.find, string.rep('a', 2000), 'a*a*b') end\n\
    chat.sleep(0)\n end";

/// Fills its memory and lets it go, and prints.
const HOARDS: &str = "while true do\n\
    local hoard = {}\n\
    pcall(function() for i = 1, 1000 do hoard[i] = string.rep('x', 1e6) .. i chat.print(i) end end)\n\
    chat.sleep(0)\n end";

/// Is late with every filter and handles every event with a loop, until that is its end.
const STALLS: &str = "local function stall() while true do end end\n\
    chat.filter('send', stall) chat.filter('show', stall)\n\
    chat.on('message', stall) chat.every(0.01, stall)";

fn in_the_background(source: &str) -> String {
    format!("chat.spawn(function() {source} end)")
}

#[test]
fn the_prompt_answers_while_three_plugins_attack() {
    let server = TestServer::start(&[]);
    let plugins = folder(&[
        ("burns", &in_the_background(BURNS)),
        ("hoards", &in_the_background(HOARDS)),
        ("stalls", &in_the_background(STALLS)),
    ]);
    let alice = with(&server, &plugins);
    let mut bob = TestClient::join(&server, "bob");
    alice.chats_with(&mut bob);

    let mut times = Vec::new();
    for number in 0..TRIES {
        let text = format!("line {number}");
        let began = Instant::now();
        alice.types(&text);
        bob.wait_event_with("message", "text", &text);
        times.push(began.elapsed());
        let began = Instant::now();
        bob.ok("say", json!({"text": format!("answer {number}")}));
        alice.sees(&format!("answer {number}"));
        times.push(began.elapsed());
    }
    times.sort_unstable();
    assert!(times[times.len() / 2] < PROMPT, "{times:?}");
    alice.types("/plugin");
    alice.sees("burns: loaded");
}
