//! Users who broadcast and chat while something goes wrong, and what they must have seen in the end.

use std::collections::HashMap;

use letschat_tests::client::TestClient;
use serde_json::json;

/// The number of broadcasts that are in progress when something goes wrong.
pub(crate) const AT_ONCE: usize = 20;

/// All users. The first two are in a chat.
pub(crate) struct Crowd {
    pub(crate) people: Vec<TestClient>,
    acknowledged: HashMap<u64, String>,
    said: Vec<String>,
}

impl Crowd {
    /// Opens the chat between users that are logged in.
    pub(crate) fn of(mut people: Vec<TestClient>) -> Crowd {
        let (one, other) = people.split_at_mut(1);
        one[0].chat_with(&mut other[0]);
        Crowd { people, acknowledged: HashMap::new(), said: Vec::new() }
    }

    /// Sends broadcasts from everyone at once. Returns the sender, the request's number and the text of
    /// each.
    pub(crate) fn broadcast(&mut self, round: usize) -> Vec<(usize, u64, String)> {
        let count = self.people.len();
        let tell = |n: usize| {
            let text = format!("round {round}, number {n}");
            let id = self.people[n % count].tell("broadcast", json!({"text": text}));
            (n % count, id, text)
        };
        (0..AT_ONCE).map(tell).collect()
    }

    /// Waits for the replies. Returns the numbers of those that were accepted.
    pub(crate) fn note_acknowledged(&mut self, told: Vec<(usize, u64, String)>) -> Vec<u64> {
        let mut numbers = Vec::new();
        for (person, id, text) in told {
            if let Some(number) = self.people[person].reply(id)["number"].as_u64() {
                let earlier = self.acknowledged.insert(number, text);
                assert_eq!(earlier, None, "number {number} was given twice");
                numbers.push(number);
            }
        }
        numbers
    }

    /// Sends a message each way in the chat and waits until both arrive.
    pub(crate) fn chat(&mut self, round: usize, when: &str) {
        let text = format!("round {round}, {when}");
        let (one, other) = self.people.split_at_mut(1);
        one[0].says_to(&mut other[0], &text);
        other[0].says_to(&mut one[0], &text);
        self.said.push(text);
    }

    /// Checks that everybody was shown every acknowledged broadcast under its number, and no number or text
    /// twice.
    pub(crate) fn check_broadcasts(&mut self) -> usize {
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
    pub(crate) fn check_chat(&self) {
        for person in &self.people[..2] {
            let messages = person.all(|line| line["event"] == "message");
            let mut heard: Vec<&str> =
                messages.iter().filter_map(|line| line["text"].as_str()).collect();
            heard.retain(|text| text.starts_with("round "));
            assert_eq!(heard, self.said, "{}", person.name);
            let breaks = ["chat_interrupted", "chat_closed"];
            let broken = person.all(|line| breaks.iter().any(|name| line["event"] == *name));
            assert!(broken.is_empty(), "{broken:?}");
        }
    }
}
