//! The accounts that are logged in, and those that left recently.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::ConnectionId;

/// The time for which an account that left is remembered. A request to connect to it has no
/// penalty.
const REMEMBERED_MS: u64 = 30 * 60_000;
/// The most accounts that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// The logged-in accounts with their sessions, by name and by address.
///
/// An entry names its session's location, so that a directory can also hold sessions of other
/// servers.
#[derive(Debug, Default)]
pub(super) struct Directory {
    here: BTreeMap<Username, Sessions>,
    /// The sessions of all accounts.
    count: usize,
    by_address: HashMap<IpAddr, BTreeSet<Username>>,
    away: HashMap<Username, Away>,
    /// The remembered accounts by the time they left, oldest first.
    leavings: BTreeSet<(u64, Username)>,
}

/// A logged-in session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The device's public key, or `None` for a session typed by hand.
    pub(super) key: Option<PublicKey>,
    pub(super) location: Location,
    /// The client's address as the server sees it.
    pub(super) address: IpAddr,
    /// The receiver's port, or `None` for a session typed by hand.
    pub(super) port: Option<u16>,
}

/// The location of a session's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    /// A connection of this server.
    Local(ConnectionId),
    /// Another server of the cluster. The number is that of the login.
    Remote { number: u64 },
}

/// The sessions of one account, in the order of their logins. No two have the same device key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Sessions(Vec<Entry>);

/// The effect of a login on the account's existing sessions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replacement {
    /// The sessions that end.
    pub(super) sessions: Vec<Entry>,
    /// True if one of them may belong to somebody else, so that the login requires TAKE.
    pub(super) needs_take: bool,
}

impl Sessions {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// Decides which sessions a login with this device key ends: **a device has one session**. Sessions
    /// typed by hand count as one device, whose user can't be told from another.
    fn replaced_by(&self, key: Option<PublicKey>) -> Replacement {
        let same = self.iter().filter(|entry| entry.key == key);
        let sessions: Vec<Entry> = same.copied().collect();
        Replacement { needs_take: key.is_none() && !sessions.is_empty(), sessions }
    }
}

#[derive(Debug)]
struct Away {
    since_ms: u64,
    address: IpAddr,
    port: Option<u16>,
}

/// A client, as named in a request to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Name(Username),
    Address(IpAddr),
    Receiver(SocketAddr),
}

impl Target {
    /// Parses a username, an IP address, or an address with a port. No username reads as an
    /// address.
    pub(super) fn parse(text: &str) -> Option<Target> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(receiver) = text.parse::<SocketAddr>() {
            return Some(Target::Receiver(SocketAddr::new(
                receiver.ip().to_canonical(),
                receiver.port(),
            )));
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Target::Address(address.to_canonical()));
        }
        text.parse().ok().map(Target::Name)
    }
}

/// The asking client. Addresses are shown and understood from its point of view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer<'a> {
    pub(super) username: &'a Username,
    /// The asking client's address as the server sees it.
    pub(super) address: IpAddr,
    /// The server's address as the asking client uses it.
    pub(super) server: IpAddr,
}

impl Viewer<'_> {
    /// Translates an address for this viewer: a client on the server's own machine has the server's
    /// address for clients elsewhere.
    pub(super) fn sees(&self, address: IpAddr) -> IpAddr {
        seen_from(self.address, self.server, address)
    }
}

/// Translates an address for a client at `viewer` that uses this address of the server.
pub(super) fn seen_from(viewer: IpAddr, server: IpAddr, address: IpAddr) -> IpAddr {
    if address.is_loopback() && !viewer.is_loopback() { server } else { address }
}

/// The result of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Exactly one client.
    One(Username, Entry),
    /// Several clients that share the address.
    Several(Vec<(Username, Entry)>),
    /// An account that left recently.
    Away,
    /// The asking client itself.
    Oneself,
    /// No client.
    Nobody,
}

impl Directory {
    /// Adds a session. Returns true if it is the account's first.
    pub(super) fn add(&mut self, username: &Username, entry: Entry) -> bool {
        self.forget_away(username);
        self.by_address.entry(entry.address).or_default().insert(username.clone());
        let sessions = self.here.entry(username.clone()).or_default();
        sessions.0.push(entry);
        self.count += 1;
        sessions.0.len() == 1
    }

    /// Removes the session at this location. Returns true if it was the account's last.
    pub(super) fn remove(&mut self, username: &Username, at: Location, now_ms: u64) -> bool {
        self.remove_where(username, now_ms, |location| location == at)
    }

    /// Removes the session at another server that began by the login with this number. Returns true if it was the
    /// account's last.
    pub(super) fn remove_remote(&mut self, username: &Username, login: u64, now_ms: u64) -> bool {
        self.remove_where(
            username,
            now_ms,
            |location| matches!(location, Location::Remote { number } if number == login),
        )
    }

    fn remove_where(
        &mut self,
        username: &Username,
        now_ms: u64,
        is_there: impl Fn(Location) -> bool,
    ) -> bool {
        let Some(sessions) = self.here.get_mut(username) else {
            return false;
        };
        let Some(index) = sessions.iter().position(|entry| is_there(entry.location)) else {
            return false;
        };
        let Entry { address, port, .. } = sessions.0.remove(index);
        self.count -= 1;
        let is_last = sessions.0.is_empty();
        if sessions.iter().all(|other| other.address != address) {
            self.leave_address(username, address);
        }
        if is_last {
            self.here.remove(username);
            self.away.insert(username.clone(), Away { since_ms: now_ms, address, port });
            self.leavings.insert((now_ms, username.clone()));
            self.forget_oldest(now_ms);
        }
        is_last
    }

    fn leave_address(&mut self, username: &Username, address: IpAddr) {
        if let Some(names) = self.by_address.get_mut(&address) {
            names.remove(username);
            if names.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }

    /// Returns the number of sessions.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns the sessions of an account.
    pub(super) fn sessions(&self, username: &Username) -> impl Iterator<Item = &Entry> {
        self.here.get(username).into_iter().flat_map(Sessions::iter)
    }

    /// Returns the sessions that a login of this account with this device key ends.
    pub(super) fn replaced_by(&self, username: &Username, key: Option<PublicKey>) -> Replacement {
        let sessions = self.here.get(username);
        sessions.map_or(Replacement { sessions: Vec::new(), needs_take: false }, |sessions| {
            sessions.replaced_by(key)
        })
    }

    /// Returns the accounts after this name, sorted by name.
    pub(super) fn after<'a>(
        &'a self,
        name: Option<&Username>,
    ) -> impl Iterator<Item = (&'a Username, &'a Sessions)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = name.cloned().map_or(Unbounded, Excluded);
        self.here.range::<Username, _>((start, Unbounded))
    }

    /// Looks up the client that a request names.
    pub(super) fn find(&mut self, who: &Target, viewer: Viewer<'_>, now_ms: u64) -> Lookup {
        self.forget_oldest(now_ms);
        match who {
            Target::Name(name) if name == viewer.username => Lookup::Oneself,
            Target::Name(name) => match self.here.get(name).and_then(|its| its.0.last()) {
                Some(entry) => Lookup::One(name.clone(), *entry),
                None if self.away.contains_key(name) => Lookup::Away,
                None => Lookup::Nobody,
            },
            Target::Address(address) => self.find_at(*address, None, viewer),
            Target::Receiver(receiver) => {
                self.find_at(receiver.ip(), Some(receiver.port()), viewer)
            }
        }
    }

    fn find_at(&self, address: IpAddr, port: Option<u16>, viewer: Viewer<'_>) -> Lookup {
        let fits = |its_port: Option<u16>| port.is_none() || port == its_port;
        let loopback = self.by_address.keys().filter(|known| known.is_loopback());
        let places = self.by_address.get_key_value(&address).map(|(known, _)| known);
        let mut found: Vec<(Username, Entry)> = loopback
            .filter(|known| viewer.sees(**known) == address)
            .chain(places.filter(|known| !known.is_loopback() || viewer.address.is_loopback()))
            .flat_map(|known| self.by_address[known].iter().map(move |name| (known, name)))
            .flat_map(|(known, name)| self.sessions(name).map(move |entry| (known, name, entry)))
            .filter(|(known, _, entry)| entry.address == **known && fits(entry.port))
            .map(|(_, name, entry)| (name.clone(), *entry))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(one, _), (other, _)| one == other);
        let oneself = found.iter().position(|(name, _)| name == viewer.username);
        if let Some(index) = oneself {
            found.remove(index);
        }
        let was_there = |away: &Away| viewer.sees(away.address) == address && fits(away.port);
        match found.len() {
            0 if self.away.values().any(was_there) => Lookup::Away,
            0 if oneself.is_some() => Lookup::Oneself,
            0 => Lookup::Nobody,
            1 => found.pop().map_or(Lookup::Nobody, |(name, entry)| Lookup::One(name, entry)),
            _ => Lookup::Several(found),
        }
    }

    fn forget_away(&mut self, username: &Username) {
        if let Some(away) = self.away.remove(username) {
            self.leavings.remove(&(away.since_ms, username.clone()));
        }
    }

    fn forget_oldest(&mut self, now_ms: u64) {
        while let Some((since_ms, username)) = self.leavings.first() {
            let over = self.leavings.len() > MAX_REMEMBERED;
            if !over && since_ms + REMEMBERED_MS > now_ms {
                return;
            }
            let username = username.clone();
            self.forget_away(&username);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Username {
        text.parse().unwrap()
    }

    fn entry(n: u64, address: IpAddr, port: Option<u16>) -> Entry {
        Entry { key: None, location: Location::Local(ConnectionId(n)), address, port }
    }

    fn directory(entries: &[(&str, &str, u16)]) -> Directory {
        let mut directory = Directory::default();
        for (n, (who, address, port)) in entries.iter().enumerate() {
            let address = address.parse().unwrap();
            directory.add(&name(who), entry(n as u64, address, Some(*port)));
        }
        directory
    }

    fn find(directory: &mut Directory, viewer: &str, from: &str, who: &str, now_ms: u64) -> Lookup {
        let username = name(viewer);
        let viewer = Viewer {
            username: &username,
            address: from.parse().unwrap(),
            server: "10.0.0.100".parse().unwrap(),
        };
        directory.find(&Target::parse(who).unwrap(), viewer, now_ms)
    }

    fn found_name(found: Lookup) -> String {
        match found {
            Lookup::One(name, _) => name.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn somebody_is_found_by_name_by_address_and_by_address_and_port() {
        let mut all = directory(&[
            ("alice", "10.0.0.1", 4401),
            ("bob", "10.0.0.2", 4401),
            ("carol", "10.0.0.3", 4401),
            ("dave", "10.0.0.3", 4402),
        ]);
        for who in ["bob", "BOB", "10.0.0.2", "10.0.0.2:4401", "::ffff:10.0.0.2"] {
            assert_eq!(found_name(find(&mut all, "alice", "10.0.0.1", who, 0)), "bob", "{who}");
        }
        assert_eq!(found_name(find(&mut all, "alice", "10.0.0.1", "10.0.0.3:4402", 0)), "dave");
        let several = find(&mut all, "alice", "10.0.0.1", "10.0.0.3", 0);
        assert!(matches!(several, Lookup::Several(names) if names.len() == 2));
    }

    #[test]
    fn oneself_is_no_answer_but_a_neighbour_at_ones_own_address_is() {
        let mut all = directory(&[("alice", "10.0.0.1", 4401)]);
        for who in ["alice", "10.0.0.1", "10.0.0.1:4401"] {
            assert_eq!(find(&mut all, "alice", "10.0.0.1", who, 0), Lookup::Oneself, "{who}");
        }
        let mut all = directory(&[("alice", "10.0.0.1", 4401), ("bob", "10.0.0.1", 4402)]);
        assert_eq!(found_name(find(&mut all, "alice", "10.0.0.1", "10.0.0.1", 0)), "bob");
    }

    #[test]
    fn who_left_lately_is_away_and_later_nobody() {
        let mut all = directory(&[("bob", "10.0.0.2", 4401)]);
        all.remove(&name("bob"), Location::Local(ConnectionId(0)), 1_000);
        for who in ["bob", "10.0.0.2", "10.0.0.2:4401"] {
            assert_eq!(find(&mut all, "alice", "10.0.0.1", who, 2_000), Lookup::Away, "{who}");
        }
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "10.0.0.2:9", 2_000), Lookup::Nobody);
        let later = 1_000 + REMEMBERED_MS;
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "bob", later), Lookup::Nobody);
    }

    #[test]
    fn a_neighbour_who_left_lately_is_away_and_no_offence() {
        let mut all = directory(&[("alice", "10.0.0.1", 4401), ("bob", "10.0.0.1", 4402)]);
        all.remove(&name("bob"), Location::Local(ConnectionId(1)), 1_000);
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "10.0.0.1", 2_000), Lookup::Away);
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "10.0.0.1:4401", 2_000), Lookup::Oneself);
    }

    #[test]
    fn client_on_the_servers_machine_has_the_servers_address() {
        let mut all = directory(&[("local", "127.0.0.1", 4401), ("bob", "10.0.0.2", 4401)]);
        assert_eq!(found_name(find(&mut all, "bob", "10.0.0.2", "10.0.0.100", 0)), "local");
        assert_eq!(find(&mut all, "bob", "10.0.0.2", "127.0.0.1", 0), Lookup::Nobody);
        assert_eq!(found_name(find(&mut all, "other", "127.0.0.1", "127.0.0.1", 0)), "local");
    }

    #[test]
    fn the_memory_of_those_who_left_is_bounded() {
        let mut all = Directory::default();
        for n in 0..MAX_REMEMBERED + 100 {
            let who = name(&format!("user{n}"));
            let address = "10.0.0.1".parse().unwrap();
            all.add(&who, entry(n as u64, address, None));
            all.remove(&who, Location::Local(ConnectionId(n as u64)), n as u64);
        }
        assert_eq!(all.away.len(), MAX_REMEMBERED);
        assert_eq!(all.leavings.len(), MAX_REMEMBERED);
    }

    fn device(seed: u8) -> Option<PublicKey> {
        Some(letschat_protocol::identity::Identity::from_seed(&[seed; 32]).public_key())
    }

    #[test]
    fn login_replaces_the_session_of_its_device() {
        let mut all = directory(&[("bob", "10.0.0.2", 4401)]);
        let address = "10.0.0.2".parse().unwrap();
        all.add(&name("bob"), Entry { key: device(1), ..entry(1, address, Some(4401)) });
        // A session typed by hand may be another person's.
        for (key, sessions, needs_take) in
            [(device(1), 1, false), (device(2), 0, false), (None, 1, true)]
        {
            let replacement = all.replaced_by(&name("bob"), key);
            let replaced = (replacement.sessions.len(), replacement.needs_take);
            assert_eq!(replaced, (sessions, needs_take));
            assert!(replacement.sessions.iter().all(|entry| entry.key == key));
        }
        assert!(!all.replaced_by(&name("alice"), None).needs_take);
    }

    #[test]
    fn account_with_two_sessions_is_here_until_the_last_ends() {
        let mut all = directory(&[("alice", "10.0.0.1", 4401)]);
        let [home, away] = ["10.0.0.2", "10.0.0.3"].map(|address| address.parse().unwrap());
        let at = |n| Location::Local(ConnectionId(n));
        assert!(all.add(&name("bob"), Entry { key: device(1), ..entry(1, home, Some(4401)) }));
        assert!(!all.add(&name("bob"), Entry { key: device(2), ..entry(2, away, Some(4402)) }));
        assert_eq!((all.len(), all.after(None).count()), (3, 2));
        for who in ["bob", "10.0.0.2", "10.0.0.3:4402"] {
            assert_eq!(found_name(find(&mut all, "alice", "10.0.0.1", who, 0)), "bob", "{who}");
        }
        assert!(!all.remove(&name("bob"), at(1), 5));
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "10.0.0.2", 6), Lookup::Nobody);
        assert_eq!(found_name(find(&mut all, "alice", "10.0.0.1", "bob", 6)), "bob");
        assert!(all.remove(&name("bob"), at(2), 7));
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "bob", 8), Lookup::Away);
        assert_eq!(all.len(), 1);
    }
}
