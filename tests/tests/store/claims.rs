//! Names that belong to the first key, as in a classroom.

use std::sync::Barrier;
use std::thread;

use letschat_server::store::admin::NewAccount;
use letschat_server::store::password::{Hasher, is_current};
use letschat_server::store::{KEY_USE_MS, Verdict};

use super::{Database, alice, bob, key, name, with_accounts};

pub(super) fn new_name_belongs_to_the_key_that_claims_it(database: &dyn Database) {
    let mut store = database.open();
    assert_eq!(store.claim_name(&name("1"), &key(1), 1).unwrap(), Verdict::Accepted);
    drop(store);
    let mut store = database.open();
    assert_eq!(store.claim_name(&name("1"), &key(2), 2).unwrap(), Verdict::Refused);
    assert_eq!(store.check_key(&name("1"), &key(2), 2).unwrap(), Verdict::Refused);
    for now_ms in [2, 2 + KEY_USE_MS] {
        assert_eq!(store.claim_name(&name("1"), &key(1), now_ms).unwrap(), Verdict::Accepted);
        assert_eq!(store.check_key(&name("1"), &key(1), now_ms).unwrap(), Verdict::Accepted);
    }
    assert_eq!(store.claim_name(&name("2"), &key(2), 2).unwrap(), Verdict::Accepted);
}

pub(super) fn claim_of_an_account_changes_nothing(database: &dyn Database) {
    let mut store = with_accounts(database);
    assert_eq!(store.claim_name(&alice(), &key(1), 1).unwrap(), Verdict::Refused);
    assert_eq!(store.account(&alice()).unwrap().unwrap().phc, "phc");
    store.add_key(&bob(), &key(1), 1).unwrap();
    database.open_beside_server().set_banned(&bob(), true).unwrap();
    assert_eq!(store.claim_name(&bob(), &key(1), 2).unwrap(), Verdict::Banned);
    assert_eq!(store.claim_name(&bob(), &key(2), 2).unwrap(), Verdict::Refused);
}

pub(super) fn no_password_is_right_for_a_claimed_name(database: &dyn Database) {
    let mut store = database.open();
    store.claim_name(&name("1"), &key(1), 1).unwrap();
    let phc = store.account(&name("1")).unwrap().unwrap().phc;
    for password in ["", "correct horse", &phc] {
        assert_eq!(Hasher::default().verify(password, Some(&phc)), Ok(false), "{password:?}");
    }
    // An export can be imported.
    assert!(is_current(&phc), "{phc}");
}

/// A server is the only one to claim names, but an operator may import accounts meanwhile.
pub(super) fn name_has_one_owner_however_many_want_it(database: &dyn Database) {
    let mut store = database.open();
    let names: Vec<_> = (0..20).map(|number| name(&number.to_string())).collect();
    let begin = Barrier::new(2);
    let claimed: Vec<bool> = thread::scope(|scope| {
        let claims = scope.spawn(|| {
            begin.wait();
            let mut claim = |name| store.claim_name(name, &key(1), 1).unwrap();
            names.iter().map(|name| claim(name) == Verdict::Accepted).collect()
        });
        let mut operator = database.open_beside_server();
        begin.wait();
        for username in names.iter().rev() {
            let account = NewAccount { username: username.clone(), phc: "imported".into() };
            operator.import_accounts(&[account], 1).unwrap();
        }
        claims.join().unwrap()
    });
    for (name, is_claimed) in names.iter().zip(claimed) {
        let account = store.account(name).unwrap().unwrap();
        assert_eq!(account.phc != "imported", is_claimed, "{name}");
        let verdict = store.check_key(name, &key(1), 2).unwrap();
        assert_eq!(verdict == Verdict::Accepted, is_claimed, "{name}");
    }
}
