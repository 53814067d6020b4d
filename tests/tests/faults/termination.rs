//! SIGTERM: everybody is notified, accepted broadcasts are kept, and the server soon exits.

use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{quantile, short_or_full, tell};
use letschat_tests::server::TestServer;
use serde_json::json;

/// Returns the time limit for the server's exit, with slack if other tests run in parallel.
fn gone_within() -> Duration {
    short_or_full(Duration::from_secs(10), Duration::from_secs(3))
}

#[test]
fn terminated_server_delivers_says_goodbye_and_ends_in_time() {
    let times = short_or_full(5, 50);
    let mut server = TestServer::start(&["--broadcast-burst", "100000"]);
    let mut people: Vec<TestClient> =
        ["alice", "bob", "carol"].map(|name| TestClient::join(&server, name)).into();
    let (mut took, mut accepted) = (Vec::new(), Vec::new());
    for time in 0..times {
        let told: Vec<u64> = (0..10)
            .map(|n| people[0].tell("broadcast", json!({"text": format!("{time} {n}")})))
            .collect();
        people[0].reply(told[0]);
        let begin = Instant::now();
        server.stop();
        took.push(begin.elapsed());
        let is_accepted = |n: &usize| *n == 0 || people[0].reply(told[*n])["number"].is_u64();
        accepted.extend((0..10).filter(is_accepted).map(|n| format!("{time} {n}")));
        for person in &mut people {
            let told = person.wait_event("disconnected");
            assert_eq!(told["reason"], "terminated", "{told}");
            assert_shown_once(person, &accepted);
        }
        server.start_again();
        for person in &mut people {
            person.wait_event("logged_in");
            // Otherwise short links would add up, and the backoff would grow.
            person.ok("detach", json!({}));
            person.ok("login", json!({}));
            person.wait_event("logged_in");
        }
    }
    // A duplicate would arrive before this.
    people[0].ok("broadcast", json!({"text": "the end"}));
    for person in &mut people {
        person.wait_event_with("broadcast", "text", "the end");
        assert_shown_once(person, &accepted);
    }
    let slowest = quantile(&took, 1.0);
    assert!(slowest <= gone_within(), "it took {slowest:?} to end");
    tell(
        "SIGTERM under load",
        &format!("{times} times"),
        &format!("all told, all that was accepted shown once; gone after {slowest:.0?} at most"),
    );
}

fn assert_shown_once(person: &TestClient, texts: &[String]) {
    let broadcasts = person.all(|line| line["event"] == "broadcast");
    for text in texts {
        let shown = broadcasts.iter().filter(|line| line["text"] == **text).count();
        assert_eq!(shown, 1, "{} was shown {text:?} so often", person.name);
    }
}
