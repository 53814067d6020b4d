//! A full disk under SQLite's file. Writes fail with an error, the database stays intact, and writes work
//! again once there is room.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::form::{short_or_full, tell, tell_not_played};
use letschat_tests::namespace::Namespace;
use letschat_tests::programs::{Running, program_by, without_settings};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A tmpfs of a few MiB, visible only to programs started by [`SmallDisk::by`].
struct SmallDisk {
    /// The mount point, as those programs see it.
    folder: TempDir,
    namespace: Namespace,
    by: Vec<String>,
}

impl SmallDisk {
    /// Mounts a disk. `None` if the machine does not allow it, which is reported.
    fn mount(test: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=2m,mode=0700 tmpfs \"$1\" && echo ready && exec cat";
        let made = Namespace::make("--mount", script, &[folder.path().to_str().unwrap()]);
        let Some((namespace, _)) = made else {
            tell_not_played(test, "nobody may mount a disk of their own here");
            return None;
        };
        let by = namespace.by(&namespace.pid());
        Some(SmallDisk { folder, namespace, by })
    }

    fn store(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("letschat.sqlite").display())
    }

    /// Returns the path of a file for programs outside the mount.
    fn outside(&self, name: &str) -> PathBuf {
        let inside = self.folder.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(self.namespace.pid()).join("root").join(inside).join(name)
    }

    /// Fills the disk completely.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.outside("filler"));
        let file = file.as_mut().unwrap();
        for size in [64 * 1024, 1] {
            loop {
                match file.write_all(&vec![0; size]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.outside("filler")).unwrap();
    }

    /// Checks the database. Nobody may write to it meanwhile.
    fn is_sound(&self) {
        let copy = tempfile::tempdir().unwrap();
        for name in ["letschat.sqlite", "letschat.sqlite-wal"] {
            match fs::copy(self.outside(name), copy.path().join(name)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                copied => assert!(copied.is_ok(), "{name}: {copied:?}"),
            }
        }
        is_sound(&copy.path().join("letschat.sqlite"));
    }
}

/// Runs SQLite's integrity check.
pub(crate) fn is_sound(database: &Path) {
    let database = rusqlite::Connection::open(database).unwrap();
    let judgement: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(judgement, "ok");
}

/// A server on the small disk, and its users.
struct Town {
    alice: TestClient,
    bob: TestClient,
    /// Logs in and out by key, which writes nothing.
    carol: TestClient,
    newcomer: TestClient,
    server: TestServer,
    disk: SmallDisk,
    accepted: Vec<String>,
    refused: Vec<String>,
}

impl Town {
    fn on(disk: SmallDisk) -> Town {
        let flags = ["--broadcast-burst", "100000", "--store", &disk.store()];
        let server = TestServer::start_by(&disk.by, &flags);
        let [mut alice, mut bob, carol] =
            ["alice", "bob", "carol"].map(|name| TestClient::join(&server, name));
        let newcomer = TestClient::start(&server, "newcomer");
        alice.chat_with(&mut bob);
        let (accepted, refused) = (Vec::new(), Vec::new());
        Town { alice, bob, carol, newcomer, server, disk, accepted, refused }
    }

    /// Broadcasts a text. Returns true if it was accepted.
    fn broadcasts(&mut self) -> bool {
        // A long text also fills the free space in allocated pages.
        let text = format!("{:0>800}", self.accepted.len() + self.refused.len());
        let id = self.alice.tell("broadcast", json!({"text": text}));
        let reply = self.alice.reply(id);
        let is_accepted = reply["number"].is_u64();
        if is_accepted {
            self.accepted.push(text);
        } else {
            assert_eq!(reply["error"]["code"], "store_unavailable", "{reply}");
            self.refused.push(text);
        }
        is_accepted
    }

    /// Checks that a full disk refuses writes and disturbs nobody else.
    fn is_full(&mut self) {
        let mut more = 0..20;
        while self.broadcasts() {
            assert!(more.next().is_some(), "the disk is full and more and more is kept");
        }
        let credentials = json!({"username": "newcomer", "password": PASSWORD});
        let (code, sentence) = self.newcomer.refused("signup", credentials);
        assert_eq!(code, "store_unavailable", "{sentence}");
        assert!(!sentence.is_empty());
        self.alice.says_to(&mut self.bob, "go on");
        self.bob.says_to(&mut self.alice, "go on");
        self.carol.ok("leave", json!({}));
        self.carol.ok("login", json!({}));
        let users = self.alice.ok("list", json!({}))["users"].clone();
        assert_eq!(users.as_array().unwrap().len(), 3, "{users}");
    }

    /// Frees the disk. Returns the time until a write succeeds.
    fn goes_on(&mut self) -> Duration {
        self.disk.make_room();
        let begin = Instant::now();
        while !self.broadcasts() {
            let waited = begin.elapsed();
            assert!(waited <= short_or_full(Duration::from_secs(20), Duration::from_secs(5)));
        }
        begin.elapsed()
    }

    /// Checks that a server on a full disk exits with one sentence.
    fn does_not_start(&self) {
        let mut command = program_by(&self.disk.by, "letschat-server");
        without_settings(&mut command);
        command.args(["--listen", "127.0.0.1", "--port", "0", "--store", &self.disk.store()]);
        command.arg("--data").arg(self.server.data.path());
        let mut process = Running::start(&mut command);
        assert_eq!(process.exit_code(), 1, "{}", process.transcript());
        let said = process.errors();
        assert!(said.lines().count() == 1 && said.contains("disk is full"), "{said}");
    }

    /// Checks that accepted broadcasts were shown once and are kept, and that refused ones were not.
    fn nothing_was_lost(&mut self) {
        self.bob.wait_event_with("broadcast", "text", self.accepted.last().unwrap());
        self.server.stop();
        self.disk.is_sound();
        self.disk.fill();
        self.does_not_start();
        self.disk.make_room();
        self.server.start_again();
        let mut later = TestClient::join(&self.server, "later");
        later.wait_event_with("broadcast", "text", self.accepted.last().unwrap());
        for person in [&self.bob, &later] {
            let shown = person.all(|line| line["event"] == "broadcast");
            let mut texts: Vec<&str> =
                shown.iter().map(|line| line["text"].as_str().unwrap()).collect();
            texts.sort_unstable();
            assert_eq!(texts, self.accepted, "what {} was shown", person.name);
        }
    }
}

#[test]
fn client_on_a_full_disk_says_where_to_make_room() {
    let this = "client_on_a_full_disk_says_where_to_make_room";
    let Some(disk) = SmallDisk::mount(this) else { return };
    let server = TestServer::start(&[]);
    let mut bob = TestClient::join(&server, "bob");
    // Inside the mount the client makes it again.
    let data = tempfile::tempdir_in(disk.folder.path()).unwrap();
    let folder = data.path().display().to_string();
    let mut alice = TestClient::start_in_by(&disk.by, data, &server.location(), "alice", &[]);
    alice.sign_up_and_log_in();
    alice.ok("send", json!({"to": "bob", "text": "before"}));
    disk.fill();
    // The first writes may fit into allocated blocks.
    let refused = (0..50).find_map(|_| {
        let id = alice.tell("send", json!({"to": "bob", "text": "x".repeat(1_000)}));
        alice.reply(id)["error"]["code"].as_str().map(str::to_owned)
    });
    assert_eq!(refused.as_deref(), Some("folder"));
    let told = alice.wait_event_with("error", "code", "not_saved");
    let sentence = told["message"].as_str().unwrap();
    assert!(sentence.contains(&folder) && sentence.contains("Make room there"), "{sentence}");
    assert!(sentence.contains("disk is full"), "{sentence}");
    disk.make_room();
    alice.ok("send", json!({"to": "bob", "text": "after"}));
    bob.wait_event_with("request", "from", "alice");
    bob.ok("approve", json!({"who": "alice"}));
    bob.wait_event_with("message", "text", "before");
}

#[test]
fn full_disk_fails_only_what_has_to_be_kept() {
    let this = "full_disk_fails_only_what_has_to_be_kept";
    let Some(disk) = SmallDisk::mount(this) else { return };
    let mut town = Town::on(disk);
    let times = short_or_full(3, 30);
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        town.disk.fill();
        town.is_full();
        slowest = slowest.max(town.goes_on());
    }
    let is_disconnected = |line: &Value| line["event"] == "disconnected";
    assert!(town.alice.all(is_disconnected).is_empty());
    assert!(town.bob.all(is_disconnected).is_empty());
    let refused = town.refused.len();
    town.nothing_was_lost();
    tell(
        "disk of SQLite's file full",
        &format!("{times} times"),
        &format!(
            "sign-ups and {refused} broadcasts refused, chats, lists and logins by key went on; \
             something was kept again {slowest:.1?} after there was room at most; the file sound, \
             nothing that was accepted was lost"
        ),
    );
}

#[test]
fn server_that_dies_on_a_full_disk_keeps_what_it_accepted() {
    let this = "server_that_dies_on_a_full_disk_keeps_what_it_accepted";
    let Some(disk) = SmallDisk::mount(this) else { return };
    let mut town = Town::on(disk);
    let times = short_or_full(1, 10);
    for _ in 0..times {
        town.disk.fill();
        town.is_full();
        town.server.kill();
        town.disk.is_sound();
        town.does_not_start();
        town.disk.make_room();
        town.server.start_again();
        for person in [&mut town.alice, &mut town.bob, &mut town.carol] {
            person.wait_event("disconnected");
            person.wait_event("logged_in");
        }
        assert!(town.broadcasts(), "there is room");
    }
    town.nothing_was_lost();
    tell(
        "SIGKILL on a full disk",
        &format!("{times} times"),
        "the file sound, all that was accepted there after the restart",
    );
}
