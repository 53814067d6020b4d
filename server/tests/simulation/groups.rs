//! A group: people who invite each other, talk, leave and come back, and an owner whose devices change the group at the
//! same moment.

use std::collections::BTreeSet;

use letschat_core::mail::{Membership, StoredGroup};
use letschat_core::session::{GroupAction, Request};
use letschat_protocol::groups::GroupName;
use letschat_protocol::username::Username;

use crate::people::{Act, Person};
use crate::world::{Event, FAULTY_MS, World};

/// A user's action in a group.
#[derive(Debug, Clone)]
pub(crate) enum GroupAct {
    /// Found the group, unless that is done.
    Found,
    Invite(Username),
    /// Approve or deny the invitation to the group of this name.
    Decide(GroupName),
    Say,
    Leave,
    /// Let one device of the owner change the group, or all of them at the same moment.
    Meddle,
    /// Change the group, as a device of its owner.
    Change,
}

fn about(group: &StoredGroup, action: GroupAction) -> Request {
    Request::Group { action, name: group.label.to_string() }
}

impl World {
    /// Schedules the actions of people who mostly talk in a group.
    pub(crate) fn plan_groups(&mut self) {
        let founding = self.random.u64(20_000..40_000);
        self.at(founding, Event::Act { person: 0, act: Act::Group(GroupAct::Found) });
        for person in 0..self.people.len() {
            let arrival = self.random.u64(0..20_000);
            self.at(arrival, Event::Act { person, act: Act::SignUp });
            for _ in 0..self.random.usize(15..50) {
                let when = self.random.u64(30_000..FAULTY_MS + 60_000);
                let other = self.random.usize(0..self.people.len());
                let act = match self.random.u64(0..100) {
                    0..68 => Act::Group(GroupAct::Say),
                    68..74 => Act::Group(GroupAct::Meddle),
                    74..76 => Act::Group(GroupAct::Leave),
                    76..84 => Act::Send(other),
                    84..92 => Act::Connect(other),
                    92..94 => Act::Disconnect,
                    94 => Act::Leave,
                    95 => Act::Detach,
                    96 => Act::Cancel,
                    97 => Act::Quit,
                    _ => Act::List,
                };
                self.at(when, Event::Act { person, act });
            }
        }
    }

    /// Returns the request of an action, if the user can take it now.
    pub(crate) fn group_request(
        &mut self,
        person: usize,
        act: GroupAct,
        text: String,
    ) -> Option<Request> {
        let who = &self.people[person];
        match act {
            GroupAct::Found => self.found(person),
            GroupAct::Invite(other) => {
                let group = who.owned_group()?;
                let is_absent = group.roster.roster().member(&other).is_none();
                is_absent.then(|| about(group, GroupAction::Invite(other)))
            }
            GroupAct::Decide(label) => who.decision(&label),
            GroupAct::Say => {
                let to = who.joined_group()?.label.to_string();
                Some(Request::Send { to, text })
            }
            GroupAct::Leave => {
                let group = who.joined_group()?;
                let is_owner = *group.roster.roster().owner() == who.name;
                (!is_owner).then(|| about(group, GroupAction::Leave))
            }
            GroupAct::Meddle => {
                self.meddle();
                None
            }
            GroupAct::Change => self.change(person),
        }
    }

    fn found(&mut self, person: usize) -> Option<Request> {
        if self.people[person].history.groups.has_had_one() {
            return None;
        }
        self.at(5_000, Event::Act { person, act: Act::Group(GroupAct::Found) });
        let mut open = self.people[person].open_requests.values();
        let is_asked = open.any(|request| matches!(request, Request::Group { .. }));
        let (action, name) = (GroupAction::Create, "team".to_owned());
        (!is_asked).then_some(Request::Group { action, name })
    }

    /// Invites everybody to the group that a person has founded.
    pub(crate) fn founded(&mut self, person: usize) {
        let names: BTreeSet<Username> =
            self.people.iter().map(|other| other.name.clone()).collect();
        for other in names {
            if other != self.people[person].name {
                let after = self.random.u64(100..9_000);
                self.at(after, Event::Act { person, act: Act::Group(GroupAct::Invite(other)) });
            }
        }
    }

    /// Lets a user decide about an invitation.
    pub(crate) fn invited(&mut self, person: usize, label: GroupName) {
        let after = self.random.u64(100..9_000);
        self.at(after, Event::Act { person, act: Act::Group(GroupAct::Decide(label)) });
    }

    fn meddle(&mut self) {
        let is_owners = |person: &usize| self.people[*person].owned_group().is_some();
        let mut owners: Vec<usize> = (0..self.people.len()).filter(is_owners).collect();
        if self.chance(50) {
            self.random.shuffle(&mut owners);
            owners.truncate(1);
        }
        for person in owners {
            let after = self.random.u64(0..200);
            self.at(after, Event::Act { person, act: Act::Group(GroupAct::Change) });
        }
    }

    fn change(&mut self, person: usize) -> Option<Request> {
        let names: BTreeSet<Username> =
            self.people.iter().map(|other| other.name.clone()).collect();
        let who = &self.people[person];
        // Only the first device of each account gives groups away: if two gave one to two people and the giver left before
        // these heard of each other, it would be two groups.
        let is_first = self.people.iter().position(|one| one.name == who.name) == Some(person);
        let draw = self.random.u64(0..if is_first { 100 } else { 75 });
        let group = who.owned_group()?;
        let roster = group.roster.roster();
        let fits = |other: &Username| match draw {
            0..50 => roster.member(other).is_none(),
            50..75 => *other != who.name && roster.member(other).is_some(),
            _ => *other != who.name && roster.has_joined(other),
        };
        let fitting: Vec<Username> = names.into_iter().filter(fits).collect();
        let other = self.random.choice(fitting)?;
        let action = match draw {
            0..50 => GroupAction::Invite(other),
            50..75 => GroupAction::Remove(other),
            _ => GroupAction::Give(other),
        };
        Some(about(group, action))
    }

    /// Notes a change by the user. Invitations and decisions that have failed, such as during a login, are tried again.
    pub(crate) fn group_answered(&mut self, person: usize, request: Request, is_done: bool) {
        let again = match request {
            Request::Group { action, .. } if is_done => {
                return self.people[person].history.groups.done.push(action);
            }
            Request::Group { action: GroupAction::Invite(other), .. } => GroupAct::Invite(other),
            Request::Approve(Some(name)) | Request::Deny(Some(name))
                if !is_done && name.starts_with('#') =>
            {
                GroupAct::Decide(name.parse().unwrap())
            }
            _ => return,
        };
        self.at(5_000, Event::Act { person, act: Act::Group(again) });
    }
}

impl Person {
    fn joined_group(&self) -> Option<&StoredGroup> {
        let mut groups = self.disk.groups().values();
        groups.find(|group| group.membership == Membership::Joined)
    }

    /// Returns the group that the user owns, as far as this device knows.
    fn owned_group(&self) -> Option<&StoredGroup> {
        self.joined_group().filter(|group| *group.roster.roster().owner() == self.name)
    }

    /// Returns the decision about an invitation. It is the same on all devices of the account.
    fn decision(&self, label: &GroupName) -> Option<Request> {
        let is_it =
            |group: &&StoredGroup| group.label == *label && group.membership == Membership::Invited;
        let group = self.disk.groups().values().find(is_it)?;
        let since = group.roster.roster().member(&self.name)?.since;
        let account: u64 = self.name.as_str().bytes().map(u64::from).sum();
        let drawn = u64::from(group.roster.group().as_bytes()[0]);
        let name = Some(label.to_string());
        Some(match (since + account + drawn).is_multiple_of(6) {
            true => Request::Deny(name),
            false => Request::Approve(name),
        })
    }
}
