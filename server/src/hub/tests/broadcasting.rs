//! Broadcasts between the request and the commit.

use super::*;

fn text(text: &str) -> Request {
    Request::Broadcast { text: text.into() }
}

/// Returns the numbers in the replies to the sender.
fn acknowledged(effects: &[Effect], to: ConnectionId) -> Vec<u64> {
    replies(effects, to).iter().map(|reply| reply.field(0).unwrap()).collect()
}

#[test]
fn broadcasts_that_wait_for_a_commit_share_the_next_one() {
    let mut server = TestHub::empty();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| server.member(name, "::1").0);
    server.say(alice, &text("first"));
    assert!(server.say(bob, &text("second")).iter().all(|e| !matches!(e, Effect::Store(_))));
    server.say(carol, &text("third"));
    let appended = |number| Input::Stored(StoreAnswer::Appended { result: Ok(number) });
    let effects = server.put(appended(1)).to_vec();
    let Some(Effect::Store(StoreRequest::Append { after: 1, broadcasts })) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(broadcasts.iter().map(|new| &new.text).collect::<Vec<_>>(), ["second", "third"]);
    // Another commit, whose answer was lost, took the numbers between.
    let effects = server.put(appended(5)).to_vec();
    assert_eq!((acknowledged(&effects, bob), acknowledged(&effects, carol)), (vec![5], vec![6]));
    let numbers = |notice: Notice| match notice {
        Notice::Broadcast { entry, .. } => entry.number,
        other => panic!("{other:?}"),
    };
    let rest = server.put(Input::Drained { connection: alice }).to_vec();
    assert_eq!(notices(&rest, alice).into_iter().map(numbers).collect::<Vec<_>>(), [5, 6]);
}
