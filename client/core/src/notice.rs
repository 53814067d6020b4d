//! The subjects of `notice` events, as data. The crate `letschat-commands` has the sentences.

use letschat_protocol::devices::{Device, DeviceCode, DeviceName};
use letschat_protocol::envelope::OpenError;
use letschat_protocol::groups::GroupName;
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::username::Username;

use crate::codes::NoticeCode;

/// The subject of a `notice` event.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The server is new, and its key is pinned. `server` is its address as given.
    ServerKeyPinned { server: String, fingerprint: Fingerprint },
    /// The server is known by another address, `known_as`. `server` is its address as given.
    ServerKnown { server: String, known_as: String },
    /// The operator's message to everybody.
    ServerSays(String),
    /// The user asked for a login that has been done already.
    AlreadyLoggedIn(Username),
    /// The other side's user is being asked for a chat.
    Ringing(Username),
    /// The user asked for a chat that is open already.
    ChatOpen(Username),
    /// The chat with this person became the current one.
    CurrentChat(Username),
    /// Events were dropped because the front end did not read them.
    EventsDropped { count: u64 },
    /// The record of shown broadcasts was lost. The text says why.
    PositionLost(String),
    /// This many messages of a person, before the one that follows, have not arrived.
    MessagesMissing { from: Username, count: u64 },
    /// A message of this person could not be opened, and was dropped.
    MailRefused { from: Username, why: OpenError },
    /// A message of this person has content that this version does not know.
    NewerVersion(Username),
    /// The server refused this device's prekey because of its dates: one of the two clocks is wrong.
    PrekeyRefused,
    /// A client of the classroom has another key than the known one.
    ClientKeyChanged(Username),
    /// This device is not in the account's device list. A listed device adds it by this code.
    DeviceUnlisted(DeviceCode),
    /// This device is in the account's device list now, with these others.
    DeviceListed(Vec<DeviceName>),
    /// The account, `own`, has another device list than this device knows, with these devices.
    DeviceListReplaced { own: Username, devices: Vec<Device> },
    /// A device that wants to be listed has not agreed to be in this account's list.
    DeviceConsentInvalid,
    /// The server's device list of this person is not signed as it has to be.
    DeviceListInvalid(Username),
    /// The server's device list of this person is older than the known one.
    DeviceListOld(Username),
    /// Another device of the owner was first, and this one's change about a person can't be made any more.
    GroupChangeLost(GroupName, Username),
    /// The server does not show the device list that this person's device has.
    DeviceListWithheld(Username),
    /// This person's device has another device list of the same number.
    DeviceListsDiffer(Username),
    /// The history can't be read before its passphrase is given. New messages are kept.
    HistoryLocked,
    /// A file of the history was damaged and has another name now; a new one was begun. `why` is a clause.
    HistorySetAside { name: String, why: String },
    /// No history is kept. The clause says why.
    HistoryUnusable(String),
}

impl Notice {
    /// Returns the stable word for programs.
    pub fn code(&self) -> NoticeCode {
        match self {
            Notice::ServerKeyPinned { .. } => NoticeCode::ServerKeyPinned,
            Notice::ServerKnown { .. } => NoticeCode::ServerKnown,
            Notice::ServerSays(_) => NoticeCode::ServerSays,
            Notice::AlreadyLoggedIn(_) => NoticeCode::AlreadyLoggedIn,
            Notice::Ringing(_) => NoticeCode::Ringing,
            Notice::ChatOpen(_) => NoticeCode::ChatOpen,
            Notice::CurrentChat(_) => NoticeCode::CurrentChat,
            Notice::EventsDropped { .. } => NoticeCode::EventsDropped,
            Notice::PositionLost(_) => NoticeCode::PositionLost,
            Notice::MessagesMissing { .. } => NoticeCode::MessagesMissing,
            Notice::MailRefused { .. } => NoticeCode::MailRefused,
            Notice::NewerVersion(_) => NoticeCode::NewerVersion,
            Notice::PrekeyRefused => NoticeCode::PrekeyRefused,
            Notice::ClientKeyChanged(_) => NoticeCode::ClientKeyChanged,
            Notice::DeviceUnlisted(_) => NoticeCode::DeviceUnlisted,
            Notice::DeviceListed(_) => NoticeCode::DeviceListed,
            Notice::DeviceListReplaced { .. } => NoticeCode::DeviceListReplaced,
            Notice::DeviceConsentInvalid => NoticeCode::DeviceConsentInvalid,
            Notice::DeviceListInvalid(_) => NoticeCode::DeviceListInvalid,
            Notice::DeviceListOld(_) => NoticeCode::DeviceListOld,
            Notice::GroupChangeLost(..) => NoticeCode::GroupChangeLost,
            Notice::DeviceListWithheld(_) => NoticeCode::DeviceListWithheld,
            Notice::DeviceListsDiffer(_) => NoticeCode::DeviceListsDiffer,
            Notice::HistoryLocked => NoticeCode::HistoryLocked,
            Notice::HistorySetAside { .. } => NoticeCode::HistorySetAside,
            Notice::HistoryUnusable(_) => NoticeCode::HistoryUnusable,
        }
    }

    /// Returns the bytes of the texts whose length others choose.
    pub fn text_bytes(&self) -> usize {
        match self {
            Notice::ServerSays(text) | Notice::PositionLost(text) => text.len(),
            _ => 0,
        }
    }
}
