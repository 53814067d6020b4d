//! The list of a classroom's clients, which reach each other even while the server is away.
//!
//! A client enters the list at its first login. It leaves the list when it says QUIT, or if nobody
//! listens at its address after a restart. The server introduces each client to all others, with
//! its address and key.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use letschat_protocol::clock::Now;
use letschat_protocol::dialogue::{Introduction, Notice, Reply};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;

use super::{ConnectionId, Effect, Hub};
use crate::clients_file::{ClientEntry, MAX_CLIENTS};
use crate::reserved_names;

/// A line on the server's own screen. `Display` makes it printable.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A client came for the first time.
    Initiated { client: Username },
    /// A client of the list logged in again.
    Reconnected { client: Username },
    /// A client sent a text to everybody.
    Said { client: Username, text: String },
    /// Lines that were not shown, because the screen was too slow.
    Lost { lines: u64 },
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Initiated { client } => write!(f, "{}", initiated(client)),
            Shown::Reconnected { client } => write!(f, "Client {client}: reconnected"),
            Shown::Said { client, text } => write!(f, "Client {client}: {}", Printable(text)),
            Shown::Lost { lines } => write!(f, "({lines} lines were lost: too many at once)"),
        }
    }
}

/// Returns the announcement of a newcomer, for the screen and for people who type.
pub(super) fn initiated(client: &Username) -> String {
    format!("Client {client}: initiated")
}

/// The list of clients, including absent ones. Outside of a classroom it is empty.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_name: BTreeMap<Username, Client>,
}

#[derive(Debug, Clone)]
struct Client {
    receiver: SocketAddr,
    /// The client's key, or `None` if it was read from the file and has not logged in since.
    key: Option<PublicKey>,
    /// The time of its last login, or 0.
    since_ms: u64,
}

/// The result of entering a client.
struct Entered {
    is_new: bool,
    /// True if the file has to be written.
    is_changed: bool,
}

impl Clients {
    fn enter(&mut self, username: &Username, client: Client) -> Entered {
        let before = self.by_name.insert(username.clone(), client.clone());
        let is_changed = before.as_ref().is_none_or(|before| before.receiver != client.receiver);
        Entered { is_new: before.is_none(), is_changed }
    }

    fn remove(&mut self, username: &Username) -> bool {
        self.by_name.remove(username).is_some()
    }

    pub(super) fn contains(&self, username: &Username) -> bool {
        self.by_name.contains_key(username)
    }

    fn entries(&self) -> Vec<ClientEntry> {
        let entry = |(username, client): (&Username, &Client)| ClientEntry {
            username: username.clone(),
            receiver: client.receiver,
        };
        self.by_name.iter().map(entry).collect()
    }
}

impl Hub {
    /// Returns true if a login by key may claim the name, provided that no account has it. A reserved
    /// name is never claimed. A name that is not on the list counts as a sign-up.
    pub(super) fn may_claim(
        &mut self,
        now: Now,
        id: ConnectionId,
        username: &Username,
    ) -> Result<bool, Reply> {
        if !self.settings.classroom || reserved_names::check(username).is_err() {
            return Ok(false);
        }
        let too_soon = match self.clients.contains(username) {
            true => None,
            false => self.sign_up_too_soon(now, id),
        };
        too_soon.map_or(Ok(true), Err)
    }

    /// Returns the reason why a login by key was refused.
    pub(super) fn key_refusal(&self, username: Option<&Username>) -> String {
        if !self.settings.classroom {
            return "This account and key are not known here; log in with the password.".into();
        }
        match username.map(reserved_names::check) {
            Some(Err(reserved)) => format!("Choose another name: {reserved}."),
            _ => "That name belongs to another client; choose another one.".into(),
        }
    }

    /// Fills the list at the start. A client is introduced to others once it has logged in.
    pub fn restore_clients(&mut self, entries: impl IntoIterator<Item = ClientEntry>) {
        if !self.settings.classroom {
            return;
        }
        for ClientEntry { username, receiver } in entries.into_iter().take(self.most_clients()) {
            self.clients.enter(&username, Client { receiver, key: None, since_ms: 0 });
        }
    }

    fn most_clients(&self) -> usize {
        self.settings.places.min(MAX_CLIENTS)
    }

    /// Enters a client that logged in, and introduces it and all others to each other.
    pub(super) fn enter_classroom(&mut self, now: Now, id: ConnectionId) {
        let Some((username, client)) = self.client_at(now, id) else {
            return;
        };
        self.introduce_others(id, &username);
        let Entered { is_new, is_changed } = self.clients.enter(&username, client);
        if is_new {
            self.make_room_for(&username);
        }
        if is_changed {
            self.write_clients();
        }
        let everybody: Vec<ConnectionId> = self.everybody().map(|(id, _)| id).collect();
        for to in everybody.into_iter().filter(|to| is_new || *to != id) {
            self.introduce_client(&username, to, is_new);
        }
        let shown = match is_new {
            true => Shown::Initiated { client: username },
            false => Shown::Reconnected { client: username },
        };
        self.effects.push(Effect::Show(shown));
    }

    /// Returns the client of this connection, if it is a program in a classroom that others can
    /// reach.
    fn client_at(&self, now: Now, id: ConnectionId) -> Option<(Username, Client)> {
        let connection = self.connections.get(&id).filter(|_| self.settings.classroom)?;
        let member = connection.member()?;
        let port = member.port.filter(|port| *port > 0)?;
        let receiver = SocketAddr::new(connection.peer.ip(), port);
        let client = Client { receiver, key: Some(member.key?), since_ms: now.boot_ms };
        Some((member.username.clone(), client))
    }

    /// Tells a client about all others, so that it can reach them when the server is gone.
    fn introduce_others(&mut self, to: ConnectionId, itself: &Username) {
        let others = self.clients.by_name.keys().filter(|name| *name != itself);
        for other in others.cloned().collect::<Vec<_>>() {
            self.introduce_client(&other, to, false);
        }
    }

    /// Tells one client about another, with an address that it can reach.
    fn introduce_client(&mut self, client: &Username, to: ConnectionId, is_new: bool) {
        let notice = self.viewer(to).and_then(|(viewer, _)| {
            let Client { receiver, key, .. } = self.clients.by_name.get(client)?;
            let receiver = SocketAddr::new(viewer.sees(receiver.ip()), receiver.port());
            let who = Introduction { username: client.clone(), receiver, key: (*key)? };
            Some(Notice::Client { who, is_new })
        });
        if let Some(notice) = notice {
            self.tell(to, &notice);
        }
    }

    /// Removes the client that has been away the longest if there are too many. At least one is
    /// away, since there are no more sessions than places.
    fn make_room_for(&mut self, newcomer: &Username) {
        if self.clients.by_name.len() <= self.most_clients() {
            return;
        }
        let away = self.clients.by_name.iter().filter(|(name, _)| !self.is_here(name));
        let oldest = away.min_by_key(|(_, client)| client.since_ms).map(|(name, _)| name.clone());
        self.clients.remove(&oldest.unwrap_or_else(|| newcomer.clone()));
    }

    fn is_here(&self, username: &Username) -> bool {
        self.directory.sessions(username).next().is_some()
    }

    /// Removes a client that said QUIT.
    pub(super) fn leave_classroom(&mut self, username: &Username) {
        if self.clients.remove(username) {
            self.write_clients();
        }
    }

    /// Removes the clients at an address after a refused knock, unless they are logged in.
    pub(super) fn knock_refused(&mut self, receiver: SocketAddr) {
        let is_there = |(name, client): (&Username, &Client)| {
            (client.receiver == receiver && !self.is_here(name)).then(|| name.clone())
        };
        let gone: Vec<Username> = self.clients.by_name.iter().filter_map(is_there).collect();
        if !gone.is_empty() {
            gone.iter().for_each(|name| _ = self.clients.remove(name));
            self.write_clients();
        }
    }

    fn write_clients(&mut self) {
        self.effects.push(Effect::WriteClients(self.clients.entries()));
    }

    /// Shows a text on the screen of a classroom's server, since its operator takes part.
    pub(super) fn show_said(&mut self, client: &Username, text: &str) {
        if self.settings.classroom {
            let shown = Shown::Said { client: client.clone(), text: text.to_owned() };
            self.effects.push(Effect::Show(shown));
        }
    }
}
