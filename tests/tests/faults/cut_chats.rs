//! A chat's link is cut again and again for a while. Both sides keep sending.

use std::thread;
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{seed, short_or_full, tell};
use letschat_tests::pair::Pair;
use letschat_tests::relay::LinkCondition;
use serde_json::{Value, json};

/// The interval of messages while the link is cut.
const SAYS_EVERY: Duration = Duration::from_millis(200);

/// A link that lives this long is not a failed one, so the count of failures starts again.
const STABLE: Duration = Duration::from_secs(11);

#[test]
fn chat_whose_link_is_cut_again_and_again_suffers_nothing() {
    let (pairs, cuts, longest_ms) = short_or_full((2, 3, 2_000), (10, 10, 30_000));
    let threads: Vec<_> = (0..pairs)
        .map(|number: u64| {
            thread::spawn(move || {
                let random = fastrand::Rng::with_seed(seed() ^ (number << 32));
                let pair = Pair::chatting(&format!("127.0.5.{}", number + 1));
                Cutting { pair, random, said: 0, cut_for: Duration::ZERO }.run(cuts, longest_ms)
            })
        })
        .collect();
    let results: Vec<(usize, Duration)> =
        threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let messages: usize = results.iter().map(|(messages, _)| messages).sum();
    let cut_for: Duration = results.iter().map(|(_, cut_for)| *cut_for).sum();
    tell(
        "a chat's link cut",
        &format!("{} times, for {cut_for:.0?} in all", pairs * cuts),
        &format!("{messages} messages, none lost or doubled, in order"),
    );
}

struct Cutting {
    pair: Pair,
    random: fastrand::Rng,
    /// The number of messages that each side has sent.
    said: usize,
    cut_for: Duration,
}

impl Cutting {
    fn run(mut self, cuts: u64, longest_ms: u64) -> (usize, Duration) {
        let lives = short_or_full(Duration::ZERO, STABLE);
        for cut in 0..cuts {
            let weather = match cut {
                0 => LinkCondition::Broken,
                _ => self.random.choice([LinkCondition::Broken, LinkCondition::BlackHole]).unwrap(),
            };
            let cut = Duration::from_millis(self.random.u64(longest_ms / 30..=longest_ms));
            self.pair.to_bob.weather(weather);
            let until = Instant::now() + cut;
            while Instant::now() < until {
                self.say();
                self.pair.alice.wait_within(SAYS_EVERY, |_| false);
            }
            self.cut_for += cut;
            self.pair.to_bob.weather(LinkCondition::Fine);
            self.say();
            // Otherwise the cuts could add up to more than a chat survives.
            let last = format!("number {}", self.said - 1);
            self.pair.alice.wait_event_with("message", "text", &last);
            self.pair.bob.wait_event_with("message", "text", &last);
            self.pair.alice.wait_within(lives, |_| false);
        }
        self.check();
        (2 * self.said, self.cut_for)
    }

    fn say(&mut self) {
        let text = format!("number {}", self.said);
        self.pair.alice.ok("say", json!({"text": text}));
        self.pair.bob.ok("say", json!({"text": text}));
        self.said += 1;
    }

    fn check(&self) {
        let expected: Vec<String> =
            (0..self.said).map(|number| format!("number {number}")).collect();
        for person in [&self.pair.alice, &self.pair.bob] {
            assert_eq!(heard(person), expected, "{}", person.name);
            assert!(person.all(|line| line["event"] == "chat_closed").is_empty());
            assert!(!person.all(|line| line["event"] == "chat_interrupted").is_empty());
        }
    }
}

/// Returns the messages in the chat, without those from before the first cut.
fn heard(person: &TestClient) -> Vec<String> {
    let messages = person.all(|line: &Value| line["event"] == "message");
    let texts = messages.iter().map(|line| line["text"].as_str().unwrap().to_owned());
    texts.filter(|text| text != "before the break").collect()
}
