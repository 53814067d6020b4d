//! The upgrade from version 0.1.0, with files that its programs have written (tests/data/0.1.0).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ::mysql::prelude::Queryable as _;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::mysql_server::MysqlServer;
use letschat_tests::project;
use letschat_tests::server::TestServer;
use serde_json::json;
use tempfile::TempDir;

/// The old broadcast is some years old when this test runs.
const LONG_RETENTION: [&str; 2] = ["--retention-seconds", "315360000"];

/// The fingerprint of the old server's key.
const FINGERPRINT: &str = "f224aec8a3d5bc32e444cc01a126043e30943bf3e289bf6f981931250948cc80";

/// Returns a copy of a folder of version 0.1.0, with the permissions that the programs had given.
fn folder_of_0_1(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_to(&project::root().join("tests/data/0.1.0").join(name), copy.path());
    copy
}

fn copy_to(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
            copy_to(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

fn returning(server: &TestServer, name: &str) -> TestClient {
    TestClient::start_in(folder_of_0_1(name), &server.location(), name, &[])
}

/// Expects all that version 0.1.0 had kept, and that the new parts of version 0.2 work with it.
fn everything_of_0_1_is_there(server: &mut TestServer) {
    assert_eq!(server.fingerprint, FINGERPRINT);
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| {
        let mut client = returning(server, name);
        client.ok("login", json!({"username": name}));
        assert_eq!(client.wait_event("logged_in")["by"], "key");
        client
    });
    let mut carol = returning(server, "carol");
    assert_eq!(carol.fails("login", json!({"username": "carol"})), "banned");
    let mut elsewhere = TestClient::start(server, "bob");
    elsewhere.ok("login", json!({"username": "bob", "password": PASSWORD}));
    elsewhere.quits();
    let mut dave = TestClient::join(server, "dave");
    let kept = dave.wait_event_with("broadcast", "text", "Kept since version 0.1");
    assert_eq!((kept["from"].as_str(), kept["number"].as_u64()), (Some("alice"), Some(1)));

    alice.chat_with(&mut bob);
    let requests = bob.all(|line| line["event"] == "request");
    assert_eq!(requests[0]["key"], "known", "{requests:?}");
    alice.says_to(&mut bob, "as before");
    dave.befriend(&mut alice);

    // The migrated database is also opened again.
    alice.quits();
    bob.quits();
    dave.quits();
    server.stop();
    server.start_again();
    let mut alice = returning(server, "alice");
    alice.ok("login", json!({"username": "alice"}));
}

#[test]
fn sqlite_database_of_0_1_is_migrated() {
    let mut server = TestServer::start_in(folder_of_0_1("server"), &LONG_RETENTION);
    everything_of_0_1_is_there(&mut server);
}

#[test]
fn mysql_database_of_0_1_is_migrated() {
    ["mysql.sql", "mariadb.sql"].into_iter().for_each(dump_is_migrated);
}

/// Loads a dump of version 0.1.0 into the server for tests, and upgrades it.
fn dump_is_migrated(file: &str) {
    let database = MysqlServer::shared();
    let name = format!("letschat-test-{:016x}", fastrand::u64(..));
    let mut administrator = database.administrator();
    administrator.query_drop(format!("CREATE DATABASE `{name}`")).unwrap();
    administrator.query_drop(format!("USE `{name}`")).unwrap();
    // The keys are before the accounts to which they belong.
    administrator.query_drop("SET foreign_key_checks = 0").unwrap();
    let dump = fs::read_to_string(project::root().join("tests/data/0.1.0").join(file)).unwrap();
    for statement in dump.split(";\n").filter(|statement| !statement.is_empty()) {
        administrator.query_drop(statement).unwrap();
    }

    let _dropped = Dropped(database, &name);

    let data = folder_of_0_1("server");
    fs::remove_file(data.path().join("letschat.sqlite")).unwrap();
    let store = database.location(&name).to_string();
    let flags = [&["--store", &store], &LONG_RETENTION[..]].concat();
    let mut server = TestServer::start_in(data, &flags);
    everything_of_0_1_is_there(&mut server);
}

/// Drops a database at the end of a test, also of one that fails.
struct Dropped<'a>(&'a MysqlServer, &'a str);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE `{}`", self.1);
        let _ = self.0.administrator().query_drop(drop);
    }
}
