//! Honest users during a fault, and the latency of their lists, broadcasts and logins.

use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{is_full, quantile};
use letschat_tests::pace::Pace;
use letschat_tests::server::TestServer;
use serde_json::json;

/// The interval of rounds. It stays below the rate limit.
const ROUND_EVERY: Duration = Duration::from_millis(150);

/// Three users of the usual program, at 127.0.0.1.
pub(crate) struct Honest {
    alice: TestClient,
    bob: TestClient,
    /// Logs out and in.
    carol: TestClient,
    rounds: usize,
    lists: Vec<Duration>,
    broadcasts: Vec<Duration>,
    logins: Vec<Duration>,
}

impl Honest {
    pub(crate) fn join(server: &TestServer) -> Honest {
        let [alice, bob, carol] =
            ["alice", "bob", "carol"].map(|name| TestClient::join(server, name));
        server.wait_log("datagrams reach bob");
        let (lists, broadcasts, logins) = Default::default();
        Honest { alice, bob, carol, rounds: 0, lists, broadcasts, logins }
    }

    /// Runs one round: each user does what people do.
    pub(crate) fn round(&mut self) {
        self.rounds += 1;
        let begin = Instant::now();
        self.alice.ok("list", json!({}));
        self.lists.push(begin.elapsed());

        let (text, begin) = (format!("round {}", self.rounds), Instant::now());
        self.alice.tell("broadcast", json!({"text": text}));
        self.bob.wait_event_with("broadcast", "text", &text);
        self.broadcasts.push(begin.elapsed());

        self.carol.ok("leave", json!({}));
        let begin = Instant::now();
        self.carol.ok("login", json!({}));
        self.logins.push(begin.elapsed());
    }

    /// Runs rounds until the condition holds, and at least a few.
    pub(crate) fn go_on_until(&mut self, is_over: impl Fn() -> bool) {
        let mut pace = Pace::every(ROUND_EVERY);
        while !is_over() || self.rounds < 5 {
            pace.wait();
            self.round();
        }
    }

    /// Checks that nobody noticed the fault. Returns a summary.
    pub(crate) fn verdict(&self) -> String {
        let (quick, login) = if is_full() {
            (Duration::from_millis(250), Duration::from_secs(1))
        } else {
            (Duration::from_secs(5), Duration::from_secs(10))
        };
        let all = [
            ("list", &self.lists, quick),
            ("broadcast", &self.broadcasts, quick),
            ("login", &self.logins, login),
        ];
        let parts = all.map(|(what, took, bar)| {
            let slow = quantile(took, 0.99);
            assert!(slow <= bar, "one {what} of a hundred took {slow:?}: {took:?}");
            format!("{what} {slow:.0?}")
        });
        format!("p99 of the others, {} times: {}", self.rounds, parts.join(", "))
    }
}
