//! The test vectors of docs/PROTOCOL.md, compared with what the code makes of the same values.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::datagram::{Sealer, ToServer};
use letschat_protocol::devices::{
    Change, ConsentStatement, DeviceCode, DeviceEntry, DeviceList, DeviceName,
};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::envelope::{Envelope, OpenError};
use letschat_protocol::groups::{Founding, Member, Roster, SignedRoster};
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey, safety_number};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::ChatId;
use letschat_protocol::prekey::{PrekeyPublic, SignedPrekey, Suite};
use letschat_protocol::sealing::{Prekey, Receiver, open};
use letschat_protocol::signing::LoginStatement;

use super::rows_under;
use super::test_hub::name;

/// The time at which alice writes, in milliseconds since the Unix epoch.
const WRITTEN_MS: u64 = 1_700_000_000_000;

fn alice() -> Identity {
    Identity::from_seed(&[1; 32])
}

fn bob() -> Identity {
    Identity::from_seed(&[2; 32])
}

fn server() -> Fingerprint {
    Fingerprint::of_spki(b"letschat")
}

/// Returns the body of alice's third message to bob.
fn body() -> Body {
    Body {
        suite: Suite::X25519,
        sender: name("alice"),
        device: alice().public_key(),
        list: DeviceListRef::default(),
        recipients: vec![name("bob")],
        conversation: "bob".into(),
        place: Place::Sequence(3),
        time_ms: WRITTEN_MS,
        content: Content::Text("hello".into()),
    }
}

/// Returns the values of the table, without back quotes.
fn listed() -> Vec<String> {
    rows_under("Test vectors").map(|row| row[1].clone()).collect()
}

/// Returns the id of a group of alice's, and the signature of its first roster.
fn group() -> [String; 2] {
    let (alice, server, account) = (alice(), server(), name("alice"));
    let laptop = "laptop".parse().unwrap();
    let first = DeviceEntry::first(&alice, (&server, &account), laptop, 7);
    let list = DeviceList::after(None, (&server, &account), &first).unwrap().reference();
    let founding = Founding {
        nonce: 7,
        name: "team".parse().unwrap(),
        founder: account.clone(),
        device: alice.public_key(),
    };
    let roster = Roster {
        founding,
        number: 1,
        givings: Vec::new(),
        members: vec![Member { name: account, list, since: 1, is_invited: false }],
        left: Vec::new(),
        versions: BTreeMap::new(),
    };
    let signed = SignedRoster::sign(roster, &alice, &server);
    let bytes = signed.to_bytes();
    [signed.group().to_string(), HEXLOWER.encode(&bytes[bytes.len() - 64..])]
}

/// Returns the entries of alice's devices, each with the hash of its list, and the code of the second one.
fn devices() -> [String; 7] {
    let (alice, phone, server, account) =
        (alice(), Identity::from_seed(&[3; 32]), server(), name("alice"));
    let place = (&server, &account);
    let after = |list, entry: &DeviceEntry| DeviceList::after(list, place, entry).unwrap();
    let first = DeviceEntry::first(&alice, place, "laptop".parse().unwrap(), 7);
    let one = after(None, &first);
    let phones: DeviceName = "phone".parse().unwrap();
    let consent =
        ConsentStatement { server: &server, account: &account, chain: &one.chain(), name: &phones };
    let consent = phone.sign(&consent);
    let add = Change::Add { name: phones, consent };
    let second = DeviceEntry::sign(&alice, place, Some(&one), phone.public_key(), add);
    let two = after(Some(&one), &second);
    let third = DeviceEntry::sign(&phone, place, Some(&two), alice.public_key(), Change::Remove);
    let three = after(Some(&two), &third);
    [
        first.to_string(),
        HEXLOWER.encode(&one.hash()),
        DeviceCode::of(&server, &account, &phone.public_key()).to_string(),
        second.to_string(),
        HEXLOWER.encode(&two.hash()),
        third.to_string(),
        HEXLOWER.encode(&three.hash()),
    ]
}

#[test]
fn the_test_vectors_are_what_the_code_makes() {
    let key = alice().public_key();
    let statement =
        LoginStatement { server: &server(), username: &name("alice"), binding: &[4; 32] };
    let datagram = Sealer::new(SessionId(5), &[6; 32]).seal(&ToServer::Answer(9));
    let author = PublicKey::from_bytes([7; 32]);
    let prekey = PrekeyPublic([9; 32]);
    let prekey = SignedPrekey::sign(&alice(), &server(), &name("alice"), prekey, 1_000_000);
    let signed = body().sign(&alice(), &server());
    let made = [
        key.to_string(),
        key.fingerprint().to_string(),
        server().to_string(),
        alice().sign(&statement).to_string(),
        HEXLOWER.encode(&datagram),
        MessageId::in_chat(ChatId(1), &author, 3).to_string(),
        MessageId::of_broadcast(5, 9).to_string(),
        MessageId::in_conversation(&author, "bob", 3).to_string(),
        safety_number((&name("alice"), &key), (&name("bob"), &bob().public_key())),
        prekey.signature.to_string(),
        HEXLOWER.encode(digest(&SHA256, &signed).as_ref()),
    ];
    // The prekey and the envelope follow: see below.
    let listed = listed();
    assert_eq!(listed[..listed.len() - 2], [&made[..], &devices(), &group()].concat());
}

/// Opens the envelope of the table with bob's prekey, as a delivery from this sender.
fn opened(envelope: &Envelope, sender: &str) -> Result<Body, OpenError> {
    let public: PrekeyPublic = listed().iter().nth_back(1).unwrap().parse().unwrap();
    let device = bob().public_key();
    let receiver = Receiver { server: &server(), username: &name("bob"), device: &device };
    open(envelope, &name(sender), receiver, |key| {
        (*key == public).then(|| Prekey::from_bytes(public, [10; 32]))
    })
}

#[test]
fn envelope_of_the_test_vectors_opens() {
    let bytes = HEXLOWER.decode(listed().last().unwrap().as_bytes()).unwrap();
    let envelope = Envelope::parse(&bytes).unwrap();
    assert_eq!(opened(&envelope, "alice"), Ok(body()));
    assert_eq!(opened(&envelope, "carol"), Err(OpenError::Altered));
}
