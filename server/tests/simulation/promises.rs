//! What must hold, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use crate::people::{ChatHistory, Person};
use crate::world::{Plan, World};

/// Checks every promise at the end of a world.
pub(crate) fn check(world: &World) {
    each_acknowledged_broadcast_was_shown_exactly_once_to_everybody(world);
    no_number_and_no_time_names_two_broadcasts(world);
    no_message_was_lost_doubled_or_reordered(world);
    every_request_was_answered(world);
    if world.plan == Plan::Everything {
        everybody_is_back(world);
    }
}

fn each_acknowledged_broadcast_was_shown_exactly_once_to_everybody(world: &World) {
    for person in &world.people {
        let mut times_shown: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, _, _, text) in &person.history.shown {
            *times_shown.entry(text).or_default() += 1;
        }
        for (text, times) in &times_shown {
            assert_eq!(*times, 1, "{} was shown {text:?} {times} times", person.name);
        }
        if world.plan == Plan::FewPlaces && !person.is_logged_in() {
            continue; // somebody has to stay outside
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

/// What all runs together have seen: a promise that nothing endangers proves nothing.
#[derive(Default)]
pub(crate) struct Seen {
    worlds: u64,
    deaths: u64,
    broadcasts: usize,
    messages: usize,
    opened: u64,
    resumed: u64,
    returned: u64,
    lost: u64,
    doubled: u64,
    overtaken: u64,
    over_udp: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, world: &World) {
        self.worlds += 1;
        self.deaths += world.server.deaths;
        self.over_udp += world.server.datagrams_worked;
        self.lost += world.datagrams.lost;
        self.doubled += world.datagrams.doubled;
        self.overtaken += world.datagrams.overtaken;
        for person in &world.people {
            let history = &person.history;
            self.broadcasts += history.acknowledged.len();
            self.messages +=
                history.chats.values().flatten().map(|chat| chat.received.len()).sum::<usize>();
            self.opened += history.opened;
            self.resumed += history.resumed;
            self.returned += history.returned;
        }
    }

    pub(crate) fn assert_that_the_run_was_worth_it(&self) {
        println!(
            "{} worlds: {} deaths of the server, {} logins, {} broadcasts, {} chat ends opened, \
             {} resumed, {} messages, {} times UDP was proven, {} datagrams lost, {} doubled, \
             {} overtaken",
            self.worlds,
            self.deaths,
            self.returned,
            self.broadcasts,
            self.opened,
            self.resumed,
            self.messages,
            self.over_udp,
            self.lost,
            self.doubled,
            self.overtaken
        );
        assert!(self.deaths > self.worlds / 2);
        assert!(self.broadcasts as u64 > self.worlds * 5);
        assert!(self.opened > self.worlds);
        assert!(self.messages as u64 > self.worlds);
        assert!(self.resumed > self.worlds / 10);
        assert!(self.over_udp > self.worlds);
        assert!(self.lost > self.worlds && self.doubled > self.worlds);
        assert!(self.overtaken > self.worlds);
    }
}
