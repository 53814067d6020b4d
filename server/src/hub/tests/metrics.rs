//! Questions of the monitoring.

use super::*;
use crate::store::mailbox::{MailAnswer, MailRequest, MailboxUsage};

fn asks_store(effects: &[Effect]) -> bool {
    effects.contains(&Effect::Store(StoreRequest::Mail(MailRequest::Measure)))
}

/// Returns what each answer tells of the mailboxes.
fn measured(effects: &[Effect]) -> Vec<Option<MailboxUsage>> {
    let answers = effects.iter().filter_map(|effect| match effect {
        Effect::Measured(metrics) => Some(metrics.mailbox),
        _ => None,
    });
    answers.collect()
}

fn answer(usage: MailboxUsage) -> Input {
    Input::Stored(StoreAnswer::Mail(MailAnswer::Measured { result: Ok(usage) }))
}

#[test]
fn questions_at_the_same_time_have_one_answer() {
    let mut server = TestHub::empty();
    assert!(asks_store(server.put(Input::Measure)));
    assert!(!asks_store(server.put(Input::Measure)));
    let usage = MailboxUsage { deliveries: 3, bytes: 700 };
    assert_eq!(measured(server.put(answer(usage))), [Some(usage)]);
    assert!(asks_store(server.put(Input::Measure)));
}

#[test]
fn store_that_hangs_is_not_waited_for() {
    let mut server = TestHub::empty();
    server.put(Input::Measure);
    assert_eq!(measured(&server.pass(1_900)), []);
    assert_eq!(measured(&server.pass(200)), [None]);
    // The store still has the first question.
    assert!(!asks_store(server.put(Input::Measure)));
    let usage = MailboxUsage::default();
    assert_eq!(measured(server.put(answer(usage))), [Some(usage)]);
    // A late answer is none to anybody.
    server.put(Input::Measure);
    server.pass(2_100);
    assert_eq!(measured(server.put(answer(usage))), []);
}

#[test]
fn ends_are_counted_by_their_reasons() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    server.say(alice, &Request::Quit);
    server.put(Input::Measure);
    let effects = server.put(answer(MailboxUsage::default())).to_vec();
    let [Effect::Measured(metrics)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(metrics.counts.ended["quit"], 1);
    assert_eq!(metrics.counts.ended["kicked"], 0);
    assert_eq!((metrics.sessions, metrics.tally.logins_accepted), (0, 1));
}
