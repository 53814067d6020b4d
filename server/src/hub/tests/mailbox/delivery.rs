//! MAIL and ACK: order, the window, and what waits.

use std::collections::BTreeSet;
use std::sync::Arc;

use letschat_protocol::dialogue::Outcome::{Kept, Pushed};
use letschat_protocol::limits::{MAX_ENVELOPE_BYTES, MAX_MAIL_IN_FLIGHT_BYTES};

use super::*;
use crate::store::mailbox::NewEnvelope;

/// Returns an office where Alice can post at any rate and Bob's device 2 has a prekey.
fn office() -> Office {
    let mut office = Office::with(Settings { post_burst: 1_000_000, ..Settings::default() });
    office.has_prekey("bob", 2);
    office
}

fn in_flight(mail: &[Mail]) -> usize {
    mail.iter().map(|mail| mail.envelope.len()).sum()
}

/// Returns the size of a body with which an envelope for Bob has this size.
fn body_for(envelope_bytes: usize) -> usize {
    envelope_bytes - envelope(&[("bob", 2)], 0).to_bytes().len()
}

#[test]
fn envelope_is_pushed_without_a_look_into_the_store() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    for number in 1..=3_u64 {
        let id = u128::from(number) + 70;
        let line = Ok(post(id, &[("carol", 9), ("bob", 2)], 50).to_frame());
        office.put(Input::Line { connection: alice, line });
        office.answer();
        assert_eq!(office.requests, []);
        let mail = office.mail(bob);
        let expected = Mail {
            number,
            id: EnvelopeId(id),
            sender: "alice".parse().unwrap(),
            time_ms: office.server.now.wall_ms,
            envelope: envelope(&[("bob", 2)], 50).to_bytes(),
        };
        assert_eq!(mail, [expected]);
    }
}

#[test]
fn mail_waits_for_a_device_and_comes_after_its_login() {
    let mut office = office();
    let alice = office.device("alice", 1);
    for id in 1..=3 {
        assert_eq!(office.post(alice, id, &[("bob", 2)], 50), [Kept]);
    }
    let expected = envelope(&[("bob", 2)], 50).to_bytes();
    let other = office.device("bob", 3);
    assert_eq!(office.mail(other), [], "it is for another device");
    let bob = office.device("bob", 2);
    let mail = office.mail(bob);
    assert_eq!(mail.iter().map(|mail| mail.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(mail.iter().all(|mail| mail.envelope == expected && mail.sender.as_str() == "alice"));
    assert_eq!(office.ask(bob, &acknowledge(&[1, 3])).last_line(), "2");
    let again = office.device("bob", 2);
    assert_eq!(office.numbers(again), [2]);
}

#[test]
fn quiet_device_gets_no_more_than_the_window() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    let size = MAX_MAIL_IN_FLIGHT_BYTES / 4;
    let pushed: Vec<_> =
        (0..6).map(|id| office.post(alice, id, &[("bob", 2)], body_for(size))[0]).collect();
    assert_eq!(pushed, [Pushed, Pushed, Pushed, Pushed, Kept, Kept]);
    assert_eq!(office.numbers(bob), [1, 2, 3, 4]);
    office.pass(60_000);
    assert_eq!(office.numbers(bob), [0; 0]);
    for (acknowledged, next) in [(&[1][..], &[][..]), (&[2], &[5, 6]), (&[3, 4, 5, 6], &[])] {
        office.ask(bob, &acknowledge(acknowledged));
        assert_eq!(office.numbers(bob), next, "after {acknowledged:?}");
    }
    assert_eq!(office.post(alice, 9, &[("bob", 2)], 50), [Pushed]);
}

#[test]
fn largest_envelope_fits_the_empty_window() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    let body = body_for(MAX_ENVELOPE_BYTES);
    assert_eq!(office.post(alice, 1, &[("bob", 2)], 50), [Pushed]);
    assert_eq!(office.post(alice, 2, &[("bob", 2)], body), [Kept]);
    assert_eq!(office.post(alice, 3, &[("bob", 2)], 50), [Kept], "it does not overtake");
    assert_eq!(office.numbers(bob), [1]);
    office.ask(bob, &acknowledge(&[1]));
    let mail = office.mail(bob);
    assert_eq!((mail.len(), mail[0].number, in_flight(&mail)), (1, 2, MAX_ENVELOPE_BYTES));
    office.ask(bob, &acknowledge(&[2]));
    assert_eq!(office.numbers(bob), [3]);
}

#[test]
fn push_waits_while_the_store_reads() {
    let mut office = office();
    let alice = office.device("alice", 1);
    office.post(alice, 1, &[("bob", 2)], 50);
    let bob = office.arrive("bob", 2);
    // The commit overtakes the read, as it does in the store's queue.
    office.put(Input::Line { connection: alice, line: Ok(post(2, &[("bob", 2)], 50).to_frame()) });
    let read = office.requests.pop_front().unwrap();
    office.requests.push_back(read);
    office.answer();
    assert_eq!(office.numbers(bob), [0; 0]);
    office.settle();
    assert_eq!(office.numbers(bob), [1, 2]);
    assert_eq!(outcomes(&office.reply(alice)), [Kept]);
    assert_eq!(office.post(alice, 3, &[("bob", 2)], 50), [Pushed]);
}

#[test]
fn numbers_of_other_devices_are_ignored() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    office.has_prekey("carol", 4);
    office.post(alice, 1, &[("bob", 2), ("carol", 4)], 50);
    let foreign = [0, 2, 3, u64::MAX];
    assert_eq!(office.ask(bob, &acknowledge(&foreign)).last_line(), "0");
    assert_eq!(office.ask(alice, &acknowledge(&[1, 2])).last_line(), "0");
    let carol = office.device("carol", 4);
    assert_eq!(office.numbers(carol), [2]);
    assert_eq!(office.ask(bob, &acknowledge(&[1, 1, 2])).last_line(), "1");
}

#[test]
fn delivery_that_was_not_sent_is_not_deleted() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    let body = body_for(MAX_MAIL_IN_FLIGHT_BYTES);
    assert_eq!(office.post(alice, 1, &[("bob", 2)], body), [Pushed]);
    assert_eq!(office.post(alice, 2, &[("bob", 2)], body), [Kept]);
    office.put(Input::Line { connection: bob, line: Ok(acknowledge(&[2]).to_frame()) });
    assert_eq!(office.requests, [], "the store is not asked");
    assert_eq!(office.reply(bob).last_line(), "0");
    assert_eq!(office.numbers(bob), [1]);
    assert_eq!(office.ask(bob, &acknowledge(&[1, 2])).last_line(), "1");
    assert_eq!(office.numbers(bob), [2]);
    // A new connection begins anew, before its mail is read.
    let bob = office.arrive("bob", 2);
    office.put(Input::Line { connection: bob, line: Ok(acknowledge(&[2]).to_frame()) });
    office.settle();
    assert_eq!(office.reply(bob).last_line(), "0");
    assert_eq!(office.numbers(bob), [2]);
    assert_eq!(office.ask(bob, &acknowledge(&[2])).last_line(), "1");
}

#[test]
fn number_counts_once_and_can_be_repeated_after_a_failure() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    let size = MAX_MAIL_IN_FLIGHT_BYTES / 2;
    for id in 1..=3 {
        office.post(alice, id, &[("bob", 2)], body_for(size));
    }
    assert_eq!(office.numbers(bob), [1, 2]);
    let again = acknowledge(&[1, 1, 1]);
    for _ in 0..2 {
        office.put(Input::Line { connection: bob, line: Ok(again.to_frame()) });
        office.fail();
        office.settle();
        assert_eq!(office.reply(bob).code, Code::StoreUnavailable);
        assert_eq!(office.numbers(bob), [0; 0], "the window is full");
    }
    assert_eq!(office.ask(bob, &again).last_line(), "1");
    assert_eq!(office.numbers(bob), [3]);
    assert_eq!(office.ask(bob, &again).last_line(), "0");
    assert_eq!(office.post(alice, 4, &[("bob", 2)], body_for(size)), [Kept]);
}

#[test]
fn acknowledgements_that_come_meanwhile_share_a_commit() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    let carol = office.device("carol", 3);
    let devices = [("alice", 1), ("bob", 2), ("carol", 3)];
    office.has_prekey("alice", 1);
    office.has_prekey("carol", 3);
    assert_eq!(office.post(alice, 1, &devices, 50), [Pushed; 3]);
    for (number, device) in (1..).zip([alice, bob, carol]) {
        let line = Ok(acknowledge(&[number]).to_frame());
        office.put(Input::Line { connection: device, line });
    }
    let mut batches = Vec::new();
    while let Some(MailRequest::Acknowledge { acknowledgements }) = office.requests.front() {
        batches.push(acknowledgements.len());
        office.answer();
    }
    assert_eq!(batches, [1, 2]);
    for device in [alice, bob, carol] {
        assert_eq!(office.reply(device).last_line(), "1");
    }
}

#[test]
fn acknowledgement_fails_alone_with_its_commit() {
    let mut office = office();
    let (alice, bob) = (office.device("alice", 1), office.device("bob", 2));
    office.has_prekey("alice", 1);
    assert_eq!(office.post(alice, 1, &[("bob", 2), ("alice", 1)], 50), [Pushed; 2]);
    for (connection, number) in [(bob, 1), (alice, 2)] {
        assert_eq!(office.numbers(connection), [number]);
        let line = Ok(acknowledge(&[number]).to_frame());
        office.put(Input::Line { connection, line });
    }
    office.fail();
    office.settle();
    assert_eq!(office.reply(bob).code, Code::StoreUnavailable);
    assert_eq!(office.reply(alice).last_line(), "1");
    assert_eq!(office.ask(bob, &acknowledge(&[1])).last_line(), "1");
}

#[test]
fn session_that_is_replaced_loses_nothing_in_flight() {
    let mut office = office();
    let (alice, old) = (office.device("alice", 1), office.device("bob", 2));
    office.post(alice, 1, &[("bob", 2)], 50);
    office.post(alice, 2, &[("bob", 2)], 50);
    assert_eq!(office.numbers(old), [1, 2]);
    let request = acknowledge(&[1]).to_frame();
    office.put(Input::Line { connection: old, line: Ok(request) });
    let acknowledgement = office.requests.pop_front().unwrap();
    let new = office.arrive("bob", 2);
    assert_eq!(office.numbers(old), [0; 0]);
    let answer = acknowledgement.run(&mut office.store).unwrap();
    office.put(Input::Stored(StoreAnswer::Mail(answer)));
    office.settle();
    assert_eq!(office.numbers(new), [2]);
    assert_eq!(replies(&office.effects, old), []);
    assert_eq!(office.post(alice, 3, &[("bob", 2)], 50), [Pushed]);
    assert_eq!(office.numbers(new), [3]);
}

#[test]
fn mail_expires_after_the_retention() {
    let mut office = office();
    let alice = office.device("alice", 1);
    office.post(alice, 1, &[("bob", 2)], 50);
    office.leaves(alice);
    office.pass(13 * DAY_MS);
    let alice = office.device("alice", 1);
    office.post(alice, 2, &[("bob", 2)], 50);
    office.leaves(alice);
    office.pass(DAY_MS - 1);
    let bob = office.device("bob", 2);
    assert_eq!(office.numbers(bob), [1, 2]);
    office.leaves(bob);
    // It is not delivered any more, even if it was not deleted yet.
    office.server.now.wall_ms += 1;
    let bob = office.device("bob", 2);
    assert_eq!(office.numbers(bob), [2]);
    office.leaves(bob);
    office.pass(60 * 60_000);
    office.server.now.wall_ms -= DAY_MS;
    let bob = office.device("bob", 2);
    assert_eq!(office.numbers(bob), [2], "the first is deleted");
}

#[test]
fn many_expired_envelopes_are_deleted_in_parts() {
    let mut office = office();
    let time_ms = office.server.now.wall_ms;
    for sender in ["a", "b", "c", "d", "e", "f"] {
        let new = |id| NewEnvelope {
            sender: sender.parse().unwrap(),
            id: EnvelopeId(id),
            time_ms,
            envelope: envelope(&[("bob", 2)], 9),
        };
        let some: Vec<Arc<NewEnvelope>> = (0..200).map(|id| Arc::new(new(id))).collect();
        office.store.post(0, &some).unwrap();
    }
    office.server.now.wall_ms += 14 * DAY_MS;
    let effects = office.server.pass(60 * 60_000);
    office.record(effects);
    let mut parts = 0;
    while let Some(MailRequest::Expire { .. }) = office.requests.front() {
        parts += 1;
        office.answer();
    }
    assert_eq!((parts, office.requests.len()), (2, 0));
    let bob = office.device("bob", 2);
    assert_eq!(office.numbers(bob), [0; 0]);
}

#[test]
fn mail_and_broadcasts_take_turns() {
    let mut office = office();
    let alice = office.device("alice", 1);
    for id in 0..10 {
        office.post(alice, id, &[("bob", 2)], body_for(MAX_MAIL_IN_FLIGHT_BYTES / 2));
    }
    let bob = office.device("bob", 2);
    let text = "x".repeat(900);
    office.server.hub.settings.broadcast_burst = 1_000;
    let (mut mail, mut broadcasts) = (Vec::new(), 0);
    for round in 0..200 {
        let request = Request::Broadcast { text: text.clone() };
        office.put(Input::Line { connection: alice, line: Ok(request.to_frame()) });
        let number = office.server.hub.log.head() + 1;
        office.put(Input::Stored(StoreAnswer::Appended { result: Ok(number) }));
        office.server.now.boot_ms += 100;
        // Bob's outbox drains slowly, and there is always a broadcast for it.
        if round % 10 == 9 && !office.drains.is_empty() {
            office.drain();
        }
        while !office.requests.is_empty() {
            office.answer();
        }
        for notice in notices(&office.effects, bob) {
            match notice {
                Notice::Mail(one) => mail.push(one.number),
                Notice::Broadcast { .. } => broadcasts += 1,
                other => panic!("{other:?}"),
            }
        }
        office.effects.clear();
        if let Some(number) = mail.last() {
            let line = Ok(acknowledge(&[*number]).to_frame());
            office.put(Input::Line { connection: bob, line });
        }
    }
    assert!(mail.len() >= 6 && mail.is_sorted(), "{mail:?}");
    assert!(broadcasts > 100, "{broadcasts}");
}

#[test]
fn failed_read_is_tried_again() {
    let mut office = office();
    let alice = office.device("alice", 1);
    office.post(alice, 1, &[("bob", 2)], 50);
    let bob = office.arrive("bob", 2);
    office.fail();
    office.settle();
    assert_eq!(office.numbers(bob), [0; 0]);
    office.pass(5_000);
    assert_eq!(office.numbers(bob), [1]);
}

#[test]
fn client_of_version_0_1_gets_no_mail() {
    let mut office = office();
    let alice = office.device("alice", 1);
    let carol = office.device("carol", 3);
    office.post(alice, 1, &[("carol", 3), ("bob", 2)], 50);
    assert_eq!(said(&office.effects, carol), []);
    assert_eq!(office.ask(carol, &Request::Ping).last_line(), "0 pong");
    let listed = office.ask(carol, &Request::List { after: None });
    assert_eq!(listed.last_line(), "2 end");
}

/// Checks the promises of delivery for any order of posts, acknowledgements, logins, failures and
/// drains. The kit checks the outbox.
#[test]
fn every_envelope_arrives_in_order_and_within_the_window() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut office = office();
        let mut alice = office.device("alice", 1);
        let mut bob = office.device("bob", 2);
        let (mut posted, mut seen, mut acknowledged) = (0, BTreeSet::new(), BTreeSet::new());
        let mut unacknowledged: BTreeMap<u64, usize> = BTreeMap::new();
        let mut last = 0;
        for step in 0..300 {
            match random.u32(0..20) {
                0..6 => {
                    let bytes = match random.u32(0..10) {
                        0 => MAX_ENVELOPE_BYTES,
                        1..4 => random.usize(10_000..40_000),
                        _ => random.usize(200..700),
                    };
                    let line = post(step, &[("bob", 2)], body_for(bytes)).to_frame();
                    if office.wants.remove(&alice) {
                        posted += 1;
                        office.put(Input::Line { connection: alice, line: Ok(line) });
                    }
                }
                6..9 if !unacknowledged.is_empty() && office.wants.remove(&bob) => {
                    let numbers: Vec<u64> =
                        unacknowledged.keys().copied().take(random.usize(1..9)).collect();
                    office.put(Input::Line {
                        connection: bob,
                        line: Ok(acknowledge(&numbers).to_frame()),
                    });
                }
                9 if random.u32(0..4) == 0 => {
                    office.leaves(bob);
                    bob = office.arrive("bob", 2);
                    unacknowledged.clear();
                    last = 0;
                }
                10 if random.u32(0..4) == 0 => {
                    office.leaves(alice);
                    alice = office.arrive("alice", 1);
                }
                11 if matches!(office.requests.front(), Some(MailRequest::Read { .. })) => {
                    office.fail();
                }
                12..15 if !office.drains.is_empty() => office.drain(),
                15 => {
                    let effects = office.server.pass(7_000);
                    office.record(effects);
                }
                _ if !office.requests.is_empty() => {
                    let request = office.requests.pop_front().unwrap();
                    let done = match &request {
                        MailRequest::Acknowledge { acknowledgements } => {
                            acknowledgements.iter().flat_map(|each| each.numbers.clone()).collect()
                        }
                        _ => Vec::new(),
                    };
                    let answer = request.run(&mut office.store).unwrap();
                    office.put(Input::Stored(StoreAnswer::Mail(answer)));
                    for number in done {
                        unacknowledged.remove(&number);
                        acknowledged.insert(number);
                    }
                }
                _ => {}
            }
            for mail in office.mail(bob) {
                assert!(mail.number > last, "seed {seed}: {} after {last}", mail.number);
                assert!(!acknowledged.contains(&mail.number), "seed {seed}: {}", mail.number);
                last = mail.number;
                seen.insert(mail.number);
                unacknowledged.insert(mail.number, mail.envelope.len());
            }
            let bytes: usize = unacknowledged.values().sum();
            assert!(bytes <= MAX_MAIL_IN_FLIGHT_BYTES, "seed {seed}: {bytes} bytes");
        }
        office.settle();
        let bob = office.device("bob", 2);
        while let numbers @ [_, ..] = &office.numbers(bob)[..] {
            seen.extend(numbers);
            office.ask(bob, &acknowledge(&numbers[..numbers.len().min(100)]));
        }
        assert_eq!(seen.len(), posted, "seed {seed}");
    }
}
