//! Damaged files, files of others, and files that can't be written.

use super::*;

#[test]
fn messages_wait_while_another_program_holds_the_file() {
    let mut kept = Kept::new();
    kept.hear(1, "bob", "one");
    let other = rusqlite::Connection::open(kept.path(STORE_FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut write = |number: u64| {
        let history = kept.history.as_mut().unwrap();
        history.note(&event(number, "bob", "waits"));
        history.write(NOW_MS)
    };
    assert!(write(2).is_err());
    assert!(write(3).is_ok(), "it is told once");
    drop(other);
    assert!(write(4).is_ok());
    assert_eq!(kept.search("waits").len(), 3);
}

#[test]
fn damaged_file_is_set_aside_with_a_sentence() {
    for damage in [
        &b"no database at all, but a text of some length"[..],
        &[0; 5_000],
        b"SQLite format 3\0\x10\0",
    ] {
        let mut kept = Kept::new();
        kept.hear(1, "bob", "one");
        kept.history = None;
        fs::write(kept.path(STORE_FILE), damage).unwrap();
        kept.open().unwrap();
        assert!(matches!(&kept.notices[..], [Notice::HistorySetAside { .. }]), "{damage:?}");
        let is_aside =
            |(path, _): &(PathBuf, Vec<u8>)| path.to_string_lossy().contains(".damaged-");
        let aside: Vec<_> = kept.files().filter(is_aside).collect();
        assert!(aside.iter().any(|(_, content)| content == damage), "{aside:?}");
        kept.hear(2, "bob", "two");
        kept.open().unwrap();
        assert_eq!((kept.loaded.len(), kept.notices.len()), (1, 1));
    }
}

#[test]
fn damage_that_is_found_later_is_set_aside_too() {
    let mut kept = Kept::new();
    for number in 0..500 {
        kept.hear(number, "bob", "some words that fill the pages of the file");
    }
    kept.history = None;
    let path = kept.path(STORE_FILE);
    let mut content = fs::read(&path).unwrap();
    let half = content.len() / 2;
    content[half..].fill(0x55);
    fs::write(&path, content).unwrap();
    let opened = kept.open();
    assert!(opened.is_ok());
    if kept.notices.is_empty() {
        // Only the pages that are read tell.
        let result = kept.act(HistoryAction::Search("nothing of that kind".into()));
        assert!(matches!(result, Err(Failure::History(HistoryFailure::Unusable(_)))), "{result:?}");
    }
    assert!(matches!(&kept.notices[..], [Notice::HistorySetAside { .. }]), "{:?}", kept.notices);
    kept.hear(1_000, "bob", "new");
    assert_eq!(kept.search("new"), ["new"]);
}

#[test]
fn row_that_was_altered_is_counted_and_the_others_are_found() {
    let mut kept = Kept::new();
    for number in 0..3 {
        kept.hear(number, "bob", &format!("text {number}"));
    }
    kept.history = None;
    let change = "UPDATE messages SET sealed = zeroblob(length(sealed)) WHERE position = 2";
    rusqlite::Connection::open(kept.path(STORE_FILE)).unwrap().execute(change, []).unwrap();
    kept.open().unwrap();
    assert_eq!(kept.loaded, ["text 0", "text 2"]);
    match kept.act(HistoryAction::Search("text".into())) {
        Ok(Reply::Found { messages, unreadable }) => {
            assert_eq!((messages.len(), unreadable), (2, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_its_key_a_history_is_set_aside() {
    for damage in [None, Some(&b"not a key"[..])] {
        let mut kept = Kept::new();
        kept.hear(1, "bob", "one");
        kept.history = None;
        match damage {
            None => fs::remove_file(kept.path(KEY_FILE)).unwrap(),
            Some(content) => fs::write(kept.path(KEY_FILE), content).unwrap(),
        }
        kept.open().unwrap();
        assert!(matches!(&kept.notices[..], [Notice::HistorySetAside { .. }]), "{damage:?}");
        kept.hear(2, "bob", "two");
        assert_eq!(kept.search("o"), ["two"]);
    }
}

#[test]
fn files_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    for name in [STORE_FILE, KEY_FILE] {
        let mut kept = Kept::new();
        kept.hear(1, "bob", "one");
        kept.history = None;
        for (path, _) in kept.files() {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
        }
        fs::set_permissions(kept.path(name), fs::Permissions::from_mode(0o644)).unwrap();
        let why = kept.open().unwrap_err().to_string();
        assert!(why.contains("chmod 600") || why.contains("others"), "{why}");
    }
}

#[test]
fn newer_file_is_left_as_it_is() {
    let mut kept = Kept::new();
    kept.hear(1, "bob", "one");
    kept.history = None;
    let path = kept.path(STORE_FILE);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let why = kept.open().unwrap_err().to_string();
    assert!(why.contains("newer letschat"), "{why}");
    assert!(path.exists() && !with_suffix(&path, ".damaged-0").exists());
}
