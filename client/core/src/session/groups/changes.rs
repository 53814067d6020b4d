//! The user's commands about groups, and the rosters that this device issues for the owner.

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::devices::DeviceList;
use letschat_protocol::groups::{
    Founding, Giving, GroupId, GroupName, Member, Roster, SignedRoster, Wish,
};
use letschat_protocol::limits::{MAX_GIVINGS, MAX_GROUP_MEMBERS};
use letschat_protocol::username::Username;

use super::{MAX_GROUPS, hears_wishes};
use crate::event::{GroupChange, KeyState};
use crate::failure::Failure;
use crate::mail::{ChangeKind, Membership, RosterChange, StoredGroup};
use crate::session::{Group, GroupAction, GroupMember, Reply, RequestId, Session};

/// The most changes that are kept of a group.
const MAX_CHANGES: usize = 64;

impl Session {
    /// Handles a command about a group. Right after the first login it waits for the own device list.
    pub(in crate::session) fn group(&mut self, id: RequestId, action: GroupAction, name: &str) {
        if self.awaits_own_list() {
            return self.groups.waiting.push((id, action, name.to_owned()));
        }
        let result = match action {
            GroupAction::Create => self.create_group(name),
            GroupAction::Invite(who) => return self.invite(id, name, who),
            GroupAction::Remove(who) => self.change_named(name, ChangeKind::Remove, &who),
            GroupAction::Give(who) => self.change_named(name, ChangeKind::Give, &who),
            GroupAction::Leave => self.leave_group(name),
            GroupAction::Members => self.find_group(name).map(|group| self.group_reply(&group)),
        };
        self.cx.reply(id, result);
    }

    /// Handles the commands that wait for the own device list.
    pub(in crate::session) fn retry_group_requests(&mut self) {
        if !self.awaits_own_list() {
            for (id, action, name) in std::mem::take(&mut self.groups.waiting) {
                self.group(id, action, &name);
            }
        }
    }

    /// Lists the groups.
    pub(in crate::session) fn list_groups(&self) -> Result<Reply, Failure> {
        self.account.name().ok_or(Failure::NotLoggedIn)?;
        let groups = self.groups.all().filter(|(_, group)| !group.is_left());
        let groups = groups.map(|(_, group)| described(group)).collect();
        Ok(Reply::Groups { groups })
    }

    /// Returns the group that this device calls so.
    fn find_group(&self, name: &str) -> Result<GroupId, Failure> {
        self.account.name().ok_or(Failure::NotLoggedIn)?;
        let label: GroupName = name.parse().map_err(|_| Failure::NoSuchGroup(name.to_owned()))?;
        let found = self.groups.called(&label);
        found.map(|(id, _)| *id).ok_or_else(|| Failure::NoSuchGroup(name.to_owned()))
    }

    /// Returns true if a name means a group: by its `#`, or as an invitation while nobody of that name asks for anything.
    pub(in crate::session) fn means_group(&self, name: &str) -> bool {
        let found = self.find_group(name).ok().and_then(|id| self.groups.get(&id));
        let is_invited = found.is_some_and(StoredGroup::is_invited);
        name.starts_with('#') || is_invited && !self.asking().iter().any(|who| who.as_str() == name)
    }

    fn group_reply(&self, id: &GroupId) -> Reply {
        match self.groups.get(id) {
            Some(group) => Reply::Group(Box::new(described(group))),
            None => Reply::Done {},
        }
    }

    fn changed_reply(&self, id: &GroupId) -> Reply {
        match self.group_reply(id) {
            Reply::Group(group) => Reply::GroupChanged(group),
            other => other,
        }
    }

    fn create_group(&mut self, name: &str) -> Result<Reply, Failure> {
        let name: GroupName = name.parse().map_err(|_| Failure::NotAGroupName)?;
        let own = self.own_member()?;
        let device = self.account.key().ok_or(Failure::NotLoggedIn)?;
        let count = self.groups.all().filter(|(_, group)| !group.is_left()).count();
        if count >= MAX_GROUPS || !self.make_room() {
            return Err(Failure::TooManyGroups { limit: MAX_GROUPS });
        }
        let nonce = self.cx.new_chat_id().0;
        let (founder, label) = (own.name.clone(), self.free_label(&name));
        let roster = Roster {
            founding: Founding { nonce, name, founder: founder.clone(), device },
            number: 1,
            givings: Vec::new(),
            members: vec![own],
            left: Vec::new(),
            versions: BTreeMap::new(),
        };
        let roster = self.sign_roster(roster)?;
        let id = roster.group();
        let owed = self.other_devices();
        let (membership, changes) = (Membership::Joined, Vec::new());
        let group = StoredGroup { label, roster, membership, owed, wish: None, changes };
        self.groups.groups.insert(id, group);
        self.record_group(&id);
        self.tell_group(&id, GroupChange::Created, &founder, &founder);
        self.post_next();
        Ok(self.changed_reply(&id))
    }

    /// Returns the own entry in a roster.
    fn own_member(&self) -> Result<Member, Failure> {
        let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
        let list = self.account.own_list().ok_or(Failure::DeviceUnlisted)?.reference();
        Ok(Member { name: account.username.clone(), list, since: 1, is_invited: false })
    }

    /// Returns the own name if the account has other devices, which have to be told too.
    fn other_devices(&self) -> BTreeSet<Username> {
        let own = self.account.name().filter(|_| self.has_other_devices());
        own.cloned().into_iter().collect()
    }

    fn sign_roster(&self, roster: Roster) -> Result<SignedRoster, Failure> {
        let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
        let server = self.server.fingerprint().ok_or(Failure::NotLoggedIn)?;
        Ok(SignedRoster::sign(roster, &account.identity, &server))
    }

    /// Invites a person, whose devices are looked up first if they are not known.
    fn invite(&mut self, request: RequestId, name: &str, who: Username) {
        let id = match self.find_group(name) {
            Ok(id) => id,
            Err(why) => return self.cx.fail(request, why),
        };
        let is_known = self.account.list(&who).is_some() && self.account.known_key(&who).is_some();
        if !is_known && self.look_up(&who) {
            return self.groups.inviting.push((request, id, who));
        }
        let result = self.change_group(&id, ChangeKind::Invite, &who);
        let reply = result.map(|()| self.changed_reply(&id));
        self.cx.reply(request, reply);
    }

    /// Goes on with the invitations of a person whose devices have been looked up.
    pub(in crate::session) fn invite_looked_up(&mut self, who: &Username) {
        let inviting = std::mem::take(&mut self.groups.inviting);
        let (now, later): (Vec<_>, Vec<_>) =
            inviting.into_iter().partition(|(_, _, invited)| invited == who);
        self.groups.inviting = later;
        for (request, id, who) in now {
            let list = self.account.offered(&who).or(self.account.list(&who));
            let first = list.and_then(|list| list.devices().first()).cloned();
            if let (None, Some(first)) = (self.account.known_key(&who), first) {
                // Inviting a person pins their key, as writing to them does.
                self.pin(&who, first.key);
            }
            let result = self.change_group(&id, ChangeKind::Invite, &who);
            let reply = result.map(|()| self.changed_reply(&id));
            self.cx.reply(request, reply);
        }
    }

    fn change_named(
        &mut self,
        name: &str,
        kind: ChangeKind,
        who: &Username,
    ) -> Result<Reply, Failure> {
        let id = self.find_group(name)?;
        self.change_group(&id, kind, who)?;
        Ok(self.changed_reply(&id))
    }

    /// Issues the roster that a change makes.
    pub(super) fn change_group(
        &mut self,
        id: &GroupId,
        kind: ChangeKind,
        who: &Username,
    ) -> Result<(), Failure> {
        let held = self.groups.get(id).map(|group| group.roster.reference().number);
        let number = held.unwrap_or(0).saturating_add(1);
        self.issue_roster(id, Some(RosterChange { number, kind, who: who.clone() }), 0)
    }

    /// Issues the next roster of an own group, with a change or without one. Its number is higher than that of the held
    /// roster, and than `above`. A change that is made again keeps its first number as that of the invitation.
    pub(super) fn issue_roster(
        &mut self,
        id: &GroupId,
        change: Option<RosterChange>,
        above: u64,
    ) -> Result<(), Failure> {
        let own = self.own_member()?;
        let group = self.groups.get(id).ok_or_else(|| Failure::NoSuchGroup(String::new()))?;
        let label = group.label.clone();
        let mut roster = group.roster.roster().clone();
        if *roster.owner() != own.name {
            return Err(Failure::NotTheOwner { group: label, owner: roster.owner().clone() });
        }
        let invalid = || Failure::GroupFull { limit: MAX_GROUP_MEMBERS };
        roster.number = roster.number.max(above).checked_add(1).ok_or_else(invalid)?;
        if let Some(change) = &change {
            self.apply(id, &label, &mut roster, change)?;
        }
        self.name_newest_lists(&own, &mut roster);
        let number = roster.number;
        let signed = self.sign_roster(roster)?;
        let members = signed.roster().members.iter().map(|member| member.name.clone());
        let others = members.filter(|name| *name != own.name);
        let people: Vec<Username> = others.chain(self.other_devices()).collect();
        if let Some(group) = self.groups.groups.get_mut(id) {
            group.changes.extend(change.map(|change| RosterChange { number, ..change }));
            let over = group.changes.len().saturating_sub(MAX_CHANGES);
            group.changes.drain(..over);
            // Recorded together with the roster. One who has left tells the new owner alone.
            let (is_left, owner) = (group.is_left(), signed.roster().owner());
            group.owed.extend(people.into_iter().filter(|who| !is_left || who == owner));
        }
        self.hold_roster(id, signed, false);
        Ok(())
    }

    /// Changes a roster.
    fn apply(
        &self,
        id: &GroupId,
        label: &GroupName,
        roster: &mut Roster,
        RosterChange { number, kind, who }: &RosterChange,
    ) -> Result<(), Failure> {
        let is_owner = roster.owner() == who;
        let missing = || Failure::NotAMember { group: label.clone(), who: who.clone() };
        match kind {
            ChangeKind::Invite => {
                if roster.member(who).is_some() {
                    return Err(Failure::MemberAlready { group: label.clone(), who: who.clone() });
                }
                if roster.members.len() >= MAX_GROUP_MEMBERS {
                    return Err(Failure::GroupFull { limit: MAX_GROUP_MEMBERS });
                }
                let list = self.account.list(who).map(DeviceList::reference);
                let list = list.ok_or_else(|| Failure::NoGroupsThere(who.clone()))?;
                let (name, since) = (who.clone(), *number);
                roster.members.push(Member { name, list, since, is_invited: true });
                roster.left.retain(|left| left != who);
            }
            ChangeKind::Join => {
                let mut listed = roster.members.iter_mut().filter(|member| member.is_invited);
                let listed = listed.find(|member| member.name == *who);
                listed.ok_or_else(missing)?.is_invited = false;
            }
            ChangeKind::Remove | ChangeKind::Leave => {
                if is_owner {
                    return Err(Failure::OwnerStays(label.clone()));
                }
                if roster.member(who).is_none() {
                    return Err(missing());
                }
                roster.members.retain(|member| member.name != *who);
                if *kind == ChangeKind::Leave {
                    let over = (roster.left.len() + 1).saturating_sub(MAX_GROUP_MEMBERS);
                    roster.left.drain(..over);
                    roster.left.push(who.clone());
                }
            }
            ChangeKind::Give => {
                let server = self.server.fingerprint().ok_or(Failure::NotLoggedIn)?;
                let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
                if is_owner {
                    return Err(Failure::MemberAlready { group: label.clone(), who: who.clone() });
                }
                let listed = roster.member(who).filter(|listed| !listed.is_invited);
                let listed = listed.ok_or_else(missing)?;
                if roster.givings.len() >= MAX_GIVINGS {
                    return Err(Failure::GivenTooOften { limit: MAX_GIVINGS });
                }
                let list = self.account.list(who).map_or(listed.list, DeviceList::reference);
                let (place, to) = ((id, roster.number), (who.clone(), list));
                roster.givings.push(Giving::sign(&account.identity, &server, place, to));
            }
        }
        Ok(())
    }

    /// Names the newest list of each member that is known.
    fn name_newest_lists(&self, own: &Member, roster: &mut Roster) {
        for member in &mut roster.members {
            if member.name == own.name {
                member.list = own.list;
            } else if let Some(list) = self.account.list(&member.name) {
                member.list = list.reference();
            }
        }
    }

    /// Signs the rosters of the own groups again that a removed device has signed: those who were away would not believe
    /// it any more.
    pub(in crate::session) fn renew_rosters(&mut self) {
        let Some((own, list)) = self.account.name().zip(self.account.own_list()) else {
            return;
        };
        let is_stale = |group: &StoredGroup| {
            let roster = group.roster.roster();
            roster.owner() == own && !list.contains(group.roster.device())
        };
        let stale = self.groups.all().filter(|(_, group)| is_stale(group));
        for id in stale.map(|(id, _)| *id).collect::<Vec<GroupId>>() {
            self.issue_roster(&id, None, 0).ok();
        }
    }

    fn leave_group(&mut self, name: &str) -> Result<Reply, Failure> {
        let id = self.find_group(name)?;
        let own = self.account.name().cloned().ok_or(Failure::NotLoggedIn)?;
        let group = self.groups.get(&id).ok_or_else(|| Failure::NoSuchGroup(name.to_owned()))?;
        let roster = group.roster.roster();
        if *roster.owner() == own && roster.members.len() > 1 {
            return Err(Failure::OwnerStays(group.label.clone()));
        }
        let is_told = *hears_wishes(group, &self.account) != own || self.has_other_devices();
        self.leave(&id, is_told.then_some(Wish::Leave));
        Ok(Reply::Done {})
    }

    /// Joins a group to which the user was invited.
    pub(in crate::session) fn approve_group(&mut self, name: &str) -> Result<Reply, Failure> {
        let id = self.find_group(name)?;
        let Some(group) = self.groups.get(&id).filter(|group| group.is_invited()) else {
            return Ok(self.group_reply(&id));
        };
        let (owner, device) = (group.roster.roster().signer().clone(), *group.roster.device());
        if !self.is_trusted_device(&owner, &device) {
            if self.account.key_state(&owner, &device) == KeyState::Changed {
                self.look_up(&owner);
                return Err(self.account.show_offer(&owner, device, false));
            }
            self.pin(&owner, device);
            self.share_person(&owner);
        }
        if let Some(group) = self.groups.groups.get_mut(&id) {
            group.wish = Some(Wish::Join);
        }
        self.accept_group(&id);
        self.post_next();
        Ok(self.group_reply(&id))
    }

    /// Turns an invitation down.
    pub(in crate::session) fn deny_group(&mut self, name: &str) -> Result<Reply, Failure> {
        let id = self.find_group(name)?;
        match self.groups.get(&id).is_some_and(StoredGroup::is_invited) {
            true => self.leave_group(name),
            false => Err(Failure::NoSuchGroup(name.to_owned())),
        }
    }
}

fn described(group: &StoredGroup) -> Group {
    let roster = group.roster.roster();
    let member = |member: &Member| GroupMember {
        name: member.name.to_string(),
        state: if member.is_invited { "invited" } else { "joined" },
    };
    Group {
        group: group.label.to_string(),
        owner: roster.owner().to_string(),
        joined: group.is_joined(),
        members: roster.members.iter().map(member).collect(),
    }
}
