//! Round trips through the wire format, and rejection of malformed frames.

use super::assembly::MAX_REPLY_BYTES;
use super::*;
use crate::body::DeviceListRef;
use crate::code::Code;
use crate::devices::{DeviceEntry, DeviceName};
use crate::envelope::EnvelopeId;
use crate::frame::{Decoder, Frame, Mode};
use crate::identity::Identity;
use crate::prekey::{PrekeyPublic, SignedPrekey};
use crate::signing::LoginStatement;
use crate::username::Username;
use proptest::prelude::*;

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

fn credentials(take: bool) -> Credentials {
    let identity = Identity::from_seed(&[1; 32]);
    let statement = LoginStatement {
        server: &crate::identity::Fingerprint::of_spki(b"s"),
        username: &name("alice"),
        binding: &[0; 32],
    };
    let signature = identity.sign(&statement);
    Credentials { key: identity.public_key(), signature, port: 4401, take }
}

fn prekey() -> SignedPrekey {
    let (identity, server) =
        (Identity::from_seed(&[1; 32]), crate::identity::Fingerprint::of_spki(b"s"));
    SignedPrekey::sign(&identity, &server, &name("alice"), PrekeyPublic([9; 32]), 7)
}

fn entry() -> DeviceEntry {
    let server = crate::identity::Fingerprint::of_spki(b"s");
    let name = DeviceName::like("laptop");
    let alice = "alice".parse().unwrap();
    DeviceEntry::first(&Identity::from_seed(&[1; 32]), (&server, &alice), name, 7)
}

#[test]
fn entries_of_a_list_survive_the_wire_and_fit_a_reply() {
    for count in [0, 1, MAX_ENTRIES] {
        let list = DeviceListRef { number: 1_000, hash: [7; 32] };
        let entries = DeviceEntries { entries: vec![entry(); count], list };
        let reply = entries.to_reply();
        assert_eq!(DeviceEntries::from_reply(&reply), Some(entries));
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        // The longest name has 32 characters.
        assert!(bytes.len() + count * 26 < 64 * 1024, "{}", bytes.len());
    }
}

#[test]
fn items_about_envelopes_survive_the_wire() {
    let device = Identity::from_seed(&[2; 32]).public_key();
    for outcome in Outcome::ALL {
        let posted = Posted { recipient: name("bob"), device, outcome: *outcome };
        assert_eq!(Posted::parse(&posted.to_string()), Some(posted));
    }
    for used_ms in [None, Some(9)] {
        let keys = DeviceKeys { device, prekey: prekey(), used_ms };
        assert_eq!(DeviceKeys::parse(&keys.to_string()), Some(keys.clone()));
        let list = DeviceListRef { number: 3, hash: [7; 32] };
        let keys = AccountKeys { devices: vec![keys], list };
        assert_eq!(AccountKeys::from_reply(&keys.to_reply()), Some(keys));
    }
    assert_eq!(DeviceKeys::parse(&device.to_string()), None);
}

#[test]
fn acknowledgement_is_a_line_of_numbers() {
    let line = |count: u64| Request::Acknowledge { numbers: (0..count).collect() }.to_frame();
    assert!(Request::from_frame(&line(64)).is_ok());
    assert!(Request::from_frame(&line(65)).is_err());
    assert!(Request::from_frame(&Frame::line("ACK")).is_err());
    assert!(Request::from_frame(&Frame::line("ACK -1")).is_err());
    let longest = Request::Acknowledge { numbers: vec![u64::MAX; 64] }.to_frame().to_bytes();
    assert!(longest.len() <= crate::limits::MAX_LINE_BYTES);
}

#[test]
fn every_request_survives_the_wire() {
    let secret = |text: &str| Secret(text.into());
    let requests = [
        Request::Hello,
        Request::SignUp {
            username: "alice".into(),
            password: secret("correct horse"),
            repeated: secret("correct house"),
        },
        Request::Login {
            username: "alice".into(),
            credentials: credentials(false),
            password: secret("pass +5 word"),
        },
        Request::Key { username: "alice".into(), credentials: credentials(true) },
        Request::ChangePassword {
            password: secret("correct horse"),
            new: secret("other horse +5"),
            repeated: secret("other house +5"),
        },
        Request::List { after: None },
        Request::List { after: Some(name("bob")) },
        Request::Watch(true),
        Request::Watch(false),
        Request::Connect { who: "10.0.0.1:4401".into() },
        Request::Locate { name: "bob".into(), key: credentials(false).key },
        Request::Meet { name: "bob".into(), key: credentials(false).key },
        Request::Join { token: MeetingToken(7), local: "[2001:db8::1]:50000".parse().unwrap() },
        Request::Relay,
        Request::Broadcast { text: "hi, all".into() },
        Request::Replay { from: 7 },
        Request::Prekey(prekey()),
        Request::Keys { name: "bob".into() },
        Request::Devices { name: "bob".into(), after: 7 },
        Request::Enrol { name: DeviceName::like("laptop"), consent: credentials(false).signature },
        Request::Change { number: 2, entry: Box::new(entry()) },
        Request::Recover { entry: Box::new(entry()), password: secret("correct horse +5") },
        Request::Post { id: EnvelopeId(7), envelope: vec![0xff, 0, b'\n'] },
        Request::Acknowledge { numbers: vec![1] },
        Request::Acknowledge { numbers: (u64::MAX - 63..=u64::MAX).collect() },
        Request::Ping,
        Request::Active,
        Request::Help,
        Request::Quit,
    ];
    for request in requests {
        assert_eq!(Request::from_frame(&request.to_frame()), Ok(request));
    }
}

#[test]
fn every_verb_has_a_usage_that_its_error_names() {
    for (verb, usage) in USAGE {
        let wrong = Frame::line(format!("{verb} one two three four five six seven"));
        let error = Request::from_frame(&wrong).unwrap_err();
        assert_eq!(error, RequestError { code: Code::BadArguments, expected: usage });
    }
    let error = Request::from_frame(&Frame::line("XYZZY")).unwrap_err();
    assert_eq!(error.code, Code::UnknownCommand);
    assert!(!error.expected.contains("XYZZY"));
}

#[test]
fn a_verb_with_a_payload_it_does_not_take_is_refused() {
    assert!(Request::from_frame(&Frame::with_payload("QUIT", "x")).is_err());
    assert!(Request::from_frame(&Frame::line("BROADCAST")).is_err());
    assert!(Request::from_frame(&Frame::with_payload("BROADCAST", [0xff])).is_err());
}

#[test]
fn a_word_of_the_protocols_own_is_that_word_in_any_case() {
    for line in ["HELLO letschat/2", "LIST BEFORE bob", "WATCH OF", "REPLAY SINCE 7"] {
        assert!(Request::from_frame(&Frame::line(line)).is_err(), "{line}");
    }
    for line in ["HELLO LETSCHAT/1", "LIST after bob", "WATCH off", "REPLAY from 7"] {
        assert!(Request::from_frame(&Frame::line(line)).is_ok(), "{line}");
    }
}

#[test]
fn a_password_is_not_shown_and_who_has_no_receiver_has_a_dash() {
    assert_eq!(format!("{:?}", Secret("hidden".into())), "Secret");
    let by_hand =
        Listed { username: name("bob"), address: "10.0.0.1".parse().unwrap(), port: None };
    assert_eq!(by_hand.to_string(), "bob 10.0.0.1 -");
}

#[test]
fn every_notice_survives_the_wire() {
    let entry = Broadcast { number: 3, sender: name("bob"), time_ms: 99, text: "hi +3".into() };
    let introduction = Introduction {
        username: name("bob"),
        receiver: "[fe80::1]:4401".parse().unwrap(),
        key: Identity::from_seed(&[2; 32]).public_key(),
    };
    let mut notices = vec![
        Notice::Broadcast { entry: entry.clone(), own: true },
        Notice::Broadcast { entry, own: false },
        Notice::Replayed { through: 9 },
        Notice::Introduction(introduction.clone()),
        Notice::Meeting(Invitation {
            username: introduction.username.clone(),
            key: introduction.key,
            token: MeetingToken(u128::MAX),
            server: None,
        }),
        Notice::Meeting(Invitation {
            username: introduction.username.clone(),
            key: introduction.key,
            token: MeetingToken(0),
            server: Some("[2001:db8::1]:4400".parse().unwrap()),
        }),
        Notice::Client { who: introduction.clone(), is_new: true },
        Notice::Client { who: introduction, is_new: false },
        Notice::Joined(vec![name("a"), name("b")]),
        Notice::Left(vec![name("c")]),
        Notice::Crowd { joined: 4_000, left: 2 },
        Notice::Mail(Mail {
            number: 3,
            id: EnvelopeId(7),
            sender: name("bob"),
            time_ms: 99,
            envelope: vec![0xff, 0, b'\n'],
        }),
        Notice::Devices { number: 2 },
        Notice::Enrolling(Enrolling {
            device: Identity::from_seed(&[2; 32]).public_key(),
            address: "10.0.0.1".parse().unwrap(),
            name: DeviceName::like("laptop"),
            consent: credentials(false).signature,
        }),
        Notice::Unlisted {
            device: Identity::from_seed(&[2; 32]).public_key(),
            address: "fe80::1".parse().unwrap(),
        },
        Notice::Say("back in five minutes +5".into()),
    ];
    notices.extend(Closing::ALL.iter().map(|why| Notice::Closing(*why)));
    for notice in notices {
        let taken = ReplyAssembler::default().take(&notice.to_frame());
        assert_eq!(taken, Ok(Some(FromServer::Notice(notice))));
    }
}

#[test]
fn long_replies_are_put_together_again() {
    let reply = Reply::long(Code::Ok, ["a".to_owned(), "b".to_owned()], "2 end".to_owned());
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    assert_eq!(bytes, b"250-a\n250-b\n250 2 end\n");
    let mut assembler = ReplyAssembler::default();
    assert_eq!(assembler.take(&Frame::line("250-a")), Ok(None));
    assert_eq!(assembler.take(&Frame::line("250-b")), Ok(None));
    assert_eq!(assembler.take(&Frame::line("250 2 end")), Ok(Some(FromServer::Reply(reply))));
}

#[test]
fn what_is_no_reply_is_refused_and_an_endless_reply_too() {
    for line in ["", "HTTP/1.1 400 Bad Request", "99", "250+x", "250", "äöü"] {
        assert_eq!(ReplyAssembler::default().take(&Frame::line(line)), Err(NotAReply), "{line}");
    }
}

#[test]
fn reply_of_text_or_empty_lines_has_a_longest_form() {
    for text in ["", "x".repeat(60).as_str()] {
        let line = format!("250-{text}");
        let mut assembler = ReplyAssembler::default();
        for _ in 0..MAX_REPLY_BYTES / line.len() {
            assert_eq!(assembler.take(&Frame::line(line.clone())), Ok(None));
        }
        assert_eq!(assembler.take(&Frame::line("250 end")), Err(NotAReply), "{text:?}");
    }
}

#[test]
fn each_closing_has_a_name_and_a_sentence_of_its_own() {
    for closing in Closing::ALL {
        let like_it = |other: &&Closing| {
            other.name() == closing.name() || other.sentence() == closing.sentence()
        };
        assert_eq!(Closing::ALL.iter().filter(like_it).count(), 1, "{closing:?}");
        assert!(closing.sentence().ends_with('.'), "{closing:?}");
    }
}

#[test]
fn a_welcome_survives_its_reply() {
    let welcome = Welcome {
        username: name("alice"),
        session: SessionId(0xfeed),
        epoch: u64::MAX,
        head: 12,
        udp_port: 4400,
        address: "::1".parse().unwrap(),
    };
    assert_eq!(Welcome::from_reply(&welcome.to_reply()), Some(welcome));
}

fn any_name() -> impl Strategy<Value = Username> {
    "[a-z][a-z0-9_.-]{0,8}".prop_map(|name| name.parse().unwrap())
}

fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

/// Generates secrets of one line, as the payload's format requires.
fn any_secret() -> impl Strategy<Value = Secret> {
    any_text().prop_map(|text| Secret(text.replace('\n', " ")))
}

fn any_credentials() -> impl Strategy<Value = Credentials> {
    // Signing is far slower than the rest of the test, so all cases share one signature.
    static SIGNED: std::sync::LazyLock<Credentials> =
        std::sync::LazyLock::new(|| credentials(false));
    (1_u16.., any::<bool>()).prop_map(|(port, take)| Credentials { port, take, ..SIGNED.clone() })
}

fn any_request() -> impl Strategy<Value = Request> {
    let word = || "[!-*,-~]{1,12}";
    prop_oneof![
        (word(), any_secret(), any_text().prop_map(Secret)).prop_map(
            |(username, password, repeated)| Request::SignUp { username, password, repeated }
        ),
        (word(), any_credentials(), any_text().prop_map(Secret)).prop_map(
            |(username, credentials, password)| Request::Login { username, credentials, password }
        ),
        (word(), any_credentials())
            .prop_map(|(username, credentials)| Request::Key { username, credentials }),
        (any_secret(), any_secret(), any_text().prop_map(Secret)).prop_map(
            |(password, new, repeated)| Request::ChangePassword { password, new, repeated }
        ),
        prop::option::of(any_name()).prop_map(|after| Request::List { after }),
        any::<bool>().prop_map(Request::Watch),
        word().prop_map(|who| Request::Connect { who }),
        (word(), any_credentials())
            .prop_map(|(name, credentials)| Request::Locate { name, key: credentials.key }),
        (word(), any_credentials())
            .prop_map(|(name, credentials)| Request::Meet { name, key: credentials.key }),
        (any::<u128>(), any::<(std::net::IpAddr, u16)>()).prop_map(|(token, local)| {
            Request::Join { token: MeetingToken(token), local: local.into() }
        }),
        any_text().prop_map(|text| Request::Broadcast { text }),
        any::<u64>().prop_map(|from| Request::Replay { from }),
        prop::sample::select(vec![
            Request::Hello,
            Request::Relay,
            Request::Ping,
            Request::Active,
            Request::Help,
            Request::Quit
        ]),
    ]
}

fn any_notice() -> impl Strategy<Value = Notice> {
    let names = || prop::collection::vec(any_name(), 0..5);
    prop_oneof![
        (any::<u64>(), any_name(), any::<u64>(), any_text(), any::<bool>()).prop_map(
            |(number, sender, time_ms, text, own)| {
                Notice::Broadcast { entry: Broadcast { number, sender, time_ms, text }, own }
            }
        ),
        any::<u64>().prop_map(|through| Notice::Replayed { through }),
        (any_name(), any::<std::net::IpAddr>(), any::<u16>()).prop_map(|(username, ip, port)| {
            let key = Identity::from_seed(&[1; 32]).public_key();
            Notice::Introduction(Introduction { username, receiver: (ip, port).into(), key })
        }),
        (any_name(), any::<std::net::IpAddr>(), any::<(u16, bool)>()).prop_map(
            |(username, ip, (port, is_new))| {
                let key = Identity::from_seed(&[1; 32]).public_key();
                let who = Introduction { username, receiver: (ip, port).into(), key };
                Notice::Client { who, is_new }
            }
        ),
        names().prop_map(Notice::Joined),
        names().prop_map(Notice::Left),
        any::<(u64, u64)>().prop_map(|(joined, left)| Notice::Crowd { joined, left }),
        any_text().prop_map(Notice::Say),
        prop::sample::select(Closing::ALL).prop_map(Notice::Closing),
    ]
}

/// Generates replies like the server's: each line without line ends and without a payload
/// announcement.
fn any_reply() -> impl Strategy<Value = Reply> {
    let code = prop::sample::select(vec![Code::Ok, Code::Help, Code::Busy, Code::Malformed]);
    let lines = prop::collection::vec("[ -~é€😀]{0,20}[a-z.]", 1..5);
    (code, lines).prop_map(|(code, lines)| Reply { code, lines })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn any_request_survives_the_wire(request in any_request()) {
        prop_assert_eq!(Request::from_frame(&through_the_wire(&request.to_frame())), Ok(request));
    }

    #[test]
    fn any_notice_survives_the_wire(notice in any_notice()) {
        let frame = through_the_wire(&notice.to_frame());
        let said = ReplyAssembler::default().take(&frame);
        prop_assert_eq!(said, Ok(Some(FromServer::Notice(notice))));
    }

    #[test]
    fn any_reply_survives_the_wire(reply in any_reply()) {
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        let (mut assembler, mut said) = (ReplyAssembler::default(), None);
        for frame in frames(&bytes) {
            prop_assert_eq!(&said, &None, "a reply ended before its last line");
            said = assembler.take(&frame).unwrap();
        }
        prop_assert_eq!(said, Some(FromServer::Reply(reply)));
    }
}

fn through_the_wire(frame: &Frame) -> Frame {
    let mut frames = frames(&frame.to_bytes());
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    decoder.extend(bytes);
    let frames = std::iter::from_fn(|| decoder.next(Mode::Frame).unwrap()).collect();
    assert_eq!(decoder.buffered(), 0);
    frames
}
