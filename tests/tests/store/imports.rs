//! Many accounts at once, as in an import and an export.

use letschat_protocol::username::Username;
use letschat_server::store::Created;
use letschat_server::store::admin::NewAccount;

use super::{Database, alice, name, with_accounts};

/// The number of accounts: above one statement or page, and not a multiple of it.
const CROWD: usize = 1_234;

fn crowd() -> Vec<NewAccount> {
    let account = |number| NewAccount {
        username: name(&format!("guest{number:04}")),
        phc: format!("$phc$of,{number}"),
    };
    (0..CROWD).map(account).collect()
}

pub(super) fn import_adds_a_crowd_beside_a_server(database: &dyn Database) {
    let mut store = database.open();
    let mut operator = database.open_beside_server();
    assert_eq!(operator.import_accounts(&crowd(), 77).unwrap(), Created::New);
    for account in [&crowd()[0], &crowd()[499], &crowd()[500], &crowd()[CROWD - 1]] {
        let stored = store.account(&account.username).unwrap().unwrap();
        assert_eq!((&stored.phc, stored.banned), (&account.phc, false));
    }
    assert_eq!(operator.accounts_after(None, 1).unwrap()[0].created_ms, 77);
    assert_eq!(operator.import_accounts(&[], 78).unwrap(), Created::New);
}

pub(super) fn import_with_a_taken_name_adds_nobody(database: &dyn Database) {
    let mut store = with_accounts(database);
    let mut operator = database.open_beside_server();
    let mut accounts = crowd();
    accounts.push(NewAccount { username: alice(), phc: "stolen".into() });
    assert_eq!(operator.import_accounts(&accounts, 1).unwrap(), Created::Taken);
    assert_eq!(store.account(&accounts[0].username).unwrap(), None);
    assert_eq!(store.account(&alice()).unwrap().unwrap().phc, "phc");
    // The connection still works.
    accounts.pop();
    assert_eq!(operator.import_accounts(&accounts, 1).unwrap(), Created::New);
    let twice = [accounts[0].clone(), accounts[0].clone()];
    assert_eq!(operator.import_accounts(&twice, 1).unwrap(), Created::Taken);
}

pub(super) fn credentials_come_in_pages_with_their_bans(database: &dyn Database) {
    let _store = with_accounts(database);
    let mut operator = database.open_beside_server();
    operator.set_banned(&alice(), true).unwrap();
    let mut page = |after: Option<&Username>| operator.credentials_after(after, 1).unwrap();
    let first = page(None);
    assert_eq!(first, [(NewAccount { username: alice(), phc: "phc".into() }, true)]);
    let second = page(Some(&alice()));
    assert_eq!(second, [(NewAccount { username: name("bob"), phc: "phc".into() }, false)]);
    assert_eq!(page(Some(&name("bob"))), []);
}
