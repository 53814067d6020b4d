//! Changes of device lists, as any database judges them.

use letschat_protocol::devices::{Device, DeviceEntry, DeviceList, ListError};
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::username::Username;

use crate::store::StoreError;

/// A change of an account's device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChange {
    /// The key of this server, which the entry names.
    pub server: Fingerprint,
    /// The account.
    pub username: Username,
    /// The number of the new list.
    pub number: u64,
    /// The entry that makes it.
    pub entry: DeviceEntry,
    /// True if the entry begins a new chain in place of an earlier one, whose devices are lost.
    pub is_recovery: bool,
}

/// The result of a change of a device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListChanged {
    /// The list is changed.
    Done,
    /// Another device was first: the list has another number meanwhile.
    Late,
    /// The entry can't follow the list.
    Refused(ListError),
}

impl ListChange {
    /// Returns the list that this change makes of the stored one, or the reason why it makes none.
    pub fn apply(&self, stored: Option<&DeviceList>) -> Result<DeviceList, ListChanged> {
        let before = stored.filter(|_| !self.is_recovery);
        let number = before.map_or(0, DeviceList::number) + 1;
        if number != self.number {
            return Err(ListChanged::Late);
        }
        DeviceList::after(before, (&self.server, &self.username), &self.entry)
            .map_err(ListChanged::Refused)
    }
}

/// Returns the list that a database holds in these columns, or `None` if the account has none.
pub(in crate::store) fn list_from_columns(
    username: &Username,
    devices: Vec<(String, String)>,
    hashes: Vec<Vec<u8>>,
) -> Result<Option<DeviceList>, StoreError> {
    if hashes.is_empty() {
        return Ok(None);
    }
    let device = |(key, name): (String, String)| {
        Some(Device { key: key.parse().ok()?, name: name.parse().ok()? })
    };
    let devices: Option<Vec<Device>> = devices.into_iter().map(device).collect();
    let hashes: Option<Vec<[u8; 32]>> =
        hashes.into_iter().map(|hash| hash.try_into().ok()).collect();
    let list =
        devices.zip(hashes).and_then(|(devices, hashes)| DeviceList::restore(devices, hashes));
    list.map(Some).ok_or_else(|| StoreError::Content(format!("the device list of {username}")))
}

/// Parses an entry that a database holds.
pub(in crate::store) fn entry_from_column(
    username: &Username,
    entry: &str,
) -> Result<DeviceEntry, StoreError> {
    let words: Vec<&str> = entry.split(' ').collect();
    DeviceEntry::from_words(&words)
        .ok_or_else(|| StoreError::Content(format!("the device list of {username}")))
}
