//! Stable words for programs: the codes of failures and notices, and the reasons in events.
//!
//! `--json` and Lua show the same words. docs/CLIENT.md explains each to users.

use std::fmt;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Closing;
use serde::{Serialize, Serializer};

macro_rules! words {
    ($(#[$meta:meta])* $name:ident: $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// All variants.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// Returns the stable word.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        shown_by_name!($name);
    };
}

macro_rules! shown_by_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}

words! {
    /// The reason for which a request failed, or the subject of an `error` event.
    ///
    /// The first group is the server's refusals, the second the reasons for which the link to the
    /// server ends. The rest is the client's own.
    FailureCode:

    /// The server is full.
    Busy = "busy",
    /// The client sent too many commands or failed too often.
    SlowDown = "slow_down",
    /// The server can't reach its account store.
    StoreUnavailable = "store_unavailable",
    /// That person was here recently and is not here now.
    NotHere = "not_here",
    /// The address belongs to several clients.
    Ambiguous = "ambiguous",
    /// The session is typed by hand and has no receiver for calls.
    NoReceiver = "no_receiver",
    /// The account is logged in with another key.
    LoggedInElsewhere = "logged_in_elsewhere",
    /// The mailbox of the recipient's device is full.
    MailboxFull = "mailbox_full",
    /// Another device has changed the account's device list meanwhile.
    ListChanged = "list_changed",
    /// A line, an object or a server's answer was not understood.
    Malformed = "malformed",
    /// The command was understood, but not its arguments.
    BadArguments = "bad_arguments",
    /// There is no such command.
    UnknownCommand = "unknown_command",
    /// The server does not accept that request in its present state.
    WrongPhase = "wrong_phase",
    /// The username is not valid.
    NameInvalid = "name_invalid",
    /// The username is taken.
    NameTaken = "name_taken",
    /// The password is too short, too long, too simple or not printable.
    PasswordWeak = "password_weak",
    /// The two passwords differ.
    PasswordsDiffer = "passwords_differ",
    /// The username or the password is wrong.
    WrongPassword = "wrong_password",
    /// The server does not accept this machine's key.
    KeyRefused = "key_refused",
    /// The account is banned.
    Banned = "banned",
    /// No user has that name or address; the server closed the connection.
    Nobody = "nobody",
    /// The user named themselves.
    Yourself = "yourself",
    /// The text is too long.
    TextTooLong = "text_too_long",
    /// The text is empty or has characters that can't be sent.
    TextInvalid = "text_invalid",

    /// No account has that name.
    UnknownUser = "unknown_user",
    /// The account has no device that messages can be sealed to.
    NoDevice = "no_device",
    /// The server refuses the envelope.
    EnvelopeInvalid = "envelope_invalid",
    /// The change does not fit the account's device list.
    ListInvalid = "list_invalid",
    /// The link to the server broke.
    Lost = "lost",
    /// No server answers there.
    NoServer = "no_server",
    /// The server stopped.
    Terminated = "terminated",
    /// The server closed after a long time without activity.
    Idle = "idle",
    /// The same device logged in again or, at a server of version 0.1, the same account.
    Replaced = "replaced",
    /// The operator closed the connection.
    Kicked = "kicked",
    /// The server closed because of an invalid request to connect.
    Penalty = "penalty",
    /// The server closed after too many wrong answers.
    WrongAnswers = "wrong_answers",
    /// The server closed because the login or an answer took too long.
    TooSlow = "too_slow",
    /// The server closed because this client did not read.
    NotReading = "not_reading",
    /// The server closed because of too many lines or requests.
    Flood = "flood",
    /// The server closed because it heard nothing from this client.
    Silent = "silent",
    /// A device of the account has removed this one, or changed the password.
    Removed = "removed",
    /// The server closed since it could not check whether this device may stay logged in.
    Recheck = "recheck",

    /// The server's key is not the known one.
    ServerKeyChanged = "server_key_changed",
    /// The server's key has not been seen before, and it was not accepted.
    ServerKeyUnknown = "server_key_unknown",
    /// There is no account on this machine to log in as.
    NoAccount = "no_account",
    /// There are several accounts on this machine.
    WhichAccount = "which_account",
    /// Another client on this machine uses the account.
    AccountInUse = "account_in_use",
    /// This machine has no key of the account.
    NoKey = "no_key",
    /// The user is logged in already.
    AlreadyLoggedIn = "already_logged_in",
    /// Another login is under way.
    AlreadyLoggingIn = "already_logging_in",
    /// The user is not logged in.
    NotLoggedIn = "not_logged_in",
    /// Too many requests wait for the login.
    TooManyWaiting = "too_many_waiting",
    /// The user withdrew the request, or left the server.
    Cancelled = "cancelled",
    /// The client is about to end.
    Quitting = "quitting",
    /// The client has ended.
    Ended = "ended",
    /// The data folder or a file in it can't be used.
    Folder = "folder",
    /// A file in the data folder could not be written.
    NotSaved = "not_saved",

    /// That person is not in the server's list.
    NotListed = "not_listed",
    /// The user has blocked that person.
    Blocked = "blocked",
    /// The list of blocked people is full.
    TooMany = "too_many",
    /// That person's key is not the known one.
    KeyChanged = "key_changed",
    /// The server's keys of that person are not signed by them.
    KeysInvalid = "keys_invalid",
    /// The outbox is full.
    OutboxFull = "outbox_full",
    /// No key of that person is known.
    UnknownPeer = "unknown_peer",
    /// No changed key of that person waits to be trusted.
    NothingToTrust = "nothing_to_trust",
    /// No group is called so.
    NoSuchGroup = "no_such_group",
    /// The group, or the account's number of groups, is at its limit.
    GroupFull = "group_full",
    /// Only the owner changes a group.
    NotTheOwner = "not_the_owner",
    /// The person is not a member of the group.
    NotAMember = "not_a_member",
    /// The person is in the group or invited already.
    MemberAlready = "member_already",
    /// The owner can't leave while others are in the group.
    OwnerStays = "owner_stays",
    /// This device is not in the account's device list.
    DeviceUnlisted = "device_unlisted",
    /// No device of the account fits.
    NoSuchDevice = "no_such_device",
    /// No file with that id is offered.
    NoSuchFile = "no_such_file",
    /// The file is on its way already, or an own one.
    FileUnderWay = "file_under_way",
    /// The file is too large.
    FileTooLarge = "file_too_large",
    /// The source of the file has changed since it was offered.
    FileChanged = "file_changed",
    /// The other side sent something else than it offered.
    FileInvalid = "file_invalid",
    /// The file is not offered any more.
    FileOver = "file_over",
    /// The disk has no room for the file.
    DiskFull = "disk_full",
    /// A file or folder can't be used.
    File = "file",
    /// A script may not use a file there.
    FileForbidden = "file_forbidden",
    /// The user has not asked for a history.
    HistoryOff = "history_off",
    /// The history can't be read before its passphrase is given.
    HistoryLocked = "history_locked",
    /// The passphrase of the history is another one.
    WrongPassphrase = "wrong_passphrase",
    /// The other side denied the request.
    Denied = "denied",
    /// The other side did not answer.
    NoAnswer = "no_answer",
    /// The other side takes no request now.
    PeerBusy = "peer_busy",
    /// The other side has heard of no introduction.
    NotIntroduced = "not_introduced",
    /// The other side can't be reached at its address.
    Unreachable = "unreachable",
    /// Another key answers at the other side's address.
    WrongKey = "wrong_key",
    /// The other side hung up.
    HungUp = "hung_up",
    /// The other side does not speak the protocol.
    Protocol = "protocol",
    /// The other side's request is over.
    Withdrawn = "withdrawn",

    /// A chat is open, so that the user can't leave the server.
    ChatOpen = "chat_open",
    /// No chat is open there.
    NoChat = "no_chat",
    /// No user of that name fits the command.
    NobodySuch = "nobody_such",
    /// The command could mean several people.
    WhichOne = "which_one",
    /// Too many messages wait to be confirmed.
    TooManyUnconfirmed = "too_many_unconfirmed",

    /// The password file can't be read.
    PasswordFile = "password_file",
    /// No password could be read from the terminal.
    NoPassword = "no_password",
    /// A plugin's filter held the text back.
    HeldBack = "held_back",
    /// This run has no plugins.
    NoPlugins = "no_plugins",
    /// A plugin failed or was not loaded.
    Plugin = "plugin",
    /// A script or plugin has reached one of its limits.
    Limit = "limit",
    /// Lua reported an error.
    Lua = "lua",
    /// A module could not be loaded.
    Module = "module",
    /// The store of a script or plugin can't be read or written.
    Store = "store",
    /// A script's further client could not be started.
    Client = "client",
}

words! {
    /// The subject of a `notice` event.
    NoticeCode:

    /// The server is new, and its key is pinned.
    ServerKeyPinned = "server_key_pinned",
    /// The server is known by another address.
    ServerKnown = "server_known",
    /// The operator's message to everybody.
    ServerSays = "server_says",
    /// The user asked for a login that has been done already.
    AlreadyLoggedIn = "already_logged_in",
    /// The other side of a call is being asked.
    Ringing = "ringing",
    /// The user asked for a chat that is open already.
    ChatOpen = "chat_open",
    /// Another chat became the current one.
    CurrentChat = "current_chat",
    /// Events were dropped because the front end did not read them.
    EventsDropped = "events_dropped",
    /// The record of shown broadcasts was lost.
    PositionLost = "position_lost",
    /// Messages of a person have not arrived.
    MessagesMissing = "messages_missing",
    /// A message could not be opened.
    MailRefused = "mail_refused",
    /// A message needs a newer version of the client.
    NewerVersion = "newer_version",
    /// The server refused this device's prekey.
    PrekeyRefused = "prekey_refused",
    /// A client of the classroom has another key.
    ClientKeyChanged = "client_key_changed",
    /// This device is not in the account's device list.
    DeviceUnlisted = "device_unlisted",
    /// This device is in the account's device list now.
    DeviceListed = "device_listed",
    /// The account has another device list.
    DeviceListReplaced = "device_list_replaced",
    /// A device that wants to be listed is not this account's.
    DeviceConsentInvalid = "device_consent_invalid",
    /// A device list is not signed as it has to be.
    DeviceListInvalid = "device_list_invalid",
    /// The server shows an older device list than it did.
    DeviceListOld = "device_list_old",
    /// A change of a group was lost to one by another device.
    GroupChangeLost = "group_change_lost",
    /// The server withholds a device list.
    DeviceListWithheld = "device_list_withheld",
    /// The server shows different device lists to different people.
    DeviceListsDiffer = "device_lists_differ",
    /// The history can't be read before its passphrase is given.
    HistoryLocked = "history_locked",
    /// A damaged file of the history was set aside.
    HistorySetAside = "history_set_aside",
    /// No history is kept, since a file of it can't be used.
    HistoryUnusable = "history_unusable",
}

words! {
    /// The reason for which a chat ended.
    ChatEnd:

    /// The user ended it.
    Ended = "ended",
    /// The other side ended it.
    PeerEnded = "peer_ended",
    /// Its link could not be restored.
    Lost = "lost",
    /// The other side broke the protocol.
    Protocol = "protocol",
    /// A new chat with the same person takes its place.
    Replaced = "replaced",
}

words! {
    /// The reason for which a peer's request for a chat ended.
    RequestEnd:

    /// They withdrew it.
    Withdrawn = "withdrawn",
    /// The user did not answer in time.
    NoAnswer = "no_answer",
}

/// The reason for which there is no link to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// It broke.
    Lost,
    /// No server answers there.
    NoServer,
    /// The server closed it and said why.
    Closed(Closing),
}

shown_by_name!(LinkEnd);

impl LinkEnd {
    /// Returns every reason there is.
    pub fn all() -> impl Iterator<Item = LinkEnd> {
        let closed = Closing::ALL.iter().map(|closing| LinkEnd::Closed(*closing));
        [LinkEnd::Lost, LinkEnd::NoServer].into_iter().chain(closed)
    }

    /// Returns the stable word.
    pub fn name(self) -> &'static str {
        match self {
            LinkEnd::Lost => "lost",
            LinkEnd::NoServer => "no_server",
            LinkEnd::Closed(closing) => closing.name(),
        }
    }
}

impl From<LinkEnd> for FailureCode {
    fn from(end: LinkEnd) -> FailureCode {
        match end {
            LinkEnd::Lost => FailureCode::Lost,
            LinkEnd::NoServer => FailureCode::NoServer,
            LinkEnd::Closed(closing) => match closing {
                Closing::Terminated => FailureCode::Terminated,
                Closing::Idle => FailureCode::Idle,
                Closing::Replaced => FailureCode::Replaced,
                Closing::Kicked => FailureCode::Kicked,
                Closing::Penalty => FailureCode::Penalty,
                Closing::WrongAnswers => FailureCode::WrongAnswers,
                Closing::TooSlow => FailureCode::TooSlow,
                Closing::NotReading => FailureCode::NotReading,
                Closing::Flood => FailureCode::Flood,
                Closing::Silent => FailureCode::Silent,
                Closing::Removed => FailureCode::Removed,
                Closing::Recheck => FailureCode::Recheck,
                Closing::Busy => FailureCode::Busy,
            },
        }
    }
}

/// Keeps a refusal's word. An answer that is no refusal, but comes in place of one, is
/// [`FailureCode::Malformed`].
impl From<Code> for FailureCode {
    fn from(code: Code) -> FailureCode {
        match code {
            Code::SignedUp
            | Code::Help
            | Code::Ready
            | Code::Goodbye
            | Code::LoggedIn
            | Code::Ok
            | Code::WhichWay
            | Code::AskUsername
            | Code::AskPassword
            | Code::AskPasswordAgain
            | Code::AskMessage
            | Code::AskWho
            | Code::Malformed => FailureCode::Malformed,
            Code::Busy => FailureCode::Busy,
            Code::SlowDown => FailureCode::SlowDown,
            Code::StoreUnavailable => FailureCode::StoreUnavailable,
            Code::NotHere => FailureCode::NotHere,
            Code::Ambiguous => FailureCode::Ambiguous,
            Code::NoReceiver => FailureCode::NoReceiver,
            Code::LoggedInElsewhere => FailureCode::LoggedInElsewhere,
            Code::BadArguments => FailureCode::BadArguments,
            Code::UnknownCommand => FailureCode::UnknownCommand,
            Code::WrongPhase => FailureCode::WrongPhase,
            Code::NameInvalid => FailureCode::NameInvalid,
            Code::NameTaken => FailureCode::NameTaken,
            Code::PasswordWeak => FailureCode::PasswordWeak,
            Code::PasswordsDiffer => FailureCode::PasswordsDiffer,
            Code::WrongPassword => FailureCode::WrongPassword,
            Code::KeyRefused => FailureCode::KeyRefused,
            Code::Banned => FailureCode::Banned,
            Code::Nobody => FailureCode::Nobody,
            Code::Yourself => FailureCode::Yourself,
            Code::TextTooLong => FailureCode::TextTooLong,
            Code::TextInvalid => FailureCode::TextInvalid,
            Code::MailboxFull => FailureCode::MailboxFull,
            Code::UnknownUser => FailureCode::UnknownUser,
            Code::NoDevice => FailureCode::NoDevice,
            Code::EnvelopeInvalid => FailureCode::EnvelopeInvalid,
            Code::ListChanged => FailureCode::ListChanged,
            Code::ListInvalid => FailureCode::ListInvalid,
            // Only connections for meetings get these.
            Code::NoRelay | Code::TokenInvalid => FailureCode::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests;
