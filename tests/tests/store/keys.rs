//! The keys of accounts in every database.

use letschat_server::store::{KEY_USE_MS, MAX_KEYS, Store, Verdict};

use crate::{Database, alice, bob, key, name, with_accounts};

pub(crate) fn a_key_opens_its_own_account_only(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    assert_eq!(store.check_key(&alice(), &key(1), 2).unwrap(), Verdict::Accepted);
    assert_eq!(store.check_key(&alice(), &key(2), 2).unwrap(), Verdict::Refused);
    assert_eq!(store.check_key(&bob(), &key(1), 2).unwrap(), Verdict::Refused);
    assert_eq!(store.check_key(&name("nobody"), &key(1), 2).unwrap(), Verdict::Refused);
}

pub(crate) fn a_known_key_is_added_once(database: &dyn Database) {
    let mut store = with_accounts(database);
    fill_with_keys(&mut *store, 1..MAX_KEYS as u8);
    for now_ms in 2_000..2_000 + MAX_KEYS as u64 {
        store.add_key(&alice(), &key(0), now_ms).unwrap();
    }
    let all: Vec<u8> = (0..MAX_KEYS as u8).collect();
    assert_eq!(keys_of_alice(&mut *store, 0..=255), all, "no copies took the others' places");
}

pub(crate) fn a_key_needs_an_account(database: &dyn Database) {
    let mut store = with_accounts(database);
    assert!(store.add_key(&name("nobody"), &key(1), 1).is_err());
    store.create_account(&name("nobody"), "phc", 2).unwrap();
    assert_eq!(store.check_key(&name("nobody"), &key(1), 3).unwrap(), Verdict::Refused);
}

pub(crate) fn the_key_that_was_not_used_for_longest_gives_way(database: &dyn Database) {
    let mut store = with_accounts(database);
    fill_with_keys(&mut *store, 0..MAX_KEYS as u8);
    store.add_key(&alice(), &key(200), 10_000).unwrap();
    store.add_key(&alice(), &key(201), 10_001).unwrap();
    let left: Vec<u8> = (2..MAX_KEYS as u8).chain([200, 201]).collect();
    assert_eq!(keys_of_alice(&mut *store, 0..=255), left);
}

pub(crate) fn using_a_key_keeps_it(database: &dyn Database) {
    let mut store = with_accounts(database);
    fill_with_keys(&mut *store, 0..MAX_KEYS as u8);
    let used_ms = 5_000 + KEY_USE_MS;
    assert_eq!(store.check_key(&alice(), &key(0), used_ms).unwrap(), Verdict::Accepted);
    store.add_key(&alice(), &key(200), used_ms + 1).unwrap();
    assert_eq!(keys_of_alice(&mut *store, 0..=1), [0]);
}

pub(crate) fn a_use_soon_after_the_last_is_not_written_down(database: &dyn Database) {
    let mut store = with_accounts(database);
    fill_with_keys(&mut *store, 0..MAX_KEYS as u8);
    assert_eq!(store.check_key(&alice(), &key(0), KEY_USE_MS - 1).unwrap(), Verdict::Accepted);
    store.add_key(&alice(), &key(200), KEY_USE_MS).unwrap();
    assert_eq!(keys_of_alice(&mut *store, 0..=1), [1]);
}

pub(crate) fn last_use_is_shown_within_a_minute(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 0).unwrap();
    for now_ms in (0..10 * 60_000).step_by(7_000) {
        assert_eq!(store.check_key(&alice(), &key(1), now_ms).unwrap(), Verdict::Accepted);
        let shown = database.open_beside_server().accounts_after(None, 1).unwrap()[0].used_ms;
        assert!(shown.is_some_and(|shown| now_ms - shown < 60_000), "{shown:?} at {now_ms}");
    }
}

pub(crate) fn last_use_follows_a_clock_that_was_set_back(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 10_000_000).unwrap();
    assert_eq!(store.check_key(&alice(), &key(1), 5_000_000).unwrap(), Verdict::Accepted);
    let shown = database.open_beside_server().accounts_after(None, 1).unwrap()[0].used_ms;
    assert_eq!(shown, Some(5_000_000));
}

pub(crate) fn adding_a_key_again_keeps_it(database: &dyn Database) {
    let mut store = with_accounts(database);
    fill_with_keys(&mut *store, 0..MAX_KEYS as u8);
    store.add_key(&alice(), &key(0), 5_000).unwrap();
    store.add_key(&alice(), &key(200), 10_000).unwrap();
    assert_eq!(keys_of_alice(&mut *store, 0..=1), [0]);
}

pub(crate) fn a_new_key_stays_even_if_the_clock_went_back(database: &dyn Database) {
    let mut store = with_accounts(database);
    fill_with_keys(&mut *store, 1..=MAX_KEYS as u8);
    store.add_key(&alice(), &key(200), 0).unwrap();
    assert_eq!(keys_of_alice(&mut *store, 200..=200), [200]);
    assert_eq!(keys_of_alice(&mut *store, 1..=2), [2]);
}

pub(crate) fn one_accounts_keys_do_not_crowd_out_anothers(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&bob(), &key(200), 1).unwrap();
    fill_with_keys(&mut *store, 0..MAX_KEYS as u8);
    assert_eq!(store.check_key(&bob(), &key(200), 2).unwrap(), Verdict::Accepted);
    assert_eq!(keys_of_alice(&mut *store, 0..=0), [0]);
}

/// Adds keys to Alice's account, each used a little later than the one before.
pub(crate) fn fill_with_keys(store: &mut dyn Store, seeds: impl Iterator<Item = u8>) {
    for seed in seeds {
        store.add_key(&alice(), &key(seed), 1_000 + u64::from(seed)).unwrap();
    }
}

/// Returns those of these keys that Alice has.
pub(crate) fn keys_of_alice(store: &mut dyn Store, seeds: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut has =
        |seed: &u8| store.check_key(&alice(), &key(*seed), 20_000).unwrap() == Verdict::Accepted;
    seeds.filter(|seed| has(seed)).collect()
}
