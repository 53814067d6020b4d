//! An account's files: written, read again, damaged, and of others.

use super::*;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::io::Errno;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn server() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

/// Creates an account that has been logged in once.
fn make(data: &Path, username: &str) -> PublicKey {
    let (account, folder) = open(data, &server(), Some(name(username))).ok().unwrap();
    folder.save_identity().unwrap();
    account.identity.public_key()
}

fn error(data: &Path, username: Option<&str>) -> AccountError {
    open(data, &server(), username.map(name)).err().unwrap()
}

#[test]
fn what_is_saved_is_there_again() {
    let data = tempfile::tempdir().unwrap();
    let (account, folder) = open(data.path(), &server(), Some(name("alice"))).ok().unwrap();
    let own = account.identity.public_key();
    let key = Identity::from_seed(&[2; 32]).public_key();
    let receiver = Some("[fe80::1%3]:4401".parse().unwrap());
    let bob = KnownPeer { key, verified: true, receiver };
    let peers = BTreeMap::from([(name("bob"), bob)]);
    let position = LogPosition { epoch: u64::MAX, through: 7 };
    folder.save_identity().unwrap();
    folder.save_peers(&peers).unwrap();
    let blocked = BTreeSet::from([name("mallory"), name("trudy")]);
    folder.save_blocked(&blocked).unwrap();
    folder.save_position(position).unwrap();
    drop(folder);

    let (account, _folder) = open(data.path(), &server(), None).ok().unwrap();
    assert_eq!(account.username, name("alice"));
    assert_eq!(account.identity.public_key(), own);
    assert_eq!(account.peers, peers);
    assert_eq!(account.blocked, blocked);
    assert_eq!(account.position, position);
}

#[test]
fn a_key_that_no_server_accepted_is_not_kept() {
    let data = tempfile::tempdir().unwrap();
    let (first, folder) = open(data.path(), &server(), Some(name("alice"))).ok().unwrap();
    drop(folder);
    let (second, _folder) = open(data.path(), &server(), Some(name("alice"))).ok().unwrap();
    assert_ne!(first.identity.public_key(), second.identity.public_key());
    assert_eq!(error(data.path(), None), AccountError::NotOne(vec![]));
}

#[test]
fn one_account_is_one_client() {
    let data = tempfile::tempdir().unwrap();
    make(data.path(), "alice");
    let (_, folder) = open(data.path(), &server(), Some(name("alice"))).ok().unwrap();
    assert_eq!(error(data.path(), Some("alice")), AccountError::InUse(name("alice")));
    assert_eq!(error(data.path(), None), AccountError::InUse(name("alice")));
    drop(folder);
    assert!(open(data.path(), &server(), None).is_ok());
}

#[test]
fn without_a_name_the_only_free_account_is_taken() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(error(data.path(), None), AccountError::NotOne(vec![]));
    assert!(!any(data.path()));
    make(data.path(), "alice");
    make(data.path(), "bob");
    let both = AccountError::NotOne(vec![name("alice"), name("bob")]);
    assert_eq!(error(data.path(), None), both);
    assert_eq!(only_one(data.path(), &server()), None);
    let (_, _alice) = open(data.path(), &server(), Some(name("alice"))).ok().unwrap();
    assert_eq!(only_one(data.path(), &server()), Some(name("bob")));
    let (account, _bob) = open(data.path(), &server(), None).ok().unwrap();
    assert_eq!(account.username, name("bob"));
    assert!(any(data.path()));
    // At another server nobody has an account.
    let elsewhere = Fingerprint::of_spki(b"elsewhere");
    assert_eq!(only_one(data.path(), &elsewhere), None);
}

#[test]
fn a_broken_file_is_an_error_and_stays_as_it_is() {
    let data = tempfile::tempdir().unwrap();
    make(data.path(), "alice");
    let folder = accounts_folder(data.path(), &server()).join("alice");
    let files = [
        (IDENTITY_FILE, "no key"),
        (PEERS_FILE, "{\"bob\": {\"key\": \"abc\", \"verified\": true}}"),
        (BLOCKED_FILE, "[\"not a name\"]"),
    ];
    for (file, content) in files {
        let path = folder.join(file);
        let before = fs::read(&path).ok();
        fs::write(&path, content).unwrap();
        let error = error(data.path(), Some("alice"));
        let AccountError::Folder(sentence) = &error else { panic!("{error:?}") };
        assert!(sentence.contains(file), "{sentence}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        match before {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    assert!(open(data.path(), &server(), Some(name("alice"))).is_ok());
}

#[test]
fn key_that_others_can_read_is_refused() {
    let data = tempfile::tempdir().unwrap();
    make(data.path(), "alice");
    let folder = accounts_folder(data.path(), &server()).join("alice");
    let key = folder.join(IDENTITY_FILE);
    let set = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    let refused = |name| match error(data.path(), name) {
        AccountError::Folder(sentence) => sentence,
        other => panic!("{other:?}"),
    };
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
        set(mode);
        for name in [Some("alice"), None] {
            let mend = format!("`chmod 600 {}`", key.display());
            assert!(refused(name).contains(&mend), "{}", refused(name));
        }
    }
    set(0o400);
    assert!(open(data.path(), &server(), Some(name("alice"))).is_ok());
}

#[test]
fn every_folder_down_to_the_key_has_to_be_safe() {
    let data = tempfile::tempdir().unwrap();
    make(data.path(), "alice");
    let folder = accounts_folder(data.path(), &server()).join("alice");
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused = |name: Option<&str>, unsafe_folder: &Path| {
        set(unsafe_folder, 0o777);
        let AccountError::Folder(sentence) = error(data.path(), name) else { panic!() };
        let mend = format!("`chmod go-w {}`", unsafe_folder.display());
        assert!(sentence.contains(&mend), "{sentence}");
        set(unsafe_folder, 0o700);
    };
    for unsafe_folder in folder.ancestors().take_while(|path| path.starts_with(data.path())) {
        refused(None, unsafe_folder);
        refused(Some("alice"), unsafe_folder);
        // A new account has no folder yet.
        if unsafe_folder != folder {
            refused(Some("bob"), unsafe_folder);
        }
        // As in /tmp, others can't touch files of other owners.
        set(unsafe_folder, 0o1777);
        assert!(open(data.path(), &server(), Some(name("alice"))).is_ok());
        set(unsafe_folder, 0o755);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    for file in [IDENTITY_FILE, PEERS_FILE, BLOCKED_FILE] {
        let link = folder.join(file);
        if link.exists() {
            fs::rename(&link, elsewhere.path().join(file)).unwrap();
        }
        symlink(elsewhere.path().join(file), &link).unwrap();
        refused(Some("alice"), elsewhere.path());
    }
    assert!(open(data.path(), &server(), Some(name("alice"))).is_ok());
}

#[test]
fn fifo_in_the_place_of_a_file_is_damage() {
    let data = tempfile::tempdir().unwrap();
    make(data.path(), "alice");
    let folder = accounts_folder(data.path(), &server()).join("alice");
    for file in [LOCK_FILE, IDENTITY_FILE, PEERS_FILE, BLOCKED_FILE, POSITION_FILE] {
        let path = folder.join(file);
        let before = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let told = match open(data.path(), &server(), Some(name("alice"))) {
            Ok((_, folder)) if file == POSITION_FILE => folder.lost_position.unwrap(),
            Err(AccountError::Folder(sentence)) if file != POSITION_FILE => sentence,
            other => panic!("{file}: {:?}", other.map(|(account, _)| account.username)),
        };
        assert!(told.contains(file) && told.contains("no regular file"), "{told}");
        fs::remove_file(&path).unwrap();
        if let Some(content) = before {
            files::write_private(&path, &content).unwrap();
        }
    }
}

#[test]
fn damaged_position_counts_as_missing_and_is_told() {
    let data = tempfile::tempdir().unwrap();
    make(data.path(), "alice");
    let path = accounts_folder(data.path(), &server()).join("alice").join(POSITION_FILE);
    for content in ["", "{\"epoch\": ", "[]", "nonsense"] {
        fs::write(&path, content).unwrap();
        let (account, folder) = open(data.path(), &server(), Some(name("alice"))).ok().unwrap();
        assert_eq!(account.position, LogPosition::default());
        assert!(folder.lost_position.as_ref().unwrap().contains(POSITION_FILE));
        folder.save_position(account.position).unwrap();
        drop(folder);
        let (_, folder) = open(data.path(), &server(), Some(name("alice"))).ok().unwrap();
        assert_eq!(folder.lost_position, None);
    }
}

#[test]
fn file_system_without_locks_is_no_damage() {
    let path = Path::new("/data/alice");
    let AccountError::Folder(told) = refused(path, &Errno::NOLCK.into()) else { panic!() };
    assert!(told.contains("without locks") && !told.contains("Repair"), "{told}");
    let AccountError::Folder(told) = refused(path, &Errno::ACCESS.into()) else { panic!() };
    assert!(told.ends_with("(os error 13).") && !told.contains("Repair"), "{told}");
}

#[test]
fn the_key_is_its_owners_alone() {
    let data = tempfile::tempdir().unwrap();
    make(data.path(), "alice");
    let folder = accounts_folder(data.path(), &server()).join("alice");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join(IDENTITY_FILE)), 0o600);
    assert_eq!(mode(&folder), 0o700);
}
