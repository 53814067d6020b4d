//! The observations and actions of a person. The promises are checked against them.

use std::collections::{BTreeMap, BTreeSet};

use letschat_core::conversation::{MessageState, Via};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::classroom::ClassHistory;
use crate::group_promises::GroupHistory;

/// A person's observations and actions, for the promises.
#[derive(Default)]
pub(crate) struct History {
    /// The lines to everyone in a classroom.
    pub(crate) class: ClassHistory,
    /// The groups, and the messages in them.
    pub(crate) groups: GroupHistory,
    /// The own messages.
    pub(crate) own: BTreeMap<MessageId, Own>,
    /// Others' messages, as they were shown.
    pub(crate) heard: Vec<Heard>,
    /// The messages of the account's other devices, as they were shown.
    pub(crate) copies: BTreeSet<MessageId>,
    /// The people whose first message was a request, with the time of the decision on it. Some of the messages that they
    /// had written by then were dropped or denied.
    pub(crate) strangers: BTreeMap<Username, Option<u64>>,
    /// The number of times that the client was killed.
    pub(crate) kills: u64,
    pub(crate) quits: u64,
    /// The broadcasts shown: number, sender, time, text.
    pub(crate) shown: Vec<(u64, Username, u64, String)>,
    /// The texts of own broadcasts that the server acknowledged.
    pub(crate) acknowledged: BTreeSet<String>,
    /// The chats with each person, in their order.
    pub(crate) chats: BTreeMap<Username, Vec<ChatHistory>>,
    pub(crate) resumed: u64,
    pub(crate) returned: u64,
    pub(crate) opened: u64,
}

/// An own message.
pub(crate) struct Own {
    pub(crate) to: Username,
    pub(crate) text: String,
    /// The time at which it was written, on the boot clock.
    pub(crate) written_ms: u64,
    /// The devices that it has to reach, if the server delivers it: the recipient's, and the author's others.
    pub(crate) devices: BTreeSet<PublicKey>,
    /// False if the author's device was not listed. Others may then drop it.
    pub(crate) is_by_listed: bool,
    /// The way that it took first.
    pub(crate) via: Via,
    /// The state that was told last.
    pub(crate) state: MessageState,
}

/// A message of somebody else.
pub(crate) struct Heard {
    pub(crate) from: Username,
    pub(crate) id: MessageId,
    pub(crate) via: Via,
}

/// One chat, from its opening to its end.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct ChatHistory {
    pub(crate) sent: Vec<String>,
    pub(crate) received: Vec<String>,
    pub(crate) undelivered: Vec<String>,
    pub(crate) closed: bool,
    /// True if the client was killed meanwhile. It forgets messages that were not confirmed.
    pub(crate) killed: bool,
}
