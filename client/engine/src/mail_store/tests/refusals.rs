use super::*;
use rustix::fs::{CWD, Mode, mkfifoat};
use std::os::unix::fs::{PermissionsExt as _, symlink};

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the reason of an error about the content of this file.
fn content_of(path: &Path, error: MailStoreError) -> String {
    match error {
        MailStoreError::Content { path: named, reason } if named == path => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn files_are_their_owners_alone() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    store.commit(&[MailChange::Outgoing(outgoing(1, "one"))]).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name());
    }
    names.sort();
    assert_eq!(names, [FILE, "account.sqlite-wal"]);
    drop(store);
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1);
}

#[test]
fn file_that_others_can_access_is_refused() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    store.commit(&[MailChange::Outgoing(outgoing(1, "one"))]).unwrap();
    let copy = folder.copy();
    for path in [copy.path(), copy.companion("-wal")] {
        for mode in [0o644, 0o640, 0o602] {
            set_mode(&path, mode);
            let expected = format!(
                "{0} can't be used: others have access to it (mode {mode:04o}); \
                 `chmod 600 {0}` ends that",
                path.display()
            );
            assert_eq!(copy.error().to_string(), expected);
        }
        set_mode(&path, 0o600);
    }
    assert_eq!(copy.read().outbox, [outgoing(1, "one")]);
}

#[test]
fn file_that_others_can_replace_is_refused() {
    let folder = Folder::new();
    let inner = folder.0.path().join("inner");
    fs::create_dir(&inner).unwrap();
    set_mode(&inner, 0o777);
    let path = inner.join(FILE);
    let error = MailStore::open(folder.0.path(), &path).err().unwrap().to_string();
    assert!(error.contains(&format!("`chmod go-w {}`", inner.display())), "{error}");
    assert!(!path.exists());
    // A link does not hide the folder.
    symlink(&path, folder.path()).unwrap();
    let error = folder.error().to_string();
    assert!(error.contains("chmod go-w"), "{error}");
    set_mode(&inner, 0o700);
    drop(folder.open());
    assert!(path.exists());
}

#[test]
fn irregular_file_is_refused_at_once() {
    let irregular = "it is no regular file";
    for suffix in [""].into_iter().chain(crate::sqlite::COMPANIONS) {
        let folder = Folder::new();
        let path = folder.companion(suffix);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(content_of(&path, folder.error()), irregular);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(content_of(&path, folder.error()), irregular);
        fs::remove_dir(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert_eq!(content_of(&path, folder.error()), irregular);
    }
}

#[test]
fn missing_folder_is_an_error() {
    let folder = Folder::new();
    let path = folder.0.path().join("missing").join(FILE);
    let error = MailStore::open(folder.0.path(), &path).err().unwrap();
    let expected =
        format!("{} can't be used: No such file or directory (os error 2)", path.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn newer_version_is_refused_and_left_alone() {
    for version in [5, 1_000, -1] {
        let folder = Folder::with(&format!("PRAGMA user_version = {version}"));
        let before = fs::read(folder.path()).unwrap();
        let error = folder.error();
        let expected = format!(
            "{} can't be used: a newer letschat wrote it (its version is {version}, and this \
             program knows versions up to 4); install that one",
            folder.path().display()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(error, MailStoreError::Newer { path: folder.path(), version });
        assert_eq!(fs::read(folder.path()).unwrap(), before);
    }
}

#[test]
fn file_of_another_program_is_refused_and_left_alone() {
    let folder = Folder::new();
    for content in ["xy", &"not a database".repeat(1_000)] {
        fs::write(folder.path(), content).unwrap();
        set_mode(&folder.path(), 0o600);
        let error = folder.error();
        let expected = format!(
            "{} can't be used: it is no SQLite file; repair it, or move away the whole folder that it \
             is in, so that this device gets a new key (it is left as it is)",
            folder.path().display()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(fs::read(folder.path()).unwrap(), content.as_bytes());
        fs::remove_file(folder.path()).unwrap();
    }
    folder.execute("CREATE TABLE outbox (x)");
    set_mode(&folder.path(), 0o600);
    let before = fs::read(folder.path()).unwrap();
    let reason = content_of(&folder.path(), folder.error());
    assert_eq!(reason, "it holds something else (another program's tables)");
    assert_eq!(fs::read(folder.path()).unwrap(), before);
}

#[test]
fn damaged_pages_are_an_error_at_most() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    for number in 0..100 {
        let changes = [
            MailChange::Outgoing(outgoing(number, &"text".repeat(100))),
            MailChange::Received(received(&number.to_string(), 1, &[3])),
        ];
        store.commit(&changes).unwrap();
    }
    drop(store);
    let (whole, mut random) = (fs::read(folder.path()).unwrap(), fastrand::Rng::with_seed(1));
    let mut refused = 0;
    for _ in 0..100 {
        let mut content = whole.clone();
        // Damages of a page's header are the most harmful ones.
        let page = random.usize(0..content.len() / 4_096) * 4_096;
        for _ in 0..4 {
            content[page + random.usize(0..if page == 0 { 200 } else { 16 })] = random.u8(..);
        }
        fs::write(folder.path(), &content).unwrap();
        if let Err(error) = MailStore::open(folder.0.path(), &folder.path()) {
            let reason = content_or_newer(&folder.path(), &error);
            assert!(reason, "{error}");
            refused += 1;
        }
        assert!(fs::metadata(folder.path()).unwrap().len() > 0);
    }
    assert!(refused > 20, "{refused}");
    fs::write(folder.path(), &whole[..whole.len() / 2]).unwrap();
    let reason = content_of(&folder.path(), folder.error());
    assert!(reason.starts_with("it is damaged"), "{reason}");
    assert_eq!(fs::read(folder.path()).unwrap(), &whole[..whole.len() / 2]);
}

fn content_or_newer(path: &Path, error: &MailStoreError) -> bool {
    match error {
        MailStoreError::Content { path: named, .. } | MailStoreError::Newer { path: named, .. } => {
            named == path
        }
        MailStoreError::Unusable { .. } => false,
    }
}

#[test]
fn row_that_this_program_did_not_write_is_refused() {
    let (short_id, id, key) = ("zeroblob(15)", "zeroblob(16)", "zeroblob(32)");
    let rows = [
        format!(
            "outbox VALUES (1, {short_id}, 'bob', 'bob', NULL, 1, 1, '', 'waiting', NULL, NULL)"
        ),
        format!("outbox VALUES (1, {id}, 'no name', 'bob', NULL, 1, 1, '', 'waiting', NULL, NULL)"),
        format!("outbox VALUES (1, {id}, 'bob', 'no name', NULL, 1, 1, '', 'waiting', NULL, NULL)"),
        format!("outbox VALUES (1, {id}, 'bob', 'bob', 'xyz', 1, 1, '', 'waiting', NULL, NULL)"),
        format!("outbox VALUES (1, {id}, 'bob', 'bob', NULL, 1, 1, '', 'lost', NULL, NULL)"),
        format!("outbox VALUES (1, {id}, 'bob', 'bob', NULL, 1, 1, '', 'waiting', 5, NULL)"),
        format!("outbox VALUES (1, {id}, 'bob', 'bob', NULL, 1, 1, '', 'sent', NULL, NULL)"),
        format!(
            "outbox VALUES (1, {id}, 'bob', 'bob', NULL, 1, 1, CAST(x'ff' AS TEXT), 'kept', 1, NULL)"
        ),
        format!("received VALUES (1, {short_id}, 0, '', 1, x'')"),
        format!("received VALUES (1, {key}, 1, 'xyz', 1, x'')"),
        format!("received VALUES (1, {key}, 0, '', 1, x'02')"),
        format!("received VALUES (1, {key}, 0, '', 1, x'0000000000000001')"),
        format!("received VALUES (1, {key}, 0, '', 1, x'00000000000000050000000000000005')"),
        format!("received VALUES (1, {key}, 0, '', -1, x'00000000000000050000000000000006')"),
        format!("held VALUES (1, {id}, '', {key}, 0, '', 1, '', 1, 1, NULL)"),
        format!("held VALUES (1, {id}, 'bob', x'', 0, '', 1, '', 1, 1, NULL)"),
        format!("outbox VALUES (1, {id}, 'bob', 'bob', NULL, 1, 1, 'a', 'waiting', NULL, x'00')"),
        // A file of more than 64 GiB.
        format!(
            "held VALUES (1, {id}, 'bob', {key}, 0, '', 1, 'a', 1, 1, x'01{}')",
            "00".repeat(39)
        ),
        format!(
            "files VALUES (1, {id}, 'bob', 'bob', {key}, '', 'a', zeroblob(40), 1, 'failed', NULL, NULL, NULL)"
        ),
        format!(
            "files VALUES (1, {id}, '-', 'bob', {key}, '', 'a', zeroblob(40), 1, 'saved', NULL, NULL, NULL)"
        ),
        format!(
            "files VALUES (1, {id}, 'bob', 'bob', {key}, '-', 'a', zeroblob(40), 1, 'saved', NULL, NULL, NULL)"
        ),
        format!("receipts VALUES (1, {short_id}, 'bob')"),
        format!("receipts VALUES (1, {id}, '-')"),
        format!("prekeys VALUES (1, x'', {key}, 1, 1, NULL, NULL)"),
    ];
    for row in rows {
        let folder = Folder::with(&format!("INSERT INTO {row}"));
        let reason = content_of(&folder.path(), folder.error());
        assert!(reason.starts_with("it holds something else ("), "{row}: {reason}");
    }
    let folder = Folder::with("DROP TABLE held");
    let reason = content_of(&folder.path(), folder.error());
    assert!(reason.contains("no such table: held"), "{reason}");
}

#[test]
fn prekey_that_cannot_be_read_is_unknown() {
    let folder = Folder::with(
        "INSERT INTO prekeys VALUES (1, zeroblob(32), zeroblob(31), 1, 1, NULL, NULL)",
    );
    let (store, _) = folder.open();
    assert!(store.prekey(&PrekeyPublic([0; 32])).unwrap().is_none());
}

#[test]
fn database_that_another_program_writes_is_in_use() {
    let folder = Folder::with("");
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = folder.error().to_string();
    let expected =
        format!("{} can't be used: another program is using it", folder.path().display());
    assert_eq!(error, expected);
}
