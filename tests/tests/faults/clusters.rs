//! Three servers as one service: any of them is killed, and so are the database and the bell; and a server is cut off
//! from one of them, or from both, while its people go on.

use std::fmt;
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::cluster::TestCluster;
use letschat_tests::form::{is_full, seed, short_or_full, tell};
use letschat_tests::mysql_server::Throwaway;
use letschat_tests::relay::LinkCondition;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::crowd::Crowd;

/// The number of servers.
const SERVERS: u8 = 3;

/// The time limit, from the moment at which a fault is over, or a server is killed, until everybody is logged in and sees
/// everybody.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// The limits of the short form, which runs beside other tests.
const SHORT_WITHIN: Duration = Duration::from_secs(40);

/// A fault.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// A server is killed, and started again.
    ServerKilled,
    /// The bell is killed, and started again with nothing in it.
    BellKilled,
    /// The database is killed, and started again.
    DatabaseKilled,
    /// A server is cut off from these.
    CutOff { database: bool, bell: bool },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::ServerKilled => "one of three servers killed at any moment",
            Fault::BellKilled => "the bell of three servers killed, and empty after its start",
            Fault::DatabaseKilled => "the database of three servers killed and started again",
            Fault::CutOff { database: true, bell: true } => {
                "one of three servers cut off from both"
            }
            Fault::CutOff { database: true, .. } => {
                "one of three servers cut off from the database"
            }
            Fault::CutOff { .. } => "one of three servers cut off from the bell",
        })
    }
}

/// Three servers, their people, and the longest times.
struct Town {
    // The fields are dropped in this order: the database's users end first.
    crowd: Crowd,
    cluster: TestCluster,
    database: Throwaway,
    _folder: TempDir,
    random: fastrand::Rng,
    /// The highest number of an acknowledged broadcast so far.
    last: u64,
    back: Duration,
}

impl Town {
    fn new(clients: usize) -> Town {
        let folder = tempfile::tempdir().unwrap();
        let database = Throwaway::private(&folder);
        let flags = ["--broadcast-burst", "1000000"];
        let cluster = TestCluster::start_with(&database.server, "letschat", SERVERS, &flags);
        let join = |n: usize| {
            let location = cluster.location(n % usize::from(SERVERS));
            let mut client = TestClient::start_at(&location, &format!("person{n}"), &[]);
            client.sign_up_and_log_in();
            client
        };
        let mut people: Vec<TestClient> = (0..clients).map(join).collect();
        everybody_sees_everybody(&mut people);
        let (one, others) = people.split_at_mut(1);
        one[0].befriend(&mut others[1]);
        let crowd = Crowd::of(people);
        let (random, last) = (fastrand::Rng::with_seed(seed()), 0);
        let back = Duration::ZERO;
        Town { crowd, cluster, database, _folder: folder, random, last, back }
    }

    /// Plays a fault while people broadcast, chat and write to each other.
    fn play(&mut self, fault: Fault, round: usize, cut: Duration) {
        self.crowd.chat(round, "before");
        self.crowd.people[0]
            .ok("send", json!({"to": "person2", "text": format!("before {round}")}));
        let told = self.crowd.broadcast(round);
        let moment = Duration::from_micros(self.random.u64(..30_000));
        self.crowd.people[0].wait_within(moment, |_| false);
        let at = self.random.usize(..usize::from(SERVERS));
        self.begin(fault, at);
        let begun = Instant::now();
        let acknowledged = self.crowd.note_acknowledged(told);
        self.crowd.chat(round, "meanwhile");
        self.crowd.people[0]
            .ok("send", json!({"to": "person2", "text": format!("during {round}")}));
        if matches!(fault, Fault::ServerKilled) {
            // Its people go to the other servers.
            everybody_sees_everybody(&mut self.crowd.people);
            self.back = self.back.max(begun.elapsed());
        }
        self.crowd.people[0].wait_within(cut, |_| false);
        self.end(fault, at);
        let over = Instant::now();
        self.nobody_is_here_twice();
        everybody_sees_everybody(&mut self.crowd.people);
        self.broadcasts_again(&format!("back {round}"));
        self.back = self.back.max(over.elapsed());
        // What was committed later has a higher number.
        let first = acknowledged.iter().min().copied().unwrap_or(u64::MAX);
        assert!(first > self.last, "number {first} was given after {}", self.last);
        self.last = self.last.max(acknowledged.into_iter().max().unwrap_or_default());
    }

    /// Waits until somebody's broadcast is accepted.
    fn broadcasts_again(&mut self, text: &str) {
        let until = Instant::now() + SHORT_WITHIN;
        let person = &mut self.crowd.people[0];
        loop {
            let told = person.tell("broadcast", json!({"text": text}));
            let reply = person.reply(told);
            if reply["number"].is_u64() {
                return;
            }
            assert!(Instant::now() < until, "{reply}");
        }
    }

    fn begin(&mut self, fault: Fault, at: usize) {
        match fault {
            Fault::ServerKilled => self.cluster.servers[at].kill(),
            Fault::BellKilled => self.cluster.bell.kill(),
            Fault::DatabaseKilled => self.database.stop(),
            Fault::CutOff { database, bell } => {
                // In one case there is no error, in the other there is.
                let is_silent = self.random.bool();
                let how = if is_silent { LinkCondition::BlackHole } else { LinkCondition::Broken };
                self.weather(at, (database, bell), how);
            }
        }
    }

    fn end(&mut self, fault: Fault, at: usize) {
        match fault {
            Fault::ServerKilled => self.cluster.servers[at].start_again(),
            Fault::BellKilled => self.cluster.bell.start_again(),
            Fault::DatabaseKilled => self.database.start_again(),
            Fault::CutOff { database, bell } => {
                self.weather(at, (database, bell), LinkCondition::Fine);
            }
        }
    }

    fn weather(&self, at: usize, (database, bell): (bool, bool), how: LinkCondition) {
        let wires = &self.cluster.wires[at];
        if database {
            wires.database.weather(how);
        }
        if bell {
            wires.bell.weather(how);
        }
    }

    /// Waits until the servers have one session of each device.
    fn nobody_is_here_twice(&mut self) {
        let until = Instant::now() + SHORT_WITHIN;
        loop {
            let servers = self.cluster.servers.iter_mut();
            let here: usize = servers.map(sessions_here).sum();
            if here == self.crowd.people.len() {
                return;
            }
            assert!(Instant::now() < until, "{here} sessions");
        }
    }

    /// Checks what everybody has seen.
    fn check(mut self, fault: Fault, times: usize, what: &str) {
        self.crowd.people[0].ok("broadcast", json!({"text": "end"}));
        let acknowledged = self.crowd.check_broadcasts();
        self.crowd.check_chat();
        let (sender, recipient) = self.crowd.people.split_at_mut(1);
        let recipient = &mut recipient[1];
        sender[0].ok("send", json!({"to": recipient.name, "text": "end"}));
        recipient.wait_event_with("message", "text", "end");
        let came = recipient.all(|line| line["event"] == "message" && line["from"] == "person0");
        let texts: Vec<&str> = came.iter().filter_map(|line| line["text"].as_str()).collect();
        for round in 0..times {
            for when in ["before", "during"] {
                let text = format!("{when} {round}");
                assert_eq!(
                    texts.iter().filter(|one| **one == text).count(),
                    1,
                    "{text}: {texts:?}"
                );
            }
        }
        let back = self.back;
        assert!(!is_full() || back <= BACK_WITHIN, "it took {back:?} until all were back");
        let clients = self.crowd.people.len();
        tell(
            &fault.to_string(),
            &format!("{times} times{what}, {clients} clients"),
            &format!(
                "{acknowledged} acknowledged broadcasts kept, their numbers rose, each shown once; messages \
                 each once; the chat went on; everybody saw everybody after {back:.1?} at most"
            ),
        );
    }
}

/// Returns the number of a server's own sessions.
fn sessions_here(server: &mut TestServer) -> usize {
    let before = server.process.heard.len();
    server.process.type_line("list");
    server.process.wait_line("the end of the list", |line| line.contains(" places taken"));
    let listed = server.process.heard[before..].iter();
    listed.filter(|line| line.ends_with("UDP") || line.ends_with("TCP")).count()
}

/// Waits until everybody is logged in and sees everybody.
fn everybody_sees_everybody(people: &mut [TestClient]) {
    let until = Instant::now() + SHORT_WITHIN;
    let count = people.len();
    for person in people {
        loop {
            let asked = person.tell("list", json!({}));
            let reply = person.reply(asked);
            if reply["users"].as_array().is_some_and(|users| users.len() == count) {
                break;
            }
            assert!(Instant::now() < until, "{} sees {reply}", person.name);
            let is_change = |line: &Value| line["event"] == "logged_in";
            person.wait_within(Duration::from_millis(20), is_change);
        }
    }
}

fn play(fault: Fault, times: (usize, usize), cut: Duration) {
    if !Throwaway::is_here_to_test("the faults of a cluster") {
        return;
    }
    let (clients, times) = short_or_full((6, times.0), (24, times.1));
    let mut town = Town::new(clients);
    for round in 0..times {
        town.play(fault, round, cut);
    }
    let what = if cut.is_zero() { String::new() } else { format!(" for {cut:.0?}") };
    town.check(fault, times, &what);
}

/// The time for which a server, the bell or the database is away.
fn away() -> Duration {
    short_or_full(Duration::from_millis(500), Duration::from_secs(3))
}

/// The time for which a server is cut off. It is longer than that after which it is gone for the others.
fn cut() -> Duration {
    short_or_full(Duration::from_secs(6), Duration::from_secs(60))
}

#[test]
fn any_server_of_three_may_be_killed() {
    play(Fault::ServerKilled, (2, 30), away());
}

#[test]
fn bell_of_three_servers_may_be_killed() {
    play(Fault::BellKilled, (2, 20), away());
}

#[test]
fn database_of_three_servers_may_be_killed() {
    play(Fault::DatabaseKilled, (1, 10), away());
}

#[test]
fn server_cut_off_from_the_database_comes_back() {
    play(Fault::CutOff { database: true, bell: false }, (1, 4), cut());
}

#[test]
fn server_cut_off_from_the_bell_comes_back() {
    play(Fault::CutOff { database: false, bell: true }, (1, 4), cut());
}

#[test]
fn server_cut_off_from_both_comes_back() {
    play(Fault::CutOff { database: true, bell: true }, (1, 4), cut());
}
