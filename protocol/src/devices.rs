//! Device lists: the devices of an account, as a chain of signed changes.
//!
//! List 1 has the device that signed it, and a random number, so that a device that begins again begins another chain.
//! Each later list adds or removes one device, names the hash of the list
//! before it, and is signed by a device of that list. A server can therefore neither add a device, nor bring back an
//! old list to somebody who has a newer one, nor show two people different lists without leaving a trace: bodies name
//! the number and the hash of their author's list.
//!
//! A device that is added has signed too that it belongs to this account's chain. A person whose key was known before
//! there was a list is therefore known to be in it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE32_NOPAD as BASE32;

use crate::body::DeviceListRef;
use crate::fields;
use crate::identity::{Fingerprint, Identity, PublicKey, Signature};
use crate::limits::MAX_DEVICES;
use crate::signing::Statement;
use crate::username::Username;

/// The most lists of one chain: each is a change by a person.
pub const MAX_LISTS: u64 = 1_000;
/// The longest name of a device, in characters (all of them ASCII).
const MAX_NAME_CHARS: usize = 32;
/// The length of a code, in bytes of the hash.
const CODE_BYTES: usize = 10;

/// The hash of a list.
type Hash = [u8; 32];

/// The name of a device: 1 to 32 letters, digits, `_`, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceName(String);

/// A text that is no name of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device's name has 1 to 32 letters, digits, `_`, `-` and `.`")]
pub struct NotADeviceName;

impl DeviceName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a name that resembles this text, such as that of a host.
    pub fn like(text: &str) -> DeviceName {
        let fits = |c: char| if is_name_char(c) { c } else { '-' };
        let name: String = text.chars().take(MAX_NAME_CHARS).map(fits).collect();
        DeviceName(if name.is_empty() { "device".to_owned() } else { name })
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for DeviceName {
    type Err = NotADeviceName;

    fn from_str(text: &str) -> Result<Self, NotADeviceName> {
        let fits = (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(is_name_char);
        fits.then(|| DeviceName(text.to_owned())).ok_or(NotADeviceName)
    }
}

/// The difference between a list and the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The device begins a chain.
    Begin {
        /// The name that the device gave itself.
        name: DeviceName,
        /// A random number, which makes this chain another than any earlier one.
        nonce: u128,
    },
    /// The device is added.
    Add {
        /// The name that the device gave itself.
        name: DeviceName,
        /// The device's signature over [`ConsentStatement`].
        consent: Signature,
    },
    /// The device is removed.
    Remove,
}

/// A signed change of a device list. Written as `BEGIN DEVICE NAME NONCE SIGNER SIGNATURE`,
/// `ADD DEVICE NAME CONSENT SIGNER SIGNATURE` or `REMOVE DEVICE SIGNER SIGNATURE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// The device that is added or removed.
    pub device: PublicKey,
    /// The change.
    pub change: Change,
    /// The device that signs: one of the list before or, of list 1, the device itself.
    pub signer: PublicKey,
    /// The signature over the change, its number and the list before.
    pub signature: Signature,
}

/// The statement by which a device agrees to be in a list of the account.
#[derive(Debug, Clone, Copy)]
pub struct ConsentStatement<'a> {
    /// The server of the account.
    pub server: &'a Fingerprint,
    /// The account.
    pub account: &'a Username,
    /// The hash of list 1.
    pub chain: &'a [u8; 32],
    /// The name of the device.
    pub name: &'a DeviceName,
}

impl Statement for ConsentStatement<'_> {
    const PURPOSE: &'static str = "device";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        fields::write(bytes, self.account.as_str().as_bytes());
        fields::write(bytes, self.chain);
        fields::write(bytes, self.name.as_str().as_bytes());
    }
}

/// The statement by which a device signs a list.
struct ListStatement<'a> {
    server: &'a Fingerprint,
    account: &'a Username,
    number: u64,
    previous: &'a Hash,
    device: &'a PublicKey,
    change: &'a Change,
}

impl Statement for ListStatement<'_> {
    const PURPOSE: &'static str = "device list";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        fields::write(bytes, self.account.as_str().as_bytes());
        fields::write(bytes, &self.number.to_be_bytes());
        fields::write(bytes, self.previous);
        fields::write(bytes, self.device.as_bytes());
        match self.change {
            Change::Begin { name, nonce } => {
                fields::write(bytes, b"begin");
                fields::write(bytes, name.as_str().as_bytes());
                fields::write(bytes, &nonce.to_be_bytes());
            }
            Change::Add { name, consent } => {
                fields::write(bytes, b"add");
                fields::write(bytes, name.as_str().as_bytes());
                fields::write(bytes, consent.as_bytes());
            }
            Change::Remove => fields::write(bytes, b"remove"),
        }
    }
}

/// A device of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its identity key.
    pub key: PublicKey,
    /// The name that it gave itself.
    pub name: DeviceName,
}

/// A verified device list: the present devices, and the hashes of all lists of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList {
    devices: Vec<Device>,
    /// The hashes of lists 1, 2, …
    hashes: Vec<Hash>,
}

/// The reason for which an entry does not follow a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The signer is not in the list before, or the signature is not its own for this place.
    #[error("the change is not signed by a device of the list before it")]
    NotSigned,
    /// The added device did not agree to be in this account's list.
    #[error("the added device has not agreed to be in the list")]
    NoConsent,
    /// The device is in the list already, is not in it, or is its last one.
    #[error("the change does not fit the list before it")]
    Inapplicable,
    /// The list has too many devices, or the chain too many lists.
    #[error("a list has at most {MAX_DEVICES} devices, and changes at most {MAX_LISTS} times")]
    Full,
}

impl DeviceEntry {
    /// Signs the entry that follows `list`, or the first one if there is none.
    pub fn sign(
        identity: &Identity,
        (server, account): (&Fingerprint, &Username),
        list: Option<&DeviceList>,
        device: PublicKey,
        change: Change,
    ) -> DeviceEntry {
        let (number, previous) = next_place(list);
        let statement = ListStatement {
            server,
            account,
            number,
            previous: &previous,
            device: &device,
            change: &change,
        };
        let (signer, signature) = (identity.public_key(), identity.sign(&statement));
        DeviceEntry { device, change, signer, signature }
    }

    /// Signs the first entry of a chain: the list has this device alone. `nonce` is random.
    pub fn first(
        identity: &Identity,
        (server, account): (&Fingerprint, &Username),
        name: DeviceName,
        nonce: u128,
    ) -> DeviceEntry {
        let change = Change::Begin { name, nonce };
        DeviceEntry::sign(identity, (server, account), None, identity.public_key(), change)
    }

    /// Parses the words of an entry.
    pub fn from_words(words: &[&str]) -> Option<DeviceEntry> {
        let (device, change, signer, signature) = match words {
            ["BEGIN", device, name, nonce, signer, signature] => {
                let nonce = u128::from_str_radix(nonce, 16).ok()?;
                (device, Change::Begin { name: name.parse().ok()?, nonce }, signer, signature)
            }
            ["ADD", device, name, consent, signer, signature] => {
                let (name, consent) = (name.parse().ok()?, consent.parse().ok()?);
                (device, Change::Add { name, consent }, signer, signature)
            }
            ["REMOVE", device, signer, signature] => (device, Change::Remove, signer, signature),
            _ => return None,
        };
        Some(DeviceEntry {
            device: device.parse().ok()?,
            change,
            signer: signer.parse().ok()?,
            signature: signature.parse().ok()?,
        })
    }

    fn hash(&self, previous: &Hash) -> Hash {
        let mut bytes = b"letschat device list v1\0".to_vec();
        fields::write(&mut bytes, previous);
        fields::write(&mut bytes, self.to_string().as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        hash
    }
}

impl fmt::Display for DeviceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceEntry { device, change, signer, signature } = self;
        match change {
            Change::Begin { name, nonce } => {
                write!(f, "BEGIN {device} {name} {nonce:032x} {signer} {signature}")
            }
            Change::Add { name, consent } => {
                write!(f, "ADD {device} {name} {consent} {signer} {signature}")
            }
            Change::Remove => write!(f, "REMOVE {device} {signer} {signature}"),
        }
    }
}

/// Returns the number of the next list, and the hash of the one before it.
fn next_place(list: Option<&DeviceList>) -> (u64, Hash) {
    match list {
        Some(list) => (list.number() + 1, list.hash()),
        None => (1, [0; 32]),
    }
}

impl DeviceList {
    /// Verifies the entry after `list`, or the first one of a chain, and returns the list that it makes.
    ///
    /// # Errors
    ///
    /// Fails if the entry can't follow that list.
    pub fn after(
        list: Option<&DeviceList>,
        (server, account): (&Fingerprint, &Username),
        entry: &DeviceEntry,
    ) -> Result<DeviceList, ListError> {
        let DeviceEntry { device, change, signer, signature } = entry;
        let may_sign = match (list, change) {
            (Some(list), Change::Add { .. } | Change::Remove) => list.contains(signer),
            (None, Change::Begin { .. }) => signer == device,
            (Some(_), Change::Begin { .. }) | (None, _) => false,
        };
        let (number, previous) = next_place(list);
        let previous = &previous;
        let statement = ListStatement { server, account, number, previous, device, change };
        if !may_sign || !signer.verifies(signature, &statement) {
            return Err(ListError::NotSigned);
        }
        let mut next = list.cloned().unwrap_or(DeviceList { devices: vec![], hashes: vec![] });
        match change {
            Change::Begin { name, .. } => {
                next.devices.push(Device { key: *device, name: name.clone() });
            }
            Change::Add { name, consent } => {
                let chain = &next.chain();
                let statement = ConsentStatement { server, account, chain, name };
                if !device.verifies(consent, &statement) {
                    return Err(ListError::NoConsent);
                }
                if next.contains(device) {
                    return Err(ListError::Inapplicable);
                }
                next.devices.push(Device { key: *device, name: name.clone() });
            }
            Change::Remove if next.contains(device) && next.devices.len() > 1 => {
                next.devices.retain(|other| other.key != *device);
            }
            Change::Remove => return Err(ListError::Inapplicable),
        }
        if next.devices.len() > MAX_DEVICES || number > MAX_LISTS {
            return Err(ListError::Full);
        }
        next.hashes.push(entry.hash(previous));
        Ok(next)
    }

    /// Returns the number of the list, from 1.
    pub fn number(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// Returns the hash of the list.
    pub fn hash(&self) -> [u8; 32] {
        self.hashes.last().copied().unwrap_or_default()
    }

    /// Returns the hash of list 1, which identifies the chain.
    pub fn chain(&self) -> [u8; 32] {
        self.hashes.first().copied().unwrap_or_default()
    }

    /// Returns the reference that bodies carry.
    pub fn reference(&self) -> DeviceListRef {
        DeviceListRef { number: self.number(), hash: self.hash() }
    }

    /// Returns the hash of the list with this number, if it is this one or an earlier one.
    pub fn hash_of(&self, number: u64) -> Option<[u8; 32]> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.hashes.get(place).copied()
    }

    /// Returns the devices, in the order in which they were added.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Returns true if the device is in the list.
    pub fn contains(&self, device: &PublicKey) -> bool {
        self.devices.iter().any(|other| other.key == *device)
    }

    /// Returns the verified list that a store kept. Returns `None` for a list that no chain makes.
    pub fn restore(devices: Vec<Device>, hashes: Vec<[u8; 32]>) -> Option<DeviceList> {
        let fits = (1..=MAX_DEVICES).contains(&devices.len())
            && (1..=MAX_LISTS).contains(&(hashes.len() as u64));
        fits.then_some(DeviceList { devices, hashes })
    }

    /// Returns the hashes of all lists of the chain, this one's last.
    pub fn hashes(&self) -> &[[u8; 32]] {
        &self.hashes
    }
}

/// The code of a device's key: 80 bits, so that nobody can find another key with the same code. Written as 16 letters
/// and digits (base32, RFC 4648, section 6) in groups of four. A user types it on a device that is listed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceCode([u8; CODE_BYTES]);

/// A text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has 16 letters and digits, such as ABCD-EFGH-IJKL-MNOP")]
pub struct NotACode;

impl DeviceCode {
    /// Returns the code of a device of this account.
    pub fn of(server: &Fingerprint, account: &Username, device: &PublicKey) -> DeviceCode {
        let mut bytes = b"letschat device code v1\0".to_vec();
        fields::write(&mut bytes, server.as_bytes());
        fields::write(&mut bytes, account.as_str().as_bytes());
        fields::write(&mut bytes, device.as_bytes());
        let mut code = [0; CODE_BYTES];
        code.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..CODE_BYTES]);
        DeviceCode(code)
    }
}

impl fmt::Display for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = BASE32.encode(&self.0);
        write!(f, "{}-{}-{}-{}", &text[..4], &text[4..8], &text[8..12], &text[12..])
    }
}

impl FromStr for DeviceCode {
    type Err = NotACode;

    /// Parses a code in either case, with any spaces and hyphens. A 0 is an O, and a 1 an I.
    fn from_str(text: &str) -> Result<Self, NotACode> {
        let is_digit = |c: &char| !matches!(c, ' ' | '-');
        let digit = |c: char| match c.to_ascii_uppercase() {
            '0' => 'O',
            '1' => 'I',
            c => c,
        };
        let digits: String = text.chars().filter(is_digit).map(digit).collect();
        let bytes = BASE32.decode(digits.as_bytes()).map_err(|_| NotACode)?;
        Ok(DeviceCode(bytes.try_into().map_err(|_| NotACode)?))
    }
}

#[cfg(test)]
mod tests;
