//! The user's commands about groups, and the rosters that this device issues for the owner.

use std::collections::BTreeSet;

use letschat_protocol::groups::{Giving, GroupId, GroupName, Member, Roster, SignedRoster, Wish};
use letschat_protocol::limits::{MAX_GIVINGS, MAX_GROUP_MEMBERS};
use letschat_protocol::username::Username;

use super::MAX_GROUPS;
use crate::event::{GroupChange, KeyState};
use crate::failure::Failure;
use crate::mail::StoredGroup;
use crate::session::{Group, GroupAction, GroupMember, Reply, RequestId, Session};

/// A change of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Invite(Username),
    Join(Username),
    Remove(Username),
    Leave(Username),
    Give(Username),
    /// Sign it again, since the device that has signed it is removed.
    Renew,
}

impl Session {
    /// Handles a command about a group. Right after the first login it waits for the own device list.
    pub(in crate::session) fn group(&mut self, id: RequestId, action: GroupAction, name: &str) {
        if self.awaits_own_list() {
            return self.groups.waiting.push((id, action, name.to_owned()));
        }
        let result = match action {
            GroupAction::Create => self.create_group(name),
            GroupAction::Invite(who) => return self.invite(id, name, who),
            GroupAction::Remove(who) => self.change_named(name, Change::Remove(who)),
            GroupAction::Give(who) => self.change_named(name, Change::Give(who)),
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
        let is_left = |group: &StoredGroup| group.wish == Some(Wish::Leave);
        let groups = self.groups.all().filter(|(_, group)| !is_left(group));
        let groups = groups.map(|(_, group)| described(group)).collect();
        Ok(Reply::Groups { groups })
    }

    /// Returns the group that this device calls so.
    fn find_group(&self, name: &str) -> Result<GroupId, Failure> {
        self.account.name().ok_or(Failure::NotLoggedIn)?;
        let label: GroupName = name.parse().map_err(|_| Failure::NoSuchGroup(name.to_owned()))?;
        let found = self.groups.called(&label).filter(|(_, group)| group.wish != Some(Wish::Leave));
        found.map(|(id, _)| *id).ok_or_else(|| Failure::NoSuchGroup(name.to_owned()))
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
        if self.groups.groups.len() >= MAX_GROUPS {
            return Err(Failure::TooManyGroups { limit: MAX_GROUPS });
        }
        let nonce = self.cx.new_chat_id().0;
        let (founder, label) = (own.name.clone(), self.free_label(&name));
        let roster = Roster {
            group: None,
            number: 1,
            nonce,
            name,
            founder: founder.clone(),
            givings: Vec::new(),
            members: vec![own],
            left: None,
        };
        let roster = self.sign_roster(roster)?;
        let id = roster.group();
        let owed = self.other_devices();
        let group = StoredGroup { label, roster, is_accepted: true, owed, wish: None };
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
        let result = self.change_group(&id, Change::Invite(who));
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
                // Whoever is invited is known, as somebody who is written to.
                self.pin(&who, first.key);
            }
            let result = self.change_group(&id, Change::Invite(who));
            let reply = result.map(|()| self.changed_reply(&id));
            self.cx.reply(request, reply);
        }
    }

    fn change_named(&mut self, name: &str, change: Change) -> Result<Reply, Failure> {
        let id = self.find_group(name)?;
        self.change_group(&id, change)?;
        Ok(self.changed_reply(&id))
    }

    /// Issues the roster that a change makes.
    pub(super) fn change_group(&mut self, id: &GroupId, change: Change) -> Result<(), Failure> {
        let own = self.own_member()?;
        let server = self.server.fingerprint().ok_or(Failure::NotLoggedIn)?;
        let Some(group) = self.groups.get(id) else {
            return Err(Failure::NoSuchGroup(String::new()));
        };
        let (label, held) = (group.label.clone(), group.roster.clone());
        let mut roster = held.roster().clone();
        if *roster.owner() != own.name {
            return Err(Failure::NotTheOwner { group: label, owner: roster.owner().clone() });
        }
        let missing =
            |who: &Username| Failure::NotAMember { group: label.clone(), who: who.clone() };
        roster.group = Some(*id);
        roster.number += 1;
        roster.left = None;
        match &change {
            Change::Invite(who) => {
                if roster.member(who).is_some() {
                    return Err(Failure::MemberAlready { group: label, who: who.clone() });
                }
                if roster.members.len() >= MAX_GROUP_MEMBERS {
                    return Err(Failure::GroupFull { limit: MAX_GROUP_MEMBERS });
                }
                let list =
                    self.account.list(who).ok_or_else(|| Failure::NoGroupsThere(who.clone()))?;
                let list = list.reference();
                let (name, since) = (who.clone(), roster.number);
                roster.members.push(Member { name, list, since, is_invited: true });
            }
            Change::Join(who) => {
                let listed = roster.members.iter_mut().find(|member| member.name == *who);
                let listed = listed.filter(|listed| listed.is_invited);
                listed.ok_or_else(|| missing(who))?.is_invited = false;
            }
            Change::Renew => {}
            Change::Remove(who) | Change::Leave(who) => {
                if *who == own.name {
                    return Err(Failure::OwnerStays(label));
                }
                if roster.member(who).is_none() {
                    return Err(missing(who));
                }
                roster.members.retain(|member| member.name != *who);
                roster.left = matches!(change, Change::Leave(_)).then(|| who.clone());
            }
            Change::Give(who) => {
                if *who == own.name
                    || !roster.has_joined(who)
                    || roster.givings.len() >= MAX_GIVINGS
                {
                    return Err(missing(who));
                }
                let account = self.account.opened().ok_or(Failure::NotLoggedIn)?;
                let place = (id, roster.number);
                let giving = Giving::sign(&account.identity, &server, place, who.clone());
                roster.givings.push(giving);
            }
        }
        for member in &mut roster.members {
            // The newest list that is known.
            if member.name == own.name {
                member.list = own.list;
            } else if let Some(list) = self.account.list(&member.name) {
                member.list = list.reference();
            }
        }
        let number = roster.number;
        let signed = self.sign_roster(roster)?;
        let people: Vec<Username> = signed
            .roster()
            .members
            .iter()
            .map(|member| member.name.clone())
            .filter(|name| *name != own.name)
            .chain(self.other_devices())
            .collect();
        self.groups.changes.insert(*id, (number, change));
        self.hold_roster(id, signed);
        self.owe_roster(id, people);
        Ok(())
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
            self.change_group(&id, Change::Renew).ok();
        }
    }

    fn leave_group(&mut self, name: &str) -> Result<Reply, Failure> {
        let id = self.find_group(name)?;
        let Some(own) = self.account.name().cloned() else {
            return Err(Failure::NotLoggedIn);
        };
        let Some(group) = self.groups.groups.get_mut(&id) else {
            return Err(Failure::NoSuchGroup(name.to_owned()));
        };
        let roster = group.roster.roster();
        if *roster.owner() == own {
            if roster.joined().count() > 1 {
                return Err(Failure::OwnerStays(group.label.clone()));
            }
            self.drop_group(&id);
            return Ok(Reply::Done {});
        }
        let label = group.label.clone();
        group.is_accepted = false;
        group.wish = Some(Wish::Leave);
        group.owed.clear();
        self.groups.ahead.remove(&id);
        self.give_up_in_group(&label, |_| true);
        self.chats.left_group(&label);
        self.record_group(&id);
        self.post_next();
        Ok(Reply::Done {})
    }

    /// Joins a group to which the user was invited.
    pub(in crate::session) fn approve_group(&mut self, name: &str) -> Result<Reply, Failure> {
        let id = self.find_group(name)?;
        let Some(group) = self.groups.get(&id).filter(|group| !group.is_accepted) else {
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
        match self.groups.get(&id).is_some_and(|group| !group.is_accepted) {
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
        joined: group.is_accepted,
        members: roster.members.iter().map(member).collect(),
    }
}
