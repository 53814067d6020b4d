use super::*;

/// The rows 1 to this number, as SQL.
fn numbers(count: usize) -> String {
    format!("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})")
}

fn id_of(row: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&row.to_be_bytes());
    MessageId::from_bytes(bytes)
}

const ID: &str = "unhex(printf('%032x', n))";
const KEY: &str = "unhex(printf('%064x', n))";

#[test]
fn tables_are_read_up_to_their_limits() {
    let folder = Folder::with("");
    let row_counts = [
        (
            "outbox",
            reading::OUTBOX,
            format!("{ID}, 'bob', 'bob', NULL, n, 1, '', 'waiting', NULL, NULL"),
        ),
        ("received", reading::STREAMS, "zeroblob(32), 0, 'room' || n, n, x''".into()),
        ("held", reading::HELD, format!("{ID}, 'bob', zeroblob(32), 0, '', n, '', 1, 1, NULL")),
        ("receipts", reading::RECEIPTS, format!("{ID}, 'bob'")),
        (
            "files",
            reading::FILES,
            format!(
                "{ID}, 'bob', 'bob', zeroblob(32), '', 'a', zeroblob(40), n, 'offered', NULL, NULL, NULL"
            ),
        ),
        ("prekeys", reading::PREKEYS, format!("{KEY}, zeroblob(32), n, 1, NULL, NULL")),
    ];
    for (table, limit, columns) in row_counts {
        let numbers = numbers(limit.rows + 5);
        folder.execute(&format!("{numbers} INSERT INTO {table} SELECT n, {columns} FROM n"));
    }
    let mail = folder.read();
    let counts = [
        (mail.outbox.len(), 400_000),
        (mail.received.len(), 10_000),
        (mail.held.len(), 64),
        (mail.receipts.len(), 100_000),
        (mail.prekeys.len(), 32),
        (mail.files.len(), 1_024),
    ];
    assert!(counts.iter().all(|(read, expected)| read == expected), "{counts:?}");
    assert_eq!(mail.outbox.last().unwrap().id, id_of(400_000));
    assert_eq!(mail.received.last().unwrap().through, 10_000);
    assert_eq!(mail.held.last().unwrap().number, 64);
    assert_eq!(mail.receipts.last().unwrap().id, id_of(100_000));
    assert_eq!(mail.prekeys.last().unwrap().created_ms, 32);
}

#[test]
fn texts_of_the_outbox_are_read_up_to_96_mib() {
    let folder = Folder::with("");
    let text = "CAST(zeroblob(16384) AS TEXT)";
    folder.execute(&format!(
        "{} INSERT INTO outbox
             SELECT n, {ID}, 'bob', 'bob', NULL, n, 1, {text}, 'waiting', NULL, NULL FROM n",
        numbers(6_200)
    ));
    assert_eq!(folder.read().outbox.len(), 6_144);
}

#[test]
fn numbers_beyond_a_gap_are_read_up_to_their_limit() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let beyond: Vec<u64> = (5..5 + 1_030).collect();
    store.commit(&[MailChange::Received(received("alice", 3, &beyond))]).unwrap();
    drop(store);
    let expected = received("alice", 3, &beyond[..1_024]);
    assert_eq!(folder.read().received, [expected]);
}

#[test]
fn huge_value_is_refused_before_it_is_read() {
    let folder = Folder::with(
        "INSERT INTO held VALUES
             (1, zeroblob(16), 'bob', zeroblob(32), 0, '', 1, hex(zeroblob(90000)), 1, 1, NULL)",
    );
    let error = folder.error();
    assert!(matches!(error, MailStoreError::Content { .. }), "{error}");
}

#[test]
fn largest_record_of_a_stream_is_kept() {
    let folder = Folder::new();
    let (mut store, _) = folder.open();
    let beyond: Vec<u64> = (5..5 + 1_024).collect();
    let conversation = "x".repeat(64 * 1024);
    let record = received(&conversation, 3, &beyond);
    store.commit(&[MailChange::Received(record.clone())]).unwrap();
    drop(store);
    assert_eq!(folder.read().received, [record]);
}

#[test]
fn too_many_sequences_are_refused_since_none_may_repeat() {
    let folder = Folder::with("");
    let fill = |count| {
        format!("{} INSERT OR IGNORE INTO sequences SELECT 'a' || n, n FROM n", numbers(count))
    };
    folder.execute(&fill(100_000));
    assert_eq!(folder.read().sequences.len(), 100_000);
    folder.execute(&fill(100_001));
    let error = folder.error().to_string();
    assert!(error.contains("more than 100000 conversations"), "{error}");
}
