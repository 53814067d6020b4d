//! The properties that must always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use letschat_core::conversation::{MessageState, Via};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::classroom;
use crate::faults::Hit;
use crate::group_promises::{self, GroupsSeen};
use crate::history::{ChatHistory, Heard, Own};
use crate::people::Person;
use crate::world::{Plan, World};

/// Checks every promise at the end of a world.
pub(crate) fn check(world: &World) {
    each_acknowledged_broadcast_was_shown_once_to_everybody(world);
    no_number_and_no_time_names_two_broadcasts(world);
    no_message_of_a_chat_was_doubled_or_reordered(world);
    each_message_was_shown_once_or_its_author_knows(world);
    what_the_server_delivered_reached_every_device(world);
    messages_outside_of_chats_keep_their_order(world);
    every_request_was_answered(world);
    if world.plan != Plan::FewPlaces {
        everybody_is_back(world);
        everybody_holds_one_list_of_each_account(world);
    }
    if world.plan == Plan::Classroom {
        classroom::check(world);
    }
    if world.plan == Plan::Groups {
        group_promises::check(world);
    }
    if world.plan == Plan::LongAfter {
        world.check_that_all_has_expired();
    }
}

fn each_acknowledged_broadcast_was_shown_once_to_everybody(world: &World) {
    for person in &world.people {
        let mut times_shown: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, _, _, text) in &person.history.shown {
            *times_shown.entry(text).or_default() += 1;
        }
        for (text, times) in &times_shown {
            // A client that ends forgets what it was just showing, and one that is killed up to a second of it.
            let most = 1 + person.history.kills + person.history.quits;
            assert!(*times <= most, "{} was shown {text:?} {times} times", person.name);
        }
        if world.plan == Plan::FewPlaces && !person.is_logged_in() {
            continue; // with too few places, someone is always refused
        }
        for text in world.people.iter().flat_map(|other| &other.history.acknowledged) {
            assert!(times_shown.contains_key(text.as_str()), "{} never saw {text:?}", person.name);
        }
    }
}

fn no_number_and_no_time_names_two_broadcasts(world: &World) {
    let mut by_number = BTreeMap::new();
    let mut by_time = BTreeMap::new();
    for (number, sender, time, text) in world.people.iter().flat_map(|person| &person.history.shown)
    {
        let same = by_number.entry(number).or_insert((sender, time, text));
        assert_eq!(*same, (sender, time, text), "number {number} names two broadcasts");
        let same = by_time.entry((sender, time)).or_insert(text);
        assert_eq!(*same, text, "{sender} said two things at {time}");
    }
    let mut last_times = BTreeMap::new();
    for (number, (sender, time, _)) in by_number {
        let last = last_times.insert(sender, time);
        assert!(last < Some(time), "{sender}'s time does not increase at number {number}");
    }
}

fn no_message_of_a_chat_was_doubled_or_reordered(world: &World) {
    for sender in &world.people {
        for (with, chats) in &sender.history.chats {
            for receiver in world.devices_of(with) {
                let received = receiver.history.chats.get(&sender.name).into_iter().flatten();
                let received = received.flat_map(|chat| &chat.received);
                let heard = received.filter(|text| text.starts_with(&sender.voice()));
                check_stream(sender, receiver, chats, &heard.collect::<Vec<_>>());
            }
        }
    }
}

fn check_stream(sender: &Person, receiver: &Person, chats: &[ChatHistory], heard: &[&String]) {
    let said: Vec<&String> = chats.iter().flat_map(|chat| &chat.sent).collect();
    let mut expected = said.iter();
    for text in heard {
        assert!(
            expected.any(|said| said == text),
            "{} heard {text:?} of {} doubled or out of order: {heard:?} of {said:?}",
            receiver.name,
            sender.name
        );
    }
}

/// Checks the guarantee: each message is shown once, or its author learns that it may not have arrived. A client that
/// is killed may show a message twice, and forgets those of a direct chat that were not confirmed.
fn each_message_was_shown_once_or_its_author_knows(world: &World) {
    for receiver in &world.people {
        // A client that quits does not wait for a slow front end, as there may be in a classroom.
        let is_class = world.plan == Plan::Classroom;
        let quits = if is_class { receiver.history.quits } else { 0 };
        check_times(receiver, &receiver.history.heard, 1 + receiver.history.kills + quits);
    }
    for author in &world.people {
        for (id, own) in &author.history.own {
            let was_shown = world.devices_of(&own.to).any(|device| device.has_heard(*id));
            match own.state {
                MessageState::Delivered => assert!(was_shown, "{:?} was never shown", own.text),
                MessageState::Waiting | MessageState::Failed | MessageState::Expired => {}
                MessageState::Sent | MessageState::Kept => {
                    let is_away = |device: &Person| !device.is_logged_in();
                    let is_excused = !own.is_by_listed
                        || world.was_held(own, &author.name)
                        || own.via == Via::Direct && author.history.kills > 0
                        || world.plan == Plan::FewPlaces && world.devices_of(&own.to).any(is_away);
                    assert!(
                        was_shown || is_excused,
                        "{:?} to {} by {:?} was lost, and is {:?} to its author",
                        own.text,
                        own.to,
                        own.via,
                        own.state
                    );
                }
            }
        }
    }
}

/// Checks that a device was shown none of these messages more often than that.
pub(crate) fn check_times(receiver: &Person, heard: &[Heard], most: u64) {
    let mut times: BTreeMap<(&Username, MessageId), u64> = BTreeMap::new();
    for Heard { from, id, .. } in heard {
        *times.entry((from, *id)).or_default() += 1;
    }
    for ((from, id), times) in &times {
        assert!(*times <= most, "{} was shown {id} of {from} {times} times", receiver.name);
    }
}

/// Checks that what reached one device through the server reached all of that account, and the author's others.
fn what_the_server_delivered_reached_every_device(world: &World) {
    for author in &world.people {
        for (id, own) in &author.history.own {
            let by_server = |heard: &Heard| {
                heard.id == *id && heard.from == author.name && heard.via == Via::Server
            };
            let mut theirs = world.devices_of(&own.to);
            if !theirs.any(|device| device.history.heard.iter().any(by_server)) {
                continue;
            }
            let is_one = |device: &&Person| {
                // With too few places, someone is always refused.
                let is_here = world.plan != Plan::FewPlaces || device.is_logged_in();
                is_here && own.devices.contains(&device.public_key())
            };
            for device in world.devices_of(&own.to).filter(is_one) {
                let is_there =
                    device.has_heard(*id) || !own.is_by_listed || world.was_held(own, &author.name);
                assert!(is_there, "{:?} never reached {}", own.text, device.voice());
            }
            for device in world.devices_of(&author.name).filter(is_one) {
                let is_there = device.history.copies.contains(id);
                assert!(is_there, "no copy of {:?} reached {}", own.text, device.voice());
            }
        }
    }
}

/// Checks that all devices are listed, and that everybody holds the server's list of every account, or an earlier one.
fn everybody_holds_one_list_of_each_account(world: &World) {
    for person in &world.people {
        let list = world.server.store.device_list(&person.name).expect("each account has a list");
        assert!(list.contains(&person.public_key()), "{} is not listed", person.voice());
        assert_eq!(person.disk.lists().get(&person.name), Some(list), "{}", person.voice());
    }
    for person in &world.people {
        for (account, held) in person.disk.lists() {
            let list = world.server.store.device_list(account).expect("it is of an account");
            let is_of_it = list.hash_of(held.number()) == Some(held.hash());
            assert!(is_of_it, "{} holds another list of {account}", person.voice());
        }
    }
}

impl World {
    pub(crate) fn devices_of(&self, account: &Username) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(move |person| person.name == *account)
    }

    /// Returns true if the recipient may have dropped a message, since its author was a stranger.
    fn was_held(&self, own: &Own, author: &Username) -> bool {
        self.devices_of(&own.to).any(|device| {
            let decided = device.history.strangers.get(author);
            decided.is_some_and(|at_ms| at_ms.is_none_or(|at_ms| own.written_ms <= at_ms))
        })
    }
}

impl Person {
    fn has_heard(&self, id: MessageId) -> bool {
        self.history.heard.iter().any(|heard| heard.id == id)
    }
}

/// Checks that messages of one author, through the server or straight, are shown in the order in which they were
/// written. Those that fell back from a chat are older. Those that come straight overtake what a server has taken and
/// could not hand over before it went away.
fn messages_outside_of_chats_keep_their_order(world: &World) {
    for author in &world.people {
        for receiver in &world.people {
            check_order(&receiver.history.heard, |Heard { from, id, via }| {
                let own = author.history.own.get(id).filter(|own| own.via != Via::Direct);
                let is_outside = *from == author.name && *via != Via::Direct;
                own.filter(|_| is_outside).map(|own| own.text.as_str())
            });
        }
    }
}

/// Checks that the messages of one device, which have these texts, were shown in the order of their numbers. Those that
/// came straight are checked apart.
pub(crate) fn check_order<'a>(heard: &[Heard], text_of: impl Fn(&Heard) -> Option<&'a str>) {
    let (mut seen, mut last) = (BTreeSet::new(), [0; 2]);
    for one in heard {
        let Some(text) = text_of(one).filter(|_| seen.insert(one.id)) else {
            continue;
        };
        let (number, route) = (number_of(text), usize::from(one.via == Via::Peer));
        let last = std::mem::replace(&mut last[route], number);
        assert!(number > last, "{text:?} came after number {last}");
    }
}

/// Returns the number in a text such as `person3 says 17`.
pub(crate) fn number_of(text: &str) -> u64 {
    text.split(' ').nth(2).and_then(|number| number.parse().ok()).expect("texts are numbered")
}

fn every_request_was_answered(world: &World) {
    for person in &world.people {
        let open: Vec<_> = person.open_requests.values().collect();
        let waits_for_a_place = world.plan == Plan::FewPlaces && !person.is_logged_in();
        assert!(open.is_empty() || waits_for_a_place, "{} still waits for {open:?}", person.name);
    }
}

fn everybody_is_back(world: &World) {
    for person in &world.people {
        assert!(person.is_logged_in(), "{} is not back", person.name);
    }
    assert!(world.server.members().all(|members| members == world.people.len()));
    assert_eq!(world.sessions(), world.people.len(), "a device is logged in twice");
}

/// Checks that two worlds with different wall clocks showed everybody the same in the same order.
pub(crate) fn check_that_the_same_was_seen(one: &World, other: &World) {
    for (one, other) in one.people.iter().zip(&other.people) {
        let shown = |person: &Person| -> Vec<(u64, String)> {
            let shown = person.history.shown.iter();
            shown.map(|(number, _, _, text)| (*number, text.clone())).collect()
        };
        assert_eq!(shown(one), shown(other), "{} was shown something else", one.name);
        assert_eq!(one.history.chats, other.history.chats, "{}'s chats went otherwise", one.name);
    }
}

/// The combined observations of all runs. A promise that no fault endangered proves nothing.
#[derive(Default)]
pub(crate) struct Seen {
    worlds: u64,
    /// The number of worlds in which each kind of fault took effect.
    hit: BTreeMap<Hit, u64>,
    broadcasts: u64,
    messages: u64,
    opened: u64,
    resumed: u64,
    returned: u64,
    /// Own messages of other devices that were shown.
    copies: u64,
    /// Messages through the server, and those of them that were delivered, were kept, or fell back from a chat.
    mailed: [u64; 4],
    /// Messages that came straight from their authors while the server was away.
    straight: u64,
    /// Lines to everyone in a classroom that were sent without the server.
    straight_lines: u64,
    groups: GroupsSeen,
    over_udp: u64,
    idled: u64,
    forgotten: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, world: &World) {
        self.worlds += 1;
        for hit in world.hits.keys() {
            *self.hit.entry(*hit).or_default() += 1;
        }
        self.over_udp += world.server.datagrams_worked;
        self.idled += world.ages.idled;
        self.forgotten += world.ages.forgotten;
        self.groups.add(world);
        for person in &world.people {
            let history = &person.history;
            self.broadcasts += history.acknowledged.len() as u64;
            self.straight_lines += history.class.straight();
            let chats = history.chats.values().flatten();
            self.messages += chats.map(|chat| chat.received.len() as u64).sum::<u64>();
            for own in history.own.values() {
                let is_delivered = own.state == MessageState::Delivered;
                self.mailed[0] += u64::from(own.via != Via::Direct);
                self.mailed[1] += u64::from(own.via != Via::Direct && is_delivered);
            }
            let straight = history.heard.iter().filter(|heard| heard.via == Via::Peer);
            self.straight += straight.count() as u64;
            let heard = history.heard.iter().filter(|heard| heard.via == Via::Server);
            for Heard { from, id, .. } in heard {
                let author = world.people.iter().find(|person| person.name == *from);
                let own = author.and_then(|author| author.history.own.get(id));
                let fell_back = own.is_some_and(|own| own.via == Via::Direct);
                self.mailed[2] += u64::from(own.is_some_and(|own| own.via == Via::Outbox));
                self.mailed[3] += u64::from(fell_back);
            }
            self.opened += history.opened;
            self.resumed += history.resumed;
            self.returned += history.returned;
            self.copies += history.copies.len() as u64;
        }
    }

    /// Adds the observations of other runs.
    pub(crate) fn join(&mut self, other: Seen) {
        self.groups.join(&other.groups);
        for (hit, worlds) in other.hit {
            *self.hit.entry(hit).or_default() += worlds;
        }
        for (sum, more) in self.mailed.iter_mut().zip(other.mailed) {
            *sum += more;
        }
        for (sum, more) in [
            (&mut self.worlds, other.worlds),
            (&mut self.broadcasts, other.broadcasts),
            (&mut self.messages, other.messages),
            (&mut self.opened, other.opened),
            (&mut self.resumed, other.resumed),
            (&mut self.returned, other.returned),
            (&mut self.copies, other.copies),
            (&mut self.straight, other.straight),
            (&mut self.straight_lines, other.straight_lines),
            (&mut self.over_udp, other.over_udp),
            (&mut self.idled, other.idled),
            (&mut self.forgotten, other.forgotten),
        ] {
            *sum += more;
        }
    }

    /// Checks that each of these kinds of faults took effect in most worlds.
    fn assert_that_they_hit(&self, hits: &[Hit]) {
        for hit in hits {
            let worlds = self.hit.get(hit).copied().unwrap_or(0);
            assert!(worlds * 2 > self.worlds, "{hit:?} in {worlds} of {} worlds", self.worlds);
        }
    }

    pub(crate) fn assert_that_the_runs_were_worth_it(&self) {
        self.assert_that_they_hit(Hit::ALL);
        assert!(self.broadcasts > self.worlds * 5);
        assert!(self.opened > self.worlds);
        assert!(self.messages > self.worlds);
        assert!(self.resumed > self.worlds);
        let [mailed, delivered, offline, fell_back] = self.mailed;
        assert!(mailed > self.worlds * 5 && delivered * 3 > mailed * 2);
        assert!(offline > self.worlds / 2 && fell_back > self.worlds / 10);
        assert!(self.straight > self.worlds / 4);
        assert!(self.over_udp > self.worlds && self.copies > self.worlds);
    }

    pub(crate) fn assert_that_the_class_was_worth_it(&self) {
        self.assert_that_they_hit(Hit::CLASSROOM);
        assert!(self.hit.contains_key(&Hit::KnockRefused));
        assert!(self.broadcasts > self.worlds && self.straight_lines > self.worlds);
    }

    pub(crate) fn assert_that_the_cluster_was_worth_it(&self) {
        self.assert_that_they_hit(Hit::CLUSTER);
        assert!(self.hit.get(&Hit::LoggedInTwice).is_some_and(|worlds| *worlds > 10));
        assert!(self.broadcasts > self.worlds * 5);
        let [mailed, delivered, ..] = self.mailed;
        assert!(mailed > self.worlds * 5 && delivered * 3 > mailed * 2);
    }

    pub(crate) fn assert_that_the_groups_were_worth_it(&self) {
        self.assert_that_they_hit(Hit::GROUPS);
        self.groups.assert_that_they_were_worth_it(self.worlds);
    }

    pub(crate) fn assert_that_things_expired(&self) {
        assert!(self.idled > self.worlds && self.forgotten > self.worlds);
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { worlds, broadcasts, messages, opened, resumed, returned, over_udp, .. } = self;
        writeln!(
            f,
            "{worlds} worlds: {returned} logins, {broadcasts} broadcasts, {opened} chat ends opened, \
             {resumed} resumed, {messages} messages, {over_udp} times UDP was proven, {} idled, \
             {} broadcasts expired; messages through the server, delivered, written offline, fallen \
             back from a chat: {:?}; straight from their authors: {}, to everyone: {}; copies for other devices: {}; {:?}; hit by",
            self.idled,
            self.forgotten,
            self.mailed,
            self.straight,
            self.straight_lines,
            self.copies,
            self.groups
        )?;
        self.hit.iter().try_for_each(|(hit, worlds)| writeln!(f, "  {hit:?} in {worlds}"))
    }
}
