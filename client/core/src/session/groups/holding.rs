//! The held rosters: what follows when a new one replaces the last, and the wishes of members.

use letschat_protocol::groups::{GroupId, GroupName, Member, Roster, SignedRoster, Wish};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::hears_wishes;
use crate::event::{Event, GroupChange};
use crate::failure::Failure;
use crate::mail::{ChangeKind, MailChange, Membership};
use crate::notice::Notice;
use crate::session::Session;

impl Session {
    /// Lets a roster take the place of the held one, and tells the difference. `is_joined_elsewhere` is true if another
    /// device of the account says that the user has joined.
    pub(super) fn hold_roster(
        &mut self,
        id: &GroupId,
        new: SignedRoster,
        is_joined_elsewhere: bool,
    ) {
        let Some(own) = self.account.name().cloned() else {
            return;
        };
        let Some(group) = self.groups.groups.get_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut group.roster, new.clone());
        let (earlier, listed) = (old.roster().member(&own), new.roster().member(&own));
        let was = group.membership;
        // The user was removed or left meanwhile, and decides anew.
        let is_invited_again = listed
            .is_some_and(|listed| earlier.is_none_or(|earlier| earlier.since != listed.since));
        group.owed.retain(|who| *who == own || new.roster().member(who).is_some());
        if was == Membership::Joined {
            self.tell_difference(id, old.roster(), new.roster());
        }
        if listed.is_none() || is_invited_again {
            self.leave(id, None);
        } else {
            self.settle_former_members(id, old.roster(), new.roster());
        }
        let is_blocked = self.account.is_blocked(new.roster().owner()) && !is_joined_elsewhere;
        if is_invited_again && !is_blocked || is_joined_elsewhere && was == Membership::Invited {
            self.decide_again(id, &new.roster().founding.name, is_joined_elsewhere);
        }
        self.repeat_wish(id, &own);
        self.record_group(id);
        self.groups.ahead.remove(id);
        self.hold_vouched_lists(new.roster());
        self.take_parked_mail(id);
        self.repeat_changes(id);
        self.pass_on_own_joining(id, &old, &own);
        self.confirm_giving(id, &own);
        self.stay_as_owner(id, &own);
        self.post_next();
    }

    /// Lets the user decide about a group, unless they have done so on another device.
    fn decide_again(&mut self, id: &GroupId, name: &GroupName, is_joined_elsewhere: bool) {
        let label = self.label_of(id, name);
        if let Some(group) = self.groups.groups.get_mut(id) {
            (group.label, group.membership) = (label, Membership::Invited);
        }
        match is_joined_elsewhere {
            true => self.accept_group(id),
            false => self.tell_invitation(id),
        }
    }

    /// Tells the owner again that the user joins or leaves, since the roster does not say so: another device or another
    /// owner may not have heard it.
    fn repeat_wish(&mut self, id: &GroupId, own: &Username) {
        let Some(group) = self.groups.groups.get_mut(id) else {
            return;
        };
        let roster = group.roster.roster();
        let is_heard = match group.membership {
            Membership::Invited => true,
            Membership::Joined => roster.has_joined(own),
            Membership::Left => roster.member(own).is_none(),
        };
        if is_heard || roster.owner() == own {
            group.wish = None;
        } else if hears_wishes(group, &self.account) == roster.owner() {
            group.wish = match group.membership {
                Membership::Joined => Some(Wish::Join),
                Membership::Invited | Membership::Left => Some(Wish::Leave),
            };
        }
    }

    /// Sends the others the roster by which this user has joined. They may not have it yet when they get what the user
    /// says.
    fn pass_on_own_joining(&mut self, id: &GroupId, old: &SignedRoster, own: &Username) {
        let Some(group) = self.groups.get(id).filter(|group| group.is_joined()) else {
            return;
        };
        let roster = group.roster.roster();
        if roster.has_joined(own) && !old.roster().has_joined(own) {
            let others: Vec<Username> = roster
                .joined()
                .filter(|who| *who != own && *who != roster.owner())
                .cloned()
                .collect();
            self.owe_roster(id, others);
        }
    }

    /// Signs a roster if the group was just given to this user: the giving is final then. A user who has left meanwhile
    /// gives it to somebody else.
    fn confirm_giving(&mut self, id: &GroupId, own: &Username) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let (roster, giver) = (group.roster.roster(), group.roster.roster().signer());
        if roster.owner() != own || giver == own {
            return;
        }
        // The giver may be leaving too, and comes last, but not again if this user has given it back already.
        let owners: Vec<&Username> = roster.owners().collect();
        let is_back = owners.iter().rev().nth(2) == Some(&own);
        let mut others: Vec<&Username> =
            roster.joined().filter(|who| *who != own && *who != giver).collect();
        others.sort_by_key(|who| owners.contains(who));
        let next = others.into_iter().chain((!is_back).then_some(giver)).next().cloned();
        match group.membership {
            Membership::Joined => self.issue_roster(id, None, 0).ok(),
            Membership::Invited | Membership::Left => {
                next.and_then(|next| self.change_group(id, ChangeKind::Give, &next).ok())
            }
        };
    }

    /// Joins a group again that this user left after giving it away, since the giving was lost: another device of theirs
    /// was first.
    fn stay_as_owner(&mut self, id: &GroupId, own: &Username) {
        let Some(group) = self.groups.groups.get_mut(id) else {
            return;
        };
        let roster = group.roster.roster();
        if group.membership == Membership::Left && roster.owner() == own && roster.signer() == own {
            group.wish = None;
            self.accept_group(id);
            self.tell_group(id, GroupChange::Joined, own, own);
        }
    }

    /// Holds the lists of unknown members that the server has shown already, and that the roster names.
    fn hold_vouched_lists(&mut self, roster: &Roster) {
        for Member { name, .. } in &roster.members {
            let held = self.account.list(name);
            // The list of somebody who has recovered is another one than before.
            let is_named = held.is_some_and(|list| self.groups.vouch_for(name, list));
            let is_unknown = self.account.known_key(name).is_none() && !is_named;
            let shown = self.account.offered(name).filter(|_| is_unknown);
            if let Some(list) = shown.filter(|list| self.groups.vouch_for(name, list)).cloned() {
                let change = self.account.hold_list(&mut self.cx, name, list);
                self.record_list(Some(change));
            }
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
            match new.left.contains(&member.name) {
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
        self.account.note_groups();
        self.cx.tell(Event::GroupChanged {
            group: group.label.clone(),
            change,
            who: who.clone(),
            by: by.clone(),
            members: group.roster.roster().joined().cloned().collect(),
        });
    }

    /// Marks a group as left. Only its roster is kept.
    pub(super) fn leave(&mut self, id: &GroupId, wish: Option<Wish>) {
        if let Some(group) = self.groups.groups.get_mut(id) {
            (group.membership, group.wish) = (Membership::Left, wish);
            group.owed.clear();
            self.account.note_groups();
            let label = group.label.clone();
            self.chats.left_group(&label);
            self.give_up_in_group(&label, |_| true);
        }
        self.groups.ahead.remove(id);
        self.record_group(id);
        self.take_parked_mail(id);
        self.post_next();
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

    /// Makes the changes of this device again that the held roster does not build on, since another device of the owner
    /// was first.
    fn repeat_changes(&mut self, id: &GroupId) {
        let (Some(own), Some(group)) = (self.account.key(), self.groups.groups.get_mut(id)) else {
            return;
        };
        let seen = group.roster.roster().version_of(&own);
        let (lost, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut group.changes).into_iter().partition(|one| one.number > seen);
        let label = group.label.clone();
        let is_decided = |kind| !matches!(kind, ChangeKind::Join | ChangeKind::Leave);
        if Some(group.roster.roster().signer()) != self.account.name() {
            // Another owner has taken over. What this one did is theirs to keep or to undo.
            if let Some(last) = lost.into_iter().rev().find(|one| is_decided(one.kind)) {
                self.cx.notify(Notice::GroupChangeLost(label, last.who));
            }
            return;
        }
        group.changes = kept;
        for change in lost {
            let (kind, who) = (change.kind, change.who.clone());
            match self.issue_roster(id, Some(change), 0) {
                // The other device has done the same.
                Ok(()) | Err(Failure::NotAMember { .. } | Failure::MemberAlready { .. }) => {}
                Err(_) if is_decided(kind) => {
                    self.cx.notify(Notice::GroupChangeLost(label.clone(), who));
                }
                Err(_) => {}
            }
        }
    }

    /// Handles a wish, with the number of the roster that its author has. Returns the author if their devices have to be
    /// looked up first.
    pub(super) fn group_wish(
        &mut self,
        (from, device): (&Username, &PublicKey),
        id: &GroupId,
        (wish, number): (Wish, u64),
        looked_up: &[Username],
    ) -> Option<Username> {
        let own = self.account.name()?.clone();
        let group = self.groups.get(id)?;
        let roster = group.roster.roster();
        if *from == own {
            let is_valid = roster.member(&own).is_some_and(|listed| listed.since <= number);
            // An owner stays, also if a device believes to have given the group away.
            let is_newest = number >= roster.number && roster.joined().count() == 1;
            let may_leave = *roster.owner() != own || is_newest;
            match (wish, group.membership) {
                (Wish::Join, Membership::Invited) if is_valid => self.accept_group(id),
                (Wish::Leave, Membership::Invited | Membership::Joined)
                    if is_valid && may_leave =>
                {
                    self.leave(id, None);
                }
                (Wish::Roster, _) => self.owe_roster(id, [own]),
                // The user was invited again, and this device has not heard it.
                (Wish::Join, Membership::Left) if number > roster.number => {
                    self.groups.ahead.insert(*id, own);
                    self.post_next();
                }
                _ => {}
            }
            return None;
        }
        let is_unknown = self.account.list(from).is_none_or(|list| !list.contains(device));
        if is_unknown && roster.member(from).is_some() && !self.is_trusted_device(from, device) {
            return Some(from.clone()).filter(|from| !looked_up.contains(from));
        }
        let is_owner = *roster.owner() == own && group.is_joined();
        let listed = roster.member(from).cloned();
        // A server that delivers an old wish again has no effect.
        let is_valid =
            |listed: &Member| listed.since <= number && self.is_trusted_device(from, device);
        let listed = listed.filter(is_valid)?;
        match wish {
            Wish::Join if is_owner && listed.is_invited => {
                self.change_group(id, ChangeKind::Join, from).ok();
            }
            Wish::Leave if is_owner => drop(self.change_group(id, ChangeKind::Leave, from)),
            // The sender may take this user for the owner.
            Wish::Join | Wish::Leave | Wish::Roster => self.owe_roster(id, [from.clone()]),
        }
        None
    }

    /// Notes that the user has joined.
    pub(super) fn accept_group(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.groups.get_mut(id) {
            group.membership = Membership::Joined;
            self.record_group(id);
        }
        // Earlier messages do not count as missing.
        self.mail.note_listed();
        self.take_parked_mail(id);
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
