//! POST: commits, outcomes and limits.

use letschat_protocol::dialogue::Outcome::{Kept, MailboxFull, NoDevice, Pushed, UnknownUser};

use super::*;

/// The retention period of the default settings.
const RETENTION_MS: u64 = 14 * DAY_MS;

fn lines(effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| match effect {
        Effect::Record(Record::Posted { username, to, others, bytes, outcome }) => {
            let to: Vec<&str> = to.iter().map(Username::as_str).collect();
            let (to, outcome) = (to.join(" "), outcome.name());
            Some(format!("{username} {to} +{others} {bytes} {outcome}"))
        }
        _ => None,
    };
    effects.iter().filter_map(line).collect()
}

#[test]
fn each_device_has_its_outcome_in_order() {
    let mut office = Office::new();
    let alice = office.device("alice", 1);
    let _bob = office.device("bob", 2);
    for (name, seed) in [("bob", 2), ("bob", 3)] {
        office.has_prekey(name, seed);
    }
    let _carol = office.device("carol", 4);
    let to = [("dave", 9), ("bob", 3), ("carol", 4), ("bob", 2), ("bob", 5)];
    let request = post(1, &to, 100);
    let Request::Post { envelope, .. } = &request else { unreachable!() };
    let bytes = envelope.len();
    let reply = office.ask(alice, &request);
    assert_eq!(outcomes(&reply), [UnknownUser, Kept, NoDevice, Pushed, NoDevice]);
    let until_ms = office.server.now.wall_ms + RETENTION_MS;
    assert_eq!(reply.last_line(), format!("{until_ms} 5"));
    assert_eq!(
        lines(&office.effects),
        [
            format!("alice bob +0 {bytes} pushed"),
            format!("alice dave +0 {bytes} unknown_user"),
            format!("alice carol +0 {bytes} no_device"),
        ]
    );
}

#[test]
fn envelope_to_160_strangers_is_one_line_of_the_log() {
    let mut office = Office::new();
    let (alice, _bob) = (office.device("alice", 1), office.device("bob", 2));
    office.has_prekey("bob", 2);
    let mut crowd = vec![("bob", 2), ("bob", 3)];
    let names: Vec<String> = (0..158).map(|n| format!("user{n}")).collect();
    crowd.extend(names.iter().map(|name| (name.as_str(), 9)));
    let request = post(1, &crowd, 50);
    let Request::Post { envelope, .. } = &request else { unreachable!() };
    let bytes = envelope.len();
    assert_eq!(office.ask(alice, &request).code, Code::Ok);
    assert_eq!(
        lines(&office.effects),
        [
            format!("alice bob +0 {bytes} pushed"),
            format!("alice user0 user1 user2 +155 {bytes} unknown_user"),
        ]
    );
}

#[test]
fn repeated_post_is_kept_once_and_tells_its_first_time() {
    let mut office = Office::new();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    office.has_prekey("bob", 2);
    let until_ms = office.server.now.wall_ms + RETENTION_MS;
    assert_eq!(office.post(alice, 1, &[("bob", 2)], 50), [Pushed]);
    let numbers = office.numbers(bob);
    assert_eq!(numbers, [1]);
    for acknowledged in [false, true] {
        office.pass(10_000);
        if acknowledged {
            assert_eq!(office.ask(bob, &acknowledge(&numbers)).last_line(), "1");
        }
        let reply = office.ask(alice, &post(1, &[("bob", 2)], 50));
        assert_eq!(outcomes(&reply), [Kept]);
        assert_eq!(reply.last_line(), format!("{until_ms} 1"));
    }
    assert_eq!(office.numbers(bob), [0; 0]);
    let again = office.device("bob", 2);
    assert_eq!(office.numbers(again), [0; 0], "it was acknowledged");
}

#[test]
fn repeated_post_stores_what_was_refused_before() {
    let mut office = Office::new();
    let alice = office.device("alice", 1);
    office.has_prekey("bob", 2);
    assert_eq!(office.post(alice, 1, &[("bob", 2), ("carol", 4)], 50), [Kept, NoDevice]);
    office.has_prekey("carol", 4);
    assert_eq!(office.post(alice, 1, &[("bob", 2), ("carol", 4)], 50), [Kept, Kept]);
    let carol = office.device("carol", 4);
    assert_eq!(office.numbers(carol), [2]);
}

#[test]
fn lost_answer_of_a_commit_loses_and_doubles_nothing() {
    let mut office = Office::new();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    office.has_prekey("bob", 2);
    let line = |id| post(id, &[("bob", 2)], 50).to_frame();
    office.put(Input::Line { connection: alice, line: Ok(line(1)) });
    let committed = office.requests[0].clone();
    committed.run(&mut office.store).unwrap();
    office.fail();
    assert_eq!(office.reply(alice).code, Code::StoreUnavailable);
    // A later envelope does not overtake the one whose commit is in doubt.
    office.put(Input::Line { connection: alice, line: Ok(line(2)) });
    let read = office.requests.pop_front().unwrap();
    office.requests.push_back(read);
    office.answer();
    assert_eq!(office.numbers(bob), [0; 0]);
    office.settle();
    assert_eq!(office.numbers(bob), [1, 2]);
    assert_eq!(outcomes(&office.reply(alice)), [Kept]);
    assert_eq!(office.post(alice, 1, &[("bob", 2)], 50), [Kept]);
    assert_eq!(office.numbers(bob), [0; 0]);
}

#[test]
fn envelopes_during_a_commit_form_the_next_batch() {
    let mut office = Office::new();
    office.has_prekey("carol", 4);
    let senders = [office.device("alice", 1), office.device("bob", 2), office.device("carol", 3)];
    for (id, sender) in (1..).zip(senders) {
        let line = Ok(post(id, &[("carol", 4)], 50).to_frame());
        office.put(Input::Line { connection: sender, line });
    }
    let count = |request: &MailRequest| match request {
        MailRequest::Post { envelopes, .. } => envelopes.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(office.requests.iter().map(count).collect::<Vec<_>>(), [1]);
    office.leaves(senders[1]);
    office.answer();
    assert_eq!(office.requests.iter().map(count).collect::<Vec<_>>(), [2]);
    office.answer();
    assert_eq!(office.requests, []);
    for sender in [senders[0], senders[2]] {
        assert_eq!(outcomes(&office.reply(sender)), [Kept]);
    }
    let carol = office.device("carol", 4);
    let senders: Vec<String> =
        office.mail(carol).iter().map(|mail| mail.sender.to_string()).collect();
    assert_eq!(senders, ["alice", "bob", "carol"], "whoever has gone has posted all the same");
}

#[test]
fn batch_has_a_bounded_number_of_deliveries() {
    let mut office = Office::new();
    let names: Vec<String> = (0..160).map(|n| format!("user{n}")).collect();
    let crowd: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 9)).collect();
    let senders: Vec<ConnectionId> = [("alice", 1), ("bob", 2), ("carol", 3)]
        .map(|(name, seed)| office.device(name, seed))
        .into();
    for sender in senders {
        let line = Ok(post(1, &crowd, 50).to_frame());
        office.put(Input::Line { connection: sender, line });
    }
    let mut batches = Vec::new();
    while let Some(MailRequest::Post { envelopes, .. }) = office.requests.front() {
        batches.push(envelopes.len());
        office.answer();
    }
    assert_eq!(batches, [1, 1, 1]);
}

#[test]
fn rate_is_the_accounts_over_all_its_sessions() {
    let settings = Settings { post_burst: 2, post_interval_ms: 200, ..Settings::default() };
    let mut office = Office::with(settings);
    for code in [Code::Ok, Code::Ok, Code::SlowDown, Code::SlowDown] {
        let alice = office.device("alice", 1);
        assert_eq!(office.ask(alice, &post(1, &[("bob", 2)], 50)).code, code);
    }
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    assert_eq!(office.ask(bob, &post(1, &[("bob", 2)], 50)).code, Code::Ok);
    office.pass(200);
    for code in [Code::Ok, Code::SlowDown] {
        assert_eq!(office.ask(alice, &post(1, &[("bob", 2)], 50)).code, code);
    }
}

#[test]
fn envelope_takes_a_token_for_each_16_headers() {
    let settings = Settings { post_burst: 12, post_interval_ms: 200, ..Settings::default() };
    let names: Vec<String> = (0..160).map(|n| format!("user{n}")).collect();
    let crowd: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 9)).collect();
    for (headers, tokens) in [(1, 1), (16, 1), (17, 2), (32, 2), (145, 10), (160, 10)] {
        let mut office = Office::with(settings.clone());
        let alice = office.device("alice", 1);
        assert_eq!(office.ask(alice, &post(1, &crowd[..headers], 50)).code, Code::Ok);
        for left in (0..=12 - tokens).rev() {
            let code = if left > 0 { Code::Ok } else { Code::SlowDown };
            assert_eq!(office.ask(alice, &post(2, &[("bob", 2)], 50)).code, code, "{headers}");
        }
    }
    // A full bucket is always enough.
    let mut office = Office::with(Settings { post_burst: 3, ..settings });
    let alice = office.device("alice", 1);
    for code in [Code::Ok, Code::SlowDown] {
        assert_eq!(office.ask(alice, &post(1, &crowd, 50)).code, code);
    }
    office.pass(599);
    assert_eq!(office.ask(alice, &post(1, &crowd, 50)).code, Code::SlowDown);
    office.pass(1);
    assert_eq!(office.ask(alice, &post(1, &crowd, 50)).code, Code::Ok);
}

#[test]
fn payload_that_is_no_envelope_is_refused() {
    let mut office = Office::new();
    let alice = office.device("alice", 1);
    let twice = envelope(&[("bob", 2), ("bob", 2)], 50).to_bytes();
    let names: Vec<String> = (0..161).map(|n| format!("user{n}")).collect();
    let crowd: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 9)).collect();
    let crowded = envelope(&crowd, 50).to_bytes();
    for payload in [Vec::new(), b"hello".to_vec(), twice, crowded, envelope(&[], 9).to_bytes()] {
        let request = Request::Post { id: EnvelopeId(1), envelope: payload };
        assert_eq!(office.ask(alice, &request).code, Code::EnvelopeInvalid);
        assert_eq!(office.requests, []);
    }
}

#[test]
fn one_sender_can_not_fill_a_mailbox() {
    let settings = Settings { post_burst: 1_000, ..Settings::default() };
    let mut office = Office::with(settings);
    let (alice, carol) = (office.device("alice", 1), office.device("carol", 3));
    office.has_prekey("bob", 2);
    for id in 0..200 {
        assert_eq!(office.post(alice, id, &[("bob", 2)], 50), [Kept], "{id}");
        office.server.now.boot_ms += 100;
    }
    let reply = office.ask(alice, &post(200, &[("bob", 2)], 50));
    assert_eq!((reply.code, outcomes(&reply)), (Code::Ok, vec![MailboxFull]));
    assert_eq!(office.post(carol, 1, &[("bob", 2)], 50), [Kept]);
    let bob = office.device("bob", 2);
    let numbers = office.numbers(bob);
    assert_eq!(office.ask(bob, &acknowledge(&numbers[..1])).last_line(), "1");
    assert_eq!(office.post(alice, 200, &[("bob", 2)], 50)[0], Pushed);
    assert_eq!(office.post(alice, 201, &[("bob", 2)], 50), [MailboxFull]);
}

#[test]
fn envelopes_are_counted() {
    let mut office = Office::new();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    office.has_prekey("bob", 2);
    office.post(alice, 1, &[("bob", 2)], 50);
    assert_eq!(office.post(alice, 2, &[("bob", 2), ("dave", 9)], 50), [Pushed, UnknownUser]);
    let numbers = office.numbers(bob);
    office.ask(bob, &acknowledge(&numbers[..1]));
    // Neither a repetition nor an envelope that is refused for each device counts.
    assert_eq!(office.post(alice, 2, &[("bob", 2)], 50), [Kept]);
    assert_eq!(office.post(alice, 3, &[("dave", 9), ("carol", 4)], 50), [UnknownUser, NoDevice]);
    office.put(Input::Operator(Operator::Stats));
    let tally = office.effects.iter().find_map(|effect| match effect {
        Effect::Answer(OperatorAnswer::Stats(stats)) => Some(stats.tally),
        _ => None,
    });
    let tally = tally.unwrap();
    assert_eq!((tally.envelopes_posted, tally.envelopes_delivered), (2, 1));
}
