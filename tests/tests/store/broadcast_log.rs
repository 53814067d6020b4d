//! The broadcast log of every database.

use letschat_server::store::{NewBroadcast, StoreError, StoredLog};

use crate::{Database, broadcast, entry};

pub(crate) fn a_new_log_is_empty_and_has_a_name(database: &dyn Database) {
    let log = database.open().load_log().unwrap();
    assert_ne!(log.epoch, 0);
    assert_eq!((log.head, log.entries), (0, vec![]));
}

pub(crate) fn the_log_keeps_its_name_and_entries(database: &dyn Database) {
    let mut store = database.open();
    let epoch = store.load_log().unwrap().epoch;
    assert_eq!(store.append(0, &[broadcast(1)]).unwrap(), 1);
    assert_eq!(store.append(1, &[broadcast(2), broadcast(3)]).unwrap(), 2);
    drop(store);
    let log = database.open().load_log().unwrap();
    let entries = vec![entry(1), entry(2), entry(3)];
    assert_eq!(log, StoredLog { epoch, head: 3, entries });
}

pub(crate) fn all_bits_of_a_boots_id_are_kept(database: &dyn Database) {
    let mut store = database.open();
    for (number, boot_id) in [(1, 0), (2, u64::MAX), (3, 1 << 63)] {
        let new = NewBroadcast { boot_id, ..broadcast(number) };
        store.append(0, std::slice::from_ref(&new)).unwrap();
        assert_eq!(store.load_log().unwrap().entries.last(), Some(&new.numbered(number)));
    }
}

pub(crate) fn the_counter_outlives_its_broadcasts(database: &dyn Database) {
    let mut store = database.open();
    store.append(0, &[broadcast(1), broadcast(2)]).unwrap();
    store.forget(2).unwrap();
    drop(store);
    let log = database.open().load_log().unwrap();
    assert_eq!((log.head, log.entries), (2, vec![]));
}

pub(crate) fn a_number_is_never_used_twice(database: &dyn Database) {
    let mut store = database.open();
    store.append(0, &[broadcast(1), broadcast(2)]).unwrap();
    store.forget(2).unwrap();
    for (after, number) in [(0, 3), (2, 4), (4, 5), (9, 10)] {
        assert_eq!(store.append(after, &[broadcast(number)]).unwrap(), number, "after {after}");
        let log = store.load_log().unwrap();
        assert_eq!((log.head, log.entries.last()), (number, Some(&entry(number))));
    }
    let refused = store.append(u64::MAX, &[broadcast(11)]);
    assert!(matches!(refused, Err(StoreError::Content(_))), "{refused:?}");
    assert_eq!(store.load_log().unwrap().head, 10);
}

pub(crate) fn entries_are_committed_all_or_none(database: &dyn Database) {
    let mut store = database.open();
    store.append(0, &[broadcast(1)]).unwrap();
    // The time exceeds a signed column, so this entry fails when its turn comes.
    let unstorable = NewBroadcast { boot_ms: u64::MAX, ..broadcast(3) };
    assert!(store.append(1, &[broadcast(2), unstorable]).is_err());
    let log = store.load_log().unwrap();
    assert_eq!((log.head, log.entries), (1, vec![entry(1)]));
    store.append(0, &[broadcast(2), broadcast(3)]).unwrap();
    assert_eq!(store.load_log().unwrap().head, 3);
}

pub(crate) fn numbers_may_have_gaps(database: &dyn Database) {
    let mut store = database.open();
    assert_eq!(store.append(4, &[broadcast(5)]).unwrap(), 5);
    assert_eq!(store.append(8, &[broadcast(9)]).unwrap(), 9);
    let log = store.load_log().unwrap();
    assert_eq!((log.head, log.entries), (9, vec![entry(5), entry(9)]));
}

pub(crate) fn appending_nothing_changes_nothing(database: &dyn Database) {
    let mut store = database.open();
    store.append(0, &[broadcast(1)]).unwrap();
    let before = store.load_log().unwrap();
    store.append(1, &[]).unwrap();
    assert_eq!(store.load_log().unwrap(), before);
}

pub(crate) fn a_log_can_be_appended_to_before_it_was_loaded(database: &dyn Database) {
    database.open().append(0, &[broadcast(1)]).unwrap();
    let log = database.open().load_log().unwrap();
    assert_ne!(log.epoch, 0);
    assert_eq!((log.head, log.entries), (1, vec![entry(1)]));
}

pub(crate) fn forgetting_is_up_to_and_including(database: &dyn Database) {
    let mut store = database.open();
    store.append(0, &[broadcast(1), broadcast(2), broadcast(3)]).unwrap();
    store.forget(0).unwrap();
    assert_eq!(store.load_log().unwrap().entries.len(), 3);
    store.forget(2).unwrap();
    assert_eq!(store.load_log().unwrap().entries, [entry(3)]);
    store.forget(u64::MAX).unwrap();
    assert_eq!(store.load_log().unwrap().entries, []);
}
