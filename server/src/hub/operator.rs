//! The operator's commands to a running server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use letschat_protocol::dialogue::{Closing, Notice};
use letschat_protocol::username::Username;
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use super::connection::{Connection, Phase};
use super::directory::{Entry, Location, Sessions};
use super::tally::Tally;
use super::{ConnectionId, Effect, Hub, Record};
use crate::store::cluster::ServerName;
use letschat_protocol::clock::Now;

/// The most accounts in one page of the list, so that listing a full server does not block others.
const PAGE_ACCOUNTS: usize = 500;

/// A command of the operator.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// Lists the sessions, sorted by name: a page of those after the name `after`.
    List { after: Option<Username> },
    /// Sends a text to everybody.
    Say(String),
    /// Closes the connection of an account.
    Kick(Username),
    /// Returns the server's statistics, or those of all servers of a cluster.
    Stats,
    /// Does one of the others for one server of the cluster alone.
    At { server: ServerName, command: Box<Operator> },
    /// Finishes the commit of broadcasts that is under way, notifies everybody, and stops.
    Stop,
}

/// The answer to a command. [`Operator::Stop`] has no answer; the server ends instead.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorAnswer {
    /// The answer to [`Operator::List`].
    Sessions(SessionPage),
    /// The answer to [`Operator::Say`], with the number of recipients. The servers in `later` do not hear it now.
    Said { text: String, recipients: usize, later: Vec<ServerName> },
    /// The answer to [`Operator::Kick`]: the client is told why, and closed. The servers in `later` do not hear it now.
    Kicked { username: Username, later: Vec<ServerName> },
    /// The answer to [`Operator::Kick`] if no account of that name is logged in, or not at this server.
    NotHere { username: Username, server: Option<ServerName> },
    /// The answer to [`Operator::Stats`].
    Stats(Stats),
    /// The answer to [`Operator::At`] if there is no such server, with those that are there.
    NoServer { server: ServerName, servers: Vec<ServerName> },
}

/// A page of the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPage {
    /// The sessions, sorted by name.
    pub sessions: Vec<SessionSummary>,
    /// True if there are more after the last of these.
    pub more: bool,
    /// The places taken and free.
    pub occupancy: Occupancy,
}

/// A logged-in session as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// The account's name.
    pub username: Username,
    /// The client's address as the server sees it.
    pub address: IpAddr,
    /// The receiver's port, or `None` for a session typed by hand.
    pub port: Option<u16>,
    /// True if a person types it, not a program.
    pub by_hand: bool,
    /// The time of the login, in milliseconds since the Unix epoch.
    pub since_wall_ms: u64,
    /// The time since the login, in milliseconds.
    pub logged_in_ms: u64,
    /// The part that its own server alone knows, or the name of that server.
    pub at: SessionPlace,
}

/// The place of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionPlace {
    /// This server.
    Here {
        /// The time since the last command, message or broadcast, in milliseconds.
        idle_ms: u64,
        /// True if broadcasts to the session go over UDP.
        datagrams: bool,
    },
    /// Another server of the cluster.
    Elsewhere(ServerName),
}

/// The places taken and free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// Sessions that are logged in.
    pub taken: usize,
    /// The most sessions that can be logged in.
    pub places: usize,
    /// Connections that are not logged in.
    pub before_login: usize,
}

/// The statistics of a server, or of all of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The servers of the cluster that they are of.
    pub servers: Vec<ServerName>,
    /// The time of the start, in milliseconds since the Unix epoch.
    pub since_wall_ms: u64,
    /// The time since the start, in milliseconds.
    pub up_ms: u64,
    /// The places taken and free.
    pub occupancy: Occupancy,
    /// The number of broadcasts that can be replayed.
    pub broadcasts_kept: usize,
    /// The number of the last broadcast, or 0 before the first.
    pub last_broadcast: u64,
    /// The number of relays.
    pub relays: usize,
    /// Counters since the start.
    pub tally: Tally,
}

/// The statistics that a server tells the others of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Share {
    since_wall_ms: u64,
    up_ms: u64,
    before_login: usize,
    relays: usize,
    tally: Tally,
    /// The settings that are to be the same at all servers.
    pub(super) terms: Option<Terms>,
}

/// Settings of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The most sessions.
    pub places: usize,
    /// The time for which a broadcast is kept, in milliseconds.
    pub retention_ms: u64,
    /// The time for which an envelope is kept, in milliseconds.
    pub mail_retention_ms: u64,
}

impl Hub {
    pub(super) fn operator(&mut self, now: Now, operator: Operator) {
        let (at, operator) = match operator {
            Operator::At { server, command } => (Some(server), *command),
            all => (None, all),
        };
        let servers = self.server_names();
        let answer = match (operator, at) {
            (_, Some(server)) if !servers.contains(&server) => {
                OperatorAnswer::NoServer { server, servers }
            }
            (Operator::List { after }, at) => {
                OperatorAnswer::Sessions(self.session_page(now, after.as_ref(), at.as_ref()))
            }
            (Operator::Say(text), at) => self.say(now, text, at.as_ref()),
            (Operator::Kick(username), at) => self.kick(now, username, at.as_ref()),
            (Operator::Stats, at) => OperatorAnswer::Stats(self.stats(now, at.as_ref())),
            (Operator::Stop, _) => return self.stop(now),
            (inner @ Operator::At { .. }, _) => return self.operator(now, inner),
        };
        self.effects.push(Effect::Answer(answer));
    }

    /// Returns the names of the servers of the cluster, this one first.
    fn server_names(&self) -> Vec<ServerName> {
        let cluster = self.cluster.iter();
        cluster
            .flat_map(|one| [one.name()].into_iter().chain(one.servers().keys()))
            .cloned()
            .collect()
    }

    /// Returns true if a session is at this server, or if none is named.
    fn is_at(&self, server: Option<&ServerName>, username: &Username, entry: &Entry) -> bool {
        let (Some(server), Some(cluster)) = (server, &self.cluster) else { return true };
        match entry.location {
            Location::Local(_) => server == cluster.name(),
            Location::Remote { .. } => {
                cluster.place(username, entry.key).is_some_and(|place| place.server == *server)
            }
        }
    }

    fn session_page(
        &self,
        now: Now,
        after: Option<&Username>,
        at: Option<&ServerName>,
    ) -> SessionPage {
        let has_some = |(username, sessions): &(&Username, &Sessions)| {
            sessions.iter().any(|entry| self.is_at(at, username, entry))
        };
        let mut listed = self.directory.after(after).filter(has_some);
        let sessions: Vec<SessionSummary> = listed
            .by_ref()
            .take(PAGE_ACCOUNTS)
            .flat_map(|(username, sessions)| sessions.iter().map(move |entry| (username, entry)))
            .filter(|(username, entry)| self.is_at(at, username, entry))
            .filter_map(|(username, entry)| self.session_summary(now, username, entry))
            .collect();
        SessionPage { sessions, more: listed.next().is_some(), occupancy: self.occupancy() }
    }

    fn session_summary(
        &self,
        now: Now,
        username: &Username,
        entry: &Entry,
    ) -> Option<SessionSummary> {
        let (logged_in_ms, at) = match entry.location {
            Location::Local(connection) => {
                let member = self.member_of(connection)?;
                let idle_ms = now.boot_ms.saturating_sub(member.last_active_ms(self.idle()));
                let datagrams = member.datagrams.proven.is_some();
                let logged_in_ms = now.boot_ms.saturating_sub(member.since_ms);
                (logged_in_ms, SessionPlace::Here { idle_ms, datagrams })
            }
            Location::Remote { .. } => {
                let place = self.cluster.as_ref()?.place(username, entry.key)?;
                let logged_in_ms = now.wall_ms.saturating_sub(place.since_ms);
                (logged_in_ms, SessionPlace::Elsewhere(place.server.clone()))
            }
        };
        Some(SessionSummary {
            username: username.clone(),
            address: entry.address,
            port: entry.port,
            by_hand: entry.key.is_none(),
            since_wall_ms: now.wall_ms.saturating_sub(logged_in_ms),
            logged_in_ms,
            at,
        })
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        let taken = self.directory.len();
        // Every member of this server has a connection, and so has each side of a meeting. The rest are not logged in.
        let members = self.everybody().count();
        let is_meeting = |connection: &&Connection| matches!(connection.phase, Phase::Meeting);
        let met = self.connections.values().filter(is_meeting).count();
        let before_login = self.connections.len() - members - met;
        Occupancy { taken, places: self.settings.places, before_login }
    }

    fn say(&mut self, now: Now, text: String, at: Option<&ServerName>) -> OperatorAnswer {
        let own = self.cluster.as_ref().map(|cluster| cluster.name().clone());
        let servers = at.map_or_else(|| self.server_names(), |server| vec![server.clone()]);
        for server in servers.iter().filter(|server| own.as_ref() != Some(*server)) {
            self.say_at(server, &text);
        }
        if at.is_none() || own.as_ref() == at {
            self.say_here(&text);
        }
        let sessions = self.directory.after(None);
        let sessions = sessions.flat_map(|(name, all)| all.iter().map(move |entry| (name, entry)));
        let at_it = sessions.filter(|(name, entry)| self.is_at(at, name, entry));
        let (now_or_later, later) = self.now_or_later(now, at_it);
        OperatorAnswer::Said { text, recipients: now_or_later, later }
    }

    /// Tells everybody at this server what the operator says.
    pub(super) fn say_here(&mut self, text: &str) {
        self.effects.push(Effect::Record(Record::Said));
        let everybody: Vec<ConnectionId> = self.everybody().map(|(id, _)| id).collect();
        let notice = Notice::Say(text.to_owned());
        for id in everybody {
            self.tell(id, &notice);
        }
    }

    fn kick(&mut self, now: Now, username: Username, at: Option<&ServerName>) -> OperatorAnswer {
        if at.is_none() {
            self.end_meetings(now, &username, None);
        }
        let mut sessions = self.sessions_anywhere(&username);
        sessions.retain(|entry| self.is_at(at, &username, entry));
        if sessions.is_empty() {
            return OperatorAnswer::NotHere { username, server: at.cloned() };
        }
        let (_, later) = self.now_or_later(now, sessions.iter().map(|entry| (&username, entry)));
        for session in &sessions {
            self.end_session(now, &username, session, Closing::Kicked);
        }
        OperatorAnswer::Kicked { username, later }
    }

    /// Returns the number of sessions whose servers hear of a command now, and the other servers: those that do not answer,
    /// or all others if this one is cut off from the database.
    fn now_or_later<'a>(
        &self,
        now: Now,
        sessions: impl Iterator<Item = (&'a Username, &'a Entry)>,
    ) -> (usize, Vec<ServerName>) {
        let (mut count, mut later) = (0, BTreeSet::new());
        for (username, entry) in sessions {
            if self.is_within_reach(now, username, entry) {
                count += 1;
                continue;
            }
            let cluster = self.cluster.iter();
            let place = cluster.flat_map(|cluster| cluster.place(username, entry.key));
            later.extend(place.map(|place| place.server.clone()));
        }
        (count, later.into_iter().collect())
    }

    /// Returns the settings that are to be the same at all servers of a cluster.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            places: self.settings.places,
            retention_ms: self.settings.retention_ms,
            mail_retention_ms: self.settings.mail_retention_ms,
        }
    }

    /// Returns what this server tells the others of itself.
    pub(super) fn share(&self, now: Now) -> Share {
        let up_ms = now.boot_ms.saturating_sub(self.started_ms);
        Share {
            since_wall_ms: now.wall_ms.saturating_sub(up_ms),
            up_ms,
            before_login: self.occupancy().before_login,
            relays: self.meetings.relays(),
            tally: self.tally,
            terms: Some(self.terms()),
        }
    }

    fn stats(&self, now: Now, at: Option<&ServerName>) -> Stats {
        let own = self.share(now);
        let mut shares: BTreeMap<Option<&ServerName>, Share> = BTreeMap::new();
        shares.insert(self.cluster.as_ref().map(Cluster::name), own);
        let others = self.cluster.iter().flat_map(|cluster| cluster.servers());
        shares.extend(others.map(|(name, share)| (Some(name), *share)));
        shares.retain(|name, _| at.is_none() || *name == at);
        let mut sum =
            Share { since_wall_ms: own.since_wall_ms, up_ms: own.up_ms, ..Share::default() };
        for share in shares.values() {
            sum.before_login += share.before_login;
            sum.relays += share.relays;
            sum.tally.add(&share.tally);
        }
        if let Some(server) = at.and_then(|at| shares.get(&Some(at))) {
            (sum.since_wall_ms, sum.up_ms) = (server.since_wall_ms, server.up_ms);
        }
        let Share { since_wall_ms, up_ms, before_login, relays, tally, .. } = sum;
        Stats {
            servers: shares.into_keys().flatten().cloned().collect(),
            since_wall_ms,
            up_ms,
            occupancy: Occupancy { before_login, ..self.occupancy() },
            broadcasts_kept: self.log.kept(),
            last_broadcast: self.log.head(),
            relays,
            tally,
        }
    }

    /// Stops, once no commit of broadcasts is under way. A client relies on this order: the server
    /// keeps no broadcast that it did not answer before the farewell.
    fn stop(&mut self, now: Now) {
        self.is_stopping = true;
        if !self.uncommitted.is_committing() {
            self.say_farewell(now);
        }
    }

    /// Closes all connections with the reason, as the last action.
    pub(super) fn say_farewell(&mut self, now: Now) {
        let everybody: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in everybody {
            self.stream_the_last(now, id);
            self.close(now, id, Closing::Terminated);
        }
        self.effects.push(Effect::Stopped);
    }
}
