//! The observations of people in groups, and the promises about them.

use std::collections::{BTreeMap, BTreeSet};

use letschat_core::conversation::{MessageState, Via};
use letschat_core::mail::{MailChange, Membership, StoredGroup};
use letschat_core::session::GroupAction;
use letschat_protocol::body::{Body, Content};
use letschat_protocol::envelope::Recipient;
use letschat_protocol::groups::{GroupId, GroupName, Member, Roster, RosterRef, SignedRoster};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::history::Heard;
use crate::people::Person;
use crate::promises::{check_order, check_times};
use crate::world::World;

/// The time for which a message of an unknown member waits for a newer roster.
const WAITS_FOR_ROSTER_MS: u64 = 60_000;

/// The observations and actions of a person in groups.
#[derive(Default)]
pub(crate) struct GroupHistory {
    /// The recorded states of each group, in their order.
    views: BTreeMap<GroupId, Vec<GroupView>>,
    /// The own messages.
    said: BTreeMap<MessageId, Said>,
    /// The messages of others and of the account's other devices, as they were shown.
    pub(crate) heard: Vec<Heard>,
    /// The changes that the user has made.
    pub(crate) done: Vec<GroupAction>,
}

/// A recorded state of a group, or none once the device has forgotten it.
struct GroupView {
    since_ms: u64,
    state: Option<StoredGroup>,
}

/// An own message in a group.
struct Said {
    group: GroupId,
    /// The number of the author's roster.
    roster: u64,
    text: String,
    said_ms: u64,
    /// The recipients, each with the state that was told last.
    to: BTreeMap<Username, Option<MessageState>>,
    /// The devices that know the author's, and that mail can reach: the recipients', and the author's others.
    devices: BTreeSet<PublicKey>,
}

impl World {
    /// Notes the states of groups that a device records.
    pub(crate) fn note_groups(&mut self, person: usize, changes: &[MailChange]) {
        let since_ms = self.now.boot_ms;
        let views = &mut self.people[person].history.groups.views;
        for change in changes {
            let (id, state) = match change {
                MailChange::Group(group) => (group.roster.group(), Some((**group).clone())),
                MailChange::NoGroup(id) => (*id, None),
                _ => continue,
            };
            views.entry(id).or_default().push(GroupView { since_ms, state });
        }
    }

    /// Notes an own message.
    pub(crate) fn said_in_group(
        &mut self,
        person: usize,
        label: &GroupName,
        id: MessageId,
        text: String,
    ) {
        let author = &self.people[person];
        let mut groups = author.disk.groups().iter();
        let is_it = |(_, group): &(&GroupId, &StoredGroup)| {
            group.label == *label && group.membership == Membership::Joined
        };
        let Some((group, state)) = groups.find(is_it) else {
            return; // the user has left it meanwhile
        };
        let to: BTreeMap<Username, Option<MessageState>> =
            author.disk.recipients(id).map(|to| (to.clone(), None)).collect();
        let (store, wall_ms, key) = (&self.server.store, self.now.wall_ms, author.public_key());
        let list = store.device_list(&author.name);
        let is_by_listed = list.is_some_and(|list| list.contains(&key));
        let is_meant = |device: &Person| {
            to.contains_key(&device.name)
                || author.other_devices().any(|other| other == device.public_key())
        };
        let gets_it = |device: &&Person| {
            let list = device.disk.lists().get(&author.name);
            is_by_listed
                && is_meant(device)
                && list.is_some_and(|list| list.contains(&key))
                && store.devices(&device.name, wall_ms).any(|one| one == device.public_key())
        };
        let devices = self.people.iter().filter(gets_it).map(Person::public_key).collect();
        let (group, roster) = (*group, state.roster.reference().number);
        let said = Said { group, roster, text, said_ms: self.now.boot_ms, to, devices };
        let earlier = self.people[person].history.groups.said.insert(id, said);
        assert!(earlier.is_none(), "an id names one message");
    }
}

impl Person {
    /// Checks that a letter of a group is sealed for people of the held roster alone, and for the own devices.
    pub(crate) fn check_recipients(&self, body: &Body, recipients: &[Recipient]) {
        let id = match &body.content {
            Content::Text(_) => body.conversation.parse::<GroupId>().ok(),
            Content::Roster(bytes) => SignedRoster::restore(bytes).map(|roster| roster.group()),
            Content::Wish(id, ..) => Some(*id),
            Content::Receipt(_) | Content::People(_) | Content::File(..) | Content::Unknown(_) => {
                None
            }
        };
        let Some(id) = id else {
            return;
        };
        // A device may ask the account's others about a group that it does not know.
        let roster = self.disk.groups().get(&id).map(|group| group.roster.roster());
        for Recipient { username, .. } in recipients {
            let is_in = roster.is_some_and(|roster| match &body.content {
                Content::Text(_) => roster.has_joined(username),
                _ => roster.member(username).is_some(),
            });
            let is_own = *username == self.name;
            assert!(is_in || is_own, "{} sealed {:?} for {username}", self.name, body.content);
        }
    }
}

impl GroupHistory {
    /// Returns true once the device has recorded a group.
    pub(crate) fn has_had_one(&self) -> bool {
        !self.views.is_empty()
    }

    /// Notes the state of an own message for a recipient.
    pub(crate) fn state_told(&mut self, id: MessageId, to: &Username, state: MessageState) {
        // The client may have been killed between the record and the event.
        let Some(last) = self.said.get_mut(&id).and_then(|said| said.to.get_mut(to)) else {
            return;
        };
        let is_over = matches!(
            last,
            Some(MessageState::Delivered | MessageState::Failed | MessageState::Expired)
        );
        assert!(!is_over, "{id} is {state:?} for {to} after {last:?}");
        *last = Some(state);
    }

    fn has_heard(&self, id: MessageId) -> bool {
        self.heard.iter().any(|heard| heard.id == id)
    }

    fn has_heard_by_server(&self, id: MessageId) -> bool {
        self.heard.iter().any(|heard| heard.id == id && heard.via == Via::Server)
    }

    /// Returns the states of a message's group from the message on, or `None` if this device did not have it.
    fn since(&self, said: &Said) -> Option<&[GroupView]> {
        let views = self.views.get(&said.group)?;
        let next = views.partition_point(|view| view.since_ms <= said.said_ms);
        Some(&views[next.checked_sub(1)?..])
    }
}

impl GroupView {
    fn is_joined(&self) -> bool {
        self.state.as_ref().is_some_and(|group| group.membership == Membership::Joined)
    }

    /// Returns true if a person has joined by the roster.
    fn has(&self, who: &Username) -> bool {
        self.state.as_ref().is_some_and(|group| group.roster.roster().has_joined(who))
    }

    fn number(&self) -> u64 {
        self.state.as_ref().map_or(0, |group| group.roster.reference().number)
    }
}

impl Said {
    /// Returns true if a device shows the message when it arrives there: from the message on, both sides hold its
    /// author and its recipient for members without interruption.
    fn is_promised(&self, author: &Person, device: &Person) -> bool {
        let is_kept = |view: &GroupView| view.is_joined() && view.has(&device.name);
        let (sent, shown) = (author.history.groups.since(self), device.history.groups.since(self));
        self.devices.contains(&device.public_key())
            && sent.is_some_and(|views| views.iter().all(is_kept))
            && shown.is_some_and(|views| self.is_shown_under(views, &author.name))
    }

    /// Returns true if a device with these states shows the message. By an older roster the author may be no member
    /// yet: then the message waits for a newer one.
    fn is_shown_under(&self, views: &[GroupView], author: &Username) -> bool {
        let is_older = |view: &&GroupView| !view.has(author) && view.number() < self.roster;
        let older = views.iter().take_while(is_older).count();
        let is_in_time =
            |view: &GroupView| older == 0 || view.since_ms <= self.said_ms + WAITS_FOR_ROSTER_MS;
        views.get(older).is_some_and(is_in_time)
            && views.iter().all(GroupView::is_joined)
            && views[older..].iter().all(|view| view.has(author))
    }

    /// Returns the recipients all of whose devices show the message when it arrives there.
    fn promised<'a>(
        &'a self,
        author: &'a Person,
        world: &'a World,
    ) -> impl Iterator<Item = &'a Username> {
        let is_promised = move |device: &Person| self.is_promised(author, device);
        self.to.keys().filter(move |to| world.devices_of(to).all(is_promised))
    }
}

/// Checks the groups, and the messages in them.
pub(crate) fn check(world: &World) {
    everybody_agrees_about_the_members(world);
    nobody_owes_a_letter(world);
    each_message_was_shown_or_its_author_knows(world);
    what_the_server_delivered_reached_every_device(world);
    messages_keep_their_order(world);
    for person in &world.people {
        // A client that is killed may show a message twice.
        check_times(person, &person.history.groups.heard, 1 + person.history.kills);
    }
}

fn everybody_agrees_about_the_members(world: &World) {
    let mut newest: BTreeMap<GroupId, &SignedRoster> = BTreeMap::new();
    for (id, group) in world.people.iter().flat_map(|person| person.disk.groups()) {
        let newest = newest.entry(*id).or_insert(&group.roster);
        if group.roster.reference().supersedes(&newest.reference()) {
            *newest = &group.roster;
        }
    }
    for (id, roster) in newest {
        let is_gone = |person: &Person| {
            let group = person.disk.groups().get(&id);
            group.is_none_or(|group| group.membership == Membership::Left)
        };
        // A group is frozen whose owner has left, because it was given to somebody who was leaving.
        if world.devices_of(roster.roster().owner()).all(is_gone) {
            continue;
        }
        for person in &world.people {
            let group = person.disk.groups().get(&id);
            let joined = group.filter(|group| group.membership == Membership::Joined);
            let held = joined.map(|group| group.roster.roster());
            let roster = roster.roster();
            let expected = Some(roster).filter(|roster| roster.has_joined(&person.name));
            // Nobody tells people that they were removed.
            let is_removed = roster.member(&person.name).is_none();
            let who = person.voice();
            let (shown, wanted) = (held.map(brief), brief(roster));
            assert!(is_removed || held == expected, "{who} holds {shown:?}, newest {wanted:?}");
        }
    }
}

/// Returns what tells a roster from others: its number, its owner and its members, with the number of each invitation.
fn brief(roster: &Roster) -> (u64, &str, Vec<String>) {
    let member = |member: &Member| {
        let state = if member.is_invited { "?" } else { "" };
        format!("{}@{}{state}", member.name, member.since)
    };
    let members = roster.members.iter().map(member).collect();
    (roster.number, roster.owner().as_str(), members)
}

/// Checks that nothing is left to be told to anybody who has a device with a prekey.
fn nobody_owes_a_letter(world: &World) {
    let is_reached = |who: &&Username| {
        let mut devices = world.server.store.devices(who, world.now.wall_ms);
        devices.next().is_some()
    };
    for person in &world.people {
        for StoredGroup { owed, wish, .. } in person.disk.groups().values() {
            let owed: Vec<&Username> = owed.iter().filter(is_reached).collect();
            let is_quiet = owed.is_empty() && wish.is_none();
            assert!(is_quiet, "{} owes {owed:?} and wishes {wish:?}", person.voice());
        }
    }
}

fn each_message_was_shown_or_its_author_knows(world: &World) {
    for author in &world.people {
        for (id, said) in &author.history.groups.said {
            for to in said.promised(author, world) {
                let state = said.to[to];
                let is_given_up =
                    matches!(state, Some(MessageState::Failed | MessageState::Expired));
                let mut devices = world.devices_of(to);
                let was_shown = devices.any(|device| device.history.groups.has_heard(*id));
                let text = &said.text;
                assert!(was_shown || is_given_up, "{text:?} to {to} was lost, and is {state:?}");
            }
        }
    }
}

/// Checks that what reached one device of an account through the server reached all of them, and the author's others.
fn what_the_server_delivered_reached_every_device(world: &World) {
    for author in &world.people {
        for (id, said) in &author.history.groups.said {
            let has_reached = |account: &Username| {
                let mut devices = world.devices_of(account);
                devices.any(|device| device.history.groups.has_heard_by_server(*id))
            };
            let has_reached_some = said.to.keys().any(has_reached);
            for device in &world.people {
                let is_copy = device.name == author.name;
                let is_expected =
                    if is_copy { has_reached_some } else { has_reached(&device.name) };
                let is_there = !is_expected
                    || device.history.groups.has_heard(*id)
                    || !said.is_promised(author, device);
                assert!(is_there, "{:?} never reached {}", said.text, device.voice());
            }
        }
    }
}

/// Checks the order of each author's messages on the devices of others. The author's own other devices get a copy with
/// the first envelope of each message, and the people whom one waits for may be others than those of the next.
fn messages_keep_their_order(world: &World) {
    for author in &world.people {
        for receiver in world.people.iter().filter(|receiver| receiver.name != author.name) {
            check_order(&receiver.history.groups.heard, |heard| {
                author.history.groups.said.get(&heard.id).map(|said| said.text.as_str())
            });
        }
    }
}

/// What happened in the groups of all runs.
#[derive(Debug, Default)]
pub(crate) struct GroupsSeen {
    /// Groups that had three members at once.
    formed: u64,
    removals: u64,
    gives: u64,
    /// Devices whose user came back after leaving or a removal.
    came_back: u64,
    /// Numbers that two rosters of a group had.
    conflicts: u64,
    shown: u64,
    /// Messages that had to be shown to a recipient.
    promised: u64,
}

impl GroupsSeen {
    pub(crate) fn add(&mut self, world: &World) {
        let mut formed: BTreeSet<GroupId> = BTreeSet::new();
        let mut rosters: BTreeMap<(GroupId, u64), BTreeSet<[u8; 32]>> = BTreeMap::new();
        for person in &world.people {
            let GroupHistory { views, said, heard, done } = &person.history.groups;
            for action in done {
                self.removals += u64::from(matches!(action, GroupAction::Remove(_)));
                self.gives += u64::from(matches!(action, GroupAction::Give(_)));
            }
            self.shown += heard.len() as u64;
            let promised = said.values().map(|said| said.promised(person, world).count() as u64);
            self.promised += promised.sum::<u64>();
            for (id, views) in views {
                let has_joined = |pair: &&[GroupView]| !pair[0].is_joined() && pair[1].is_joined();
                let joins = views.windows(2).filter(has_joined).count() as u64;
                self.came_back += joins.saturating_sub(1);
                for group in views.iter().filter_map(|view| view.state.as_ref()) {
                    let RosterRef { number, hash } = group.roster.reference();
                    rosters.entry((*id, number)).or_default().insert(hash);
                    if group.roster.roster().joined().count() >= 3 {
                        formed.insert(*id);
                    }
                }
            }
        }
        self.formed += formed.len() as u64;
        self.conflicts += rosters.values().filter(|hashes| hashes.len() > 1).count() as u64;
    }

    /// Adds the observations of other runs.
    pub(crate) fn join(&mut self, other: &GroupsSeen) {
        for (sum, more) in [
            (&mut self.formed, other.formed),
            (&mut self.removals, other.removals),
            (&mut self.gives, other.gives),
            (&mut self.came_back, other.came_back),
            (&mut self.conflicts, other.conflicts),
            (&mut self.shown, other.shown),
            (&mut self.promised, other.promised),
        ] {
            *sum += more;
        }
    }

    pub(crate) fn assert_that_they_were_worth_it(&self, worlds: u64) {
        assert!(self.formed * 2 > worlds);
        assert!(self.removals * 2 > worlds && self.gives * 2 > worlds);
        assert!(self.came_back * 4 > worlds && self.conflicts * 4 > worlds);
        assert!(self.shown > worlds * 20 && self.promised > worlds * 5);
    }
}
