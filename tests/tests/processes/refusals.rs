//! Refusals for programs: their codes and their penalties.

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::programs::nobodys_address;
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use serde_json::{Value, json};

fn credentials(username: &str, password: &str) -> Value {
    json!({"username": username, "password": password})
}

/// Returns a client that has an account and is not logged in.
fn signed_up(server: &TestServer, name: &str) -> TestClient {
    let mut client = TestClient::start(server, name);
    client.ok("signup", credentials(name, PASSWORD));
    client
}

#[test]
fn third_wrong_password_ends_the_connection_for_good() {
    let server = TestServer::start(&[]);
    let mut alice = signed_up(&server, "alice");
    for tries_left in ["2 more tries.", "1 more try.", "That was the last try."] {
        let (code, message) = alice.refused("login", credentials("alice", "not the password"));
        assert_eq!(code, "wrong_password");
        assert!(message.ends_with(tries_left), "{message}");
    }
    alice.is_out_for_good("wrong_answers");
    alice.ok("login", credentials("alice", PASSWORD));
}

#[test]
fn whether_a_user_exists_can_not_be_told_from_a_refused_login() {
    let server = TestServer::start(&[]);
    signed_up(&server, "alice").quits();
    let refused = |name: &str| {
        let mut client = TestClient::start(&server, name);
        client.refused("login", credentials(name, "not the password"))
    };
    let (code, message) = refused("alice");
    assert_eq!(code, "wrong_password");
    assert_eq!(refused("mallory"), (code, message));
}

#[test]
fn a_taken_name_is_refused_in_upper_case_too() {
    let server = TestServer::start(&[]);
    let mut alice = signed_up(&server, "alice");
    for name in ["alice", "ALICE", "Alice"] {
        assert_eq!(alice.fails("signup", credentials(name, PASSWORD)), "name_taken", "{name}");
    }
}

#[test]
fn a_name_in_upper_case_logs_in_as_the_same_user() {
    let server = TestServer::start(&[]);
    let mut alice = signed_up(&server, "alice");
    assert_eq!(alice.ok("login", credentials("ALICE", PASSWORD))["username"], "alice");
}

#[test]
fn a_name_that_only_looks_like_one_is_refused() {
    let server = TestServer::start(&[]);
    let mut mallory = TestClient::start(&server, "mallory");
    let cyrillic_a = "\u{430}lice";
    for name in [cyrillic_a, "al\u{200d}ice", "\u{ff41}lice", "-alice", "10.0.0.1"] {
        let code = mallory.fails("signup", credentials(name, PASSWORD));
        assert_eq!(code, "name_invalid", "{name:?}");
    }
}

#[test]
fn a_weak_password_is_refused_with_the_reason() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::start(&server, "alice-cooper");
    for (password, reason) in [
        ("short", "at least 8 characters"),
        ("12345678", "too easy to guess"),
        ("aaaaaaaa", "too easy to guess"),
        ("Alice-Cooper", "too easy to guess"),
    ] {
        let (code, message) = alice.refused("signup", credentials("alice-cooper", password));
        assert_eq!(code, "password_weak", "{password}");
        assert!(message.contains(reason), "{message}");
        assert!(!message.contains(password), "{message}");
    }
}

#[test]
fn two_passwords_that_differ_make_no_account() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::start(&server, "alice");
    let slip =
        json!({"username": "alice", "password": PASSWORD, "repeated": "correct horse batteri"});
    assert_eq!(alice.fails("signup", slip), "passwords_differ");
    assert_eq!(alice.fails("login", credentials("alice", PASSWORD)), "wrong_password");
}

#[test]
fn two_spellings_of_one_password_make_an_account() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::start(&server, "alice");
    let (composed, decomposed) = ("caf\u{e9} au lait", "cafe\u{301}\u{a0}au lait");
    let sign_up = json!({"username": "alice", "password": composed, "repeated": decomposed});
    alice.ok("signup", sign_up);
    alice.ok("login", credentials("alice", decomposed));
    let change = json!({
        "password": composed,
        "new_password": "th\u{e9} au lait",
        "repeated": "the\u{301} au lait",
    });
    alice.ok("passwd", change);
}

#[test]
fn second_machine_has_its_own_session_and_a_copy_replaces() {
    let server = TestServer::start(&[]);
    let mut here = TestClient::join(&server, "alice");
    let mut elsewhere = TestClient::start(&server, "alice");
    elsewhere.ok("login", credentials("alice", PASSWORD));
    here.is_in();
    elsewhere.is_in();

    // The same key from a copy of the folder is the same device.
    let copy = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .args(["-a", "--", &format!("{}/.", here.data.path().display())])
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    let mut copy = TestClient::start_in(copy, &server.location(), "alice", &[]);
    copy.ok("login", json!({"username": "alice"}));
    here.is_out_for_good("replaced");
    copy.is_in();
    elsewhere.is_in();
}

/// Checks that a forced request is refused with a disconnection, after which the client can log in by key.
fn is_penalised(client: &mut TestClient, who: &str, code: &str) {
    assert_eq!(client.fails("connect", json!({"who": who, "force": true})), code, "{who}");
    client.is_out_for_good("penalty");
    client.ok("login", json!({}));
    assert_eq!(client.wait_event("logged_in")["by"], "key");
}

#[test]
fn to_ask_for_nobody_costs_the_connection() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    for who in ["nobody", "10.9.8.7", "10.9.8.7:4401"] {
        is_penalised(&mut alice, who, "nobody");
    }
}

#[test]
fn to_ask_for_oneself_costs_the_connection() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let own_address = alice.ok("status", json!({}))["address"].as_str().unwrap().to_owned();
    for who in ["alice", "ALICE", &own_address] {
        is_penalised(&mut alice, who, "yourself");
    }
}

/// Checks that the client itself refuses the request without force, and that the server hears nothing.
fn is_warned(server: &TestServer, client: &mut TestClient, who: &str, code: &str) {
    assert_eq!(client.fails("connect", json!({"who": who})), code, "{who}");
    client.ok("broadcast", json!({"text": "still here"}));
    server.wait_log("alice asked: BROADCAST");
    assert!(!server.process.errors().contains("asked: CONNECT"));
}

#[test]
fn who_is_not_listed_is_not_asked_for_without_force() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    is_warned(&server, &mut alice, "nobody", "not_listed");
}

#[test]
fn oneself_is_not_asked_for_without_force() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    is_warned(&server, &mut alice, "alice", "yourself");
}

#[test]
fn to_ask_for_somebody_who_left_lately_costs_nothing() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    TestClient::join(&server, "bob").quits();
    server.wait_log("bob left");
    assert_eq!(alice.fails("connect", json!({"who": "bob", "force": true})), "not_here");
    alice.is_in();
}

#[test]
fn an_address_that_several_share_names_them_and_costs_nothing() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let _others = [TestClient::join(&server, "bob"), TestClient::join(&server, "carol")];
    let (code, message) = alice.refused("connect", json!({"who": "127.0.0.1"}));
    assert_eq!(code, "ambiguous");
    assert!(message.contains("bob") && message.contains("carol"), "{message}");
    alice.is_in();
}

#[test]
fn who_types_by_hand_can_not_be_called() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let _hand = Typist::joins(server.address, "harry");
    assert_eq!(alice.fails("connect", json!({"who": "harry"})), "no_receiver");
    alice.is_in();
}

#[test]
fn a_peer_that_does_not_listen_is_unreachable() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let (nobodys, _held) = nobodys_address();
    let _deaf = Typist::joins_as_program(&server, "deaf", nobodys.port());
    let (code, message) = alice.refused("connect", json!({"who": "deaf"}));
    assert_eq!(code, "unreachable");
    assert!(message.contains("through the server"), "{message}");
    alice.is_in();
}

#[test]
fn another_key_at_somebodys_address_is_not_talked_to() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut mallory = TestClient::join(&server, "mallory");
    let port = mallory.ok("status", json!({}))["port"].as_u64().unwrap();
    let _bob = Typist::joins_as_program(&server, "bob", u16::try_from(port).unwrap());
    assert_eq!(alice.fails("connect", json!({"who": "bob"})), "wrong_key");
    assert_eq!(mallory.ok("status", json!({}))["requests"], json!([]));
}

#[test]
fn who_is_denied_is_told_so() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let id = alice.tell("connect", json!({"who": "bob"}));
    bob.wait_event_with("request", "from", "alice");
    bob.ok("deny", json!({}));
    assert_eq!(alice.refusal(id).0, "denied");
    assert_eq!(bob.ok("status", json!({}))["requests"], json!([]));
}

#[test]
fn withdrawn_request_ends_and_can_not_be_approved() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    let id = alice.tell("connect", json!({"who": "bob"}));
    bob.wait_event_with("request", "from", "alice");
    alice.ok("cancel", json!({}));
    assert_eq!(alice.refusal(id).0, "cancelled");
    let ended = bob.wait_event_with("request_ended", "from", "alice");
    assert_eq!(ended["reason"], "withdrawn");
    assert_eq!(bob.fails("approve", json!({"who": "alice"})), "nobody_such");
}

#[test]
fn a_request_of_somebody_who_is_killed_ends_at_the_other_side() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    alice.tell("connect", json!({"who": "bob"}));
    bob.wait_event_with("request", "from", "alice");
    alice.process.kill();
    bob.wait_event_with("request_ended", "from", "alice");
}

#[test]
fn two_who_call_each_other_at_the_same_moment_have_one_chat() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    for round in 1..=5 {
        let (from_alice, from_bob) = (
            alice.tell("connect", json!({"who": "bob"})),
            bob.tell("connect", json!({"who": "alice"})),
        );
        assert_eq!(alice.reply(from_alice)["with"], "bob");
        assert_eq!(bob.reply(from_bob)["with"], "alice");
        alice.says_to(&mut bob, &format!("to bob {round}"));
        bob.says_to(&mut alice, &format!("to alice {round}"));
        alice.ok("disconnect", json!({}));
        for person in [&mut alice, &mut bob] {
            person.wait_event("chat_closed");
            let opened = person.all(|line| line["event"] == "chat_opened");
            assert_eq!(opened.len(), round, "{}", person.process.transcript());
        }
    }
}

#[test]
fn nobody_is_approved_who_did_not_ask() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let _bob = TestClient::join(&server, "bob");
    assert_eq!(alice.fails("approve", json!({})), "nobody_such");
    assert_eq!(alice.fails("approve", json!({"who": "bob"})), "nobody_such");
}
