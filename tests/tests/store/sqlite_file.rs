//! SQLite, and tests of databases in a file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use letschat_server::settings::StoreLocation;
use letschat_server::store::admin::{Absent, open_beside_server};
use letschat_server::store::sqlite::Sqlite;
use letschat_server::store::{Store, StoreError};
use tempfile::TempDir;

use crate::{Database, alice, broadcast, entry};

/// SQLite in a folder that is removed with the test.
pub(crate) struct SqliteFile {
    pub(crate) folder: TempDir,
}

impl SqliteFile {
    pub(crate) fn new() -> SqliteFile {
        SqliteFile { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("letschat.db")
    }

    pub(crate) fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    fn rows_in(&self, table: &str) -> u64 {
        let count = format!("SELECT count(*) FROM {table}");
        let count: i64 = self.raw().query_row(&count, [], |row| row.get(0)).unwrap();
        count.unsigned_abs()
    }
}

impl Database for SqliteFile {
    fn open(&self) -> Box<dyn Store> {
        Box::new(Sqlite::open(&self.path()).unwrap())
    }

    fn location(&self) -> StoreLocation {
        StoreLocation::Sqlite(self.path())
    }

    fn sealed_bodies(&self) -> u64 {
        self.rows_in("envelopes")
    }

    fn deliveries(&self) -> u64 {
        self.rows_in("deliveries")
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_its_owner_can_read_it() {
    let database = SqliteFile::new();
    let mut store = database.open();
    store.append(0, &[broadcast(1)]).unwrap();
    let files = fs::read_dir(&database.folder).unwrap().map(|file| file.unwrap().path());
    let modes: Vec<u32> = files.map(|file| mode(&file)).collect();
    assert_eq!(modes, [0o600; 3], "the database, its write-ahead log and that one's index");
}

#[test]
fn a_mode_that_the_operator_chose_is_kept() {
    let database = SqliteFile::new();
    drop(database.open());
    fs::set_permissions(database.path(), fs::Permissions::from_mode(0o640)).unwrap();
    drop(database.open());
    assert_eq!(mode(&database.path()), 0o640);
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let database = SqliteFile::new();
    drop(database.open());
    database.raw().pragma_update(None, "user_version", 1_000).unwrap();
    let before = fs::read(database.path()).unwrap();
    let error = Sqlite::open(&database.path()).unwrap_err();
    assert!(matches!(error, StoreError::Content(_)), "{error:?}");
    assert!(error.to_string().contains("newer letschat-server"), "{error}");
    assert_eq!(fs::read(database.path()).unwrap(), before);
}

#[test]
fn a_file_of_another_kind_is_refused_and_left_alone() {
    let database = SqliteFile::new();
    let letter = "a letter to a friend, and no database at all";
    fs::write(database.path(), letter).unwrap();
    assert!(Sqlite::open(&database.path()).is_err());
    assert_eq!(fs::read_to_string(database.path()).unwrap(), letter);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let database = SqliteFile::new();
    let path = database.folder.path().join("missing").join("letschat.db");
    let error = Sqlite::open(&path).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_copy_taken_while_it_runs_is_whole() {
    let database = SqliteFile::new();
    let mut store = database.open();
    store.append(0, &[broadcast(1)]).unwrap();
    let copy = SqliteFile::new();
    for file in ["letschat.db", "letschat.db-wal"] {
        fs::copy(database.folder.path().join(file), copy.folder.path().join(file)).unwrap();
    }
    assert_eq!(copy.open().load_log().unwrap().entries, [entry(1)]);
}

#[test]
fn a_server_and_the_operator_may_make_it_at_once() {
    for _ in 0..20 {
        let database = SqliteFile::new();
        let together = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                together.wait();
                let mut operator = open_beside_server(&database.location(), Absent::Make).unwrap();
                operator.create_account(&alice(), "phc", 1).unwrap();
            });
            together.wait();
            Sqlite::open(&database.path()).unwrap().append(0, &[broadcast(1)]).unwrap();
        });
        assert!(database.open().account(&alice()).unwrap().is_some());
    }
}

#[test]
fn the_operator_leaves_no_file_where_there_was_none() {
    let database = SqliteFile::new();
    assert!(open_beside_server(&database.location(), Absent::Refuse).is_err());
    assert_eq!(fs::read_dir(&database.folder).unwrap().count(), 0);
}

#[test]
fn the_operator_can_look_while_the_server_runs() {
    let database = SqliteFile::new();
    let mut store = database.open();
    store.append(0, &[broadcast(1)]).unwrap();
    let operator = database.raw();
    let count = "SELECT count(*) FROM broadcasts";
    let count: i64 = operator.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    store.append(0, &[broadcast(2)]).unwrap();
}
