//! Broadcasts: each is shown once, to everyone who is logged in or logs in within the retention period.

use std::time::Instant;

use letschat_tests::client::TestClient;
use letschat_tests::programs::PATIENCE;
use letschat_tests::relay::{Datagrams, Relay};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

/// Lifts the rate limit, which these tests do not test.
const NO_RATE: [&str; 2] = ["--broadcast-burst", "100000"];

fn texts_shown(client: &TestClient) -> Vec<String> {
    let broadcasts = client.all(|line| line["event"] == "broadcast");
    broadcasts.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

fn kept_broadcasts(server: &TestServer) -> i64 {
    let database = std::fs::read_dir(server.data.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "db" || end == "sqlite"))
        .expect("the data folder has a database");
    let database = rusqlite::Connection::open(database).unwrap();
    database.query_row("SELECT count(*) FROM broadcasts", [], |row| row.get(0)).unwrap()
}

#[test]
fn broadcast_reaches_whoever_comes_within_the_retention() {
    let server = TestServer::start(&["--retention-seconds", "3"]);
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("broadcast", json!({"text": "only for now"}));
    let mut bob = TestClient::join(&server, "bob");
    bob.wait_event_with("broadcast", "text", "only for now");

    let until = Instant::now() + PATIENCE;
    while kept_broadcasts(&server) > 0 {
        assert!(Instant::now() < until, "the server never forgets");
        std::thread::yield_now();
    }
    let mut carol = TestClient::join(&server, "carol");
    alice.ok("broadcast", json!({"text": "and now"}));
    carol.wait_event_with("broadcast", "text", "and now");
    assert_eq!(texts_shown(&carol), ["and now"]);
}

#[test]
fn a_client_that_comes_again_is_not_shown_again_what_it_saw() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    alice.ok("broadcast", json!({"text": "seen"}));
    bob.wait_event_with("broadcast", "text", "seen");
    bob.process.end_input();
    assert_eq!(bob.process.exit_code(), 0);
    alice.ok("broadcast", json!({"text": "missed"}));

    let mut bob = TestClient::start_in(bob.data, &server.location(), "bob", &[]);
    bob.ok("login", json!({}));
    bob.wait_event_with("broadcast", "text", "missed");
    assert_eq!(texts_shown(&bob), ["missed"]);
}

#[test]
fn the_same_datagram_twice_is_shown_once() {
    let server = TestServer::start(&NO_RATE);
    let relay = Relay::before(&server, "127.0.2.1", "127.0.2.2");
    relay.datagrams(Datagrams::Twice);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = relay.join(&server, "bob");
    server.wait_log("datagrams reach bob");
    let texts: Vec<String> = (1..=30).map(|n| format!("number {n}")).collect();
    for text in &texts {
        alice.ok("broadcast", json!({"text": text}));
    }
    let last = bob.wait_event_with("broadcast", "text", "number 30");
    assert_eq!(last["over"], "udp");
    // A duplicate would arrive before this.
    alice.ok("broadcast", json!({"text": "end"}));
    bob.wait_event_with("broadcast", "text", "end");
    let mut shown = texts_shown(&bob);
    assert_eq!(shown.pop().as_deref(), Some("end"));
    shown.sort_by_key(|text| text.len());
    assert_eq!(shown, texts);
}

#[test]
fn where_udp_is_blocked_broadcasts_come_over_tcp() {
    let server = TestServer::start(&[]);
    let relay = Relay::before(&server, "127.0.2.3", "127.0.2.4");
    relay.datagrams(Datagrams::Blocked);
    let mut bob = relay.join(&server, "bob");
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("broadcast", json!({"text": "over land"}));
    let broadcast = bob.wait_event_with("broadcast", "text", "over land");
    assert_eq!(broadcast["over"], "tcp");
    assert_eq!(bob.ok("status", json!({}))["udp"], false);
}

#[test]
fn a_log_longer_than_the_outbox_is_replayed_whole_and_in_order() {
    let server = TestServer::start(&NO_RATE);
    let mut alice = TestClient::join(&server, "alice");
    let text = |n: usize| format!("{n:04} {}", "x".repeat(890));
    let count = 160; // at least 140 KiB; the outbox holds 128 KiB
    for n in 0..count {
        alice.ok("broadcast", json!({"text": text(n)}));
    }
    let mut bob = TestClient::join(&server, "bob");
    bob.wait_event_with("broadcast", "text", &text(count - 1));
    assert_eq!(texts_shown(&bob), (0..count).map(text).collect::<Vec<_>>());
}

#[test]
fn killed_server_loses_nothing_and_uses_no_number_twice() {
    let mut server = TestServer::start(&NO_RATE);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..6 {
        let told: Vec<(u64, String)> = (0..20)
            .map(|n| {
                let text = format!("round {round}, number {n}");
                (alice.tell("broadcast", json!({"text": text})), text)
            })
            .collect();
        for (index, (id, text)) in told.into_iter().enumerate() {
            if index == round * 3 + 1 {
                server.kill();
            }
            let reply = alice.reply(id);
            if let Some(number) = reply["number"].as_u64() {
                acknowledged.push((number, text));
            }
        }
        server.start_again();
        for person in [&mut alice, &mut bob] {
            let back = person.wait_event("logged_in");
            assert_eq!(back["by"], "key", "{back}");
        }
    }
    alice.ok("broadcast", json!({"text": "end"}));
    for person in [&mut alice, &mut bob] {
        person.wait_event_with("broadcast", "text", "end");
        shown_all_once(person, &acknowledged);
    }
    assert!(acknowledged.len() >= 6, "nothing was acknowledged before the kills");
}

/// Checks that acknowledged broadcasts were shown under their numbers, and no number or text twice. It
/// waits for missing ones, since a repair may follow the last broadcast.
fn shown_all_once(person: &mut TestClient, acknowledged: &[(u64, String)]) {
    for (number, text) in acknowledged {
        let is = |line: &Value| line["event"] == "broadcast" && line["text"] == *text;
        let shown = match person.all(is).pop() {
            Some(shown) => shown,
            None => person.wait(text, is),
        };
        assert_eq!(shown["number"], *number);
    }
    let mut numbers: Vec<u64> = person
        .all(|line| line["event"] == "broadcast")
        .iter()
        .map(|line| line["number"].as_u64().unwrap())
        .collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "{} was shown a number twice", person.name);
}

#[test]
fn an_account_that_was_acknowledged_outlives_a_kill() {
    let mut server = TestServer::start(&[]);
    let mut alice = TestClient::start(&server, "alice");
    let credentials = json!({"username": "alice", "password": letschat_tests::client::PASSWORD});
    alice.ok("signup", credentials.clone());
    server.kill();
    server.start_again();
    alice.ok("login", credentials);
}

#[test]
fn a_server_on_all_addresses_reaches_clients_over_udp_at_each() {
    for listen in ["0.0.0.0", "::"] {
        let server = TestServer::start(&["--listen", listen]);
        // On loopback the kernel would answer from 127.0.0.1 if it could choose.
        for (name, address) in [("alice", "127.0.0.1"), ("bob", "127.0.0.5")] {
            let location = format!("{address}:{}#{}", server.address.port(), server.fingerprint);
            let mut client = TestClient::start_at(&location, name, &[]);
            client.sign_up_and_log_in();
            server.wait_log(&format!("datagrams reach {name}"));
            client.ok("broadcast", json!({"text": name}));
            let heard = client.wait_event_with("broadcast", "text", name);
            assert_eq!(heard["over"], "udp", "{name} at a server on {listen}");
        }
    }
}
