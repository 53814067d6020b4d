//! The properties that must always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::faults::Hit;
use crate::people::{ChatHistory, Person};
use crate::world::{Plan, World};

/// Checks every promise at the end of a world.
pub(crate) fn check(world: &World) {
    each_acknowledged_broadcast_was_shown_once_to_everybody(world);
    no_number_and_no_time_names_two_broadcasts(world);
    no_message_was_lost_doubled_or_reordered(world);
    every_request_was_answered(world);
    if world.plan != Plan::FewPlaces {
        everybody_is_back(world);
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
            assert_eq!(*times, 1, "{} was shown {text:?} {times} times", person.name);
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

fn no_message_was_lost_doubled_or_reordered(world: &World) {
    for sender in &world.people {
        for (with, chats) in &sender.history.chats {
            let receiver = world.people.iter().find(|person| person.name == *with).unwrap();
            let heard: Vec<&String> = receiver
                .history
                .chats
                .get(&sender.name)
                .into_iter()
                .flatten()
                .flat_map(|chat| &chat.received)
                .collect();
            check_stream(sender, receiver, chats, &heard);
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
    let heard: BTreeSet<&String> = heard.iter().copied().collect();
    for chat in chats {
        for text in &chat.sent {
            let named = chat.undelivered.contains(text);
            assert!(
                heard.contains(text) || named,
                "{text:?} to {} was lost and not named (chat closed: {})",
                receiver.name,
                chat.closed
            );
        }
    }
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
    assert_eq!(world.server.members(), world.people.len());
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
        for person in &world.people {
            let history = &person.history;
            self.broadcasts += history.acknowledged.len() as u64;
            let chats = history.chats.values().flatten();
            self.messages += chats.map(|chat| chat.received.len() as u64).sum::<u64>();
            self.opened += history.opened;
            self.resumed += history.resumed;
            self.returned += history.returned;
        }
    }

    /// Adds the observations of other runs.
    pub(crate) fn join(&mut self, other: Seen) {
        for (hit, worlds) in other.hit {
            *self.hit.entry(hit).or_default() += worlds;
        }
        for (sum, more) in [
            (&mut self.worlds, other.worlds),
            (&mut self.broadcasts, other.broadcasts),
            (&mut self.messages, other.messages),
            (&mut self.opened, other.opened),
            (&mut self.resumed, other.resumed),
            (&mut self.returned, other.returned),
            (&mut self.over_udp, other.over_udp),
            (&mut self.idled, other.idled),
            (&mut self.forgotten, other.forgotten),
        ] {
            *sum += more;
        }
    }

    pub(crate) fn assert_that_the_runs_were_worth_it(&self) {
        for hit in Hit::ALL {
            let worlds = self.hit.get(hit).copied().unwrap_or(0);
            assert!(worlds * 2 > self.worlds, "{hit:?} in {worlds} of {} worlds", self.worlds);
        }
        assert!(self.broadcasts > self.worlds * 5);
        assert!(self.opened > self.worlds);
        assert!(self.messages > self.worlds);
        assert!(self.resumed > self.worlds);
        assert!(self.over_udp > self.worlds);
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
             {} broadcasts expired; hit by",
            self.idled, self.forgotten
        )?;
        self.hit.iter().try_for_each(|(hit, worlds)| writeln!(f, "  {hit:?} in {worlds}"))
    }
}
