//! The behaviour of every available database, and tests of single kinds.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod broadcast_log;
mod claims;
mod cluster;
mod devices;
mod half_open;
mod imports;
mod keys;
mod mailbox;
mod mysql_mail;
mod mysql_schema;
mod sqlite_file;
mod sqlite_watched;

use std::sync::Barrier;
use std::thread;

use letschat_protocol::identity::{Identity, PublicKey};
use letschat_protocol::username::Username;
use letschat_server::settings::StoreLocation;
use letschat_server::store::admin::{Absent, AccountAdmin, AccountSummary, open_beside_server};
use letschat_server::store::mysql::Mysql;
use letschat_server::store::sqlite::Sqlite;
use letschat_server::store::{
    Account, Created, NewBroadcast, Store, StoreError, StoredEntry, Verdict,
};

use broadcast_log::*;
use claims::*;
use devices::*;
use imports::*;
use keys::*;
use mailbox::*;
use mysql_schema::MysqlSchema;
use sqlite_file::SqliteFile;

/// An empty database that can be opened repeatedly.
trait Database {
    fn open(&self) -> Box<dyn Store>;

    fn location(&self) -> StoreLocation;

    /// Returns the number of sealed bodies of envelopes.
    fn sealed_bodies(&self) -> u64;

    /// Returns the number of deliveries, acknowledged ones included.
    fn deliveries(&self) -> u64;

    /// Opens it as the operator's tool does, in parallel to a server.
    fn open_beside_server(&self) -> Box<dyn AccountAdmin> {
        open_beside_server(&self.location(), Absent::Refuse).unwrap()
    }
}

/// Declares a test for each behaviour, with a new database of this kind.
macro_rules! behaves_as_a_store {
    ($kind:ident, $new:expr) => {
        behaves_as_a_store!($kind, $new =>
            a_name_belongs_to_whoever_came_first,
            an_account_is_found_as_it_was_made,
            a_key_opens_its_own_account_only,
            a_known_key_is_added_once,
            a_key_needs_an_account,
            the_key_that_was_not_used_for_longest_gives_way,
            using_a_key_keeps_it,
            a_use_soon_after_the_last_is_not_written_down,
            last_use_is_shown_within_a_minute,
            last_use_follows_a_clock_that_was_set_back,
            adding_a_key_again_keeps_it,
            a_new_key_stays_even_if_the_clock_went_back,
            one_accounts_keys_do_not_crowd_out_anothers,
            a_banned_account_is_told_so_only_with_its_key,
            a_new_password_forgets_all_keys_but_the_one_to_keep,
            operators_change_meanwhile_counts_for_a_right_password,
            a_ban_can_be_lifted,
            a_deleted_account_leaves_no_keys_behind,
            nobody_is_neither_banned_nor_deleted_nor_given_a_password,
            accounts_are_shown_in_pages_in_the_order_of_their_names,
            an_account_shows_when_it_was_made_and_its_keys_were_used,
            the_operator_and_the_server_write_side_by_side,
            the_operator_makes_a_database_only_when_told,
            a_database_that_the_operator_made_is_good_for_a_server,
            several_may_make_the_same_database_at_once,
            a_new_log_is_empty_and_has_a_name,
            the_log_keeps_its_name_and_entries,
            all_bits_of_a_boots_id_are_kept,
            the_counter_outlives_its_broadcasts,
            a_number_is_never_used_twice,
            entries_are_committed_all_or_none,
            numbers_may_have_gaps,
            appending_nothing_changes_nothing,
            a_log_can_be_appended_to_before_it_was_loaded,
            forgetting_is_up_to_and_including,
            what_was_committed_is_there_although_nobody_closed_the_store,
            new_name_belongs_to_the_key_that_claims_it,
            claim_of_an_account_changes_nothing,
            no_password_is_right_for_a_claimed_name,
            name_has_one_owner_however_many_want_it,
            import_adds_a_crowd_beside_a_server,
            import_with_a_taken_name_adds_nobody,
            credentials_come_in_pages_with_their_bans,
            prekey_is_told_with_its_device,
            envelope_waits_as_it_was_posted,
            each_header_has_its_own_outcome,
            repeated_envelope_is_stored_once,
            numbers_of_deliveries_are_never_used_twice,
            mail_comes_in_pages_in_order,
            acknowledged_envelope_is_deleted,
            envelopes_are_committed_together_or_not_at_all,
            mailbox_has_room_for_so_many_envelopes,
            mailbox_has_room_for_so_many_bytes,
            expired_mail_is_deleted_in_parts,
            removed_key_takes_its_mail_along,
            evicted_key_takes_its_mail_along,
            acknowledged_mail_of_a_removed_key_expires_in_parts,
            largest_crowd_gets_an_envelope,
            envelope_is_there_although_nobody_closed_the_store,
            device_list_is_kept_as_its_devices_signed_it,
            envelopes_go_to_listed_devices_only,
            removed_device_loses_its_key_and_its_mail,
            recovery_begins_a_list_and_ends_all_other_devices,
            listed_device_outlives_a_crowd_of_unlisted_ones,
        );
    };
    ($kind:ident, $new:expr => $($behaviour:ident,)+) => {
        mod $kind {
            use super::*;
            $(#[test] fn $behaviour() { super::$behaviour(&$new); })+
        }
    };
}

behaves_as_a_store!(sqlite, SqliteFile::new());
behaves_as_a_store!(mysql, MysqlSchema::new());

fn a_name_belongs_to_whoever_came_first(database: &dyn Database) {
    let mut store = database.open();
    assert_eq!(store.create_account(&alice(), "first", 1).unwrap(), Created::New);
    assert_eq!(store.create_account(&alice(), "second", 2).unwrap(), Created::Taken);
    assert_eq!(store.account(&alice()).unwrap().unwrap().phc, "first");
    assert_eq!(store.create_account(&bob(), "third", 3).unwrap(), Created::New);
}

fn an_account_is_found_as_it_was_made(database: &dyn Database) {
    let mut store = database.open();
    let phc = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
    store.create_account(&alice(), phc, 1).unwrap();
    drop(store);
    let mut store = database.open();
    let expected = Account { phc: phc.into(), banned: false };
    assert_eq!(store.account(&alice()).unwrap(), Some(expected));
    assert_eq!(store.account(&bob()).unwrap(), None);
}

fn a_banned_account_is_told_so_only_with_its_key(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    assert!(database.open_beside_server().set_banned(&alice(), true).unwrap());
    assert!(store.account(&alice()).unwrap().unwrap().banned);
    assert_eq!(store.check_key(&alice(), &key(1), 2).unwrap(), Verdict::Banned);
    assert_eq!(store.check_key(&alice(), &key(2), 2).unwrap(), Verdict::Refused);
    assert!(!store.account(&bob()).unwrap().unwrap().banned);
}

fn a_new_password_forgets_all_keys_but_the_one_to_keep(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&bob(), &key(7), 1).unwrap();
    for (keep, left) in [(Some(key(1)), &[1][..]), (Some(key(9)), &[]), (None, &[])] {
        fill_with_keys(&mut *store, 0..3);
        assert!(store.set_password(&alice(), "new", keep.as_ref()).unwrap());
        assert_eq!(keys_of_alice(&mut *store, 0..10), left);
    }
    assert_eq!(store.account(&alice()).unwrap().unwrap().phc, "new");
    // Setting the same password again counts as a change.
    assert!(store.set_password(&alice(), "new", None).unwrap());
    assert_eq!(store.account(&bob()).unwrap().unwrap().phc, "phc");
    assert_eq!(store.check_key(&bob(), &key(7), 2).unwrap(), Verdict::Accepted);
}

fn operators_change_meanwhile_counts_for_a_right_password(database: &dyn Database) {
    let mut store = with_accounts(database);
    let mut operator = database.open_beside_server();
    let compared = store.account(&alice()).unwrap().unwrap().phc;
    assert!(operator.set_password(&alice(), "reset", None).unwrap());
    assert_eq!(store.admit(&alice(), &compared, Some(&key(1)), 1).unwrap(), Verdict::Refused);
    let replaced = store.replace_password(&alice(), &compared, "mine", Some(&key(1)));
    assert_eq!(replaced.unwrap(), Verdict::Refused);
    assert_eq!(store.account(&alice()).unwrap().unwrap().phc, "reset");
    assert_eq!(keys_of_alice(&mut *store, 0..10), [0u8; 0]);

    assert_eq!(store.admit(&alice(), "reset", Some(&key(1)), 1).unwrap(), Verdict::Accepted);
    assert_eq!(keys_of_alice(&mut *store, 0..10), [1]);
    let replaced = store.replace_password(&alice(), "reset", "mine", Some(&key(1)));
    assert_eq!(replaced.unwrap(), Verdict::Accepted);
    assert_eq!(keys_of_alice(&mut *store, 0..10), [1]);

    assert!(operator.set_banned(&alice(), true).unwrap());
    assert_eq!(store.admit(&alice(), "mine", Some(&key(2)), 2).unwrap(), Verdict::Banned);
    let replaced = store.replace_password(&alice(), "mine", "other", None);
    assert_eq!(replaced.unwrap(), Verdict::Banned);
    assert_eq!(store.account(&alice()).unwrap().unwrap().phc, "mine");
    assert!(operator.delete_account(&alice()).unwrap());
    assert_eq!(store.admit(&alice(), "mine", None, 3).unwrap(), Verdict::Refused);
}

fn a_ban_can_be_lifted(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    let mut operator = database.open_beside_server();
    for (banned, verdict) in [
        (true, Verdict::Banned),
        (true, Verdict::Banned),
        (false, Verdict::Accepted),
        (false, Verdict::Accepted),
    ] {
        assert!(operator.set_banned(&alice(), banned).unwrap());
        assert_eq!(store.account(&alice()).unwrap().unwrap().banned, banned);
        assert_eq!(store.check_key(&alice(), &key(1), 2).unwrap(), verdict);
    }
}

fn a_deleted_account_leaves_no_keys_behind(database: &dyn Database) {
    let mut store = with_accounts(database);
    for username in [alice(), bob()] {
        store.add_key(&username, &key(1), 1).unwrap();
    }
    assert!(database.open_beside_server().delete_account(&alice()).unwrap());
    assert_eq!(store.account(&alice()).unwrap(), None);
    assert_eq!(store.create_account(&alice(), "phc", 2).unwrap(), Created::New);
    assert_eq!(store.check_key(&alice(), &key(1), 3).unwrap(), Verdict::Refused);
    assert_eq!(store.check_key(&bob(), &key(1), 3).unwrap(), Verdict::Accepted);
}

fn nobody_is_neither_banned_nor_deleted_nor_given_a_password(database: &dyn Database) {
    let mut store = with_accounts(database);
    let nobody = name("nobody");
    let mut operator = database.open_beside_server();
    assert!(!operator.set_banned(&nobody, true).unwrap());
    assert!(!operator.delete_account(&nobody).unwrap());
    assert!(!operator.set_password(&nobody, "phc", None).unwrap());
    assert_eq!(store.account(&nobody).unwrap(), None);
}

fn accounts_are_shown_in_pages_in_the_order_of_their_names(database: &dyn Database) {
    let mut store = database.open();
    assert_eq!(database.open_beside_server().accounts_after(None, 9).unwrap(), []);
    for username in ["bob", "al", "alice", "9z", "0z", "al.ice", "zoe", "al-ice"] {
        store.create_account(&name(username), "phc", 1).unwrap();
    }
    let mut operator = database.open_beside_server();
    let mut page = |after: Option<&str>| -> Vec<String> {
        let page = operator.accounts_after(after.map(name).as_ref(), 3).unwrap();
        page.into_iter().map(|account| account.username.to_string()).collect()
    };
    assert_eq!(page(None), ["0z", "9z", "al"]);
    assert_eq!(page(Some("al")), ["al-ice", "al.ice", "alice"]);
    assert_eq!(page(Some("alice")), ["bob", "zoe"]);
    assert_eq!(page(Some("zoe")), [""; 0]);
}

fn an_account_shows_when_it_was_made_and_its_keys_were_used(database: &dyn Database) {
    let mut store = database.open();
    store.create_account(&alice(), "phc", 100).unwrap();
    store.create_account(&bob(), "phc", 200).unwrap();
    for (seed, used_ms) in [(1, 900), (2, 800)] {
        store.add_key(&bob(), &key(seed), used_ms).unwrap();
    }
    let mut operator = database.open_beside_server();
    operator.set_banned(&bob(), true).unwrap();
    let of_alice = AccountSummary {
        username: alice(),
        created_ms: 100,
        banned: false,
        keys: 0,
        used_ms: None,
    };
    let of_bob = AccountSummary {
        username: bob(),
        created_ms: 200,
        banned: true,
        keys: 2,
        used_ms: Some(900),
    };
    assert_eq!(operator.accounts_after(None, 9).unwrap(), [of_alice, of_bob]);
}

fn the_operator_and_the_server_write_side_by_side(database: &dyn Database) {
    let mut store = with_accounts(database);
    let mut operator = database.open_beside_server();
    for number in 1..=20 {
        store.append(0, &[broadcast(number)]).unwrap();
        operator.set_banned(&alice(), number % 2 == 0).unwrap();
        store.add_key(&bob(), &key(1), number).unwrap();
        operator.create_account(&name(&format!("guest{number}")), "phc", number).unwrap();
    }
    assert_eq!(store.load_log().unwrap().head, 20);
    assert!(store.account(&name("guest20")).unwrap().is_some());
    assert_eq!(operator.accounts_after(None, 99).unwrap().len(), 22);
}

fn the_operator_makes_a_database_only_when_told(database: &dyn Database) {
    let refused = || open_beside_server(&database.location(), Absent::Refuse).err().unwrap();
    for _ in 0..2 {
        let error = refused();
        assert!(matches!(error, StoreError::NotReady(_)), "{error:?}");
    }
    open_beside_server(&database.location(), Absent::Make).unwrap();
    database.open_beside_server();
}

fn a_database_that_the_operator_made_is_good_for_a_server(database: &dyn Database) {
    let mut operator = open_beside_server(&database.location(), Absent::Make).unwrap();
    operator.create_account(&alice(), "phc", 1).unwrap();
    // The operator's store is still open, and must not keep a server out.
    let mut store = server_on(&database.location());
    assert_eq!(store.account(&alice()).unwrap().unwrap().phc, "phc");
    store.append(0, &[broadcast(1)]).unwrap();
    assert!(operator.set_banned(&alice(), true).unwrap());
}

fn several_may_make_the_same_database_at_once(database: &dyn Database) {
    let location = database.location();
    let together = Barrier::new(4);
    let adds = |username: String| {
        together.wait();
        let mut operator = open_beside_server(&location, Absent::Make).unwrap();
        operator.create_account(&name(&username), "phc", 1).unwrap()
    };
    thread::scope(|scope| {
        let adds = &adds;
        let threads: Vec<_> =
            (0..4).map(|number| scope.spawn(move || adds(format!("guest{number}")))).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Created::New);
        }
    });
    assert_eq!(database.open_beside_server().accounts_after(None, 9).unwrap().len(), 4);
}

fn what_was_committed_is_there_although_nobody_closed_the_store(database: &dyn Database) {
    let mut store = with_accounts(database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    store.append(0, &[broadcast(1)]).unwrap();
    std::mem::forget(store);
    let mut store = database.open();
    assert_eq!(store.check_key(&alice(), &key(1), 2).unwrap(), Verdict::Accepted);
    assert_eq!(store.load_log().unwrap().entries, [entry(1)]);
    store.append(0, &[broadcast(2)]).unwrap();
}

/// Opens a store as a server does.
fn server_on(location: &StoreLocation) -> Box<dyn Store> {
    match location {
        StoreLocation::Sqlite(path) => Box::new(Sqlite::open(path).unwrap()),
        StoreLocation::Mysql(database) => Box::new(Mysql::open(database).unwrap()),
    }
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

fn alice() -> Username {
    name("alice")
}

fn bob() -> Username {
    name("bob")
}

fn key(seed: u8) -> PublicKey {
    Identity::from_seed(&[seed; 32]).public_key()
}

/// Returns a broadcast whose fields all differ, so that a mix-up shows.
fn broadcast(number: u64) -> NewBroadcast {
    NewBroadcast {
        sender: alice(),
        time_ms: 1_750_000_000_000 + number,
        text: format!("Grüße № {number} — it's \"quoted\"; 👋"),
        boot_ms: 5_000 + number,
        boot_id: u64::MAX - 7,
    }
}

/// Returns the same broadcast as stored under this number.
fn entry(number: u64) -> StoredEntry {
    broadcast(number).numbered(number)
}

fn with_accounts(database: &dyn Database) -> Box<dyn Store> {
    let mut store = database.open();
    for username in [alice(), bob()] {
        assert_eq!(store.create_account(&username, "phc", 1).unwrap(), Created::New);
    }
    store
}
