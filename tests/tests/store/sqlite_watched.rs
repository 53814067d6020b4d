//! A database whose files are removed, replaced or truncated while it is open, and its lock.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use letschat_server::settings::StoreLocation;
use letschat_server::store::admin::{Absent, open_beside_server};
use letschat_server::store::sqlite::{Lock, Sqlite};
use letschat_server::store::{Created, Store, StoreError, Verdict};

use crate::sqlite_file::SqliteFile;
use crate::{Database as _, alice, bob, broadcast, entry, key, name, with_accounts};

/// Checks that nothing is written or answered, and that the error names the file.
fn refuses(store: &mut dyn Store, file: &Path) {
    let failures = [
        store.create_account(&name("carol"), "phc", 2).err(),
        store.append(0, &[broadcast(2)]).err(),
        store.admit(&alice(), "phc", Some(&key(2)), 2).err(),
        store.set_password(&alice(), "new", None).err(),
        store.replace_password(&alice(), "phc", "new", None).err(),
        store.add_key(&alice(), &key(2), 2).err(),
        store.check_key(&alice(), &key(1), 2).err(),
        store.account(&alice()).err(),
        store.forget(1).err(),
        store.post(0, &[]).err(),
        store.prekeys(&alice()).err(),
        store.acknowledge(&[]).err(),
        store.expire_mail(1).err(),
    ];
    for (at, failure) in failures.into_iter().enumerate() {
        let error = failure.unwrap_or_else(|| panic!("number {at} was done without {file:?}"));
        assert!(matches!(error, StoreError::Database(_)), "{error:?}");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
}

/// Checks that everything acknowledged is there and nothing else, and that writes work.
fn goes_on(store: &mut dyn Store) {
    assert_eq!(store.load_log().unwrap().entries, [entry(1)]);
    assert_eq!(store.account(&name("carol")).unwrap(), None);
    assert_eq!(store.check_key(&alice(), &key(2), 3).unwrap(), Verdict::Refused);
    assert_eq!(store.check_key(&alice(), &key(1), 3).unwrap(), Verdict::Accepted);
    store.append(0, &[broadcast(2)]).unwrap();
    assert_eq!(store.create_account(&name("carol"), "phc", 3).unwrap(), Created::New);
}

fn filled(database: &SqliteFile) -> Box<dyn Store> {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    store.append(0, &[broadcast(1)]).unwrap();
    store
}

fn files(database: &SqliteFile) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = database.path().into_os_string();
        name.push(suffix);
        name.into()
    })
}

#[test]
fn file_that_is_taken_away_is_missed_until_it_is_back() {
    for at in 0..3 {
        let database = SqliteFile::new();
        let mut store = filled(&database);
        let file = &files(&database)[at];
        let away = database.folder.path().join("away");
        fs::rename(file, &away).unwrap();
        refuses(&mut *store, file);
        fs::rename(&away, file).unwrap();
        goes_on(&mut *store);
    }
}

#[test]
fn file_that_is_replaced_by_a_copy_is_another_file() {
    for at in 0..3 {
        let database = SqliteFile::new();
        let mut store = filled(&database);
        let file = &files(&database)[at];
        let (copy, away) =
            (database.folder.path().join("copy"), database.folder.path().join("away"));
        fs::copy(file, &copy).unwrap();
        fs::hard_link(file, &away).unwrap();
        fs::rename(&copy, file).unwrap();
        refuses(&mut *store, file);
        fs::rename(&away, file).unwrap();
        goes_on(&mut *store);
    }
}

#[test]
fn folder_that_is_renamed_is_missed_until_it_is_back() {
    let database = SqliteFile::new();
    let mut store = filled(&database);
    let away = database.folder.path().with_extension("away");
    fs::rename(database.folder.path(), &away).unwrap();
    refuses(&mut *store, &database.path());
    fs::create_dir(database.folder.path()).unwrap();
    refuses(&mut *store, &database.path());
    fs::remove_dir(database.folder.path()).unwrap();
    fs::rename(&away, database.folder.path()).unwrap();
    goes_on(&mut *store);
}

#[test]
fn link_that_leads_elsewhere_is_another_file() {
    let (database, other) = (SqliteFile::new(), SqliteFile::new());
    drop(other.open());
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("data");
    symlink(database.folder.path(), &link).unwrap();
    drop(filled(&database));
    let path = link.join("letschat.db");
    let mut store = Sqlite::open(&path).unwrap();
    store.account(&bob()).unwrap();
    fs::remove_file(&link).unwrap();
    symlink(other.folder.path(), &link).unwrap();
    refuses(&mut store, &path);
    fs::remove_file(&link).unwrap();
    symlink(database.folder.path(), &link).unwrap();
    goes_on(&mut store);
}

#[test]
fn file_that_is_cut_short_takes_no_commits() {
    for (at, left) in [(0, 0), (0, 4096), (1, 0), (1, 40)] {
        let database = SqliteFile::new();
        drop(filled(&database));
        let mut store = database.open();
        store.append(0, &[broadcast(2)]).unwrap();
        let file = &files(&database)[at];
        OpenOptions::new().write(true).open(file).unwrap().set_len(left).unwrap();
        assert!(store.append(0, &[broadcast(3)]).is_err(), "{file:?} of {left} bytes");
        assert!(store.create_account(&name("carol"), "phc", 3).is_err(), "{file:?}");
    }
}

#[test]
fn file_that_the_operator_made_smaller_is_good() {
    let database = SqliteFile::new();
    let mut store = filled(&database);
    let many: Vec<_> = (2..2_000).map(broadcast).collect();
    store.append(0, &many).unwrap();
    database.raw().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    store.forget(1_999).unwrap();
    let length = || fs::metadata(database.path()).unwrap().len();
    let before = length();
    database.raw().execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(length() < before);
    store.append(0, &[broadcast(2_000)]).unwrap();
    assert_eq!(store.load_log().unwrap().entries, [entry(2_000)]);
}

#[test]
fn lock_is_on_the_file_whatever_the_path_to_it() {
    let database = SqliteFile::new();
    drop(database.open());
    let links = tempfile::tempdir().unwrap();
    let [folder, file, hard] = ["folder", "file", "hard"].map(|name| links.path().join(name));
    symlink(database.folder.path(), &folder).unwrap();
    symlink(database.path(), &file).unwrap();
    fs::hard_link(database.path(), &hard).unwrap();
    let lock = Lock::take(&database.path()).unwrap();
    let paths = [database.path(), folder.join("letschat.db"), file, hard];
    for path in &paths {
        let refused = Lock::take(path);
        assert!(matches!(refused, Err(StoreError::InUse(_))), "{path:?}: {refused:?}");
    }
    drop(lock);
    for path in &paths {
        Lock::take(path).unwrap();
    }
}

#[test]
fn database_with_a_second_name_is_refused() {
    let database = SqliteFile::new();
    drop(filled(&database));
    let second = database.folder.path().join("second.db");
    fs::hard_link(database.path(), &second).unwrap();
    for path in [database.path(), second.clone()] {
        let error = Sqlite::open(&path).unwrap_err().to_string();
        assert!(error.contains("hard link"), "{error}");
        let location = StoreLocation::Sqlite(path);
        assert!(open_beside_server(&location, Absent::Refuse).is_err());
    }
    fs::remove_file(&second).unwrap();
    goes_on(&mut *database.open());
}

#[test]
fn lock_makes_a_file_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let database = SqliteFile::new();
    let _lock = Lock::take(&database.path()).unwrap();
    let mode = File::open(database.path()).unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
