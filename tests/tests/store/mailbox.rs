//! The mailbox of every database.

use std::ops::Range;
use std::sync::Arc;

use letschat_protocol::dialogue::Outcome::{MailboxFull, NoDevice, UnknownUser};
use letschat_protocol::dialogue::{AccountKeys, DeviceKeys, Mail};
use letschat_protocol::envelope::{Envelope, EnvelopeId, Header};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::prekey::{PrekeyPublic, SignedPrekey, Suite};
use letschat_protocol::username::Username;
use letschat_server::store::mailbox::Placement::{Refused, Repeated, Stored};
use letschat_server::store::mailbox::{
    Acknowledgement, EXPIRED_AT_ONCE, MAX_WAITING_BYTES, MAX_WAITING_ENVELOPES,
    MAX_WAITING_OF_SENDER, MailPage, MailQuery, MailboxUsage, NewEnvelope, Placement, Placements,
};
use letschat_server::store::{MAX_KEYS, Store};

use crate::{Database, alice, bob, key, name, with_accounts};

/// A device: an account and the seed of a key.
pub(crate) type Device<'a> = (&'a str, u8);

fn prekey(seed: u8, until_ms: u64) -> SignedPrekey {
    let server = Fingerprint::of_spki(b"server");
    let identity = Identity::from_seed(&[seed; 32]);
    SignedPrekey::sign(&identity, &server, &alice(), PrekeyPublic([seed; 32]), until_ms)
}

/// Returns a store where these devices have prekeys.
pub(crate) fn with_devices(database: &dyn Database, devices: &[Device]) -> Box<dyn Store> {
    let mut store = with_accounts(database);
    for device in devices {
        publish(&mut *store, *device);
    }
    store
}

pub(crate) fn publish(store: &mut dyn Store, (username, seed): Device) {
    store.add_key(&name(username), &key(seed), 1).unwrap();
    assert!(store.publish_prekey(&name(username), &key(seed), &prekey(seed, 9)).unwrap());
}

fn header((username, seed): Device) -> Header {
    Header {
        recipient: name(username),
        device: key(seed),
        prekey: PrekeyPublic([seed; 32]),
        encapsulated: [seed.wrapping_add(1); 32],
        content_key: [seed.wrapping_add(2); 48],
    }
}

/// Returns an envelope whose body has every byte.
pub(crate) fn envelope(
    sender: &str,
    id: u128,
    to: &[Device],
    body_bytes: usize,
) -> Arc<NewEnvelope> {
    Arc::new(NewEnvelope {
        sender: name(sender),
        id: EnvelopeId(id),
        time_ms: 1_000,
        envelope: Envelope {
            suite: Suite::X25519,
            headers: to.iter().map(|device| header(*device)).collect(),
            sealed_body: (0..body_bytes).map(|n| n as u8).collect(),
        },
    })
}

fn post(store: &mut dyn Store, new: &Arc<NewEnvelope>) -> Vec<Placement> {
    store.post(0, std::slice::from_ref(new)).unwrap().remove(0).headers
}

/// Returns what became of the headers of each envelope.
pub(crate) fn headers(placed: Vec<Placements>) -> Vec<Vec<Placement>> {
    placed.into_iter().map(|placed| placed.headers).collect()
}

fn query((username, seed): Device) -> MailQuery {
    let (username, device) = (name(username), key(seed));
    MailQuery { username, device, after: 0, expired_ms: 0, max_bytes: usize::MAX }
}

fn waiting(store: &mut dyn Store, device: Device) -> Vec<Mail> {
    let MailPage { mail, next_bytes } = store.waiting_mail(&query(device)).unwrap();
    assert_eq!(next_bytes, None);
    mail
}

pub(crate) fn numbers(store: &mut dyn Store, device: Device) -> Vec<u64> {
    waiting(store, device).iter().map(|mail| mail.number).collect()
}

fn acknowledgement((username, seed): Device, numbers: &[u64]) -> Arc<Acknowledgement> {
    let (username, device, numbers) = (name(username), key(seed), numbers.to_vec());
    Arc::new(Acknowledgement { username, device, numbers })
}

fn acknowledge(store: &mut dyn Store, device: Device, numbers: &[u64]) -> u64 {
    store.acknowledge(&[acknowledgement(device, numbers)]).unwrap()[0]
}

pub(crate) fn prekey_is_told_with_its_device(database: &dyn Database) {
    let mut store = with_accounts(database);
    assert_eq!(store.prekeys(&name("nobody")).unwrap(), None);
    assert_eq!(store.prekeys(&alice()).unwrap(), Some(AccountKeys::default()));
    assert!(!store.publish_prekey(&alice(), &key(1), &prekey(1, 9)).unwrap(), "without the key");
    for (seed, used_ms) in [(1, 500), (2, 900), (3, 700)] {
        store.add_key(&alice(), &key(seed), used_ms).unwrap();
    }
    for seed in [1, 2] {
        assert!(store.publish_prekey(&alice(), &key(seed), &prekey(seed, 9)).unwrap());
    }
    assert!(!store.publish_prekey(&bob(), &key(1), &prekey(1, 9)).unwrap(), "of another account");
    for until_ms in [10, 10, u64::MAX] {
        assert!(store.publish_prekey(&alice(), &key(1), &prekey(1, until_ms)).unwrap());
    }
    drop(store);
    let devices = database.open().prekeys(&alice()).unwrap().unwrap();
    let told = |keys: DeviceKeys| (keys.device, keys.prekey, keys.used_ms);
    let devices: Vec<_> = devices.devices.into_iter().map(told).collect();
    let expected = [(key(2), prekey(2, 9), Some(900)), (key(1), prekey(1, u64::MAX), Some(500))];
    assert_eq!(devices, expected);
}

pub(crate) fn envelope_waits_as_it_was_posted(database: &dyn Database) {
    let devices = [("alice", 1), ("bob", 2)];
    let mut store = with_devices(database, &devices);
    let new = envelope("carol", u128::MAX - 7, &devices, 300);
    assert_eq!(post(&mut *store, &new), [Stored { number: 1 }, Stored { number: 2 }]);
    drop(store);
    let mut store = database.open();
    for (device, number) in devices.into_iter().zip([1, 2]) {
        let mail = waiting(&mut *store, device);
        assert_eq!(mail, [new.mail_for(&header(device), number)]);
        let delivered = Envelope::parse(&mail[0].envelope).unwrap();
        assert_eq!(delivered, Envelope { headers: vec![header(device)], ..new.envelope.clone() });
    }
    assert_eq!(waiting(&mut *store, ("bob", 1)), [], "it is another account's");
}

pub(crate) fn each_header_has_its_own_outcome(database: &dyn Database) {
    let mut store = with_devices(database, &[("bob", 2)]);
    store.add_key(&bob(), &key(3), 1).unwrap();
    let to = [("nobody", 9), ("bob", 4), ("bob", 2), ("bob", 3), ("alice", 2)];
    let outcomes = post(&mut *store, &envelope("alice", 1, &to, 10));
    let [unknown, no_device] = [Refused(UnknownUser), Refused(NoDevice)];
    assert_eq!(outcomes, [unknown, no_device, Stored { number: 1 }, no_device, no_device]);
    let refused = envelope("alice", 2, &to[..2], 10);
    assert_eq!(post(&mut *store, &refused), [unknown, no_device]);
    assert_eq!(database.sealed_bodies(), 1);
}

pub(crate) fn repeated_envelope_is_stored_once(database: &dyn Database) {
    let (bob, other) = (("bob", 2), ("bob", 3));
    let mut store = with_devices(database, &[bob]);
    store.add_key(&name("bob"), &key(3), 1).unwrap();
    let new = envelope("alice", 7, &[bob, other], 10);
    assert_eq!(post(&mut *store, &new), [Stored { number: 1 }, Refused(NoDevice)]);
    publish(&mut *store, other);
    let again = Arc::new(NewEnvelope { time_ms: 2_000, ..(*new).clone() });
    let repeated = Repeated { time_ms: 1_000 };
    assert_eq!(post(&mut *store, &again), [repeated, Stored { number: 2 }]);
    assert_eq!(acknowledge(&mut *store, bob, &[1]), 1);
    assert_eq!(post(&mut *store, &again), [repeated, Repeated { time_ms: 2_000 }]);
    assert_eq!(numbers(&mut *store, bob), [0; 0]);
    for (sender, id) in [("carol", 7), ("alice", 8)] {
        let placed = post(&mut *store, &envelope(sender, id, &[bob], 10));
        assert!(matches!(placed[..], [Stored { .. }]), "{sender} {id}: {placed:?}");
    }
    // The same envelope twice in one commit is one.
    let twice = [envelope("alice", 9, &[bob], 10), envelope("alice", 9, &[bob], 10)];
    let placed = store.post(0, &twice).unwrap();
    assert_eq!(headers(placed), [[Stored { number: 5 }], [repeated]]);
}

pub(crate) fn numbers_of_deliveries_are_never_used_twice(database: &dyn Database) {
    let bob = ("bob", 2);
    let mut store = with_devices(database, &[bob]);
    for (after, id, number) in [(0, 1, 1), (0, 2, 2), (9, 3, 10), (3, 4, 11)] {
        let placed = store.post(after, &[envelope("alice", id, &[bob], 10)]).unwrap();
        assert_eq!(headers(placed), [[Stored { number }]]);
    }
    assert_eq!(acknowledge(&mut *store, bob, &[11]), 1);
    assert!(!store.expire_mail(1_000).unwrap());
    drop(store);
    let mut store = database.open();
    assert_eq!(post(&mut *store, &envelope("alice", 5, &[bob], 10)), [Stored { number: 12 }]);
    assert_eq!(numbers(&mut *store, bob), [12]);
}

pub(crate) fn mail_comes_in_pages_in_order(database: &dyn Database) {
    let (bob, other) = (("bob", 2), ("bob", 3));
    let mut store = with_devices(database, &[bob, other]);
    for id in 0..6 {
        let to = if id % 2 == 0 { vec![bob] } else { vec![other, bob] };
        post(&mut *store, &envelope("alice", id, &to, 100));
    }
    let all = numbers(&mut *store, bob);
    assert_eq!(all, [1, 3, 4, 6, 7, 9]);
    let size = waiting(&mut *store, bob)[0].envelope.len();
    for (after, max_bytes, expected, next_bytes) in [
        (0, 2 * size, &all[..2], Some(size)),
        (0, 3 * size - 1, &all[..2], Some(size)),
        (3, 2 * size, &all[2..4], Some(size)),
        (5, 9 * size, &all[3..], None),
        (0, size - 1, &[], Some(size)),
        (9, size, &[], None),
        (9, 0, &[], None),
    ] {
        let page = store.waiting_mail(&MailQuery { after, max_bytes, ..query(bob) }).unwrap();
        let numbers: Vec<u64> = page.mail.iter().map(|mail| mail.number).collect();
        assert_eq!((&numbers[..], page.next_bytes), (expected, next_bytes), "{after} {max_bytes}");
    }
    let later = Arc::new(NewEnvelope { time_ms: 1_001, ..(*envelope("a", 9, &[bob], 1)).clone() });
    post(&mut *store, &later);
    let page = store.waiting_mail(&MailQuery { expired_ms: 1_000, ..query(bob) }).unwrap();
    assert_eq!(page.mail.iter().map(|mail| mail.number).collect::<Vec<_>>(), [10]);
}

pub(crate) fn acknowledged_envelope_is_deleted(database: &dyn Database) {
    let devices = [("alice", 1), ("bob", 2)];
    let mut store = with_devices(database, &devices);
    assert_eq!(store.usage().unwrap(), MailboxUsage::default());
    post(&mut *store, &envelope("carol", 1, &devices, 100));
    post(&mut *store, &envelope("carol", 2, &devices, 100));
    let MailboxUsage { deliveries, bytes } = store.usage().unwrap();
    assert!(deliveries == 4 && bytes > 400, "{deliveries} of {bytes} bytes");
    let [alice, bob] = devices;
    assert_eq!(acknowledge(&mut *store, alice, &[]), 0);
    assert_eq!(acknowledge(&mut *store, alice, &[0, 2, 4, 99, u64::MAX]), 0);
    assert_eq!(acknowledge(&mut *store, ("bob", 1), &[1, 2]), 0);
    let batch = [
        acknowledgement(alice, &[1, 1, 2]),
        acknowledgement(bob, &[1, 3]),
        acknowledgement(alice, &[1, 3]),
    ];
    assert_eq!(store.acknowledge(&batch).unwrap(), [1, 0, 1]);
    assert_eq!(numbers(&mut *store, alice), [0; 0]);
    assert_eq!((numbers(&mut *store, bob), database.sealed_bodies()), (vec![2, 4], 2));
    assert_eq!(acknowledge(&mut *store, bob, &[4]), 1);
    assert_eq!((numbers(&mut *store, bob), database.sealed_bodies()), (vec![2], 1));
    let left = store.usage().unwrap();
    assert!(left.deliveries == 1 && left.bytes < bytes / 3, "{left:?} of {bytes} bytes");
    drop(store);
    let mut store = database.open();
    assert_eq!((numbers(&mut *store, bob), numbers(&mut *store, alice)), (vec![2], vec![]));
}

pub(crate) fn envelopes_are_committed_together_or_not_at_all(database: &dyn Database) {
    let bob = ("bob", 2);
    let mut store = with_devices(database, &[bob]);
    // The time exceeds a signed column, so this envelope fails when its turn comes.
    let unstorable =
        NewEnvelope { time_ms: u64::MAX, ..(*envelope("alice", 2, &[bob], 9)).clone() };
    let batch = [envelope("alice", 1, &[bob], 9), Arc::new(unstorable)];
    assert!(store.post(0, &batch).is_err());
    assert_eq!((numbers(&mut *store, bob), database.sealed_bodies()), (vec![], 0));
    assert_eq!(post(&mut *store, &batch[0]), [Stored { number: 1 }]);
    assert!(store.post(0, &[]).unwrap().is_empty());
}

/// Fills a mailbox with as many envelopes as these senders may post.
fn fill(store: &mut dyn Store, to: Device, senders: Range<u64>) {
    for sender in senders {
        let sender = format!("sender{sender}");
        let some: Vec<_> =
            (0..MAX_WAITING_OF_SENDER).map(|id| envelope(&sender, id.into(), &[to], 1)).collect();
        let placed = store.post(0, &some).unwrap();
        let is_stored = |placed: &Vec<Placement>| matches!(placed[..], [Stored { .. }]);
        assert!(headers(placed).iter().all(is_stored), "{sender}");
    }
}

pub(crate) fn mailbox_has_room_for_so_many_envelopes(database: &dyn Database) {
    let (bob, other) = (("bob", 2), ("bob", 3));
    let mut store = with_devices(database, &[bob, other]);
    fill(&mut *store, bob, 0..1);
    let more = envelope("sender0", 1_000, &[bob, other], 1);
    let placed = post(&mut *store, &more);
    assert!(matches!(placed[..], [Refused(MailboxFull), Stored { .. }]), "one sender: {placed:?}");
    fill(&mut *store, bob, 1..MAX_WAITING_ENVELOPES / MAX_WAITING_OF_SENDER);
    assert_eq!(post(&mut *store, &envelope("alice", 1, &[bob], 1)), [Refused(MailboxFull)]);
    let first = waiting_first(&mut *store, bob);
    assert_eq!(acknowledge(&mut *store, bob, &[first]), 1);
    let placed = post(&mut *store, &envelope("alice", 1, &[bob], 1));
    assert!(matches!(placed[..], [Stored { .. }]), "{placed:?}");
    assert_eq!(post(&mut *store, &envelope("alice", 2, &[bob], 1)), [Refused(MailboxFull)]);
}

fn waiting_first(store: &mut dyn Store, device: Device) -> u64 {
    let page = store.waiting_mail(&MailQuery { max_bytes: 1_000, ..query(device) }).unwrap();
    page.mail[0].number
}

pub(crate) fn mailbox_has_room_for_so_many_bytes(database: &dyn Database) {
    let bob = ("bob", 2);
    let mut store = with_devices(database, &[bob]);
    let head = envelope("alice", 0, &[bob], 0).bytes_for(&header(bob));
    let body = 64 * 1024 - head;
    let count = MAX_WAITING_BYTES / (64 * 1024);
    for half in ["alice", "carol"] {
        let some: Vec<_> =
            (0..count / 2).map(|id| envelope(half, id.into(), &[bob], body)).collect();
        store.post(0, &some).unwrap();
    }
    assert_eq!(post(&mut *store, &envelope("dave", 1, &[bob], 1)), [Refused(MailboxFull)]);
    assert_eq!(acknowledge(&mut *store, bob, &[1]), 1);
    assert_eq!(post(&mut *store, &envelope("dave", 1, &[bob], body + 1)), [Refused(MailboxFull)]);
    let placed = post(&mut *store, &envelope("dave", 1, &[bob], body));
    assert!(matches!(placed[..], [Stored { .. }]), "{placed:?}");
}

pub(crate) fn expired_mail_is_deleted_in_parts(database: &dyn Database) {
    let bob = ("bob", 2);
    let mut store = with_devices(database, &[bob]);
    fill(&mut *store, bob, 0..EXPIRED_AT_ONCE / MAX_WAITING_OF_SENDER + 1);
    let last = EXPIRED_AT_ONCE + MAX_WAITING_OF_SENDER;
    assert_eq!(acknowledge(&mut *store, bob, &[1, 2, last]), 3);
    let late = NewEnvelope { time_ms: 1_001, ..(*envelope("alice", 1, &[bob], 1)).clone() };
    post(&mut *store, &Arc::new(late));
    assert!(!store.expire_mail(999).unwrap());
    assert_eq!(database.sealed_bodies(), last - 3 + 1);
    let mut parts = 1;
    while store.expire_mail(1_000).unwrap() {
        parts += 1;
        assert!(parts < 9);
    }
    assert_eq!((numbers(&mut *store, bob), database.sealed_bodies()), (vec![last + 1], 1));
    let again = envelope("sender0", 0, &[bob], 1);
    assert_eq!(post(&mut *store, &again), [Stored { number: last + 2 }], "it is forgotten");
}

pub(crate) fn removed_key_takes_its_mail_along(database: &dyn Database) {
    let devices = [("alice", 1), ("alice", 2), ("bob", 1)];
    let mut store = with_devices(database, &devices);
    let stored = |store: &mut dyn Store, id| {
        let placed = post(store, &envelope("carol", id, &devices, 100));
        placed.iter().map(|placed| matches!(placed, Stored { .. })).collect::<Vec<_>>()
    };
    let own = envelope("carol", 9, &devices[..1], 100);
    assert_eq!(stored(&mut *store, 1), [true, true, true]);
    post(&mut *store, &own);
    assert!(store.set_password(&alice(), "new", Some(&key(2))).unwrap());
    store.add_key(&alice(), &key(1), 2).unwrap();
    assert_eq!(numbers(&mut *store, devices[0]), [0; 0]);
    assert_eq!(database.sealed_bodies(), 1);
    assert_eq!(stored(&mut *store, 2), [false, true, true], "it has no prekey");
    publish(&mut *store, devices[0]);
    assert_eq!(stored(&mut *store, 3), [true, true, true]);
    assert!(database.open_beside_server().delete_account(&alice()).unwrap());
    assert_eq!(database.sealed_bodies(), 3);
    assert_eq!(waiting(&mut *store, devices[2]).len(), 3);
    let bob_only = numbers(&mut *store, devices[2]);
    assert_eq!(acknowledge(&mut *store, devices[2], &bob_only), 3);
    assert_eq!(database.sealed_bodies(), 0);
    assert_eq!(post(&mut *store, &own), [Refused(UnknownUser)]);
}

pub(crate) fn evicted_key_takes_its_mail_along(database: &dyn Database) {
    let old = ("alice", 0);
    let mut store = with_devices(database, &[old]);
    assert_eq!(post(&mut *store, &envelope("carol", 1, &[old], 100)), [Stored { number: 1 }]);
    for seed in 1..=MAX_KEYS as u8 {
        assert_eq!(database.sealed_bodies(), 1);
        store.add_key(&alice(), &key(seed), 1_000 + u64::from(seed)).unwrap();
    }
    assert_eq!(database.sealed_bodies(), 0);
    assert_eq!(numbers(&mut *store, old), [0; 0]);
    assert_eq!(store.prekeys(&alice()).unwrap(), Some(AccountKeys::default()));
    assert_eq!(post(&mut *store, &envelope("carol", 2, &[old], 100)), [Refused(NoDevice)]);
}

/// There may be a million acknowledged deliveries, too many for the removal's transaction.
pub(crate) fn acknowledged_mail_of_a_removed_key_expires_in_parts(database: &dyn Database) {
    let (old, other) = (("alice", 1), ("bob", 2));
    let mut store = with_devices(database, &[other, old]);
    let senders = EXPIRED_AT_ONCE / MAX_WAITING_OF_SENDER;
    let mut acknowledged = 0;
    for round in 0..=senders {
        fill(&mut *store, old, round..round + 1);
        let numbers = numbers(&mut *store, old);
        acknowledged += acknowledge(&mut *store, old, &numbers);
    }
    let last = EXPIRED_AT_ONCE + MAX_WAITING_OF_SENDER;
    assert_eq!(acknowledged, last);
    let unread = envelope("carol", 1, &[old, other], 100);
    post(&mut *store, &unread);
    assert!(store.set_password(&alice(), "new", None).unwrap());
    // The removal deletes only what waits for the device.
    assert_eq!((database.deliveries(), database.sealed_bodies()), (last + 1, 1));
    // A device that follows inherits nothing.
    let new = ("alice", 3);
    publish(&mut *store, new);
    assert_eq!(numbers(&mut *store, new), [0; 0]);
    let repeated = envelope("sender0", 0, &[new], 1);
    assert!(matches!(post(&mut *store, &repeated)[..], [Stored { .. }]));
    // Nor does the removed one when its key comes back.
    publish(&mut *store, old);
    assert_eq!(numbers(&mut *store, old), [0; 0]);
    assert!(matches!(post(&mut *store, &unread)[..], [Stored { .. }, Repeated { .. }]));
    assert!(store.expire_mail(1_000).unwrap(), "the first part is not all");
    assert_eq!(database.deliveries(), last + 3 - EXPIRED_AT_ONCE);
    while store.expire_mail(1_000).unwrap() {}
    assert_eq!((database.deliveries(), database.sealed_bodies()), (0, 0));
}

pub(crate) fn largest_crowd_gets_an_envelope(database: &dyn Database) {
    let mut store = with_accounts(database);
    let names: Vec<Username> = (0..5).map(|n| name(&format!("user{n}"))).collect();
    let mut devices = Vec::new();
    for username in &names {
        store.create_account(username, "phc", 1).unwrap();
        for seed in 0..MAX_KEYS as u8 {
            devices.push((username.as_str(), seed));
            publish(&mut *store, (username.as_str(), seed));
        }
    }
    let placed = post(&mut *store, &envelope("alice", 1, &devices, 30_000));
    let expected: Vec<Placement> = (1..=160).map(|number| Stored { number }).collect();
    assert_eq!(placed, expected);
    assert_eq!(numbers(&mut *store, devices[159]), [160]);
    assert_eq!(store.prekeys(&names[4]).unwrap().unwrap().devices.len(), MAX_KEYS);
}

pub(crate) fn envelope_is_there_although_nobody_closed_the_store(database: &dyn Database) {
    let bob = ("bob", 2);
    let mut store = with_devices(database, &[bob]);
    post(&mut *store, &envelope("alice", 1, &[bob], 100));
    std::mem::forget(store);
    let mut store = database.open();
    assert_eq!(numbers(&mut *store, bob), [1]);
    assert_eq!(post(&mut *store, &envelope("alice", 2, &[bob], 100)), [Stored { number: 2 }]);
}
