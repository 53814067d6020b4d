//! The receivers of each text.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use letschat_protocol::open_room::MAX_TEXT_BYTES;
use letschat_tests::room::{TestRoom, Visitor};

#[test]
fn message_goes_to_all_who_greeted_the_sender_included() {
    let room = TestRoom::start();
    let (alice, bob) = (room.visitor(), room.visitor());
    alice.says("hello, all");
    alice.hears_next(alice.address(), "hello, all");
    bob.hears_next(alice.address(), "hello, all");
    bob.sends(b"MESSAGE with a line end\r\n");
    alice.hears_next(bob.address(), "with a line end");
}

#[test]
fn message_of_a_stranger_goes_nowhere() {
    let room = TestRoom::start();
    let alice = room.visitor();
    let stranger = Visitor::from(Ipv4Addr::LOCALHOST, room.at(Ipv4Addr::LOCALHOST));
    stranger.says("let me in");
    alice.says("after it");
    alice.hears_next(alice.address(), "after it");
    stranger.sends(b"GREETING\n");
    stranger.says("thanks");
    alice.hears_next(stranger.address(), "thanks");
    stranger.hears_next(stranger.address(), "thanks");
}

#[test]
fn greeting_again_brings_no_second_copy() {
    let room = TestRoom::start();
    let alice = room.visitor();
    alice.greets();
    alice.greets();
    for text in ["one", "two"] {
        alice.says(text);
    }
    alice.hears_next(alice.address(), "one");
    alice.hears_next(alice.address(), "two");
}

#[test]
fn longest_text_arrives_whole() {
    let room = TestRoom::start();
    let alice = room.visitor();
    let longest = "x".repeat(MAX_TEXT_BYTES);
    alice.says(&longest);
    alice.hears_next(alice.address(), &longest);
}

#[test]
fn answers_come_from_the_address_that_was_greeted() {
    let room = TestRoom::start();
    let alice = Visitor::from(Ipv4Addr::LOCALHOST, room.at(Ipv4Addr::new(127, 0, 0, 5)));
    alice.greets();
    let bob = room.visitor();
    for number in 0..200 {
        bob.says(&number.to_string());
        bob.hears_next(bob.address(), &number.to_string());
        alice.hears_next(bob.address(), &number.to_string());
    }
}

#[test]
fn ipv4_and_ipv6_meet_in_one_room() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return println!("this machine has no IPv6: nothing to test");
    }
    let room = TestRoom::start();
    let alice = room.visitor();
    let bob = Visitor::from(Ipv6Addr::LOCALHOST, room.at(Ipv6Addr::LOCALHOST));
    bob.greets();
    alice.says("from IPv4");
    bob.hears_next(alice.address(), "from IPv4");
    alice.hears_next(alice.address(), "from IPv4");
    bob.says("from IPv6");
    assert!(bob.address().to_string().starts_with("[::1]:"));
    alice.hears_next(bob.address(), "from IPv6");
}
