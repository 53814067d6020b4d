//! Seals bodies into envelopes, and keys to key pairs, and opens them (feature `tls`).
//!
//! The padded body is sealed once with a random content key (ChaCha20-Poly1305, RFC 8439). For each device, HPKE (RFC
//! 9180, base mode) seals the content key to the device's prekey. Its `info` names the server, the sender, the
//! recipient and the device, and its associated data is the hash of the sealed body. A header is therefore useless
//! for another body, another device or another sender.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305 as HPKE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

use crate::body::Body;
use crate::envelope::{Envelope, Header, OpenError, Recipient};
use crate::fields;
use crate::identity::{Fingerprint, Identity, PublicKey};
use crate::prekey::{PrekeyPublic, Suite};
use crate::username::Username;

/// The label of the `info` of HPKE.
const LABEL: &[u8] = b"letschat envelope v1\0";

/// A prekey with its private half, which is wiped when dropped.
pub struct Prekey {
    public: PrekeyPublic,
    private: Zeroizing<[u8; 32]>,
}

impl Prekey {
    /// Generates a prekey.
    ///
    /// # Errors
    ///
    /// Fails only if the system's random source fails.
    pub fn generate() -> Result<Prekey, SealError> {
        let (public, private) = HPKE.generate_key_pair().map_err(|_| SealError)?;
        let public = public.0.try_into().map_err(|_| SealError)?;
        let private = private.secret_bytes().try_into().map_err(|_| SealError)?;
        Ok(Prekey { public: PrekeyPublic(public), private: Zeroizing::new(private) })
    }

    /// Returns the prekey with these halves.
    pub fn from_bytes(public: PrekeyPublic, private: [u8; 32]) -> Prekey {
        Prekey { public, private: Zeroizing::new(private) }
    }

    /// Returns the public half.
    pub fn public(&self) -> PrekeyPublic {
        self.public
    }

    /// Returns the private half, for the file that keeps it.
    pub fn private_bytes(&self) -> &[u8; 32] {
        &self.private
    }
}

/// A failure of the system's random source, or a prekey that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the envelope could not be sealed")]
pub struct SealError;

/// Signs a body and seals it for these devices.
///
/// # Errors
///
/// Fails if a prekey is no X25519 key, or if the system's random source fails.
pub fn seal(
    body: &Body,
    identity: &Identity,
    server: &Fingerprint,
    recipients: &[Recipient],
) -> Result<Envelope, SealError> {
    let mut content_key = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *content_key).map_err(|_| SealError)?;
    let mut sealed_body = body.sign(identity, server);
    let key = aead(&*content_key).ok_or(SealError)?;
    // Each content key seals one body, so that the nonce can be fixed.
    key.seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut sealed_body)
        .map_err(|_| SealError)?;
    let hash = digest::digest(&digest::SHA256, &sealed_body);
    let headers = recipients.iter().map(|recipient| {
        let info = info(body.suite, server, &body.sender, &recipient.username, &recipient.device);
        let prekey = HpkePublicKey(recipient.prekey.0.to_vec());
        let (encapsulated, sealed_key) =
            HPKE.seal(&info, hash.as_ref(), &*content_key, &prekey).map_err(|_| SealError)?;
        Ok(Header {
            recipient: recipient.username.clone(),
            device: recipient.device,
            prekey: recipient.prekey,
            encapsulated: encapsulated.0.try_into().map_err(|_| SealError)?,
            content_key: sealed_key.try_into().map_err(|_| SealError)?,
        })
    });
    let headers = headers.collect::<Result<Vec<_>, SealError>>()?;
    Ok(Envelope { suite: body.suite, headers, sealed_body })
}

/// The account and device that open an envelope.
#[derive(Debug, Clone, Copy)]
pub struct Receiver<'a> {
    /// The server that delivered it.
    pub server: &'a Fingerprint,
    /// The account.
    pub username: &'a Username,
    /// The device's identity key.
    pub device: &'a PublicKey,
}

/// Opens an envelope that the server says `sender` posted, and verifies its body. The caller still judges the
/// sender's device.
///
/// # Errors
///
/// Returns the reason for which it is refused.
pub fn open(
    envelope: &Envelope,
    sender: &Username,
    receiver: Receiver<'_>,
    prekey_of: impl FnOnce(&PrekeyPublic) -> Option<Prekey>,
) -> Result<Body, OpenError> {
    let Receiver { server, username, device } = receiver;
    if envelope.suite != Suite::X25519 {
        return Err(OpenError::Suite);
    }
    let is_own = |header: &&Header| header.recipient == *username && header.device == *device;
    let header = envelope.headers.iter().find(is_own).ok_or(OpenError::NoKey)?;
    let prekey = prekey_of(&header.prekey).ok_or(OpenError::NoKey)?;
    let hash = digest::digest(&digest::SHA256, &envelope.sealed_body);
    let info = info(envelope.suite, server, sender, username, device);
    let content_key = HPKE
        .open(
            &EncapsulatedSecret(header.encapsulated.to_vec()),
            &info,
            hash.as_ref(),
            &header.content_key,
            &HpkePrivateKey::from(prekey.private.to_vec()),
        )
        .map(Zeroizing::new)
        .map_err(|_| OpenError::Altered)?;
    let key = aead(&content_key).ok_or(OpenError::Altered)?;
    let mut bytes = envelope.sealed_body.clone();
    let bytes = key
        .open_in_place(zero_nonce(), Aad::empty(), &mut bytes)
        .map_err(|_| OpenError::Altered)?;
    let body = Body::verify(bytes, server)?;
    if body.suite != envelope.suite {
        return Err(OpenError::Suite);
    }
    if body.sender != *sender {
        return Err(OpenError::OtherSender);
    }
    // A device gets copies of what its account's other devices send.
    if !body.recipients.contains(username) && body.sender != *username {
        return Err(OpenError::NotAddressed);
    }
    Ok(body)
}

/// The bytes of a sealed key: an encapsulated key, the key, and a tag.
pub const SEALED_KEY_BYTES: usize = 32 + 32 + 16;

/// Seals a symmetric key to a key pair (HPKE in base mode). `label` says what for, and opens nothing else.
///
/// # Errors
///
/// Fails if the public half is no X25519 key, or if the system's random source fails.
pub fn seal_key(
    label: &[u8],
    public: &PrekeyPublic,
    key: &[u8; 32],
) -> Result<[u8; SEALED_KEY_BYTES], SealError> {
    let public = HpkePublicKey(public.0.to_vec());
    let (EncapsulatedSecret(mut bytes), sealed) =
        HPKE.seal(label, &[], key, &public).map_err(|_| SealError)?;
    bytes.extend(sealed);
    bytes.try_into().map_err(|_| SealError)
}

/// Opens a key that [`seal_key`] has sealed, or returns `None` if it was sealed to another pair or altered.
pub fn open_key(
    label: &[u8],
    pair: &Prekey,
    sealed: &[u8; SEALED_KEY_BYTES],
) -> Option<Zeroizing<[u8; 32]>> {
    let (encapsulated, sealed) = sealed.split_at(32);
    let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
    let private = HpkePrivateKey::from(pair.private.to_vec());
    let key = HPKE.open(&encapsulated, label, &[], sealed, &private).map(Zeroizing::new).ok()?;
    Some(Zeroizing::new(key.as_slice().try_into().ok()?))
}

fn aead(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn info(
    suite: Suite,
    server: &Fingerprint,
    sender: &Username,
    recipient: &Username,
    device: &PublicKey,
) -> Vec<u8> {
    let mut info = LABEL.to_vec();
    fields::write(&mut info, &[suite.0]);
    fields::write(&mut info, server.as_bytes());
    fields::write(&mut info, sender.as_str().as_bytes());
    fields::write(&mut info, recipient.as_str().as_bytes());
    fields::write(&mut info, device.as_bytes());
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Content, DeviceListRef, Place};

    struct Pair {
        server: Fingerprint,
        alice: Identity,
        bob: Identity,
        prekey: Prekey,
    }

    impl Pair {
        fn new() -> Pair {
            Pair {
                server: Fingerprint::of_spki(b"server"),
                alice: Identity::from_seed(&[1; 32]),
                bob: Identity::from_seed(&[2; 32]),
                prekey: Prekey::generate().unwrap(),
            }
        }

        fn body(&self) -> Body {
            Body {
                suite: Suite::X25519,
                sender: name("alice"),
                device: self.alice.public_key(),
                list: DeviceListRef::default(),
                recipients: vec![name("bob")],
                conversation: "bob".into(),
                place: Place::Sequence(1),
                time_ms: 5,
                content: Content::Text("hello".into()),
            }
        }

        fn recipient(&self) -> Recipient {
            let prekey = self.prekey.public();
            Recipient { username: name("bob"), device: self.bob.public_key(), prekey }
        }

        fn sealed(&self, body: &Body) -> Envelope {
            seal(body, &self.alice, &self.server, &[self.recipient()]).unwrap()
        }

        fn open(&self, envelope: &Envelope) -> Result<Body, OpenError> {
            self.open_from(envelope, "alice", "bob")
        }

        fn open_from(&self, envelope: &Envelope, from: &str, to: &str) -> Result<Body, OpenError> {
            let (device, username) = (self.bob.public_key(), name(to));
            let receiver = Receiver { server: &self.server, username: &username, device: &device };
            open(envelope, &name(from), receiver, |public| {
                let is_it = *public == self.prekey.public();
                is_it.then(|| Prekey::from_bytes(*public, *self.prekey.private_bytes()))
            })
        }
    }

    fn name(text: &str) -> Username {
        text.parse().unwrap()
    }

    #[test]
    fn envelope_opens_for_its_recipient() {
        let pair = Pair::new();
        assert_eq!(pair.open(&pair.sealed(&pair.body())), Ok(pair.body()));
    }

    #[test]
    fn two_devices_open_the_same_body() {
        let pair = Pair::new();
        let other = Recipient { username: name("carol"), ..pair.recipient() };
        let recipients = [other, pair.recipient()];
        let envelope = seal(&pair.body(), &pair.alice, &pair.server, &recipients).unwrap();
        assert_eq!(pair.open(&envelope), Ok(pair.body()));
    }

    #[test]
    fn no_byte_of_an_envelope_can_be_changed() {
        let pair = Pair::new();
        let bytes = pair.sealed(&pair.body()).to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let opened = Envelope::parse(&changed).map(|envelope| pair.open(&envelope));
            assert!(!matches!(opened, Ok(Ok(_))), "{at}");
        }
    }

    #[test]
    fn header_is_for_one_body_device_and_sender() {
        let pair = Pair::new();
        let (one, other) = (pair.sealed(&pair.body()), pair.sealed(&pair.body()));
        let swapped = Envelope { sealed_body: other.sealed_body, ..one.clone() };
        assert_eq!(pair.open(&swapped), Err(OpenError::Altered));
        assert_eq!(pair.open_from(&one, "mallory", "bob"), Err(OpenError::Altered));
        assert_eq!(pair.open_from(&one, "alice", "carol"), Err(OpenError::NoKey));
        let mut readdressed = one;
        readdressed.headers[0].recipient = name("carol");
        assert_eq!(pair.open_from(&readdressed, "alice", "carol"), Err(OpenError::Altered));
    }

    #[test]
    fn body_for_others_is_refused() {
        let pair = Pair::new();
        let forwarded = Body { recipients: vec![name("carol")], ..pair.body() };
        assert_eq!(pair.open(&pair.sealed(&forwarded)), Err(OpenError::NotAddressed));
    }

    #[test]
    fn other_sender_or_suite_inside_is_refused() {
        let pair = Pair::new();
        // A device that claims another account, posted by that account's session.
        let claimed = Body { sender: name("carol"), ..pair.body() };
        let envelope = pair.sealed(&claimed);
        assert_eq!(pair.open(&envelope), Err(OpenError::Altered));
        let inside = Body { suite: Suite(2), ..pair.body() };
        let mut envelope = pair.sealed(&inside);
        assert_eq!(pair.open(&envelope), Err(OpenError::Suite));
        envelope.suite = Suite::X25519;
        assert_eq!(pair.open(&envelope), Err(OpenError::Altered), "the header names the suite");
    }

    #[test]
    fn sealed_key_is_for_one_pair_and_purpose() {
        let pair = Prekey::generate().unwrap();
        let sealed = seal_key(b"history", &pair.public(), &[7; 32]).unwrap();
        assert_eq!(open_key(b"history", &pair, &sealed).as_deref(), Some(&[7; 32]));
        assert_eq!(open_key(b"other", &pair, &sealed), None);
        assert_eq!(open_key(b"history", &Prekey::generate().unwrap(), &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed;
            changed[at] ^= 1;
            assert_eq!(open_key(b"history", &pair, &changed), None, "{at}");
        }
    }

    #[test]
    fn deleted_prekey_opens_nothing() {
        let mut pair = Pair::new();
        let envelope = pair.sealed(&pair.body());
        pair.prekey = Prekey::generate().unwrap();
        assert_eq!(pair.open(&envelope), Err(OpenError::NoKey));
    }

    #[test]
    fn prekey_that_is_no_key_is_refused() {
        let pair = Pair::new();
        // The point of order 1, which makes the shared secret zero (RFC 7748, section 6.1).
        let recipient = Recipient { prekey: PrekeyPublic([0; 32]), ..pair.recipient() };
        let sealed = seal(&pair.body(), &pair.alice, &pair.server, &[recipient]);
        assert_eq!(sealed, Err(SealError));
    }
}
