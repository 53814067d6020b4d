//! The hub's requests to the part of a database that servers share, and the answers.

use super::{Cluster, Ending, Entered, Entrance, Known, News, ServerName};
use crate::hub::ConnectionId;
use crate::store::{NewBroadcast, StoreError, StoredEntry, Unavailable};

/// A request of the hub.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterRequest {
    /// Log a device in. Its credentials are right.
    Enter { connection: ConnectionId, entrance: Box<Entrance> },
    /// End sessions. The hub sends only one such request at a time.
    Leave { endings: Vec<Ending> },
    /// Ask for what is new. The hub sends only one such request at a time.
    Ask { known: Known, stats: String },
    /// Leave messages for other servers. The hub sends only one such request at a time.
    Tell { messages: Vec<(ServerName, String)> },
    /// Commit broadcasts in this order. The hub sends only one such request at a time. `after` is the highest published
    /// number.
    Append { after: u64, broadcasts: Vec<NewBroadcast> },
}

/// An answer to the hub.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterAnswer {
    /// The answer to [`ClusterRequest::Enter`].
    Entered {
        connection: ConnectionId,
        entrance: Box<Entrance>,
        result: Result<Entered, Unavailable>,
    },
    /// The answer to [`ClusterRequest::Leave`].
    Left { result: Result<(), Unavailable> },
    /// The answer to [`ClusterRequest::Ask`].
    News { result: Result<Box<News>, Unavailable> },
    /// The answer to [`ClusterRequest::Tell`].
    Told { result: Result<(), Unavailable> },
    /// The answer to [`ClusterRequest::Append`]: all entries after the number that the hub knew.
    Appended { result: Result<Vec<StoredEntry>, Unavailable> },
}

impl ClusterRequest {
    /// Carries out the request.
    ///
    /// # Errors
    ///
    /// Fails if the database does. The answer is then [`unavailable`](Self::unavailable).
    pub fn run(self, cluster: &mut (impl Cluster + ?Sized)) -> Result<ClusterAnswer, StoreError> {
        Ok(match self {
            ClusterRequest::Enter { connection, entrance } => {
                let result = Ok(cluster.enter(&entrance)?);
                ClusterAnswer::Entered { connection, entrance, result }
            }
            ClusterRequest::Leave { endings } => {
                ClusterAnswer::Left { result: Ok(cluster.leave(&endings)?) }
            }
            ClusterRequest::Ask { known, stats } => {
                ClusterAnswer::News { result: Ok(Box::new(cluster.ask(&known, &stats)?)) }
            }
            ClusterRequest::Tell { messages } => {
                ClusterAnswer::Told { result: Ok(cluster.tell(&messages)?) }
            }
            ClusterRequest::Append { after, broadcasts } => {
                let entries = cluster.append_among_others(after, &broadcasts)?;
                ClusterAnswer::Appended { result: Ok(entries) }
            }
        })
    }

    /// Returns the answer to a request that the store can't carry out.
    pub fn unavailable(&self) -> ClusterAnswer {
        match self {
            ClusterRequest::Enter { connection, entrance } => {
                let (connection, entrance) = (*connection, entrance.clone());
                ClusterAnswer::Entered { connection, entrance, result: Err(Unavailable) }
            }
            ClusterRequest::Leave { .. } => ClusterAnswer::Left { result: Err(Unavailable) },
            ClusterRequest::Ask { .. } => ClusterAnswer::News { result: Err(Unavailable) },
            ClusterRequest::Tell { .. } => ClusterAnswer::Told { result: Err(Unavailable) },
            ClusterRequest::Append { .. } => ClusterAnswer::Appended { result: Err(Unavailable) },
        }
    }

    /// Names the request for the operator's log.
    pub(in crate::store) fn what(&self) -> &'static str {
        match self {
            ClusterRequest::Enter { .. } => "logging a device in",
            ClusterRequest::Leave { .. } => "logging devices out",
            ClusterRequest::Ask { .. } => "asking for news of other servers",
            ClusterRequest::Tell { .. } => "telling other servers",
            ClusterRequest::Append { .. } => "committing broadcasts",
        }
    }
}
