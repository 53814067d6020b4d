//! The mailbox in MySQL and MariaDB when answers of the database are lost, and beside the operator's tool.

use std::time::{Duration, Instant};

use ::mysql::prelude::Queryable as _;
use letschat_protocol::dialogue::Outcome::NoDevice;
use letschat_server::store::StoreError;
use letschat_server::store::mailbox::Mailbox as _;
use letschat_server::store::mailbox::Placement::{Refused, Repeated, Stored};
use letschat_server::store::mysql::Mysql;

use crate::Database as _;
use crate::half_open::Relay;
use crate::mailbox::{envelope, headers, numbers, with_devices};
use crate::mysql_schema::{MysqlSchema, at};

#[test]
fn post_whose_commit_is_in_doubt_is_stored_once() {
    let (database, bob) = (MysqlSchema::new(), ("bob", 2));
    drop(with_devices(&database, &[bob]));
    let relay = Relay::start(database.server.address);
    let mut store = Mysql::open(&at(relay.address, &database.location)).unwrap();
    let [first, second] = [1, 2].map(|id| envelope("alice", id, &[bob], 100));
    relay.lose_the_answer_to(b"COMMIT");
    let refused = store.post(0, std::slice::from_ref(&first));
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    assert_eq!(database.sealed_bodies(), 1, "it is committed");
    let until = Instant::now() + Duration::from_secs(20);
    let placed = loop {
        match store.post(0, &[first.clone(), second.clone()]) {
            Ok(placed) => break placed,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::yield_now();
    };
    assert_eq!(headers(placed), [[Repeated { time_ms: 1_000 }], [Stored { number: 2 }]]);
    assert_eq!(numbers(&mut store, bob), [1, 2]);
}

#[test]
fn post_waits_for_the_removal_of_its_device() {
    let (database, bob) = (MysqlSchema::new(), ("bob", 2));
    let mut store = with_devices(&database, &[bob]);
    // Imitates the operator's tool, which has not committed yet.
    let mut operator = database.server.administrator();
    let name = &database.location.database;
    operator.query_drop("START TRANSACTION").unwrap();
    operator.query_drop(format!("DELETE FROM `{name}`.account_keys")).unwrap();
    let placed = std::thread::scope(|scope| {
        let post = scope.spawn(|| store.post(0, &[envelope("alice", 1, &[bob], 100)]));
        wait_for_lock(&database);
        operator.query_drop("COMMIT").unwrap();
        post.join().unwrap().unwrap()
    });
    assert_eq!(headers(placed), [[Refused(NoDevice)]]);
    assert_eq!((database.deliveries(), database.sealed_bodies()), (0, 0));
}

/// Waits until a connection waits for a lock. It may be another test's: then less is tested.
fn wait_for_lock(database: &MysqlSchema<'_>) {
    let mut administrator = database.server.administrator();
    let until = Instant::now() + Duration::from_secs(20);
    let select = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'";
    while administrator.query_first::<(String, u64), _>(select).unwrap().unwrap().1 == 0 {
        assert!(Instant::now() < until, "nobody waits");
        std::thread::yield_now();
    }
}
