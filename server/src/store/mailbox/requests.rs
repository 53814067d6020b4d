//! The hub's requests to the mailbox, and the answers. Each takes a single step.

use std::sync::Arc;

use letschat_protocol::dialogue::{AccountKeys, DeviceEntries};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::prekey::SignedPrekey;
use letschat_protocol::username::Username;

use super::{
    Acknowledgement, ListChange, ListChanged, MailPage, MailQuery, Mailbox, MailboxUsage,
    NewEnvelope, Placements,
};
use crate::hub::ConnectionId;
use crate::store::{StoreError, Unavailable};

/// A request of the hub.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailRequest {
    /// Set the prekey of a device. Its signature has been verified.
    PublishPrekey {
        connection: ConnectionId,
        username: Username,
        device: PublicKey,
        prekey: Box<SignedPrekey>,
    },
    /// Look up the prekeys of an account.
    Prekeys { connection: ConnectionId, username: Username },
    /// Look up entries of an account's device list.
    Entries { connection: ConnectionId, username: Username, after: u64 },
    /// Change a device list.
    ChangeList { connection: ConnectionId, change: Arc<ListChange> },
    /// Commit envelopes in this order. The hub sends only one such request at a time. `after` is
    /// the highest number of a delivery that it knows.
    Post { after: u64, envelopes: Vec<Arc<NewEnvelope>> },
    /// Read the next deliveries of a device.
    Read { connection: ConnectionId, query: Box<MailQuery> },
    /// Delete acknowledged deliveries. The hub sends only one such request at a time.
    Acknowledge { acknowledgements: Vec<Arc<Acknowledgement>> },
    /// Delete some of the deliveries that were taken at this time of the wall clock or before.
    Expire { through_ms: u64 },
    /// Measure what waits. The hub sends only one such request at a time.
    Measure,
}

/// An answer to the hub.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailAnswer {
    /// The answer to [`MailRequest::PublishPrekey`]: `false` if the account does not have the
    /// device's key.
    PrekeyPublished { connection: ConnectionId, result: Result<bool, Unavailable> },
    /// The answer to [`MailRequest::Prekeys`]: `None` if there is no such account.
    Prekeys {
        connection: ConnectionId,
        username: Username,
        result: Result<Option<AccountKeys>, Unavailable>,
    },
    /// The answer to [`MailRequest::Entries`]: `None` if there is no such account.
    Entries { connection: ConnectionId, result: Result<Option<DeviceEntries>, Unavailable> },
    /// The answer to [`MailRequest::ChangeList`].
    ListChanged {
        connection: ConnectionId,
        change: Arc<ListChange>,
        result: Result<ListChanged, Unavailable>,
    },
    /// The answer to [`MailRequest::Post`]: what became of each envelope. Either all are durable or
    /// none is.
    Posted { result: Result<Vec<Placements>, Unavailable> },
    /// The answer to [`MailRequest::Read`].
    Read { connection: ConnectionId, result: Result<MailPage, Unavailable> },
    /// The answer to [`MailRequest::Acknowledge`]: how many deliveries of each acknowledgement were
    /// deleted.
    Acknowledged { result: Result<Vec<u64>, Unavailable> },
    /// The answer to [`MailRequest::Expire`]: true if more may be left.
    Expired { result: Result<bool, Unavailable> },
    /// The answer to [`MailRequest::Measure`].
    Measured { result: Result<MailboxUsage, Unavailable> },
}

impl MailRequest {
    /// Carries out the request.
    ///
    /// # Errors
    ///
    /// Fails if the database does. The answer is then [`unavailable`](Self::unavailable).
    pub fn run(self, mailbox: &mut (impl Mailbox + ?Sized)) -> Result<MailAnswer, StoreError> {
        Ok(match self {
            MailRequest::PublishPrekey { connection, username, device, prekey } => {
                let result = Ok(mailbox.publish_prekey(&username, &device, &prekey)?);
                MailAnswer::PrekeyPublished { connection, result }
            }
            MailRequest::Prekeys { connection, username } => {
                let result = Ok(mailbox.prekeys(&username)?);
                MailAnswer::Prekeys { connection, username, result }
            }
            MailRequest::Entries { connection, username, after } => {
                let result = Ok(mailbox.device_entries(&username, after)?);
                MailAnswer::Entries { connection, result }
            }
            MailRequest::ChangeList { connection, change } => {
                let result = Ok(mailbox.change_list(&change)?);
                MailAnswer::ListChanged { connection, change, result }
            }
            MailRequest::Post { after, envelopes } => {
                MailAnswer::Posted { result: Ok(mailbox.post(after, &envelopes)?) }
            }
            MailRequest::Read { connection, query } => {
                MailAnswer::Read { connection, result: Ok(mailbox.waiting_mail(&query)?) }
            }
            MailRequest::Acknowledge { acknowledgements } => {
                MailAnswer::Acknowledged { result: Ok(mailbox.acknowledge(&acknowledgements)?) }
            }
            MailRequest::Expire { through_ms } => {
                MailAnswer::Expired { result: Ok(mailbox.expire_mail(through_ms)?) }
            }
            MailRequest::Measure => MailAnswer::Measured { result: Ok(mailbox.usage()?) },
        })
    }

    /// Returns the answer to a request that the store can't carry out.
    pub fn unavailable(&self) -> MailAnswer {
        match self {
            MailRequest::PublishPrekey { connection, .. } => {
                let connection = *connection;
                MailAnswer::PrekeyPublished { connection, result: Err(Unavailable) }
            }
            MailRequest::Prekeys { connection, username } => {
                let (connection, username) = (*connection, username.clone());
                MailAnswer::Prekeys { connection, username, result: Err(Unavailable) }
            }
            MailRequest::Entries { connection, .. } => {
                MailAnswer::Entries { connection: *connection, result: Err(Unavailable) }
            }
            MailRequest::ChangeList { connection, change } => {
                let (connection, change) = (*connection, Arc::clone(change));
                MailAnswer::ListChanged { connection, change, result: Err(Unavailable) }
            }
            MailRequest::Post { .. } => MailAnswer::Posted { result: Err(Unavailable) },
            MailRequest::Read { connection, .. } => {
                MailAnswer::Read { connection: *connection, result: Err(Unavailable) }
            }
            MailRequest::Acknowledge { .. } => {
                MailAnswer::Acknowledged { result: Err(Unavailable) }
            }
            MailRequest::Expire { .. } => MailAnswer::Expired { result: Err(Unavailable) },
            MailRequest::Measure => MailAnswer::Measured { result: Err(Unavailable) },
        }
    }

    /// Returns the connection that asked, if the request is of no use to others.
    pub fn asker(&self) -> Option<ConnectionId> {
        match self {
            MailRequest::PublishPrekey { connection, .. }
            | MailRequest::Prekeys { connection, .. }
            | MailRequest::Entries { connection, .. }
            | MailRequest::Read { connection, .. } => Some(*connection),
            MailRequest::ChangeList { .. }
            | MailRequest::Post { .. }
            | MailRequest::Acknowledge { .. }
            | MailRequest::Expire { .. }
            | MailRequest::Measure => None,
        }
    }

    /// Names the request for the operator's log.
    pub(in crate::store) fn what(&self) -> &'static str {
        match self {
            MailRequest::PublishPrekey { .. } => "publishing a prekey",
            MailRequest::Prekeys { .. } => "looking up prekeys",
            MailRequest::Entries { .. } => "looking up a device list",
            MailRequest::ChangeList { .. } => "changing a device list",
            MailRequest::Post { .. } => "committing envelopes",
            MailRequest::Read { .. } => "reading mail",
            MailRequest::Acknowledge { .. } => "deleting acknowledged mail",
            MailRequest::Expire { .. } => "deleting expired mail",
            MailRequest::Measure => "measuring mailboxes",
        }
    }
}
