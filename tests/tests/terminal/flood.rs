//! A peer that sends faster than the terminal displays.

use std::thread;

use letschat_protocol::peer::PeerMessage;
use letschat_tests::person::Person;
use letschat_tests::rogue::{Rogue, RogueLink};
use letschat_tests::server::TestServer;

/// The number of messages in a flood: more than a client ever queued for its front end.
const FLOOD: u64 = 20_000;

/// Runs a test of alice in a chat with a rogue, at the prompt and in the full screen.
fn with_a_rogue(test: impl Fn(&Person, RogueLink, bool)) {
    for flags in [&[][..], &["--full"]] {
        let server = TestServer::start(&[]);
        let alice = Person::join_with(&server, "alice", flags, &[]);
        let mut rogue = Rogue::join(&server, "rogue");
        let mut link = rogue.calls("alice");
        alice.sees("asks for a chat");
        alice.types("/approve rogue");
        link.is_approved();
        test(&alice, link, !flags.is_empty());
    }
}

#[test]
fn a_flood_of_messages_does_not_end_the_prompt() {
    with_a_rogue(|alice, mut link, _| {
        link.floods(1..=FLOOD, "x");
        link.says([PeerMessage::Message { number: FLOOD + 1, text: "the end of it".into() }]);
        alice.sees("rogue: the end of it");
        alice.is_prompted("→ rogue> ");
    });
}

#[test]
fn a_flood_without_end_leaves_keys_their_turn() {
    with_a_rogue(|alice, link, is_full| {
        let flood = thread::spawn(move || link.floods_without_end(1));
        alice.sees("rogue: x");
        alice.types("/disconnect");
        alice.sees("Chat with rogue is over.");
        flood.join().unwrap();
        // The full screen goes on showing the conversation.
        if !is_full {
            alice.is_prompted("letschat> ");
        }
    });
}
