//! What a session is told and what it wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

pub use letschat_protocol::clock::Now;
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{FromServer, Request as ServerRequest, Secret, SessionId};
use letschat_protocol::identity::{ChannelBinding, Fingerprint, Identity, PublicKey};
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::username::Username;
use serde::{Deserialize, Serialize};

use super::reply::Reply;
use crate::event::Event;
use crate::failure::Failure;

/// Names a request of the user until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names a link to a peer while the client runs; never reused. Links that the session dials and
/// links that arrive are counted by the session and by the driver in turn: see [`LinkId::dialled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(u64);

impl LinkId {
    /// The n-th link that the session dialled.
    pub fn dialled(n: u64) -> LinkId {
        LinkId(n << 1)
    }

    /// The n-th link that arrived at the receiver.
    pub fn arrived(n: u64) -> LinkId {
        LinkId(n << 1 | 1)
    }
}

/// Something happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The user wants something. Answered exactly once, by [`Effect::Answer`].
    Request {
        /// Which.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// [`Effect::DialServer`] came through: TLS is up and the server's key is the trusted one.
    ServerSecured {
        /// Of the server's key.
        fingerprint: Fingerprint,
        /// What a login signature in this TLS session is bound to.
        binding: ChannelBinding,
        /// Where the server is.
        address: SocketAddr,
    },
    /// [`Effect::DialServer`] came to nothing.
    ServerUnreached(Unreached),
    /// The server said something.
    Server(FromServer),
    /// The link to the server ended or broke. Not told after [`Effect::CloseServer`].
    ServerLost,
    /// Answer to [`Effect::OpenAccount`].
    Account(Result<Account, AccountError>),
    /// A genuine datagram from the server.
    Datagram(ToClient),
    /// [`Effect::DialPeer`] came through: TLS is up and the peer has the expected key.
    PeerDialled {
        /// Which.
        link: LinkId,
    },
    /// Somebody reached the receiver and proved to have this key.
    PeerArrived {
        /// The new link.
        link: LinkId,
        /// By which key.
        key: PublicKey,
        /// From where.
        from: SocketAddr,
    },
    /// A peer said something.
    Peer {
        /// Over which link.
        link: LinkId,
        /// What.
        message: PeerMessage,
    },
    /// A link could not be dialled, ended or broke, or what came over it was no message. Not told
    /// after [`Effect::ClosePeer`].
    PeerLost {
        /// Which.
        link: LinkId,
        /// Why.
        why: PeerLoss,
    },
    /// The front end has displayed what [`Effect::Display`] told.
    Displayed(Displayed),
    /// How far the front end is behind has changed.
    Backlog(Backlog),
    /// [`next_deadline`](super::Session::next_deadline) has come.
    Tick,
}

/// An event whose display the session has to know of: it is acknowledged, or remembered, after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Displayed {
    /// A message of a chat, and all that came in it before.
    Message {
        /// Counts the chats of this run.
        chat: u64,
        /// Its number in the chat.
        number: u64,
    },
    /// A broadcast.
    Broadcast {
        /// Counts the logs that this run has followed.
        log: u64,
        /// Its number in the log.
        number: u64,
    },
}

/// How far a front end is behind with displaying events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Backlog {
    /// It keeps up.
    #[default]
    None,
    /// Nothing is taken from peers.
    Peers,
    /// Broadcasts are skipped as well; a replay brings them later.
    Full,
}

/// Why the server was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// Nothing answers there, or the link broke in the handshake. The text says what failed.
    NoServer(String),
    /// The list of known servers can't be used, so nothing can be trusted. The text says why.
    Folder(String),
    /// The key there is not the known one.
    KeyChanged {
        /// The known one.
        known: Fingerprint,
        /// The one found.
        found: Fingerprint,
    },
    /// The key has not been seen before, and nobody is there to accept it.
    KeyUnknown {
        /// The one found.
        found: Fingerprint,
    },
}

/// Why a peer link is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerLoss {
    /// Nobody listens there, or the address can't be reached.
    Unreachable,
    /// Somebody answers there, but not with the expected key.
    WrongKey,
    /// It ended or broke.
    Broken,
    /// What came was no message of the peer protocol.
    Protocol,
}

/// What the user's folder holds for an account of this server.
#[derive(Debug, Clone)]
pub struct Account {
    /// Whose.
    pub username: Username,
    /// The account's key on this machine; new if there was none.
    pub identity: Arc<Identity>,
    /// Whether the server has taken the key before.
    pub has_key: bool,
    /// The peers that are known by key.
    pub peers: BTreeMap<Username, KnownPeer>,
    /// Those whom the user does not want to hear of.
    pub blocked: BTreeSet<Username>,
    /// How far the server's broadcasts have been shown.
    pub position: LogPosition,
}

/// Why no account could be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountError {
    /// No name was given and there is none, or more than one, to choose.
    NotOne(Vec<Username>),
    /// Another client uses it.
    InUse(Username),
    /// The folder or a file in it can't be used.
    Folder(String),
}

/// A peer as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownPeer {
    /// By which key.
    pub key: PublicKey,
    /// Whether the users compared the safety number.
    pub verified: bool,
}

/// How far a server's broadcast log has been shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogPosition {
    /// Which log; 0 before any.
    pub epoch: u64,
    /// Everything up to this number has been shown or is gone.
    pub through: u64,
}

/// Something is to be done. Effects are carried out in their order.
#[derive(Debug)]
pub enum Effect {
    /// Connect to the server; answered by [`Input::ServerSecured`] or [`Input::ServerUnreached`].
    DialServer,
    /// Say something to the server.
    SendServer(ServerRequest),
    /// Let out what was said, then close; also ends a dial that is under way.
    CloseServer,
    /// Find, lock and read the account in the user's folder, for the server of this fingerprint;
    /// answered by [`Input::Account`]. The receiver then uses this account's key.
    OpenAccount {
        /// At which server.
        server: Fingerprint,
        /// Whose; `None` if there is just one to choose.
        username: Option<Username>,
    },
    /// Unlock the account; the receiver takes no more new links.
    CloseAccount,
    /// Write something into the open account's folder.
    Save(Save),
    /// Begin to exchange datagrams with the server, with keys exported from its TLS session.
    OpenDatagrams {
        /// The session's name.
        session: SessionId,
        /// The server's UDP port.
        port: u16,
    },
    /// Stop it.
    CloseDatagrams,
    /// Seal and send; losing it is allowed.
    Datagram(ToServer),
    /// Connect to a peer and check its key.
    DialPeer {
        /// The new link.
        link: LinkId,
        /// Where.
        to: SocketAddr,
        /// By which key it must be known.
        key: PublicKey,
    },
    /// Say something to a peer.
    SendPeer {
        /// Over which link.
        link: LinkId,
        /// What.
        message: PeerMessage,
    },
    /// Let out what was said, then close; also ends a dial that is under way.
    ClosePeer {
        /// Which.
        link: LinkId,
    },
    /// Answer a request.
    Answer {
        /// Which.
        id: RequestId,
        /// The result.
        result: Result<Reply, Failure>,
    },
    /// Tell whoever drives the client.
    Tell(Event),
    /// The same; answered by [`Input::Displayed`] once the front end has displayed it.
    Display(Event, Displayed),
    /// Everything is closed; the client may end.
    Finished,
}

/// What is to be remembered beyond this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Save {
    /// The account's key: the server knows it now.
    Identity,
    /// How far broadcasts have been shown. May be written lazily.
    Position(LogPosition),
    /// The known peers. The effect carries them: the account may be closed by the time it is carried out.
    Peers(BTreeMap<Username, KnownPeer>),
    /// The people who are blocked.
    Blocked(BTreeSet<Username>),
}

/// What the user can want. The commands make these; the session answers each exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Make an account.
    SignUp {
        /// Its name.
        username: String,
        /// Its password.
        password: Secret,
        /// The password again.
        repeated: Secret,
    },
    /// Change one's own password at the server.
    ChangePassword {
        /// The present password.
        password: Secret,
        /// The new one.
        new: Secret,
        /// The new one again.
        repeated: Secret,
    },
    /// Log in; answered when that is done, tries again included.
    Login {
        /// As whom; `None` where there is only one account.
        username: Option<String>,
        /// By password; `None`: by key.
        password: Option<Secret>,
        /// Whether to replace a live session of the account with another key.
        take: bool,
    },
    /// Close the link to the server, if no chat is open.
    Leave,
    /// Close the link to the server; chats go on.
    Detach,
    /// All the active clients.
    List,
    /// Be told who comes and goes, or no more.
    Watch(bool),
    /// Ask somebody for a chat; answered when they approved.
    Connect {
        /// A username, an address, or an address with a port.
        who: String,
        /// Even if it looks invalid.
        force: bool,
        /// Whether the chat becomes current when it opens; else only if no other one is.
        switch: bool,
    },
    /// Approve a request; `None`: the only one.
    Approve(Option<String>),
    /// Deny a request; `None`: the only one.
    Deny(Option<String>),
    /// Withdraw one's own request; `None`: the only one. Also stops trying for the server.
    Cancel(Option<String>),
    /// Say something in a chat; `None`: in the current one.
    Say {
        /// To whom.
        to: Option<String>,
        /// What.
        text: String,
    },
    /// Make a chat the current one.
    Switch(String),
    /// Take typed lines for commands again, after this chat, which was current, ended by itself.
    AcceptEnd(Username),
    /// End a chat; `None`: the current one.
    Disconnect(Option<String>),
    /// Send a text to everybody.
    Broadcast(String),
    /// The safety number with a peer; `matches`: the users compared it.
    Verify {
        /// Who.
        who: String,
        /// Whether it is the same on both sides.
        matches: bool,
    },
    /// Accept a peer's changed key.
    Trust(String),
    /// Hear no more of somebody, or hear of them again.
    Block {
        /// Who, by username.
        who: String,
        /// Whether they are blocked from now on.
        on: bool,
    },
    /// Who is blocked?
    Blocked,
    /// Who am I, where, by what key, which chats?
    Status,
    /// Say goodbye to everybody and finish.
    Quit,
}
