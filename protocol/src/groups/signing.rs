//! The signatures of rosters and givings.

use aws_lc_rs::digest::{SHA256, digest};

use super::{Giving, GroupId, Roster, RosterRef};
use crate::body::DeviceListRef;
use crate::fields::{self, Reader};
use crate::identity::{Fingerprint, Identity, PublicKey, Signature};
use crate::limits::MAX_ROSTER_VERSIONS;
use crate::signing::Statement;
use crate::username::Username;

/// The statement by which a device signs a roster.
struct RosterStatement<'a> {
    server: &'a Fingerprint,
    roster: &'a [u8],
}

impl Statement for RosterStatement<'_> {
    const PURPOSE: &'static str = "roster";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.roster);
    }
}

/// The statement by which a device gives a group away.
struct GivingStatement<'a> {
    server: &'a Fingerprint,
    group: &'a GroupId,
    number: u64,
    to: &'a Username,
    list: DeviceListRef,
}

impl Statement for GivingStatement<'_> {
    const PURPOSE: &'static str = "group owner";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        fields::write(bytes, &self.group.0);
        fields::write(bytes, &self.number.to_be_bytes());
        fields::write(bytes, self.to.as_str().as_bytes());
        fields::write(bytes, &self.list.number.to_be_bytes());
        fields::write(bytes, &self.list.hash);
    }
}

impl Giving {
    /// Signs the giving of a group.
    pub fn sign(
        identity: &Identity,
        server: &Fingerprint,
        (group, number): (&GroupId, u64),
        (to, list): (Username, DeviceListRef),
    ) -> Giving {
        let signature = identity.sign(&GivingStatement { server, group, number, to: &to, list });
        Giving { number, to, list, device: identity.public_key(), signature }
    }

    /// Compares two givings by one owner. The one with the lower number holds or, of two with one number, the one with
    /// the lower signature.
    pub fn precedes(&self, other: &Giving) -> bool {
        let place = |giving: &Giving| (giving.number, *giving.signature.as_bytes());
        place(self) < place(other)
    }

    /// Returns true if the device that it names has signed it. Does not check that the device belongs to the
    /// earlier owner.
    pub fn is_signed(&self, server: &Fingerprint, group: &GroupId) -> bool {
        let Giving { number, to, list, device, signature } = self;
        let (number, list) = (*number, *list);
        device.verifies(signature, &GivingStatement { server, group, number, to, list })
    }
}

/// A roster with the signature of a device. Does not check that the device belongs to the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRoster {
    roster: Roster,
    device: PublicKey,
    signature: Signature,
    hash: [u8; 32],
}

impl SignedRoster {
    /// Signs a roster, and adds this device to its versions.
    pub fn sign(mut roster: Roster, identity: &Identity, server: &Fingerprint) -> SignedRoster {
        let device = identity.public_key();
        roster.versions.insert(device, roster.number);
        while roster.versions.len() > MAX_ROSTER_VERSIONS {
            let oldest = roster.versions.iter().min_by_key(|(_, number)| **number);
            let Some(oldest) = oldest.map(|(device, _)| *device) else {
                break;
            };
            roster.versions.remove(&oldest);
        }
        let bytes = roster.to_bytes();
        let signature = identity.sign(&RosterStatement { server, roster: &bytes });
        SignedRoster { hash: hash(ROSTER, &bytes), roster, device, signature }
    }

    /// Parses a roster, and checks that the device that it names has signed it for this server.
    pub fn verify(bytes: &[u8], server: &Fingerprint) -> Option<SignedRoster> {
        let signed = SignedRoster::restore(bytes)?;
        let roster = &signed.roster.to_bytes();
        let is_signed =
            signed.device.verifies(&signed.signature, &RosterStatement { server, roster });
        is_signed.then_some(signed)
    }

    /// Returns the verified roster that a store kept. Returns `None` for bytes that are none.
    pub fn restore(bytes: &[u8]) -> Option<SignedRoster> {
        let mut reader = Reader(bytes);
        let fields = reader.field()?;
        let device = PublicKey::from_bytes(reader.array()?);
        let signature = Signature::from_bytes(reader.array()?);
        let roster = Roster::read(fields).filter(|_| reader.0.is_empty())?;
        let is_its_own = roster.version_of(&device) == roster.number
            && (roster.number > 1 || device == roster.founding.device);
        is_its_own.then(|| SignedRoster { hash: hash(ROSTER, fields), roster, device, signature })
    }

    /// Returns the bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        fields::write(&mut bytes, &self.roster.to_bytes());
        bytes.extend_from_slice(self.device.as_bytes());
        bytes.extend_from_slice(self.signature.as_bytes());
        bytes
    }

    /// Returns the roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Returns the device that signed.
    pub fn device(&self) -> &PublicKey {
        &self.device
    }

    /// Returns the group.
    pub fn group(&self) -> GroupId {
        self.roster.founding.group()
    }

    /// Returns the reference that bodies carry.
    pub fn reference(&self) -> RosterRef {
        RosterRef { number: self.roster.number, hash: self.hash }
    }
}

/// The domain separator of a roster's hash.
const ROSTER: &str = "letschat roster v1";

pub(super) fn hash(what: &str, fields: &[u8]) -> [u8; 32] {
    let bytes = [what.as_bytes(), b"\0", fields].concat();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    hash
}
