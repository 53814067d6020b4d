//! What every front end shows of a client, kept up to date by its events alone.

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::username::Username;

use crate::event::Event;
use crate::session::{Phase, Typing};

/// Names that are kept at most; a list of active clients may be far longer.
const MAX_PEOPLE: usize = 4_096;

/// A client as a front end sees it. [`apply`](View::apply) is the only way by which it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Of the session itself.
    pub session: SessionState,
    /// The people who were here when last heard of.
    pub people: BTreeSet<Username>,
}

/// What a session tells of itself whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionState {
    /// The link to the server.
    pub link: LinkState,
    /// Which commands are allowed.
    pub phase: Phase,
    /// The account that is open.
    pub username: Option<Username>,
    /// Where a typed line goes.
    pub typing: Typing,
    /// The open chats.
    pub chats: BTreeMap<Username, ChatState>,
    /// The people who ask for a chat.
    pub requests: BTreeSet<Username>,
}

/// How far the link to the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// There is none.
    #[default]
    Offline,
    /// It is tried again later.
    Waiting,
    /// It is being opened.
    Connecting,
    /// It is open.
    Connected,
    /// The session is logged in.
    LoggedIn,
}

/// How an open chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatState {
    /// Its link is whole.
    Open,
    /// Its link broke and is being taken up again.
    Interrupted,
}

impl View {
    /// Takes in an event, in the order in which events are told.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::State(session) => self.session = SessionState::clone(session),
            Event::People(people) => {
                self.people.clear();
                self.add(people);
            }
            Event::Joined { usernames, .. } => self.add(usernames),
            Event::Left { usernames, .. } => self.people.retain(|who| !usernames.contains(who)),
            _ => {}
        }
    }

    fn add(&mut self, people: &[Username]) {
        let room = MAX_PEOPLE.saturating_sub(self.people.len());
        self.people.extend(people.iter().take(room).cloned());
    }
}

impl LinkState {
    /// Returns its word in a reply to `status`.
    pub fn name(self) -> &'static str {
        match self {
            LinkState::Offline => "offline",
            LinkState::Waiting => "waiting",
            LinkState::Connecting => "connecting",
            LinkState::Connected => "connected",
            LinkState::LoggedIn => "logged_in",
        }
    }
}

impl ChatState {
    /// Returns its word in a reply to `status`.
    pub fn name(self) -> &'static str {
        match self {
            ChatState::Open => "open",
            ChatState::Interrupted => "interrupted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Username> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn people_are_those_of_the_last_list_and_who_came_since() {
        let mut view = View::default();
        view.apply(&Event::Joined { usernames: names(&["zoe"]), count: 1 });
        view.apply(&Event::People(names(&["alice", "bob"])));
        view.apply(&Event::Joined { usernames: names(&["carol"]), count: 1 });
        view.apply(&Event::Left { usernames: names(&["bob"]), count: 1 });
        assert_eq!(view.people, names(&["alice", "carol"]).into_iter().collect());
    }

    #[test]
    fn crowd_beyond_the_limit_is_not_kept() {
        let crowd: Vec<Username> =
            (0..MAX_PEOPLE + 9).map(|n| format!("user{n}").parse().unwrap()).collect();
        let mut view = View::default();
        view.apply(&Event::People(crowd));
        assert_eq!(view.people.len(), MAX_PEOPLE);
    }
}
