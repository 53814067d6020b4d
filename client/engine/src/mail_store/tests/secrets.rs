use super::*;
use std::collections::BTreeSet;

/// The database and its write-ahead log.
const BOTH: [&str; 2] = [FILE, "account.sqlite-wal"];

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn private_of(store: &MailStore, prekey: &StoredPrekey) -> [u8; 32] {
    *store.prekey(&prekey.key).unwrap().unwrap().private_bytes()
}

/// Moves the log's pages into the database, so that both hold them.
fn checkpoint(store: &MailStore) {
    store.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
}

/// Makes a test with thousands of commits quick.
fn do_not_wait_for_the_disk(store: &MailStore) {
    store.connection.pragma_update(None, "synchronous", "OFF").unwrap();
}

/// A text that occurs nowhere else.
fn marker(number: u64) -> String {
    format!("<marker {number:06}>")
}

#[test]
fn forgotten_prekey_is_in_no_file() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let (old, new) = (store.make_prekey(1, 2).unwrap(), store.make_prekey(3, 4).unwrap());
    let (old_half, new_half) = (private_of(&store, &old), private_of(&store, &new));
    checkpoint(&store);
    assert_eq!(sorted(folder.files_with(&old_half)), BOTH);
    store.commit(&[MailChange::Forgotten(old.key)]).unwrap();
    assert_eq!(folder.files_with(&old_half), [""; 0]);
    assert_eq!(folder.files_with(&new_half), [FILE]);
    assert!(store.prekey(&old.key).unwrap().is_none());
    assert_eq!(private_of(&store, &new), new_half);
}

#[test]
fn forgotten_prekeys_leave_no_copies_on_pages() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    do_not_wait_for_the_disk(&store);
    // With these numbers SQLite leaves copies of seven deleted rows, if the table is not rewritten.
    let mut random = fastrand::Rng::with_seed(24);
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..2_000 {
        if kept.len() < 60 || random.bool() {
            let prekey = store.make_prekey(5, 1).unwrap();
            kept.push((prekey.key, private_of(&store, &prekey)));
        } else {
            let (key, half) = kept.swap_remove(random.usize(0..kept.len()));
            store.commit(&[MailChange::Forgotten(key)]).unwrap();
            gone.push(half);
        }
    }
    store.erase_log().unwrap();
    let copies = gone.iter().filter(|half| !folder.files_with(&half[..]).is_empty());
    assert_eq!(copies.count(), 0);
    assert!(
        kept.iter().all(|(key, half)| store.prekey(key).unwrap().unwrap().private_bytes() == half)
    );
}

#[test]
fn prekey_that_a_killed_run_forgot_is_erased_at_open() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let (old, new) = (store.make_prekey(1, 2).unwrap(), store.make_prekey(3, 4).unwrap());
    let old_half = private_of(&store, &old);
    let forget = |transaction: &Transaction<'_>| {
        changes::apply(transaction, &MailChange::Forgotten(old.key))?;
        erasure::rewrite(transaction, "prekeys")
    };
    checkpoint(&store);
    store.transact(forget).unwrap();
    let copy = folder.copy();
    assert_ne!(copy.files_with(&old_half), [""; 0]);
    let (_store, mail) = copy.open();
    assert_eq!(mail.prekeys, [new]);
    assert_eq!(copy.files_with(&old_half), [""; 0]);
}

#[test]
fn log_that_could_not_be_erased_is_erased_by_the_next_commit() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let old = store.make_prekey(1, 2).unwrap();
    let old_half = private_of(&store, &old);
    let forget = MailChange::Forgotten(old.key);
    store.transact(|transaction| changes::apply(transaction, &forget)).unwrap();
    store.has_old_prekeys = true;
    assert_ne!(folder.files_with(&old_half), [""; 0]);
    store.commit(&[]).unwrap();
    assert_eq!(folder.files_with(&old_half), [""; 0]);
    assert!(!store.has_old_prekeys);
}

#[test]
fn texts_are_gone_when_the_store_closes() {
    let own = |number, text: &str| MailChange::Outgoing(outgoing(number, text));
    let foreign = |number, text: &str| MailChange::Held(held(number, text));
    // With these seeds SQLite leaves copies of deleted texts, if the tables are not rewritten.
    add_and_delete_texts(13, &own);
    add_and_delete_texts(2, &foreign);
}

fn add_and_delete_texts(seed: u64, add: &dyn Fn(u64, &str) -> MailChange) {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    do_not_wait_for_the_disk(&store);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut kept, mut gone) = (Vec::new(), 0);
    for _ in 0..3_000 {
        if kept.len() < 100 || random.bool() {
            let number = kept.len() as u64 + gone;
            let text = marker(number) + &"x".repeat(20);
            store.commit(&[add(number, &text)]).unwrap();
            kept.push(number);
        } else {
            let number = kept.swap_remove(random.usize(0..kept.len()));
            let deletions = [settled(number), MailChange::Released(id(number))];
            store.commit(&deletions).unwrap();
            gone += 1;
        }
    }
    drop(store);
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1);
    let found = markers(&fs::read(folder.path()).unwrap());
    assert_eq!(found, BTreeSet::from_iter(kept));
}

/// Returns the numbers of all markers in the bytes.
fn markers(content: &[u8]) -> BTreeSet<u64> {
    let start = b"<marker ";
    let places = content.windows(start.len()).enumerate().filter(|(_, window)| window == start);
    let digits = places.filter_map(|(place, _)| content.get(place + 8..place + 14));
    digits.filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).collect()
}

#[test]
fn text_that_was_sent_is_gone_when_the_store_closes() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    store.commit(&[MailChange::Outgoing(outgoing(1, &marker(1)))]).unwrap();
    checkpoint(&store);
    assert_eq!(sorted(folder.files_with(marker(1).as_bytes())), BOTH);
    store.commit(&[MailChange::Outgoing(outgoing(1, ""))]).unwrap();
    drop(store);
    assert_eq!(folder.files_with(marker(1).as_bytes()), [""; 0]);
    assert_eq!(folder.read().outbox, [outgoing(1, "")]);
}

#[test]
fn texts_that_a_killed_run_deleted_are_erased_at_open() {
    for is_checkpointed in [false, true] {
        let folder = Folder::new();
        let (mut store, _) = folder.open();
        let (one, two) = (outgoing(1, &marker(1)), held(2, &marker(2)));
        store.commit(&[MailChange::Outgoing(one), MailChange::Held(two)]).unwrap();
        if is_checkpointed {
            checkpoint(&store);
        }
        store.commit(&[settled(1), MailChange::Released(id(2))]).unwrap();
        let copy = folder.copy();
        for number in [1, 2] {
            assert_ne!(copy.files_with(marker(number).as_bytes()), [""; 0]);
        }
        let (store, _) = copy.open();
        for number in [1, 2] {
            assert_eq!(copy.files_with(marker(number).as_bytes()), [""; 0]);
        }
        assert!(!store.has_old_texts && !erasure::is_due(&store.connection).unwrap());
    }
}

#[test]
fn need_to_erase_survives_a_kill() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    store.commit(&[MailChange::Held(held(1, &marker(1)))]).unwrap();
    assert!(!erasure::is_due(&store.connection).unwrap());
    store.commit(&[MailChange::Released(id(1))]).unwrap();
    assert!(erasure::is_due(&store.connection).unwrap());
    store.erase_texts().unwrap();
    assert!(!erasure::is_due(&store.connection).unwrap());
    store.commit(&[MailChange::Released(id(1))]).unwrap();
    assert!(erasure::is_due(&store.connection).unwrap());
}

#[test]
fn deleted_text_leaves_the_log_within_1000_pages() {
    // A log of less than 1,000 pages, and a longer one whose end later commits do not overwrite.
    for count in [100, 500] {
        let folder = Folder::new();
        let (mut store, _) = folder.open();
        let text = |number| marker(number) + &"x".repeat(16_000);
        let added: Vec<_> = (0..count)
            .map(|number| MailChange::Outgoing(outgoing(number, &text(number))))
            .collect();
        store.commit(&added).unwrap();
        let in_log = || markers(&fs::read(folder.companion("-wal")).unwrap());
        assert_eq!(in_log().len(), added.len());
        let deletions: Vec<_> = (0..count).map(settled).collect();
        store.commit(&deletions).unwrap();
        // Each commit writes at least one page.
        for number in 0..1_000 {
            store.commit(&[MailChange::Received(received("alice", number, &[]))]).unwrap();
        }
        assert_eq!(in_log(), BTreeSet::new(), "{count}");
    }
}
