//! CONNECT and LOCATE: introduce two clients to each other.

use std::net::SocketAddr;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Introduction, Notice, Reply};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::directory::{Entry, Location, Lookup, Target, Viewer};
use super::listing::listed;
use super::{ConnectionId, Effect, Hub, Record};
use letschat_protocol::clock::Now;

/// The most clients of one address that a reply names. LIST has all of them.
const MAX_SHARING: usize = 50;

/// Returns the last line of a reply that names clients of one address.
fn sharing(count: usize) -> String {
    match count {
        0..=MAX_SHARING => "several share that address; ask for one of them by name".to_owned(),
        _ => format!(
            "{count} share that address, of which these are the first {MAX_SHARING}; ask for one by name"
        ),
    }
}

impl Hub {
    /// Introduces two clients to each other. A client with an invalid request is disconnected.
    pub(super) fn connect(&mut self, now: Now, id: ConnectionId, who: &str) {
        self.asked(id, "CONNECT");
        let Some(who) = Target::parse(who) else {
            let expected = "expected a username, an address, or an address with a port";
            return self.answer(now, id, &Reply::new(Code::BadArguments, expected));
        };
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let Some(member) = connection.member() else {
            return;
        };
        let viewer = Viewer {
            username: &member.username,
            address: connection.peer.ip(),
            server: connection.local,
        };
        match self.directory.find(&who, viewer, now.boot_ms) {
            Lookup::One(username, entry) => {
                let reached = match who {
                    Target::Name(_) => {
                        self.reached_session(&username, self.directory.sessions(&username))
                    }
                    Target::Address(_) | Target::Receiver(_) => None,
                };
                let entry = reached.copied().unwrap_or(entry);
                self.introduce(now, id, &username, entry);
            }
            Lookup::Several(several) => {
                let shown = several.iter().take(MAX_SHARING);
                let lines = shown.map(|(name, entry)| listed(name, entry, viewer).to_string());
                let last = sharing(several.len());
                let reply = Reply::long(Code::Ambiguous, lines.collect::<Vec<_>>(), last);
                self.answer(now, id, &reply);
            }
            Lookup::Away => {
                let why = "Not here now, but was lately; LIST shows who is here.";
                self.answer(now, id, &Reply::new(Code::NotHere, why));
            }
            Lookup::Oneself => self.penalise(now, id, Code::Yourself, "That is you."),
            Lookup::Nobody => {
                self.penalise(now, id, Code::Nobody, "Nobody is here by that name or address.");
            }
        }
    }

    /// Introduces a client to the device of an account that has this key. A client asks again and again for one that is
    /// away, so that this is neither an activity nor an error.
    pub(super) fn locate(&mut self, now: Now, id: ConnectionId, name: &str, key: &PublicKey) {
        let located = self.located(id, name, key);
        let located = located.filter(|(who, entry)| self.is_within_reach(now, who, entry));
        let both = located.and_then(|(who, entry)| {
            let other = self.introduction_of(&who, &entry, id)?;
            Some((who, entry, other, self.introduction_to(id, &entry)?))
        });
        let Some((who, entry, other, oneself)) = both else {
            let why = "That device is not here now.";
            return self.answer(now, id, &Reply::new(Code::NotHere, why));
        };
        let (username, to) = (oneself.username.clone(), other.username.clone());
        self.effects.push(Effect::Record(Record::Introduced { username, to }));
        self.tell_entry(&who, &entry, &Notice::Introduction(oneself));
        self.answer(now, id, &Reply::new(Code::Ok, format!("{other} introduced")));
    }

    /// Returns the session of an account that has this key, unless it is the asking one.
    pub(super) fn located(
        &self,
        asking: ConnectionId,
        name: &str,
        key: &PublicKey,
    ) -> Option<(Username, Entry)> {
        let name: Username = name.parse().ok()?;
        let entry = *self.directory.sessions(&name).find(|entry| entry.key == Some(*key))?;
        (entry.location != Location::Local(asking)).then_some((name, entry))
    }

    fn penalise(&mut self, now: Now, id: ConnectionId, code: Code, why: &str) {
        self.send_reply(id, &Reply::new(code, why));
        self.close(now, id, Closing::Penalty);
    }

    fn introduce(&mut self, now: Now, asking: ConnectionId, username: &Username, entry: Entry) {
        let other = self.introduction_of(username, &entry, asking);
        let oneself = self.introduction_to(asking, &entry);
        let (other, oneself) = match (other, oneself) {
            (Some(other), Some(oneself)) => (other, oneself),
            (None, _) => {
                let why =
                    format!("{username} types by hand and can't be called; broadcasts reach them.");
                return self.answer(now, asking, &Reply::new(Code::NoReceiver, why));
            }
            (Some(other), None) => {
                let why = format!(
                    "{username} is here, at {}; but a direct chat needs the letschat program.",
                    other.receiver
                );
                return self.answer(now, asking, &Reply::new(Code::NoReceiver, why));
            }
        };
        if !self.is_within_reach(now, username, &entry) {
            let why = format!("The server that {username} is at does not hear this one now.");
            return self.answer(now, asking, &Reply::new(Code::StoreUnavailable, why));
        }
        self.was_active(asking, now);
        match entry.location {
            Location::Local(asked) => {
                self.was_active(asked, now);
                self.reschedule(asked);
            }
            Location::Remote { .. } => self.was_active_elsewhere(username, entry.key),
        }
        let record =
            Record::Introduced { username: oneself.username.clone(), to: username.clone() };
        self.effects.push(Effect::Record(record));
        self.tell_entry(username, &entry, &Notice::Introduction(oneself));
        self.answer(now, asking, &Reply::new(Code::Ok, format!("{other} introduced")));
    }

    /// Describes a client of any server to one of this server, with an address that the latter can reach.
    fn introduction_of(
        &self,
        username: &Username,
        entry: &Entry,
        to: ConnectionId,
    ) -> Option<Introduction> {
        let (viewer, _) = self.viewer(to)?;
        Some(Introduction {
            username: username.clone(),
            receiver: SocketAddr::new(viewer.sees(entry.address), entry.port?),
            key: entry.key?,
        })
    }

    /// Describes a client of this server to one of any server.
    fn introduction_to(&self, of: ConnectionId, entry: &Entry) -> Option<Introduction> {
        let connection = self.connections.get(&of)?;
        let (member, address) = (connection.member()?, connection.peer.ip());
        let seen = match entry.location {
            Location::Local(to) => self.viewer(to)?.0.sees(address),
            Location::Remote { .. } => address,
        };
        Some(Introduction {
            username: member.username.clone(),
            receiver: SocketAddr::new(seen, member.port?),
            key: member.key?,
        })
    }
}
