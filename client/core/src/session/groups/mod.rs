//! Groups: their rosters, invitations, and the messages in them.
//!
//! * `rosters` – rosters of others, which are judged
//! * `holding` – the roster that holds, what follows from a new one, and the members' wishes
//! * `changes` – the user's commands, and the rosters that this device issues for its owner
//!
//! Nothing is sealed for anybody who is not in the held roster, and nothing of a group is shown before its user joins.
//!
//! The owner's devices sign the rosters. Members tell the owner that they join or leave, and the next roster follows.
//! A member who has a newer roster than an author sends it to the author; one who has an older one asks for it.

mod changes;
mod holding;
mod rosters;

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::body::{Body, Place};
use letschat_protocol::devices::DeviceList;
use letschat_protocol::groups::{GroupId, GroupName, Roster, RosterRef, SignedRoster, Wish};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use crate::conversation::ConversationId;
use crate::event::KeyState;
use crate::mail::{MailChange, Membership, StoredGroup};
use crate::session::account::AccountState;
use crate::session::mail::Incoming;
use crate::session::{GroupAction, RequestId, Session};

/// The most groups of an account.
const MAX_GROUPS: usize = 32;
/// The most groups that are kept, with the traces of those that the user has left.
const MAX_KEPT: usize = 100;
/// The most invitations that wait, and those of one person.
const MAX_INVITATIONS: usize = 16;
const MAX_INVITATIONS_OF_ONE: usize = 3;
/// The most rosters that wait for a look at the owner's devices.
const MAX_PARKED: usize = 256;
/// The most unknown groups about which the account's other devices are asked while a link lasts.
const MAX_ASKED: usize = 32;
/// The most bytes of messages that wait for a newer roster, and the time for which they wait.
const MAX_PARKED_BYTES: usize = 36 * 1024;
const PARKED_MS: u64 = 60_000;

/// The groups of the account.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<GroupId, StoredGroup>,
    /// The letters from devices that may be new.
    parked: Vec<Parked>,
    /// The messages whose author may be a member by a newer roster, and the times at which they are dropped.
    mail: Vec<(GroupId, Incoming, u64)>,
    /// The members who have a newer roster. The own name stands for the account's other devices.
    ahead: BTreeMap<GroupId, Username>,
    /// The groups about which the account's other devices were asked, since this one does not know them.
    asked: BTreeSet<GroupId>,
    /// The times at which the newer roster of each group was last asked for.
    asked_ms: BTreeMap<GroupId, u64>,
    /// The invitations that wait for a look at the person's devices.
    inviting: Vec<(RequestId, GroupId, Username)>,
    /// The user's commands that wait for the own device list.
    waiting: Vec<(RequestId, GroupAction, String)>,
}

/// A letter about a group that is judged, or that waits for a look at a person's devices.
#[derive(Debug)]
struct Parked {
    mail: Incoming,
    from: Username,
    letter: ArrivedLetter,
    /// The people whose devices have been looked up for it.
    looked_up: Vec<Username>,
    /// The person who is looked up, or is to be looked up again at a time.
    awaited: Username,
    retry_ms: Option<u64>,
    tries: u8,
}

#[derive(Debug)]
enum ArrivedLetter {
    Roster(Box<SignedRoster>),
    Wish { device: PublicKey, group: GroupId, wish: Wish, number: u64 },
}

impl Groups {
    pub(super) fn new(groups: BTreeMap<GroupId, StoredGroup>) -> Groups {
        Groups { groups, ..Groups::default() }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let retries = self.parked.iter().filter_map(|parked| parked.retry_ms);
        self.mail.iter().map(|(.., due_ms)| *due_ms).chain(retries).min()
    }

    /// Forgets what waits for the server, whose link has ended. It delivers mail again.
    pub(super) fn link_ended(&mut self) -> Vec<RequestId> {
        self.mail.retain(|(_, mail, _)| !mail.is_from_server());
        self.parked.clear();
        self.asked.clear();
        let inviting = std::mem::take(&mut self.inviting).into_iter().map(|(id, ..)| id);
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(id, ..)| id);
        inviting.chain(waiting).collect()
    }

    /// Forgets letters to people who are not to get them any more.
    pub(super) fn forget_letters(&mut self, id: &GroupId, people: &[Username]) {
        self.ahead.retain(|group, who| group != id || !people.contains(who));
        if let Some(group) = self.groups.get_mut(id) {
            group.owed.retain(|who| !people.contains(who));
        }
    }

    /// Returns the people who have to be told something.
    pub(super) fn owed<'a>(
        &'a self,
        account: &'a AccountState,
    ) -> impl Iterator<Item = &'a Username> {
        let groups = self.groups.values();
        groups.flat_map(move |group| {
            group.wish.map(|_| hears_wishes(group, account)).into_iter().chain(&group.owed)
        })
    }

    pub(super) fn get(&self, id: &GroupId) -> Option<&StoredGroup> {
        self.groups.get(id)
    }

    /// Returns the group that this device calls so, and that the user has not left.
    pub(super) fn called(&self, label: &GroupName) -> Option<(&GroupId, &StoredGroup)> {
        self.groups.iter().find(|(_, group)| group.label == *label && !group.is_left())
    }

    /// Returns the group that this device calls so, if the user has joined.
    pub(super) fn joined(&self, label: &GroupName) -> Option<(&GroupId, &StoredGroup)> {
        self.called(label).filter(|(_, group)| group.is_joined())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&GroupId, &StoredGroup)> {
        self.groups.iter()
    }

    /// Returns the rosters that vouch for a person's list.
    fn with<'a>(&'a self, who: &'a Username) -> impl Iterator<Item = &'a Roster> {
        let vouches = move |group: &&StoredGroup| match group.membership {
            // An invitation alone vouches for nobody.
            Membership::Invited => false,
            Membership::Joined => true,
            // The owner is told that the user has left.
            Membership::Left => {
                let is_told = group.wish.is_some() || group.owed.contains(who);
                is_told && group.roster.roster().owner() == who
            }
        };
        let rosters = self.groups.values().filter(vouches).map(|group| group.roster.roster());
        rosters.filter(|roster| roster.member(who).is_some())
    }

    /// Returns true if the owner of a group has named a list of this chain as the person's.
    pub(super) fn vouch_for(&self, who: &Username, list: &DeviceList) -> bool {
        self.with(who).any(|roster| names(roster, who, list))
    }

    /// Returns true if the owner of this very group has named a list of this chain as the person's.
    pub(super) fn vouches_in(&self, label: &GroupName, who: &Username, list: &DeviceList) -> bool {
        self.joined(label).is_some_and(|(_, group)| names(group.roster.roster(), who, list))
    }

    /// Returns true if the user and this person are in a group.
    pub(super) fn has_joined(&self, label: &GroupName, who: &Username) -> bool {
        self.joined(label).is_some_and(|(_, group)| group.roster.roster().has_joined(who))
    }

    /// Returns the next group that has something to tell somebody.
    pub(super) fn next_letter(
        &self,
        account: &AccountState,
        is_ready: impl Fn(&Username) -> bool,
    ) -> Option<(GroupId, GroupLetter, Vec<Username>)> {
        for (id, group) in &self.groups {
            if let Some(wish) = group.wish {
                let hearer = hears_wishes(group, account);
                if is_ready(hearer) {
                    return Some((*id, GroupLetter::Wish(wish), vec![hearer.clone()]));
                }
            }
            let owed = group.owed.iter().filter(|who| is_ready(who));
            let owed: Vec<Username> = owed.cloned().collect();
            if !owed.is_empty() {
                return Some((*id, GroupLetter::Roster(group.roster.reference()), owed));
            }
        }
        let ahead = self.ahead.iter().find(|(_, who)| is_ready(who));
        ahead.map(|(id, who)| (*id, GroupLetter::Wish(Wish::Roster), vec![who.clone()]))
    }
}

/// Returns the person who has to be told what the user wishes: the owner. A stranger is not told that the invitation is
/// turned down. Then the own name stands for the account's other devices.
pub(super) fn hears_wishes<'a>(group: &'a StoredGroup, account: &'a AccountState) -> &'a Username {
    let (roster, owner) = (group.roster.roster(), group.roster.roster().owner());
    let is_stranger = account.known_key(owner).is_none();
    match account.name() {
        Some(own)
            if is_stranger && group.membership != Membership::Joined && !roster.has_joined(own) =>
        {
            own
        }
        _ => owner,
    }
}

/// A letter about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupLetter {
    /// The roster, which was the newest when the letter was begun.
    Roster(RosterRef),
    /// A wish.
    Wish(Wish),
}

/// Returns true if a roster names a list of this chain as the person's.
fn names(roster: &Roster, who: &Username, list: &DeviceList) -> bool {
    let named = roster.member(who).map(|member| member.list);
    named.is_some_and(|named| list.hash_of(named.number) == Some(named.hash))
}

impl Session {
    /// Returns true if a device is known: by the user's decision or, of a member of a common group, by the roster.
    pub(super) fn is_trusted_device(&self, who: &Username, device: &PublicKey) -> bool {
        match self.account.key_state(who, device) {
            KeyState::Known | KeyState::Verified => true,
            KeyState::Changed => false,
            KeyState::New => {
                let is_vouched =
                    |list: &&DeviceList| self.groups.vouch_for(who, list) && list.contains(device);
                self.account.list(who).filter(is_vouched).is_some()
            }
        }
    }

    /// Returns the conversation of a message in a group, if it can be shown. Otherwise it waits, or is dropped and
    /// acknowledged.
    pub(super) fn group_of(
        &mut self,
        mail: &Incoming,
        body: &Body,
        id: &GroupId,
    ) -> Option<ConversationId> {
        let Place::Group { roster, .. } = body.place else {
            self.drop_mail(mail);
            return None;
        };
        let Some(group) = self.groups.get(id).filter(|group| group.is_joined()) else {
            self.ask_own_devices(id, mail);
            return None;
        };
        let (held, label) = (group.roster.reference(), group.label.clone());
        let is_member = group.roster.roster().has_joined(&body.sender);
        if self.is_too_far(&group.roster, roster.number) {
            self.drop_mail(mail);
            return None;
        } else if roster.supersedes(&held) {
            // A stranger is not asked: the owner has the newest roster. What a stranger names is asked for rarely.
            let owner = group.roster.roster().owner();
            let who = if is_member { &body.sender } else { owner }.clone();
            let now_ms = self.cx.now_ms();
            let last_ms = self.groups.asked_ms.get(id).copied();
            if is_member || last_ms.is_none_or(|last_ms| last_ms + PARKED_MS <= now_ms) {
                self.groups.ahead.insert(*id, who);
                self.groups.asked_ms.insert(*id, now_ms);
                self.post_next();
            }
        } else if held.supersedes(&roster) && is_member {
            self.owe_roster(id, [body.sender.clone()]);
        }
        if is_member && self.is_trusted_device(&body.sender, &body.device) {
            return Some(ConversationId::Group(label));
        }
        match roster.supersedes(&held) {
            true => self.wait_for_roster(id, mail),
            false => self.drop_mail(mail),
        }
        None
    }

    /// Lets a message wait for a roster. What is not acknowledged holds up other mail, so little waits, and not for long.
    fn wait_for_roster(&mut self, id: &GroupId, mail: &Incoming) {
        let waiting: usize = self.groups.mail.iter().map(|(_, mail, _)| mail.bytes()).sum();
        if waiting + mail.bytes() > MAX_PARKED_BYTES {
            return self.drop_mail(mail);
        }
        let due_ms = self.cx.now_ms() + PARKED_MS;
        self.groups.mail.push((*id, mail.clone(), due_ms));
    }

    /// Asks the account's other devices about a group that the user may have joined there while this device could not be
    /// reached. The message waits, unless the user has left the group.
    pub(super) fn ask_own_devices(&mut self, id: &GroupId, mail: &Incoming) {
        let is_left = self.groups.get(id).is_some_and(StoredGroup::is_left);
        let own = self.account.name().cloned().filter(|_| self.has_other_devices() && !is_left);
        let is_asked = self.groups.asked.contains(id);
        match own {
            Some(own) if is_asked || self.groups.asked.len() < MAX_ASKED => {
                self.wait_for_roster(id, mail);
                if !is_asked {
                    self.groups.asked.insert(*id);
                    self.groups.ahead.insert(*id, own);
                    self.post_next();
                }
            }
            _ => self.drop_mail(mail),
        }
    }

    /// Judges the messages of a group again that waited for a roster.
    fn take_parked_mail(&mut self, id: &GroupId) {
        let waiting = std::mem::take(&mut self.groups.mail);
        let (of_it, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(group, ..)| group == id);
        self.groups.mail = others;
        for (_, mail, _) in of_it {
            self.take_in(mail);
        }
    }

    /// Drops the messages that have waited for too long, and looks people up again.
    pub(super) fn tick_groups(&mut self) {
        let now_ms = self.cx.now_ms();
        let waiting = std::mem::take(&mut self.groups.mail);
        let (over, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(.., due_ms)| *due_ms <= now_ms);
        self.groups.mail = others;
        for (_, mail, _) in over {
            self.drop_mail(&mail);
        }
        self.tick_parked();
    }

    /// Lets these people have the newest roster. The own name stands for the account's other devices. One who has left
    /// tells the owner alone.
    fn owe_roster(&mut self, id: &GroupId, people: impl IntoIterator<Item = Username>) {
        if let Some(group) = self.groups.groups.get_mut(id) {
            let owner = group.roster.roster().owner();
            let is_told = |who: &Username| match group.membership {
                Membership::Invited => false,
                Membership::Joined => true,
                Membership::Left => who == owner,
            };
            let told: Vec<Username> = people.into_iter().filter(is_told).collect();
            group.owed.extend(told);
            self.record_group(id);
        }
        self.post_next();
    }

    /// Lets the account's other devices know the groups.
    pub(super) fn share_groups(&mut self) {
        let Some(own) = self.account.name().cloned() else {
            return;
        };
        let joined = self.groups.all().filter(|(_, group)| group.is_joined());
        for id in joined.map(|(id, _)| *id).collect::<Vec<GroupId>>() {
            self.owe_roster(&id, [own.clone()]);
        }
    }

    /// Records the state of a group.
    fn record_group(&mut self, id: &GroupId) {
        let change = match self.groups.get(id) {
            Some(group) => MailChange::Group(Box::new(group.clone())),
            None => MailChange::NoGroup(*id),
        };
        self.record(vec![change]);
    }

    /// Notes that people were told something about a group.
    pub(super) fn group_told(&mut self, id: &GroupId, letter: GroupLetter, people: &[Username]) {
        match letter {
            GroupLetter::Wish(Wish::Roster) => {
                self.groups.ahead.retain(|group, who| group != id || !people.contains(who));
                return;
            }
            GroupLetter::Roster(sent) => {
                let group = self.groups.groups.get_mut(id);
                if let Some(group) = group.filter(|group| group.roster.reference() == sent) {
                    group.owed.retain(|who| !people.contains(who));
                }
            }
            GroupLetter::Wish(told) => {
                // The user may wish something else by now, and the group may have another owner.
                let group = self.groups.groups.get_mut(id).filter(|group| {
                    let hearer = hears_wishes(group, &self.account);
                    group.wish == Some(told) && people.contains(hearer)
                });
                let Some(group) = group else {
                    return;
                };
                group.wish = None;
            }
        }
        self.record_group(id);
    }
}
