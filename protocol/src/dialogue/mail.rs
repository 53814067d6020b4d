//! Envelopes in the dialogue: the outcomes of a POST, the keys of an account, a delivered envelope.

use std::fmt;

use super::reply::Reply;
use crate::body::DeviceListRef;
use crate::code::Code;
use crate::envelope::EnvelopeId;
use crate::identity::PublicKey;
use crate::prekey::SignedPrekey;
use crate::username::Username;

/// An envelope that the server delivers to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The number of the delivery at this server, to be acknowledged.
    pub number: u64,
    /// The id that the sender chose.
    pub id: EnvelopeId,
    /// The account that posted it.
    pub sender: Username,
    /// The time at which the server took it, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// An [`Envelope`](crate::envelope::Envelope) with this device's header alone, as bytes.
    pub envelope: Vec<u8>,
}

/// The outcome of a POST for one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It is stored, and on its way to the device, which is here.
    Pushed,
    /// It is stored until the device comes.
    Kept,
    /// No account has that name.
    UnknownUser,
    /// The account has no such device, or the device has no prekey.
    NoDevice,
    /// The envelope has no header for this device, which the account has too.
    Missing,
    /// The device's mailbox is full, or that part of it which one sender may use.
    MailboxFull,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: &[Outcome] = &[
        Outcome::Pushed,
        Outcome::Kept,
        Outcome::UnknownUser,
        Outcome::NoDevice,
        Outcome::Missing,
        Outcome::MailboxFull,
    ];

    /// Returns the word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Pushed => "pushed",
            Outcome::Kept => "kept",
            Outcome::UnknownUser => "unknown_user",
            Outcome::NoDevice => "no_device",
            Outcome::Missing => "missing",
            Outcome::MailboxFull => "mailbox_full",
        }
    }
}

/// The outcome of a POST for one device, as an item of the reply. Written as `NAME DEVICE OUTCOME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The account of the device.
    pub recipient: Username,
    /// The device's identity key.
    pub device: PublicKey,
    /// The outcome.
    pub outcome: Outcome,
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.recipient, self.device, self.outcome.name())
    }
}

impl Posted {
    /// Parses an item. Ignores the rest of the line.
    pub fn parse(line: &str) -> Option<Posted> {
        let mut words = line.split(' ');
        Some(Posted {
            recipient: words.next()?.parse().ok()?,
            device: words.next()?.parse().ok()?,
            outcome: {
                let name = words.next()?;
                *Outcome::ALL.iter().find(|outcome| outcome.name() == name)?
            },
        })
    }
}

/// A device of an account and its prekey, as an item of the reply to KEYS. Written as
/// `DEVICE KEY SUITES UNTIL_MS SIGNATURE`, and for the asking account itself with `USED_MS` after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKeys {
    /// The device's identity key.
    pub device: PublicKey,
    /// Its prekey.
    pub prekey: SignedPrekey,
    /// The time of the device's last login, in milliseconds since the Unix epoch. Other accounts don't see it.
    pub used_ms: Option<u64>,
}

impl fmt::Display for DeviceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.device, self.prekey)?;
        self.used_ms.map_or(Ok(()), |used_ms| write!(f, " {used_ms}"))
    }
}

impl DeviceKeys {
    /// Parses an item.
    pub fn parse(line: &str) -> Option<DeviceKeys> {
        let words: Vec<&str> = line.split(' ').collect();
        let (device, rest) = words.split_first()?;
        let (prekey, used) = rest.split_at_checked(4)?;
        let used_ms = used.first().map(|used| used.parse()).transpose().ok()?;
        let (device, prekey) = (device.parse().ok()?, SignedPrekey::from_words(prekey)?);
        Some(DeviceKeys { device, prekey, used_ms })
    }
}

/// The reply to KEYS: the devices of an account to which envelopes can be sealed. Each is an item, and the last line
/// has their count and the number and hash of the account's device list, zeros if there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountKeys {
    /// The devices, the one used last first.
    pub devices: Vec<DeviceKeys>,
    /// The device list.
    pub list: DeviceListRef,
}

impl AccountKeys {
    /// Returns the keys as a reply.
    pub fn to_reply(&self) -> Reply {
        let AccountKeys { devices, list } = self;
        let last = format!("{} {list} devices", devices.len());
        Reply::long(Code::Ok, devices.iter().map(DeviceKeys::to_string), last)
    }

    /// Parses the keys of a reply. Leaves out devices that are not understood.
    pub fn from_reply(reply: &Reply) -> Option<AccountKeys> {
        let items = reply.lines.split_last()?.1;
        let devices = items.iter().filter_map(|line| DeviceKeys::parse(line)).collect();
        Some(AccountKeys { devices, list: DeviceListRef::of_reply(reply)? })
    }
}
