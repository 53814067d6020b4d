//! A server without free descriptors. Logged-in users notice nothing, the server does not spin, and
//! newcomers get in as soon as there is room.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{short_or_full, tell};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// The server's limit of descriptors, far above its own needs.
const LIMIT: usize = 100;

/// The time over which processor use is measured.
const WINDOW: Duration = Duration::from_secs(2);

/// The number of connections from one address. The server limits them before the login, so the crowd uses
/// many addresses.
const FROM_ONE_ADDRESS: usize = 12;

/// Silent connections.
struct Crowd(Vec<TcpStream>);

impl Crowd {
    /// Opens connections until the server has no descriptor left.
    fn fill(server: &TestServer) -> Crowd {
        let mut crowd = Crowd(Vec::new());
        for number in 0..2 * LIMIT {
            crowd.0.push(connection_from(number / FROM_ONE_ADDRESS, server.address));
        }
        server.wait_log("connections away: Too many open files");
        crowd
    }
}

/// Connects from one of this machine's loopback addresses.
fn connection_from(number: usize, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = Ipv4Addr::new(127, 0, 1, u8::try_from(number).unwrap());
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Lets both broadcast, and waits until both are shown.
fn they_talk(alice: &mut TestClient, bob: &mut TestClient, text: &str) {
    alice.ok("broadcast", json!({"text": format!("alice {text}")}));
    bob.wait_event_with("broadcast", "text", &format!("alice {text}"));
    bob.ok("broadcast", json!({"text": format!("bob {text}")}));
    alice.wait_event_with("broadcast", "text", &format!("bob {text}"));
    alice.says_to(bob, &format!("hello {text}"));
    bob.says_to(alice, &format!("hello {text}"));
}

/// Returns the server's processor use while it has no descriptors. `None` means that silent connections
/// timed out in this window, so it does not count.
fn share_of_a_processor(server: &TestServer, alice: &mut TestClient) -> Option<f64> {
    let is_used_up = || server.descriptors() >= LIMIT;
    let (was_used_up, begin, before) = (is_used_up(), Instant::now(), server.processor_time());
    let is_disconnected = |line: &Value| line["event"] == "disconnected";
    assert_eq!(alice.wait_within(WINDOW, is_disconnected), None);
    let used = server.processor_time().saturating_sub(before);
    let share = used.as_secs_f64() / begin.elapsed().as_secs_f64();
    (was_used_up && is_used_up()).then_some(share)
}

#[test]
fn server_without_descriptors_serves_on_and_recovers() {
    let by = ["prlimit".to_owned(), format!("--nofile={LIMIT}:{LIMIT}")];
    let server = TestServer::start_by(&by, &["--broadcast-burst", "100000"]);
    let [mut alice, mut bob, mut carol] =
        ["alice", "bob", "carol"].map(|name| TestClient::join(&server, name));
    alice.chat_with(&mut bob);
    carol.ok("leave", json!({}));
    let (times, tries) = (short_or_full(1, 10), 5);
    let (most, longest) = short_or_full((0.4, 10_000), (0.2, 1_000));
    let (mut busiest, mut slowest) = (0.0_f64, Duration::ZERO);
    for time in 0..times {
        let (crowd, share) = (0..tries)
            .find_map(|_| {
                let crowd = Crowd::fill(&server);
                share_of_a_processor(&server, &mut alice).map(|share| (crowd, share))
            })
            .expect("the server is without descriptors for two seconds");
        assert!(share <= most, "{share} of a processor for nothing");
        busiest = busiest.max(share);
        they_talk(&mut alice, &mut bob, &format!("without descriptors {time}"));

        let begin = Instant::now();
        drop(crowd);
        carol.ok("login", json!({}));
        let took = begin.elapsed();
        assert!(took <= Duration::from_millis(longest), "let in after {took:?}");
        slowest = slowest.max(took);
        they_talk(&mut alice, &mut bob, &format!("with room {time}"));
        carol.ok("leave", json!({}));
    }
    for person in [&alice, &bob] {
        assert!(person.all(|line| line["event"] == "disconnected").is_empty());
    }
    tell(
        "descriptors used up",
        &format!("{times} times, limit {LIMIT}"),
        &format!(
            "broadcasts and chats went on; {:.1} % of a processor at most; a newcomer in {slowest:.0?} \
             after there was room at most",
            busiest * 100.0
        ),
    );
}
