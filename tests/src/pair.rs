//! Two people in a chat whose link can be broken.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use serde_json::json;

use crate::client::TestClient;
use crate::programs::PATIENCE;
use crate::relay::Relay;
use crate::server::TestServer;

/// Two people. Bob can be reached only through a relay: the server sees him at the relay's far address, so
/// peers dial that.
pub struct Pair {
    _server: TestServer,
    _to_server: Relay,
    /// The relay that Alice dials to reach Bob.
    pub to_bob: Relay,
    /// The user who requested the chat.
    pub alice: TestClient,
    /// The user behind the relay.
    pub bob: TestClient,
}

impl Pair {
    /// Starts a chat. The relay uses this address.
    pub fn chatting(seen_as: &str) -> Pair {
        let server = TestServer::start(&[]);
        let seen_as: IpAddr = seen_as.parse().unwrap();
        let near = SocketAddr::from(([127, 0, 3, 1], 0));
        let to_server = Relay::start(near, server.address, seen_as);
        let location = format!("{}#{}", to_server.address, server.fingerprint);
        let mut bob = TestClient::start_at(&location, "bob", &["--peer-listen", "127.0.0.1"]);
        bob.sign_up_and_log_in();
        let port = u16::try_from(bob.ok("status", json!({}))["port"].as_u64().unwrap()).unwrap();
        let receiver = SocketAddr::from(([127, 0, 0, 1], port));
        let to_bob = Relay::start(SocketAddr::new(seen_as, port), receiver, receiver.ip());
        let mut alice = TestClient::join(&server, "alice");
        alice.chat_with(&mut bob);
        alice.says_to(&mut bob, "before the break");
        wait_confirmed(&mut alice);
        Pair { _server: server, _to_server: to_server, to_bob, alice, bob }
    }
}

/// Waits until a shown message has been confirmed, which happens a moment later.
fn wait_confirmed(person: &mut TestClient) {
    let until = Instant::now() + PATIENCE;
    while person.ok("status", json!({}))["chats"][0]["unconfirmed"] != 0 {
        assert!(Instant::now() < until, "{} is never told that it arrived", person.name);
    }
}
