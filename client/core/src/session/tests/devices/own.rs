//! The devices of the own account.

use letschat_protocol::body::Person;
use letschat_protocol::devices::DeviceCode;
use letschat_protocol::dialogue::Enrolling;

use super::*;
use crate::event::{DeviceChange, fingerprint};

#[test]
fn new_device_shows_its_code_and_waits() {
    let own = Chain::begin("alice", 9);
    let (mut client, effects) = TestSession::with_list(Some(&own));
    let enrols = |request: &ServerRequest| matches!(request, ServerRequest::Enrol { .. });
    assert!(asks_server(&effects, enrols));
    assert_eq!(notices(&effects), [NoticeCode::DeviceUnlisted]);
    client.server(Code::Ok, "told");
    // A listed device adds it.
    let own = own.add(9, 1);
    let effects = client.notice(Notice::Devices { number: 2 });
    assert!(looks_up(&effects));
    let effects = client.replied(own.after(1));
    assert_eq!(notices(&effects), [NoticeCode::DeviceListed]);
    assert_eq!(client.disk.stored().lists[&name("alice")], own.list);
}

#[test]
fn known_key_joins_a_list_at_its_users_word_alone() {
    let other = Chain::begin("alice", 9);
    let enrols = |request: &ServerRequest| matches!(request, ServerRequest::Enrol { .. });
    let (mut client, effects) = TestSession::with_list_and_key(Some(&other), true);
    assert!(!asks_server(&effects, enrols));
    assert_eq!(notices(&effects), [NoticeCode::DeviceListReplaced]);
    client.notice(Notice::Devices { number: 1 });
    assert_eq!(notices(&client.replied(other.after(0))), [], "it is told once");
    client.ask(Request::Trust("alice".into()));
    client.server(Code::Ok, "active");
    let none = DeviceEntries { entries: Vec::new(), list: other.list.reference() };
    let effects = client.replied(none.to_reply());
    assert!(asks_server(&effects, enrols), "{effects:?}");
    assert_eq!(notices(&effects), [NoticeCode::DeviceUnlisted]);
    assert_eq!(client.disk.stored().lists[&name("alice")], other.list, "also after a restart");
}

#[test]
fn key_is_new_only_until_the_server_was_asked_for_the_list() {
    let (mut client, effects) = TestSession::with_answer(
        ServerReply::new(Code::StoreUnavailable, "try again in a moment"),
        false,
    );
    assert_eq!(notices(&effects), []);
    // Friends may know the key by now.
    client.notice(Notice::Devices { number: 1 });
    let effects = client.replied(Chain::begin("alice", 9).after(0));
    assert_eq!(notices(&effects), [NoticeCode::DeviceListReplaced]);
}

#[test]
fn waiting_device_that_is_shown_no_list_begins_none() {
    let own = Chain::begin("alice", 9);
    let (mut client, _) = TestSession::with_list(Some(&own));
    client.server(Code::Ok, "told");
    client.notice(Notice::Devices { number: 1 });
    let mut effects = client.replied(DeviceEntries::default().to_reply());
    effects.extend(client.replied(DeviceEntries::default().to_reply()));
    let begins = |request: &ServerRequest| matches!(request, ServerRequest::Change { .. });
    assert!(!asks_server(&effects, begins));
    assert_eq!(client.disk.stored().lists[&name("alice")], own.list);
}

#[test]
fn other_list_is_trusted_only_as_it_was_seen() {
    let shown = Chain::begin("alice", 9);
    let (mut client, _) = TestSession::with_list_and_key(Some(&shown), true);
    // The user overlooks the notice of another one.
    client.notice(Notice::Devices { number: 1 });
    let swapped = Chain::begin("alice", 8);
    assert_eq!(notices(&client.replied(swapped.after(0))), [NoticeCode::DeviceListReplaced]);
    let (id, effects) = client.ask(Request::Trust("alice".into()));
    assert_eq!(super::code(&effects, id), "key_changed");
    assert_eq!(notices(&effects), [NoticeCode::DeviceListReplaced]);
    assert_eq!(client.disk.stored().lists.get(&name("alice")), None);
    client.ask(Request::Trust("alice".into()));
    assert_eq!(client.disk.stored().lists[&name("alice")], swapped.list);
}

#[test]
fn known_changes_are_told_once() {
    let (mut client, effects) = TestSession::with_list(None);
    let first = effects.into_iter().find_map(|effect| match effect {
        Effect::SendServer(ServerRequest::Change { entry, .. }) => Some(*entry),
        _ => None,
    });
    client.server(Code::Ok, "1 changed");
    let list = client.disk.stored().lists[&name("alice")].clone();
    let own = Chain { account: "alice", entries: vec![first.unwrap()], list }.add(1, 9).add(9, 8);
    client.notice(Notice::Devices { number: 3 });
    let is_told = |event: &&Event| matches!(event, Event::DeviceChanged { .. });
    let effects = client.replied(own.after(1));
    assert_eq!(told(&effects).iter().filter(|event| is_told(event)).count(), 1);
    // The server pretends that the list is another, and then shows the known one from the start.
    client.notice(Notice::Devices { number: 3 });
    let other = DeviceListRef { hash: [1; 32], ..own.list.reference() };
    client.replied(DeviceEntries { entries: Vec::new(), list: other }.to_reply());
    let effects = client.replied(own.after(0));
    assert_eq!((told(&effects), notices(&effects)), (vec![], vec![]));
}

#[test]
fn listed_device_leaves_its_list_only_by_trust() {
    let mut client = TestSession::listed();
    let other = Chain::begin("alice", 9);
    client.notice(Notice::Devices { number: 1 });
    client.replied(other.after(1));
    let effects = client.replied(other.after(0));
    assert_eq!(notices(&effects), [NoticeCode::DeviceListReplaced]);
    assert!(client.disk.stored().lists[&name("alice")].contains(&key(1)));
    client.ask(Request::Trust("alice".into()));
    client.server(Code::Ok, "active");
    let none = DeviceEntries { entries: Vec::new(), list: other.list.reference() };
    let effects = client.replied(none.to_reply());
    assert_eq!(notices(&effects), [NoticeCode::DeviceUnlisted]);
    assert_eq!(client.disk.stored().lists[&name("alice")], other.list);
}

#[test]
fn unlisted_device_that_does_not_ask_to_be_listed_is_told() {
    let waits = |effects: &[Effect]| {
        let waits = |event: &&Event| matches!(event, Event::DeviceWaiting { name: None, .. });
        told(effects).into_iter().filter(waits).count()
    };
    let unlisted =
        |seed| Notice::Unlisted { device: key(seed), address: "10.0.0.9".parse().unwrap() };
    let mut client = TestSession::listed();
    client.notice(unlisted(7));
    client.now.boot_ms += 5_000;
    assert_eq!(waits(&client.put(Input::Tick)), 1);
    client.notice(unlisted(7));
    client.now.boot_ms += 5_000;
    assert_eq!(waits(&client.put(Input::Tick)), 0, "it is told once");
    // One that asks in time waits for its approval.
    let own = client.disk.stored().lists[&name("alice")].clone();
    let phone = DeviceName::like("phone");
    let (address, consent) =
        ("10.0.0.9".parse().unwrap(), consent("alice", own.chain(), 9, &phone));
    client.notice(unlisted(9));
    client.notice(Notice::Enrolling(Enrolling { device: key(9), address, name: phone, consent }));
    client.now.boot_ms += 5_000;
    assert_eq!(waits(&client.put(Input::Tick)), 0);
    // There are bounds to what a thief can have kept.
    for seed in 20..200 {
        client.notice(unlisted(seed));
    }
    client.now.boot_ms += 5_000;
    assert_eq!(waits(&client.put(Input::Tick)), 8);
}

/// Returns a session with a listed device, and another that waits with this consent.
fn with_waiting(chain: Option<[u8; 32]>) -> (TestSession, Vec<Effect>) {
    let mut client = TestSession::listed();
    let own = client.disk.stored().lists[&name("alice")].clone();
    let phone = DeviceName::like("phone");
    let consent = consent("alice", chain.unwrap_or(own.chain()), 9, &phone);
    let address = "10.0.0.9".parse().unwrap();
    let enrolling = Enrolling { device: key(9), address, name: phone, consent };
    let effects = client.notice(Notice::Enrolling(enrolling));
    (client, effects)
}

#[test]
fn device_is_approved_by_its_code_alone() {
    let (mut client, effects) = with_waiting(None);
    assert!(matches!(told(&effects)[..], [Event::DeviceWaiting { .. }]));
    let code_of = |seed| DeviceCode::of(&server_key(), &name("alice"), &key(seed)).to_string();
    for (typed, code) in [("nonsense".to_owned(), "bad_arguments"), (code_of(8), "no_such_device")]
    {
        let (id, effects) = client.ask(Request::ApproveDevice(typed));
        assert_eq!(super::code(&effects, id), code);
    }
    let (id, effects) = client.ask(Request::ApproveDevice(code_of(9).to_lowercase()));
    let adds = |request: &ServerRequest| matches!(request, ServerRequest::Change { number: 2, entry } if entry.device == key(9));
    assert!(asks_server(&effects, adds));
    let effects = client.server(Code::Ok, "2 changed");
    assert!(matches!(answer(&effects, id), Some(Ok(Reply::DeviceAdded { .. }))));
    assert!(client.disk.stored().lists[&name("alice")].contains(&key(9)));
    // Once more, from another window.
    let (id, effects) = client.ask(Request::ApproveDevice(code_of(9)));
    assert!(matches!(answer(&effects, id), Some(Ok(Reply::DeviceAdded { .. }))));
}

/// Returns a session of a listed device, 1, that has approved device 9.
pub(in crate::session::tests) fn with_two() -> (TestSession, Chain) {
    let (mut client, _) = with_waiting(None);
    let code = DeviceCode::of(&server_key(), &name("alice"), &key(9)).to_string();
    client.ask(Request::ApproveDevice(code));
    client.server(Code::Ok, "2 changed");
    let list = client.disk.stored().lists[&name("alice")].clone();
    (client, Chain { account: "alice", entries: Vec::new(), list })
}

/// Returns the server's answer to DEVICES with the entries that this chain has been given.
fn newer(chain: &Chain) -> ServerReply {
    let list = chain.list.reference();
    DeviceEntries { entries: chain.entries.clone(), list }.to_reply()
}

#[test]
fn only_device_stays() {
    let mut client = TestSession::listed();
    let (id, effects) = client.ask(Request::RemoveDevice("laptop".into()));
    assert_eq!(super::code(&effects, id), "list_invalid");
}

#[test]
fn removal_that_another_device_has_made_is_done() {
    let (mut client, own) = with_two();
    let own = own.add(9, 8);
    client.notice(Notice::Devices { number: 3 });
    client.replied(newer(&own));
    let phone = fingerprint(&key(8));
    let (id, effects) = client.ask(Request::RemoveDevice(phone));
    let removes = |number| move |request: &ServerRequest| matches!(request, ServerRequest::Change { number: at, .. } if *at == number);
    assert!(asks_server(&effects, removes(4)));
    client.server(Code::ListChanged, "another was first");
    let other = Chain { entries: Vec::new(), ..own.clone() }.remove(9, 8);
    let effects = client.replied(newer(&other));
    assert!(matches!(answer(&effects, id), Some(Ok(Reply::DeviceRemoved { .. }))));
    // If the other one has added a device, the removal follows.
    let (id, _) = client.ask(Request::RemoveDevice(fingerprint(&key(9))));
    client.server(Code::ListChanged, "another was first");
    let other = Chain { entries: Vec::new(), ..other }.add(9, 7);
    let effects = client.replied(newer(&other));
    assert!(asks_server(&effects, removes(6)), "{effects:?}");
    let effects = client.server(Code::Ok, "6 changed");
    assert!(matches!(answer(&effects, id), Some(Ok(Reply::DeviceRemoved { .. }))));
    let list = &client.disk.stored().lists[&name("alice")];
    assert!(list.contains(&key(7)) && !list.contains(&key(9)));
}

#[test]
fn device_that_has_been_removed_meanwhile_changes_nothing() {
    let (mut client, own) = with_two();
    let (id, _) = client.ask(Request::RemoveDevice(fingerprint(&key(9))));
    client.server(Code::ListChanged, "another was first");
    let effects = client.replied(newer(&own.remove(9, 1)));
    assert_eq!(super::code(&effects, id), "device_unlisted");
}

#[test]
fn own_copies_are_sealed_for_listed_devices_alone() {
    let (mut client, own) = with_two();
    let bob = Chain::begin("bob", 2);
    client.ask(Request::Send { to: "bob".into(), text: "hello".into() });
    client.replied(bob.keys(&[2], client.now));
    let effects = client.replied(bob.after(0));
    let asks_own = |request: &ServerRequest| matches!(request, ServerRequest::Keys { name } if name == "alice");
    assert!(asks_server(&effects, asks_own), "{effects:?}");
    let effects = client.replied(own.keys(&[1, 9, 66], client.now));
    assert_eq!(client.posted_to(&effects), 2, "bob's device and the own other one");
}

#[test]
fn devices_take_over_blocks_and_comparisons() {
    let (mut client, own) = with_two();
    let letter = |number, person: Person| {
        let mut body = own.text(9, number, "");
        body.content = Content::People(vec![person]);
        body
    };
    let bob = |is_blocked, key| Person { name: name("bob"), key, is_verified: true, is_blocked };
    client.mail_from(1, letter(1, bob(true, Some(key(2)))));
    let blocked = |client: &mut TestSession| {
        let (id, effects) = client.ask(Request::Blocked);
        match answer(&effects, id) {
            Some(Ok(Reply::Blocked { blocked })) => blocked.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(blocked(&mut client), ["bob"]);
    let known = client.session.peers()[&name("bob")];
    assert_eq!((known.key, known.verified), (key(2), true));
    client.mail_from(2, letter(2, bob(false, Some(key(3)))));
    assert!(blocked(&mut client).is_empty());
    assert_eq!(client.session.peers()[&name("bob")].key, key(2), "no key is replaced");
}

#[test]
fn relisted_device_reports_no_gap() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    client.mail_from(1, bob.text(2, 1, "one"));
    let missing = |effects: &[Effect]| notices(effects) == [NoticeCode::MessagesMissing];
    assert!(missing(&client.mail_from(2, bob.text(2, 4, "four"))));
    // This device is removed, and approved again.
    let own = Chain {
        account: "alice",
        entries: Vec::new(),
        list: client.disk.stored().lists[&name("alice")].clone(),
    };
    let own = own.add(1, 9).remove(9, 1);
    client.notice(Notice::Devices { number: 3 });
    assert_eq!(notices(&client.replied(newer(&own))), [NoticeCode::DeviceUnlisted]);
    client.server(Code::Ok, "told");
    let own = Chain { entries: Vec::new(), ..own }.add(9, 1);
    client.notice(Notice::Devices { number: 4 });
    assert_eq!(notices(&client.replied(newer(&own))), [NoticeCode::DeviceListed]);
    client.now.boot_ms += 60_000;
    assert_eq!(notices(&client.mail_from(3, bob.text(2, 9, "nine"))), []);
    assert!(missing(&client.mail_from(4, bob.text(2, 11, "eleven"))));
}

#[test]
fn own_devices_are_listed_with_their_last_use() {
    let (mut client, own) = with_two();
    let (id, _) = client.ask(Request::Devices);
    client.server(Code::Ok, "active");
    let mut keys = AccountKeys::from_reply(&own.keys(&[1, 9], client.now)).unwrap();
    keys.devices[1].used_ms = Some(1_000);
    let effects = client.replied(keys.to_reply());
    let Some(Ok(Reply::Devices { devices, code: None, .. })) = answer(&effects, id) else {
        panic!("{effects:?}");
    };
    let shown: Vec<_> =
        devices.iter().map(|one| (&*one.name, one.this, one.used.as_deref())).collect();
    assert_eq!(shown, [("laptop", true, None), ("phone", false, Some("1970-01-01T00:00:01.000Z"))]);
    let (id, effects) = client.ask(Request::Status);
    let Some(Ok(Reply::Status(status))) = answer(&effects, id) else { panic!("{effects:?}") };
    assert_eq!((status.device.as_deref(), status.listed), (Some("laptop"), true));
}

#[test]
fn device_that_was_shown_another_list_is_not_approved() {
    let (mut client, effects) = with_waiting(Some([7; 32]));
    assert_eq!(notices(&effects), [NoticeCode::DeviceConsentInvalid]);
    let code = DeviceCode::of(&server_key(), &name("alice"), &key(9)).to_string();
    let (id, effects) = client.ask(Request::ApproveDevice(code));
    assert_eq!(super::code(&effects, id), "no_such_device");
    let (address, phone) = ("10.0.0.9".parse().unwrap(), DeviceName::like("phone"));
    let consent = consent("alice", [7; 32], 9, &phone);
    let enrolling = Enrolling { device: key(9), address, name: phone, consent };
    assert_eq!(notices(&client.notice(Notice::Enrolling(enrolling))), [], "it is told once");
}

#[test]
fn change_that_comes_late_follows_the_other_one() {
    let (mut client, _) = with_waiting(None);
    let begun = client.disk.stored().lists[&name("alice")].clone();
    let first = DeviceEntry::first(
        &identity(1),
        (&server_key(), &name("alice")),
        DeviceName::like("laptop"),
        7,
    );
    let other = Chain { account: "alice", entries: vec![first], list: begun }.add(1, 8);
    let code = DeviceCode::of(&server_key(), &name("alice"), &key(9)).to_string();
    let (id, _) = client.ask(Request::ApproveDevice(code));
    let effects = client.server(Code::ListChanged, "another was first");
    assert!(looks_up(&effects));
    let effects = client.replied(other.after(1));
    let follows =
        |request: &ServerRequest| matches!(request, ServerRequest::Change { number: 3, .. });
    assert!(asks_server(&effects, follows), "{effects:?}");
    let effects = client.server(Code::Ok, "3 changed");
    assert!(matches!(answer(&effects, id), Some(Ok(Reply::DeviceAdded { .. }))));
    let list = &client.disk.stored().lists[&name("alice")];
    assert!(list.contains(&key(8)) && list.contains(&key(9)));
}

#[test]
fn changes_of_other_devices_are_told() {
    let (mut client, own) = with_two();
    client.notice(Notice::Devices { number: 3 });
    let effects = client.replied(newer(&own.add(9, 8)));
    let is_added =
        |event: &&Event| matches!(event, Event::DeviceChanged { change: DeviceChange::Added, .. });
    assert_eq!(told(&effects).iter().filter(|event| is_added(event)).count(), 1);
}

#[test]
fn own_copies_are_shown_and_make_the_person_known() {
    let (mut client, own) = with_two();
    let list = own.list.reference();
    let bob = Chain::begin("bob", 2);
    let mut copy = bob.text(9, 1, "from my phone");
    (copy.sender, copy.list) = (name("alice"), list);
    (copy.recipients, copy.conversation) = (vec![name("bob")], "bob".into());
    let effects = client.mail_from(1, copy.clone());
    let is_copy =
        |event: &&Event| matches!(event, Event::Message { own: true, device: Some(_), .. });
    assert_eq!(told(&effects).iter().filter(|event| is_copy(event)).count(), 1);
    assert!(looks_up(&effects), "bob's devices");
    // Bob's answer comes before the server has shown his devices.
    let effects = client.mail_from(2, bob.text(2, 1, "got it"));
    assert_eq!(told(&effects), Vec::<&Event>::new());
    let effects = client.replied(bob.after(0));
    assert_eq!((shown(&effects), key_states(&effects)), (vec!["got it"], vec![]));
    assert!(told(&client.mail_from(3, copy)).is_empty(), "it is shown once");
}

#[test]
fn copy_of_an_unlisted_device_is_not_shown() {
    let mut client = TestSession::listed();
    let bob = Chain::begin("bob", 2);
    let mut copy = bob.text(9, 1, "not mine");
    (copy.sender, copy.list) = (name("alice"), DeviceListRef::default());
    (copy.recipients, copy.conversation) = (vec![name("bob")], "bob".into());
    let mut effects = client.mail_from(1, copy);
    if looks_up(&effects) {
        let list = client.disk.stored().lists[&name("alice")].reference();
        let none = DeviceEntries { entries: Vec::new(), list };
        effects = client.replied(none.to_reply());
    }
    assert_eq!(shown(&effects), Vec::<&str>::new());
}

#[test]
fn removed_device_gets_no_further_copies() {
    let (mut client, own) = with_two();
    let bob = Chain::begin("bob", 2);
    client.ask(Request::Send { to: "bob".into(), text: "hello".into() });
    client.replied(bob.keys(&[2], client.now));
    client.replied(bob.after(0));
    let effects = client.replied(own.keys(&[1, 9], client.now));
    assert_eq!(client.posted_to(&effects), 2);
    let items = [format!("bob {} pushed", key(2)), format!("alice {} pushed", key(9))];
    client.replied(ServerReply::long(Code::Ok, items, "1 2".into()));
    client.ask(Request::RemoveDevice("phone".into()));
    client.server(Code::Ok, "3 changed");
    let (_, effects) =
        client.ask(Request::Send { to: "bob".into(), text: "my phone is gone".into() });
    assert_eq!(client.posted_to(&effects), 1, "{effects:?}");
}
