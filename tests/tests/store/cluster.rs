//! The tables that the servers of a cluster share.

use std::time::Instant;

use ::mysql::prelude::Queryable as _;
use letschat_protocol::dialogue::Closing;
use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::username::Username;
use letschat_server::store::admin::AccountAdmin;
use letschat_server::store::cluster::{
    Cluster, ENDED_KEPT_MS, Ending, Entered, Entrance, Known, News, ServerName, SessionId,
};
use letschat_server::store::mysql::Mysql;
use letschat_server::store::{Created, NewBroadcast, Store, StoreError, Verdict};

use letschat_tests::programs::PATIENCE;

use crate::half_open::Relay;
use crate::mysql_schema::{MysqlSchema, at};
use crate::{alice, bob, broadcast, entry, key};

/// Returns a database in which Alice and Bob have an account, each with keys of 1 to 4.
fn with_accounts() -> MysqlSchema<'static> {
    let database = MysqlSchema::new();
    let mut store = join(&database, "founder");
    for username in [alice(), bob()] {
        assert_eq!(store.create_account(&username, "phc", 1).unwrap(), Created::New);
        for seed in 1..=4 {
            store.add_key(&username, &key(seed), 1).unwrap();
        }
    }
    store.end().unwrap();
    database
}

/// Opens the database as a server of a cluster.
fn join(database: &MysqlSchema<'_>, name: &str) -> Mysql {
    Mysql::join(&database.location, server(name), &own_key()).unwrap()
}

fn own_key() -> Fingerprint {
    Fingerprint::of_spki(b"the key of all servers")
}

fn server(name: &str) -> ServerName {
    name.parse().unwrap()
}

fn entrance(username: Username, device: Option<PublicKey>) -> Entrance {
    Entrance {
        username,
        device,
        address: "192.0.2.1".parse().unwrap(),
        port: Some(4_401),
        is_listed: true,
        take: false,
        places: 2,
        now_ms: 1_750_000_000_000,
    }
}

/// Returns the number of a login that succeeds.
fn enter(store: &mut Mysql, username: Username, device: Option<PublicKey>) -> u64 {
    match store.enter(&entrance(username, device)).unwrap() {
        Entered::Here { number } => number,
        other => panic!("{other:?}"),
    }
}

fn news(store: &mut Mysql, sessions: u64) -> News {
    store.ask(&Known { sessions, ..Known::default() }, "").unwrap()
}

/// Returns the changed sessions: the name, the number and the server.
fn changes(news: &News) -> Vec<(String, u64, Option<String>)> {
    let changed = news.sessions.iter().map(|session| {
        let place = session.place.as_ref().map(|place| place.server.to_string());
        (session.id.username.to_string(), session.id.number, place)
    });
    changed.collect()
}

#[test]
fn login_at_one_server_takes_the_session_of_another() {
    let database = with_accounts();
    let (mut a, mut b) = (join(&database, "a"), join(&database, "b"));
    let first = enter(&mut a, alice(), Some(key(1)));
    let before = news(&mut b, 0);
    assert_eq!(before.servers, [(server("a"), String::new())]);
    assert_eq!(changes(&before), [("alice".into(), first, Some("a".into()))]);
    let second = enter(&mut b, alice(), Some(key(1)));
    assert!(second > first);
    assert_eq!(changes(&news(&mut a, first)), [("alice".into(), second, Some("b".into()))]);
    // The end of the first session is none of the second.
    let ending = |number| {
        let session = SessionId { username: alice(), device: Some(key(1)), number };
        Ending::Session { session, why: Some(Closing::Kicked) }
    };
    a.leave(&[ending(first)]).unwrap();
    assert_eq!(changes(&news(&mut a, 0)), [("alice".into(), second, Some("b".into()))]);
    b.leave(&[ending(second)]).unwrap();
    let after = news(&mut a, second);
    assert!(matches!(&changes(&after)[..], [(_, number, None)] if *number > second), "{after:?}");
    assert_eq!(after.sessions[0].why, Some(Closing::Kicked));
    let third = enter(&mut a, alice(), Some(key(1)));
    assert_eq!(news(&mut b, third - 1).sessions[0].why, None);
}

#[test]
fn device_whose_key_was_deleted_is_logged_in_nowhere() {
    let database = with_accounts();
    let (mut a, mut b) = (join(&database, "a"), join(&database, "b"));
    enter(&mut a, alice(), Some(key(1)));
    let last = enter(&mut b, alice(), Some(key(2)));
    let changed = a.replace_password(&alice(), "phc", "new", Some(&key(1))).unwrap();
    assert_eq!(changed, Verdict::Accepted);
    let keyless = |typed| Ending::Keyless { username: alice(), typed, why: Closing::Removed };
    a.leave(&[keyless(false)]).unwrap();
    let ended = news(&mut b, last);
    assert!(matches!(&changes(&ended)[..], [(name, _, None)] if name == "alice"), "{ended:?}");
    assert_eq!(ended.sessions[0].id.device, Some(key(2)));
    assert_eq!(ended.sessions[0].why, Some(Closing::Removed));
    // Its credentials were judged before that.
    assert_eq!(b.enter(&entrance(alice(), Some(key(2)))).unwrap(), Entered::Refused);
    // The session that is typed by hand has no key.
    let last = enter(&mut b, alice(), None);
    a.leave(&[keyless(false)]).unwrap();
    assert_eq!(changes(&news(&mut b, last)), []);
    a.leave(&[keyless(true)]).unwrap();
    assert_eq!(news(&mut b, last).sessions[0].id.device, None);
    assert!(b.set_banned(&bob(), true).unwrap());
    assert_eq!(a.enter(&entrance(bob(), None)).unwrap(), Entered::Banned);
    assert!(b.delete_account(&bob()).unwrap());
    assert_eq!(a.enter(&entrance(bob(), None)).unwrap(), Entered::Refused);
}

#[test]
fn places_and_sessions_typed_by_hand_count_over_all_servers() {
    let database = with_accounts();
    let (mut a, mut b) = (join(&database, "a"), join(&database, "b"));
    enter(&mut a, alice(), None);
    assert_eq!(b.enter(&entrance(alice(), None)).unwrap(), Entered::NeedsTake);
    let taken = Entrance { take: true, ..entrance(alice(), None) };
    assert!(matches!(b.enter(&taken).unwrap(), Entered::Here { .. }));
    enter(&mut a, bob(), Some(key(2)));
    assert_eq!(a.enter(&entrance(bob(), Some(key(3)))).unwrap(), Entered::Full);
    // A server that ends frees its places, and so does one that starts again.
    b.end().unwrap();
    enter(&mut a, bob(), Some(key(3)));
    let mut again = join(&database, "a");
    enter(&mut again, alice(), Some(key(1)));
    enter(&mut again, alice(), Some(key(4)));
}

#[test]
fn broadcasts_of_all_servers_have_one_order() {
    let database = MysqlSchema::new();
    let (mut a, mut b) = (join(&database, "a"), join(&database, "b"));
    a.load_log().unwrap();
    b.load_log().unwrap();
    assert_eq!(a.append_among_others(0, &[broadcast(1)]).unwrap(), [entry(1)]);
    let both = b.append_among_others(0, &[broadcast(2), broadcast(3)]).unwrap();
    assert_eq!(both, [entry(1), entry(2), entry(3)]);
    let known = Known { broadcasts: 1, ..Known::default() };
    assert_eq!(a.ask(&known, "").unwrap().broadcasts, [entry(2), entry(3)]);
}

#[test]
fn sender_at_two_servers_has_no_time_twice() {
    let database = MysqlSchema::new();
    let (mut a, mut b) = (join(&database, "a"), join(&database, "b"));
    a.load_log().unwrap();
    a.append_among_others(0, &[broadcast(5), broadcast(6)]).unwrap();
    let other = NewBroadcast { sender: "other".parse().unwrap(), ..broadcast(4) };
    let late = b.append_among_others(2, &[broadcast(4), broadcast(6), other.clone()]).unwrap();
    let times: Vec<u64> = late.iter().map(|entry| entry.broadcast.time_ms).collect();
    let last_ms = broadcast(6).time_ms;
    assert_eq!(times, [last_ms + 1, last_ms + 2, other.time_ms]);
}

#[test]
fn commit_whose_answer_is_lost_is_shown_once() {
    let database = MysqlSchema::new();
    let relay = Relay::start(database.server.address);
    let mut a =
        Mysql::join(&at(relay.address, &database.location), server("a"), &own_key()).unwrap();
    let mut b = join(&database, "b");
    a.load_log().unwrap();
    a.append_among_others(0, &[broadcast(1)]).unwrap();
    relay.lose_the_answer_to(b"COMMIT");
    // The sender is told that it may have been sent, and it was: everybody gets it once.
    a.append_among_others(1, &[broadcast(2)]).unwrap_err();
    assert_eq!(b.append_among_others(0, &[broadcast(3)]).unwrap(), [entry(1), entry(2), entry(3)]);
    let until = Instant::now() + PATIENCE;
    let news = loop {
        match a.ask(&Known { broadcasts: 1, ..Known::default() }, "") {
            Ok(news) => break news,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    };
    assert_eq!(news.broadcasts, [entry(2), entry(3)]);
}

#[test]
fn server_with_another_key_is_refused_while_others_are_there() {
    let database = MysqlSchema::new();
    let mut first = join(&database, "a");
    let other = Fingerprint::of_spki(b"another key");
    let refused = Mysql::join(&database.location, server("b"), &other).unwrap_err();
    assert!(refused.to_string().contains("copy server-key.pem"), "{refused}");
    first.end().unwrap();
    Mysql::join(&database.location, server("b"), &other).unwrap();
}

#[test]
fn sessions_of_a_server_that_is_gone_for_long_end_for_all() {
    let database = with_accounts();
    let mut a = join(&database, "a");
    let number = enter(&mut a, alice(), Some(key(1)));
    let mut b = join(&database, "b");
    let mut administrator = database.server.administrator();
    let table = format!("`{}`.servers", database.location.database);
    // A server that has been there for a while itself decides it.
    for update in [
        format!("UPDATE {table} SET seen_ms = seen_ms - {ENDED_KEPT_MS} - 1000 WHERE name = 'a'"),
        format!("UPDATE {table} SET since_ms = since_ms - 120000 WHERE name = 'b'"),
    ] {
        administrator.query_drop(update).unwrap();
    }
    let ended = changes(&news(&mut b, number));
    assert!(matches!(&ended[..], [(name, _, None)] if name == "alice"), "{ended:?}");
    // If it is there after all, its clients are told to log in again.
    let back = a.ask(&Known::default(), "").unwrap();
    assert!(back.has_all_sessions, "{back:?}");
    assert_eq!(back.sessions[0].why, Some(Closing::Recheck));
}

#[test]
fn messages_are_told_once_and_to_their_server() {
    let database = MysqlSchema::new();
    let (mut a, mut b) = (join(&database, "a"), join(&database, "b"));
    let messages = ["Grüße", "👋"].map(|text| (server("b"), text.to_owned()));
    a.tell(&messages).unwrap();
    assert_eq!(news(&mut a, 0).messages, [""; 0]);
    // An answer may be lost: a message is told until a later question shows that it was got.
    for _ in 0..2 {
        assert_eq!(news(&mut b, 0).messages, ["Grüße", "👋"]);
    }
    let known = Known { messages: news(&mut b, 0).last_message, ..Known::default() };
    b.tell(&[(server("b"), "more".to_owned())]).unwrap();
    assert_eq!(b.ask(&known, "").unwrap().messages, ["more"]);
    assert_eq!(news(&mut b, 0).messages, ["more"]);
}

#[test]
fn taken_name_and_server_without_a_cluster_are_refused() {
    let database = MysqlSchema::new();
    let mut first = join(&database, "a");
    let alone = Mysql::open(&database.location).unwrap_err();
    assert!(matches!(alone, StoreError::Cluster(_)), "{alone}");
    // The newer one has the name.
    let mut second = join(&database, "a");
    let refused = first.enter(&entrance(alice(), Some(key(1)))).unwrap_err();
    assert!(matches!(refused, StoreError::Cluster(_)), "{refused}");
    let news = first.ask(&Known::default(), "").unwrap();
    assert!(news.has_all_sessions && news.sessions.is_empty(), "{news:?}");
    second.end().unwrap();
    drop((first, second));
    let _alone = Mysql::open(&database.location).unwrap();
    let member = Mysql::join(&database.location, server("b"), &own_key()).unwrap_err();
    assert!(matches!(member, StoreError::InUse(_)), "{member}");
}
