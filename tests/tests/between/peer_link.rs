//! An attacker between two users in a chat.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{is_full, short_or_full, tell};
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

use crate::records::{Between, Change, Plan, WAYS, Which, changes};

/// The wait before a further message. A record may be held back until that message follows.
const A_MOMENT: Duration = Duration::from_millis(100);

/// The number of records of a resumed link, in each direction.
const RESUMING_RECORDS: usize = 4;

/// Two users in a chat with a relay between them, and their messages in order.
struct Chat {
    alice: TestClient,
    bob: TestClient,
    between: Between,
    said: [Vec<String>; 2],
    _server: (TestServer, Between),
}

impl Chat {
    /// Opens a chat. The server sees Bob at the relay's far address, so Alice dials the relay.
    fn open() -> Chat {
        let server = TestServer::start(&[]);
        let seen_as = IpAddr::from([127, 0, 5, 3]);
        let here = SocketAddr::from(([127, 0, 5, 2], 0));
        let to_server = Between::start(here, server.address, seen_as);
        let location = format!("{}#{}", to_server.address, server.fingerprint);
        let mut bob = TestClient::start_at(&location, "bob", &["--peer-listen", "127.0.0.1"]);
        bob.sign_up_and_log_in();
        let mut alice = TestClient::join(&server, "alice");
        let port = u16::try_from(bob.ok("status", json!({}))["port"].as_u64().unwrap()).unwrap();
        let receiver = SocketAddr::from(([127, 0, 0, 1], port));
        let between = Between::start(SocketAddr::new(seen_as, port), receiver, receiver.ip());
        alice.chat_with(&mut bob);
        Chat { alice, bob, between, said: Default::default(), _server: (server, to_server) }
    }

    /// Sends a message each way.
    fn say(&mut self, what: &str) {
        let Chat { alice, bob, .. } = self;
        for (person, other, said) in [(alice, "bob", 0), (bob, "alice", 1)] {
            let text = format!("{} {what}", self.said[said].len());
            person.ok("say", json!({"text": text, "to": other}));
            self.said[said].push(text);
        }
    }

    /// Sends messages each way until the link breaks, and then until it has resumed.
    fn is_broken_and_taken_up(&mut self, what: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.say(what);
            if self.alice.wait_within(A_MOMENT, is_interrupted).is_some() {
                break;
            }
            assert!(Instant::now() < until, "{what} was not noticed");
        }
        self.alice.wait_event("chat_resumed");
    }

    /// Waits for all messages and opens a new chat, since a chat with too many short links is given up.
    fn begins_anew(&mut self) {
        self.all_has_arrived();
        self.alice.ok("disconnect", json!({}));
        self.bob.wait_event("chat_closed");
        // Events of the old chat must not count for the new one.
        let is_of_a_link = |line: &Value| is_interrupted(line) || line["event"] == "chat_resumed";
        while self.alice.wait_within(Duration::ZERO, is_of_a_link).is_some() {}
        self.alice.chat_with(&mut self.bob);
    }

    /// Checks that every message arrives once, in order and unchanged.
    fn all_has_arrived(&mut self) {
        self.say("the last");
        let Chat { alice, bob, said, .. } = self;
        for (person, said) in [(bob, &said[0]), (alice, &said[1])] {
            person.wait_event_with("message", "text", said.last().unwrap());
            let heard = person.all(|line| line["event"] == "message");
            let heard: Vec<&str> = heard.iter().filter_map(|line| line["text"].as_str()).collect();
            assert!(heard == *said, "{} heard\n{heard:#?}\nof\n{said:#?}", person.name);
        }
    }
}

fn is_interrupted(line: &Value) -> bool {
    line["event"] == "chat_interrupted"
}

#[test]
fn altered_record_breaks_a_link_and_no_message_suffers() {
    let mut chat = Chat::open();
    let mut cases = 0;
    for _ in 0..short_or_full(1, 3) {
        for way in WAYS {
            for change in changes(short_or_full(6, 40)) {
                chat.between.plan(Plan { way, which: Which::Next, change });
                chat.is_broken_and_taken_up(&format!("{way:?} {change:?}"));
                assert!(chat.between.done().is_some(), "{way:?} {change:?}: broken for nothing");
                cases += 1;
                chat.begins_anew();
            }
        }
    }
    chat.all_has_arrived();
    let said = chat.said[0].len() + chat.said[1].len();
    let seen = format!("{cases} of {cases} noticed; {said} messages, each once and in order");
    tell("records of a chat", &format!("{cases} changes"), &seen);
}

#[test]
fn altered_resumption_loses_and_doubles_nothing() {
    let mut chat = Chat::open();
    let mut cases = 0;
    for way in WAYS {
        for number in 0..RESUMING_RECORDS {
            for change in changes(short_or_full(2, 20)) {
                // A handshake without a record ends only by its timeout.
                if matches!(change, Change::Drop | Change::Swap) && !is_full() {
                    continue;
                }
                chat.between.plan(Plan { way, which: Which::Next, change: Change::CutAfter });
                let what = format!("{number} {way:?} {change:?}");
                chat.say(&what);
                chat.alice.wait("interruption", is_interrupted);
                chat.between.plan(Plan { way, which: Which::Number(number), change });
                chat.alice.wait_event("chat_resumed");
                // The first message may break a link whose altered record comes later.
                chat.say(&what);
                cases += usize::from(chat.between.done().is_some());
                chat.begins_anew();
            }
        }
    }
    chat.all_has_arrived();
    assert!(cases > 10, "{cases} changes are too few");
    let said = chat.said[0].len() + chat.said[1].len();
    let seen = format!("{said} messages, each once and in order");
    tell("records of a chat's new link", &format!("{cases} changes"), &seen);
}

#[test]
fn a_message_of_which_only_a_part_arrives_is_not_shown() {
    let mut chat = Chat::open();
    // The text exceeds one record (RFC 8446, section 5.1).
    let long = "x".repeat(16 * 1024);
    for change in [Change::CutAfter, Change::CutWithin] {
        chat.between.plan(Plan { way: WAYS[0], which: Which::Next, change });
        chat.alice.ok("say", json!({"text": long, "to": "bob"}));
        chat.said[0].push(long.clone());
        chat.is_broken_and_taken_up("after it");
    }
    chat.all_has_arrived();
}
