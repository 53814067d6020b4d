//! Others' requests for a chat, which the user approves or denies.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::dialogue::Introduction;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::bell::Bells;
use super::introductions::Introductions;
use super::{APPROVAL_MS, Proposal};
use crate::codes::RequestEnd;
use crate::crowd::{gives_way, network};
use crate::event::{Event, KeyState, RequestKind, fingerprint};
use crate::failure::{Failure, Withdrawal};
use crate::session::RequestId;
use crate::session::account::AccountState;
use crate::session::context::Context;
use crate::session::links::LinkUse;

/// The time in which the caller confirms.
const OPENING_MS: u64 = 10_000;
/// The most requests that may wait for the user.
const MAX_ASKED: usize = 16;

/// Others' requests by person, and the limits on them.
#[derive(Debug, Default)]
pub(in crate::session) struct Requests {
    asked: BTreeMap<Username, Asked>,
    bells: Bells,
    introductions: Introductions,
}

/// A peer's request for a chat.
#[derive(Debug)]
struct Asked {
    proposal: Proposal,
    /// The caller's address, or `None` if the user called as well.
    from: Option<IpAddr>,
    phase: AskedPhase,
    due_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedPhase {
    /// The user has not answered.
    Ringing,
    /// The user approved, and the caller has to confirm.
    Approved,
}

impl Requests {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Returns the people who ask for a chat.
    pub(in crate::session) fn names(&self) -> impl Iterator<Item = &Username> {
        self.asked.keys()
    }

    /// Returns true if this person asks for a chat.
    pub(in crate::session) fn contains(&self, who: &Username) -> bool {
        self.asked.contains_key(who)
    }

    /// Returns the key of a person who asks.
    pub(super) fn key(&self, who: &Username) -> Option<PublicKey> {
        self.asked.get(who).map(|asked| asked.proposal.key)
    }

    /// Notes the introduction of a peer who is about to call.
    pub(super) fn introduce(&mut self, now_ms: u64, who: Introduction) {
        self.introductions.add(now_ms, who);
    }

    /// Returns the valid introduction of this key.
    pub(in crate::session) fn introduction(
        &self,
        now_ms: u64,
        key: &PublicKey,
    ) -> Option<&Introduction> {
        self.introductions.of(now_ms, key)
    }

    /// Forgets a caller's earlier rings.
    pub(in crate::session) fn forget_bell(&mut self, who: &Username) {
        self.bells.forget(who);
    }

    /// Handles a request for a chat: asks the user, if this caller may ring.
    pub(super) fn ring(
        &mut self,
        cx: &mut Context,
        account: &mut AccountState,
        who: Username,
        proposal: Proposal,
        from: SocketAddr,
    ) {
        let (link, key) = (proposal.link, proposal.key);
        // This check comes before that of the blocked people, since `busy` must not give a block
        // away.
        if !self.bells.may_ring(cx.now_ms(), &who) {
            return cx.refuse(link, Refusal::Busy);
        }
        if account.is_blocked(&who) {
            return match cx.links.ignore(link, cx.now_ms() + APPROVAL_MS) {
                true => cx.send(link, PeerMessage::Ringing),
                false => cx.refuse(link, Refusal::Busy),
            };
        }
        if let Some(Asked { proposal: older, .. }) = self.asked.remove(&who) {
            cx.close(older.link);
            cx.fail_all(older.waiting, &Failure::Withdrawn(Withdrawal::CalledAnew));
        }
        if !self.make_room(cx, account, from.ip()) {
            return cx.refuse(link, Refusal::Busy);
        }
        let state = account.key_state(&who, &key);
        if state == KeyState::Changed {
            account.note_offer(&who, key);
        }
        cx.links.serve(link, LinkUse::Asked(who.clone()));
        cx.send(link, PeerMessage::Ringing);
        cx.tell(Event::Request {
            from: who.clone(),
            kind: RequestKind::Chat,
            group: None,
            address: Some(from.ip().to_canonical().to_string()),
            fingerprint: fingerprint(&key),
            key: state,
            time_ms: cx.wall_ms(),
        });
        let (from, phase) = (Some(from.ip()), AskedPhase::Ringing);
        let due_ms = cx.now_ms() + APPROVAL_MS;
        self.asked.insert(who, Asked { proposal, from, phase, due_ms });
    }

    /// Makes room for one more request, if necessary by evicting one from the address with the
    /// most. Returns false if that is the newcomer's own network.
    fn make_room(&mut self, cx: &mut Context, account: &mut AccountState, from: IpAddr) -> bool {
        if self.asked.len() < MAX_ASKED {
            return true;
        }
        let mut by_age: Vec<(u64, IpAddr, Username)> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.phase == AskedPhase::Ringing)
            .filter_map(|(who, asked)| Some((asked.due_ms, asked.from?, who.clone())))
            .collect();
        by_age.sort();
        let addresses = by_age.iter().map(|(_, address, _)| *address).chain([from]);
        let oldest = gives_way(addresses).and_then(|index| by_age.get(index));
        let Some((_, _, who)) = oldest.filter(|(_, address, _)| network(*address) != network(from))
        else {
            return false;
        };
        self.turn_down(cx, account, who, Refusal::Busy);
        cx.tell(Event::RequestEnded { from: who.clone(), reason: RequestEnd::NoAnswer });
        true
    }

    /// Approves a call because the user called that person too.
    pub(super) fn accept(&mut self, cx: &mut Context, who: &Username, proposal: Proposal) {
        cx.links.serve(proposal.link, LinkUse::Asked(who.clone()));
        cx.send(proposal.link, PeerMessage::Approve);
        let (phase, due_ms) = (AskedPhase::Approved, cx.now_ms() + OPENING_MS);
        self.asked.insert(who.clone(), Asked { proposal, from: None, phase, due_ms });
    }

    /// Notes that the user asks for a chat as well. Returns false if there is no request of this
    /// person.
    pub(super) fn want(&mut self, who: &Username, switch: bool) -> bool {
        let asked = self.asked.get_mut(who);
        asked.map(|asked| asked.proposal.switch |= switch).is_some()
    }

    /// Approves a request. The user's request is answered when the chat is open.
    pub(in crate::session) fn approve(
        &mut self,
        cx: &mut Context,
        account: &mut AccountState,
        id: RequestId,
        who: &Username,
    ) -> Result<(), Failure> {
        let Some(asked) = self.asked.get_mut(who) else {
            return Ok(());
        };
        let key = asked.proposal.key;
        if account.key_state(who, &key) == KeyState::Changed {
            return Err(account.show_offer(who, key, false));
        }
        asked.proposal.waiting.push(id);
        if asked.phase == AskedPhase::Ringing {
            asked.phase = AskedPhase::Approved;
            asked.due_ms = cx.now_ms() + OPENING_MS;
            cx.send(asked.proposal.link, PeerMessage::Approve);
        }
        Ok(())
    }

    /// Refuses a peer's request, if there is one.
    pub(in crate::session) fn turn_down(
        &mut self,
        cx: &mut Context,
        account: &mut AccountState,
        who: &Username,
        why: Refusal,
    ) {
        if let Some(Asked { proposal, .. }) = self.asked.remove(who) {
            account.withdraw_offer(who, proposal.key);
            cx.refuse(proposal.link, why);
            cx.fail_all(proposal.waiting, &Failure::Withdrawn(Withdrawal::Over));
        }
    }

    /// Handles the caller's confirmation. Returns the chat if the user has approved it.
    pub(super) fn confirmed(&mut self, who: &Username) -> Option<Proposal> {
        let is_approved = |asked: &&mut Asked| asked.phase == AskedPhase::Approved;
        self.asked.get_mut(who).filter(is_approved)?;
        self.asked.remove(who).map(|asked| asked.proposal)
    }

    /// Removes the request of a peer who hung up.
    pub(super) fn gone(&mut self, cx: &mut Context, account: &mut AccountState, who: &Username) {
        if let Some(Asked { proposal, .. }) = self.asked.remove(who) {
            account.withdraw_offer(who, proposal.key);
            cx.close(proposal.link);
            cx.fail_all(proposal.waiting, &Failure::Withdrawn(Withdrawal::HungUp(who.clone())));
            cx.tell(Event::RequestEnded { from: who.clone(), reason: RequestEnd::Withdrawn });
        }
    }

    pub(in crate::session) fn end_all(&mut self, cx: &mut Context, account: &mut AccountState) {
        for who in self.asked.keys().cloned().collect::<Vec<_>>() {
            self.turn_down(cx, account, &who, Refusal::NoAnswer);
        }
    }

    pub(in crate::session) fn next_deadline(&self) -> Option<u64> {
        self.asked.values().map(|asked| asked.due_ms).min()
    }

    pub(in crate::session) fn tick(&mut self, cx: &mut Context, account: &mut AccountState) {
        let due = self.asked.iter().filter(|(_, asked)| asked.due_ms <= cx.now_ms());
        for who in due.map(|(who, _)| who.clone()).collect::<Vec<_>>() {
            self.turn_down(cx, account, &who, Refusal::NoAnswer);
            cx.tell(Event::RequestEnded { from: who, reason: RequestEnd::NoAnswer });
        }
    }

    /// Returns the numbers of remembered callers and introductions.
    #[cfg(test)]
    pub(in crate::session) fn remembered(&self) -> [usize; 2] {
        [self.bells.len(), self.introductions.len()]
    }
}
