//! Identities: key pairs, fingerprints, safety numbers.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::HEXLOWER_PERMISSIVE as HEX;

use crate::username::Username;

/// The label of every key that is exported from a TLS session. Its prefix marks it as private use
/// (RFC 5705, section 4).
pub const EXPORTER_LABEL: &[u8] = b"EXPERIMENTAL letschat v1";
/// The exporter context of a login signature's channel binding.
pub const EXPORTER_CONTEXT_LOGIN: &[u8] = b"login";
/// The exporter context of the key that seals datagrams from a client to its server.
pub const EXPORTER_CONTEXT_TO_SERVER: &[u8] = b"datagrams to server";
/// The exporter context of the key that seals datagrams from the server to a client.
pub const EXPORTER_CONTEXT_TO_CLIENT: &[u8] = b"datagrams to client";

/// The channel binding of a login signature: 32 bytes that only the two ends of a TLS session can
/// export.
pub type ChannelBinding = [u8; 32];

/// The DER of an Ed25519 SubjectPublicKeyInfo before the key itself (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 public key (RFC 8032), written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// The SHA-256 of a SubjectPublicKeyInfo (as in RFC 7469, section 2.4), written as 64 hexadecimal
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// An Ed25519 signature, written as 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// A value that is no valid key, fingerprint or signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The wrong number of hexadecimal digits; the field is the right one.
    #[error("expected {0} hexadecimal digits")]
    Digits(usize),
    /// A SubjectPublicKeyInfo of another kind of key.
    #[error("expected an Ed25519 public key")]
    KeyKind,
    /// A private key that can't be read.
    #[error("the identity's private key can't be read")]
    PrivateKey,
}

impl PublicKey {
    /// Returns the key with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        PublicKey(bytes)
    }

    /// Parses the key's SubjectPublicKeyInfo, which a raw public key certificate carries (RFC 7250,
    /// section 3).
    pub fn from_spki(der: &[u8]) -> Result<Self, IdentityError> {
        let key = der.strip_prefix(&SPKI_PREFIX).ok_or(IdentityError::KeyKind)?;
        Ok(PublicKey(key.try_into().map_err(|_| IdentityError::KeyKind)?))
    }

    /// Returns the key's SubjectPublicKeyInfo in DER.
    pub fn to_spki(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }

    /// Returns the key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the fingerprint, which people compare and files store.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_spki(&self.to_spki())
    }
}

impl Fingerprint {
    /// Returns the fingerprint of a SubjectPublicKeyInfo in DER.
    pub fn of_spki(der: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Fingerprint(bytes)
    }

    /// Returns the fingerprint with these 32 bytes.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Fingerprint(bytes)
    }

    /// Returns the 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first eight digits in groups of four. They are for display, never for trust.
    pub fn short(&self) -> String {
        let text = self.to_string();
        format!("{} {}", &text[..4], &text[4..8])
    }
}

/// A private Ed25519 key: one for each server and account.
pub struct Identity {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl Identity {
    /// Generates a key. Fails only if the system's random source fails.
    pub fn generate() -> Result<Self, IdentityError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| IdentityError::PrivateKey)?;
        Identity::from_pkcs8(document.as_ref())
    }

    /// Returns the key of a 32-byte secret seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        // PKCS #8 version 1 of an Ed25519 key (RFC 8410, section 7): this prefix, then the seed.
        let prefix: [u8; 16] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        let pkcs8 = [&prefix[..], seed].concat();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .expect("a fixed prefix and 32 bytes are a well-formed key");
        Identity { pair, pkcs8 }
    }

    /// Parses the key's PKCS #8 document (RFC 5958).
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map_err(|_| IdentityError::PrivateKey)?;
        Ok(Identity { pair, pkcs8: pkcs8.to_vec() })
    }

    /// Returns the PKCS #8 document, for the key's file and for TLS.
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Returns the public half.
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs bytes, for [`Identity::sign`] alone.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(bytes).as_ref());
        Signature(signature)
    }
}

impl Signature {
    /// Returns the signature with these 64 bytes.
    pub(crate) fn from_bytes(bytes: [u8; 64]) -> Self {
        Signature(bytes)
    }

    /// Returns the signature's 64 bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public_key())
    }
}

/// Returns sixty digits that two people compare to rule out a man in the middle.
///
/// Each half is thirty digits of an iterated hash over one side's key and name. The iterations make
/// a near match costly to find. The halves are sorted, so both sides see the same number.
pub fn safety_number(one: (&Username, &PublicKey), other: (&Username, &PublicKey)) -> String {
    let (one, other) = (safety_half(one), safety_half(other));
    let digits = if one < other { one + &other } else { other + &one };
    let groups: Vec<&str> = (0..12).map(|group| &digits[group * 5..group * 5 + 5]).collect();
    groups.join(" ")
}

const SAFETY_ROUNDS: usize = 5_200;

fn safety_half((name, key): (&Username, &PublicKey)) -> String {
    let start = [b"letschat safety v1\0", &key.0[..], name.as_str().as_bytes()].concat();
    let mut hash = digest::digest(&digest::SHA512, &start);
    for _ in 1..SAFETY_ROUNDS {
        hash = digest::digest(&digest::SHA512, &[hash.as_ref(), &key.0].concat());
    }
    let group = |chunk: &[u8]| {
        let value = chunk.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        format!("{:05}", value % 100_000)
    };
    hash.as_ref()[..30].chunks(5).map(group).collect()
}

macro_rules! hexadecimal {
    ($type:ident, $bytes:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEX.encode(&self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }

        impl FromStr for $type {
            type Err = IdentityError;

            fn from_str(text: &str) -> Result<Self, IdentityError> {
                let wrong = IdentityError::Digits($bytes * 2);
                let bytes = HEX.decode(text.as_bytes()).map_err(|_| wrong)?;
                Ok($type(bytes.try_into().map_err(|_| wrong)?))
            }
        }
    };
}

hexadecimal!(PublicKey, 32);
hexadecimal!(Fingerprint, 32);
hexadecimal!(Signature, 64);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Username {
        text.parse().unwrap()
    }

    #[test]
    fn a_safety_number_is_made_as_the_protocol_says() {
        // Computed by another program: SHA-512 5,200 times, digits of five bytes each, the lesser
        // half first.
        let expected =
            ["75799 55752 45654 03985 03668 38866", "82126 57286 02663 94976 04920 70199"];
        let (alice, bob) = (name("alice"), name("bob"));
        let (one, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        assert_eq!(safety_number((&bob, &other), (&alice, &one)), expected.join(" "));
    }

    #[test]
    fn a_fingerprint_is_sha_256_and_its_short_form_its_beginning() {
        let fingerprint = Fingerprint::of_spki(b"abc");
        // FIPS 180-2, B.1.
        assert_eq!(fingerprint.as_bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(fingerprint.short(), "ba78 16bf");
    }

    #[test]
    fn what_is_shown_of_an_identity_is_its_public_key() {
        let identity = Identity::from_seed(&[7; 32]);
        let shown = format!("{identity:?}");
        assert_eq!(shown, format!("Identity({})", identity.public_key()));
        assert!(!shown.contains("0707"), "{shown}");
    }

    #[test]
    fn a_key_survives_its_file_its_spki_and_its_text() {
        let identity = Identity::generate().unwrap();
        let key = identity.public_key();
        assert_eq!(Identity::from_pkcs8(identity.to_pkcs8()).unwrap().public_key(), key);
        assert_eq!(PublicKey::from_spki(&key.to_spki()), Ok(key));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("abc".parse::<PublicKey>(), Err(IdentityError::Digits(64)));
        assert_eq!(PublicKey::from_spki(&[0; 44]), Err(IdentityError::KeyKind));
    }

    #[test]
    fn key_file_of_version_0_1_is_still_read() {
        // PKCS #8 version 2 (RFC 5958), as version 0.1 wrote it.
        let file = "3051020101300506032b657004220420f729f8dee6bb958abf2dad4ced1abe9c0525c4a50c56993cc225\
                    8716c91dd48181210043807073ccc6d7b52df87d11e5e341350fdcddd99f023710f224fbd4a9eedb7a";
        let identity = Identity::from_pkcs8(&HEX.decode(file.as_bytes()).unwrap()).unwrap();
        let public = "43807073ccc6d7b52df87d11e5e341350fdcddd99f023710f224fbd4a9eedb7a";
        assert_eq!(identity.public_key().to_string(), public);
    }

    #[test]
    fn the_public_half_is_that_of_rfc_8032() {
        // RFC 8032, section 7.1, test 1.
        let seed = HEX
            .decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .unwrap();
        let identity = Identity::from_seed(&seed.try_into().unwrap());
        assert_eq!(
            identity.public_key().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn safety_number_belongs_to_a_pair_from_both_its_sides() {
        let (alice, bob) = (name("alice"), name("bob"));
        let key = |seed| Identity::from_seed(&[seed; 32]).public_key();
        let ours = safety_number((&alice, &key(1)), (&bob, &key(2)));
        assert_eq!(ours, safety_number((&bob, &key(2)), (&alice, &key(1))));
        assert_eq!(ours.chars().filter(char::is_ascii_digit).count(), 60);
        assert_ne!(ours, safety_number((&alice, &key(1)), (&bob, &key(3))));
        assert_ne!(ours, safety_number((&alice, &key(1)), (&name("mallory"), &key(2))));
    }

    #[test]
    fn a_debug_print_shows_no_secret() {
        let identity = Identity::from_seed(&[7; 32]);
        assert!(!format!("{identity:?}").contains("0707"));
    }
}
