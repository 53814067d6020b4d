//! A database that hangs, dies and comes back. Logged-in users keep chatting, requests that need the
//! database soon fail with a reason, and service returns by itself.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use ::mysql::prelude::Queryable as _;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::form::{seed, short_or_full, tell, tell_not_played};
use letschat_tests::mysql_server::Throwaway;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server, its database, and its users.
struct Town {
    // The fields are dropped in this order: the database's users end first.
    people: People,
    server: TestServer,
    database: Throwaway,
    folder: TempDir,
    accepted: Vec<String>,
    refused: Vec<String>,
    random: fastrand::Rng,
}

struct People {
    alice: TestClient,
    bob: TestClient,
    /// Leaves and returns.
    carol: TestClient,
    /// Has no account and tries to sign up.
    newcomer: TestClient,
}

/// Returns the time limit for a request to fail without the database.
fn told_within() -> Duration {
    short_or_full(Duration::from_secs(6), Duration::from_secs(3))
}

fn back_within() -> Duration {
    short_or_full(Duration::from_secs(25), Duration::from_secs(5))
}

impl Town {
    fn new() -> Town {
        let folder = tempfile::tempdir().unwrap();
        let database = Throwaway::private(&folder);
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let mut administrator = database.server.administrator();
        // A password like an operator's. MySQL compares it with its cache of the last login, or after a
        // restart by the slow full check.
        let create = format!("CREATE USER chat IDENTIFIED BY '{PASSWORD}'");
        for statement in [&create, "GRANT ALL ON letschat.* TO chat"] {
            administrator.query_drop(statement).unwrap();
        }
        let store = format!("mysql://chat@{}/letschat", database.server.address);
        let password = password.to_str().unwrap();
        let flags =
            ["--broadcast-burst", "100000", "--store", &store, "--store-password-file", password];
        let server = TestServer::start(&flags);
        let [mut alice, bob, carol] =
            ["alice", "bob", "carol"].map(|name| TestClient::join(&server, name));
        let newcomer = TestClient::start(&server, "newcomer");
        alice.ok("watch", json!({}));
        let mut people = People { alice, bob, carol, newcomer };
        people.alice.chat_with(&mut people.bob);
        let (accepted, refused) = (Vec::new(), Vec::new());
        let random = fastrand::Rng::with_seed(seed());
        Town { people, server, database, folder, accepted, refused, random }
    }

    /// Returns the database's name for itself.
    fn kind(&self) -> String {
        let version = self.database.server.administrator().query_first("SELECT version()");
        let version: String = version.unwrap().unwrap();
        match version.contains("MariaDB") {
            true => version,
            false => format!("MySQL {version}, with an empty cache of logins"),
        }
    }

    /// Returns the database's process. On another machine or in a remote container there is none, which is
    /// reported.
    fn daemon(&self, test: &str) -> Option<String> {
        let daemon = self.process_of_ours();
        if daemon.is_none() {
            tell_not_played(test, "the database runs where no signal reaches it");
        }
        daemon
    }

    /// Finds the process by its command line: in a container, its own process id would not be ours.
    fn process_of_ours(&self) -> Option<String> {
        let flag = format!("--pid-file={}", self.folder.path().join("pid").display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let serves = |process: &fs::DirEntry| {
            let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
            command.split('\0').any(|word| word == flag)
        };
        Some(processes.into_iter().find(serves)?.file_name().into_string().unwrap())
    }

    /// Causes the fault while broadcasts are in progress. Each is accepted or refused within the limit.
    fn broadcasts_during(&mut self, fault: impl FnOnce(&mut Town)) -> Duration {
        let texts: Vec<String> =
            (0..20).map(|n| format!("under way {n} {}", self.name())).collect();
        let alice = &mut self.people.alice;
        let told: Vec<u64> =
            texts.iter().map(|text| alice.tell("broadcast", json!({"text": text}))).collect();
        // One broadcast is awaited first, so that the fault interrupts the others.
        let awaited = self.random.usize(0..10);
        self.note(told[awaited], &texts[awaited]);
        fault(self);
        let begin = Instant::now();
        for (n, id) in told.iter().enumerate() {
            if n != awaited {
                self.note(*id, &texts[n]);
            }
        }
        begin.elapsed()
    }

    /// Returns a text that has not been used before.
    fn name(&self) -> String {
        (self.accepted.len() + self.refused.len()).to_string()
    }

    /// Waits for the outcome of a broadcast. Returns true if it was accepted.
    fn note(&mut self, id: u64, text: &str) -> bool {
        let reply = self.people.alice.reply(id);
        let is_accepted = reply["number"].is_u64();
        if is_accepted {
            self.accepted.push(text.to_owned());
        } else {
            assert_eq!(reply["error"]["code"], "store_unavailable", "{reply}");
            self.refused.push(text.to_owned());
        }
        is_accepted
    }

    /// Checks that requests fail with a reason without the database. Returns the time of the slowest.
    fn what_needs_it_fails(&mut self) -> Duration {
        let text = self.name();
        let People { alice, carol, newcomer, .. } = &mut self.people;
        let credentials = |name: &str| json!({"username": name, "password": PASSWORD});
        let begin = Instant::now();
        let broadcast = alice.tell("broadcast", json!({"text": text}));
        let sign_up = newcomer.tell("signup", credentials("newcomer"));
        let by_key = carol.tell("login", json!({}));
        let mut slowest = Duration::ZERO;
        for (person, id) in [(alice, broadcast), (newcomer, sign_up), (carol, by_key)] {
            let (code, sentence) = person.refusal(id);
            assert_eq!(code, "store_unavailable", "{}: {sentence}", person.name);
            assert!(!sentence.is_empty());
            slowest = begin.elapsed();
        }
        let by_password = self.people.newcomer.tell("login", credentials("bob"));
        let begin = Instant::now();
        let (code, _) = self.people.newcomer.refusal(by_password);
        assert_eq!(code, "store_unavailable");
        self.refused.push(text);
        slowest.max(begin.elapsed())
    }

    /// Checks that logged-in users can chat, list users, and hear the operator.
    fn those_inside_go_on(&mut self) {
        let text = self.name();
        let People { alice, bob, .. } = &mut self.people;
        alice.says_to(bob, &format!("to bob {text}"));
        bob.says_to(alice, &format!("to alice {text}"));
        assert!(alice.ok("list", json!({}))["users"].as_array().unwrap().len() >= 2);
        self.server.process.type_line(&format!("say {text}"));
        for person in [alice, bob] {
            person.wait_event_with("notice", "message", &format!("Server: {text}"));
        }
    }

    /// Retries until a broadcast is accepted. Returns the time that took.
    fn comes_back(&mut self) -> Duration {
        let begin = Instant::now();
        loop {
            let text = format!("back {}", self.name());
            let id = self.people.alice.tell("broadcast", json!({"text": text}));
            if self.note(id, &text) {
                return begin.elapsed();
            }
            let waited = begin.elapsed();
            assert!(waited <= back_within(), "not back after {waited:?}");
        }
    }

    /// Logs Carol in again. The others are notified.
    fn carol_comes_back(&mut self) {
        let People { alice, carol, .. } = &mut self.people;
        carol.ok("login", json!({}));
        alice.wait("carol", |line| line["event"] == "joined" && line["usernames"][0] == "carol");
    }

    fn carol_leaves(&mut self) {
        let People { alice, carol, .. } = &mut self.people;
        carol.ok("leave", json!({}));
        alice.wait("end of carol", |line| {
            line["event"] == "left" && line["usernames"][0] == "carol"
        });
    }

    /// Checks that accepted broadcasts were shown once and are kept, and that refused ones were never
    /// shown.
    fn nothing_was_lost(&mut self) {
        for text in &self.accepted {
            self.people.bob.wait_event_with("broadcast", "text", text);
        }
        let is_broadcast = |line: &Value| line["event"] == "broadcast";
        let shown = self.people.bob.all(is_broadcast);
        for text in &self.accepted {
            assert_eq!(shown.iter().filter(|line| line["text"] == **text).count(), 1, "{text}");
        }
        assert!(shown.iter().all(|line| !self.refused.iter().any(|text| line["text"] == **text)));
        for person in [&self.people.alice, &self.people.bob] {
            assert!(person.all(|line| line["event"] == "disconnected").is_empty());
        }
        self.server.stop();
        self.server.start_again();
        let mut later = TestClient::join(&self.server, "later");
        for text in &self.accepted {
            later.wait_event_with("broadcast", "text", text);
        }
    }
}

/// Sends a signal to the database's process.
fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
}

/// The slowest times for one kind of fault.
#[derive(Default)]
struct Slowest {
    told: Duration,
    back: Duration,
}

impl Slowest {
    /// Records the refusals while the database is away. It was already away for those that took `told`.
    fn note_away(&mut self, town: &mut Town, told: Duration) {
        self.told = self.told.max(told).max(town.what_needs_it_fails());
        town.those_inside_go_on();
        // A second time, now that the server knows that the database is away.
        self.told = self.told.max(town.what_needs_it_fails());
        assert!(self.told <= told_within(), "told after {:?}", self.told);
    }

    fn note_back(&mut self, town: &mut Town) {
        self.back = self.back.max(town.comes_back());
        town.carol_comes_back();
    }

    fn tell(&self, fault: &str, times: u32, town: &Town) {
        let Slowest { told, back } = self;
        tell(
            fault,
            &format!("{times} times under load ({})", town.kind()),
            &format!(
                "chats, comings and goings and the operator's words went on; what needs it failed within \
                 {told:.1?}, was back {back:.1?} after it at most; nothing that was accepted was lost"
            ),
        );
    }
}

#[test]
fn a_database_that_hangs_holds_up_nobody_who_does_not_need_it() {
    let this = "a_database_that_hangs_holds_up_nobody_who_does_not_need_it";
    if !Throwaway::is_here_to_test(this) {
        return;
    }
    let mut town = Town::new();
    let Some(daemon) = town.daemon(this) else { return };
    let times = short_or_full(2, 15);
    let mut slowest = Slowest::default();
    for _ in 0..times {
        town.carol_leaves();
        let told = town.broadcasts_during(|_| signal("STOP", &daemon));
        slowest.note_away(&mut town, told);
        signal("CONT", &daemon);
        slowest.note_back(&mut town);
    }
    slowest.tell("database hangs (SIGSTOP)", times, &town);
    town.nothing_was_lost();
}

#[test]
fn a_database_that_dies_is_used_again_as_soon_as_it_is_back() {
    if !Throwaway::is_here_to_test("a_database_that_dies_is_used_again_as_soon_as_it_is_back") {
        return;
    }
    let mut town = Town::new();
    let times = short_or_full(1, 10);
    let mut slowest = Slowest::default();
    for _ in 0..times {
        town.carol_leaves();
        let told = town.broadcasts_during(|town| town.database.stop());
        slowest.note_away(&mut town, told);
        town.database.start_again();
        slowest.note_back(&mut town);
    }
    slowest.tell("database killed and started again", times, &town);
    town.nothing_was_lost();
}
