//! People who have chatted go on without the server: straight to each other, across machines.

use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{short_or_full, tell};
use letschat_tests::network::Network;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

/// Sends a text, and waits until it has been delivered straight.
fn writes(from: &mut TestClient, to: &mut TestClient, text: &str) {
    let sent = from.ok("send", json!({"to": to.name, "text": text}));
    assert_eq!((&sent["state"], &sent["via"]), (&json!("delivered"), &json!("peer")), "{text}");
    let message = to.wait_event_with("message", "text", text);
    assert_eq!((&message["from"], &message["via"]), (&json!(from.name), &json!("peer")));
}

fn have_chatted(one: &mut TestClient, other: &mut TestClient) {
    one.chat_with(other);
    one.ok("disconnect", json!({"who": other.name}));
    other.wait_event("chat_closed");
}

#[test]
fn three_people_go_on_while_the_server_is_away() {
    let test = "three_people_go_on_while_the_server_is_away";
    let Some(network) = Network::of(4, test) else {
        return;
    };
    let mut server = TestServer::start_by(&network.by(1), &["--listen", &Network::address(1)]);
    let start = |name: &str, machine: usize, data| {
        let flags = ["--peer-port", "4401"];
        TestClient::start_in_by(&network.by(machine), data, &server.location(), name, &flags)
    };
    let mut people = Vec::new();
    for (place, name) in ["alice", "bob", "carol"].into_iter().enumerate() {
        let mut person = start(name, place + 2, tempfile::tempdir().unwrap());
        person.sign_up_and_log_in();
        people.push(person);
    }
    let [alice, bob, carol] = &mut people[..] else { unreachable!() };
    have_chatted(alice, bob);
    have_chatted(alice, carol);
    have_chatted(bob, carol);

    server.kill();
    let begun = Instant::now();
    for person in [&mut *alice, bob, carol] {
        person.wait_event("disconnected");
    }
    writes(alice, bob, "the server is gone");
    // Carol's client is killed, and starts again without the server.
    carol.process.kill();
    let waiting = bob.ok("send", json!({"to": "carol", "text": "for your return"}));
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    let mut carol = restart(people.pop().unwrap(), &network, &server);
    let [alice, bob] = &mut people[..] else { unreachable!() };
    carol.wait_event_with("message", "text", "for your return");
    writes(&mut carol, alice, "I am back");
    writes(bob, &mut carol, "so I see");

    let outage = short_or_full(Duration::from_secs(5), Duration::from_secs(600));
    let mut count = 0;
    while begun.elapsed() < outage {
        count += 1;
        writes(alice, bob, &format!("message {count}"));
        writes(bob, &mut carol, &format!("message {count}"));
        std::thread::park_timeout(outage / 20);
    }
    server.start_again();
    for person in [&mut *alice, bob, &mut carol] {
        let is_login = |line: &Value| line["event"] == "logged_in";
        person.wait_within(Duration::from_secs(40), is_login).expect("it comes back by itself");
    }
    let sent = alice.ok("send", json!({"to": "bob", "text": "the server is back"}));
    assert_eq!(sent["via"], "server", "{sent}");
    bob.wait_event_with("message", "text", "the server is back");
    for person in [alice, bob, &mut carol] {
        let all = person.all(|line| line["event"] == "message" && line["own"] == false);
        let mut texts: Vec<&str> = all.iter().map(|line| line["text"].as_str().unwrap()).collect();
        let total = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), total, "something appeared twice: {texts:?}");
    }
    tell(
        "server away",
        &format!("{outage:?}, three machines"),
        &format!("{count} rounds, once each"),
    );
}

/// Starts a client that was killed again, on the same machine, while the server is away.
fn restart(client: TestClient, network: &Network, server: &TestServer) -> TestClient {
    let TestClient { name, data, .. } = client;
    let flags = ["--peer-port", "4401"];
    let by = network.by(4);
    let mut client = TestClient::start_in_by(&by, data, &server.location(), &name, &flags);
    assert_eq!(client.fails("login", json!({"username": name})), "no_server");
    client
}
