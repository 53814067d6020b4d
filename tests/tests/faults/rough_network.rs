//! A network that loses 30 % of the datagrams, doubles 10 % and reorders 20 %.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{quantile, seed, short_or_full, tell};
use letschat_tests::relay::{Datagrams, Relay};
use letschat_tests::server::TestServer;
use serde_json::json;

/// The number of broadcasts in quick succession. A pause then isolates the last one.
const AT_ONCE: usize = 20;

#[test]
fn rough_network_shows_everybody_each_broadcast_once_and_soon() {
    let (clients, broadcasts) = short_or_full((6, 60), (20, 1_000));
    let bar = short_or_full(Duration::from_secs(10), Duration::from_secs(2));
    let server = TestServer::start(&["--broadcast-burst", "100000"]);
    let relay = Relay::before(&server, "127.0.4.1", "127.0.4.2");
    let mut people: Vec<TestClient> =
        (0..clients).map(|number| relay.join(&server, &format!("person{number}"))).collect();
    for person in &people {
        server.wait_log(&format!("datagrams reach {}", person.name));
    }
    relay.datagrams(Datagrams::Rough(seed()));

    let mut sent: HashMap<String, Instant> = HashMap::new();
    for number in 0..broadcasts {
        let text = format!("number {number}");
        sent.insert(text.clone(), Instant::now());
        people[number % clients].tell("broadcast", json!({"text": text}));
        let is_last = number % AT_ONCE == AT_ONCE - 1;
        let pause = Duration::from_millis(if is_last { 2_000 } else { 50 });
        // This reads output during the pause and waits for nothing.
        people[0].wait_within(pause, |_| false);
    }
    let (delays, over_tcp) = shown_once(&mut people, &sent);

    let p99 = quantile(&delays, 0.99);
    assert!(p99 <= bar, "p99 {p99:?}, at most {:?}", quantile(&delays, 1.0));
    let repaired = over_tcp * 100 / delays.len();
    assert!((5..95).contains(&repaired), "{repaired} % came over TCP: nothing was lost, or all");
    tell(
        "30 % of datagrams lost, 10 % doubled, 20 % overtaken",
        &format!("{broadcasts} broadcasts to {clients} clients"),
        &format!(
            "each shown once by each; median {:.0?}, p99 {p99:.0?}, last {:.0?}; {repaired} % over TCP",
            quantile(&delays, 0.5),
            quantile(&delays, 1.0)
        ),
    );
}

/// Checks that everybody is shown each broadcast once. Returns the latency of each, and the number that
/// came over TCP.
fn shown_once(
    people: &mut [TestClient],
    sent: &HashMap<String, Instant>,
) -> (Vec<Duration>, usize) {
    let (mut delays, mut over_tcp) = (Vec::new(), 0);
    for person in people {
        for text in sent.keys() {
            person.wait_event_with("broadcast", "text", text);
        }
        let shown = person.all_with_times(|line| line["event"] == "broadcast");
        assert_eq!(shown.len(), sent.len(), "{} was shown something twice", person.name);
        for (at, broadcast) in shown {
            delays.push(at.saturating_duration_since(sent[broadcast["text"].as_str().unwrap()]));
            over_tcp += usize::from(broadcast["over"] == "tcp");
        }
    }
    (delays, over_tcp)
}
