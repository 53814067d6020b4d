//! The broadcast log, as every database has to keep it.

use letschat_server::store::{StoreError, StoredEntry, StoredLog};

use crate::{Database, entry};

pub(crate) fn a_new_log_is_empty_and_has_a_name(database: &dyn Database) {
    let log = database.open().load_log().unwrap();
    assert_ne!(log.epoch, 0);
    assert_eq!((log.head, log.entries), (0, vec![]));
}

pub(crate) fn the_log_keeps_its_name_and_entries(database: &dyn Database) {
    let mut store = database.open();
    let epoch = store.load_log().unwrap().epoch;
    let entries = vec![entry(1), entry(2)];
    store.append(&entries[..1]).unwrap();
    store.append(&entries[1..]).unwrap();
    drop(store);
    let log = database.open().load_log().unwrap();
    assert_eq!(log, StoredLog { epoch, head: 2, entries });
}

pub(crate) fn all_bits_of_a_boots_id_are_kept(database: &dyn Database) {
    let mut store = database.open();
    for (number, boot_id) in [(1, 0), (2, u64::MAX), (3, 1 << 63)] {
        let stored = StoredEntry { boot_id, ..entry(number) };
        store.append(std::slice::from_ref(&stored)).unwrap();
        assert_eq!(store.load_log().unwrap().entries.last(), Some(&stored));
    }
}

pub(crate) fn the_counter_outlives_its_broadcasts(database: &dyn Database) {
    let mut store = database.open();
    store.append(&[entry(1), entry(2)]).unwrap();
    store.forget(2).unwrap();
    drop(store);
    let log = database.open().load_log().unwrap();
    assert_eq!((log.head, log.entries), (2, vec![]));
}

pub(crate) fn a_number_is_never_used_twice(database: &dyn Database) {
    let mut store = database.open();
    store.append(&[entry(1), entry(2)]).unwrap();
    store.forget(2).unwrap();
    for entries in [&[entry(2)][..], &[entry(1)], &[entry(0)], &[entry(3), entry(3)]] {
        let refused = store.append(entries);
        assert!(matches!(refused, Err(StoreError::Content(_))), "{entries:?}: {refused:?}");
    }
    assert_eq!(store.load_log().unwrap().head, 2);
    store.append(&[entry(3)]).unwrap();
    assert_eq!(store.load_log().unwrap().head, 3);
}

pub(crate) fn entries_are_committed_all_or_none(database: &dyn Database) {
    let mut store = database.open();
    store.append(&[entry(1)]).unwrap();
    // Times end where a signed column does, which shows when it is this entry's turn.
    let unstorable = StoredEntry { boot_ms: u64::MAX, ..entry(3) };
    assert!(store.append(&[entry(2), unstorable]).is_err());
    let log = store.load_log().unwrap();
    assert_eq!((log.head, log.entries), (1, vec![entry(1)]));
    store.append(&[entry(2), entry(3)]).unwrap();
    assert_eq!(store.load_log().unwrap().head, 3);
}

pub(crate) fn numbers_may_have_gaps(database: &dyn Database) {
    let mut store = database.open();
    store.append(&[entry(5), entry(9)]).unwrap();
    let log = store.load_log().unwrap();
    assert_eq!((log.head, log.entries), (9, vec![entry(5), entry(9)]));
}

pub(crate) fn appending_nothing_changes_nothing(database: &dyn Database) {
    let mut store = database.open();
    store.append(&[entry(1)]).unwrap();
    let before = store.load_log().unwrap();
    store.append(&[]).unwrap();
    assert_eq!(store.load_log().unwrap(), before);
}

pub(crate) fn a_log_can_be_appended_to_before_it_was_loaded(database: &dyn Database) {
    database.open().append(&[entry(1)]).unwrap();
    let log = database.open().load_log().unwrap();
    assert_ne!(log.epoch, 0);
    assert_eq!((log.head, log.entries), (1, vec![entry(1)]));
}

pub(crate) fn forgetting_is_up_to_and_including(database: &dyn Database) {
    let mut store = database.open();
    store.append(&[entry(1), entry(2), entry(3)]).unwrap();
    store.forget(0).unwrap();
    assert_eq!(store.load_log().unwrap().entries.len(), 3);
    store.forget(2).unwrap();
    assert_eq!(store.load_log().unwrap().entries, [entry(3)]);
    store.forget(u64::MAX).unwrap();
    assert_eq!(store.load_log().unwrap().entries, []);
}
