//! The wall clock is set back and forth by hours and days. Durations stay the same, and the times of
//! broadcasts stay unique.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use letschat_tests::client::TestClient;
use letschat_tests::clock::{DAY, HOUR, WallClock};
use letschat_tests::form::{short_or_full, tell};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

fn time_of(line: &Value) -> DateTime<Utc> {
    line["time"].as_str().unwrap_or_else(|| panic!("{line}")).parse().unwrap()
}

/// Returns the allowed delay of a timer.
fn slack() -> Duration {
    short_or_full(Duration::from_secs(10), Duration::from_secs(1))
}

/// The tolerance for early timers, due to the clocks' precision.
const PRECISION: Duration = Duration::from_millis(3);

/// A broadcast that will expire.
struct Sent {
    number: u64,
    before: Instant,
    after: Instant,
}

/// A server whose clock is set, and its broadcasts.
struct Aging {
    // The programs that use the clock are dropped before it.
    alice: TestClient,
    server: TestServer,
    clock: WallClock,
    retention: Duration,
    times: Vec<DateTime<Utc>>,
    sent: Vec<Sent>,
    latest: Duration,
}

impl Aging {
    fn new(retention: Duration) -> Aging {
        let clock = WallClock::new();
        let seconds = retention.as_secs().to_string();
        let flags = ["--broadcast-burst", "100000", "--retention-seconds", &seconds];
        let server = TestServer::start_by(&clock.by(), &flags);
        let alice = TestClient::join(&server, "alice");
        let (times, sent, latest) = (Vec::new(), Vec::new(), Duration::ZERO);
        Aging { alice, server, clock, retention, times, sent, latest }
    }

    fn broadcasts(&mut self) -> DateTime<Utc> {
        let before = Instant::now();
        let reply = self.alice.ok("broadcast", json!({"text": "now"}));
        let (number, time) = (reply["number"].as_u64().unwrap(), time_of(&reply));
        if let Some(last) = self.times.last() {
            assert!(time > *last, "{time} comes after {last}");
        }
        self.times.push(time);
        self.sent.push(Sent { number, before, after: Instant::now() });
        time
    }

    /// Returns the lowest number that the server still keeps, from its console.
    fn first_kept(&mut self) -> u64 {
        self.server.process.type_line("stats");
        let line =
            self.server.process.wait_line("broadcasts", |line| line.starts_with("broadcasts"));
        let numbers: Vec<u64> = line
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        let [_, kept, last] = numbers[..] else { panic!("{line}") };
        last + 1 - kept
    }

    /// Checks that no broadcast expired too early or too late.
    fn look(&mut self) {
        let asked = Instant::now();
        let first = self.first_kept();
        let answered = Instant::now();
        let (gone, kept): (Vec<Sent>, Vec<Sent>) =
            self.sent.drain(..).partition(|sent| sent.number < first);
        self.sent = kept;
        for sent in gone {
            let age = answered - sent.before;
            assert!(age + PRECISION >= self.retention, "number {} gone after {age:?}", sent.number);
        }
        let ages = self.sent.iter().map(|sent| asked - sent.after);
        let oldest = ages.max().unwrap_or_default();
        assert!(oldest <= self.retention + slack(), "kept for {oldest:?}");
        self.latest = self.latest.max(oldest.saturating_sub(self.retention));
    }

    /// Waits for a moment and checks that nobody is disconnected.
    fn waits(&mut self) {
        let moment = Duration::from_millis(50);
        let is_disconnected = |line: &Value| line["event"] == "disconnected";
        assert_eq!(self.alice.wait_within(moment, is_disconnected), None);
    }
}

#[test]
fn broadcast_is_kept_for_its_time_by_any_wall_clock() {
    let (retention, rounds) = short_or_full((3, 1), (20, 5));
    let mut aging = Aging::new(Duration::from_secs(retention));
    // Check first that the server uses the clock.
    for ahead in [HOUR, DAY] {
        aging.clock.set(ahead);
        let time = aging.broadcasts();
        assert!(aging.clock.shows(time), "{time}, set ahead by {ahead} s");
    }
    for _ in 0..rounds {
        for _ in 0..6 {
            aging.clock.jump();
            aging.broadcasts();
            aging.look();
        }
        // The ages must also survive a restart, for which they are stored.
        aging.server.kill();
        aging.clock.jump();
        aging.server.start_again();
        aging.alice.wait_event("disconnected");
        aging.alice.wait_event("logged_in");
        while !aging.sent.is_empty() {
            aging.clock.jump();
            aging.look();
            aging.waits();
        }
    }
    // No stored broadcast is left to keep the times increasing.
    aging.clock.set(-DAY);
    aging.broadcasts();
    tell(
        "wall clock of the server set",
        &format!("{} times, by an hour and a day, also over a restart", aging.clock.times_set),
        &format!(
            "{} broadcasts kept for {retention} s, none less, none seen more than {:.0?} later; times strictly increasing",
            aging.times.len(),
            aging.latest
        ),
    );
}

#[test]
fn who_is_idle_is_let_go_in_time_whatever_the_wall_clock_says() {
    let idle = short_or_full(4, 90);
    let mut clock = WallClock::new();
    let seconds = idle.to_string();
    let server = TestServer::start_by(&clock.by(), &["--idle-seconds", &seconds]);
    let mut alice = TestClient::start(&server, "alice");
    let credentials = json!({"username": "alice", "password": letschat_tests::client::PASSWORD});
    alice.ok("signup", credentials.clone());
    let before = Instant::now();
    alice.ok("login", credentials);
    let after = Instant::now();
    let told = loop {
        clock.jump();
        let moment = Duration::from_millis(200);
        let told = alice.wait_within(moment, |line| line["event"] == "disconnected");
        if let Some(told) = told {
            break told;
        }
        assert!(after.elapsed() <= Duration::from_secs(idle) + slack(), "it is not let go");
    };
    // Keep-alives continued, or the reason would be silence.
    assert_eq!(told["reason"], "idle", "{told}");
    let (least, most) = (after.elapsed(), before.elapsed());
    assert!(most + PRECISION >= Duration::from_secs(idle), "let go after {most:?}");
    tell(
        "wall clock of the server set while somebody is idle",
        &format!("{} times, by an hour and a day", clock.times_set),
        &format!("let go after {least:.1?}, which was to be {idle} s"),
    );
}

#[test]
fn client_whose_clock_is_set_chats_on_and_comes_back_in_time() {
    let rounds = short_or_full(1, 10);
    let mut clock = WallClock::new();
    let mut server = TestServer::start(&[]);
    let mut alice = TestClient::start_by(&clock.by(), &server, "alice");
    alice.sign_up_and_log_in();
    let mut bob = TestClient::join(&server, "bob");
    alice.chat_with(&mut bob);
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        for jump in 0..5 {
            clock.jump();
            let text = format!("{round} {jump}");
            alice.says_to(&mut bob, &text);
            bob.ok("say", json!({"text": text, "to": "alice"}));
            let time = time_of(&alice.wait_event_with("message", "text", &text));
            assert!(clock.shows(time), "{time}, set ahead by {} s", clock.ahead_seconds);
            bob.ok("broadcast", json!({"text": text}));
            alice.wait_event_with("broadcast", "text", &text);
        }
        server.kill();
        alice.wait_event("retrying");
        clock.jump();
        server.start_again();
        let begin = Instant::now();
        clock.jump();
        alice.wait_event("logged_in");
        let took = begin.elapsed();
        // The longest backoff between early attempts, plus the login.
        assert!(took <= Duration::from_secs(5) + slack(), "back after {took:?}");
        slowest = slowest.max(took);
        bob.wait_event("logged_in");
    }
    assert!(alice.all(|line| line["event"] == "chat_closed").is_empty());
    tell(
        "wall clock of a client set",
        &format!("{} times, by an hour and a day", clock.times_set),
        &format!("chats and broadcasts went on; back {slowest:.1?} after a restart at most"),
    );
}

#[test]
fn programs_work_with_a_clock_before_1970() {
    let mut clock = WallClock::new();
    clock.set(-60 * 365 * DAY);
    for format in ["text", "json"] {
        let mut server = TestServer::start_by(&clock.by(), &["--log-format", format]);
        let mut alice = TestClient::start_by(&clock.by(), &server, "alice");
        let mut bob = TestClient::start_by(&clock.by(), &server, "bob");
        alice.sign_up_and_log_in();
        bob.sign_up_and_log_in();
        alice.chat_with(&mut bob);
        alice.says_to(&mut bob, "how early it is");
        bob.ok("broadcast", json!({"text": "hello"}));
        let broadcast = alice.wait_event_with("broadcast", "text", "hello");
        assert!(broadcast["time"].as_str().unwrap().starts_with("1970-01-01T"), "{broadcast}");
        server.stop();
        assert!(!server.process.errors().contains("panicked"), "{}", server.process.errors());
    }
}
