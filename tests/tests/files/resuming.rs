//! Transfers that break, on either side and at the server, and go on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use letschat_tests::form::{short_or_full, tell};
use letschat_tests::relay::{LinkCondition, Relay};

use super::*;

/// The most bytes that are sent twice for each break.
const TWICE_BYTES: u64 = 2 * 1024 * 1024;

/// A server, and Alice, who fetches a file of Bob's. Bob can be reached only through a relay, which the server sees as
/// his address.
struct Fetching {
    server: TestServer,
    to_server: Relay,
    to_bob: Relay,
    alice: TestClient,
    bob: TestClient,
    bob_port: u16,
    source: PathBuf,
    offered: Value,
    _folder: TempDir,
}

fn bob_in(data: TempDir, location: &str, port: u16) -> TestClient {
    let port = port.to_string();
    TestClient::start_in(
        data,
        location,
        "bob",
        &["--peer-listen", "127.0.0.1", "--peer-port", &port],
    )
}

impl Fetching {
    /// Lets Bob offer a file. `seen_as` is the relay's address, which no other test uses.
    fn begin(seen_as: &str) -> Fetching {
        let server = TestServer::start(&[]);
        let seen_as: IpAddr = seen_as.parse().unwrap();
        let near = SocketAddr::from((Ipv4Addr::new(127, 0, 3, 1), 0));
        let to_server = Relay::start(near, server.address, seen_as);
        let location = format!("{}#{}", to_server.address, server.fingerprint);
        let mut bob = bob_in(tempfile::tempdir().unwrap(), &location, 0);
        bob.sign_up_and_log_in();
        let bob_port =
            u16::try_from(bob.ok("status", json!({}))["port"].as_u64().unwrap()).unwrap();
        let receiver = SocketAddr::from((Ipv4Addr::LOCALHOST, bob_port));
        let to_bob = Relay::start(SocketAddr::new(seen_as, bob_port), receiver, receiver.ip());
        let mut alice = TestClient::join(&server, "alice");
        bob.befriend(&mut alice);
        let folder = tempfile::tempdir().unwrap();
        let source = make_file(&folder, "photo.jpg", size());
        let offered = offer(&mut bob, &mut alice, &source);
        let _folder = folder;
        Fetching { server, to_server, to_bob, alice, bob, bob_port, source, offered, _folder }
    }

    /// Breaks the link in the middle, and lets nothing through any more.
    fn break_in_the_middle(&mut self) {
        self.to_bob.cut_every(size() as u64 / 2, 1, LinkCondition::Broken);
        get(&mut self.alice, &self.offered);
        self.alice.wait("broken transfer", |line| {
            line["event"] == "file_progress" && line["bytes"].as_u64() > Some(0)
        });
        let until = std::time::Instant::now() + letschat_tests::programs::PATIENCE;
        while self.to_bob.cuts_left() > 0 {
            assert!(std::time::Instant::now() < until, "the link was never cut");
            self.alice.ok("status", json!({}));
        }
    }

    /// Waits until the file is complete, and checks how much came twice.
    fn ends(mut self, fault: &str, breaks: u64) {
        let saved = wait_saved(&mut self.alice, &self.offered);
        assert_same(&saved, &self.source);
        let downloads = fs::read_dir(saved.parent().unwrap()).unwrap();
        assert_eq!(downloads.count(), 1, "nothing but the file is left");
        // TLS adds 22 bytes to each 16 KiB, and the handshakes and the hashes add a little.
        let once = size() as u64 + size() as u64 / 700 + (breaks + 1) * 8 * 1024;
        let twice = self.to_bob.carried().saturating_sub(once);
        assert!(twice <= breaks * TWICE_BYTES, "{twice} bytes came twice in {breaks} breaks");
        let seen = format!("complete, at most {} KiB sent twice", twice / 1024);
        tell(fault, &format!("a file of {} MiB", size() >> 20), &seen);
    }
}

/// Returns the size of the file, in bytes.
fn size() -> usize {
    short_or_full(32 * 1024 * 1024, 2 * 1024 * 1024 * 1024)
}

#[test]
fn file_comes_whole_over_a_link_that_is_cut_ten_times() {
    let mut fetching = Fetching::begin("127.0.20.2");
    fetching.to_bob.cut_every(size() as u64 / 12, 10, LinkCondition::Fine);
    get(&mut fetching.alice, &fetching.offered);
    fetching.ends("a file's link is cut ten times", 10);
}

#[test]
fn receiver_that_was_killed_goes_on() {
    let mut fetching = Fetching::begin("127.0.20.3");
    fetching.break_in_the_middle();
    fetching.alice.process.kill();
    fetching.to_bob.weather(LinkCondition::Fine);
    let alice = std::mem::replace(
        &mut fetching.alice,
        TestClient::start_at(&fetching.server.location(), "nobody", &[]),
    );
    fetching.alice = TestClient::start_in(alice.data, &fetching.server.location(), "alice", &[]);
    // Nobody has to ask for the file again.
    fetching.alice.ok("login", json!({"username": "alice"}));
    fetching.ends("the receiver of a file is killed", 1);
}

#[test]
fn sender_that_was_killed_goes_on() {
    let mut fetching = Fetching::begin("127.0.20.4");
    fetching.break_in_the_middle();
    fetching.bob.process.kill();
    fetching.to_bob.weather(LinkCondition::Fine);
    let location = format!("{}#{}", fetching.to_server.address, fetching.server.fingerprint);
    let bob = std::mem::replace(&mut fetching.bob, TestClient::start_at(&location, "nobody", &[]));
    fetching.bob = bob_in(bob.data, &location, fetching.bob_port);
    fetching.bob.ok("login", json!({"username": "bob"}));
    fetching.ends("the sender of a file is killed", 1);
}

#[test]
fn transfer_outlives_the_server() {
    let mut fetching = Fetching::begin("127.0.20.5");
    fetching.to_bob.cut_every(size() as u64 / 3, 2, LinkCondition::Fine);
    get(&mut fetching.alice, &fetching.offered);
    fetching.alice.wait_event("file_progress");
    fetching.server.kill();
    fetching.ends("the server is killed while a file is sent", 2);
}
