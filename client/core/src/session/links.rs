//! The links to peers and their purposes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, Refusal};
use letschat_protocol::username::Username;

use super::LinkId;
use crate::conversation::LinkPath;
use crate::crowd::gives_way;

/// The time in which a new link states its purpose.
const FIRST_WORD_MS: u64 = 10_000;
/// The time that a call waits for its introduction.
const INTRODUCTION_WAIT_MS: u64 = 5_000;
/// The most links that have arrived and have no purpose yet. Beyond that the oldest of the address
/// with the most is evicted.
const MAX_ARRIVED: usize = 64;
/// The time after which an idle link for deliveries is closed.
const DELIVERIES_MS: u64 = 300_000;
/// The most links of blocked people.
const MAX_IGNORED: usize = 16;

/// The purpose of each open link.
#[derive(Debug, Default)]
pub(super) struct Links {
    // Links are numbered as they arrive, so the arrived ones are sorted by age.
    uses: BTreeMap<LinkId, LinkUse>,
    dialled: u64,
    /// The paths of the links that were made at a meeting.
    met: BTreeMap<LinkId, LinkPath>,
}

/// The purpose of a link.
#[derive(Debug, Clone)]
pub(super) enum LinkUse {
    /// The user's own request for a chat.
    Call(Username),
    /// The other side's request for a chat.
    Asked(Username),
    /// An open chat.
    Chat(Username),
    /// None yet: the link has arrived.
    Arrived(Arrived),
    /// The delivery of own messages to this person, outside of a chat.
    Deliver(Username),
    /// The deliveries of the person with this key. It is closed if none comes until that time.
    Deliveries { key: PublicKey, until_ms: u64 },
    /// An own file is sent.
    Serve,
    /// None: a blocked person waits for an answer until this time.
    Ignored { until_ms: u64 },
}

/// A link that has arrived and has no purpose yet.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) key: PublicKey,
    pub(super) from: SocketAddr,
    /// The chat and the name of its call, while it waits for its introduction.
    pub(super) called: Option<(ChatId, Username)>,
    due_ms: u64,
}

impl Links {
    /// Names a link that is dialled for this purpose.
    pub(super) fn dial(&mut self, purpose: LinkUse) -> LinkId {
        self.dialled += 1;
        let link = LinkId::dialled(self.dialled);
        self.serve(link, purpose);
        link
    }

    #[cfg(test)]
    pub(super) fn last_dialled(&self) -> LinkId {
        LinkId::dialled(self.dialled)
    }

    /// Sets the purpose of a link.
    pub(super) fn serve(&mut self, link: LinkId, purpose: LinkUse) {
        self.uses.insert(link, purpose);
    }

    pub(super) fn purpose(&self, link: LinkId) -> Option<&LinkUse> {
        self.uses.get(&link)
    }

    /// Notes that a link was made at a meeting.
    pub(super) fn note_met(&mut self, link: LinkId, path: LinkPath) {
        self.met.insert(link, path);
    }

    /// Returns true for a link that was made at a meeting. Its address is not that of a receiver.
    pub(super) fn is_met(&self, link: LinkId) -> bool {
        self.met.contains_key(&link)
    }

    /// Returns the path of a link that is up.
    pub(super) fn path(&self, link: LinkId) -> LinkPath {
        self.met.get(&link).copied().unwrap_or_default()
    }

    /// Forgets a link. Returns its purpose.
    pub(super) fn forget(&mut self, link: LinkId) -> Option<LinkUse> {
        self.met.remove(&link);
        self.uses.remove(&link)
    }

    /// Notes a link that arrived. Returns the evicted one if there are too many.
    pub(super) fn arrive(
        &mut self,
        now_ms: u64,
        link: LinkId,
        key: PublicKey,
        from: SocketAddr,
    ) -> Option<LinkId> {
        let arrived = Arrived { key, from, called: None, due_ms: now_ms + FIRST_WORD_MS };
        self.serve(link, LinkUse::Arrived(arrived));
        if self.all_arrived().count() <= MAX_ARRIVED {
            return None;
        }
        let oldest = gives_way(self.all_arrived().map(|(_, one)| one.from.ip()))?;
        self.all_arrived().nth(oldest).map(|(link, _)| link)
    }

    /// Returns a link that has no purpose yet.
    pub(super) fn arrived(&self, link: LinkId) -> Option<&Arrived> {
        match self.uses.get(&link)? {
            LinkUse::Arrived(arrived) => Some(arrived),
            _ => None,
        }
    }

    /// Keeps a call until its caller is introduced.
    pub(super) fn await_introduction(
        &mut self,
        now_ms: u64,
        link: LinkId,
        call: (ChatId, Username),
    ) {
        if let Some(LinkUse::Arrived(arrived)) = self.uses.get_mut(&link) {
            arrived.called = Some(call);
            arrived.due_ms = now_ms + INTRODUCTION_WAIT_MS;
        }
    }

    /// Returns a call by this key that waits for its introduction.
    pub(super) fn awaiting(&self, key: &PublicKey) -> Option<(LinkId, ChatId, Username)> {
        self.all_arrived().find_map(|(link, arrived)| {
            let (chat, name) = arrived.called.clone().filter(|_| arrived.key == *key)?;
            Some((link, chat, name))
        })
    }

    /// Uses a link for the deliveries of the person with this key. Returns their earlier links.
    pub(super) fn serve_deliveries(
        &mut self,
        link: LinkId,
        key: PublicKey,
        now_ms: u64,
    ) -> Vec<LinkId> {
        self.serve(link, LinkUse::Deliveries { key, until_ms: now_ms + DELIVERIES_MS });
        let is_earlier = |(other, one): (&LinkId, &LinkUse)| {
            let is_theirs =
                matches!(one, LinkUse::Deliveries { key: theirs, .. } if *theirs == key);
            (is_theirs && *other != link).then_some(*other)
        };
        self.uses.iter().filter_map(is_earlier).collect()
    }

    /// Returns the links for deliveries on which none has come for long.
    pub(super) fn idle(&self, now_ms: u64) -> Vec<LinkId> {
        let is_idle = |one: &LinkUse| matches!(one, LinkUse::Deliveries { until_ms, .. } if *until_ms <= now_ms);
        self.uses.iter().filter(|(_, one)| is_idle(one)).map(|(link, _)| *link).collect()
    }

    /// Returns the links for deliveries in both directions.
    pub(super) fn for_deliveries(&self) -> Vec<LinkId> {
        let is_one =
            |one: &LinkUse| matches!(one, LinkUse::Deliver(_) | LinkUse::Deliveries { .. });
        self.uses.iter().filter(|(_, one)| is_one(one)).map(|(link, _)| *link).collect()
    }

    /// Keeps the link of a blocked person. Returns false if there are too many.
    pub(super) fn ignore(&mut self, link: LinkId, until_ms: u64) -> bool {
        let has_room = self.all_ignored().count() < MAX_IGNORED;
        if has_room {
            self.serve(link, LinkUse::Ignored { until_ms });
        }
        has_room
    }

    /// Returns the arrived links of which the user has not heard.
    pub(super) fn newcomers(&self) -> Vec<LinkId> {
        let arrived = self.all_arrived().map(|(link, _)| link);
        arrived.chain(self.all_ignored().map(|(link, _)| link)).collect()
    }

    /// Returns the arrived links whose wait is over, with the answers to them.
    pub(super) fn overdue(&self, now_ms: u64) -> Vec<(LinkId, Refusal)> {
        let arrived = self.all_arrived().filter(|(_, one)| one.due_ms <= now_ms);
        let ignored = self.all_ignored().filter(|(_, until_ms)| *until_ms <= now_ms);
        let arrived = arrived.map(|(link, _)| (link, Refusal::Unknown));
        arrived.chain(ignored.map(|(link, _)| (link, Refusal::NoAnswer))).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let arrived = self.all_arrived().map(|(_, one)| one.due_ms);
        let ignored = self.all_ignored().map(|(_, until_ms)| until_ms);
        let deliveries = self.uses.values().filter_map(|one| match one {
            LinkUse::Deliveries { until_ms, .. } => Some(*until_ms),
            _ => None,
        });
        arrived.chain(ignored).chain(deliveries).min()
    }

    fn all_arrived(&self) -> impl Iterator<Item = (LinkId, &Arrived)> {
        self.uses.iter().filter_map(|(link, purpose)| match purpose {
            LinkUse::Arrived(arrived) => Some((*link, arrived)),
            _ => None,
        })
    }

    fn all_ignored(&self) -> impl Iterator<Item = (LinkId, u64)> {
        self.uses.iter().filter_map(|(link, purpose)| match purpose {
            LinkUse::Ignored { until_ms } => Some((*link, *until_ms)),
            _ => None,
        })
    }
}
