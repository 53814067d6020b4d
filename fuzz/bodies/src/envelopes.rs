//! Envelopes and the bodies inside, with a server that alters, misdelivers and forges them.

use letschat_protocol::body::{Body, Content, DeviceListRef, MAX_RECEIPT_IDS, Place};
use letschat_protocol::dialogue::{DeviceKeys, Posted};
use letschat_protocol::envelope::{Envelope, Recipient};
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::ChatId;
use letschat_protocol::prekey::Suite;
use letschat_protocol::sealing::{Prekey, Receiver, open, seal};
use letschat_protocol::username::Username;

use crate::choices::Choices;

/// The most envelopes that one input delivers, since each takes as long as thousands of bytes of other input.
const MAX_DELIVERIES: usize = 8;

/// Checks that bytes are an envelope or refused, and that what a device opens is what the author sealed, whatever the
/// server does to the envelope.
pub fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(envelope.to_bytes(), bytes);
    }
    for line in String::from_utf8_lossy(bytes).lines() {
        let keys = DeviceKeys::parse(line);
        let again = keys.as_ref().map(|keys| DeviceKeys::parse(&keys.to_string()));
        assert_eq!(again, keys.map(Some));
        let posted = Posted::parse(line);
        let again = posted.as_ref().map(|posted| Posted::parse(&posted.to_string()));
        assert_eq!(again, posted.map(Some));
    }
    let mut choices = Choices::new(bytes);
    let world = World::new();
    assert!(Body::verify(choices.bytes(600), &world.server).is_err(), "nobody signed it");

    let body = world.body(&mut choices);
    let devices = &world.devices[..=choices.below(world.devices.len())];
    let recipients: Vec<Recipient> = devices.iter().map(Device::recipient).collect();
    let Ok(sealed) = seal(&body, &world.author, &world.server, &recipients) else {
        panic!("a prekey is a key");
    };
    for device in devices {
        let opened = world.open(device, &sealed);
        assert_eq!(opened.as_ref(), Some(&body).filter(|body| opens(body, &device.username)));
    }
    for _ in 0..MAX_DELIVERIES {
        if choices.is_over() {
            break;
        }
        let device = &world.devices[choices.below(world.devices.len())];
        if let Ok(altered) = Envelope::parse(&altered(&sealed, &mut choices)) {
            let opened = world.open(device, &altered);
            assert!(opened.is_none_or(|opened| opened == body), "another body opens");
        }
    }
}

/// Returns the bytes of the envelope with some change.
fn altered(sealed: &Envelope, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut altered = sealed.clone();
    let (from, to) = (choices.below(sealed.headers.len()), choices.below(sealed.headers.len()));
    match choices.below(5) {
        0 => altered.headers[to].content_key = sealed.headers[from].content_key,
        1 => altered.headers[to].encapsulated = sealed.headers[from].encapsulated,
        2 => altered.headers.swap(from, to),
        3 => altered.sealed_body = choices.bytes(300).to_vec(),
        _ => {}
    }
    let mut bytes = altered.to_bytes();
    let at = choices.below(bytes.len());
    bytes[at] ^= choices.below(256) as u8;
    bytes.truncate(bytes.len() - choices.below(20));
    bytes
}

/// Returns true if a device of this account opens the unaltered envelope.
fn opens(body: &Body, username: &Username) -> bool {
    body.suite == Suite::X25519 && body.recipients.contains(username)
}

struct Device {
    username: Username,
    key: PublicKey,
    prekey: Prekey,
}

impl Device {
    fn recipient(&self) -> Recipient {
        let Device { username, key, prekey } = self;
        Recipient { username: username.clone(), device: *key, prekey: prekey.public() }
    }
}

/// An author, a server, and the devices of two others.
struct World {
    server: Fingerprint,
    author: Identity,
    name: Username,
    devices: Vec<Device>,
}

fn name(text: &str) -> Username {
    text.parse().expect("a name")
}

impl World {
    fn new() -> World {
        let device = |(username, seed)| Device {
            username: name(username),
            key: Identity::from_seed(&[seed; 32]).public_key(),
            prekey: Prekey::generate().expect("a random source"),
        };
        World {
            server: Fingerprint::of_spki(b"server"),
            author: Identity::from_seed(&[1; 32]),
            name: name("alice"),
            devices: [("bob", 2), ("bob", 3), ("carol", 4)].map(device).into(),
        }
    }

    fn body(&self, choices: &mut Choices<'_>) -> Body {
        let place = match choices.flip() {
            true => Place::Sequence(choices.number()),
            false => {
                Place::Chat { chat: ChatId(choices.number().into()), number: choices.number() }
            }
        };
        let content = match choices.below(3) {
            0 => Content::Text(choices.text(400)),
            1 => {
                let id = |n: usize| MessageId::from_bytes([n as u8; 16]);
                Content::Receipt((0..choices.below(MAX_RECEIPT_IDS)).map(id).collect())
            }
            // The numbers of known kinds are small.
            _ => Content::Unknown(100 + choices.below(100) as u8),
        };
        let all = [name("bob"), name("carol"), name("dave")];
        Body {
            suite: if choices.below(8) == 0 { Suite(7) } else { Suite::X25519 },
            sender: self.name.clone(),
            device: self.author.public_key(),
            list: DeviceListRef { number: choices.number(), hash: [choices.below(256) as u8; 32] },
            recipients: all.into_iter().filter(|_| choices.below(4) > 0).collect(),
            conversation: choices.text(60),
            place,
            time_ms: choices.number(),
            content,
        }
    }

    fn open(&self, device: &Device, envelope: &Envelope) -> Option<Body> {
        let Device { username, key, prekey } = device;
        let receiver = Receiver { server: &self.server, username, device: key };
        let public = prekey.public();
        let prekey_of = |asked: &_| {
            (*asked == public).then(|| Prekey::from_bytes(public, *prekey.private_bytes()))
        };
        open(envelope, &self.name, receiver, prekey_of).ok()
    }
}
