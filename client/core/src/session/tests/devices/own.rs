//! The devices of the own account.

use letschat_protocol::devices::DeviceCode;
use letschat_protocol::dialogue::Enrolling;

use super::*;
use crate::event::DeviceChange;

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
    let effects = client.replied(own.after(0));
    assert_eq!(notices(&effects), [NoticeCode::DeviceListed]);
    assert_eq!(client.disk.stored().lists[&name("alice")], own.list);
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
}

#[test]
fn device_that_was_shown_another_list_is_not_approved() {
    let (mut client, effects) = with_waiting(Some([7; 32]));
    assert_eq!(notices(&effects), [NoticeCode::DeviceConsentInvalid]);
    let code = DeviceCode::of(&server_key(), &name("alice"), &key(9)).to_string();
    let (id, effects) = client.ask(Request::ApproveDevice(code));
    assert_eq!(super::code(&effects, id), "no_such_device");
}

#[test]
fn change_that_comes_late_follows_the_other_one() {
    let (mut client, _) = with_waiting(None);
    let begun = client.disk.stored().lists[&name("alice")].clone();
    let first = DeviceEntry::first(
        &identity(1),
        (&server_key(), &name("alice")),
        DeviceName::like("laptop"),
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
    let (mut client, _) = with_waiting(None);
    let code = DeviceCode::of(&server_key(), &name("alice"), &key(9)).to_string();
    client.ask(Request::ApproveDevice(code));
    client.server(Code::Ok, "2 changed");
    let list = client.disk.stored().lists[&name("alice")].clone();
    let own = Chain { account: "alice", entries: Vec::new(), list }.add(9, 8);
    client.notice(Notice::Devices { number: 3 });
    let list = own.list.reference();
    let reply = DeviceEntries { entries: own.entries, list }.to_reply();
    let effects = client.replied(reply);
    let is_added =
        |event: &&Event| matches!(event, Event::DeviceChanged { change: DeviceChange::Added, .. });
    assert_eq!(told(&effects).iter().filter(|event| is_added(event)).count(), 1);
}

#[test]
fn own_copies_are_shown_and_make_the_person_known() {
    let (mut client, _) = with_waiting(None);
    let code = DeviceCode::of(&server_key(), &name("alice"), &key(9)).to_string();
    client.ask(Request::ApproveDevice(code));
    client.server(Code::Ok, "2 changed");
    let list = client.disk.stored().lists[&name("alice")].reference();
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
