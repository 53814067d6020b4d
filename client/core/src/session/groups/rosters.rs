//! Rosters of others, from their arrival until they hold.

use std::collections::BTreeSet;

use letschat_protocol::body::DeviceListRef;
use letschat_protocol::devices::DeviceList;
use letschat_protocol::groups::{Giving, GroupId, GroupName, Member, SignedRoster, Wish};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::{ArrivedLetter, MAX_INVITATIONS, MAX_INVITATIONS_OF_ONE, MAX_KEPT, MAX_PARKED, Parked};
use crate::event::{Event, GroupChange, KeyState, RequestKind, fingerprint};
use crate::mail::{Membership, StoredGroup};
use crate::session::Session;
use crate::session::mail::Incoming;

/// The time after which the devices of a person are looked up again that the server could not show.
const RETRY_MS: u64 = 10_000;
/// The most times that they are looked up.
const MAX_TRIES: u8 = 3;
/// The most numbers that a roster may be ahead of the held one.
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
    pub(in crate::session) fn roster_arrived(
        &mut self,
        mail: &Incoming,
        from: &Username,
        bytes: &[u8],
    ) {
        let roster =
            self.server.fingerprint().and_then(|server| SignedRoster::verify(bytes, &server));
        match roster {
            Some(roster) => {
                self.letter_arrived(mail, from, ArrivedLetter::Roster(Box::new(roster)));
            }
            None => self.drop_mail(mail),
        }
    }

    /// Handles a wish of a person who is in a roster, or of another device of this account. `number` is that of the roster
    /// that they have.
    pub(in crate::session) fn wish_arrived(
        &mut self,
        mail: &Incoming,
        (from, device): (&Username, PublicKey),
        (group, wish, number): (GroupId, Wish, u64),
    ) {
        self.letter_arrived(mail, from, ArrivedLetter::Wish { device, group, wish, number });
    }

    fn letter_arrived(&mut self, mail: &Incoming, from: &Username, letter: ArrivedLetter) {
        let looked_up = Vec::new();
        let (awaited, retry_ms) = (from.clone(), None);
        self.judge_letter(Parked {
            mail: mail.clone(),
            from: from.clone(),
            letter,
            looked_up,
            awaited,
            retry_ms,
            tries: 0,
        });
    }

    /// Judges a letter, or lets it wait until the devices of a person have been looked up. The server keeps it meanwhile.
    fn judge_letter(&mut self, mut parked: Parked) {
        let from = parked.from.clone();
        let awaited = match &parked.letter {
            ArrivedLetter::Roster(roster) => {
                self.take_roster(&from, (**roster).clone(), &parked.looked_up)
            }
            ArrivedLetter::Wish { device, group, wish, number } => {
                let wish = (*wish, *number);
                self.group_wish((&from, device), group, wish, &parked.looked_up)
            }
        };
        match awaited {
            Some(who) if self.groups.parked.len() < MAX_PARKED && self.look_up(&who) => {
                (parked.awaited, parked.retry_ms) = (who, None);
                self.groups.parked.push(parked);
            }
            _ => self.drop_mail(&parked.mail),
        }
    }

    /// Judges the letters again that wait for a look at a person's devices. If the server can't show them now, it is asked
    /// again later.
    pub(in crate::session) fn retry_group_letters(&mut self, who: &Username, is_answered: bool) {
        let now_ms = self.cx.now_ms();
        let parked = std::mem::take(&mut self.groups.parked);
        let (now, later): (Vec<_>, Vec<_>) =
            parked.into_iter().partition(|one| one.awaited == *who);
        self.groups.parked = later;
        for mut parked in now {
            parked.tries += 1;
            if is_answered {
                parked.looked_up.push(who.clone());
                self.judge_letter(parked);
            } else if parked.tries < MAX_TRIES {
                parked.retry_ms = Some(now_ms + RETRY_MS);
                self.groups.parked.push(parked);
            } else {
                self.drop_mail(&parked.mail);
            }
        }
    }

    /// Looks up the people again whose devices the server could not show.
    pub(super) fn tick_parked(&mut self) {
        let now_ms = self.cx.now_ms();
        let is_due = |parked: &&mut Parked| parked.retry_ms.is_some_and(|due_ms| due_ms <= now_ms);
        let due = self.groups.parked.iter_mut().filter(is_due);
        let people: BTreeSet<Username> = due
            .map(|parked| {
                parked.retry_ms = None;
                parked.awaited.clone()
            })
            .collect();
        for who in people {
            if !self.look_up(&who) {
                self.retry_group_letters(&who, false);
            }
        }
    }

    /// Judges a roster from somebody. `looked_up` has the people whose devices have been looked up for it. Returns another
    /// one whose devices have to be looked up first.
    fn take_roster(
        &mut self,
        from: &Username,
        new: SignedRoster,
        looked_up: &[Username],
    ) -> Option<Username> {
        let own = self.account.name()?.clone();
        let id = new.group();
        let Some(held) = self.groups.get(&id) else {
            self.new_group(from, &own, new);
            return None;
        };
        // Another device shares the groups that the user has joined there.
        let listed = new.roster().member(&own);
        let is_joined_elsewhere = *from == own && listed.is_some();
        let (held, membership) = (held.roster.clone(), held.membership);
        if self.is_too_far(&held, new.reference().number) {
            return None;
        }
        if !new.reference().supersedes(&held.reference()) {
            let since = |listed: Option<&Member>| listed.map(|listed| listed.since);
            let is_same = since(listed) == since(held.roster().member(&own));
            if is_joined_elsewhere && is_same && membership == Membership::Invited {
                self.accept_group(&id);
            }
            if held.reference().supersedes(&new.reference()) && held.roster().has_joined(from) {
                self.owe_roster(&id, [from.clone()]);
            }
            return None;
        }
        match self.judge_roster(&held, &new) {
            Successor::Valid => self.hold_roster(&id, new, is_joined_elsewhere),
            // The owner may be a stranger to this device.
            _ if is_joined_elsewhere && membership != Membership::Joined => {
                self.hold_roster(&id, new, true);
            }
            Successor::Unknown(who) if !looked_up.contains(&who) => return Some(who),
            Successor::Unknown(_) | Successor::Invalid => self.take_competitor(from, &own, new),
        }
        None
    }

    /// Returns true for a number that no group comes to by its changes. Whoever signs such rosters leaves none for others.
    pub(super) fn is_too_far(&self, held: &SignedRoster, number: u64) -> bool {
        number > held.reference().number.saturating_add(MAX_SKIPPED)
    }

    /// Handles a roster that does not follow from the held one: the group was given to another owner, or the user knows
    /// nobody who could have given it away.
    fn take_competitor(&mut self, from: &Username, own: &Username, new: SignedRoster) {
        let id = new.group();
        let Some(held) = self.groups.get(&id) else {
            return;
        };
        let roster = held.roster.roster();
        match held.membership {
            // An undecided user knows the one who has invited them.
            Membership::Invited => {}
            Membership::Left => {
                let since = roster.member(own).map(|listed| listed.since);
                if new.roster().member(own).is_some_and(|listed| Some(listed.since) != since) {
                    self.new_group(from, own, new);
                }
            }
            Membership::Joined if roster.owner() == own => {
                // A device of an earlier owner went on after the giving. Whoever believed it believes a higher number
                // with the giving. An owner by a giving that holds everywhere is not outbid.
                let (ours, theirs) = (&roster.givings, &new.roster().givings);
                let pairs = ours.iter().zip(theirs);
                let common = pairs.take_while(|(one, other)| one == other).count();
                let holds = match (ours.get(common), theirs.get(common)) {
                    (Some(ours), Some(theirs)) => ours.precedes(theirs),
                    (Some(_), None) => true,
                    (None, _) => false,
                };
                if holds && matches!(self.judge_signer(&new, 0), Successor::Valid) {
                    self.issue_roster(&id, None, new.reference().number).ok();
                }
            }
            Membership::Joined => {}
        }
    }

    /// Judges a roster that would supersede the held one.
    fn judge_roster(&self, held: &SignedRoster, new: &SignedRoster) -> Successor {
        let (old, roster) = (held.roster(), new.roster());
        // Any roster of the present owner holds, also with givings that this device does not know.
        let named = old.givings.last().map(|giving| giving.list);
        if old.owner() == roster.signer() && self.is_device_of(old.owner(), new.device(), named) {
            return Successor::Valid;
        }
        let pairs = old.givings.iter().zip(&roster.givings);
        let common = pairs.take_while(|(one, other)| one == other).count();
        // A giving is final once the new owner has signed a roster. Until then another device of the earlier owner may
        // not know it. If two devices have given the group away, one of the givings holds everywhere, but not after the
        // giver has gone: nobody who was removed gets the group back.
        if let Some(lost) = old.givings.get(common).filter(|giving| giving.number < old.number) {
            let giver = common.checked_sub(1).map(|last| &old.givings[last].to);
            let is_there = old.has_joined(giver.unwrap_or(&old.founding.founder));
            let precedes = |giving: &Giving| giving.precedes(lost);
            if !is_there || !roster.givings.get(common).is_some_and(precedes) {
                return Successor::Invalid;
            }
        }
        self.judge_signer(new, common)
    }

    /// Judges the givings of a roster from this place on, and whether a device of the owner by them has signed it.
    fn judge_signer(&self, new: &SignedRoster, from: usize) -> Successor {
        let (Some(server), roster) = (self.server.fingerprint(), new.roster()) else {
            return Successor::Invalid;
        };
        let (mut owner, mut named) = (&roster.founding.founder, None);
        for (place, giving) in roster.givings.iter().enumerate() {
            if place >= from {
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

    /// Handles a roster of an unknown group, or of one that the user has left: an invitation, or what another device of the
    /// account knows.
    fn new_group(&mut self, from: &Username, own: &Username, roster: SignedRoster) {
        let id = roster.group();
        let is_from_own = from == own;
        let listed = roster.roster().member(own).map(|member| member.is_invited);
        let is_signed = |server| {
            let mut givings = roster.roster().givings.iter();
            givings.all(|giving| giving.is_signed(&server, &id))
        };
        let is_invitation = *from == *roster.roster().owner()
            && *from == *roster.roster().signer()
            && listed == Some(true)
            && self.server.fingerprint().is_some_and(is_signed);
        let waiting =
            || self.groups.all().map(|(_, group)| group).filter(|group| group.is_invited());
        let of_one = waiting().filter(|group| group.roster.roster().owner() == from).count();
        let has_room = waiting().count() < MAX_INVITATIONS && of_one < MAX_INVITATIONS_OF_ONE;
        let is_wanted = is_invitation && has_room || is_from_own && listed.is_some();
        let is_kept = self.groups.get(&id).is_some();
        if !is_wanted || self.account.is_blocked(from) || !is_kept && !self.make_room() {
            return;
        }
        let label = self.label_of(&id, &roster.roster().founding.name);
        let is_joined = is_from_own && listed == Some(false);
        let membership = if is_joined { Membership::Joined } else { Membership::Invited };
        let (owed, changes) = (BTreeSet::new(), Vec::new());
        let group = StoredGroup { label, roster, membership, owed, wish: None, changes };
        self.groups.groups.insert(id, group);
        self.groups.ahead.remove(&id);
        self.record_group(&id);
        match is_joined {
            true => self.tell_group(&id, GroupChange::Joined, own, own),
            false => self.tell_invitation(&id),
        }
        self.take_parked_mail(&id);
    }

    /// Makes room for another group, in place of the trace of one. Returns false if there is none.
    pub(super) fn make_room(&mut self) -> bool {
        if self.groups.groups.len() < MAX_KEPT {
            return true;
        }
        let is_trace = |group: &StoredGroup| group.is_left() && group.wish.is_none();
        let trace = self.groups.all().find(|(_, group)| is_trace(group)).map(|(id, _)| *id);
        if let Some(id) = trace {
            self.groups.groups.remove(&id);
            self.record_group(&id);
        }
        trace.is_some()
    }

    /// Returns the name by which this device calls a group: that by which it called the group before, unless another one is
    /// called so by now, or a free one.
    pub(super) fn label_of(&self, id: &GroupId, name: &GroupName) -> GroupName {
        let is_taken =
            |label: &GroupName| self.groups.called(label).is_some_and(|(other, _)| other != id);
        let label = self.groups.get(id).map(|group| group.label.clone());
        label.filter(|label| !is_taken(label)).unwrap_or_else(|| self.free_label(name))
    }

    /// Returns a name for another group: `team`, or `team-2` if one is called so.
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

    /// Emits a request for each undecided invitation.
    pub(in crate::session) fn tell_invitations(&mut self) {
        let waiting = self.groups.all().filter(|(_, group)| group.is_invited());
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
