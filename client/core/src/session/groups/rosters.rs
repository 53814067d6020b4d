//! Rosters of others, from their arrival until they hold.

use std::collections::BTreeSet;

use letschat_protocol::body::DeviceListRef;
use letschat_protocol::devices::DeviceList;
use letschat_protocol::groups::{GroupId, GroupName, SignedRoster};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::{MAX_INVITATIONS, MAX_INVITATIONS_OF_ONE, MAX_KEPT, MAX_PARKED, Parked, ParkedLetter};
use crate::event::{Event, GroupChange, KeyState, RequestKind, fingerprint};
use crate::mail::{Membership, StoredGroup};
use crate::session::Session;

/// The most numbers that an earlier owner's roster makes the owner skip.
const MAX_SKIPPED: u64 = 1_000_000;

/// A roster compared with the held one of its group.
enum Successor {
    /// It may take its place.
    Valid,
    /// It was not signed by a device of the owner's.
    Invalid,
    /// It may have been signed by a device that this person has added.
    Unknown(Username),
}

impl Session {
    /// Handles a roster that a member, the owner, or another device of this account has sent.
    pub(in crate::session) fn roster_arrived(&mut self, from: &Username, bytes: &[u8]) {
        let roster =
            self.server.fingerprint().and_then(|server| SignedRoster::verify(bytes, &server));
        if let Some(roster) = roster {
            self.take_roster(from, roster, Vec::new());
        }
    }

    /// Handles the parked letters again, since the devices of a person have been looked up.
    pub(in crate::session) fn retry_group_letters(&mut self, who: &Username) {
        let parked = std::mem::take(&mut self.groups.parked);
        let (now, later): (Vec<_>, Vec<_>) =
            parked.into_iter().partition(|one| one.awaited == *who);
        self.groups.parked = later;
        for Parked { from, letter, .. } in now {
            match letter {
                ParkedLetter::Roster { roster, mut looked_up } => {
                    looked_up.push(who.clone());
                    self.take_roster(&from, *roster, looked_up);
                }
                ParkedLetter::Wish { device, group, wish, number } => {
                    self.group_wish((&from, &device), &group, wish, number);
                }
            }
        }
    }

    /// Judges a roster from somebody. `looked_up` has the people whose devices have been looked up for it.
    fn take_roster(&mut self, from: &Username, new: SignedRoster, looked_up: Vec<Username>) {
        let Some(own) = self.account.name().cloned() else {
            return;
        };
        let id = new.group();
        let Some(held) = self.groups.get(&id) else {
            return self.new_group(from, &own, new);
        };
        // The user has joined on another device.
        let is_joined_elsewhere = *from == own && new.roster().has_joined(&own);
        let (held, membership) = (held.roster.clone(), held.membership);
        if !new.reference().supersedes(&held.reference()) {
            if is_joined_elsewhere && membership == Membership::Invited {
                self.accept_group(&id);
            }
            if held.reference().supersedes(&new.reference()) && held.roster().has_joined(from) {
                self.owe_roster(&id, [from.clone()]);
            }
            return;
        }
        match self.judge_roster(&held, &new) {
            Successor::Valid => self.hold_roster(&id, new, is_joined_elsewhere),
            Successor::Unknown(who) if !looked_up.contains(&who) => {
                let roster = Box::new(new);
                self.park_letter(from, who, ParkedLetter::Roster { roster, looked_up });
            }
            Successor::Unknown(_) => {}
            Successor::Invalid => self.take_competitor(from, &own, new),
        }
    }

    /// Handles a roster of a group that was given to another owner than in the held one.
    fn take_competitor(&mut self, from: &Username, own: &Username, new: SignedRoster) {
        let id = new.group();
        let Some(held) = self.groups.get(&id) else {
            return;
        };
        let (is_owner, number) =
            (held.roster.roster().owner() == own, held.roster.reference().number);
        if held.membership != Membership::Joined {
            // An invitation by another owner stands for itself.
            let is_invitation = new.roster().owner() == from
                && new.roster().member(own).is_some_and(|own| own.is_invited);
            if is_invitation && !self.account.is_blocked(from) {
                self.groups.groups.remove(&id);
                self.new_group(from, own, new);
            }
        } else if is_owner && self.is_device_of(new.roster().signer(), new.device(), None) {
            // An earlier owner's device went on after the giving. Whoever believed it believes a higher number with the
            // giving.
            let above = new.reference().number.min(number.saturating_add(MAX_SKIPPED));
            self.issue_roster(&id, None, above).ok();
        }
    }

    /// Lets a letter wait until a person's devices have been looked up.
    pub(super) fn park_letter(&mut self, from: &Username, awaited: Username, letter: ParkedLetter) {
        if self.groups.parked.len() < MAX_PARKED && self.look_up(&awaited) {
            self.groups.parked.push(Parked { from: from.clone(), awaited, letter });
        }
    }

    /// Judges a roster that would supersede the held one.
    fn judge_roster(&self, held: &SignedRoster, new: &SignedRoster) -> Successor {
        let (Some(server), old, roster) = (self.server.fingerprint(), held.roster(), new.roster())
        else {
            return Successor::Invalid;
        };
        let pairs = old.givings.iter().zip(&roster.givings);
        let common = pairs.take_while(|(one, other)| one == other).count();
        // A giving is final once the new owner has signed a roster. Until then another device of the earlier owner may
        // not know it.
        if old.givings[common..].iter().any(|giving| giving.number < old.number) {
            return Successor::Invalid;
        }
        let (mut owner, mut named) = (&roster.founding.founder, None);
        for (place, giving) in roster.givings.iter().enumerate() {
            if place >= common {
                if !giving.is_signed(&server, &new.group()) {
                    return Successor::Invalid;
                }
                if !self.is_device_of(owner, &giving.device, named) {
                    return Successor::Unknown(owner.clone());
                }
            }
            if giving.number < roster.number {
                (owner, named) = (&giving.to, Some(giving.list));
            }
        }
        match self.is_device_of(owner, new.device(), named) {
            true => Successor::Valid,
            false => Successor::Unknown(owner.clone()),
        }
    }

    /// Returns true if this is a listed device of the account's, of somebody who is in a group, or of somebody whose list
    /// was named when the group was given to them.
    fn is_device_of(
        &self,
        who: &Username,
        device: &PublicKey,
        named: Option<DeviceListRef>,
    ) -> bool {
        if self.account.name() == Some(who) {
            let is_listed = |list: &DeviceList| list.contains(device);
            return self.account.own_list().is_some_and(is_listed);
        }
        let is_named = |list: &&DeviceList| {
            let matches = |named: DeviceListRef| list.hash_of(named.number) == Some(named.hash);
            list.contains(device) && named.is_some_and(matches)
        };
        let mut lists = self.account.list(who).into_iter().chain(self.account.offered(who));
        self.is_trusted_device(who, device)
            || self.account.key_state(who, device) == KeyState::New
                && lists.any(|list| is_named(&list))
    }

    /// Handles the first roster of a group: an invitation, or what another device of the account knows.
    fn new_group(&mut self, from: &Username, own: &Username, roster: SignedRoster) {
        let is_from_own = from == own;
        let listed = roster.roster().member(own).map(|member| member.is_invited);
        let is_invitation = *from == *roster.roster().owner() && listed == Some(true);
        let is_asked = |group: &&StoredGroup| group.membership == Membership::Invited;
        let waiting = || self.groups.all().map(|(_, group)| group).filter(is_asked);
        let of_one = waiting().filter(|group| group.roster.roster().owner() == from).count();
        let has_room = waiting().count() < MAX_INVITATIONS && of_one < MAX_INVITATIONS_OF_ONE;
        let is_wanted = is_invitation && has_room || is_from_own && listed.is_some();
        if !is_wanted || self.account.is_blocked(from) || !self.make_room() {
            return;
        }
        let (id, label) = (roster.group(), self.free_label(&roster.roster().founding.name));
        let is_joined = is_from_own && listed == Some(false);
        let membership = if is_joined { Membership::Joined } else { Membership::Invited };
        let (owed, changes) = (BTreeSet::new(), Vec::new());
        let group = StoredGroup { label, roster, membership, owed, wish: None, changes };
        self.groups.groups.insert(id, group);
        self.record_group(&id);
        match is_joined {
            true => self.tell_group(&id, GroupChange::Joined, own, own),
            false => self.tell_invitation(&id),
        }
    }

    /// Makes room for another group, in place of the trace of one. Returns false if there is none.
    pub(super) fn make_room(&mut self) -> bool {
        if self.groups.groups.len() < MAX_KEPT {
            return true;
        }
        let is_trace =
            |group: &StoredGroup| group.membership == Membership::Left && group.wish.is_none();
        let trace = self.groups.all().find(|(_, group)| is_trace(group)).map(|(id, _)| *id);
        if let Some(id) = trace {
            self.groups.groups.remove(&id);
            self.record_group(&id);
        }
        trace.is_some()
    }

    /// Returns the name by which this device calls a group: `team`, or `team-2` if another one is called so.
    pub(super) fn free_label(&self, name: &GroupName) -> GroupName {
        let is_free = |label: &GroupName| self.groups.called(label).is_none();
        let numbered = |number: u32| {
            let suffix = format!("-{number}");
            let start: String = name.as_str().chars().take(32 - suffix.len()).collect();
            (start + &suffix).parse().ok()
        };
        let mut labels = std::iter::once(Some(name.clone())).chain((2..).map(numbered));
        labels.by_ref().flatten().find(is_free).unwrap_or_else(|| name.clone())
    }

    /// Tells the invitations that wait.
    pub(in crate::session) fn tell_invitations(&mut self) {
        let is_waiting = |group: &StoredGroup| group.membership == Membership::Invited;
        let waiting = self.groups.all().filter(|(_, group)| is_waiting(group));
        for id in waiting.map(|(id, _)| *id).collect::<Vec<GroupId>>() {
            self.tell_invitation(&id);
        }
    }

    pub(super) fn tell_invitation(&mut self, id: &GroupId) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let (owner, device) = (group.roster.roster().signer().clone(), *group.roster.device());
        let label = group.label.clone();
        let key = match self.is_trusted_device(&owner, &device) {
            true => KeyState::Known,
            false => self.account.key_state(&owner, &device),
        };
        if key == KeyState::Changed {
            self.account.note_offer(&owner, device);
        }
        self.cx.tell(Event::Request {
            from: owner,
            kind: RequestKind::Group,
            address: None,
            fingerprint: fingerprint(&device),
            key,
            time_ms: self.cx.wall_ms(),
            group: Some(label),
        });
    }
}
