//! An attacker who ends TLS on both sides, with their own key or with the public key of the user they
//! impersonate.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use letschat_protocol::identity::PublicKey;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::form::tell;
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::keys::{Faces, Overheard, Swapper, own_identity};
use crate::records::Between;

/// Waits for this number of ended connections and returns the overheard text.
fn overheard(swapper: &Swapper, connections: usize) -> Overheard {
    let until = Instant::now() + PATIENCE;
    loop {
        let heard = swapper.overheard();
        if heard.connections >= connections {
            return heard;
        }
        assert!(Instant::now() < until, "{heard:?}");
        std::thread::yield_now();
    }
}

#[test]
fn another_key_than_the_servers_hears_nothing_and_is_told() {
    let server = TestServer::start(&[]);
    let at = SocketAddr::from(([127, 0, 5, 5], 0));
    let swapper = Swapper::start(at, server.address, Faces::of_a_server());
    let location = format!("{}#{}", swapper.address, server.fingerprint);
    let flags = ["--accept-new-server"];
    let mut alice = TestClient::start_at(&location, "alice", &flags);
    for (count, password) in [(1, json!(PASSWORD)), (2, json!(null))] {
        let (code, message) =
            alice.refused("login", json!({"username": "alice", "password": password}));
        assert_eq!(code, "server_key_changed", "{message}");
        assert!(message.contains("Somebody may sit in between"), "{message}");
        assert_eq!(overheard(&swapper, count).of_dialler, b"");
    }
    tell("another key on the way to the server", "2 logins", "refused, told, not a word said");
}

#[test]
fn false_server_at_first_sight_can_not_pass_a_login_on() {
    let server = TestServer::start(&[]);
    let swapper =
        Swapper::start(SocketAddr::from(([127, 0, 5, 5], 0)), server.address, Faces::of_a_server());
    TestClient::join(&server, "alice").quits();
    let location = swapper.address.to_string();
    let mut alice = TestClient::start_at(&location, "alice", &["--accept-new-server"]);
    let login = json!({"username": "alice", "password": PASSWORD});
    // The password is right, but the signature is for another server and another TLS session.
    assert_eq!(alice.fails("login", login), "key_refused");
    drop(alice);
    let heard = overheard(&swapper, 1);
    let heard = String::from_utf8(heard.of_listener).unwrap();
    assert!(heard.starts_with("220 ") && !heard.contains("230 "), "{heard}");
    tell("a login passed on by who was taken for the server", "once", "refused by the server");
}

/// Returns the key under which the server knows a user.
fn key_of(server: &TestServer, name: &str) -> PublicKey {
    let database = std::fs::read_dir(server.data.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "db" || end == "sqlite"))
        .expect("the data folder has a database");
    let database = rusqlite::Connection::open(database).unwrap();
    let statement = "SELECT public_key FROM account_keys WHERE username = ?1";
    let key: String = database.query_row(statement, [name], |row| row.get(0)).unwrap();
    key.parse().unwrap()
}

#[test]
fn who_sits_between_two_peers_is_believed_by_neither() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let own = own_identity().public_key();
    for (number, pretends) in [(0, false), (1, true)] {
        let name = format!("bob{number}");
        let seen_as = IpAddr::from([127, 0, 5, 6 + number]);
        let here = SocketAddr::from(([127, 0, 5, 8], 0));
        let to_server = Between::start(here, server.address, seen_as);
        let location = format!("{}#{}", to_server.address, server.fingerprint);
        let mut bob = TestClient::start_at(&location, &name, &["--peer-listen", "127.0.0.1"]);
        bob.sign_up_and_log_in();
        let port = u16::try_from(bob.ok("status", json!({}))["port"].as_u64().unwrap()).unwrap();
        let (to_alice, to_bob) = match pretends {
            true => (key_of(&server, &name), key_of(&server, "alice")),
            false => (own, own),
        };
        let receiver = SocketAddr::from(([127, 0, 0, 1], port));
        let faces = Faces::of_peers(to_alice, to_bob);
        let swapper = Swapper::start(SocketAddr::new(seen_as, port), receiver, faces);
        // The two meet at the server instead.
        alice.chat_with(&mut bob);
        let heard = overheard(&swapper, 1);
        assert_eq!(heard.of_dialler, b"");
        // The attacker learns only that the key is unknown, if it has a key at all.
        let said = String::from_utf8(heard.of_listener).unwrap();
        assert!(said.is_empty() || !pretends, "{said}");
        assert!(!said.contains("RINGING") && !said.contains("APPROVE"), "{said}");
        bob.ok("status", json!({}));
        assert_eq!(bob.all(|line| line["event"] == "request").len(), 1, "asked once");
        assert_eq!(alice.ok("status", json!({}))["chats"][0]["link"], "relay");
        alice.ok("disconnect", json!({"who": name}));
    }
    tell(
        "another key between peers",
        "its own, and theirs without the private half",
        "heard nothing; the two met at the server",
    );
}
