//! The operator's commands to a running server.

use std::net::IpAddr;

use letschat_protocol::dialogue::{Closing, Notice};
use letschat_protocol::username::Username;

use super::connection::{Connection, Phase};
use super::directory::{Entry, Location};
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
    /// Returns the server's statistics.
    Stats,
    /// Finishes the commit of broadcasts that is under way, notifies everybody, and stops.
    Stop,
}

/// The answer to a command. [`Operator::Stop`] has no answer; the server ends instead.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorAnswer {
    /// The answer to [`Operator::List`].
    Sessions(SessionPage),
    /// The answer to [`Operator::Say`], with the number of recipients.
    Said { text: String, recipients: usize },
    /// The answer to [`Operator::Kick`]: the client was told why, and closed.
    Kicked { username: Username },
    /// The answer to [`Operator::Kick`] if no account of that name is logged in.
    NotHere { username: Username },
    /// The answer to [`Operator::Stats`].
    Stats(Stats),
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

/// The server's statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
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

impl Hub {
    pub(super) fn operator(&mut self, now: Now, operator: Operator) {
        let answer = match operator {
            Operator::List { after } => {
                OperatorAnswer::Sessions(self.session_page(now, after.as_ref()))
            }
            Operator::Say(text) => self.say(text),
            Operator::Kick(username) => self.kick(now, username),
            Operator::Stats => OperatorAnswer::Stats(self.stats(now)),
            Operator::Stop => return self.stop(now),
        };
        self.effects.push(Effect::Answer(answer));
    }

    fn session_page(&self, now: Now, after: Option<&Username>) -> SessionPage {
        let mut listed = self.directory.after(after);
        let sessions: Vec<SessionSummary> = listed
            .by_ref()
            .take(PAGE_ACCOUNTS)
            .flat_map(|(username, sessions)| sessions.iter().map(move |entry| (username, entry)))
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

    fn occupancy(&self) -> Occupancy {
        let taken = self.directory.len();
        // Every member of this server has a connection, and so has each side of a meeting. The rest are not logged in.
        let members = self.everybody().count();
        let is_meeting = |connection: &&Connection| matches!(connection.phase, Phase::Meeting);
        let met = self.connections.values().filter(is_meeting).count();
        let before_login = self.connections.len() - members - met;
        Occupancy { taken, places: self.settings.places, before_login }
    }

    fn say(&mut self, text: String) -> OperatorAnswer {
        self.say_elsewhere(&text);
        self.say_here(&text);
        OperatorAnswer::Said { text, recipients: self.directory.len() }
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

    fn kick(&mut self, now: Now, username: Username) -> OperatorAnswer {
        self.end_meetings(now, &username, None);
        let sessions: Vec<Entry> = self.directory.sessions(&username).copied().collect();
        if sessions.is_empty() {
            return OperatorAnswer::NotHere { username };
        }
        for session in &sessions {
            self.end_session(now, &username, session, Closing::Kicked);
        }
        OperatorAnswer::Kicked { username }
    }

    fn stats(&self, now: Now) -> Stats {
        let up_ms = now.boot_ms.saturating_sub(self.started_ms);
        Stats {
            since_wall_ms: now.wall_ms.saturating_sub(up_ms),
            up_ms,
            occupancy: self.occupancy(),
            broadcasts_kept: self.log.kept(),
            last_broadcast: self.log.head(),
            relays: self.meetings.relays(),
            tally: self.tally,
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
