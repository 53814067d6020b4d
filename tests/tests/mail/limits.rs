//! Limits: recipients of an envelope, and envelopes of an account.

use letschat_protocol::dialogue::Request;
use letschat_protocol::envelope::{Envelope, EnvelopeId, Header};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::limits::MAX_RECIPIENT_DEVICES;
use letschat_protocol::prekey::{PrekeyPublic, Suite};
use letschat_tests::typist::Typist;

use super::*;

/// Returns an envelope for this many devices of Bob, which nobody can open.
fn envelope(devices: usize) -> Vec<u8> {
    let header = |n: usize| Header {
        recipient: "bob".parse().unwrap(),
        device: PublicKey::from_bytes([n as u8; 32]),
        prekey: PrekeyPublic([2; 32]),
        encapsulated: [3; 32],
        content_key: [4; 48],
    };
    let headers = (0..devices).map(header).collect();
    Envelope { suite: Suite::X25519, headers, sealed_body: vec![5; 272] }.to_bytes()
}

/// Posts an envelope as a program does. Returns the reply's last line and the number of lines before it.
fn post(mallory: &mut Typist, id: u128, devices: usize) -> (String, usize) {
    let request = Request::Post { id: EnvelopeId(id), envelope: envelope(devices) };
    mallory.sends(&request.to_frame().to_bytes());
    let mut items = 0;
    loop {
        let frame = mallory.next_frame().expect("the server answers");
        let line = frame.as_line().to_owned();
        match line.as_bytes().get(3) {
            Some(b'-') => items += 1,
            Some(b' ') if !line.starts_with("* ") => return (line, items),
            _ => {}
        }
    }
}

#[test]
fn envelope_for_161_devices_is_refused() {
    let server = TestServer::start(&[]);
    let mut bob = TestClient::join(&server, "bob");
    let mut mallory = Typist::joins_as_program(&server, "mallory", 9);
    let (line, items) = post(&mut mallory, 1, MAX_RECIPIENT_DEVICES + 1);
    assert!(line.starts_with("556 ") && items == 0, "{line}");
    let (line, items) = post(&mut mallory, 2, MAX_RECIPIENT_DEVICES);
    // One more item names the device that bob has.
    assert!(line.starts_with("250 ") && items == MAX_RECIPIENT_DEVICES + 1, "{line}");
    bob.is_in();
}

#[test]
fn flood_of_posts_is_slowed_and_nobody_else_waits() {
    let server = TestServer::start(&[]);
    let (mut alice, mut bob) =
        (TestClient::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.befriend(&mut bob);
    let mut mallory = Typist::joins_as_program(&server, "mallory", 9);
    let mut slowed = 0;
    for id in 0..100 {
        let (line, _) = post(&mut mallory, id, 1);
        slowed += u32::from(line.starts_with("429 "));
        if id % 20 == 0 {
            send(&mut alice, "bob", &format!("{id}"));
            wait_mail(&mut bob, &format!("{id}"));
        }
    }
    // Some time passes, in which a few more are taken.
    assert!(slowed >= 30, "{slowed}");
}

#[test]
fn messages_beyond_the_rate_wait_and_arrive_in_order() {
    let (_server, mut alice, mut bob) =
        friends(&["--post-burst", "5", "--post-interval-ms", "100"]);
    let ids: Vec<u64> = (0..30)
        .map(|n| alice.tell("send", json!({"to": "bob", "text": format!("number {n}")})))
        .collect();
    for n in 0..30 {
        assert_eq!(bob.wait_event("message")["text"], format!("number {n}"));
    }
    for id in ids {
        let reply = alice.reply(id);
        assert!(reply.get("error").is_none(), "{reply}");
    }
}
