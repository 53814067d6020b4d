//! The mailbox in MySQL and MariaDB when answers of the database are lost.

use std::time::{Duration, Instant};

use letschat_server::store::StoreError;
use letschat_server::store::mailbox::Mailbox as _;
use letschat_server::store::mailbox::Placement::{Repeated, Stored};
use letschat_server::store::mysql::Mysql;

use crate::Database as _;
use crate::half_open::Relay;
use crate::mailbox::{envelope, numbers, with_devices};
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
    assert_eq!(placed, [[Repeated { time_ms: 1_000 }], [Stored { number: 2 }]]);
    assert_eq!(numbers(&mut store, bob), [1, 2]);
}
