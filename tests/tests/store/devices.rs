//! The device lists of every database.

use letschat_protocol::devices::{Change, ConsentStatement, DeviceEntry, DeviceList, DeviceName};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_server::store::mailbox::Placement::{Refused, Repeated, Stored};
use letschat_server::store::mailbox::{ListChange, ListChanged, Placements};
use letschat_server::store::{MAX_KEYS, Store, Verdict};

use super::mailbox::{envelope, publish};
use crate::{Database, alice, key, with_accounts};

fn server() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn first(seed: u8) -> DeviceEntry {
    DeviceEntry::first(
        &identity(seed),
        (&server(), &alice()),
        DeviceName::like("laptop"),
        seed.into(),
    )
}

/// Returns the entry by which `signer` adds or removes a device.
fn entry(list: &DeviceList, signer: u8, device: u8, adds: bool) -> DeviceEntry {
    let (server, alice, name) = (server(), alice(), DeviceName::like("phone"));
    let chain = &list.chain();
    let statement = ConsentStatement { server: &server, account: &alice, chain, name: &name };
    let consent = identity(device).sign(&statement);
    let change = if adds { Change::Add { name, consent } } else { Change::Remove };
    let place = (&server, &alice);
    DeviceEntry::sign(&identity(signer), place, Some(list), key(device), change)
}

fn list_of(entries: &[DeviceEntry]) -> DeviceList {
    let mut list = None;
    for entry in entries {
        let next = DeviceList::after(list.as_ref(), (&server(), &alice()), entry);
        list = Some(next.unwrap());
    }
    list.unwrap()
}

fn change(store: &mut dyn Store, number: u64, entry: &DeviceEntry) -> ListChanged {
    let (server, username, entry) = (server(), alice(), entry.clone());
    let change = ListChange { server, username, number, entry, is_recovery: false };
    store.change_list(&change).unwrap()
}

fn entries(store: &mut dyn Store, after: u64) -> (Vec<DeviceEntry>, u64) {
    let found = store.device_entries(&alice(), after).unwrap().unwrap();
    (found.entries, found.list.number)
}

pub(crate) fn device_list_is_kept_as_its_devices_signed_it(database: &dyn Database) {
    let mut store = with_accounts(database);
    assert_eq!(store.device_entries(&"nobody".parse().unwrap(), 0).unwrap(), None);
    assert_eq!(entries(&mut *store, 0), (vec![], 0));
    let one = first(1);
    let two = entry(&list_of(std::slice::from_ref(&one)), 1, 2, true);
    assert_eq!(change(&mut *store, 2, &two), ListChanged::Late);
    for seed in [1, 2] {
        let verdict = store.admit(&alice(), "phc", Some(&key(seed)), 1).unwrap();
        assert_eq!(verdict, Verdict::Accepted, "without a list all are listed");
    }
    assert_eq!(change(&mut *store, 1, &one), ListChanged::Done);
    for (seed, verdict) in [(1, Verdict::Accepted), (2, Verdict::Unlisted)] {
        assert_eq!(store.check_key(&alice(), &key(seed), 2).unwrap(), verdict);
        assert_eq!(store.admit(&alice(), "phc", Some(&key(seed)), 3).unwrap(), verdict);
    }
    assert_eq!(store.admit(&alice(), "phc", None, 3).unwrap(), Verdict::Accepted);
    assert_eq!(change(&mut *store, 1, &first(3)), ListChanged::Late);
    assert_eq!(change(&mut *store, 2, &two), ListChanged::Done);
    assert_eq!(store.check_key(&alice(), &key(2), 2).unwrap(), Verdict::Accepted);
    assert!(matches!(change(&mut *store, 3, &two), ListChanged::Refused(_)));
    drop(store);
    let mut store = database.open();
    assert_eq!(entries(&mut *store, 0), (vec![one, two.clone()], 2));
    assert_eq!(entries(&mut *store, 1), (vec![two], 2));
    assert_eq!(entries(&mut *store, 9), (vec![], 2));
    assert_eq!(entries(&mut *store, u64::MAX), (vec![], 2));
    assert!(database.open_beside_server().delete_account(&alice()).unwrap());
    assert_eq!(store.device_entries(&alice(), 0).unwrap(), None);
}

pub(crate) fn envelopes_go_to_listed_devices_only(database: &dyn Database) {
    let mut store = with_accounts(database);
    for seed in [1, 2, 3] {
        publish(&mut *store, ("alice", seed));
    }
    let post = |store: &mut dyn Store, id, to: &[_]| {
        store.post(0, &[envelope("carol", id, to, 10)]).unwrap().remove(0)
    };
    let both = [("alice", 1), ("alice", 2)];
    let stored = |numbers: [u64; 2]| numbers.map(|number| Stored { number }).to_vec();
    // Without a list all are equal.
    let placed = post(&mut *store, 1, &both);
    assert_eq!(placed, Placements { headers: stored([1, 2]), missing: vec![] });
    assert_eq!(change(&mut *store, 1, &first(1)), ListChanged::Done);
    let placed = post(&mut *store, 2, &both);
    let refused =
        vec![Stored { number: 3 }, Refused(letschat_protocol::dialogue::Outcome::NoDevice)];
    assert_eq!(placed, Placements { headers: refused, missing: vec![] });
    let two = entry(&list_of(&[first(1)]), 1, 2, true);
    assert_eq!(change(&mut *store, 2, &two), ListChanged::Done);
    let placed = post(&mut *store, 3, &both[..1]);
    assert_eq!(placed.missing, [(alice(), key(2))]);
    let placed = post(&mut *store, 3, &both);
    let expected = vec![Repeated { time_ms: 1_000 }, Stored { number: 5 }];
    assert_eq!(placed, Placements { headers: expected, missing: vec![] });
    let keys = store.prekeys(&alice()).unwrap().unwrap();
    assert_eq!(keys.devices.len(), 2);
    assert_eq!(keys.list, list_of(&[first(1), two]).reference());
    // The sender knows the own devices.
    let own = store.post(0, &[envelope("alice", 9, &both[..1], 10)]).unwrap().remove(0);
    assert_eq!(own.missing, []);
}

pub(crate) fn removed_device_loses_its_key_and_its_mail(database: &dyn Database) {
    let mut store = with_accounts(database);
    publish(&mut *store, ("alice", 1));
    publish(&mut *store, ("alice", 2));
    let two = entry(&list_of(&[first(1)]), 1, 2, true);
    assert_eq!(change(&mut *store, 1, &first(1)), ListChanged::Done);
    assert_eq!(change(&mut *store, 2, &two), ListChanged::Done);
    store.post(0, &[envelope("carol", 1, &[("alice", 2)], 10)]).unwrap();
    assert_eq!(database.sealed_bodies(), 1);
    let removal = entry(&list_of(&[first(1), two]), 1, 2, false);
    assert_eq!(change(&mut *store, 3, &removal), ListChanged::Done);
    assert_eq!(database.sealed_bodies(), 0);
    assert_eq!(store.check_key(&alice(), &key(2), 1).unwrap(), Verdict::Refused);
    assert_eq!(store.check_key(&alice(), &key(1), 1).unwrap(), Verdict::Accepted);
}

pub(crate) fn recovery_begins_a_list_and_ends_all_other_devices(database: &dyn Database) {
    let mut store = with_accounts(database);
    for seed in [1, 2] {
        publish(&mut *store, ("alice", seed));
    }
    assert_eq!(change(&mut *store, 1, &first(1)), ListChanged::Done);
    let recovery = ListChange {
        server: server(),
        username: alice(),
        number: 1,
        entry: first(2),
        is_recovery: true,
    };
    assert_eq!(store.change_list(&recovery).unwrap(), ListChanged::Done);
    assert_eq!(entries(&mut *store, 0), (vec![first(2)], 1));
    assert_eq!(store.check_key(&alice(), &key(1), 1).unwrap(), Verdict::Refused);
    assert_eq!(store.check_key(&alice(), &key(2), 1).unwrap(), Verdict::Accepted);
    assert_eq!(store.prekeys(&alice()).unwrap().unwrap().devices.len(), 1);
}

pub(crate) fn listed_device_outlives_a_crowd_of_unlisted_ones(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    assert_eq!(change(&mut *store, 1, &first(1)), ListChanged::Done);
    for seed in 2..2 + 2 * MAX_KEYS as u8 {
        store.add_key(&alice(), &key(seed), 1_000 + u64::from(seed)).unwrap();
    }
    assert_eq!(store.check_key(&alice(), &key(1), 1).unwrap(), Verdict::Accepted);
    assert_eq!(store.check_key(&alice(), &key(2), 1).unwrap(), Verdict::Refused);
}
