//! Invalid datagrams, clients that are gone, and many datagrams at once change nothing.

use std::net::Ipv4Addr;

use letschat_tests::room::{TestRoom, Visitor};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CLIENTS: usize = 1_000;

/// A number that fits the room's socket, which may have the system's default size.
const AT_ONCE: usize = 50;

#[test]
fn thousand_clients_get_a_message_exactly_once() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let room = TestRoom::start();
    let speaker = room.visitor();
    let visitors: Vec<Visitor> = (0..CLIENTS)
        .map(|number| {
            let last = u8::try_from(1 + number % 250).unwrap();
            Visitor::from(Ipv4Addr::new(127, 0, 1, last), room.at(Ipv4Addr::LOCALHOST))
        })
        .collect();
    for (number, some) in visitors.chunks(AT_ONCE).enumerate() {
        some.iter().for_each(Visitor::greets);
        speaker.says(&format!("{number} are in"));
        speaker.hears_next(speaker.address(), &format!("{number} are in"));
    }
    speaker.says("the one");
    speaker.says("the end");
    let one = format!("INCOMING {} the one", speaker.address());
    for visitor in visitors.iter().chain([&speaker]) {
        let heard = visitor.hears_up_to(" the end");
        let count = heard.iter().filter(|datagram| **datagram == one).count();
        assert_eq!(count, 1, "{}: {heard:?}", visitor.address());
    }
}

#[test]
fn garbage_empty_and_huge_datagrams_change_nothing() {
    let room = TestRoom::start();
    let alice = room.visitor();
    let huge = vec![b'x'; 65_507];
    let mut huge_message = b"MESSAGE ".to_vec();
    huge_message.resize(65_507, b'y');
    let mut huge_greeting = b"GREETING".to_vec();
    huge_greeting.resize(65_507, b' ');
    let noise: [&[u8]; 10] = [
        b"",
        b"\0",
        b"\xff\xfe\xfd",
        b"MESSAGE",
        b"MESSAGE \r\n",
        b"INCOMING 127.0.0.1:1 forged",
        b"greeting",
        &huge,
        &huge_message,
        &huge_greeting,
    ];
    let stranger = Visitor::from(Ipv4Addr::LOCALHOST, room.at(Ipv4Addr::LOCALHOST));
    for (number, datagram) in noise.iter().cycle().take(20 * noise.len()).enumerate() {
        stranger.sends(datagram);
        alice.sends(datagram);
        // Wait for the room after each batch, since its socket holds no more.
        alice.says(&number.to_string());
        alice.hears_next(alice.address(), &number.to_string());
    }
}

#[test]
fn clients_that_are_gone_keep_nobody_from_hearing() {
    let room = TestRoom::start();
    let alice = room.visitor();
    for _ in 0..3 * AT_ONCE {
        // The socket closes at once, and the system refuses datagrams to it.
        drop(room.visitor());
    }
    let bob = room.visitor();
    for number in 0..20 {
        let text = format!("number {number}");
        alice.says(&text);
        alice.hears_next(alice.address(), &text);
        bob.hears_next(alice.address(), &text);
    }
}
