use super::*;
use crate::files::{FileHash, MAX_FILE_BYTES};
use proptest::prelude::*;

fn identity() -> Identity {
    Identity::from_seed(&[7; 32])
}

fn server() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

fn body(content: Content) -> Body {
    Body {
        suite: Suite::X25519,
        sender: "alice".parse().unwrap(),
        device: identity().public_key(),
        list: DeviceListRef::default(),
        recipients: vec!["bob".parse().unwrap()],
        conversation: "bob".into(),
        place: Place::Sequence(3),
        time_ms: 1_700_000_000_000,
        content,
    }
}

#[test]
fn largest_roster_reaches_all_members() {
    let long = |n: usize| format!("{n:a>32}").parse().unwrap();
    let with = |bytes| Body {
        sender: long(0),
        recipients: (0..MAX_GROUP_MEMBERS).map(long).collect(),
        ..body(Content::Roster(vec![1; bytes]))
    };
    let largest = with(MAX_ROSTER_BYTES);
    let bytes = largest.sign(&identity(), &server());
    assert!(bytes.len() <= crate::limits::MAX_BODY_BYTES, "{}", bytes.len());
    assert_eq!(Body::verify(&bytes, &server()), Ok(largest));
    let longer = with(MAX_ROSTER_BYTES + 1).sign(&identity(), &server());
    assert!(Body::verify(&longer, &server()).is_err());
}

#[test]
fn body_survives_its_bytes() {
    let ids = vec![MessageId::of_broadcast(1, 2), MessageId::of_broadcast(1, 3)];
    let person = |key, is_blocked: bool| Person {
        name: "carol".parse().unwrap(),
        key,
        is_verified: !is_blocked,
        is_blocked,
    };
    let people = vec![person(Some(identity().public_key()), false), person(None, true)];
    for content in [
        Content::Text("hé".into()),
        Content::Receipt(ids),
        Content::People(people),
        Content::Roster(vec![1, 2, 3]),
        Content::Wish(GroupId::from_bytes([4; 32]), Wish::Leave, 9),
        Content::File("../a\u{202e}".into(), file(70_000)),
        Content::File(String::new(), file(MAX_FILE_BYTES)),
        Content::Unknown(99),
    ] {
        let mut body = body(content);
        assert_eq!(Body::verify(&body.sign(&identity(), &server()), &server()), Ok(body.clone()));
        let roster = RosterRef { number: 3, hash: [5; 32] };
        body.place = Place::Group { sequence: 4, roster };
        assert_eq!(Body::verify(&body.sign(&identity(), &server()), &server()), Ok(body.clone()));
        body.place = Place::Chat { chat: ChatId(5), number: 6 };
        assert_eq!(Body::verify(&body.sign(&identity(), &server()), &server()), Ok(body));
    }
}

fn file(size: u64) -> FileInfo {
    FileInfo::new(size, FileHash([9; 32])).unwrap()
}

#[test]
fn offer_has_limits() {
    let sealed =
        |content| Body::verify(&body(content).sign(&identity(), &server()), &server()).map(drop);
    let named = |bytes| Content::File("x".repeat(bytes), file(1));
    assert_eq!(sealed(named(MAX_OFFERED_NAME_BYTES)), Ok(()));
    assert_eq!(sealed(named(MAX_OFFERED_NAME_BYTES + 1)), Err(BodyError::Malformed));
    let (_, mut bytes) = Content::File("x".into(), file(MAX_FILE_BYTES)).to_bytes();
    assert!(Content::read(FILE, &bytes).is_some());
    bytes.push(0);
    assert_eq!(Content::read(FILE, &bytes), None);
    let size = bytes.len() - 1 - 32 - 4 - 1;
    bytes.pop();
    bytes[size] += 1;
    assert_eq!(Content::read(FILE, &bytes), None, "a byte more than the most");
}

#[test]
fn length_is_a_power_of_two() {
    for (text, expected) in [(0, 256), (100, 512), (200, 512), (400, 1_024), (16_384, 32_768)] {
        let bytes = body(Content::Text("x".repeat(text))).sign(&identity(), &server());
        assert_eq!(bytes.len(), expected, "{text}");
    }
}

#[test]
fn forged_body_is_refused() {
    let bytes = body(Content::Text("hello".into())).sign(&identity(), &server());
    let other = Fingerprint::of_spki(b"other");
    assert_eq!(Body::verify(&bytes, &other), Err(BodyError::Forged));
    let stranger = Identity::from_seed(&[8; 32]);
    let bytes = body(Content::Text("hello".into())).sign(&stranger, &server());
    assert_eq!(Body::verify(&bytes, &server()), Err(BodyError::Forged));
}

#[test]
fn no_bit_of_a_body_can_be_changed() {
    let bytes = body(Content::Text("hello".into())).sign(&identity(), &server());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(Body::verify(&changed, &server()).is_err(), "{bit}");
    }
}

#[test]
fn text_and_receipt_have_limits() {
    let long = "x".repeat(MAX_MESSAGE_BYTES + 1);
    let ids = vec![MessageId::of_broadcast(1, 2); MAX_RECEIPT_IDS + 1];
    let person = Person {
        name: "a".repeat(32).parse().unwrap(),
        key: Some(identity().public_key()),
        is_verified: true,
        is_blocked: true,
    };
    let largest = body(Content::People(vec![person.clone(); MAX_PEOPLE]));
    assert!(largest.sign(&identity(), &server()).len() <= crate::limits::MAX_BODY_BYTES);
    let crowd = Content::People(vec![person; MAX_PEOPLE + 1]);
    for content in [Content::Text(long), Content::Receipt(ids), crowd] {
        let bytes = body(content).sign(&identity(), &server());
        assert_eq!(Body::verify(&bytes, &server()), Err(BodyError::Malformed));
    }
    let mut crowd = body(Content::Unknown(9));
    crowd.recipients = vec!["bob".parse().unwrap(); MAX_RECIPIENTS + 1];
    let bytes = crowd.sign(&identity(), &server());
    assert_eq!(Body::verify(&bytes, &server()), Err(BodyError::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_signature(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        prop_assert!(Body::verify(&bytes, &server()).is_err());
        prop_assert!(Body::read(&bytes).is_none_or(|body| body.fields() == bytes
            || matches!(body.content, Content::Unknown(_))));
    }
}
