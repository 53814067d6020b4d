//! The operator's requests to a running server.

use std::net::IpAddr;

use letschat_protocol::dialogue::{Closing, Notice};
use letschat_protocol::username::Username;

use super::directory::{Entry, Location};
use super::tally::Tally;
use super::{ConnectionId, Effect, Hub, Record};
use letschat_protocol::clock::Now;

/// Accounts in one page of the list, so that listing a full server delays nobody.
const PAGE_ACCOUNTS: usize = 500;

/// A request of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// See who is logged in, in the order of names, a page at a time.
    List {
        /// Only those after this name.
        after: Option<Username>,
    },
    /// Say something to everybody.
    Say(String),
    /// Close somebody's connection.
    Kick(Username),
    /// See how the server is doing.
    Stats,
    /// Tell everybody and stop.
    Stop,
}

/// The answer to a request. [`Operator::Stop`] has none but the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorAnswer {
    /// To [`Operator::List`].
    Sessions(SessionPage),
    /// To [`Operator::Say`].
    Said {
        /// What.
        text: String,
        /// To how many.
        recipients: usize,
    },
    /// To [`Operator::Kick`]: told why, and closed.
    Kicked {
        /// Who.
        username: Username,
    },
    /// To [`Operator::Kick`]: nobody is logged in by that name.
    NotHere {
        /// Which.
        username: Username,
    },
    /// To [`Operator::Stats`].
    Stats(Stats),
}

/// Part of the list of who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPage {
    /// In the order of names.
    pub sessions: Vec<SessionSummary>,
    /// `true` if there are more after the last of these.
    pub more: bool,
    /// The places taken and free.
    pub occupancy: Occupancy,
}

/// A logged-in session as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// Who.
    pub username: Username,
    /// From where, as the server sees it.
    pub address: IpAddr,
    /// The receiver's port; none for a session typed by hand.
    pub port: Option<u16>,
    /// `true` if a person types it, not a program.
    pub by_hand: bool,
    /// When it logged in, in milliseconds since the Unix epoch.
    pub since_wall_ms: u64,
    /// The time since then, in milliseconds.
    pub logged_in_ms: u64,
    /// The time since its last command, message or broadcast, in milliseconds.
    pub idle_ms: u64,
    /// `true` if its broadcasts go over UDP.
    pub datagrams: bool,
}

/// The places taken and free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// Sessions that are logged in.
    pub taken: usize,
    /// Sessions that can be.
    pub places: usize,
    /// Connections that are not logged in.
    pub before_login: usize,
}

/// The server's state in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// When it started, in milliseconds since the Unix epoch.
    pub since_wall_ms: u64,
    /// The time since then, in milliseconds.
    pub up_ms: u64,
    /// The places taken and free.
    pub occupancy: Occupancy,
    /// Broadcasts that can still be sent again.
    pub broadcasts_kept: usize,
    /// The number of the last broadcast; 0 before the first.
    pub last_broadcast: u64,
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
            .flat_map(|(_, sessions)| sessions.iter())
            .filter_map(|entry| self.session_summary(now, entry))
            .collect();
        SessionPage { sessions, more: listed.next().is_some(), occupancy: self.occupancy() }
    }

    fn session_summary(&self, now: Now, entry: &Entry) -> Option<SessionSummary> {
        let connection = match entry.location {
            Location::Local(connection) => self.connections.get(&connection)?,
        };
        let member = connection.member()?;
        let logged_in_ms = now.boot_ms.saturating_sub(member.since_ms);
        Some(SessionSummary {
            username: member.username.clone(),
            address: entry.address,
            port: entry.port,
            by_hand: connection.is_interactive(),
            since_wall_ms: now.wall_ms.saturating_sub(logged_in_ms),
            logged_in_ms,
            idle_ms: now.boot_ms.saturating_sub(member.last_active_ms(self.idle())),
            datagrams: member.datagrams.proven.is_some(),
        })
    }

    fn occupancy(&self) -> Occupancy {
        let taken = self.directory.len();
        // Every member has a connection, so the rest are those before the login.
        let before_login = self.connections.len() - taken;
        Occupancy { taken, places: self.settings.places, before_login }
    }

    fn say(&mut self, text: String) -> OperatorAnswer {
        self.effects.push(Effect::Record(Record::Said));
        let everybody: Vec<ConnectionId> = self.everybody().map(|(id, _)| id).collect();
        let notice = Notice::Say(text.clone());
        for id in &everybody {
            self.tell(*id, &notice);
        }
        OperatorAnswer::Said { text, recipients: everybody.len() }
    }

    fn kick(&mut self, now: Now, username: Username) -> OperatorAnswer {
        let sessions: Vec<Entry> = self.directory.sessions(&username).copied().collect();
        if sessions.is_empty() {
            return OperatorAnswer::NotHere { username };
        }
        for session in &sessions {
            self.end_session(now, session, Closing::Kicked);
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
            tally: self.tally,
        }
    }

    fn stop(&mut self, now: Now) {
        let everybody: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in everybody {
            self.stream_the_last(now, id);
            self.close(now, id, Closing::Terminated);
        }
        self.effects.push(Effect::Stopped);
    }
}
