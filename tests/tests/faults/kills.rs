//! SIGKILL at any moment while people broadcast and chat.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{is_full, quantile, seed, short_or_full, tell};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

use crate::disk_full::is_sound;

/// The time limits from the server's listening until nearly all clients are back, and until all are.
const MOST_WITHIN: Duration = Duration::from_secs(5);
const ALL_WITHIN: Duration = Duration::from_secs(15);

/// The maximum number of broadcasts in progress when the server dies.
const AT_ONCE: usize = 20;

#[test]
fn server_killed_at_any_moment_loses_nothing_acknowledged() {
    let (clients, kills) = short_or_full((8, 20), (16, 200));
    let mut random = fastrand::Rng::with_seed(seed());
    let mut server = TestServer::start(&["--broadcast-burst", "1000000"]);
    let mut crowd = Crowd::gather(&server, clients);
    let mut returns: Vec<Duration> = Vec::new();
    for round in 0..kills {
        crowd.chat(round, "before");
        let told = crowd.broadcast(round);
        let moment = Duration::from_micros(random.u64(..30_000));
        crowd.people[0].wait_within(moment, |_| false);
        server.kill();
        crowd.note_acknowledged(told);
        crowd.chat(round, "without a server");
        server.start_again();
        let listening = Instant::now();
        returns.extend(crowd.come_back(round).map(|at| at.saturating_duration_since(listening)));
    }
    crowd.people[0].ok("broadcast", json!({"text": "end"}));
    let acknowledged = crowd.check_broadcasts();
    crowd.check_chat();
    let told = kills * AT_ONCE;
    assert!((1..told).contains(&acknowledged), "{acknowledged} of {told}: no kill came between");
    server.kill();
    is_sound(&server.data.path().join("letschat.sqlite"));

    let (most, all) = (quantile(&returns, 0.95), quantile(&returns, 1.0));
    assert!(all <= ALL_WITHIN, "it took {all:?} until all were back");
    assert!(most <= MOST_WITHIN || !is_full(), "it took {most:?} until 95 % were back");
    tell(
        "the server killed at any moment",
        &format!("{kills} times, {clients} clients"),
        &format!(
            "{acknowledged} acknowledged broadcasts kept, no number twice, database sound, the chat \
             went on; 95 % back after {most:.1?}, all after {all:.1?}"
        ),
    );
}

/// All users. The first two are in a chat.
struct Crowd {
    people: Vec<TestClient>,
    acknowledged: HashMap<u64, String>,
    said: Vec<String>,
}

impl Crowd {
    fn gather(server: &TestServer, count: usize) -> Crowd {
        let mut people: Vec<TestClient> =
            (0..count).map(|n| TestClient::join(server, &format!("person{n}"))).collect();
        let (one, other) = people.split_at_mut(1);
        one[0].chat_with(&mut other[0]);
        Crowd { people, acknowledged: HashMap::new(), said: Vec::new() }
    }

    /// Sends broadcasts from everyone at once. Returns the sender, the request's number and the text of
    /// each.
    fn broadcast(&mut self, round: usize) -> Vec<(usize, u64, String)> {
        let count = self.people.len();
        let tell = |n: usize| {
            let text = format!("round {round}, number {n}");
            let id = self.people[n % count].tell("broadcast", json!({"text": text}));
            (n % count, id, text)
        };
        (0..AT_ONCE).map(tell).collect()
    }

    fn note_acknowledged(&mut self, told: Vec<(usize, u64, String)>) {
        for (person, id, text) in told {
            if let Some(number) = self.people[person].reply(id)["number"].as_u64() {
                let earlier = self.acknowledged.insert(number, text);
                assert_eq!(earlier, None, "number {number} was given twice");
            }
        }
    }

    /// Sends a message each way in the chat and waits until both arrive.
    fn chat(&mut self, round: usize, when: &str) {
        let text = format!("round {round}, {when}");
        let (one, other) = self.people.split_at_mut(1);
        one[0].says_to(&mut other[0], &text);
        other[0].says_to(&mut one[0], &text);
        self.said.push(text);
    }

    /// Returns the times at which each user was logged in again after `kills` kills and one more. Each then
    /// logs in anew: a user's request resets the backoff that short links cause.
    fn come_back(&mut self, kills: usize) -> impl Iterator<Item = Instant> {
        self.people.iter_mut().map(move |person| {
            let is_back = |line: &Value| line["event"] == "logged_in";
            // One for the first login, and two for each earlier kill.
            let wanted = 2 * kills + 2;
            let times = loop {
                let times = person.all_with_times(is_back);
                if times.len() >= wanted {
                    break times;
                }
                person.wait_event("logged_in");
            };
            person.ok("detach", json!({}));
            person.ok("login", json!({}));
            times[wanted - 1].0
        })
    }

    /// Checks that everybody was shown every acknowledged broadcast under its number, and no number or text
    /// twice.
    fn check_broadcasts(&mut self) -> usize {
        let mut texts: HashMap<u64, String> = HashMap::new();
        for person in &mut self.people {
            for (number, text) in &self.acknowledged {
                let shown = person.wait_event_with("broadcast", "text", text);
                assert_eq!(shown["number"], *number, "{text}");
            }
            person.wait_event_with("broadcast", "text", "end");
            let shown = person.all(|line| line["event"] == "broadcast");
            let mut numbers: Vec<u64> = Vec::new();
            for broadcast in shown {
                let number = broadcast["number"].as_u64().unwrap();
                let text = broadcast["text"].as_str().unwrap().to_owned();
                assert!(!numbers.contains(&number), "{} was shown {number} twice", person.name);
                numbers.push(number);
                let known = texts.entry(number).or_insert_with(|| text.clone());
                assert_eq!(*known, text, "number {number} was given to two texts");
            }
        }
        self.acknowledged.len()
    }

    /// Checks that the chat was not disturbed.
    fn check_chat(&self) {
        for person in &self.people[..2] {
            let messages = person.all(|line| line["event"] == "message");
            let heard: Vec<&str> =
                messages.iter().filter_map(|line| line["text"].as_str()).collect();
            assert_eq!(heard, self.said, "{}", person.name);
            let breaks = ["chat_interrupted", "chat_closed"];
            let broken = person.all(|line| breaks.iter().any(|name| line["event"] == *name));
            assert!(broken.is_empty(), "{broken:?}");
        }
    }
}
