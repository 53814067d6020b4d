//! An attacker between a client and its server.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::form::{short_or_full, tell};
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

use crate::records::{Between, CHANGE_CIPHER_SPEC, Plan, WAYS, Which, changes};

/// The number of records in each direction up to the login request.
const HANDSHAKE_RECORDS: usize = 5;

/// The wait before a further request. A record may be held back until that request follows.
const A_MOMENT: Duration = Duration::from_millis(100);

/// Starts a relay in front of the server.
fn before(server: &TestServer) -> Between {
    let here = IpAddr::from([127, 0, 5, 1]);
    Between::start(SocketAddr::new(here, 0), server.address, here)
}

#[test]
fn altered_record_ends_a_session_and_never_comes_through() {
    let server = TestServer::start(&["--broadcast-burst", "100000"]);
    let between = before(&server);
    let location = format!("{}#{}", between.address, server.fingerprint);
    let mut alice = TestClient::start_at(&location, "alice", &[]);
    alice.sign_up_and_log_in();
    let mut bob = TestClient::join(&server, "bob");
    let mut told = Vec::new();
    let mut cases = 0;
    for _ in 0..short_or_full(1, 3) {
        for way in WAYS {
            for change in changes(short_or_full(6, 40)) {
                between.plan(Plan { way, which: Which::Next, change });
                let until = Instant::now() + PATIENCE;
                loop {
                    let text = format!("{way:?} {change:?} {}", told.len());
                    told.push((alice.tell("broadcast", json!({"text": text})), text));
                    if alice.wait_within(A_MOMENT, is_lost).is_some() {
                        break;
                    }
                    assert!(Instant::now() < until, "{way:?} {change:?} was not noticed");
                }
                assert!(between.done().is_some(), "{way:?} {change:?}: lost without a reason");
                // Log in at once, since short links lengthen the client's backoff.
                alice.ok("login", json!({}));
                cases += 1;
            }
        }
    }
    bob.ok("broadcast", json!({"text": "the last"}));
    let texts: Vec<&str> = told.iter().map(|(_, text)| &text[..]).chain(["the last"]).collect();
    let is_accepted = |(id, _): &&(u64, String)| alice.reply(*id)["number"].is_u64();
    let accepted: Vec<&(u64, String)> = told.iter().filter(is_accepted).collect();
    for person in [&mut alice, &mut bob] {
        for (_, text) in &accepted {
            person.wait_event_with("broadcast", "text", text);
        }
        person.wait_event_with("broadcast", "text", "the last");
        let shown = person.all(|line| line["event"] == "broadcast");
        let mut shown: Vec<&str> = shown.iter().filter_map(|line| line["text"].as_str()).collect();
        let strange = shown.iter().find(|text| !texts.contains(text));
        assert_eq!(strange, None, "nobody said that");
        let count = shown.len();
        shown.sort_unstable();
        shown.dedup();
        assert_eq!(shown.len(), count, "something was shown more than once");
    }
    let seen = format!("{cases} of {cases} noticed; {} broadcasts, none altered", told.len());
    tell("records of a session with the server", &format!("{cases} changes"), &seen);
}

fn is_lost(line: &Value) -> bool {
    line["event"] == "disconnected" && line["reason"] == "lost"
}

#[test]
fn altered_handshake_keeps_the_user_out_and_is_told() {
    let server = TestServer::start(&[]);
    let between = before(&server);
    let location = format!("{}#{}", between.address, server.fingerprint);
    let mut alice = TestClient::start_at(&location, "alice", &["--tries", "1"]);
    alice.ok("signup", json!({"username": "alice", "password": PASSWORD}));
    alice.ok("login", json!({"username": "alice", "password": PASSWORD}));
    alice.ok("leave", json!({}));
    let (mut noticed, mut unread) = (0, 0);
    for way in WAYS {
        for number in 0..HANDSHAKE_RECORDS {
            for change in changes(short_or_full(3, 20)) {
                // Skip the events of the last change.
                while alice.wait_within(Duration::ZERO, is_lost).is_some() {}
                between.plan(Plan { way, which: Which::Number(number), change });
                let id = alice.tell("login", json!({"username": "alice"}));
                let reply = alice.reply(id);
                let done = between.done();
                match (reply["error"]["code"].as_str(), done) {
                    // No record fitted the plan, or none followed it.
                    (None, None) => {}
                    (None, Some(CHANGE_CIPHER_SPEC)) => unread += 1,
                    // The link broke after the login reply, for example by a repeated reply.
                    (None, Some(_)) => {
                        alice.wait(&format!("end by {way:?} {number} {change:?}"), is_lost);
                        noticed += 1;
                    }
                    (Some(_), Some(_)) => noticed += 1,
                    (Some(_), None) => panic!("it failed for nothing: {reply}"),
                }
                alice.ok("login", json!({"username": "alice"}));
                alice.ok("leave", json!({}));
            }
        }
    }
    let seen = format!("{noticed} noticed and told; {unread} of what TLS 1.3 does not read");
    assert!(noticed > 20, "{seen}");
    tell("records of a handshake with the server", &format!("{} changes", noticed + unread), &seen);
}
