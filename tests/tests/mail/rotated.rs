//! Prekeys are replaced and deleted as the wall clock moves on by weeks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use letschat_tests::clock::{DAY, WallClock};
use rusqlite::Connection;
use tempfile::TempDir;

use super::searched::is_in_a_file;
use super::*;

/// The longest time from a login to the deletion of a prekey that is due. The client first waits for a minute, in
/// which the server's mail arrives.
const DELETION: Duration = Duration::from_secs(90);

/// Returns the database of the only account in a data folder.
fn account_file(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => account_file(&path),
            false => path.ends_with("account.sqlite").then_some(path),
        }
    })
}

/// Returns the private halves of the prekeys, oldest first. The client has ended.
fn prekeys(data: &TempDir) -> Vec<[u8; 32]> {
    let database = Connection::open(account_file(data.path()).unwrap()).unwrap();
    let mut statement = database.prepare("SELECT private FROM prekeys ORDER BY position").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Two people and a server, by a wall clock that the test sets.
struct Years {
    server: TestServer,
    clock: WallClock,
}

impl Years {
    fn joins(&self, name: &str) -> TestClient {
        let mut client = TestClient::start_by(&self.clock.by(), &self.server, name);
        client.sign_up_and_log_in();
        client
    }

    fn returns(&self, data: TempDir, name: &str) -> TestClient {
        let by = self.clock.by();
        let mut client = TestClient::start_in_by(&by, data, &self.server.location(), name, &[]);
        client.ok("login", json!({"username": name}));
        client
    }
}

#[test]
fn device_away_for_50_days_reads_all_that_the_server_kept() {
    let clock = WallClock::new();
    let server = TestServer::start_by(&clock.by(), &["--mail-retention-days", "30"]);
    let mut years = Years { server, clock };
    let (mut alice, mut bob) = (years.joins("alice"), years.joins("bob"));
    alice.befriend(&mut bob);
    let data = leave(bob);
    let [first] = prekeys(&data)[..] else { panic!("one prekey") };
    for day in [10, 25, 45] {
        years.clock.set(day * DAY);
        assert_eq!(send(&mut alice, "bob", &format!("day {day}"))["state"], "kept");
    }

    years.clock.set(50 * DAY);
    let mut bob = years.returns(data, "bob");
    wait_mail(&mut bob, "day 25");
    wait_mail(&mut bob, "day 45");
    // The author of the one that the server no longer has is told.
    let data = leave(alice);
    let mut alice = years.returns(data, "alice");
    alice.wait_event_with("message_state", "state", "expired");
    assert!(bob.all(|line| line["text"] == "day 10").is_empty());
    // Alice has forgotten Bob's key, so this one is for the next.
    send(&mut alice, "bob", "day 50");
    wait_mail(&mut bob, "day 50");
    let data = leave(bob);
    let [kept, second] = prekeys(&data)[..] else { panic!("two prekeys") };
    assert_eq!(kept, first);

    years.clock.set(80 * DAY);
    send(&mut alice, "bob", "day 80");
    years.clock.set(82 * DAY);
    let mut bob = years.returns(data, "bob");
    assert!(is_in_a_file(bob.data.path(), first));
    wait_mail(&mut bob, "day 80");
    let until = Instant::now() + DELETION;
    while is_in_a_file(bob.data.path(), first) {
        assert!(Instant::now() < until, "the first prekey is still on disk");
        assert_eq!(bob.wait_within(Duration::from_millis(200), |_| false), None);
    }
    let data = leave(bob);
    let [kept, _third] = prekeys(&data)[..] else { panic!("two prekeys") };
    assert_eq!(kept, second, "it opens what the server may still have");
    assert!(!is_in_a_file(data.path(), first));
}
