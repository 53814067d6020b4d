//! The links to peers: what each serves, and the one place where word of them arrives.

use std::collections::HashMap;

use letschat_protocol::peer::PeerMessage;
use letschat_protocol::username::Username;

use super::{Effect, LinkId, Now, PeerLoss, Session};

/// The purpose of each link that has one. Links that arrived and are not understood yet are in `arrived`.
#[derive(Debug, Default)]
pub(super) struct Links {
    uses: HashMap<LinkId, LinkUse>,
    dialled: u64,
}

/// What a link serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LinkUse {
    /// An own request for a chat.
    Call(Username),
    /// The other's request for a chat.
    Asked(Username),
    /// An open chat.
    Chat(Username),
}

impl Links {
    /// Names the next link that is dialled.
    pub(super) fn next(&mut self) -> LinkId {
        self.dialled += 1;
        LinkId::dialled(self.dialled)
    }

    /// Notes what a link serves from now on.
    pub(super) fn serve(&mut self, link: LinkId, purpose: LinkUse) {
        self.uses.insert(link, purpose);
    }

    #[cfg(test)]
    pub(super) fn last_dialled(&self) -> LinkId {
        LinkId::dialled(self.dialled)
    }

    fn purpose(&self, link: LinkId) -> Option<LinkUse> {
        self.uses.get(&link).cloned()
    }
}

impl Session {
    /// A link that was dialled is up.
    pub(super) fn peer_dialled(&mut self, now: Now, link: LinkId) {
        match self.links.purpose(link) {
            Some(LinkUse::Call(who)) => self.say_call(&who, link),
            Some(LinkUse::Chat(who)) => self.resume_chat(now, &who, link),
            _ => self.effects.push(Effect::ClosePeer { link }),
        }
    }

    /// Something came over a link.
    pub(super) fn peer_said(&mut self, now: Now, link: LinkId, message: PeerMessage) {
        match self.links.purpose(link) {
            Some(LinkUse::Call(who)) => self.call_answered(now, &who, message),
            Some(LinkUse::Asked(who)) => self.asker_said(now, &who, message),
            Some(LinkUse::Chat(who)) => self.chat_said(now, &who, link, message),
            None => self.newcomer_said(now, link, message),
        }
    }

    /// A link to a peer is no more.
    pub(super) fn peer_lost(&mut self, now: Now, link: LinkId, why: PeerLoss) {
        self.arrived.remove(&link);
        self.ignored.remove(&link);
        match self.links.purpose(link) {
            None => {}
            Some(LinkUse::Call(who)) => {
                self.links.uses.remove(&link);
                self.call_lost(now, &who, why);
            }
            Some(LinkUse::Asked(who)) => {
                self.links.uses.remove(&link);
                self.asker_gone(&who);
            }
            Some(LinkUse::Chat(who)) => self.link_broke(now, &who, link),
        }
    }

    pub(super) fn close_link(&mut self, link: LinkId) {
        self.links.uses.remove(&link);
        self.arrived.remove(&link);
        self.ignored.remove(&link);
        self.effects.push(Effect::ClosePeer { link });
    }
}
