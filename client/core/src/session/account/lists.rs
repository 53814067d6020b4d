//! The device lists of known people and of the account itself.
//!
//! A list is held once the user accepts a new person whose key it has, once it follows the held one, or if a known
//! person's key is in it with that key's consent; a verified key has to be its first. Any other list is only offered,
//! until the user trusts it. A device with a new key holds its account's list as it is shown. The server alone must never
//! cause a list to be replaced.

use letschat_protocol::body::{Body, DeviceListRef};
use letschat_protocol::devices::DeviceList;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::{AccountState, Context, KnownPeer};
use crate::mail::MailChange;

/// The most lists that are offered at a time.
const MAX_OFFERED: usize = 64;

/// A list that the server showed, compared with the held one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Comparison {
    /// It is the held one, or now it is held.
    Held,
    /// It is an older one of the same chain.
    Older,
    /// It belongs to another chain, or to nobody whose key is known.
    Other,
}

/// A complete list from the server.
#[derive(Debug)]
pub(in crate::session) struct Found {
    /// The list.
    pub(in crate::session) list: DeviceList,
    /// True if the known key of the person has ever agreed to be in this chain.
    pub(in crate::session) vouches: bool,
}

impl AccountState {
    /// Returns the held list of an account.
    pub(in crate::session) fn list(&self, who: &Username) -> Option<&DeviceList> {
        self.lists.get(who)
    }

    /// Returns the own list, if this device is in it.
    pub(in crate::session) fn own_list(&self) -> Option<&DeviceList> {
        let account = self.opened()?;
        let own = account.identity.public_key();
        self.list(&account.username).filter(|list| list.contains(&own))
    }

    /// Returns the reference to the own list that bodies carry.
    pub(in crate::session) fn own_reference(&self) -> DeviceListRef {
        self.own_list().map(DeviceList::reference).unwrap_or_default()
    }

    /// Returns true if this device of a person is the known one, or in their held list.
    pub(super) fn is_device_of(&self, who: &Username, known: &KnownPeer, key: &PublicKey) -> bool {
        !self.begun_anew.contains(who)
            && self.list(who).map_or(known.key == *key, |list| list.contains(key))
    }

    /// Judges a list of a person, and holds it if it can be held. Returns the change that records it.
    pub(in crate::session) fn take_list(
        &mut self,
        cx: &mut Context,
        who: &Username,
        found: Found,
    ) -> (Comparison, Option<MailChange>) {
        let Found { list, vouches } = found;
        let shown = match self.list(who) {
            Some(held) if held.hash_of(list.number()) == Some(list.hash()) => {
                let is_same = held.number() == list.number();
                if is_same {
                    // The server has come back to it.
                    self.offered_lists.remove(who);
                }
                return (if is_same { Comparison::Held } else { Comparison::Older }, None);
            }
            Some(held) if list.hash_of(held.number()) == Some(held.hash()) => Comparison::Held,
            None if vouches => Comparison::Held,
            Some(_) | None => Comparison::Other,
        };
        if shown == Comparison::Held {
            return (shown, Some(self.hold_list(cx, who, list)));
        }
        if self.offered_lists.len() < MAX_OFFERED || self.offered_lists.contains_key(who) {
            self.offered_lists.insert(who.clone(), list);
        }
        (shown, None)
    }

    /// Holds a list from now on. Returns the change that records it.
    pub(in crate::session) fn hold_list(
        &mut self,
        cx: &mut Context,
        who: &Username,
        list: DeviceList,
    ) -> MailChange {
        self.offered_lists.remove(who);
        self.begun_anew.remove(who);
        if self.offered.get(who).is_some_and(|offered| list.contains(&offered.key)) {
            // A known device has vouched for it.
            self.forget_offer(who);
        }
        if let Some(peer) = self.peer(who)
            && !list.contains(&peer.key)
            && let Some(first) = list.devices().first()
        {
            // The device that was known is removed, and its address with it.
            self.remember(cx, who, KnownPeer { key: first.key, receiver: None, ..peer });
        }
        self.lists.insert(who.clone(), list.clone());
        MailChange::List(who.clone(), Box::new(list))
    }

    /// Notes that a device of a person's held list has begun a new chain, so that nobody's key counts until the user
    /// trusts it. Returns false unless the server shows that chain too.
    pub(in crate::session) fn note_begun_anew(
        &mut self,
        who: &Username,
        claim: DeviceListRef,
    ) -> bool {
        let is_offered =
            self.offered(who).is_some_and(|list| list.hash_of(claim.number) == Some(claim.hash));
        if is_offered {
            self.begun_anew.insert(who.clone());
        }
        is_offered
    }

    /// Returns true if a device of a person's held list writes that it has another list.
    pub(in crate::session) fn claims_another_list(&self, body: &Body) -> bool {
        let held = self.list(&body.sender).filter(|list| list.contains(&body.device));
        let claim = body.list;
        claim.number > 0 && held.is_some_and(|list| list.hash_of(claim.number) != Some(claim.hash))
    }

    /// Returns the list of an account that the server has shown and that is not held.
    pub(in crate::session) fn offered(&self, who: &Username) -> Option<&DeviceList> {
        self.offered_lists.get(who)
    }

    /// Holds the offered list that has this key, which the user has just accepted. Without such a list the key stands
    /// alone. Returns the change that records it.
    pub(in crate::session) fn accept_list(
        &mut self,
        cx: &mut Context,
        who: &Username,
        key: &PublicKey,
    ) -> Option<MailChange> {
        if let Some(list) = self.offered(who).filter(|list| list.contains(key)).cloned() {
            return Some(self.hold_list(cx, who, list));
        }
        let is_listed = self.list(who).is_some_and(|list| list.contains(key));
        if is_listed { None } else { self.drop_list(who) }
    }

    /// Holds no list of this account any more. Returns the change that records it.
    pub(in crate::session) fn drop_list(&mut self, who: &Username) -> Option<MailChange> {
        self.lists.remove(who).map(|_| MailChange::NoList(who.clone()))
    }
}
