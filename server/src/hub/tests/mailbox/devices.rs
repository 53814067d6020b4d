//! Device lists, and several sessions of one account.

use letschat_protocol::devices::{Change, ConsentStatement, DeviceEntry, DeviceList, DeviceName};
use letschat_protocol::dialogue::{AccountKeys, DeviceEntries, Secret};

use super::*;
use crate::hub::devices::MAX_SESSIONS;

fn account(name: &str) -> Username {
    name.parse().unwrap()
}

fn first(name: &str, seed: u8) -> DeviceEntry {
    let laptop = DeviceName::like("laptop");
    DeviceEntry::first(&identity(seed), (&server_key(), &account(name)), laptop, seed.into())
}

fn list(name: &str, entries: &[DeviceEntry]) -> DeviceList {
    let place = (&server_key(), &account(name));
    let mut list = None;
    for entry in entries {
        list = Some(DeviceList::after(list.as_ref(), place, entry).unwrap());
    }
    list.unwrap()
}

/// Returns the entry that adds a device, or removes it.
fn change(name: &str, list: &DeviceList, signer: u8, device: u8, adds: bool) -> DeviceEntry {
    let (server, account, phone) = (server_key(), account(name), DeviceName::like("phone"));
    let statement =
        ConsentStatement { server: &server, account: &account, chain: &list.chain(), name: &phone };
    let consent = identity(device).sign(&statement);
    let change = if adds { Change::Add { name: phone, consent } } else { Change::Remove };
    let key = identity(device).public_key();
    DeviceEntry::sign(&identity(signer), (&server, &account), Some(list), key, change)
}

impl Office {
    fn change(&mut self, from: ConnectionId, number: u64, entry: DeviceEntry) -> &'static str {
        let request = Request::Change { number, entry: Box::new(entry) };
        self.ask(from, &request).code.name()
    }

    /// Returns an account with two devices, both here. The second is not in the list.
    fn with_two(name: &str, seeds: (u8, u8)) -> (Office, ConnectionId, ConnectionId, DeviceList) {
        let mut office = Office::new();
        let (one, other) = (office.device(name, seeds.0), office.device(name, seeds.1));
        assert_eq!(office.change(one, 1, first(name, seeds.0)), "ok");
        office.effects.clear();
        (office, one, other, list(name, &[first(name, seeds.0)]))
    }

    fn notices(&mut self, to: ConnectionId) -> Vec<Notice> {
        notices(&self.effects, to)
    }
}

#[test]
fn each_device_of_an_account_has_a_session() {
    let mut office = Office::new();
    let (laptop, desktop) = (office.device("alice", 1), office.device("alice", 2));
    assert_eq!(office.server.hub.members(), 2);
    let listed = office.ask(laptop, &Request::List { after: None });
    assert_eq!(listed.lines.len(), 2, "{listed:?}");
    // The same device again replaces its own session alone.
    let again = office.device("alice", 1);
    assert!(office.server.hub.member_of(laptop).is_none());
    for id in [desktop, again] {
        assert!(office.server.hub.member_of(id).is_some());
    }
}

#[test]
fn account_takes_few_places() {
    let mut office = Office::new();
    let sessions: Vec<_> =
        (1..=MAX_SESSIONS as u8 + 2).map(|n| office.device("alice", n)).collect();
    assert_eq!(office.server.hub.members(), MAX_SESSIONS);
    let is_here = |id: &&ConnectionId| office.server.hub.member_of(**id).is_some();
    assert_eq!(sessions.iter().take_while(|id| !is_here(id)).count(), 2, "the first ones end");
}

#[test]
fn list_is_changed_in_turn_and_others_are_told() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    let added = change("alice", &one, 1, 2, true);
    assert_eq!(office.change(laptop, 2, added.clone()), "ok");
    assert_eq!(office.notices(desktop), [Notice::Devices { number: 2 }]);
    assert_eq!(office.notices(laptop), [], "its own reply says so");
    let late = change("alice", &one, 1, 3, true);
    assert_eq!(office.change(laptop, 2, late.clone()), "list_changed");
    assert_eq!(office.change(laptop, 3, late), "list_invalid");
    let reply = office.ask(desktop, &Request::Devices { name: "ALICE".into(), after: 0 });
    let entries = DeviceEntries::from_reply(&reply).unwrap();
    assert_eq!((entries.entries, entries.list.number), (vec![first("alice", 1), added.clone()], 2));
    let reply = office.ask(desktop, &Request::Devices { name: "alice".into(), after: 1 });
    assert_eq!(DeviceEntries::from_reply(&reply).unwrap().entries, [added]);
    for (name, code) in [("nobody", Code::UnknownUser), ("-", Code::UnknownUser)] {
        let request = Request::Devices { name: name.into(), after: 0 };
        assert_eq!(office.ask(desktop, &request).code, code);
    }
}

#[test]
fn change_is_signed_by_the_device_of_the_session() {
    let (mut office, _, desktop, one) = Office::with_two("alice", (1, 2));
    let of_laptop = change("alice", &one, 1, 3, true);
    assert_eq!(office.change(desktop, 2, of_laptop), "key_refused");
    let unlisted = change("alice", &one, 2, 2, true);
    assert_eq!(office.change(desktop, 2, unlisted), "list_invalid");
}

#[test]
fn wish_to_be_listed_reaches_the_other_devices() {
    let (mut office, laptop, desktop, _) = Office::with_two("alice", (1, 2));
    let consent = first("alice", 2).signature;
    let enrol = Request::Enrol { name: DeviceName::like("desktop"), consent };
    assert_eq!(office.ask(desktop, &enrol).code, Code::Ok);
    let is_enrolling = |notice: &Notice| matches!(notice, Notice::Enrolling(_));
    assert!(office.notices(laptop).iter().any(is_enrolling));
    assert!(!office.notices(desktop).iter().any(is_enrolling));
    // One that comes later is told too.
    let username = account("alice");
    office.store.add_key(&username, &identity(3).public_key(), 1).unwrap();
    let late = office.server.arrive("10.0.0.1");
    office.server.secure(late);
    office.server.say(late, &Request::Hello);
    office.server.key_login(late, "alice", 3, false);
    assert!(notices(&office.server.effects, late).iter().any(is_enrolling));
}

#[test]
fn removed_device_loses_its_session_its_key_and_its_mail() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    let bob = office.device("bob", 4);
    assert_eq!(office.change(laptop, 2, change("alice", &one, 1, 2, true)), "ok");
    office.has_prekey("alice", 1);
    office.has_prekey("alice", 2);
    let both = [("alice", 1), ("alice", 2)];
    assert_eq!(office.post(bob, 1, &both, 50), [Outcome::Pushed; 2]);
    let entries = [first("alice", 1), change("alice", &one, 1, 2, true)];
    let removal = change("alice", &list("alice", &entries), 1, 2, false);
    assert_eq!(office.change(laptop, 3, removal), "ok");
    assert_eq!(office.notices(desktop).last(), Some(&Notice::Closing(Closing::Removed)));
    assert_eq!(office.post(bob, 2, &both, 50), [Outcome::Pushed, Outcome::NoDevice]);
    let verdict = office.store.check_key(&account("alice"), &identity(2).public_key(), 1);
    assert_eq!(verdict.unwrap(), Verdict::Refused);
}

#[test]
fn envelope_that_leaves_out_a_listed_device_is_told_so() {
    let (mut office, laptop, _, one) = Office::with_two("alice", (1, 2));
    let bob = office.device("bob", 4);
    office.has_prekey("alice", 1);
    office.has_prekey("alice", 2);
    // An unlisted device gets nothing.
    assert_eq!(office.post(bob, 1, &[("alice", 2)], 50), [Outcome::NoDevice, Outcome::Missing]);
    assert_eq!(office.post(bob, 2, &[("alice", 1)], 50), [Outcome::Pushed]);
    assert_eq!(office.change(laptop, 2, change("alice", &one, 1, 2, true)), "ok");
    assert_eq!(office.post(bob, 3, &[("alice", 1)], 50), [Outcome::Pushed, Outcome::Missing]);
    let both = [("alice", 1), ("alice", 2)];
    assert_eq!(office.post(bob, 3, &both, 50), [Outcome::Kept, Outcome::Pushed]);
    // A device knows its own account's others.
    assert_eq!(office.post(laptop, 4, &[("alice", 2)], 50), [Outcome::Pushed]);
}

#[test]
fn keys_are_those_of_listed_devices() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    let bob = office.device("bob", 4);
    office.has_prekey("alice", 1);
    office.has_prekey("alice", 2);
    let keys = |office: &mut Office, from| {
        let reply = office.ask(from, &Request::Keys { name: "alice".into() });
        AccountKeys::from_reply(&reply).unwrap()
    };
    let shown = keys(&mut office, bob);
    assert_eq!((shown.devices.len(), shown.list), (1, one.reference()));
    assert_eq!(shown.devices[0].used_ms, None, "others do not see it");
    assert!(keys(&mut office, desktop).devices[0].used_ms.is_some());
    assert_eq!(office.change(laptop, 2, change("alice", &one, 1, 2, true)), "ok");
    let shown = keys(&mut office, bob);
    assert_eq!((shown.devices.len(), shown.list.number), (2, 2));
}

#[test]
fn request_reaches_the_device_that_was_used_last() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    assert_eq!(office.change(laptop, 2, change("alice", &one, 1, 2, true)), "ok");
    let bob = office.device("bob", 4);
    let reached = |office: &mut Office| {
        office.pass(1_000);
        let reply = office.ask(bob, &Request::Connect { who: "alice".into() });
        reply.field::<String>(3).unwrap()
    };
    let key = |seed| identity(seed).public_key().to_string();
    for (active, seed) in [(laptop, 1), (desktop, 2), (laptop, 1)] {
        office.pass(1_000);
        office.ask(active, &Request::Active);
        assert_eq!(reached(&mut office), key(seed));
    }
    // A copy that is shown on the other one does not count as its use.
    office.has_prekey("alice", 2);
    assert_eq!(office.post(laptop, 1, &[("alice", 2)], 50), [Outcome::Pushed]);
    office.pass(1_000);
    let numbers = office.numbers(desktop);
    office.ask(desktop, &acknowledge(&numbers));
    assert_eq!(reached(&mut office), key(1));
    // Neither do its receipt and what it tells the own devices, but a message does.
    office.has_prekey("bob", 4);
    office.post(desktop, 2, &[("bob", 4)], 50);
    office.post(desktop, 3, &[("alice", 1)], 50);
    assert_eq!(reached(&mut office), key(1));
    office.post(desktop, 4, &[("bob", 4)], 50);
    assert_eq!(reached(&mut office), key(2));
}

#[test]
fn device_is_located_by_its_key() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    assert_eq!(office.change(laptop, 2, change("alice", &one, 1, 2, true)), "ok");
    let bob = office.device("bob", 4);
    let locate = |office: &mut Office, name: &str, seed| {
        let key = identity(seed).public_key();
        office.ask(bob, &Request::Locate { name: name.into(), key })
    };
    for (seed, device) in [(1, laptop), (2, desktop)] {
        let reply = locate(&mut office, "alice", seed);
        assert_eq!(reply.field::<String>(3), Some(identity(seed).public_key().to_string()));
        let told = office.notices(device);
        assert!(
            matches!(&told[..], [Notice::Introduction(who)] if who.username.as_str() == "bob"),
            "{told:?}"
        );
    }
    // Asking for somebody who is away, for oneself or for nobody costs nothing.
    office.leaves(laptop);
    for (name, seed) in
        [("alice", 1), ("alice", 4), ("bob", 1), ("bob", 4), ("nobody", 1), ("-", 1)]
    {
        assert_eq!(locate(&mut office, name, seed).code, Code::NotHere, "{name} {seed}");
    }
}

#[test]
fn unlisted_device_is_reached_only_if_there_is_no_other() {
    let (mut office, laptop, desktop, _) = Office::with_two("alice", (1, 2));
    let (bob, key) = (office.device("bob", 4), |seed| identity(seed).public_key().to_string());
    let late = office.device("alice", 3);
    for active in [desktop, late] {
        office.pass(1_000);
        office.ask(active, &Request::Active);
        let reply = office.ask(bob, &Request::Connect { who: "alice".into() });
        assert_eq!(reply.field::<String>(3).unwrap(), key(1));
    }
    office.leaves(laptop);
    let reply = office.ask(bob, &Request::Connect { who: "alice".into() });
    assert_eq!(reply.field::<String>(3).unwrap(), key(3));
}

#[test]
fn login_of_an_unlisted_device_is_told_to_the_others() {
    let mut office = Office::new();
    let (laptop, early) = (office.device("alice", 1), office.device("alice", 2));
    let told = |office: &mut Office, to| {
        let told: Vec<_> = office
            .notices(to)
            .into_iter()
            .filter_map(|notice| match notice {
                Notice::Unlisted { device, .. } => Some(device),
                _ => None,
            })
            .collect();
        office.effects.clear();
        told
    };
    // One that was here before the list began.
    assert_eq!(office.change(laptop, 1, first("alice", 1)), "ok");
    assert_eq!(told(&mut office, laptop), [identity(2).public_key()]);
    // One that comes later, by key or by password.
    let username = account("alice");
    let key = identity(3).public_key();
    assert_eq!(office.store.admit(&username, "phc", Some(&key), 1).unwrap(), Verdict::Unlisted);
    let late = office.server.arrive("10.0.0.1");
    office.server.secure(late);
    office.server.say(late, &Request::Hello);
    office.server.key_login_with(late, "alice", 3, true, Verdict::Unlisted);
    assert_eq!(
        notices(&office.server.effects, laptop),
        [Notice::Unlisted { device: key, address: "10.0.0.1".parse().unwrap() }]
    );
    // A listed one that comes after them.
    office.leaves(laptop);
    let again = office.server.arrive("10.0.0.1");
    office.server.secure(again);
    office.server.say(again, &Request::Hello);
    office.server.key_login(again, "alice", 1, true);
    assert_eq!(notices(&office.server.effects, again).len(), 2);
    assert_eq!(notices(&office.server.effects, early), []);
}

#[test]
fn removal_without_an_answer_ends_the_session_all_the_same() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    assert_eq!(office.change(laptop, 2, change("alice", &one, 1, 2, true)), "ok");
    let entries = [first("alice", 1), change("alice", &one, 1, 2, true)];
    let removal = change("alice", &list("alice", &entries), 1, 2, false);
    let request = Request::Change { number: 3, entry: Box::new(removal) };
    office.put(Input::Line { connection: laptop, line: Ok(request.to_frame()) });
    office.fail();
    assert_eq!(office.reply(laptop).code, Code::StoreUnavailable);
    assert_eq!(office.notices(desktop).last(), Some(&Notice::Closing(Closing::Recheck)));
    assert!(office.server.hub.member_of(desktop).is_none());
}

#[test]
fn unlisted_device_ends_no_other_session_while_the_store_fails() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    let removal = change("alice", &one, 2, 1, false);
    let request = Request::Change { number: 2, entry: Box::new(removal) };
    office.put(Input::Line { connection: desktop, line: Ok(request.to_frame()) });
    office.fail();
    assert_eq!(office.reply(desktop).code, Code::StoreUnavailable);
    assert!(office.server.hub.member_of(laptop).is_some());
}

#[test]
fn unlisted_device_uses_up_no_ids_of_the_account() {
    let (mut office, laptop, desktop, _) = Office::with_two("alice", (1, 2));
    office.device("bob", 4);
    office.has_prekey("bob", 4);
    assert_eq!(office.post(desktop, 1, &[("bob", 4)], 50), [Outcome::Pushed]);
    assert_eq!(office.post(desktop, 1, &[("bob", 4)], 50), [Outcome::Kept], "repeated");
    assert_eq!(office.post(laptop, 1, &[("bob", 4)], 60), [Outcome::Pushed]);
}

#[test]
fn unlisted_device_uses_up_no_turns_of_the_others() {
    let (mut office, laptop, desktop, one) = Office::with_two("alice", (1, 2));
    let added = change("alice", &one, 2, 2, true);
    while office.change(desktop, 9, added.clone()) != "slow_down" {}
    assert_eq!(office.change(laptop, 2, change("alice", &one, 1, 3, true)), "ok");
}

#[test]
fn each_session_takes_a_place() {
    let mut office = Office::with(Settings { places: 2, ..Settings::default() });
    office.device("alice", 1);
    office.device("alice", 2);
    let bob = office.server.arrive("10.0.0.1");
    office.server.secure(bob);
    assert_eq!(replies(&office.server.effects, bob)[0].code, Code::Busy);
}

#[test]
fn idle_time_is_that_of_a_session() {
    let mut office = Office::new();
    let (laptop, desktop) = (office.device("alice", 1), office.device("alice", 2));
    let minutes = Settings::default().idle_ms / 60_000;
    for _ in 0..=minutes {
        office.pass(60_000);
        office.ask(laptop, &Request::Active);
        office.put(Input::Line { connection: desktop, line: Ok(Request::Ping.to_frame()) });
    }
    assert!(office.server.hub.member_of(laptop).is_some());
    assert!(office.server.hub.member_of(desktop).is_none());
}

#[test]
fn recovery_by_password_removes_all_other_devices() {
    let (mut office, laptop, desktop, _) = Office::with_two("alice", (1, 2));
    office.has_prekey("alice", 1);
    let entry = Box::new(first("alice", 2));
    let recover = Request::Recover { entry, password: Secret("correct horse".into()) };
    for (verdict, code) in [
        (Ok(Verdict::Refused), "wrong_password"),
        (Err(Unavailable), "store_unavailable"),
        (Ok(Verdict::Banned), "banned"),
        (Ok(Verdict::Accepted), "ok"),
    ] {
        office.put(Input::Line { connection: desktop, line: Ok(recover.to_frame()) });
        let answer = StoreAnswer::Checked { connection: desktop, result: verdict };
        office.put(Input::Stored(answer));
        office.settle();
        assert_eq!(office.reply(desktop).code.name(), code);
    }
    assert_eq!(office.notices(laptop).last(), Some(&Notice::Closing(Closing::Removed)));
    let reply = office.ask(desktop, &Request::Devices { name: "alice".into(), after: 0 });
    assert_eq!(DeviceEntries::from_reply(&reply).unwrap().entries, [first("alice", 2)]);
    let verdict = office.store.check_key(&account("alice"), &identity(1).public_key(), 1);
    assert_eq!(verdict.unwrap(), Verdict::Refused);
}

#[test]
fn changes_of_a_list_are_limited() {
    let (mut office, laptop, _, one) = Office::with_two("alice", (1, 2));
    let entry = change("alice", &one, 1, 3, true);
    let refused = (0..200).map(|_| office.change(laptop, 9, entry.clone()));
    assert!(refused.take_while(|code| *code == "list_changed").count() < 60);
}
