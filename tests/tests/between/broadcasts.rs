//! An attacker on the path of datagrams. Altered datagrams are ignored, and missing broadcasts are
//! requested over TCP.

use std::net::{IpAddr, SocketAddr};

use letschat_tests::client::TestClient;
use letschat_tests::form::{seed, short_or_full, tell};
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::datagrams::Tamperer;
use crate::records::Between;

#[test]
fn altered_datagrams_leave_each_broadcast_shown_once_as_sent() {
    let server = TestServer::start(&["--broadcast-burst", "100000"]);
    let here = IpAddr::from([127, 0, 5, 4]);
    // Clients send to this address.
    let at = SocketAddr::new(here, server.address.port());
    let tamperer = Tamperer::start(at, server.address, here, seed());
    let tcp = Between::start(at, server.address, here);
    let location = format!("{}#{}", tcp.address, server.fingerprint);
    let mut alice = TestClient::start_at(&location, "alice", &[]);
    alice.sign_up_and_log_in();
    server.wait_log("datagrams reach alice");
    tamperer.begin();
    let mut bob = TestClient::join(&server, "bob");
    let broadcasts = short_or_full(60, 1_000);
    let mut said = Vec::new();
    for number in 0..broadcasts {
        if number > broadcasts * 3 / 4 && number % 2 == 0 {
            // The registration of her address is altered too, and mixed with other sessions' datagrams.
            alice.ok("leave", json!({}));
            alice.ok("login", json!({}));
        }
        let text = format!("{number} {}", "x".repeat(number % 500));
        bob.ok("broadcast", json!({"text": text}));
        alice.wait_event_with("broadcast", "text", &text);
        said.push(text);
    }
    let shown = alice.all(|line| line["event"] == "broadcast");
    let texts: Vec<&str> = shown.iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(texts.len(), said.len());
    assert!(said.iter().all(|text| texts.contains(&&text[..])));
    let over = |way: &str| shown.iter().filter(|line| line["over"] == way).count();
    let (udp, tcp) = (over("udp"), over("tcp"));
    assert!(udp > 0 && tcp > 0, "{udp} came over UDP and {tcp} over TCP");
    let [there, back] = tamperer.played();
    assert!(there >= 5 && back >= 5, "{there} and {back} datagrams were changed");
    let seen = format!("each shown once and unaltered: {udp} over UDP, {tcp} repaired over TCP");
    let played = format!("{there} to and {back} from the server, at {broadcasts} broadcasts");
    tell("datagrams changed, repeated, reordered", &played, &seen);
}
