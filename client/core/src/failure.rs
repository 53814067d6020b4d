//! Reasons for which requests fail, as data. The crate `letschat-commands` has a sentence for each.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use letschat_protocol::devices::ListError;
use letschat_protocol::files::name::FileName;
use letschat_protocol::groups::GroupName;
use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::username::{Username, UsernameError};

use crate::codes::{FailureCode, LinkEnd};
use crate::history::HistoryFailure;

/// The reason for which a request failed.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server refused. `said` is the text of its reply. If the request was ambiguous, `choices`
    /// names the clients that it could mean.
    Refused { code: FailureCode, said: String, choices: Vec<String> },
    /// The link to the server ended.
    LinkEnded(LinkEnd),
    /// The server can't be reached. `server` is its address as given. `detail` is a clause that can
    /// follow "because".
    Unreached { end: LinkEnd, server: String, detail: String },
    /// The answer to a request did not arrive, for this reason.
    Unanswered(Box<Failure>),
    /// The server's answer was not understood.
    NotUnderstood,
    /// The server's list is inconsistent or endless.
    EndlessList,
    /// The server's answer to a login names another account.
    OtherAccount,
    /// The server introduced another person than the requested one.
    OtherPerson,
    /// The server's key is not the known one. `server` is its address as given.
    ServerKeyChanged { server: String, known: Fingerprint, found: Fingerprint },
    /// The server's key is new, and it was not accepted. `server` is its address as given.
    ServerKeyUnknown { server: String, found: Fingerprint },
    /// The data folder or a file in it can't be used. The text says why.
    Folder(String),

    /// The user is not logged in.
    NotLoggedIn,
    /// The user is logged in.
    AlreadyLoggedIn,
    /// The user is logged in, or has chats, with another account.
    AlreadyLoggedInAs(Username),
    /// Another login is under way.
    AlreadyLoggingIn,
    /// Too many requests wait for the login.
    TooManyWaiting,
    /// There is no account on this machine.
    NoAccount,
    /// There are several accounts on this machine.
    WhichAccount(Vec<Username>),
    /// Another client on this machine uses the account.
    AccountInUse(Username),
    /// This machine has no key of the account.
    NoKey(Username),
    /// The server does not accept this machine's key of the account.
    KeyRefused(Option<Username>),
    /// The account is logged in with another key.
    LoggedInElsewhere(Option<Username>),
    /// The username is not valid.
    NameInvalid(UsernameError),
    /// The password contains line ends.
    PasswordWithLineEnd,

    /// The request was cancelled.
    Cancelled(Cancel),
    /// The client is about to end.
    Quitting,
    /// The client has ended.
    Ended,

    /// The name matches no user, or there is no user to choose from. `named` is true if a name was
    /// given, and `among` is the group of possible users.
    Nobody { among: Among, named: bool },
    /// The command could mean several people.
    WhichOne(Vec<String>),
    /// There is nothing to cancel.
    NothingToCancel,
    /// The words name neither a user nor an address.
    WhomToCall,
    /// Only a username can be blocked.
    WhomToBlock,
    /// The user calls themselves.
    CallsOneself,
    /// The user blocks themselves.
    BlocksOneself,
    /// The user writes to themselves.
    WritesToOneself,
    /// The words name nobody to whom messages can be sent.
    WhomToWrite,
    /// The server's keys of this person are not signed by them.
    KeysInvalid(Username),
    /// Another client of the classroom has this name.
    IdTaken(Username),
    /// The server is not reached. The account is open, and the client keeps trying.
    WithoutServer,
    /// In a classroom: the server is not reached, and nobody is known who could be reached without it.
    NobodyToWrite,
    /// Too many messages wait in the outbox.
    OutboxFull,
    /// The list of blocked people is full: it holds `limit` names.
    TooManyBlocked { limit: usize },
    /// The user has blocked them.
    Blocked(Username),
    /// They are not in the server's list.
    NotListed(String),

    /// The person's key is not the known one. `new` can be trusted from now on. `trusting` is true
    /// if the user wanted to trust a key, which may be another one.
    KeyChanged { who: Username, known: Option<PublicKey>, new: PublicKey, trusting: bool },
    /// No key of this person, as typed, is known.
    UnknownPeer(String),
    /// No changed key of this person, as typed, waits to be trusted.
    NothingToTrust(String),

    /// This device is not in the account's device list.
    DeviceUnlisted,
    /// The text is no code of a device.
    NotADeviceCode,
    /// No device with that code waits to be listed.
    NoDeviceWaits,
    /// No device of the account has this name or key, as typed.
    NoSuchDevice(String),
    /// Several devices of the account have this name or key, as typed.
    WhichDevice(String),
    /// Another change of the device list is under way.
    DeviceChangeUnderWay,
    /// No group is called so.
    NoSuchGroup(String),
    /// The text is no name of a group.
    NotAGroupName,
    /// The user is in as many groups as can be.
    TooManyGroups { limit: usize },
    /// Only the owner changes a group.
    NotTheOwner { group: GroupName, owner: Username },
    /// The person is neither in the group nor invited, or has not joined.
    NotAMember { group: GroupName, who: Username },
    /// The person is in the group or invited already.
    MemberAlready { group: GroupName, who: Username },
    /// The group has as many members as it can have.
    GroupFull { limit: usize },
    /// The group has been given away as often as can be.
    GivenTooOften { limit: usize },
    /// The owner can't leave, or be removed, while others are in the group.
    OwnerStays(GroupName),
    /// The person has no client that knows groups.
    NoGroupsThere(Username),
    /// The owner's client has not heard yet that the user joins.
    NotJoinedYet(GroupName),
    /// Nobody else has joined the group.
    NobodyJoined(GroupName),
    /// The user's only device can't be removed.
    OnlyDevice,
    /// The own account has another list than this device holds.
    OwnListOutdated(Username),
    /// The server shows another list of the own account than the user has seen.
    OwnListNotShown,
    /// The change does not fit the account's device list.
    ListInvalid(ListError),

    /// No offered file has this id, as typed.
    NoSuchFile(String),
    /// Several offered files have this id, as typed.
    WhichFile(String),
    /// The file is on its way already.
    FileUnderWay(FileName),
    /// The file is this device's own.
    OwnFile(FileName),
    /// The file is larger than `limit` bytes.
    FileTooLarge { limit: u64 },
    /// As many files as can be are offered by this device.
    TooManyFiles { limit: usize },
    /// A file goes to people or groups, not to everyone.
    FileForEveryone,
    /// The source of their file has changed since they offered it.
    FileChanged(Username),
    /// The source of an own file has changed, or is gone.
    SourceChanged,
    /// As many files as can be are being read in order to offer them.
    TooManyReading { limit: usize },
    /// They sent something else than they offered.
    FileInvalid(Username),
    /// They do not offer the file any more.
    FileOver(Username),
    /// The disk has no room: the file needs `needed` more bytes, and `free` are left.
    DiskFull { needed: u64, free: u64 },
    /// A file or folder can't be used.
    File { path: PathBuf, why: String },

    /// They denied the request.
    Denied(Username),
    /// They did not answer.
    NoAnswer(Username),
    /// An action about the history failed.
    History(HistoryFailure),
    /// They take no request now.
    PeerBusy(Username),
    /// They have not heard of the introduction.
    NotIntroduced(Username),
    /// They can't be reached at their address.
    Unreachable(Username),
    /// Another key answers at their address.
    WrongKey(Username),
    /// They hung up.
    HungUp(Username),
    /// Their program does not speak the protocol.
    OtherLanguage(Username),
    /// The other side sent a message out of turn.
    OutOfTurn,
    /// The other side's request is over.
    Withdrawn(Withdrawal),

    /// A chat is open, so that the user can't leave the server.
    ChatOpen(Vec<Username>),
    /// No chat with that person is open.
    NoChatWith(String),
    /// No chat is open.
    NoChat,
    /// No conversation is current.
    NoConversation,
    /// The chat is about to end.
    ChatEnding,
    /// Too many messages wait to be confirmed.
    TooManyUnconfirmed,
    /// A text of `bytes` bytes is longer than `limit` bytes.
    TextTooLong { text: Text, limit: usize, bytes: usize },
    /// A text is blank.
    Blank(Text),
    /// A broadcast contains control characters.
    ControlCharacters,
}

/// The way in which a request was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// The user left the server.
    LeftServer,
    /// The user withdrew it.
    Withdrawn,
    /// The user stopped trying to reach the server.
    StoppedTrying,
    /// The user blocked that person.
    Blocked,
    /// The client is about to end.
    Quitting,
}

/// The group of people that a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Those who ask the user for a chat.
    Asking,
    /// Those whom the user is calling.
    Called,
    /// Those with whom a chat is open.
    Chatting,
}

/// The way in which a peer's request for a chat ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// They called again.
    CalledAnew,
    /// It is over.
    Over,
    /// They hung up.
    HungUp(Username),
}

/// A kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// A message of a chat.
    Message,
    /// A broadcast.
    Broadcast,
}

impl Failure {
    /// Returns true if the server will be able to answer soon.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code(), FailureCode::SlowDown | FailureCode::StoreUnavailable)
    }

    /// Returns the stable word for programs.
    pub fn code(&self) -> FailureCode {
        match self {
            Failure::Refused { code, .. } => *code,
            Failure::LinkEnded(end) | Failure::Unreached { end, .. } => (*end).into(),
            Failure::Unanswered(why) => why.code(),
            Failure::NotUnderstood
            | Failure::EndlessList
            | Failure::OtherAccount
            | Failure::OtherPerson => FailureCode::Malformed,
            Failure::ServerKeyChanged { .. } => FailureCode::ServerKeyChanged,
            Failure::ServerKeyUnknown { .. } => FailureCode::ServerKeyUnknown,
            Failure::Folder(_) => FailureCode::Folder,
            Failure::NotLoggedIn | Failure::NobodyToWrite => FailureCode::NotLoggedIn,
            Failure::WithoutServer => FailureCode::NoServer,
            Failure::IdTaken(_) => FailureCode::KeyRefused,
            Failure::AlreadyLoggedIn | Failure::AlreadyLoggedInAs(_) => {
                FailureCode::AlreadyLoggedIn
            }
            Failure::AlreadyLoggingIn => FailureCode::AlreadyLoggingIn,
            Failure::TooManyWaiting => FailureCode::TooManyWaiting,
            Failure::NoAccount => FailureCode::NoAccount,
            Failure::WhichAccount(_) => FailureCode::WhichAccount,
            Failure::AccountInUse(_) => FailureCode::AccountInUse,
            Failure::NoKey(_) => FailureCode::NoKey,
            Failure::KeyRefused(_) => FailureCode::KeyRefused,
            Failure::LoggedInElsewhere(_) => FailureCode::LoggedInElsewhere,
            Failure::NameInvalid(_) => FailureCode::NameInvalid,
            Failure::PasswordWithLineEnd => FailureCode::PasswordWeak,
            Failure::Cancelled(_) => FailureCode::Cancelled,
            Failure::Quitting => FailureCode::Quitting,
            Failure::Ended => FailureCode::Ended,
            Failure::TextTooLong { .. } => FailureCode::TextTooLong,
            Failure::Blank(_) | Failure::ControlCharacters => FailureCode::TextInvalid,
            Failure::Nobody { .. } | Failure::NothingToCancel => FailureCode::NobodySuch,
            Failure::WhichOne(_) => FailureCode::WhichOne,
            Failure::WhomToCall | Failure::WhomToBlock | Failure::WhomToWrite => {
                FailureCode::BadArguments
            }
            Failure::CallsOneself | Failure::BlocksOneself | Failure::WritesToOneself => {
                FailureCode::Yourself
            }
            Failure::KeysInvalid(_) => FailureCode::KeysInvalid,
            Failure::OutboxFull => FailureCode::OutboxFull,
            Failure::TooManyBlocked { .. } => FailureCode::TooMany,
            Failure::Blocked(_) => FailureCode::Blocked,
            Failure::NotListed(_) => FailureCode::NotListed,
            Failure::KeyChanged { .. } => FailureCode::KeyChanged,
            Failure::UnknownPeer(_) => FailureCode::UnknownPeer,
            Failure::NothingToTrust(_) => FailureCode::NothingToTrust,
            Failure::DeviceUnlisted => FailureCode::DeviceUnlisted,
            Failure::NotADeviceCode => FailureCode::BadArguments,
            Failure::NoDeviceWaits | Failure::NoSuchDevice(_) | Failure::WhichDevice(_) => {
                FailureCode::NoSuchDevice
            }
            Failure::NotAGroupName => FailureCode::BadArguments,
            Failure::NoSuchGroup(_) => FailureCode::NoSuchGroup,
            Failure::TooManyGroups { .. }
            | Failure::GroupFull { .. }
            | Failure::GivenTooOften { .. } => FailureCode::GroupFull,
            Failure::NotTheOwner { .. } => FailureCode::NotTheOwner,
            Failure::NotAMember { .. } | Failure::NotJoinedYet(_) | Failure::NobodyJoined(_) => {
                FailureCode::NotAMember
            }
            Failure::MemberAlready { .. } => FailureCode::MemberAlready,
            Failure::OwnerStays(_) => FailureCode::OwnerStays,
            Failure::NoGroupsThere(_) => FailureCode::NoDevice,
            Failure::OnlyDevice => FailureCode::ListInvalid,
            Failure::OwnListOutdated(_) => FailureCode::DeviceUnlisted,
            Failure::OwnListNotShown => FailureCode::KeyChanged,
            Failure::DeviceChangeUnderWay => FailureCode::ListChanged,
            Failure::ListInvalid(_) => FailureCode::ListInvalid,
            Failure::NoSuchFile(_) | Failure::WhichFile(_) => FailureCode::NoSuchFile,
            Failure::FileUnderWay(_) | Failure::OwnFile(_) => FailureCode::FileUnderWay,
            Failure::FileTooLarge { .. } => FailureCode::FileTooLarge,
            Failure::TooManyFiles { .. } | Failure::TooManyReading { .. } => FailureCode::TooMany,
            Failure::FileForEveryone => FailureCode::BadArguments,
            Failure::FileChanged(_) | Failure::SourceChanged => FailureCode::FileChanged,
            Failure::FileInvalid(_) => FailureCode::FileInvalid,
            Failure::FileOver(_) => FailureCode::FileOver,
            Failure::DiskFull { .. } => FailureCode::DiskFull,
            Failure::File { .. } => FailureCode::File,
            Failure::History(why) => why.code(),
            Failure::Denied(_) => FailureCode::Denied,
            Failure::NoAnswer(_) => FailureCode::NoAnswer,
            Failure::PeerBusy(_) => FailureCode::PeerBusy,
            Failure::NotIntroduced(_) => FailureCode::NotIntroduced,
            Failure::Unreachable(_) => FailureCode::Unreachable,
            Failure::WrongKey(_) => FailureCode::WrongKey,
            Failure::HungUp(_) => FailureCode::HungUp,
            Failure::OtherLanguage(_) | Failure::OutOfTurn => FailureCode::Protocol,
            Failure::Withdrawn(_) => FailureCode::Withdrawn,
            Failure::ChatOpen(_) => FailureCode::ChatOpen,
            Failure::NoChatWith(_)
            | Failure::NoChat
            | Failure::NoConversation
            | Failure::ChatEnding => FailureCode::NoChat,
            Failure::TooManyUnconfirmed => FailureCode::TooManyUnconfirmed,
        }
    }

    /// Returns the failure of a request that the server refused with this reply code and text.
    pub fn refused(code: impl Into<FailureCode>, said: &str) -> Failure {
        Failure::Refused { code: code.into(), said: said.to_owned(), choices: Vec::new() }
    }

    /// Returns the bytes of the texts whose length others choose.
    pub fn text_bytes(&self) -> usize {
        match self {
            Failure::Refused { said, choices, .. } => {
                said.len() + choices.iter().map(String::len).sum::<usize>()
            }
            Failure::Unreached { server, detail, .. } => server.len() + detail.len(),
            Failure::Unanswered(why) => why.text_bytes(),
            Failure::Folder(why) => why.len(),
            _ => 0,
        }
    }
}

impl HistoryFailure {
    fn code(&self) -> FailureCode {
        match self {
            HistoryFailure::Off => FailureCode::HistoryOff,
            HistoryFailure::Locked => FailureCode::HistoryLocked,
            HistoryFailure::NotLocked => FailureCode::BadArguments,
            HistoryFailure::NoPassphrase => FailureCode::NoPassword,
            HistoryFailure::WrongPassphrase => FailureCode::WrongPassphrase,
            HistoryFailure::PassphrasesDiffer => FailureCode::PasswordsDiffer,
            HistoryFailure::PassphraseWeak(_) => FailureCode::PasswordWeak,
            HistoryFailure::NoWords => FailureCode::BadArguments,
            HistoryFailure::Busy => FailureCode::TooMany,
            HistoryFailure::Unusable(_) => FailureCode::Folder,
        }
    }
}

/// Shows the code, since the core has no sentences.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

impl Error for Failure {}
