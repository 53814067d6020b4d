//! Device lists: the session against a server that the tests play, and that may lie.

use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::devices::{Change, ConsentStatement, DeviceEntry, DeviceList, DeviceName};
use letschat_protocol::dialogue::{AccountKeys, DeviceEntries, DeviceKeys};
use letschat_protocol::prekey::{PREKEY_VALID_MS, PrekeyPublic, SignedPrekey, Suite};

use super::*;
use crate::mail::Arrived;

pub(super) mod own;

pub(super) fn server_key() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

pub(super) fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

/// A chain of device lists that its owner, or a hostile server, has made.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) account: &'static str,
    pub(super) entries: Vec<DeviceEntry>,
    pub(super) list: DeviceList,
}

impl Chain {
    /// Returns the list of one device.
    pub(super) fn begin(account: &'static str, seed: u8) -> Chain {
        let place = (&server_key(), &name(account));
        let entry = DeviceEntry::first(&identity(seed), place, DeviceName::like("laptop"), 7);
        let list = DeviceList::after(None, place, &entry).unwrap();
        Chain { account, entries: vec![entry], list }
    }

    fn push(mut self, signer: u8, device: u8, change: Change) -> Chain {
        let place = (&server_key(), &name(self.account));
        let (list, device) = (Some(&self.list), key(device));
        let entry = DeviceEntry::sign(&identity(signer), place, list, device, change);
        self.list = DeviceList::after(list, place, &entry).unwrap();
        self.entries.push(entry);
        self
    }

    pub(super) fn add(self, signer: u8, device: u8) -> Chain {
        let phone = DeviceName::like("phone");
        let consent = consent(self.account, self.list.chain(), device, &phone);
        self.push(signer, device, Change::Add { name: phone, consent })
    }

    pub(super) fn remove(self, signer: u8, device: u8) -> Chain {
        self.push(signer, device, Change::Remove)
    }

    /// Returns the server's answer to DEVICES.
    pub(super) fn after(&self, after: u64) -> ServerReply {
        let entries = self.entries.iter().skip(after as usize).cloned().collect();
        DeviceEntries { entries, list: self.list.reference() }.to_reply()
    }

    /// Returns the server's answer to KEYS, with the prekeys of these devices.
    pub(super) fn keys(&self, seeds: &[u8], now: Now) -> ServerReply {
        let keys = |seed: &u8| {
            let (until_ms, prekey) = (now.wall_ms + PREKEY_VALID_MS, PrekeyPublic([*seed; 32]));
            let account = name(self.account);
            let prekey =
                SignedPrekey::sign(&identity(*seed), &server_key(), &account, prekey, until_ms);
            DeviceKeys { device: key(*seed), prekey, used_ms: None }
        };
        let devices = seeds.iter().map(keys).collect();
        AccountKeys { devices, list: self.list.reference() }.to_reply()
    }

    /// Returns a text by a device of this chain, to alice.
    pub(super) fn text(&self, seed: u8, number: u64, text: &str) -> Body {
        Body {
            suite: Suite::X25519,
            sender: name(self.account),
            device: key(seed),
            list: self.list.reference(),
            recipients: vec![name("alice")],
            conversation: "alice".into(),
            place: Place::Sequence(number),
            time_ms: 5,
            content: Content::Text(text.into()),
        }
    }
}

fn consent(account: &str, chain: [u8; 32], device: u8, name: &DeviceName) -> Signature {
    let (server, account) = (server_key(), account.parse().unwrap());
    let statement = ConsentStatement { server: &server, account: &account, chain: &chain, name };
    identity(device).sign(&statement)
}

impl TestSession {
    pub(super) fn replied(&mut self, reply: ServerReply) -> Vec<Effect> {
        self.put(Input::Server(FromServer::Reply(reply)))
    }

    /// Logs alice in by a new key, at a server that shows this list of hers, or none.
    fn with_list(own: Option<&Chain>) -> (TestSession, Vec<Effect>) {
        TestSession::with_list_and_key(own, false)
    }

    /// The same by a key that was accepted before, or not.
    fn with_list_and_key(own: Option<&Chain>, has_key: bool) -> (TestSession, Vec<Effect>) {
        let none = DeviceEntries::default().to_reply();
        TestSession::with_answer(own.map_or(none, |chain| chain.after(0)), has_key)
    }

    /// The same, with this answer to DEVICES.
    fn with_answer(answer: ServerReply, has_key: bool) -> (TestSession, Vec<Effect>) {
        let mut client = TestSession::new(None);
        let (username, password) = (Some("alice".into()), Some(Secret("correct horse".into())));
        client.ask(Request::Login { username, password, take: false });
        client.reach();
        client.open_account_with(BTreeMap::new(), has_key);
        let welcome = Welcome {
            username: name("alice"),
            session: SessionId(1),
            epoch: 1,
            head: 0,
            udp_port: 4400,
            address: "10.0.0.1".parse().unwrap(),
        };
        client.replied(welcome.to_reply());
        let mut effects = client.replied(answer);
        effects.extend(client.server(Code::Ok, "published"));
        (client, effects)
    }

    /// Returns a session with a list of one device.
    pub(super) fn listed() -> TestSession {
        let (mut client, effects) = TestSession::with_list(None);
        let is_first =
            |request: &ServerRequest| matches!(request, ServerRequest::Change { number: 1, .. });
        assert!(asks_server(&effects, is_first), "{effects:?}");
        client.server(Code::Ok, "1 changed");
        client
    }

    /// Sends a text to bob, whose list and keys the server shows.
    fn writes_to(&mut self, bob: &Chain, seeds: &[u8]) -> (RequestId, Vec<Effect>) {
        let request = Request::Send { to: "bob".into(), text: "hello".into() };
        let (id, _) = self.ask(request);
        let keys = bob.keys(seeds, self.now);
        let mut effects = self.replied(keys);
        if asks_server(&effects, |request| matches!(request, ServerRequest::Devices { .. })) {
            effects = self.replied(bob.after(self.held_number(&effects)));
        }
        (id, effects)
    }

    /// Returns the number after which the session asks for entries.
    fn held_number(&self, effects: &[Effect]) -> u64 {
        let after = effects.iter().find_map(|effect| match effect {
            Effect::SendServer(ServerRequest::Devices { after, .. }) => Some(*after),
            _ => None,
        });
        after.expect("a lookup")
    }

    /// Returns a session that has written to bob.
    pub(super) fn knows(bob: &Chain, seeds: &[u8]) -> TestSession {
        let mut client = TestSession::listed();
        let (id, effects) = client.writes_to(bob, seeds);
        assert_eq!(client.posted_to(&effects), seeds.len());
        let items = seeds.iter().map(|seed| format!("bob {} pushed", key(*seed)));
        let reply = ServerReply::long(Code::Ok, items, "1 1".into());
        assert!(answer(&client.replied(reply), id).unwrap().is_ok());
        client
    }

    /// Returns the number of devices that an envelope was sealed for, or 0 if none was.
    pub(super) fn posted_to(&self, effects: &[Effect]) -> usize {
        let sealed = effects.iter().find_map(|effect| match effect {
            Effect::Seal { recipients, .. } => Some(recipients.len()),
            _ => None,
        });
        sealed.unwrap_or(0)
    }

    /// Lets the known keys expire.
    pub(super) fn hours_later(&mut self) {
        self.now.boot_ms += 2 * 60 * 60 * 1_000;
        self.put(Input::Tick);
        self.server(Code::Ok, "0 pong");
    }

    pub(super) fn mail_from(&mut self, number: u64, body: Body) -> Vec<Effect> {
        let (sender, opened) = (body.sender.clone(), Ok(body));
        self.put(Input::Mail(Box::new(Arrived { number, sender, bytes: 700, opened })))
    }
}

pub(super) fn looks_up(effects: &[Effect]) -> bool {
    asks_server(effects, |request| matches!(request, ServerRequest::Devices { .. }))
}

pub(super) fn shown(effects: &[Effect]) -> Vec<&str> {
    let text = |event: &&Event| match event {
        Event::Message { text, .. } => Some(text.len()),
        _ => None,
    };
    let events = told(effects);
    let texts = events.into_iter().filter(|event| text(event).is_some());
    texts
        .map(|event| match event {
            Event::Message { text, .. } => text.as_str(),
            _ => "",
        })
        .collect()
}

pub(super) fn notices(effects: &[Effect]) -> Vec<NoticeCode> {
    let code = |event: &Event| match event {
        Event::Notice { code, .. } => Some(*code),
        _ => None,
    };
    told(effects).into_iter().filter_map(code).collect()
}

fn key_states(effects: &[Effect]) -> Vec<KeyState> {
    let state = |event: &Event| match event {
        Event::Request { key, .. } => Some(*key),
        _ => None,
    };
    told(effects).into_iter().filter_map(state).collect()
}

#[test]
fn message_is_sealed_for_all_listed_devices() {
    let bob = Chain::begin("bob", 2).add(2, 3);
    let client = TestSession::knows(&bob, &[2, 3]);
    assert_eq!(client.disk.stored().lists[&name("bob")], bob.list);
    assert_eq!(client.disk.stored().lists[&name("alice")].number(), 1);
}

#[test]
fn new_device_of_a_friend_is_known_without_alarm() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    let bob = bob.add(2, 3).remove(3, 2).add(3, 4);
    let effects = client.mail_from(1, bob.text(4, 1, "new phone"));
    assert!(looks_up(&effects) && shown(&effects).is_empty());
    let effects = client.replied(bob.after(1));
    assert_eq!((shown(&effects), key_states(&effects)), (vec!["new phone"], vec![]));
    // The device that wrote first is gone.
    assert_eq!(key_states(&client.mail_from(2, bob.text(2, 1, "old"))), []);
    let effects = client.replied(bob.after(4));
    assert_eq!((shown(&effects), key_states(&effects)), (vec![], vec![KeyState::Changed]));
}

#[test]
fn known_key_vouches_for_the_first_list_that_is_seen() {
    for (chain, expected) in [
        // Bob's device, known since version 0.1, has agreed to be in the list.
        (Chain::begin("bob", 3).add(3, 2), KeyState::Known),
        (Chain::begin("bob", 3), KeyState::Changed),
    ] {
        let mut client = TestSession::listed();
        let link = client.chat_with("bob", 2);
        client.put(Input::Peer { link, message: PeerMessage::Bye });
        client.mail_from(1, chain.text(3, 1, "from the desktop"));
        let effects = client.replied(chain.after(0));
        match expected {
            KeyState::Known => assert_eq!(shown(&effects), ["from the desktop"]),
            _ => assert_eq!(key_states(&effects), [KeyState::Changed]),
        }
    }
}

#[test]
fn server_that_adds_a_device_is_caught() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    // It has no device of bob's to sign with, so it can only begin another chain.
    let forged = Chain::begin("bob", 66).add(66, 67);
    client.mail_from(1, forged.text(67, 1, "send money"));
    // What follows the known list does not verify.
    let effects = client.replied(forged.after(1));
    assert!(looks_up(&effects), "it asks for the whole chain");
    let effects = client.replied(forged.after(0));
    assert_eq!((shown(&effects), key_states(&effects)), (vec![], vec![KeyState::Changed]));
    client.server(Code::Ok, "1 acknowledged");
    client.hours_later();
    let (id, effects) = client.writes_to(&forged, &[66, 67]);
    let effects = match looks_up(&effects) {
        true => client.replied(forged.after(0)),
        false => effects,
    };
    assert_eq!(client.posted_to(&effects), 0, "nothing is sealed for it");
    let reply = answer(&effects, id).unwrap().as_ref().unwrap();
    assert!(matches!(reply, Reply::Sent { code: Some(FailureCode::KeyChanged), .. }), "{reply:?}");
}

#[test]
fn server_that_replays_an_old_list_is_caught() {
    let old = Chain::begin("bob", 2).add(2, 3);
    let new = old.clone().remove(2, 3);
    let mut client = TestSession::knows(&new, &[2]);
    client.hours_later();
    let request = Request::Send { to: "bob".into(), text: "hello".into() };
    client.ask(request);
    // The removed device is shown again, with the list that it was in.
    let effects = client.replied(old.keys(&[3, 2], client.now));
    assert_eq!(client.held_number(&effects), 3);
    let effects = client.replied(old.after(3));
    assert_eq!(client.held_number(&effects), 0);
    let effects = client.replied(old.after(0));
    assert_eq!(notices(&effects), [NoticeCode::DeviceListOld]);
    assert_eq!(client.posted_to(&effects), 1, "only the listed device");
}

#[test]
fn server_that_withholds_a_list_is_caught() {
    let known = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&known, &[2]);
    let newest = known.clone().add(2, 3);
    client.mail_from(1, newest.text(2, 1, "hi"));
    let effects = client.replied(known.after(1));
    assert_eq!(
        (shown(&effects), notices(&effects)),
        (vec!["hi"], vec![NoticeCode::DeviceListWithheld])
    );
}

#[test]
fn server_that_never_shows_a_list_is_caught() {
    let known = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&known, &[2]);
    let newest = known.clone().add(2, 3);
    let mut told = Vec::new();
    for number in 1..=3 {
        let mut effects = client.mail_from(number, newest.text(2, number, "hi"));
        // Whatever is asked for, the server is busy. A lookup is tried again.
        let asks = |effect: &Effect| matches!(effect, Effect::SendServer(_));
        while effects.iter().any(asks) {
            let asked = std::mem::take(&mut effects).into_iter().filter(asks).count();
            for _ in 0..asked {
                effects.extend(client.server(Code::StoreUnavailable, "try again in a moment"));
            }
            told.extend(notices(&effects));
            client.now.boot_ms += 2_000;
            effects.extend(client.put(Input::Tick));
        }
    }
    assert_eq!(told, [NoticeCode::DeviceListWithheld]);
}

#[test]
fn server_that_names_a_list_without_showing_it_is_caught() {
    let known = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&known, &[2]);
    let newest = known.clone().add(2, 3);
    client.mail_from(1, newest.text(2, 1, "hi"));
    let nothing = DeviceEntries { entries: Vec::new(), list: newest.list.reference() };
    let effects = client.replied(nothing.to_reply());
    assert_eq!(notices(&effects), [NoticeCode::DeviceListInvalid]);
}

#[test]
fn known_device_that_begins_a_new_list_is_trusted_again() {
    let old = Chain::begin("bob", 2).add(2, 3);
    let mut client = TestSession::knows(&old, &[2, 3]);
    let anew = Chain::begin("bob", 3);
    client.mail_from(1, anew.text(3, 1, "I lost the laptop"));
    client.replied(anew.after(2));
    let effects = client.replied(anew.after(0));
    assert_eq!((shown(&effects), key_states(&effects)), (vec![], vec![KeyState::Changed]));
    assert_eq!(notices(&effects), []);
    client.ask(Request::Trust("bob".into()));
    client.ask(Request::Trust("bob".into()));
    assert_eq!(client.disk.stored().lists[&name("bob")], anew.list);
}

#[test]
fn server_that_shows_two_lists_is_caught() {
    let common = Chain::begin("bob", 2).add(2, 3);
    let (mine, theirs) = (common.clone().remove(2, 3), common.remove(3, 2).add(3, 4));
    let mut client = TestSession::knows(&mine, &[2]);
    // A device that saw the other list of the same number.
    let mut body = mine.text(2, 1, "hi");
    body.list = DeviceListRef { number: 3, hash: theirs.list.hash_of(3).unwrap() };
    client.mail_from(1, body);
    let effects = client.replied(mine.after(3));
    assert_eq!(notices(&effects), [NoticeCode::DeviceListsDiffer]);
}

#[test]
fn server_that_swaps_prekeys_is_caught() {
    let bob = Chain::begin("bob", 2).add(2, 3);
    let mut client = TestSession::listed();
    let (id, _) = client.ask(Request::Send { to: "bob".into(), text: "hello".into() });
    let mut keys = AccountKeys::from_reply(&bob.keys(&[2, 3], client.now)).unwrap();
    keys.devices[1].prekey.key = PrekeyPublic([66; 32]);
    client.replied(keys.to_reply());
    let effects = client.replied(bob.after(0));
    assert_eq!(client.posted_to(&effects), 0);
    let reply = answer(&effects, id).unwrap().as_ref().unwrap();
    assert!(matches!(reply, Reply::Sent { code: Some(FailureCode::KeysInvalid), .. }), "{reply:?}");
}

#[test]
fn keys_that_are_in_no_list_get_nothing() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    client.hours_later();
    let (_, effects) = client.writes_to(&bob, &[66, 2]);
    assert_eq!(client.posted_to(&effects), 1);
}

#[test]
fn friend_who_began_a_new_list_is_trusted_again() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    let anew = Chain::begin("bob", 5).add(5, 6);
    client.mail_from(1, anew.text(5, 1, "lost my laptop"));
    client.replied(anew.after(1));
    let effects = client.replied(anew.after(0));
    assert_eq!(key_states(&effects), [KeyState::Changed]);
    let (_, effects) = client.ask(Request::Trust("bob".into()));
    assert_eq!(shown(&effects), ["lost my laptop"]);
    assert_eq!(client.disk.stored().lists[&name("bob")], anew.list);
    // All devices of the new list are known.
    assert_eq!(shown(&client.mail_from(2, anew.text(6, 1, "and my phone"))), ["and my phone"]);
}

#[test]
fn missing_device_gets_the_envelope_at_the_second_attempt() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    let (id, _) = client.ask(Request::Send { to: "bob".into(), text: "again".into() });
    let bob = bob.add(2, 3);
    let items = [format!("bob {} pushed", key(2)), format!("bob {} missing", key(3))];
    let effects = client.replied(ServerReply::long(Code::Ok, items, "1 2".into()));
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Keys { .. })));
    client.replied(bob.keys(&[2, 3], client.now));
    let effects = client.replied(bob.after(1));
    assert_eq!(client.posted_to(&effects), 2);
    let items = [2, 3].map(|seed| format!("bob {} kept", key(seed)));
    let effects = client.replied(ServerReply::long(Code::Ok, items, "1 2".into()));
    assert!(answer(&effects, id).unwrap().is_ok());
}

#[test]
fn endless_missing_devices_end_the_attempts() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    let (id, _) = client.ask(Request::Send { to: "bob".into(), text: "again".into() });
    for attempt in 1.. {
        assert!(attempt < 9, "it goes on for ever");
        let items = [format!("bob {} pushed", key(2)), format!("bob {} missing", key(3))];
        let effects = client.replied(ServerReply::long(Code::Ok, items, "1 2".into()));
        if answer(&effects, id).is_some() {
            return;
        }
        client.replied(bob.keys(&[2], client.now));
    }
}

#[test]
fn message_that_goes_straight_is_delivered_once() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::listed();
    let chat = client.chat_with("bob", 2);
    client.put(Input::Peer { link: chat, message: PeerMessage::Bye });
    client.writes_to(&bob, &[2]);
    // A second device was left out. Before it gets its copy, the server goes away.
    let items = [format!("bob {} pushed", key(2)), format!("bob {} missing", key(3))];
    client.replied(ServerReply::long(Code::Ok, items, "1 2".into()));
    let mut effects = client.put(Input::ServerLost);
    let mut deliveries = 0;
    for _ in 0..20 {
        for effect in std::mem::take(&mut effects) {
            effects.extend(match effect {
                Effect::DialPeer { link, .. } => client.put(Input::PeerDialled { link }),
                Effect::SendPeer { link, message: PeerMessage::Deliver { body } } => {
                    deliveries += 1;
                    let id = Body::verify(&body, &server_key()).unwrap().message_id();
                    client.put(Input::Peer { link, message: PeerMessage::Delivered { id } })
                }
                _ => Vec::new(),
            });
        }
        client.now.boot_ms += 500;
        effects.extend(client.put(Input::Tick));
    }
    assert_eq!((deliveries, client.disk.stored().outbox.len()), (1, 0));
}
