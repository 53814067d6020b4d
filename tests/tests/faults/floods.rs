//! Floods of lines, sign-ups and wrong passwords from one address. The server slows and then closes them. Users at
//! other addresses notice nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use letschat_protocol::frame::{Decoder, Mode};
use letschat_tests::form::{is_full, short_or_full, tell};
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use crate::honest::Honest;
use crate::members::{Member, connect_from, foreign_address, server_with_members};

/// Lifts the limit on broadcasts for honest users.
const NO_RATE: [&str; 2] = ["--broadcast-burst", "100000"];

/// The number of commands that are answered at once; then the number in a second.
const BURST: f64 = 50.0;
const PER_SECOND: f64 = 20.0;

/// The commands of an attacker and their outcome.
struct Flood {
    answers: usize,
    closed: bool,
    took: Duration,
}

#[test]
fn a_flood_of_lines_is_slowed_and_closed() {
    let server = server_with_members(1, &NO_RATE);
    let mut honest = Honest::join(&server);
    let from_there = || connect_from(foreign_address(0), server.address);
    let member = Member::log_in(&server, 0, from_there()).typist;
    let stranger = Typist::over(from_there()).says_hello();
    // In the full form a member's flood ends with its connection. A stranger must log in before that.
    let patience = short_or_full(Duration::from_secs(4), Duration::from_secs(90));
    let floods = [member, stranger].map(|typist| thread::spawn(move || pour(typist, patience)));
    honest.go_on_until(|| floods.iter().all(|flood| flood.is_finished()));
    let [member, stranger] = floods.map(|flood| flood.join().unwrap());
    for Flood { answers, took, .. } in [&member, &stranger] {
        let most = BURST + PER_SECOND * (took.as_secs_f64() + 1.0);
        assert!(*answers as f64 <= most, "{answers} answers in {took:?}");
    }
    assert!(short_or_full(true, member.closed && stranger.closed), "a flood is not closed");
    let seen = honest.verdict();
    tell(
        "a flood of lines",
        "as fast as they are taken, by a member and by a stranger",
        &format!(
            "{} lines of the member answered, closed after {:.0?}; {} of the stranger, after {:.0?}; {seen}",
            member.answers, member.took, stranger.answers, stranger.took
        ),
    );
}

/// Sends lines as fast as possible and reads the answers until the server closes the connection.
fn pour(typist: Typist, patience: Duration) -> Flood {
    let begin = Instant::now();
    let (mut tls, mut tcp) = typist.into_parts();
    tcp.set_nonblocking(true).unwrap();
    let (mut decoder, mut answers, mut closed) = (Decoder::new(), 0, false);
    while begin.elapsed() < patience && !closed {
        wait_for(&tcp);
        if !tls.wants_write() {
            tls.writer().write_all("PING\n".repeat(200).as_bytes()).unwrap();
        }
        // A full socket takes the rest later, and a closed one shows when reading.
        let _ = tls.write_tls(&mut tcp);
        closed = match tls.read_tls(&mut tcp) {
            Ok(count) => count == 0 || tls.process_new_packets().unwrap().peer_has_closed(),
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        let mut bytes = [0; 4_096];
        while let Ok(count @ 1..) = tls.reader().read(&mut bytes) {
            decoder.extend(&bytes[..count]);
        }
        while let Some(frame) = decoder.next(Mode::Frame).unwrap() {
            answers += usize::from(frame.as_line().starts_with("250 "));
        }
    }
    Flood { answers, closed, took: begin.elapsed() }
}

/// Waits briefly for readable data.
fn wait_for(tcp: &TcpStream) {
    let mut socket = [PollFd::new(tcp, PollFlags::IN)];
    let moment = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    let _ = poll(&mut socket, Some(&moment));
}

#[test]
fn a_flood_of_sign_ups_is_slowed_and_closed() {
    let burst = short_or_full(5, 50);
    let server =
        TestServer::start(&[NO_RATE.as_slice(), &["--signup-burst", &burst.to_string()]].concat());
    let mut honest = Honest::join(&server);
    let attack = Attack::start(&server, |number, typist| {
        typist.tries_to_type(&format!("SIGNUP mallory{number} +{}\n{PASSWORDS}", PASSWORDS.len()))
    });
    honest.go_on_until(|| attack.is_over());
    let [done, slowed, closed] = attack.end();
    // A burst, then one in every ten seconds.
    assert!(done <= burst + 10, "{done} accounts were made");
    let seen = honest.verdict();
    tell(
        "a flood of sign-ups",
        "16 connections from one address, one sign-up after the other",
        &format!(
            "{done} accounts made, {slowed} refused for now, {closed} connections closed; {seen}"
        ),
    );
}

#[test]
fn a_flood_of_wrong_passwords_is_slowed_and_closed() {
    let server = TestServer::start(&NO_RATE);
    let mut honest = Honest::join(&server);
    let fingerprint = server.fingerprint.clone();
    let attack = Attack::start(&server, move |_, typist| {
        typist.tries_password(&fingerprint, "alice", "not the password")
    });
    honest.go_on_until(|| attack.is_over());
    let [done, slowed, closed] = attack.end();
    assert_eq!(done, 0, "somebody got in by a wrong password");
    let seen = honest.verdict();
    tell(
        "a flood of wrong passwords",
        "16 connections from one address, one try after the other",
        &format!("{slowed} refused for now, {closed} connections closed; {seen}"),
    );
}

/// A password and its repetition.
const PASSWORDS: &str = "correct horse battery\ncorrect horse battery";

/// The number of simultaneous connections: the server's limit for one address before the login.
const AT_ONCE: usize = 16;

/// An attack from one address, over as many connections as the server allows.
struct Attack {
    threads: Vec<JoinHandle<()>>,
    came: Arc<Came>,
}

/// The outcome.
struct Came {
    /// The earliest end.
    until: Instant,
    tries: AtomicUsize,
    done: AtomicUsize,
    slowed: AtomicUsize,
    closed: AtomicUsize,
}

impl Attack {
    /// Starts the attack. Each connection calls `does` repeatedly with the number of the attempt.
    fn start(
        server: &TestServer,
        does: impl Fn(usize, &mut Typist) -> bool + Clone + Send + 'static,
    ) -> Attack {
        let until = Instant::now() + short_or_full(Duration::from_secs(3), Duration::from_secs(30));
        let [tries, done, slowed, closed] = Default::default();
        let came = Arc::new(Came { until, tries, done, slowed, closed });
        let (address, source) = (server.address, foreign_address(0));
        let attack = |_| {
            let (came, does) = (came.clone(), does.clone());
            thread::spawn(move || {
                while !came.is_enough() {
                    if came.tries(Typist::over(connect_from(source, address)), &does).is_none() {
                        came.closed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let threads = (0..AT_ONCE).map(attack).collect();
        Attack { threads, came }
    }

    fn is_over(&self) -> bool {
        self.came.is_enough()
    }

    /// Returns the numbers of accepted, slowed and closed attempts.
    fn end(self) -> [usize; 3] {
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let Came { done, slowed, closed, .. } = &*self.came;
        [done, slowed, closed].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Came {
    /// Returns true once time is up and the attack was slowed, and in the full form also closed.
    fn is_enough(&self) -> bool {
        let late = Instant::now().saturating_duration_since(self.until);
        assert!(late < PATIENCE, "it is not slowed, or not closed");
        let came = |count: &AtomicUsize| count.load(Ordering::Relaxed) > 0;
        late > Duration::ZERO && came(&self.slowed) && (came(&self.closed) || !is_full())
    }

    /// Runs attempts on one connection. `None` means that the server closed it.
    fn tries(&self, mut typist: Typist, does: impl Fn(usize, &mut Typist) -> bool) -> Option<()> {
        typist.next_frame()?;
        typist.tries_to_type("HELLO letschat/1").then_some(())?;
        typist.next_frame()?;
        while !self.is_enough() {
            let number = self.tries.fetch_add(1, Ordering::Relaxed);
            does(number, &mut typist).then_some(())?;
            let count = match typist.next_frame()?.as_line().get(..3) {
                Some("201" | "230") => &self.done,
                Some("429") => &self.slowed,
                _ => continue,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(())
    }
}
