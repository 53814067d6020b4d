//! Rosters of others, from their arrival until they hold.

use std::collections::BTreeSet;

use letschat_protocol::devices::DeviceList;
use letschat_protocol::groups::{GroupId, GroupName, Member, Roster, SignedRoster, Wish};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::changes::Change;
use super::{MAX_INVITATIONS, MAX_INVITATIONS_OF_ONE, MAX_KEPT, MAX_PARKED, Parked, ParkedLetter};
use crate::event::{Event, GroupChange, KeyState, RequestKind, fingerprint};
use crate::mail::{MailChange, StoredGroup};
use crate::session::Session;

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
            self.take_roster(from, roster, true);
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
                ParkedLetter::Roster(roster) => self.take_roster(&from, *roster, false),
                ParkedLetter::Wish { device, group, wish, number } => {
                    self.group_wish((&from, &device), &group, wish, number);
                }
            }
        }
    }

    fn take_roster(&mut self, from: &Username, new: SignedRoster, may_look_up: bool) {
        let Some(own) = self.account.name().cloned() else {
            return;
        };
        let id = new.group();
        let Some(held) = self.groups.get(&id) else {
            return self.new_group(from, &own, new);
        };
        let (reference, known) = (new.reference(), held.roster.reference());
        if *from == own && new.roster().has_joined(&own) && !held.is_accepted {
            // The user has joined on another device.
            self.accept_group(&id);
        }
        if !reference.supersedes(&known) {
            if known.supersedes(&reference)
                && self.groups.get(&id).is_some_and(|held| held.roster.roster().has_joined(from))
            {
                self.owe_roster(&id, [from.clone()]);
            }
            return;
        }
        let Some(held) = self.groups.get(&id).map(|held| held.roster.clone()) else {
            return;
        };
        match self.judge_roster(&held, &new) {
            Successor::Valid => self.hold_roster(&id, new),
            Successor::Unknown(owner) if may_look_up => {
                self.park_letter(from, owner, ParkedLetter::Roster(Box::new(new)));
            }
            Successor::Unknown(_) | Successor::Invalid => {}
        }
    }

    /// Lets a letter wait until a person's devices have been looked up.
    fn park_letter(&mut self, from: &Username, awaited: Username, letter: ParkedLetter) {
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
        // Of two rosters of one number, either may have given the group away.
        let is_conflict = old.number == roster.number;
        let is_last_given =
            old.givings.get(common).is_some_and(|giving| giving.number == old.number);
        let is_same = old.founder == roster.founder
            && old.nonce == roster.nonce
            && old.name == roster.name
            && (common == old.givings.len() || is_conflict && is_last_given);
        if !is_same {
            return Successor::Invalid;
        }
        let mut owner = match common.checked_sub(1) {
            Some(last) => &roster.givings[last].to,
            None => &roster.founder,
        };
        for giving in &roster.givings[common..] {
            if !giving.is_signed(&server, &new.group()) {
                return Successor::Invalid;
            }
            if !self.is_device_of(owner, &giving.device) {
                return Successor::Unknown(owner.clone());
            }
            owner = &giving.to;
        }
        match self.is_device_of(roster.signer(), new.device()) {
            true => Successor::Valid,
            false => Successor::Unknown(roster.signer().clone()),
        }
    }

    /// Returns true if this is a listed device of the account's, or of somebody who is in a group.
    fn is_device_of(&self, who: &Username, device: &PublicKey) -> bool {
        if self.account.name() == Some(who) {
            let is_listed = |list: &DeviceList| list.contains(device);
            return self.account.own_list().is_some_and(is_listed);
        }
        self.is_trusted_device(who, device)
    }

    /// Handles the first roster of a group: an invitation, or what another device of the account knows.
    fn new_group(&mut self, from: &Username, own: &Username, roster: SignedRoster) {
        let is_from_own = from == own;
        let listed = roster.roster().member(own).map(|member| member.is_invited);
        let is_invitation = *from == *roster.roster().owner() && listed == Some(true);
        let is_asked = |group: &&StoredGroup| !group.is_accepted && group.wish != Some(Wish::Leave);
        let waiting = || self.groups.all().map(|(_, group)| group).filter(is_asked);
        let of_one = waiting().filter(|group| group.roster.roster().owner() == from).count();
        let has_room = waiting().count() < MAX_INVITATIONS && of_one < MAX_INVITATIONS_OF_ONE;
        let is_wanted = is_invitation && has_room || is_from_own && listed.is_some();
        if !is_wanted || self.groups.groups.len() >= MAX_KEPT || self.account.is_blocked(from) {
            return;
        }
        let (id, label) = (roster.group(), self.free_label(&roster.roster().name));
        let is_accepted = is_from_own && listed == Some(false);
        let group = StoredGroup { label, roster, is_accepted, owed: BTreeSet::new(), wish: None };
        self.groups.groups.insert(id, group);
        self.record_group(&id);
        match is_accepted {
            true => self.tell_group(&id, GroupChange::Joined, own, own),
            false => self.tell_invitation(&id),
        }
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
        let waiting =
            self.groups.all().filter(|(_, group)| !group.is_accepted && group.wish.is_none());
        for id in waiting.map(|(id, _)| *id).collect::<Vec<GroupId>>() {
            self.tell_invitation(&id);
        }
    }

    fn tell_invitation(&mut self, id: &GroupId) {
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

    /// Lets a roster take the place of the held one, and tells the difference.
    pub(super) fn hold_roster(&mut self, id: &GroupId, new: SignedRoster) {
        let Some(own) = self.account.name().cloned() else {
            return;
        };
        let Some(group) = self.groups.groups.get_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut group.roster, new.clone());
        let since = |roster: &SignedRoster| roster.roster().member(&own).map(|own| own.since);
        let is_invited_again = since(&new).is_some() && since(&new) != since(&old);
        if is_invited_again {
            // The user was removed meanwhile, and decides anew.
            (group.is_accepted, group.wish) = (false, None);
        }
        let is_accepted = group.is_accepted;
        let present = |who: &Username| new.roster().member(who).is_some();
        group.owed.retain(|who| *who == own || present(who));
        let is_member = present(&own);
        if is_accepted {
            self.tell_difference(id, old.roster(), new.roster());
        }
        if !is_member {
            self.drop_group(id);
        } else {
            self.record_group(id);
        }
        if is_invited_again {
            self.tell_invitation(id);
        }
        self.settle_former_members(id, old.roster(), new.roster());
        self.groups.ahead.remove(id);
        self.hold_vouched_lists(new.roster());
        self.take_parked_mail(id);
        if is_member {
            self.repeat_change(id, &old, &new);
            self.repeat_join(id);
        }
        self.post_next();
    }

    /// Holds the lists of unknown members that the server has shown already, and that the roster names.
    fn hold_vouched_lists(&mut self, roster: &Roster) {
        for Member { name, .. } in &roster.members {
            let is_unknown =
                self.account.known_key(name).is_none() && self.account.list(name).is_none();
            let shown = self.account.offered(name).filter(|_| is_unknown);
            if let Some(list) = shown.filter(|list| self.groups.vouch_for(name, list)).cloned() {
                let change = self.account.hold_list(&mut self.cx, name, list);
                self.record_list(Some(change));
            }
        }
    }

    /// Tells the owner again that the user joins, since the roster does not say so: another owner may not have heard it.
    fn repeat_join(&mut self, id: &GroupId) {
        let Some(own) = self.account.name().cloned() else {
            return;
        };
        if let Some(group) = self.groups.groups.get_mut(id)
            && group.is_accepted
            && !group.roster.roster().has_joined(&own)
        {
            group.wish = Some(Wish::Join);
            self.record_group(id);
        }
    }

    fn tell_difference(&mut self, id: &GroupId, old: &Roster, new: &Roster) {
        let owner = new.owner().clone();
        if old.owner() != new.owner() {
            self.tell_group(id, GroupChange::Given, new.owner(), old.owner());
        }
        for member in &new.members {
            let change = match old.member(&member.name) {
                None if member.is_invited => GroupChange::Invited,
                None => GroupChange::Joined,
                Some(earlier) if earlier.is_invited && !member.is_invited => GroupChange::Joined,
                Some(_) => continue,
            };
            let by = if change == GroupChange::Joined { &member.name } else { &owner };
            self.tell_group(id, change, &member.name, by);
        }
        for member in old.members.iter().filter(|member| new.member(&member.name).is_none()) {
            match new.left.as_ref() == Some(&member.name) {
                true => self.tell_group(id, GroupChange::Left, &member.name, &member.name),
                false => self.tell_group(id, GroupChange::Removed, &member.name, &owner),
            }
        }
    }

    pub(super) fn tell_group(
        &mut self,
        id: &GroupId,
        change: GroupChange,
        who: &Username,
        by: &Username,
    ) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        self.cx.tell(Event::GroupChanged {
            group: group.label.clone(),
            change,
            who: who.clone(),
            by: by.clone(),
            members: group.roster.roster().joined().cloned().collect(),
        });
    }

    /// Forgets a group that this account is not in any more.
    pub(super) fn drop_group(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.groups.remove(id) {
            self.chats.left_group(&group.label);
            self.give_up_in_group(&group.label, |_| true);
        }
        self.groups.ahead.remove(id);
        self.record_group(id);
        self.take_parked_mail(id);
    }

    /// Gives up what waits for people who are not members any more.
    fn settle_former_members(&mut self, id: &GroupId, old: &Roster, new: &Roster) {
        let Some(label) = self.groups.get(id).map(|group| group.label.clone()) else {
            return;
        };
        if old.joined().any(|who| !new.has_joined(who)) {
            self.give_up_in_group(&label, |who| !new.has_joined(who));
        }
    }

    /// Makes the last change of this device again, if another device of the owner was first.
    fn repeat_change(&mut self, id: &GroupId, old: &SignedRoster, new: &SignedRoster) {
        let is_own = self.account.key() == Some(*old.device());
        let lost = old.reference().number == new.reference().number;
        let last = self.groups.changes.get(id).cloned();
        if let Some((number, change)) = last
            && is_own
            && lost
            && number == old.reference().number
        {
            self.change_group(id, change).ok();
        }
    }

    /// Handles the wish of a person who is in a roster, or of another device of this account. `number` is that of the
    /// roster that they have.
    pub(in crate::session) fn group_wish(
        &mut self,
        (from, device): (&Username, &PublicKey),
        id: &GroupId,
        wish: Wish,
        number: u64,
    ) {
        let Some(own) = self.account.name().cloned() else {
            return;
        };
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let roster = group.roster.roster();
        if *from == own {
            let is_valid = roster.member(&own).is_some_and(|listed| listed.since <= number);
            match wish {
                Wish::Join if is_valid => self.accept_group(id),
                Wish::Leave if is_valid => self.drop_group(id),
                Wish::Join | Wish::Leave | Wish::Roster => {}
            }
            return;
        }
        let is_unknown = self.account.list(from).is_none_or(|list| !list.contains(device));
        if is_unknown && roster.member(from).is_some() && !self.is_trusted_device(from, device) {
            let is_retry = self.groups.retried.replace((from.clone(), *device));
            if is_retry != Some((from.clone(), *device)) {
                let (device, group) = (*device, *id);
                let letter = ParkedLetter::Wish { device, group, wish, number };
                return self.park_letter(from, from.clone(), letter);
            }
            return;
        }
        let (is_owner, listed) = (*roster.owner() == own, roster.member(from).cloned());
        // A server that delivers an old wish again has no effect.
        let is_valid =
            |listed: &Member| listed.since <= number && self.is_trusted_device(from, device);
        let Some(listed) = listed.filter(is_valid) else {
            return;
        };
        match wish {
            Wish::Join if is_owner && listed.is_invited => {
                self.change_group(id, Change::Join(from.clone())).ok();
            }
            Wish::Leave if is_owner => {
                self.change_group(id, Change::Leave(from.clone())).ok();
            }
            Wish::Join | Wish::Roster => self.owe_roster(id, [from.clone()]),
            Wish::Leave => {}
        }
    }

    /// Notes that the user has joined.
    pub(super) fn accept_group(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.groups.get_mut(id) {
            group.is_accepted = true;
            self.record_group(id);
        }
        // What was said before the user joined is not missed.
        self.mail.note_listed();
    }

    /// Gives up the own messages in a group to these people.
    pub(super) fn give_up_in_group(
        &mut self,
        label: &GroupName,
        is_gone: impl Fn(&Username) -> bool,
    ) {
        let keys = self.keys_in_group(label, is_gone);
        if !keys.is_empty() {
            let changes = keys.into_iter().map(MailChange::Settled);
            self.record(changes.collect());
        }
    }
}
