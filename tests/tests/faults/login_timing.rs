//! A refused login takes equally long for existing and unknown names.
//!
//! Attempts with both names alternate in random order, so that other load affects both alike. The
//! Mann-Whitney rank test (1947) compares them, since it tolerates outliers. The full form also compares
//! the medians.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use letschat_protocol::identity::Identity;
use letschat_tests::client::TestClient;
use letschat_tests::form::{is_full, quantile, seed, short_or_full, tell};
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use socket2::{Domain, Socket, Type};

const KNOWN: &str = "known-one";
const UNKNOWN: &str = "other-one";
const WRONG: &str = "not the password";

/// The limits in standard deviations. Chance alone exceeds the first once in a hundred runs. The short form
/// runs often, so chance exceeds its limit once in a hundred thousand.
const FULL_DEVIATIONS: f64 = 2.58;
const SHORT_DEVIATIONS: f64 = 4.5;

/// The allowed relative difference of the medians in the full form.
const MEDIANS_APART: f64 = 0.05;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Password,
    Key,
}

#[test]
fn refused_password_takes_as_long_for_any_name() {
    takes_as_long(By::Password, "a wrong password, known and unknown name");
}

#[test]
fn refused_key_takes_as_long_for_any_name() {
    takes_as_long(By::Key, "an unknown key, known and unknown name");
}

fn takes_as_long(by: By, what: &str) {
    let server = TestServer::start(&[]);
    TestClient::join(&server, KNOWN).quits();
    // A hash takes a hundred times as long as the rest and yields to other load. Below 20 attempts the rank
    // test could not tell even disjoint times apart. By key it takes thousands to see the cost of finding a
    // row.
    let tries = match by {
        By::Password => short_or_full(20, 500),
        By::Key => short_or_full(200, 3_000),
    };
    let mut seen = measure(&server, by, tries, seed());
    if is_full() && !seen.is_alike() {
        // Chance fails once in a hundred runs, so the test measures again.
        seen = measure(&server, by, tries, seed() + 1);
    }
    assert!(seen.is_alike(), "{seen:?}");
    let Seen { known, unknown, deviations } = seen;
    let apart = (known.as_secs_f64() / unknown.as_secs_f64() - 1.0) * 100.0;
    let medians = format!("medians {known:.1?} and {unknown:.1?}, {apart:+.1} % apart");
    tell(
        what,
        &format!("{tries} tries of each"),
        &format!("{medians}; rank test z {deviations:+.2}"),
    );
}

/// The medians, and the rank deviation of the known name in standard deviations.
#[derive(Debug)]
struct Seen {
    known: Duration,
    unknown: Duration,
    deviations: f64,
}

impl Seen {
    fn is_alike(&self) -> bool {
        let apart = (self.known.as_secs_f64() / self.unknown.as_secs_f64() - 1.0).abs();
        let deviations = self.deviations.abs();
        match is_full() {
            true => deviations < FULL_DEVIATIONS && apart < MEDIANS_APART,
            false => deviations < SHORT_DEVIATIONS,
        }
    }
}

fn measure(server: &TestServer, by: By, tries: usize, seed: u64) -> Seen {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..tries {
        let mut stranger = stranger(server, &mut random);
        let mut names = [KNOWN, UNKNOWN];
        random.shuffle(&mut names);
        for name in names {
            let took = refused(&mut stranger, server, by, name);
            if name == KNOWN { known.push(took) } else { unknown.push(took) }
        }
    }
    let deviations = rank_deviations(&known, &unknown);
    Seen { known: quantile(&known, 0.5), unknown: quantile(&unknown, 0.5), deviations }
}

/// Connects from an address without failed logins, which the server does not slow.
fn stranger(server: &TestServer, random: &mut fastrand::Rng) -> Typist {
    let from = IpAddr::from([127, random.u8(1..), random.u8(..), random.u8(1..255)]);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&server.address.into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    let mut typist = Typist::over(TcpStream::from(socket));
    typist.expects("220 ");
    typist.types("HELLO letschat/1");
    typist.expects("300 ");
    typist
}

/// Returns the time until a login is refused.
fn refused(typist: &mut Typist, server: &TestServer, by: By, name: &str) -> Duration {
    let identity = Identity::generate().unwrap();
    let credentials = typist.credentials(&server.fingerprint, name, &identity, 1);
    let (line, answer) = match by {
        By::Password => (format!("LOGIN {name} {credentials} +{}\n{WRONG}", WRONG.len()), "535 "),
        By::Key => (format!("KEY {name} {credentials}"), "536 "),
    };
    let begin = Instant::now();
    typist.types(&line);
    typist.expects(answer);
    begin.elapsed()
}

/// Returns the Mann-Whitney U of `first`, in standard deviations from its expectation for equal
/// distributions. It uses the normal approximation with the correction for ties.
fn rank_deviations(first: &[Duration], second: &[Duration]) -> f64 {
    let mark = |times: &[Duration], is_first: bool| -> Vec<(Duration, bool)> {
        times.iter().map(|time| (*time, is_first)).collect()
    };
    let mut all = [mark(first, true), mark(second, false)].concat();
    all.sort_unstable();
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|one, other| one.0 == other.0) {
        let count = same.len() as f64;
        let rank = before + (count + 1.0) / 2.0;
        ranks += rank * same.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += count.powi(3) - count;
        before += count;
    }
    let (one, other, both) = (first.len() as f64, second.len() as f64, all.len() as f64);
    let u = ranks - one * (one + 1.0) / 2.0;
    let variance = one * other / 12.0 * (both + 1.0 - ties / (both * (both - 1.0)));
    if variance == 0.0 { 0.0 } else { (u - one * other / 2.0) / variance.sqrt() }
}

#[test]
fn the_rank_test_sees_what_differs_and_nothing_else() {
    let times = |millis: &[u64]| -> Vec<Duration> {
        millis.iter().map(|millis| Duration::from_millis(*millis)).collect()
    };
    // By hand: U is 2, its expectation 8, and its variance 4 * 4 * 9 / 12.
    let deviations = rank_deviations(&times(&[1, 2, 3, 6]), &times(&[4, 5, 7, 8]));
    assert!((deviations - (2.0 - 8.0) / 12f64.sqrt()).abs() < 1e-9, "{deviations}");
    // With four tied values of rank 3.5, U is 6 below its expectation.
    let tied = rank_deviations(&times(&[1, 2, 2]), &times(&[2, 2, 3]));
    let variance = 9.0 / 12.0 * (7.0 - 60.0 / 30.0);
    assert!((tied - (2.0 - 4.5) / f64::sqrt(variance)).abs() < 1e-9, "{tied}");
    assert_eq!(rank_deviations(&times(&[5; 9]), &times(&[5; 9])), 0.0);
    let mut random = fastrand::Rng::with_seed(1);
    let mut draw =
        |from: u64| -> Vec<u64> { (0..200).map(|_| random.u64(from..from + 100)).collect() };
    let (one, same, later) = (draw(0), draw(0), draw(30));
    assert!(rank_deviations(&times(&one), &times(&same)).abs() < SHORT_DEVIATIONS);
    assert!(rank_deviations(&times(&one), &times(&later)) < -SHORT_DEVIATIONS);
}
