//! The sessions of a device: here, elsewhere, and their ends.

use letschat_protocol::clock::Now;
use letschat_protocol::dialogue::Closing;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::super::directory::{Entry, Location};
use super::super::{ConnectionId, Hub};
use super::{Batch, Device};
use crate::store::cluster::{Ending, SessionId};

impl Hub {
    /// Returns true if the device has logged in again since: this server knows a session with a higher number.
    pub(super) fn is_overtaken(&self, device: &Device, number: u64) -> bool {
        let here = self.local_session(device).map(|(_, own)| own);
        let shared = self.cluster.as_ref().and_then(|cluster| cluster.sessions.get(device));
        here.into_iter().chain(shared.map(|shared| shared.number)).any(|other| other > number)
    }

    /// Notes that a session has ended here, or that it ends at another server for this reason. That server learns it by
    /// the change, at the latest when it is back.
    pub(in crate::hub) fn leave_cluster(&mut self, session: SessionId, why: Option<Closing>) {
        let Some(cluster) = &mut self.cluster else { return };
        let Batch { waiting, under_way, .. } = &mut cluster.leaving;
        let is_same = |ending: &Ending| match ending {
            Ending::Session { session: other, .. } => *other == session,
            Ending::Keyless { .. } => false,
        };
        // A server that stops ends all of its sessions at once. That of another server may have been ended before.
        let is_known = why.is_some() && waiting.iter().chain(&*under_way).any(is_same);
        if !self.is_stopping && !is_known {
            waiting.push(Ending::Session { session, why });
        }
    }

    /// Ends the sessions at all servers of the account's devices whose keys were deleted, and the one that is typed by
    /// hand if so wanted.
    pub(in crate::hub) fn end_keyless(&mut self, username: &Username, typed: bool, why: Closing) {
        if let Some(cluster) = &mut self.cluster {
            let ending = Ending::Keyless { username: username.clone(), typed, why };
            if !cluster.leaving.waiting.contains(&ending) {
                cluster.leaving.waiting.push(ending);
            }
        }
    }

    /// Returns the sessions of an account, also those at servers that are gone, which may come back.
    pub(in crate::hub) fn sessions_anywhere(&self, username: &Username) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.directory.sessions(username).copied().collect();
        let shared = self.cluster.iter().flat_map(|cluster| &cluster.sessions);
        let gone = shared.filter(|((name, device), _)| {
            name == username && !entries.iter().any(|entry| entry.key == *device)
        });
        let gone = gone.map(|((_, device), shared)| Entry {
            key: *device,
            location: Location::Remote { number: shared.number },
            address: shared.place.address,
            port: shared.place.port,
        });
        let gone: Vec<Entry> = gone.collect();
        entries.extend(gone);
        entries
    }

    /// Returns true if notices reach the session within about a second: at another server, only while both have the
    /// database.
    pub(in crate::hub) fn is_within_reach(
        &self,
        now: Now,
        username: &Username,
        entry: &Entry,
    ) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.filter(|_| !matches!(entry.location, Location::Local(_))).is_none_or(|cluster| {
            let place = cluster.place(username, entry.key);
            place.is_none_or(|place| cluster.hears(now, &place.server))
        })
    }

    /// Returns true if a device is logged in at another server, which is within reach.
    pub(in crate::hub) fn is_elsewhere(
        &self,
        now: Now,
        username: &Username,
        device: PublicKey,
    ) -> bool {
        let mut sessions = self.directory.sessions(username);
        let session = sessions.find(|entry| entry.key == Some(device));
        session.is_some_and(|entry| {
            !matches!(entry.location, Location::Local(_))
                && self.is_within_reach(now, username, entry)
        })
    }

    /// Notes whether a device at another server is listed.
    pub(in crate::hub) fn note_listed(
        &mut self,
        username: &Username,
        device: PublicKey,
        is_listed: bool,
    ) {
        let device = (username.clone(), Some(device));
        let shared = self.cluster.as_mut().and_then(|cluster| cluster.sessions.get_mut(&device));
        if let Some(shared) = shared {
            shared.place.is_listed = is_listed;
        }
    }

    /// Returns the session of a device at this server, and its number.
    pub(super) fn local_session(&self, (username, device): &Device) -> Option<(ConnectionId, u64)> {
        let mut entries = self.directory.sessions(username).filter(|entry| entry.key == *device);
        entries.find_map(|entry| {
            let Location::Local(id) = entry.location else { return None };
            Some((id, self.member_of(id)?.number?))
        })
    }
}
