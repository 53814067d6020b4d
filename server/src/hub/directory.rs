//! Who is here, and who was a while ago.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::username::Username;

use super::ConnectionId;

/// Somebody who left is remembered for this long, so that asking for them is no offence.
const REMEMBERED_MS: u64 = 30 * 60_000;
/// How many are remembered at most.
const MAX_REMEMBERED: usize = 10_000;

/// The active clients, by name and by address. Several servers could share one: nothing here
/// knows of connections but by their names.
#[derive(Debug, Default)]
pub(super) struct Directory {
    here: BTreeMap<Username, Entry>,
    by_address: HashMap<IpAddr, BTreeSet<Username>>,
    away: HashMap<Username, Away>,
    /// When they left, oldest first.
    leavings: BTreeSet<(u64, Username)>,
}

/// An active client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) connection: ConnectionId,
    /// As the server sees it.
    pub(super) address: IpAddr,
    /// The receiver's port; none for a session typed by hand.
    pub(super) port: Option<u16>,
}

#[derive(Debug)]
struct Away {
    since_ms: u64,
    address: IpAddr,
    port: Option<u16>,
}

/// Whom a request to connect names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Name(Username),
    Address(IpAddr),
    Receiver(SocketAddr),
}

impl Who {
    /// A username, an IP address, or an address with a port. No username reads as an address.
    pub(super) fn parse(text: &str) -> Option<Who> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(receiver) = text.parse::<SocketAddr>() {
            return Some(Who::Receiver(SocketAddr::new(
                receiver.ip().to_canonical(),
                receiver.port(),
            )));
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Who::Address(address.to_canonical()));
        }
        text.parse().ok().map(Who::Name)
    }
}

/// Who asks, and from where: addresses are shown and understood as the asking side can use them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer<'a> {
    pub(super) username: &'a Username,
    /// The asking client's address as the server sees it.
    pub(super) address: IpAddr,
    /// The server's address as the asking client uses it.
    pub(super) server: IpAddr,
}

impl Viewer<'_> {
    /// An address as this viewer can reach it: who sits on the server's own machine is at the
    /// server's address for everybody elsewhere.
    pub(super) fn sees(&self, address: IpAddr) -> IpAddr {
        if address.is_loopback() && !self.address.is_loopback() { self.server } else { address }
    }
}

/// What came of looking somebody up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Just one.
    One(Username, Entry),
    /// Several share that address.
    Several(Vec<(Username, Entry)>),
    /// Not here now, but lately.
    Away,
    /// The one who asks.
    Oneself,
    /// Nobody.
    Nobody,
}

impl Directory {
    /// Somebody is here now.
    pub(super) fn add(&mut self, username: &Username, entry: Entry) {
        self.forget_away(username);
        self.by_address.entry(entry.address).or_default().insert(username.clone());
        self.here.insert(username.clone(), entry);
    }

    /// Somebody went.
    pub(super) fn remove(&mut self, username: &Username, now_ms: u64) {
        let Some(entry) = self.here.remove(username) else {
            return;
        };
        if let Some(names) = self.by_address.get_mut(&entry.address) {
            names.remove(username);
            if names.is_empty() {
                self.by_address.remove(&entry.address);
            }
        }
        let away = Away { since_ms: now_ms, address: entry.address, port: entry.port };
        self.away.insert(username.clone(), away);
        self.leavings.insert((now_ms, username.clone()));
        self.forget_oldest(now_ms);
    }

    /// How many are here.
    pub(super) fn len(&self) -> usize {
        self.here.len()
    }

    /// The entry of somebody who is here.
    pub(super) fn entry(&self, username: &Username) -> Option<Entry> {
        self.here.get(username).copied()
    }

    /// Everybody after this name, in the order of names.
    pub(super) fn after<'a>(
        &'a self,
        name: Option<&Username>,
    ) -> impl Iterator<Item = (&'a Username, &'a Entry)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = name.cloned().map_or(Unbounded, Excluded);
        self.here.range::<Username, _>((start, Unbounded))
    }

    /// Looks up whom somebody asks for.
    pub(super) fn find(&mut self, who: &Who, viewer: Viewer<'_>, now_ms: u64) -> Found {
        self.forget_oldest(now_ms);
        match who {
            Who::Name(name) if name == viewer.username => Found::Oneself,
            Who::Name(name) => match self.here.get(name) {
                Some(entry) => Found::One(name.clone(), *entry),
                None if self.away.contains_key(name) => Found::Away,
                None => Found::Nobody,
            },
            Who::Address(address) => self.find_at(*address, None, viewer),
            Who::Receiver(receiver) => self.find_at(receiver.ip(), Some(receiver.port()), viewer),
        }
    }

    fn find_at(&self, address: IpAddr, port: Option<u16>, viewer: Viewer<'_>) -> Found {
        let fits = |its_port: Option<u16>| port.is_none() || port == its_port;
        let loopback = self.by_address.keys().filter(|known| known.is_loopback());
        let places = self.by_address.get_key_value(&address).map(|(known, _)| known);
        let mut found: Vec<(Username, Entry)> = loopback
            .filter(|known| viewer.sees(**known) == address)
            .chain(places.filter(|known| !known.is_loopback() || viewer.address.is_loopback()))
            .flat_map(|known| &self.by_address[known])
            .map(|name| (name.clone(), self.here[name]))
            .filter(|(_, entry)| fits(entry.port))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(one, _), (other, _)| one == other);
        let oneself = found.iter().position(|(name, _)| name == viewer.username);
        if let Some(index) = oneself {
            found.remove(index);
        }
        let was_there = |away: &Away| viewer.sees(away.address) == address && fits(away.port);
        match found.len() {
            0 if self.away.values().any(was_there) => Found::Away,
            0 if oneself.is_some() => Found::Oneself,
            0 => Found::Nobody,
            1 => found.pop().map_or(Found::Nobody, |(name, entry)| Found::One(name, entry)),
            _ => Found::Several(found),
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

    fn directory(entries: &[(&str, &str, u16)]) -> Directory {
        let mut directory = Directory::default();
        for (n, (who, address, port)) in entries.iter().enumerate() {
            let address = address.parse().unwrap();
            let entry = Entry { connection: ConnectionId(n as u64), address, port: Some(*port) };
            directory.add(&name(who), entry);
        }
        directory
    }

    fn find(directory: &mut Directory, viewer: &str, from: &str, who: &str, now_ms: u64) -> Found {
        let username = name(viewer);
        let viewer = Viewer {
            username: &username,
            address: from.parse().unwrap(),
            server: "10.0.0.100".parse().unwrap(),
        };
        directory.find(&Who::parse(who).unwrap(), viewer, now_ms)
    }

    fn found_name(found: Found) -> String {
        match found {
            Found::One(name, _) => name.to_string(),
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
        assert!(matches!(several, Found::Several(names) if names.len() == 2));
    }

    #[test]
    fn oneself_is_no_answer_but_a_neighbour_at_ones_own_address_is() {
        let mut all = directory(&[("alice", "10.0.0.1", 4401)]);
        for who in ["alice", "10.0.0.1", "10.0.0.1:4401"] {
            assert_eq!(find(&mut all, "alice", "10.0.0.1", who, 0), Found::Oneself, "{who}");
        }
        let mut all = directory(&[("alice", "10.0.0.1", 4401), ("bob", "10.0.0.1", 4402)]);
        assert_eq!(found_name(find(&mut all, "alice", "10.0.0.1", "10.0.0.1", 0)), "bob");
    }

    #[test]
    fn who_left_lately_is_away_and_later_nobody() {
        let mut all = directory(&[("bob", "10.0.0.2", 4401)]);
        all.remove(&name("bob"), 1_000);
        for who in ["bob", "10.0.0.2", "10.0.0.2:4401"] {
            assert_eq!(find(&mut all, "alice", "10.0.0.1", who, 2_000), Found::Away, "{who}");
        }
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "10.0.0.2:9", 2_000), Found::Nobody);
        let later = 1_000 + REMEMBERED_MS;
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "bob", later), Found::Nobody);
    }

    #[test]
    fn a_neighbour_who_left_lately_is_away_and_no_offence() {
        let mut all = directory(&[("alice", "10.0.0.1", 4401), ("bob", "10.0.0.1", 4402)]);
        all.remove(&name("bob"), 1_000);
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "10.0.0.1", 2_000), Found::Away);
        assert_eq!(find(&mut all, "alice", "10.0.0.1", "10.0.0.1:4401", 2_000), Found::Oneself);
    }

    #[test]
    fn client_on_the_servers_machine_has_the_servers_address() {
        let mut all = directory(&[("local", "127.0.0.1", 4401), ("bob", "10.0.0.2", 4401)]);
        assert_eq!(found_name(find(&mut all, "bob", "10.0.0.2", "10.0.0.100", 0)), "local");
        assert_eq!(find(&mut all, "bob", "10.0.0.2", "127.0.0.1", 0), Found::Nobody);
        assert_eq!(found_name(find(&mut all, "other", "127.0.0.1", "127.0.0.1", 0)), "local");
    }

    #[test]
    fn the_memory_of_those_who_left_is_bounded() {
        let mut all = Directory::default();
        for n in 0..MAX_REMEMBERED + 100 {
            let who = name(&format!("user{n}"));
            let address = "10.0.0.1".parse().unwrap();
            all.add(&who, Entry { connection: ConnectionId(n as u64), address, port: None });
            all.remove(&who, n as u64);
        }
        assert_eq!(all.away.len(), MAX_REMEMBERED);
        assert_eq!(all.leavings.len(), MAX_REMEMBERED);
    }
}
