//! What a logged-in client can ask.

use std::net::SocketAddr;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Introduction, Listed, Reply, Request, USAGE};
use letschat_protocol::frame::Frame;
use letschat_protocol::limits::MAX_PAGE_BYTES;
use letschat_protocol::username::Username;

use super::connection::{Idle, Member};
use super::directory::{Entry, Found, Viewer, Who};
use super::{ConnectionId, Effect, Hub, Record};
use crate::clock::Now;

/// Room in a page for the last line of a list.
const LAST_LINE_BYTES: usize = 128;

/// Clients at one address that a reply names. Nobody reads more in a sentence; LIST has them all.
const MAX_SHARING: usize = 50;

/// The last line of a reply that names clients at one address.
fn sharing(count: usize) -> String {
    match count {
        0..=MAX_SHARING => "several share that address; ask for one of them by name".to_owned(),
        _ => format!(
            "{count} share that address, of which these are the first {MAX_SHARING}; ask for one by name"
        ),
    }
}

/// What a program can say, as a reply to HELP.
pub(super) fn usage() -> Reply {
    let lines = USAGE.iter().map(|(_, usage)| (*usage).to_owned());
    Reply::long(Code::Help, lines, "docs/PROTOCOL.md has the whole of it".into())
}

impl Hub {
    pub(super) fn member_line(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        if self.connections[&id].is_hand() {
            return self.hand_member(now, id, frame);
        }
        match Request::from_frame(frame) {
            Err(error) => {
                let reply = Reply::new(error.code, error.expected);
                self.answer_nonsense(now, id, &reply);
            }
            Ok(request) => self.program_request(now, id, request),
        }
    }

    fn program_request(&mut self, now: Now, id: ConnectionId, request: Request) {
        if is_activity(&request) {
            self.was_active(id, now);
        }
        match request {
            Request::ChangePassword { password, new, repeated } => {
                self.change_password(now, id, password, new, &repeated);
            }
            Request::List { after } => self.list(now, id, after.as_ref()),
            Request::Watch(on) => self.watch(now, id, on),
            Request::Connect { who } => self.connect(now, id, &who),
            Request::Broadcast { text } => self.broadcast(now, id, text),
            Request::Replay { from } => self.replay(now, id, from),
            Request::Ping => {
                let pong = format!("{} pong", self.log.head());
                self.answer(now, id, &Reply::new(Code::Ok, pong));
            }
            Request::Active => self.answer(now, id, &Reply::new(Code::Ok, "noted")),
            Request::Help => self.answer(now, id, &usage()),
            Request::Quit => self.goodbye(now, id),
            Request::Hello
            | Request::SignUp { .. }
            | Request::Login { .. }
            | Request::Key { .. } => {
                let reply = Reply::new(Code::WrongPhase, "you are logged in; QUIT first");
                self.answer_nonsense(now, id, &reply);
            }
        }
    }

    fn was_active(&mut self, id: ConnectionId, now: Now) {
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.active_ms = now.boot_ms;
        }
    }

    pub(super) fn idle(&self) -> Idle {
        Idle { limit_ms: self.settings.idle_ms, broadcast_ms: self.head_repeats.published_ms() }
    }

    pub(super) fn member_of(&self, id: ConnectionId) -> Option<&Member> {
        self.connections.get(&id)?.member()
    }

    pub(super) fn asked(&mut self, id: ConnectionId, verb: &'static str) {
        if let Some(member) = self.member_of(id) {
            let username = member.username.clone();
            self.effects.push(Effect::Record(Record::Asked { username, verb }));
        }
    }

    /// A page of the directory.
    pub(super) fn list(&mut self, now: Now, id: ConnectionId, after: Option<&Username>) {
        self.asked(id, "LIST");
        let Some((viewer, is_hand)) = self.viewer(id) else {
            return;
        };
        let mut lines = Vec::new();
        let mut bytes = LAST_LINE_BYTES;
        let mut more = None;
        for (username, entry) in self.directory.after(after) {
            let listed = listed(username, entry, viewer);
            let line = if is_hand { columns(&listed) } else { listed.to_string() };
            bytes += line.len() + "250-\n".len();
            if bytes > MAX_PAGE_BYTES {
                more = lines.last().and_then(|_| self.directory.after(after).nth(lines.len() - 1));
                break;
            }
            lines.push(line);
        }
        let count = lines.len();
        let last = match (more, is_hand) {
            (Some((last, _)), true) => format!("There are more: LIST AFTER {last}"),
            (Some((last, _)), false) => format!("{count} more after {last}"),
            (None, true) if count == 1 => String::from("You are the only one here."),
            (None, true) => format!("{count} are here."),
            (None, false) => format!("{count} end"),
        };
        self.answer(now, id, &Reply::long(Code::Ok, lines, last));
    }

    fn viewer(&self, id: ConnectionId) -> Option<(Viewer<'_>, bool)> {
        let connection = self.connections.get(&id)?;
        let username = &connection.member()?.username;
        let viewer = Viewer { username, address: connection.peer.ip(), server: connection.local };
        Some((viewer, connection.is_hand()))
    }

    pub(super) fn watch(&mut self, now: Now, id: ConnectionId, on: bool) {
        self.asked(id, "WATCH");
        // Who watches from now on is not told of what happened before.
        let before = self.presence.take();
        self.tell_watchers(&before);
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.watching = on;
        }
        let words = if on { "You will be told who comes and goes." } else { "No more of that." };
        self.answer(now, id, &Reply::new(Code::Ok, words));
    }

    /// Introduces two clients to each other; an invalid request costs the connection.
    pub(super) fn connect(&mut self, now: Now, id: ConnectionId, who: &str) {
        self.asked(id, "CONNECT");
        let Some(who) = Who::parse(who) else {
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
            Found::One(username, entry) => self.meet(now, id, &username, entry),
            Found::Several(several) => {
                let shown = several.iter().take(MAX_SHARING);
                let lines = shown.map(|(name, entry)| listed(name, entry, viewer).to_string());
                let last = sharing(several.len());
                let reply = Reply::long(Code::Ambiguous, lines.collect::<Vec<_>>(), last);
                self.answer(now, id, &reply);
            }
            Found::Away => {
                let why = "Not here now, but was lately; LIST shows who is here.";
                self.answer(now, id, &Reply::new(Code::NotHere, why));
            }
            Found::Oneself => self.penalise(now, id, Code::Yourself, "That is you."),
            Found::Nobody => {
                self.penalise(now, id, Code::Nobody, "Nobody is here by that name or address.");
            }
        }
    }

    fn penalise(&mut self, now: Now, id: ConnectionId, code: Code, why: &str) {
        self.send_reply(id, &Reply::new(code, why));
        self.close(now, id, Closing::Penalty);
    }

    fn meet(&mut self, now: Now, asking: ConnectionId, username: &Username, entry: Entry) {
        let other = self.introduction_of(entry.connection, asking);
        let oneself = self.introduction_of(asking, entry.connection);
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
        self.was_active(asking, now);
        self.was_active(entry.connection, now);
        self.reschedule(entry.connection);
        let record =
            Record::Introduced { username: oneself.username.clone(), to: username.clone() };
        self.effects.push(Effect::Record(record));
        self.introduce(entry.connection, oneself);
        self.answer(now, asking, &Reply::new(Code::Ok, format!("{other} introduced")));
    }

    /// What one client is told of another: the address as that one can reach it.
    fn introduction_of(&self, of: ConnectionId, to: ConnectionId) -> Option<Introduction> {
        let connection = self.connections.get(&of)?;
        let member = connection.member()?;
        let (viewer, _) = self.viewer(to)?;
        Some(Introduction {
            username: member.username.clone(),
            receiver: SocketAddr::new(viewer.sees(connection.peer.ip()), member.port?),
            key: member.key?,
        })
    }
}

/// Whether a request shows that the user is there. A program sends the others by itself.
fn is_activity(request: &Request) -> bool {
    !matches!(request, Request::Ping | Request::Replay { .. })
}

fn listed(username: &Username, entry: &Entry, viewer: Viewer<'_>) -> Listed {
    let address = viewer.sees(entry.address);
    Listed { username: username.clone(), address, port: entry.port }
}

fn columns(listed: &Listed) -> String {
    let port = listed.port.map_or("by hand".to_owned(), |port| port.to_string());
    let address = listed.address.to_string();
    format!("{:<16} {address:<16} {port}", listed.username)
}
