//! Envelopes: a sealed body, and for each recipient's device a header with the sealed key of the body.
//!
//! ```text
//! suite 1 | number of headers 2 | headers | sealed body
//! header: name length 1 | name | device key 32 | prekey 32 | encapsulated secret 32 | sealed content key 48
//! ```
//!
//! Lengths are in bytes and numbers are big-endian. This module only parses and writes; `sealing` (feature `tls`)
//! seals and opens.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;

use crate::body::BodyError;
use crate::fields::Reader;
use crate::identity::{IdentityError, PublicKey};
use crate::limits::{MAX_ENVELOPE_BYTES, MAX_RECIPIENT_DEVICES};
use crate::prekey::{PrekeyPublic, Suite};
use crate::username::Username;

/// The id of an envelope, which its sender chooses: a repeated POST stores nothing twice. Written as 32 hexadecimal
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvelopeId(pub u128);

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for EnvelopeId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let wrong = IdentityError::Digits(32);
        let bytes = HEX.decode(text.as_bytes()).map_err(|_| wrong)?;
        Ok(EnvelopeId(u128::from_be_bytes(bytes.try_into().map_err(|_| wrong)?)))
    }
}

/// The part of an envelope for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The account of the device.
    pub recipient: Username,
    /// The device's identity key.
    pub device: PublicKey,
    /// The device's prekey, to which the content key is sealed.
    pub prekey: PrekeyPublic,
    /// The encapsulated secret of HPKE (RFC 9180, section 4.1).
    pub encapsulated: [u8; 32],
    /// The sealed key of the body.
    pub content_key: [u8; 48],
}

/// An envelope. It has at least one header, and at most one for each device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The algorithms by which it is sealed.
    pub suite: Suite,
    /// The headers.
    pub headers: Vec<Header>,
    /// The sealed body, the same for all devices.
    pub sealed_body: Vec<u8>,
}

/// A device that an envelope is sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The account of the device.
    pub username: Username,
    /// The device's identity key.
    pub device: PublicKey,
    /// The device's prekey.
    pub prekey: PrekeyPublic,
}

/// Bytes that are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an envelope with 1 to {MAX_RECIPIENT_DEVICES} headers, each for another device")]
pub struct NotAnEnvelope;

/// The reason for which an envelope can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is sealed by other algorithms, outside or inside.
    #[error("the envelope is sealed by algorithms that this version does not know")]
    Suite,
    /// It is sealed for another device, or to a prekey that is gone.
    #[error("this device has no key for the envelope")]
    NoKey,
    /// It was altered, or sealed for another server or from another sender.
    #[error("the envelope was altered, or it is not from this sender")]
    Altered,
    /// Its content is no body signed by the device that it names.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// It names another sender than the server does.
    #[error("the envelope names another sender than the server")]
    OtherSender,
    /// It is not addressed to this account.
    #[error("the envelope is not addressed to this account")]
    NotAddressed,
}

impl Envelope {
    /// Parses an envelope.
    pub fn parse(bytes: &[u8]) -> Result<Envelope, NotAnEnvelope> {
        Envelope::read(bytes).ok_or(NotAnEnvelope)
    }

    fn read(bytes: &[u8]) -> Option<Envelope> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return None;
        }
        let mut reader = Reader(bytes);
        let [suite] = reader.array()?;
        let count = usize::from(u16::from_be_bytes(reader.array()?));
        if count == 0 || count > MAX_RECIPIENT_DEVICES {
            return None;
        }
        let headers = (0..count).map(|_| Header::read(&mut reader)).collect::<Option<Vec<_>>>()?;
        let devices: HashSet<_> =
            headers.iter().map(|header| (&header.recipient, header.device)).collect();
        let is_sealed = !reader.0.is_empty() && devices.len() == headers.len();
        is_sealed.then(|| Envelope { suite: Suite(suite), headers, sealed_body: reader.0.to_vec() })
    }

    /// Returns the envelope's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.suite.0];
        // There are at most 160 headers.
        bytes.extend_from_slice(&(self.headers.len() as u16).to_be_bytes());
        for header in &self.headers {
            header.write(&mut bytes);
        }
        bytes.extend_from_slice(&self.sealed_body);
        bytes
    }
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Option<Header> {
        let [length] = reader.array()?;
        let name = std::str::from_utf8(reader.take(usize::from(length))?).ok()?;
        let recipient: Username = name.parse().ok()?;
        // Names have one spelling, so that no two headers are for the same device.
        (recipient.as_str() == name).then_some(())?;
        Some(Header {
            recipient,
            device: PublicKey::from_bytes(reader.array()?),
            prekey: PrekeyPublic(reader.array()?),
            encapsulated: reader.array()?,
            content_key: reader.array()?,
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let name = self.recipient.as_str().as_bytes();
        // A username has at most 32 bytes.
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(self.device.as_bytes());
        bytes.extend_from_slice(&self.prekey.0);
        bytes.extend_from_slice(&self.encapsulated);
        bytes.extend_from_slice(&self.content_key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(n: usize) -> Header {
        let mut device = [7; 32];
        device[..8].copy_from_slice(&n.to_be_bytes());
        Header {
            recipient: "bob".parse().unwrap(),
            device: PublicKey::from_bytes(device),
            prekey: PrekeyPublic([2; 32]),
            encapsulated: [3; 32],
            content_key: [4; 48],
        }
    }

    fn envelope(headers: usize) -> Envelope {
        Envelope {
            suite: Suite::X25519,
            headers: (0..headers).map(header).collect(),
            sealed_body: vec![5; 272],
        }
    }

    #[test]
    fn envelope_survives_its_bytes() {
        for count in [1, 2, MAX_RECIPIENT_DEVICES] {
            let envelope = envelope(count);
            assert_eq!(Envelope::parse(&envelope.to_bytes()), Ok(envelope));
        }
    }

    #[test]
    fn number_of_headers_is_limited() {
        for count in [0, MAX_RECIPIENT_DEVICES + 1] {
            assert_eq!(Envelope::parse(&envelope(count).to_bytes()), Err(NotAnEnvelope), "{count}");
        }
    }

    #[test]
    fn device_has_one_header() {
        let mut twice = envelope(2);
        twice.headers[1] = twice.headers[0].clone();
        assert_eq!(Envelope::parse(&twice.to_bytes()), Err(NotAnEnvelope));
        let mut spelled = envelope(1).to_bytes();
        assert_eq!(spelled[4], b'b');
        spelled[4] = b'B';
        assert_eq!(Envelope::parse(&spelled), Err(NotAnEnvelope));
    }

    #[test]
    fn truncated_envelope_is_refused() {
        let bytes = envelope(2).to_bytes();
        let body = bytes.len() - 272;
        for length in 0..=body {
            assert_eq!(Envelope::parse(&bytes[..length]), Err(NotAnEnvelope), "{length}");
        }
    }

    #[test]
    fn largest_message_to_the_most_devices_fits() {
        // A text of 16 KiB is padded to 32 KiB.
        let mut largest = envelope(MAX_RECIPIENT_DEVICES);
        for header in &mut largest.headers {
            header.recipient = "a".repeat(32).parse().unwrap();
        }
        largest.sealed_body = vec![5; 32 * 1024 + 16];
        assert!(largest.to_bytes().len() <= MAX_ENVELOPE_BYTES);
        assert_eq!(Envelope::parse(&largest.to_bytes()), Ok(largest));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_envelope_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(envelope) = Envelope::parse(&bytes) {
                prop_assert_eq!(envelope.to_bytes(), bytes);
            }
        }
    }
}
