//! Offered files as they are stored, and their transfers.

use std::net::SocketAddr;
use std::path::PathBuf;

use letschat_protocol::files::FileInfo;
use letschat_protocol::files::name::FileName;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::Refusal;
use letschat_protocol::username::Username;

use crate::codes::FailureCode;
use crate::conversation::ConversationId;
use crate::conversation::LinkPath;
use crate::failure::Failure;

/// A file that this device offers, or that was offered to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The id of the message that offers it.
    pub id: MessageId,
    /// The conversation of that message.
    pub conversation: ConversationId,
    /// Its author.
    pub from: Username,
    /// The author's device, which has the file.
    pub device: PublicKey,
    /// The people to whom this device offers it, or nobody if another device offers it.
    pub audience: Vec<Username>,
    /// The name. That of another device's file is reduced to a safe one.
    pub name: FileName,
    /// The size and the root of the hashes.
    pub info: FileInfo,
    /// The time of the offer, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Its state.
    pub state: FileState,
    /// The source of an own file. Of another one the folder or path that the user wants it at and, once it is saved, its
    /// final path.
    pub path: Option<PathBuf>,
    /// The file with the chunks that have come so far.
    pub part: Option<PathBuf>,
}

/// The state of an offered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// It is offered.
    Offered,
    /// The user wants it, and it is not complete.
    Wanted,
    /// It is complete and saved.
    Saved,
    /// It will not come, or it is not offered any more.
    Failed(FailureCode),
}

impl FileState {
    /// Returns the stable word.
    pub fn name(self) -> &'static str {
        match self {
            FileState::Offered => "offered",
            FileState::Wanted => "wanted",
            FileState::Saved => "saved",
            FileState::Failed(_) => "failed",
        }
    }
}

/// A source that was read in order to offer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// The size and the root of the hashes, whose list the engine keeps.
    pub info: FileInfo,
}

/// A number for each attempt to fetch a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId(pub u64);

/// An attempt to fetch a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFile {
    /// Its number.
    pub transfer: TransferId,
    /// The address of the device that has the file.
    pub to: SocketAddr,
    /// The key of that device.
    pub key: PublicKey,
    /// The id of the offer.
    pub id: MessageId,
    /// The name to save it under.
    pub name: FileName,
    /// The size and the root of the hashes.
    pub info: FileInfo,
    /// The folder for it, or its path, if the user has named one.
    pub path: Option<PathBuf>,
    /// The file with the chunks that have come so far.
    pub part: Option<PathBuf>,
    /// The part as this run left it, and its bytes that are verified. Those of another one are verified again.
    pub verified: Option<(PartId, u64)>,
}

/// The identity of a file on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartId {
    /// The device.
    pub device: u64,
    /// The number of the inode on that device, which another file gets once this one is deleted.
    pub inode: u64,
    /// The time of its last change, in seconds and nanoseconds since the Unix epoch.
    pub changed: (i64, i64),
}

/// News of an attempt to fetch a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchNews {
    /// The device is not reached so far. A meeting is wanted, for which [`Effect::Meet`](crate::session::Effect::Meet)
    /// brings the token.
    MeetingWanted,
    /// The device is reached at a meeting, over this path.
    Met(LinkPath),
    /// Chunks are written to this file, which has so many verified bytes.
    Begun(PathBuf, u64),
    /// No more chunks are written. The file is left like this, with so many verified bytes.
    Left(PartId, u64),
    /// The number of bytes that are verified and written.
    Progress(u64),
    /// The file is complete, and saved at this path.
    Saved(PathBuf),
    /// The attempt has failed.
    Failed(FetchFailure),
}

/// The reason for which an attempt to fetch a file failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchFailure {
    /// The device can't be reached, or the link broke.
    Link,
    /// The device refuses.
    Refused(Refusal),
    /// The source has changed.
    Changed,
    /// The device sent something else than it offered.
    Invalid,
    /// The disk has no room.
    DiskFull {
        /// The missing bytes that the file needs.
        needed: u64,
        /// The free bytes.
        free: u64,
    },
    /// A file or folder of this machine can't be used, or another one took its place.
    File {
        /// Its path.
        path: PathBuf,
        /// The reason.
        why: String,
    },
}

/// News of a link over which a file is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServeNews {
    /// The number of bytes up to the chunk that is sent next.
    Progress(u64),
    /// The receiver has saved the file.
    Done,
    /// The link ended before that.
    Ended,
    /// The source has changed, or is gone.
    Changed,
}

impl FetchFailure {
    /// Returns the failure for the user, unless another attempt may succeed.
    pub(crate) fn lasting(self, from: &Username) -> Option<Failure> {
        match self {
            FetchFailure::Link
            | FetchFailure::Refused(Refusal::Busy | Refusal::NoAnswer | Refusal::Unknown) => None,
            FetchFailure::Refused(Refusal::Denied | Refusal::Over) => {
                Some(Failure::FileOver(from.clone()))
            }
            FetchFailure::Changed => Some(Failure::FileChanged(from.clone())),
            FetchFailure::Invalid => Some(Failure::FileInvalid(from.clone())),
            FetchFailure::DiskFull { needed, free } => Some(Failure::DiskFull { needed, free }),
            FetchFailure::File { path, why } => Some(Failure::File { path, why }),
        }
    }
}
