//! The mailbox: device lists, prekeys, and envelopes that wait for their devices.
//!
//! A delivery is an envelope for one device. It has a number, and waits until the device
//! acknowledges it. Its content is then deleted, and a remainder (sender, id, recipient, device)
//! stays until the retention period is over, so that a repeated POST stores nothing twice. It stays
//! even if the device is removed, since one transaction can't delete a million of them.

pub(super) mod devices;
mod requests;

use std::sync::Arc;

use letschat_protocol::dialogue::{AccountKeys, DeviceEntries, DeviceKeys, Mail, Outcome};
use letschat_protocol::envelope::{Envelope, EnvelopeId, Header};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::prekey::SignedPrekey;
use letschat_protocol::username::Username;

use super::StoreError;
pub use devices::{ListChange, ListChanged};
pub use requests::{MailAnswer, MailRequest};

/// The most deliveries that wait for one device.
pub const MAX_WAITING_ENVELOPES: u64 = 2_000;

/// The most bytes that wait for one device: envelopes as they are delivered.
pub const MAX_WAITING_BYTES: u64 = 16 * 1024 * 1024;

/// The most deliveries of one sender that wait for one device.
pub const MAX_WAITING_OF_SENDER: u64 = 200;

/// The most rows that one call of [`expire_mail`](Mailbox::expire_mail) deletes, so that other
/// requests don't wait for long.
pub const EXPIRED_AT_ONCE: u64 = 1_000;

/// The part of a database that keeps prekeys and envelopes. Every call may block and may fail.
pub trait Mailbox {
    /// Sets the prekey of a device. Returns `false` if the account does not have the device's key.
    fn publish_prekey(
        &mut self,
        username: &Username,
        device: &PublicKey,
        prekey: &SignedPrekey,
    ) -> Result<bool, StoreError>;

    /// Returns the devices of an account that have a prekey, the one used last first, and the number
    /// and hash of its device list. Of an account with a list these are listed devices only. Returns `None` if
    /// there is no such account.
    fn prekeys(&mut self, username: &Username) -> Result<Option<AccountKeys>, StoreError>;

    /// Returns the next entries of an account's device list after this number, or `None` if there is
    /// no such account.
    fn device_entries(
        &mut self,
        username: &Username,
        after: u64,
    ) -> Result<Option<DeviceEntries>, StoreError>;

    /// Changes an account's device list. A removed device loses its key, its prekey and its mail. A
    /// recovery removes all other devices.
    fn change_list(&mut self, change: &ListChange) -> Result<ListChanged, StoreError>;

    /// Commits all envelopes durably, or none, and returns what became of each.
    /// Deliveries are numbered in this order. Numbers start above both the stored counter and
    /// `after`, so a database that lost its last commits reuses none.
    ///
    /// A delivery with the same sender, id, recipient and device as an earlier one is not stored
    /// again.
    fn post(
        &mut self,
        after: u64,
        envelopes: &[Arc<NewEnvelope>],
    ) -> Result<Vec<Placements>, StoreError>;

    /// Returns the next waiting deliveries of a device, in the order of their numbers.
    fn waiting_mail(&mut self, query: &MailQuery) -> Result<MailPage, StoreError>;

    /// Deletes the content of acknowledged deliveries, of all or of none, and returns the number of
    /// deliveries of each acknowledgement. Ignores numbers that are not the device's or were
    /// acknowledged before. A power failure may undo it: the devices then get them again.
    fn acknowledge(
        &mut self,
        acknowledgements: &[Arc<Acknowledgement>],
    ) -> Result<Vec<u64>, StoreError>;

    /// Deletes deliveries, and remainders of deliveries, that were taken at this time or before.
    /// Deletes at most [`EXPIRED_AT_ONCE`] of them, and returns true if more may be left.
    fn expire_mail(&mut self, through_ms: u64) -> Result<bool, StoreError>;

    /// Returns what waits in all mailboxes.
    fn usage(&mut self) -> Result<MailboxUsage, StoreError>;
}

/// The deliveries that wait in all mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailboxUsage {
    /// Their number.
    pub deliveries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An envelope that an account posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEnvelope {
    /// The account that posts it.
    pub sender: Username,
    /// The id that the sender chose.
    pub id: EnvelopeId,
    /// The wall clock's time in milliseconds when the server took it.
    pub time_ms: u64,
    /// The envelope with the headers of all devices.
    pub envelope: Envelope,
}

impl NewEnvelope {
    /// Returns the size of a device's envelope.
    pub fn bytes_for(&self, header: &Header) -> usize {
        self.head_for(header).len() + self.envelope.sealed_body.len()
    }

    /// Returns the part of a device's envelope before the sealed body. The body is the end of an
    /// envelope, so the two parts only have to be joined.
    pub fn head_for(&self, header: &Header) -> Vec<u8> {
        let headers = vec![header.clone()];
        let Envelope { suite, .. } = self.envelope;
        Envelope { suite, headers, sealed_body: Vec::new() }.to_bytes()
    }

    /// Returns those of a recipient's listed devices that have a prekey and no header. Each device is
    /// a key, and true if it has a prekey. The sender knows the own devices.
    pub(super) fn without_header(
        &self,
        recipient: &Username,
        listed: &[(String, bool)],
    ) -> Vec<(Username, PublicKey)> {
        if *recipient == self.sender {
            return Vec::new();
        }
        let with_prekey = listed.iter().filter(|(_, has_prekey)| *has_prekey);
        let keys = with_prekey.filter_map(|(key, _)| key.parse().ok());
        let has_header = |key: &PublicKey| {
            let headers = &mut self.envelope.headers.iter();
            headers.any(|header| header.recipient == *recipient && header.device == *key)
        };
        let missing = keys.filter(|key| !has_header(key));
        missing.map(|key| (recipient.clone(), key)).collect()
    }

    /// Returns the delivery with this number for a device.
    pub fn mail_for(&self, header: &Header, number: u64) -> Mail {
        let NewEnvelope { sender, id, time_ms, envelope } = self;
        let mut bytes = self.head_for(header);
        bytes.extend_from_slice(&envelope.sealed_body);
        Mail { number, id: *id, sender: sender.clone(), time_ms: *time_ms, envelope: bytes }
    }
}

/// The result of a POST.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placements {
    /// The result for each header, in order.
    pub headers: Vec<Placement>,
    /// The listed devices of the recipients, other than the sender, that have a prekey and no header.
    pub missing: Vec<(Username, PublicKey)>,
}

/// The result of a POST for one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// It is stored as the delivery with this number.
    Stored {
        /// The number.
        number: u64,
    },
    /// It was stored before, at this time of the wall clock.
    Repeated {
        /// The time in milliseconds.
        time_ms: u64,
    },
    /// It is not stored, for this reason.
    Refused(Outcome),
}

/// The deliveries that a device acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The account of the device.
    pub username: Username,
    /// The device's key.
    pub device: PublicKey,
    /// The numbers of the deliveries.
    pub numbers: Vec<u64>,
}

/// A query for waiting deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailQuery {
    /// The account of the device.
    pub username: Username,
    /// The device's key.
    pub device: PublicKey,
    /// Deliveries up to this number are left out.
    pub after: u64,
    /// Deliveries that were taken at this time of the wall clock or before are left out: they have
    /// expired.
    pub expired_ms: u64,
    /// The most bytes of envelopes.
    pub max_bytes: usize,
}

/// The next waiting deliveries of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailPage {
    /// The deliveries.
    pub mail: Vec<Mail>,
    /// The size of the delivery that follows, if there is one.
    pub next_bytes: Option<usize>,
}

/// The waiting deliveries of a device, as far as its limits are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    /// The number of deliveries.
    pub(super) envelopes: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// The number of deliveries from the sender in question.
    pub(super) of_sender: u64,
}

impl Usage {
    /// Returns true if one more delivery of this size has room.
    pub(super) fn has_room_for(self, bytes: u64) -> bool {
        self.envelopes < MAX_WAITING_ENVELOPES
            && self.of_sender < MAX_WAITING_OF_SENDER
            && self.bytes + bytes <= MAX_WAITING_BYTES
    }
}

/// Parses a prekey that a database holds.
pub(super) fn prekey_from_column(
    device: &str,
    prekey: &str,
    used_ms: u64,
) -> Result<DeviceKeys, StoreError> {
    DeviceKeys::parse(&format!("{device} {prekey} {used_ms}"))
        .ok_or_else(|| StoreError::Content(format!("the prekey of {device}")))
}

/// Returns the delivery that a database holds in these columns.
pub(super) fn mail_from_columns(
    number: u64,
    sender: &str,
    id: &[u8],
    time_ms: u64,
    [head, sealed_body]: [Vec<u8>; 2],
) -> Result<Mail, StoreError> {
    let unexpected = || StoreError::Content(format!("delivery {number}"));
    let id = id.try_into().map_err(|_| unexpected())?;
    let mut envelope = head;
    envelope.extend_from_slice(&sealed_body);
    Ok(Mail {
        number,
        id: EnvelopeId(u128::from_be_bytes(id)),
        sender: sender.parse().map_err(|_| unexpected())?,
        time_ms,
        envelope,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailbox_is_full_at_each_of_its_limits() {
        let room = Usage {
            envelopes: MAX_WAITING_ENVELOPES - 1,
            bytes: MAX_WAITING_BYTES - 9,
            of_sender: MAX_WAITING_OF_SENDER - 1,
        };
        assert!(room.has_room_for(9));
        assert!(!room.has_room_for(10));
        assert!(!Usage { envelopes: MAX_WAITING_ENVELOPES, ..room }.has_room_for(9));
        assert!(!Usage { of_sender: MAX_WAITING_OF_SENDER, ..room }.has_room_for(9));
    }
}
