//! Prekeys: the X25519 keys to which envelopes for a device are sealed.
//!
//! A device publishes one at a time, signed by its identity together with the suites that the device supports and
//! the end of its validity. The server can therefore neither replace it nor downgrade the suite.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;

use crate::clock::DAY_MS;
use crate::fields;
use crate::identity::{Fingerprint, Identity, IdentityError, PublicKey, Signature};
use crate::signing::Statement;
use crate::username::Username;

/// The time for which a new prekey is valid.
pub const PREKEY_VALID_MS: u64 = 60 * DAY_MS;
/// The time after which a device makes a new prekey.
pub const PREKEY_ROTATION_MS: u64 = 7 * DAY_MS;
/// The difference between two machines' clocks that is tolerated.
pub const CLOCK_TOLERANCE_MS: u64 = DAY_MS;
/// The most suites that a prekey names.
const MAX_SUITES: usize = 8;

/// A set of algorithms that seal an envelope, as a number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Suite(pub u8);

impl Suite {
    /// HPKE (RFC 9180) in base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305; the body is sealed with
    /// ChaCha20-Poly1305.
    pub const X25519: Suite = Suite(1);
}

/// A public X25519 key (RFC 7748), written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrekeyPublic(pub [u8; 32]);

impl fmt::Display for PrekeyPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEX.encode(&self.0))
    }
}

impl fmt::Debug for PrekeyPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrekeyPublic({self})")
    }
}

impl FromStr for PrekeyPublic {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let wrong = IdentityError::Digits(64);
        let bytes = HEX.decode(text.as_bytes()).map_err(|_| wrong)?;
        Ok(PrekeyPublic(bytes.try_into().map_err(|_| wrong)?))
    }
}

/// A published prekey. Written as `KEY SUITES UNTIL_MS SIGNATURE`, the suites joined by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPrekey {
    /// The key.
    pub key: PrekeyPublic,
    /// The suites that the device supports.
    pub suites: Vec<Suite>,
    /// The end of its validity, in milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// The device's signature over [`PrekeyStatement`].
    pub signature: Signature,
}

/// The statement by which a device publishes a prekey.
#[derive(Debug, Clone, Copy)]
pub struct PrekeyStatement<'a> {
    /// The server at which it is published.
    pub server: &'a Fingerprint,
    /// The account of the device.
    pub account: &'a Username,
    /// The key.
    pub key: &'a PrekeyPublic,
    /// The suites that the device supports.
    pub suites: &'a [Suite],
    /// The end of the key's validity, in milliseconds since the Unix epoch.
    pub until_ms: u64,
}

impl Statement for PrekeyStatement<'_> {
    const PURPOSE: &'static str = "prekey";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        let suites: Vec<u8> = self.suites.iter().map(|suite| suite.0).collect();
        fields::write(bytes, self.account.as_str().as_bytes());
        fields::write(bytes, &self.key.0);
        fields::write(bytes, &suites);
        fields::write(bytes, &self.until_ms.to_be_bytes());
    }
}

impl SignedPrekey {
    /// Signs a prekey that supports [`Suite::X25519`].
    pub fn sign(
        identity: &Identity,
        server: &Fingerprint,
        account: &Username,
        key: PrekeyPublic,
        until_ms: u64,
    ) -> SignedPrekey {
        let suites = vec![Suite::X25519];
        let statement = PrekeyStatement { server, account, key: &key, suites: &suites, until_ms };
        let signature = identity.sign(&statement);
        SignedPrekey { key, suites, until_ms, signature }
    }

    /// Returns true if this device of the account published the prekey at this server.
    pub fn is_signed_by(
        &self,
        device: &PublicKey,
        server: &Fingerprint,
        account: &Username,
    ) -> bool {
        let SignedPrekey { key, suites, until_ms, signature } = self;
        let statement = PrekeyStatement { server, account, key, suites, until_ms: *until_ms };
        device.verifies(signature, &statement)
    }

    /// Returns true if envelopes may be sealed to the prekey at this time of day. It is valid for a day longer, since
    /// clocks differ.
    pub fn is_valid_at(&self, wall_ms: u64) -> bool {
        wall_ms < self.until_ms.saturating_add(CLOCK_TOLERANCE_MS)
    }
}

impl fmt::Display for SignedPrekey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suites: Vec<String> = self.suites.iter().map(|suite| suite.0.to_string()).collect();
        write!(f, "{} {} {} {}", self.key, suites.join(","), self.until_ms, self.signature)
    }
}

impl SignedPrekey {
    /// Parses the words `KEY SUITES UNTIL_MS SIGNATURE`.
    pub fn from_words(words: &[&str]) -> Option<SignedPrekey> {
        let [key, suites, until_ms, signature] = words else {
            return None;
        };
        let suites: Result<Vec<Suite>, _> =
            suites.split(',').map(|number| number.parse().map(Suite)).collect();
        Some(SignedPrekey {
            key: key.parse().ok()?,
            suites: suites.ok().filter(|suites| suites.len() <= MAX_SUITES)?,
            until_ms: until_ms.parse().ok()?,
            signature: signature.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prekey_is_good_for_one_device_account_and_server() {
        let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let (server, other) = (Fingerprint::of_spki(b"server"), Fingerprint::of_spki(b"other"));
        let identity = Identity::from_seed(&[7; 32]);
        let device = identity.public_key();
        let prekey = SignedPrekey::sign(&identity, &server, &alice, PrekeyPublic([1; 32]), 9);
        assert!(prekey.is_signed_by(&device, &server, &alice));
        assert!(!prekey.is_signed_by(&device, &other, &alice));
        assert!(!prekey.is_signed_by(&device, &server, &bob));
        let stranger = Identity::from_seed(&[8; 32]).public_key();
        assert!(!prekey.is_signed_by(&stranger, &server, &alice));
        for changed in [
            SignedPrekey { key: PrekeyPublic([2; 32]), ..prekey.clone() },
            SignedPrekey { suites: vec![Suite(2)], ..prekey.clone() },
            SignedPrekey { until_ms: 10, ..prekey.clone() },
        ] {
            assert!(!changed.is_signed_by(&device, &server, &alice), "{changed}");
        }
    }

    #[test]
    fn prekey_survives_its_text() {
        let (alice, server) = ("alice".parse().unwrap(), Fingerprint::of_spki(b"server"));
        let identity = Identity::from_seed(&[7; 32]);
        let mut prekey = SignedPrekey::sign(&identity, &server, &alice, PrekeyPublic([1; 32]), 9);
        prekey.suites.push(Suite(200));
        let text = prekey.to_string();
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(SignedPrekey::from_words(&words), Some(prekey));
        for wrong in ["", "1,", "256", "1,1,1,1,1,1,1,1,1"] {
            let words = [words[0], wrong, words[2], words[3]];
            assert_eq!(SignedPrekey::from_words(&words), None, "{wrong}");
        }
    }

    #[test]
    fn prekey_is_valid_for_a_day_longer_than_it_says() {
        let (alice, server) = ("alice".parse().unwrap(), Fingerprint::of_spki(b"server"));
        let identity = Identity::from_seed(&[7; 32]);
        let prekey = SignedPrekey::sign(&identity, &server, &alice, PrekeyPublic([1; 32]), 1_000);
        assert!(prekey.is_valid_at(1_000 + CLOCK_TOLERANCE_MS - 1));
        assert!(!prekey.is_valid_at(1_000 + CLOCK_TOLERANCE_MS));
    }
}
