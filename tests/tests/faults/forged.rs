//! Forged, replayed and random datagrams, tens of thousands a second, some with ids of real sessions. The
//! server accepts and answers none, and broadcasts continue.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use letschat_protocol::limits::MAX_DATAGRAM_BYTES;
use letschat_tests::client::TestClient;
use letschat_tests::form::{is_full, quantile, seed, short_or_full, tell};
use letschat_tests::pace::Pace;
use letschat_tests::relay::Relay;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::members::foreign_address;

/// The length of the session id at the start of a datagram, and of the unencrypted header.
const SESSION_BYTES: usize = 8;
const HEADER_BYTES: usize = 16;

/// The maximum payload of UDP over IPv4.
const LONGEST_BYTES: usize = 65_507;

/// The interval of the forger's batches.
const BATCH_EVERY: Duration = Duration::from_millis(2);

/// The interval of honest broadcasts, in turn. It stays below the rate limit.
const BROADCAST_EVERY: Duration = Duration::from_millis(20);

/// The number of the forger's sockets, each with its own address.
const SOCKETS: usize = 8;

#[test]
fn forged_datagrams_get_no_answer_and_broadcasts_flow_on() {
    let (rate, seconds) = short_or_full((5_000, 2), (50_000, 20));
    let server = TestServer::start(&["--broadcast-burst", "100000"]);
    let relay = Relay::before(&server, "127.0.4.3", "127.0.4.4");
    let names = ["alice", "bob", "carol", "dave"];
    let mut people = names.map(|name| relay.join(&server, name));
    names.iter().for_each(|name| server.wait_log(&format!("datagrams reach {name}")));

    let forging = Forger::new(relay.captured(), server.address).start(rate, rate * seconds);
    let (mut delays, mut rounds, mut pace) = (Vec::new(), 0, Pace::every(BROADCAST_EVERY));
    while !forging.is_finished() || rounds < 5 {
        pace.wait();
        delays.extend(broadcast_to_all(&mut people, rounds));
        rounds += 1;
    }
    let (forger, took) = forging.join().unwrap();
    // Datagrams are processed in order, so the server has now processed all of them.
    delays.extend(broadcast_to_all(&mut people, rounds));

    assert_eq!(forger.answers(), 0, "somebody answered the forger");
    let (sent, dropped) = ((rate * seconds) as u64, dropped_by_the_kernel(server.address.port()));
    assert!(dropped < sent / 2, "of {sent} datagrams {dropped} never reached the server");
    let (heard, genuine) = (datagrams_heard(server), relay.captured().len() as u64);
    assert!(heard <= genuine, "{heard} datagrams were accepted, and {genuine} genuine ones sent");
    people.iter().for_each(|person| sees_each_once(person, rounds + 1));
    let (half, slow) = (quantile(&delays, 0.5), quantile(&delays, 0.99));
    let bar = if is_full() { Duration::from_secs(2) } else { Duration::from_secs(10) };
    assert!(slow <= bar, "one of a hundred broadcasts took {slow:?}");
    let rate_kept = !is_full() || took.as_secs_f64() <= 1.1 * seconds as f64;
    assert!(rate_kept, "the forger took {took:?} instead of {seconds} s");
    tell(
        "forged datagrams",
        &format!("{} in {took:.1?}: replayed, changed, random, short, 64 KiB", rate * seconds),
        &format!(
            "{dropped} dropped by the kernel, none accepted, none answered; {} broadcasts shown \
             once by each of {}, delay median {half:.0?}, p99 {slow:.0?}",
            rounds + 1,
            names.len()
        ),
    );
}

/// Broadcasts from one user. Returns the time until each user is shown it.
fn broadcast_to_all(people: &mut [TestClient], round: usize) -> Vec<Duration> {
    let (text, begin) = (format!("round {round}"), Instant::now());
    let sender = round % people.len();
    people[sender].ok("broadcast", json!({"text": text}));
    let shown = people.iter_mut().map(|person| {
        person.wait_event_with("broadcast", "text", &text);
        begin.elapsed()
    });
    shown.collect()
}

fn sees_each_once(person: &TestClient, rounds: usize) {
    let mut texts: Vec<String> = person
        .all(|line| line["event"] == "broadcast")
        .iter()
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    texts.sort_by_key(|text| text["round ".len()..].parse::<usize>().unwrap());
    let sent: Vec<String> = (0..rounds).map(|round| format!("round {round}")).collect();
    assert_eq!(texts, sent, "as {} saw it", person.name);
}

/// Returns the datagrams to this port that the kernel dropped for lack of room, the last column of its
/// socket table.
fn dropped_by_the_kernel(port: u16) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"]
        .map(|table| fs::read_to_string(table).unwrap_or_default());
    let here = format!(":{port:04X}");
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    let ours = sockets.filter(|socket| {
        socket.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&here))
    });
    ours.map(|socket| socket.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum()
}

/// Returns the number of genuine datagrams that the server received, from its console.
fn datagrams_heard(mut server: TestServer) -> u64 {
    server.process.type_line("stats");
    let line = server.process.wait_line("count", |line| line.starts_with("heard "));
    let count = line.rsplit(", ").next().and_then(|words| words.split(' ').next());
    count.unwrap().parse().unwrap()
}

/// An attacker who captures genuine datagrams but has no key.
struct Forger {
    captured: Vec<Vec<u8>>,
    sockets: Vec<UdpSocket>,
    random: Rng,
}

impl Forger {
    fn new(captured: Vec<Vec<u8>>, server: SocketAddr) -> Forger {
        assert!(captured.iter().all(|datagram| datagram.len() > HEADER_BYTES));
        let sockets = (0..SOCKETS).map(|number| {
            let socket = UdpSocket::bind((foreign_address(number), 0)).unwrap();
            socket.connect(server).unwrap();
            socket
        });
        Forger { captured, sockets: sockets.collect(), random: Rng::with_seed(seed()) }
    }

    /// Sends `count` datagrams at this rate. Returns the time that took.
    fn start(mut self, rate: usize, count: usize) -> JoinHandle<(Forger, Duration)> {
        let begin = Instant::now();
        thread::spawn(move || {
            let at_once = ((rate as f64 * BATCH_EVERY.as_secs_f64()) as usize).max(1);
            let mut pace = Pace::every(Duration::from_secs_f64(at_once as f64 / rate as f64));
            for sent in 0..count {
                if sent % at_once == 0 {
                    pace.wait();
                }
                let datagram = self.datagram();
                // A datagram that the kernel refuses counts as lost.
                let _ = self.sockets[sent % SOCKETS].send(&datagram);
            }
            (self, begin.elapsed())
        })
    }

    fn datagram(&mut self) -> Vec<u8> {
        let known = self.random.usize(..self.captured.len());
        let mut datagram = self.captured[known].clone();
        match self.random.u8(..100) {
            // A replay.
            0..30 => {}
            // One bit is flipped: in the session, the counter, the message or the tag.
            30..60 => {
                let at = self.random.usize(..datagram.len());
                datagram[at] ^= 1 << self.random.u8(..8);
            }
            // A real session id with a random message.
            60..80 => {
                datagram.truncate(SESSION_BYTES);
                let length = self.random.usize(..MAX_DATAGRAM_BYTES);
                datagram.extend(self.garbage(length));
            }
            80..90 => datagram = self.random_length(MAX_DATAGRAM_BYTES),
            90..99 => datagram = self.random_length(2 * HEADER_BYTES),
            _ => datagram.resize(LONGEST_BYTES, 0),
        }
        datagram
    }

    fn random_length(&mut self, below: usize) -> Vec<u8> {
        let length = self.random.usize(..below);
        self.garbage(length)
    }

    fn garbage(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes);
        bytes
    }

    /// Returns the number of sockets that received a datagram or an error.
    fn answers(&self) -> usize {
        let is_answered = |socket: &&UdpSocket| {
            socket.set_nonblocking(true).unwrap();
            let answer = socket.recv(&mut [0; 64]);
            !matches!(answer, Err(error) if error.kind() == ErrorKind::WouldBlock)
        };
        self.sockets.iter().filter(is_answered).count()
    }
}
