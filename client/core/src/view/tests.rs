use super::*;
use proptest::prelude::*;

const PEOPLE: [&str; 3] = ["bob", "carol", "dave"];

fn names(names: &[&str]) -> Vec<Username> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn person(name: &str) -> ConversationId {
    ConversationId::Person(name.parse().unwrap())
}

/// Returns a message in the conversation with this peer, who sends or receives it.
fn message(with: &str, number: u64, own: bool, text: &str) -> Event {
    Event::Message {
        from: if own { "alice" } else { with }.parse().unwrap(),
        number: Some(number),
        text: text.into(),
        time_ms: number,
        sent_ms: number,
        conversation: person(with),
        id: MessageId::of_broadcast(1, number),
        own,
        device: None,
        via: Via::Direct,
    }
}

/// Returns a state in which plain lines go to this peer, or are commands.
fn typing_to(with: Option<&str>) -> Event {
    let typing = with.map_or(Typing::Commands, |with| Typing::Chat(with.parse().unwrap()));
    let username = Some("alice".parse().unwrap());
    Event::State(Box::new(SessionState { typing, username, ..SessionState::default() }))
}

#[test]
fn people_are_those_of_the_last_list_and_who_came_since() {
    let mut view = View::default();
    view.apply(&Event::Joined { usernames: names(&["zoe"]), count: 1 });
    view.apply(&Event::People(names(&["alice", "bob"])));
    view.apply(&Event::Joined { usernames: names(&["carol"]), count: 1 });
    view.apply(&Event::Left { usernames: names(&["bob"]), count: 1 });
    assert_eq!(view.people, names(&["alice", "carol"]).into_iter().collect());
}

#[test]
fn crowd_beyond_the_limit_is_not_kept() {
    let crowd: Vec<Username> =
        (0..MAX_PEOPLE + 9).map(|n| format!("user{n}").parse().unwrap()).collect();
    let mut view = View::default();
    view.apply(&Event::People(crowd));
    assert_eq!(view.people.len(), MAX_PEOPLE);
}

#[test]
fn conversations_and_their_messages_are_bounded() {
    let mut view = View::default();
    let long = "x".repeat(1_000);
    for number in 0..10_000 {
        let with = format!("user{}", number % 500);
        view.apply(&message(&with, number, false, &long));
    }
    assert_eq!(view.conversations.len(), MAX_CONVERSATIONS);
    assert!(view.conversations.contains_key(&person("user499")), "the newest one stays");
    for number in 0..MAX_RECENT as u64 * 2 {
        view.apply(&message("bob", 10_000 + number, false, "short"));
        view.apply(&message("carol", 10_000 + number, false, &long));
    }
    assert_eq!(view.conversations[&person("bob")].recent.len(), MAX_RECENT);
    assert_eq!(view.conversations[&person("carol")].recent.len(), MAX_RECENT_BYTES / 1_000);
}

#[test]
fn own_message_has_the_state_that_was_told_last() {
    let mut view = View::default();
    view.apply(&message("bob", 1, true, "hello"));
    view.apply(&Event::MessageState {
        conversation: person("bob"),
        id: MessageId::of_broadcast(1, 1),
        to: None,
        state: MessageState::Delivered,
        via: Via::Direct,
        code: None,
        is_news: false,
    });
    let said = &view.conversations[&person("bob")].recent[0];
    assert_eq!((said.own, said.state), (true, Some(MessageState::Delivered)));
}

#[test]
fn history_comes_before_the_messages_that_are_there() {
    let mut view = View::default();
    let old = |number, text: &str| HistoryMessage::of(&message("bob", number, false, text));
    view.apply(&message("bob", 3, false, "three"));
    let history = [old(1, "one"), old(2, "two"), old(3, "three")];
    view.apply(&Event::History(history.into_iter().flatten().collect()));
    let bob = &view.conversations[&person("bob")];
    let texts: Vec<&str> = bob.recent.iter().map(|one| one.text.as_str()).collect();
    assert_eq!((texts, bob.earlier, bob.unread), (vec!["one", "two", "three"], 2, 1));

    let much = (0..2 * MAX_RECENT as u64).filter_map(|number| old(10 + number, "much"));
    view.apply(&Event::History(much.collect()));
    assert_eq!(view.conversations[&person("bob")].recent.len(), MAX_RECENT);
    for number in 0..MAX_RECENT as u64 {
        view.apply(&message("bob", 1_000 + number, false, "new"));
    }
    assert_eq!(view.conversations[&person("bob")].earlier, 0);
}

#[test]
fn another_account_has_conversations_of_its_own() {
    let mut view = View::default();
    view.apply(&typing_to(None));
    view.apply(&message("bob", 1, false, "for alice"));
    let state = |username| Box::new(SessionState { username, ..SessionState::default() });
    view.apply(&Event::State(state(None)));
    assert_eq!(view.conversations.len(), 1, "they are shown after logging out");
    view.apply(&Event::State(state(Some("mallory".parse().unwrap()))));
    assert!(view.conversations.is_empty());
}

proptest! {
    /// Compares with a model that counts the messages since each conversation was current.
    #[test]
    fn unread_is_what_came_since_it_was_last_current(
        steps in prop::collection::vec((0_usize..4, 0_usize..3), 0..80),
    ) {
        let mut view = View::default();
        view.apply(&typing_to(None));
        let (mut unread, mut current) = ([0_u64; 3], None);
        for (number, (step, with)) in steps.into_iter().enumerate() {
            let event = match step {
                0 | 1 => {
                    unread[with] += u64::from(current != Some(with));
                    message(PEOPLE[with], number as u64, false, "heard")
                }
                2 => {
                    unread[with] = 0;
                    message(PEOPLE[with], number as u64, true, "said")
                }
                _ => {
                    current = (current != Some(with)).then_some(with);
                    current.into_iter().for_each(|with| unread[with] = 0);
                    typing_to(current.map(|with| PEOPLE[with]))
                }
            };
            view.apply(&event);
            for (with, unread) in PEOPLE.iter().zip(unread) {
                let shown = view.conversations.get(&person(with)).map_or(0, |one| one.unread);
                prop_assert_eq!(shown, unread, "with {}", with);
            }
        }
    }
}
