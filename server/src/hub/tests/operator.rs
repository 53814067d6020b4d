//! The operator's commands and their answers.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Secret;

use super::*;

impl TestHub {
    fn operate(&mut self, operator: Operator) -> OperatorAnswer {
        let answers = |effect: &Effect| match effect {
            Effect::Answer(answer) => Some(answer.clone()),
            _ => None,
        };
        let effects = self.put(Input::Operator(operator));
        let answers: Vec<OperatorAnswer> = effects.iter().filter_map(answers).collect();
        let [answer] = answers.as_slice() else { panic!("not one answer: {answers:?}") };
        answer.clone()
    }

    fn page(&mut self, after: Option<&str>) -> SessionPage {
        let after = after.map(|name| name.parse().unwrap());
        match self.operate(Operator::List { after }) {
            OperatorAnswer::Sessions(page) => page,
            answer => panic!("{answer:?}"),
        }
    }

    pub(super) fn stats(&mut self) -> Stats {
        match self.operate(Operator::Stats) {
            OperatorAnswer::Stats(stats) => stats,
            answer => panic!("{answer:?}"),
        }
    }

    /// Logs in a person who types.
    fn hand(&mut self, name: &str, from: &str) -> ConnectionId {
        let connection = self.arrive(from);
        self.secure(connection);
        for line in ["HELLO", "LOGIN", name, "correct horse"] {
            self.line(connection, Frame::line(line));
        }
        let result = Ok(Verdict::Accepted);
        self.put(Input::Stored(StoreAnswer::Checked { connection, result }));
        connection
    }
}

fn names(page: &SessionPage) -> Vec<&str> {
    page.sessions.iter().map(|session| session.username.as_str()).collect()
}

#[test]
fn list_has_all_that_is_known_of_a_program_and_a_person() {
    let mut server = TestHub::empty();
    let (alice, welcome) = server.member("alice", "10.0.0.1");
    server.prove_udp(&welcome);
    let alice_since = server.now.wall_ms;
    server.pass(40_000);
    server.hand("harry", "10.0.0.2");
    let harry_since = server.now.wall_ms;
    server.say(alice, &Request::Active);
    server.pass(5_000);
    server.arrive("10.0.0.3");
    let page = server.page(None);
    let program = SessionSummary {
        username: "alice".parse().unwrap(),
        address: "10.0.0.1".parse().unwrap(),
        port: Some(4401),
        by_hand: false,
        since_wall_ms: alice_since,
        logged_in_ms: 45_000,
        at: SessionPlace::Here { idle_ms: 5_000, datagrams: true },
    };
    let person = SessionSummary {
        username: "harry".parse().unwrap(),
        address: "10.0.0.2".parse().unwrap(),
        port: None,
        by_hand: true,
        since_wall_ms: harry_since,
        logged_in_ms: 5_000,
        at: SessionPlace::Here { idle_ms: 5_000, datagrams: false },
    };
    assert_eq!(page.sessions, [program, person]);
    assert!(!page.more);
    assert_eq!(page.occupancy, Occupancy { taken: 2, places: 50, before_login: 1 });
}

#[test]
fn a_long_list_comes_in_pages_of_which_none_is_long() {
    let settings = Settings { places: 5_000, ..Settings::default() };
    let mut server = TestHub::new(settings, 0, "");
    let mut expected: Vec<String> = (0..1_200).map(|n| format!("user{n}")).collect();
    for name in &expected {
        server.member(name, "10.0.0.1");
    }
    expected.sort();
    let mut listed: Vec<String> = Vec::new();
    loop {
        let page = server.page(listed.last().map(String::as_str));
        assert!((1..=500).contains(&page.sessions.len()), "{} in a page", page.sessions.len());
        assert_eq!(page.occupancy.taken, 1_200);
        listed.extend(names(&page).iter().map(|name| (*name).to_owned()));
        if !page.more {
            break;
        }
    }
    assert_eq!(listed, expected);
}

#[test]
fn operators_words_reach_exactly_those_who_are_logged_in() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    let harry = server.hand("harry", "10.0.0.2");
    let waiting = server.arrive("10.0.0.3");
    server.secure(waiting);
    let text = || "back in five minutes".to_owned();
    let answer = server.operate(Operator::Say(text()));
    assert_eq!(answer, OperatorAnswer::Said { text: text(), recipients: 2, later: Vec::new() });
    assert_eq!(notices(&server.effects, alice), [Notice::Say(text())]);
    let line = b"* Server: back in five minutes\n".to_vec();
    let to_harry = Effect::Send { connection: harry, bytes: line };
    assert!(server.effects.contains(&to_harry), "{:?}", server.effects);
    assert_eq!(said(&server.effects, waiting), []);
}

#[test]
fn a_kick_tells_why_closes_and_frees_the_place() {
    let settings = Settings { places: 1, ..Settings::default() };
    let mut server = TestHub::new(settings, 0, "");
    let (alice, _) = server.member("alice", "10.0.0.1");
    let username = || "alice".parse().unwrap();
    let answer = server.operate(Operator::Kick(username()));
    assert_eq!(answer, OperatorAnswer::Kicked { username: username(), later: Vec::new() });
    assert_eq!(notices(&server.effects, alice), [Notice::Closing(Closing::Kicked)]);
    assert!(closes(&server.effects, alice));
    let again = server.operate(Operator::Kick(username()));
    assert_eq!(again, OperatorAnswer::NotHere { username: username(), server: None });
    server.member("bob", "10.0.0.2");
    assert_eq!(names(&server.page(None)), ["bob"]);
}

#[test]
fn nobody_is_kicked_for_somebody_else() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    let nobody = || "nobody".parse().unwrap();
    let answer = server.operate(Operator::Kick(nobody()));
    assert_eq!(answer, OperatorAnswer::NotHere { username: nobody(), server: None });
    assert!(!closes(&server.effects, alice));
    assert_eq!(names(&server.page(None)), ["alice"]);
}

#[test]
fn the_statistics_count_what_has_happened_since_the_start() {
    let settings = Settings { places: 1, ..Settings::default() };
    let mut server = TestHub::new(settings, 3, "kept from before");
    let start = server.now.wall_ms;
    assert_eq!(server.stats().tally, Tally::default());

    let (alice, welcome) = server.member("alice", "10.0.0.1");
    server.prove_udp(&welcome);
    server.say(alice, &Request::Broadcast { text: "hi".into() });
    server.committed();
    server.say(alice, &Request::Broadcast { text: "lost".into() });
    let result = Err(crate::store::Unavailable);
    server.put(Input::Stored(StoreAnswer::Appended { result }));
    let turned_away = server.arrive("10.0.0.2");
    server.secure(turned_away);
    server.arrive("10.0.0.3");
    server.pass(5_000);

    let stats = server.stats();
    let Stats { since_wall_ms, up_ms, occupancy, broadcasts_kept, last_broadcast, .. } = stats;
    let tally = stats.tally;
    assert_eq!(stats.relays, 0);
    assert_eq!((since_wall_ms, up_ms), (start, 5_000));
    assert_eq!(occupancy, Occupancy { taken: 1, places: 1, before_login: 1 });
    assert_eq!((broadcasts_kept, last_broadcast), (4, 4));
    assert!(tally.bytes_sent > 100, "{tally:?}");
    let expected = Tally {
        envelopes_posted: 0,
        envelopes_delivered: 0,
        connections: 3,
        turned_away: 1,
        sign_ups: 0,
        logins_accepted: 1,
        logins_refused: 0,
        broadcasts: 1,
        store_failures: 1,
        // HELLO, KEY and two broadcasts.
        lines_heard: 4,
        bytes_sent: tally.bytes_sent,
        datagrams_heard: 2,
        // A challenge, the head, a broadcast and the head four times.
        datagrams_sent: 7,
    };
    assert_eq!(tally, expected);
}

#[test]
fn sign_ups_and_refused_logins_are_counted() {
    let mut server = TestHub::empty();
    let person = server.arrive("10.0.0.1");
    server.secure(person);
    for line in ["HELLO", "SIGNUP", "harry", "correct horse", "correct horse"] {
        server.line(person, Frame::line(line));
    }
    let result = Ok(crate::store::Created::New);
    server.put(Input::Stored(StoreAnswer::SignedUp { connection: person, result }));
    for line in ["LOGIN", "harry", "battery staple"] {
        server.line(person, Frame::line(line));
    }
    let result = Ok(Verdict::Refused);
    server.put(Input::Stored(StoreAnswer::Checked { connection: person, result }));
    let tally = server.stats().tally;
    assert_eq!((tally.sign_ups, tally.logins_refused, tally.logins_accepted), (1, 1, 0));
}

#[test]
fn what_the_store_could_not_do_is_recorded_as_a_verb() {
    let mut server = TestHub::empty();
    let failed = |server: &mut TestHub, answer: StoreAnswer| {
        let effects = server.put(Input::Stored(answer)).to_vec();
        let what = effects.iter().find_map(|effect| match effect {
            Effect::Record(Record::StoreFailed { what }) => Some(*what),
            _ => None,
        });
        what.unwrap()
    };
    let connection = server.arrive("10.0.0.1");
    server.secure(connection);
    for line in ["HELLO", "SIGNUP", "harry", "correct horse", "correct horse"] {
        server.line(connection, Frame::line(line));
    }
    let signed_up = StoreAnswer::SignedUp { connection, result: Err(crate::store::Unavailable) };
    assert_eq!(failed(&mut server, signed_up), "make an account");
    for line in ["LOGIN", "harry", "battery staple"] {
        server.line(connection, Frame::line(line));
    }
    let checked = StoreAnswer::Checked { connection, result: Err(crate::store::Unavailable) };
    assert_eq!(failed(&mut server, checked), "judge a login");

    let (alice, _) = server.member("alice", "10.0.0.2");
    server.say(alice, &Request::Broadcast { text: "hi".into() });
    let appended = StoreAnswer::Appended { result: Err(crate::store::Unavailable) };
    assert_eq!(failed(&mut server, appended), "keep a broadcast");
    let secret = |text: &str| Secret(text.into());
    let (password, new) = (secret("correct horse"), secret("other horse"));
    server.say(alice, &Request::ChangePassword { password, repeated: new.clone(), new });
    let result = Err(crate::store::Unavailable);
    let username = "alice".parse().unwrap();
    let changed = StoreAnswer::PasswordChanged { connection: alice, username, result };
    assert_eq!(failed(&mut server, changed), "change a password");
}

#[test]
fn stopping_tells_everybody_answers_nothing_and_ends() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    let harry = server.hand("harry", "10.0.0.2");
    let effects = server.put(Input::Operator(Operator::Stop)).to_vec();
    assert_eq!(notices(&effects, alice), [Notice::Closing(Closing::Terminated)]);
    let farewell = b"* Server: terminated.\n".to_vec();
    assert!(effects.contains(&Effect::Send { connection: harry, bytes: farewell }));
    assert!(closes(&effects, alice) && closes(&effects, harry));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Answer(_))));
    assert_eq!(effects.last(), Some(&Effect::Stopped));
}

#[test]
fn stop_answers_the_commit_under_way_and_begins_no_other() {
    let text = |text: &str| Request::Broadcast { text: text.into() };
    for result in [Ok(1), Err(crate::store::Unavailable)] {
        let mut server = TestHub::empty();
        let [alice, bob, carol] =
            ["alice", "bob", "carol"].map(|name| server.member(name, "10.0.0.1").0);
        server.say(alice, &text("committing"));
        server.say(bob, &text("waiting"));
        for _ in 0..2 {
            assert_eq!(server.put(Input::Operator(Operator::Stop)), []);
        }
        let late = server.say(carol, &text("late"));
        assert!(matches!(late, [Effect::Record(_)]), "{late:?}");

        let effects = server.put(Input::Stored(StoreAnswer::Appended { result })).to_vec();
        let code = if result.is_ok() { Code::Ok } else { Code::StoreUnavailable };
        for (client, answers) in [(alice, vec![code]), (bob, vec![]), (carol, vec![])] {
            let replies: Vec<Code> = replies(&effects, client).iter().map(|r| r.code).collect();
            assert_eq!(replies, answers);
            let farewell = FromServer::Notice(Notice::Closing(Closing::Terminated));
            assert_eq!(said(&effects, client).last(), Some(&farewell));
            let heard = notices(&effects, client).len() - 1;
            assert_eq!(heard, usize::from(result.is_ok()), "the committed broadcast");
        }
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Store(_))));
        assert_eq!(effects.last(), Some(&Effect::Stopped));
    }
}

#[test]
fn last_accepted_broadcast_comes_before_the_farewell() {
    let mut server = TestHub::empty();
    let (alice, welcome) = server.member("alice", "10.0.0.1");
    server.prove_udp(&welcome);
    let (bob, _) = server.member("bob", "10.0.0.2");
    let broadcast = |server: &mut TestHub, text: &str| {
        server.say(alice, &Request::Broadcast { text: text.into() });
        server.committed();
    };
    broadcast(&mut server, "long ago");
    server.put(Input::Drained { connection: bob });
    server.pass(10_000);
    // Alice gets both as datagrams; for Bob the second waits until the first has drained.
    broadcast(&mut server, "first");
    broadcast(&mut server, "second");
    let effects = server.put(Input::Operator(Operator::Stop)).to_vec();
    let told = |who| -> Vec<String> {
        let told = notices(&effects, who).into_iter().map(|notice| match notice {
            Notice::Broadcast { entry, .. } => entry.text,
            Notice::Closing(closing) => closing.sentence().to_owned(),
            other => panic!("{other:?}"),
        });
        told.collect()
    };
    assert_eq!(told(alice), ["first", "second", "Server: terminated."]);
    assert_eq!(told(bob), ["second", "Server: terminated."]);
}
