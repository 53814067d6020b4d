//! The inputs and effects of a session.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use letschat_protocol::body::Body;
pub use letschat_protocol::clock::Now;
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{
    FromServer, MeetingToken, Request as ServerRequest, Secret, SessionId,
};
use letschat_protocol::envelope::Recipient;
use letschat_protocol::files::{FileHash, FileInfo};
use letschat_protocol::identity::{ChannelBinding, Fingerprint, Identity, PublicKey};
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::username::Username;
use serde::{Deserialize, Serialize};

use super::reply::Reply;
use crate::conversation::LinkPath;
use crate::event::Event;
use crate::failure::Failure;
use crate::files::{FetchFile, FetchNews, ReadFile, ServeNews, TransferId};
use crate::history::{HistoryAction, HistoryMessage};
use crate::mail::{Arrived, MailChange, StoredMail, StoredPrekey};

/// The id of a user's request until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The id of a link to a peer, never reused while the client runs. The session numbers the links
/// that it dials, and the driver those that arrive: see [`LinkId::dialled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(u64);

impl LinkId {
    /// Returns the id of the n-th link that the session dialled.
    pub fn dialled(n: u64) -> LinkId {
        LinkId(n << 1)
    }

    /// Returns the id of the n-th link that arrived at the receiver.
    pub fn arrived(n: u64) -> LinkId {
        LinkId(n << 1 | 1)
    }
}

/// An attempt to reach a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// By [`Effect::DialPeer`].
    Link(LinkId),
    /// By [`Effect::FetchFile`].
    Transfer(TransferId),
}

/// The token of a meeting, or the reason that there is none.
pub type MeetingAnswer = Result<MeetingToken, NoMeeting>;

/// The reason that there is no meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMeeting {
    /// There are too many at the moment. A later wish may be granted.
    Later,
    /// The server does not arrange one.
    Never,
}

/// An event that the session handles.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone)]
pub enum Input {
    /// The user wants something. Answered exactly once, by [`Effect::Answer`].
    Request { id: RequestId, request: Request },
    /// [`Effect::DialServer`] succeeded: TLS is up and the server's key is trusted. `server` is the one of the service
    /// that was reached, and `binding` the value that a login signature in this TLS session covers.
    ServerSecured {
        server: String,
        fingerprint: Fingerprint,
        binding: ChannelBinding,
        address: SocketAddr,
    },
    /// [`Effect::DialServer`] failed.
    ServerUnreached(Unreached),
    /// The server sent a message.
    Server(FromServer),
    /// The link to the server ended or broke. Not told after [`Effect::CloseServer`].
    ServerLost,
    /// The answer to [`Effect::OpenAccount`].
    Account(Result<Account, AccountError>),
    /// The answer to [`Effect::Commit`]. The text says why it failed.
    Committed { commit: u64, result: Result<(), String> },
    /// The server delivered an envelope, which takes the place of its notice.
    Mail(Box<Arrived>),
    /// The answer to [`Effect::Seal`]: the envelope, or `None` if a key is no key.
    Sealed(Option<Vec<u8>>),
    /// The answer to [`Effect::ReadFile`].
    FileRead { request: RequestId, result: Result<ReadFile, Failure> },
    /// The last messages of the open account's history, oldest first.
    History(Vec<HistoryMessage>),
    /// News of an attempt to fetch a file. Not told after [`Effect::StopFetch`].
    Fetch { transfer: TransferId, news: FetchNews },
    /// News of a link over which a file is sent. Not told after [`Effect::ClosePeer`].
    Serve { link: LinkId, news: ServeNews },
    /// The answer to [`Effect::MakePrekey`]: the prekey, or `None` if it could not be stored.
    PrekeyMade(Option<StoredPrekey>),
    /// An authentic datagram from the server.
    Datagram(ToClient),
    /// A peer is not reached so far. A meeting is wanted, if it has this key. Answered by [`Effect::Meet`].
    MeetingWanted { dial: Dial, key: PublicKey },
    /// This link was made at a meeting. [`Input::PeerDialled`] or [`Input::PeerArrived`] follows.
    Met { link: LinkId, path: LinkPath },
    /// [`Effect::DialPeer`] succeeded: TLS is up and the peer has the expected key.
    PeerDialled { link: LinkId },
    /// A peer reached the receiver over the new link and proved this key.
    PeerArrived { link: LinkId, key: PublicKey, from: SocketAddr },
    /// A peer sent a message.
    Peer { link: LinkId, message: PeerMessage },
    /// A link could not be dialled, ended or broke, or received something that is no message. Not
    /// told after [`Effect::ClosePeer`].
    PeerLost { link: LinkId, why: PeerLoss },
    /// The front end has displayed the event of an [`Effect::Display`].
    Displayed(Displayed),
    /// The backlog of the front end changed.
    Backlog(Backlog),
    /// The [`next_deadline`](super::Session::next_deadline) has come.
    Tick,
}

/// An event that is acknowledged, or saved as shown, once it has been displayed.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Displayed {
    /// A message of a chat, and all before it. `chat` counts the chats of this run, `number` the
    /// messages of the chat.
    Message { chat: u64, number: u64 },
    /// A message from an envelope, and all such before it. `count` counts those of this account.
    Mail { count: u64 },
    /// A broadcast. `log` counts the logs that this run has followed, and `number` is its number in
    /// the log.
    Broadcast { log: u64, number: u64 },
}

/// The backlog of a front end that displays events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Backlog {
    /// The front end keeps up.
    #[default]
    None,
    /// Nothing is read from peers.
    Peers,
    /// Broadcasts are skipped as well. A replay brings them later.
    Full,
}

/// The reason for which the server was not reached.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// No server answers, or the link broke in the handshake. The text says what failed.
    NoServer(String),
    /// The list of known servers can't be used, so that no key can be trusted. The text says why.
    Folder(String),
    /// The server's key is not the known one.
    KeyChanged { known: Fingerprint, found: Fingerprint },
    /// The server's key has not been seen before, and it was not accepted.
    KeyUnknown { found: Fingerprint },
}

/// The reason for which a peer link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerLoss {
    /// No client listens there, or the address can't be reached.
    Unreachable,
    /// The peer there does not have the expected key.
    WrongKey,
    /// The link ended or broke.
    Broken,
    /// The peer sent something that is no message of the peer protocol.
    Protocol,
}

/// The stored state of an account of this server.
#[derive(Debug, Clone)]
pub struct Account {
    /// The account's name.
    pub username: Username,
    /// The account's key on this machine; new if there was none.
    pub identity: Arc<Identity>,
    /// True if the server has accepted the key before.
    pub has_key: bool,
    /// The peers whose keys are known.
    pub peers: BTreeMap<Username, KnownPeer>,
    /// The blocked people.
    pub blocked: BTreeSet<Username>,
    /// The shown part of the server's broadcasts.
    pub position: LogPosition,
    /// The messages and prekeys.
    pub mail: StoredMail,
}

/// The reason for which no account could be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountError {
    /// No name was given, and there is none to choose, or more than one.
    NotOne(Vec<Username>),
    /// Another client uses the account.
    InUse(Username),
    /// The folder or a file in it can't be used.
    Folder(String),
}

/// A known peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownPeer {
    /// Their key.
    pub key: PublicKey,
    /// True if the users compared the safety number.
    pub verified: bool,
    /// The last address at which they received others, if it is known.
    pub receiver: Option<SocketAddr>,
}

/// A position in a server's broadcast log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogPosition {
    /// The epoch of the log, or 0 before any.
    pub epoch: u64,
    /// The number up to which everything has been shown or is gone.
    pub through: u64,
}

/// An action for the driver. Effects are carried out in their order.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug)]
pub enum Effect {
    /// Connect to the server; answered by [`Input::ServerSecured`] or [`Input::ServerUnreached`].
    DialServer,
    /// Send a request to the server.
    SendServer(ServerRequest),
    /// Send all queued requests, then close the link. Also ends a dial that is under way.
    CloseServer,
    /// Find, lock and read the account in the user's folder, for the server of this fingerprint.
    /// Answered by [`Input::Account`]. The receiver then uses this account's key. Without a name,
    /// the only account is meant. With `is_offline`, only one that has a key is opened.
    OpenAccount { server: Fingerprint, username: Option<Username>, is_offline: bool },
    /// Unlock the account. The receiver accepts no more new links.
    CloseAccount,
    /// Write to the open account's folder.
    Save(Save),
    /// Record changes durably, all or none. Answered by [`Input::Committed`].
    Commit { commit: u64, changes: Vec<MailChange> },
    /// Sign a body and seal it for these devices. Answered by [`Input::Sealed`].
    Seal { body: Box<Body>, recipients: Vec<Recipient> },
    /// Read a file in order to offer it, and keep the list of its hashes. Answered by [`Input::FileRead`].
    ReadFile { request: RequestId, path: PathBuf },
    /// Do something about the history of the open account. The driver answers the request itself.
    History { request: RequestId, action: HistoryAction },
    /// Forget the list of hashes with this root.
    ForgetHashes(FileHash),
    /// Try to fetch a file. News come as [`Input::Fetch`] until it is saved or the attempt has failed.
    FetchFile(Box<FetchFile>),
    /// Give up an attempt to fetch a file.
    StopFetch(TransferId),
    /// Delete a file with chunks that are not wanted any more.
    DeletePart(PathBuf),
    /// Send the file at this path over a link, whose receiver asks for its chunks. News come as [`Input::Serve`].
    ServeFile { link: LinkId, path: PathBuf, info: FileInfo },
    /// Make a prekey and keep its private half. Answered by [`Input::PrekeyMade`].
    MakePrekey { created_ms: u64, until_ms: u64 },
    /// Start to exchange this session's datagrams with the server at this UDP port, with keys exported from its
    /// TLS session.
    OpenDatagrams { session: SessionId, port: u16 },
    /// Stop the exchange of datagrams.
    CloseDatagrams,
    /// Seal and send a datagram. It may be lost.
    Datagram(ToServer),
    /// Connect to a peer and check that it has this key.
    DialPeer { link: LinkId, to: SocketAddr, key: PublicKey },
    /// Meet a peer that is not reached so far.
    Meet { dial: Dial, answer: MeetingAnswer },
    /// Meet a peer that asks for it, at this server of the cluster or else at the client's own. If it proves this key,
    /// it arrives as others do.
    Attend { key: PublicKey, token: MeetingToken, server: Option<SocketAddr> },
    /// Send a message to a peer.
    SendPeer { link: LinkId, message: PeerMessage },
    /// Send all queued messages, then close the link. Also ends a dial that is under way.
    ClosePeer { link: LinkId },
    /// Answer a request.
    Answer { id: RequestId, result: Result<Reply, Failure> },
    /// Tell the front ends an event.
    Tell(Event),
    /// Tell the front ends an event. Answered by [`Input::Displayed`] once it has been displayed.
    Display(Event, Displayed),
    /// Everything is closed, so the client may end.
    Finished,
}

/// State to be saved beyond this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Save {
    /// The account's key, which the server knows now.
    Identity,
    /// The position up to which broadcasts have been shown. It may be written lazily.
    Position(LogPosition),
    /// The known peers, which the account no longer has if it closes before they are written.
    Peers(BTreeMap<Username, KnownPeer>),
    /// The people who are blocked.
    Blocked(BTreeSet<Username>),
}

/// An action about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAction {
    /// Found it.
    Create,
    /// Invite a person.
    Invite(Username),
    /// Remove a person, or take an invitation back.
    Remove(Username),
    /// Give it to another owner.
    Give(Username),
    /// Leave it.
    Leave,
    /// List the members.
    Members,
}

/// A request of the user. The commands make these, and the session answers each exactly once.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Connect to the server, without a login. Answered once the server waits for one, or by the reason of the
    /// first failure.
    Reach,
    /// Do something about a group, by its name with or without `#`.
    Group { action: GroupAction, name: String },
    /// List the groups.
    Groups,
    /// Create an account.
    SignUp { username: String, password: Secret, repeated: Secret },
    /// Change the user's password at the server.
    ChangePassword { password: Secret, new: Secret, repeated: Secret },
    /// Log in. Answered when that is done, retries included. Without a username, the only account
    /// is meant. Without a password, the key is used. `take` replaces a live session of the account
    /// with another key.
    Login { username: Option<String>, password: Option<Secret>, take: bool },
    /// Close the link to the server, if no chat is open.
    Leave,
    /// Close the link to the server. Chats continue.
    Detach,
    /// List the active clients.
    List,
    /// Start or stop the notices of arrivals and departures.
    Watch(bool),
    /// Ask a user for a chat. Answered when they have approved. `who` is a username, an address, or an address with
    /// a port. `force` asks even if that looks invalid. The chat becomes current with `switch`, or if no other chat
    /// is.
    Connect { who: String, force: bool, switch: bool },
    /// Approve a request for a chat or for messages. `None` means the only one.
    Approve(Option<String>),
    /// Deny a request. `None` means the only one.
    Deny(Option<String>),
    /// Withdraw the user's own request. `None` means the only one. Also stops trying to reach the
    /// server.
    Cancel(Option<String>),
    /// Offer the file at this absolute path to a person or a group.
    SendFile { to: String, path: PathBuf },
    /// Fetch an offered file, named by the beginning of its id, into the usual folder, or into this absolute path.
    GetFile { id: String, path: Option<PathBuf> },
    /// Stop fetching a file, forget its offer, or offer it no more.
    CancelFile(String),
    /// List the offered files.
    Files,
    /// Do something about the history.
    History(HistoryAction),
    /// Send a text in a conversation. `None` means the current one.
    Say { to: Option<String>, text: String },
    /// Send a text to a person or to everyone, by the best route.
    Send { to: String, text: String },
    /// Make a conversation the current one.
    Switch(String),
    /// End a chat, or leave a conversation without one. `None` means the current one.
    Disconnect(Option<String>),
    /// Send a text to everybody.
    Broadcast(String),
    /// Compute the safety number with a peer. `matches` says that it is the same on both sides.
    Verify { who: String, matches: bool },
    /// Accept a peer's changed key.
    Trust(String),
    /// Block a user by username, or unblock them.
    Block { who: String, on: bool },
    /// List the blocked people.
    Blocked,
    /// List the account's devices.
    Devices,
    /// Add the waiting device with this code to the account's devices.
    ApproveDevice(String),
    /// Remove a device, named by its name or by the beginning of its key's fingerprint.
    RemoveDevice(String),
    /// Begin a new device list with this device alone.
    RecoverDevices(Secret),
    /// Show the client's state.
    Status,
    /// Say goodbye to everybody and finish.
    Quit,
}
