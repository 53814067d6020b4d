use super::refusals::set_mode;
use super::*;
use letschat_protocol::peer::ChatId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

#[test]
fn new_store_is_empty_and_syncs_its_commits() {
    let folder = Folder::new();
    let (store, mail) = folder.open();
    assert_eq!(mail, StoredMail::default());
    let pragma = |name: &str| -> String {
        let query = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        store.connection.query_row(&query, [], |row| row.get(0)).unwrap()
    };
    let full = "2";
    assert_eq!([pragma("journal_mode"), pragma("synchronous")], ["wal", full]);
    assert_eq!([pragma("secure_delete"), pragma("locking_mode")], ["1", "exclusive"]);
}

#[test]
fn every_addition_is_there_in_the_next_run() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let chat = ChatId(u128::MAX - 1);
    let place = Place::Chat { chat, number: 3 };
    let outbox = vec![
        outgoing(7, "first"),
        Outgoing { file: Some(file_info(u64::from(u32::MAX))), ..outgoing(6, "photo.jpg") },
        Outgoing { place, ..outgoing(9, "h\u{e9}\0\n") },
        Outgoing { stage: Stage::Sent { until_ms: 8 }, ..outgoing(8, "") },
        Outgoing { stage: Stage::Kept { until_ms: 9 }, ..outgoing(2, "") },
        Outgoing { conversation: ConversationId::Everyone, ..outgoing(3, "to all") },
        Outgoing {
            conversation: ConversationId::Everyone,
            to: name("zoe"),
            ..outgoing(3, "to all")
        },
    ];
    let chat_stream = Stream { source: StreamSource::Chat(chat), ..stream("") };
    let received = vec![
        received("zoe", 4, &[6, 7, 9]),
        Received { stream: chat_stream.clone(), through: 1, beyond: vec![] },
        received("", 0, &[2]),
    ];
    let held = vec![
        Held { file: Some(file_info(0)), ..held(5, "photo.jpg") },
        Held { stream: chat_stream, ..held(4, "again") },
    ];
    let files = vec![
        StoredFile {
            audience: vec![name("bob"), name("zoe")],
            path: Some("/a/\u{e9}".into()),
            ..file(1, FileState::Offered)
        },
        StoredFile {
            part: Some(OsString::from_vec(vec![b'/', 0xff]).into()),
            ..file(2, FileState::Wanted)
        },
        file(3, FileState::Failed(FailureCode::FileChanged)),
    ];
    let receipts = vec![receipt(9), OwedReceipt { to: name("carol"), id: id(3) }];
    let changes: Vec<MailChange> =
        (outbox.iter().cloned().map(MailChange::Outgoing))
            .chain(received.iter().cloned().map(MailChange::Received))
            .chain(held.iter().cloned().map(MailChange::Held))
            .chain(receipts.iter().cloned().map(MailChange::Owed))
            .chain([MailChange::PeopleOwed(vec![name("zoe"), name("bob")])])
            .chain([1, 2].map(|seed| MailChange::List(name("bob"), Box::new(list(seed)))))
            .chain([1, 2].map(|nonce| MailChange::Group(Box::new(group(nonce)))))
            .chain([MailChange::Group(Box::new(StoredGroup { wish: None, ..group(2) }))])
            .chain(files.iter().cloned().map(|file| {
                MailChange::File(Box::new(StoredFile { path: None, part: None, ..file }))
            }))
            .chain(files.iter().cloned().map(|file| MailChange::File(Box::new(file))))
            .collect();
    store.commit(&changes).unwrap();
    let prekeys = vec![store.make_prekey(1, 2).unwrap(), store.make_prekey(3, 4).unwrap()];
    drop(store);
    let sequences = BTreeMap::from([("bob".into(), 8), ("everyone".into(), 3)]);
    let lists = BTreeMap::from([(name("bob"), list(2))]);
    let people = BTreeSet::from([name("bob"), name("zoe")]);
    let groups = [group(1), StoredGroup { wish: None, ..group(2) }];
    let groups = groups.map(|group| (group.roster.group(), group)).into();
    let expected = StoredMail {
        sequences,
        outbox,
        received,
        held,
        receipts,
        prekeys,
        lists,
        people,
        groups,
        files,
    };
    assert_eq!(folder.read(), expected);
    // Erasing at the end of a run keeps what is left.
    assert_eq!(folder.read(), expected);
}

#[test]
fn every_removal_is_there_in_the_next_run() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let (old, new) = (store.make_prekey(1, 2).unwrap(), store.make_prekey(3, 4).unwrap());
    let changes = [
        MailChange::Outgoing(outgoing(1, "one")),
        MailChange::Outgoing(outgoing(2, "two")),
        MailChange::Held(held(1, "one")),
        MailChange::Held(held(2, "two")),
        MailChange::Owed(receipt(1)),
        MailChange::Owed(receipt(2)),
        MailChange::Owed(receipt(3)),
        settled(1),
        MailChange::Released(id(1)),
        MailChange::Confirmed(vec![id(1), id(3)]),
        MailChange::Published { key: new.key, at_ms: 5, epoch: u64::MAX },
        MailChange::Forgotten(old.key),
        MailChange::List(name("bob"), Box::new(list(1))),
        MailChange::List(name("zoe"), Box::new(list(1))),
        MailChange::NoList(name("bob")),
        MailChange::PeopleOwed(vec![name("zoe"), name("bob")]),
        MailChange::PeopleTold(vec![name("zoe")]),
        MailChange::Group(Box::new(group(1))),
        MailChange::NoGroup(group(1).roster.group()),
        MailChange::File(Box::new(file(1, FileState::Saved))),
        MailChange::File(Box::new(file(2, FileState::Saved))),
        MailChange::NoFile(id(1)),
    ];
    store.commit(&changes).unwrap();
    drop(store);
    let expected = StoredMail {
        groups: BTreeMap::new(),
        files: vec![file(2, FileState::Saved)],
        lists: BTreeMap::from([(name("zoe"), list(1))]),
        people: BTreeSet::from([name("bob")]),
        sequences: BTreeMap::from([("bob".into(), 2)]),
        outbox: vec![outgoing(2, "two")],
        received: vec![],
        held: vec![held(2, "two")],
        receipts: vec![receipt(2)],
        prekeys: vec![StoredPrekey { published: Some((5, u64::MAX)), ..new }],
    };
    assert_eq!(folder.read(), expected);
}

#[test]
fn changes_can_be_repeated() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let key = store.make_prekey(1, 2).unwrap().key;
    let gone = store.make_prekey(3, 4).unwrap().key;
    let changes = [
        MailChange::Outgoing(outgoing(1, "one")),
        MailChange::Outgoing(outgoing(2, "two")),
        settled(1),
        MailChange::Received(received("alice", 4, &[6])),
        MailChange::Held(held(1, "one")),
        MailChange::Held(held(2, "two")),
        MailChange::Released(id(1)),
        MailChange::Owed(receipt(1)),
        MailChange::Owed(receipt(2)),
        MailChange::Confirmed(vec![id(1)]),
        MailChange::Published { key, at_ms: 5, epoch: 6 },
        MailChange::Forgotten(gone),
    ];
    store.commit(&changes).unwrap();
    let once = reading::read(&store.connection).unwrap();
    store.commit(&changes).unwrap();
    store.commit(&[]).unwrap();
    assert_eq!(reading::read(&store.connection).unwrap(), once);
}

#[test]
fn outbox_keeps_the_order_of_first_insertion() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    for number in [5, 3, 4] {
        store.commit(&[MailChange::Outgoing(outgoing(number, "text"))]).unwrap();
    }
    let sent = Outgoing { stage: Stage::Sent { until_ms: 1 }, ..outgoing(5, "") };
    store.commit(&[MailChange::Outgoing(sent.clone())]).unwrap();
    let changes = [settled(4), MailChange::Outgoing(outgoing(1, "last"))];
    store.commit(&changes).unwrap();
    drop(store);
    for _ in 0..2 {
        assert_eq!(folder.read().outbox, [sent.clone(), outgoing(3, "text"), outgoing(1, "last")]);
    }
}

#[test]
fn sequence_only_rises() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let last = |store: &MailStore| reading::read(&store.connection).unwrap().sequences["bob"];
    for (number, expected) in [(3, 3), (2, 3), (4, 4), (1 << 63, 1 << 63), (5, 1 << 63)] {
        store.commit(&[MailChange::Outgoing(outgoing(number, ""))]).unwrap();
        assert_eq!(last(&store), expected);
    }
    store.commit(&[settled(1 << 63)]).unwrap();
    assert_eq!(last(&store), 1 << 63);
}

#[test]
fn numbers_use_all_64_bits() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let max = u64::MAX;
    let record = received("alice", max - 9, &[max - 5, max]);
    let message = Held { number: max, sent_ms: max, time_ms: 1 << 63, ..held(1, "") };
    let stage = Stage::Kept { until_ms: max };
    let sent = Outgoing { place: Place::Sequence(max), time_ms: max, stage, ..outgoing(1, "") };
    let changes = [
        MailChange::Received(record.clone()),
        MailChange::Held(message.clone()),
        MailChange::Outgoing(sent.clone()),
    ];
    store.commit(&changes).unwrap();
    let prekey = store.make_prekey(max, max).unwrap();
    drop(store);
    let mail = folder.read();
    assert_eq!((mail.received, mail.held, mail.outbox), (vec![record], vec![message], vec![sent]));
    assert_eq!((mail.sequences["bob"], mail.prekeys), (max, vec![prekey]));
}

#[test]
fn record_of_a_stream_is_replaced() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let other = Stream { device: PublicKey::from_bytes([6; 32]), ..stream("alice") };
    let other = Received { stream: other, through: 1, beyond: vec![] };
    let changes = [
        MailChange::Received(received("alice", 4, &[6, 7])),
        MailChange::Received(other.clone()),
        MailChange::Received(received("alice", 7, &[])),
    ];
    store.commit(&changes).unwrap();
    drop(store);
    assert_eq!(folder.read().received, [received("alice", 7, &[]), other]);
}

#[test]
fn prekey_has_the_private_half_that_was_made() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let made = store.make_prekey(1, 2).unwrap();
    let private = *store.prekey(&made.key).unwrap().unwrap().private_bytes();
    drop(store);
    let (store, _) = folder.open();
    let prekey = store.prekey(&made.key).unwrap().unwrap();
    assert_eq!((prekey.public(), prekey.private_bytes()), (made.key, &private));
    assert!(store.prekey(&PrekeyPublic([1; 32])).unwrap().is_none());
}

#[test]
fn outbox_of_the_first_version_is_taken_over() {
    let folder = Folder::new();
    let connection = Connection::open(folder.path()).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    let row = "PRAGMA user_version = 1;
               INSERT INTO outbox VALUES (4, x'00000000000000000000000000000007', 'bob', NULL, 7,
                                          1700000000007, 'first', 'waiting', NULL)";
    connection.execute_batch(row).unwrap();
    drop(connection);
    set_mode(&folder.path(), 0o600);
    let (_, mail) = folder.open();
    let id = MessageId::from_bytes(7_u128.to_be_bytes());
    assert_eq!(mail.outbox, [Outgoing { id, ..outgoing(7, "first") }]);
}

#[test]
fn failed_commit_changes_nothing() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let key = store.make_prekey(1, 2).unwrap().key;
    store.commit(&[MailChange::Outgoing(outgoing(1, "one"))]).unwrap();
    let before = reading::read(&store.connection).unwrap();
    let trigger = "CREATE TEMP TRIGGER full BEFORE INSERT ON receipts
                   BEGIN SELECT raise(ABORT, 'no room'); END";
    store.connection.execute_batch(trigger).unwrap();
    let changes = [
        settled(1),
        MailChange::Outgoing(outgoing(2, "two")),
        MailChange::Forgotten(key),
        MailChange::Owed(receipt(1)),
    ];
    let error = store.commit(&changes).unwrap_err();
    let expected = format!("{} can't be used: no room", folder.path().display());
    assert_eq!(error.to_string(), expected);
    assert_eq!(reading::read(&store.connection).unwrap(), before);
    assert!(store.prekey(&key).unwrap().is_some());
    // The store is still usable.
    store.connection.execute_batch("DROP TRIGGER full").unwrap();
    store.commit(&changes).unwrap();
    assert_eq!(reading::read(&store.connection).unwrap().outbox, [outgoing(2, "two")]);
}

#[test]
fn commits_survive_a_kill() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let prekey = store.make_prekey(1, 2).unwrap();
    store.commit(&[MailChange::Outgoing(outgoing(1, "one"))]).unwrap();
    let first = folder.copy();
    store.commit(&[settled(1), MailChange::Held(held(2, "two"))]).unwrap();
    let second = folder.copy();
    let mail = first.read();
    assert_eq!((mail.outbox, mail.prekeys), (vec![outgoing(1, "one")], vec![prekey]));
    assert!(first.open().0.prekey(&prekey.key).unwrap().is_some());
    let mail = second.read();
    assert_eq!((mail.outbox, mail.held), (vec![], vec![held(2, "two")]));
}

#[test]
fn write_that_was_cut_short_loses_only_the_last_commit() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let log_length = || fs::metadata(folder.companion("-wal")).unwrap().len();
    store.commit(&[MailChange::Outgoing(outgoing(1, "one"))]).unwrap();
    let before = log_length();
    store.commit(&[MailChange::Outgoing(outgoing(2, "two"))]).unwrap();
    for length in (before..log_length()).step_by(500) {
        let copy = folder.copy();
        let log = fs::OpenOptions::new().write(true).open(copy.companion("-wal")).unwrap();
        log.set_len(length).unwrap();
        assert_eq!(copy.read().outbox, [outgoing(1, "one")], "{length}");
    }
}
