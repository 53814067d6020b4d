//! Why a request failed, as data. The crate `letschat-commands` has a sentence for each.

use std::error::Error;
use std::fmt;

use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::username::{Username, UsernameError};

use crate::codes::{FailureCode, LinkEnd};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server refused.
    Refused {
        /// The server's reply code.
        code: FailureCode,
        /// The server's words.
        said: String,
        /// The clients it could mean, if the request was ambiguous.
        choices: Vec<String>,
    },
    /// The link to the server ended.
    LinkEnded(LinkEnd),
    /// The server can't be reached.
    Unreached {
        /// What happened to the link.
        end: LinkEnd,
        /// The server's address as it was given.
        server: String,
        /// What failed, in words that go on after "because".
        detail: String,
    },
    /// The answer to a request did not come, for this reason.
    Unanswered(Box<Failure>),
    /// The server's answer was not understood.
    NotUnderstood,
    /// The server's list makes no sense or does not end.
    EndlessList,
    /// The server's answer to a login names another account.
    OtherAccount,
    /// The server introduced another person than the one asked for.
    OtherPerson,
    /// The server's key is not the known one.
    ServerKeyChanged {
        /// The server's address as it was given.
        server: String,
        /// The known key.
        known: Fingerprint,
        /// The key found.
        found: Fingerprint,
    },
    /// The server's key is new, and nobody accepts it.
    ServerKeyUnknown {
        /// The server's address as it was given.
        server: String,
        /// The key found.
        found: Fingerprint,
    },
    /// The data folder or a file in it can't be used. The text says why.
    Folder(String),

    /// The user is not logged in.
    NotLoggedIn,
    /// The user is logged in.
    AlreadyLoggedIn,
    /// The user is logged in, or has chats, as somebody else.
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
    /// The server does not take this machine's key of the account.
    KeyRefused(Option<Username>),
    /// The account is logged in with another key.
    LoggedInElsewhere(Option<Username>),
    /// No valid username.
    NameInvalid(UsernameError),
    /// A password has line ends.
    PasswordWithLineEnd,

    /// The request was cancelled.
    Cancelled(Cancel),
    /// The client is about to end.
    Quitting,
    /// The client has ended.
    Ended,

    /// Nobody is meant by the name, or there is nobody to choose.
    Nobody {
        /// Whom the command is about.
        among: Among,
        /// A name was given.
        named: bool,
    },
    /// Several people could be meant.
    WhichOne(Vec<Username>),
    /// There is nothing to cancel.
    NothingToCancel,
    /// The words name neither a person nor an address.
    WhomToCall,
    /// Only a username can be blocked.
    WhomToBlock,
    /// The user calls themselves.
    CallsOneself,
    /// The user blocks themselves.
    BlocksOneself,
    /// The list of blocked people is full.
    TooManyBlocked {
        /// So many it holds.
        limit: usize,
    },
    /// The user has blocked them.
    Blocked(Username),
    /// They are not in the server's list.
    NotListed(String),

    /// Their key is not the known one.
    KeyChanged {
        /// Whose.
        who: Username,
        /// The known key.
        known: Option<PublicKey>,
        /// The new key, which can be trusted from now on.
        new: PublicKey,
        /// The user wanted to trust a key, which may be another one.
        trusting: bool,
    },
    /// No key of theirs is known.
    UnknownPeer,
    /// No changed key of theirs waits to be trusted.
    NothingToTrust,

    /// They denied the request.
    Denied(Username),
    /// They did not answer.
    NoAnswer(Username),
    /// They take no request now.
    PeerBusy(Username),
    /// They have not heard of the introduction.
    NotIntroduced(Username),
    /// They can't be reached at their address.
    Unreachable(Username),
    /// Somebody else answers at their address.
    WrongKey(Username),
    /// They hung up.
    HungUp(Username),
    /// Their program does not speak the protocol.
    OtherLanguage(Username),
    /// The other side spoke out of turn.
    OutOfTurn,
    /// Their request is over.
    Withdrawn(Withdrawal),

    /// A chat is open, so that the user can't leave the server.
    ChatOpen,
    /// No chat with that person is open.
    NoChatWith(String),
    /// No chat is open.
    NoChat,
    /// The current chat is over, and others are open.
    CurrentChatOver,
    /// The chat is about to end.
    ChatEnding,
    /// Too many messages wait to be confirmed.
    TooManyUnconfirmed,
    /// A text is too long.
    TextTooLong {
        /// What kind of text.
        text: Text,
        /// So many bytes it may have.
        limit: usize,
        /// So many it has.
        bytes: usize,
    },
    /// A text is blank.
    Blank(Text),
    /// A broadcast has control characters.
    ControlCharacters,
}

/// How a request was cancelled.
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

/// The people that a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Those who ask for a chat.
    Asking,
    /// Those who are being asked.
    Called,
    /// Those with whom a chat is open.
    Chatting,
}

/// How somebody's request for a chat ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// They called anew.
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
    /// The stable word for programs.
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
            Failure::NotLoggedIn => FailureCode::NotLoggedIn,
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
            Failure::WhomToCall | Failure::WhomToBlock => FailureCode::BadArguments,
            Failure::CallsOneself | Failure::BlocksOneself => FailureCode::Yourself,
            Failure::TooManyBlocked { .. } => FailureCode::TooMany,
            Failure::Blocked(_) => FailureCode::Blocked,
            Failure::NotListed(_) => FailureCode::NotListed,
            Failure::KeyChanged { .. } => FailureCode::KeyChanged,
            Failure::UnknownPeer => FailureCode::UnknownPeer,
            Failure::NothingToTrust => FailureCode::NothingToTrust,
            Failure::Denied(_) => FailureCode::Denied,
            Failure::NoAnswer(_) => FailureCode::NoAnswer,
            Failure::PeerBusy(_) => FailureCode::PeerBusy,
            Failure::NotIntroduced(_) => FailureCode::NotIntroduced,
            Failure::Unreachable(_) => FailureCode::Unreachable,
            Failure::WrongKey(_) => FailureCode::WrongKey,
            Failure::HungUp(_) => FailureCode::HungUp,
            Failure::OtherLanguage(_) | Failure::OutOfTurn => FailureCode::Protocol,
            Failure::Withdrawn(_) => FailureCode::Withdrawn,
            Failure::ChatOpen => FailureCode::ChatOpen,
            Failure::NoChatWith(_)
            | Failure::NoChat
            | Failure::CurrentChatOver
            | Failure::ChatEnding => FailureCode::NoChat,
            Failure::TooManyUnconfirmed => FailureCode::TooManyUnconfirmed,
        }
    }

    /// The server refused with this reply code and these words.
    pub fn refused(code: impl Into<FailureCode>, said: &str) -> Failure {
        Failure::Refused { code: code.into(), said: said.to_owned(), choices: Vec::new() }
    }

    /// The bytes of its texts that others choose the length of.
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

/// Shows the code: the core has no sentences.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

impl Error for Failure {}
