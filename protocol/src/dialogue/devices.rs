//! Devices in the dialogue: the entries of a list, and devices that want to be in it.

use std::fmt;
use std::net::IpAddr;

use super::reply::Reply;
use crate::body::DeviceListRef;
use crate::code::Code;
use crate::devices::{DeviceEntry, DeviceName};
use crate::identity::{Fingerprint, PublicKey, Signature};

/// The most entries in one reply to DEVICES. They fit a reply.
pub const MAX_ENTRIES: usize = 100;

/// The reply to DEVICES: some entries of a device list. Each is an item, and the last line has their count and the
/// number and the hash of the newest list, zeros if there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceEntries {
    /// The entries from the requested one on, at most [`MAX_ENTRIES`].
    pub entries: Vec<DeviceEntry>,
    /// The newest list.
    pub list: DeviceListRef,
}

impl fmt::Display for DeviceListRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, Fingerprint::from_bytes(self.hash))
    }
}

impl DeviceListRef {
    /// Parses the list of a reply whose last line is `COUNT NUMBER HASH`.
    pub(super) fn of_reply(reply: &Reply) -> Option<DeviceListRef> {
        let hash = *reply.field::<Fingerprint>(2)?.as_bytes();
        Some(DeviceListRef { number: reply.field(1)?, hash })
    }
}

impl DeviceEntries {
    /// Returns the entries as a reply.
    pub fn to_reply(&self) -> Reply {
        let last = format!("{} {} entries", self.entries.len(), self.list);
        Reply::long(Code::Ok, self.entries.iter().map(DeviceEntry::to_string), last)
    }

    /// Parses the entries of a reply.
    pub fn from_reply(reply: &Reply) -> Option<DeviceEntries> {
        let items = reply.lines.split_last()?.1;
        let entry = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            DeviceEntry::from_words(&words)
        };
        let entries = items.iter().map(entry).collect::<Option<Vec<_>>>()?;
        Some(DeviceEntries { entries, list: DeviceListRef::of_reply(reply)? })
    }
}

/// A device that wants to be in the list of its account. Written as `KEY ADDRESS NAME CONSENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolling {
    /// The device's identity key.
    pub device: PublicKey,
    /// Its address as the server sees it.
    pub address: IpAddr,
    /// The name that it gives itself.
    pub name: DeviceName,
    /// Its signature over [`ConsentStatement`](crate::devices::ConsentStatement).
    pub consent: Signature,
}

impl fmt::Display for Enrolling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Enrolling { device, address, name, consent } = self;
        write!(f, "{device} {address} {name} {consent}")
    }
}

impl Enrolling {
    pub(super) fn from_words(words: &[&str]) -> Option<Enrolling> {
        let [device, address, name, consent] = words else {
            return None;
        };
        Some(Enrolling {
            device: device.parse().ok()?,
            address: address.parse().ok()?,
            name: name.parse().ok()?,
            consent: consent.parse().ok()?,
        })
    }
}
