//! An open room and its client, with arbitrary datagrams from any address.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use letschat_protocol::open_room::{Incoming, MAX_TEXT_BYTES, ToRoom, is_near};
use letschat_protocol::printable::is_printable;
use letschat_server::open_room::room::{Effect, Room};

use crate::choices::Choices;

const SENDERS: &[&str] = &[
    "127.0.0.1:1",
    "127.0.0.1:2",
    "127.0.0.1:0",
    "192.168.1.7:5000",
    "8.8.8.8:53",
    "[::1]:9",
    "[fe80::1%3]:9",
    "[fd00::1]:65535",
    "[2001:db8::1]:9",
];

/// Checks that only greeted addresses are heard, that only near ones are greeted, and that messages arrive
/// unchanged.
pub fn run(bytes: &[u8]) {
    let _ = Incoming::parse(bytes);
    let mut choices = Choices::new(bytes);
    let is_public = choices.flip();
    let mut room = Room::new(is_public);
    let mut greeted = BTreeSet::new();
    while !choices.is_over() {
        let from = SENDERS[choices.below(SENDERS.len())].parse().expect("it is an address");
        let datagram = datagram(&mut choices);
        let (meant, effect) = (ToRoom::parse(&datagram), room.receive(from, &datagram));
        match effect {
            Effect::Greeted => {
                assert_eq!(meant, Some(ToRoom::Greeting));
                assert!(from.port() != 0 && (is_public || is_near(from.ip())), "{from}");
                greeted.insert(from);
            }
            Effect::Send(sent) => {
                assert!(greeted.contains(&from), "{from}");
                let Some(ToRoom::Message(text)) = meant else { panic!("{datagram:?}") };
                arrives(&sent, from, text);
            }
            Effect::Refused => assert!(!is_public && !is_near(from.ip()), "{from}"),
            Effect::Nothing => {
                let is_said = matches!(meant, Some(ToRoom::Message(_)));
                assert!(!is_said || !greeted.contains(&from), "{from}");
            }
        }
        let clients: BTreeSet<SocketAddr> = room.clients().map(|client| client.to).collect();
        assert_eq!(clients, greeted);
    }
}

/// Chooses bytes that often begin like a datagram of the room.
fn datagram(choices: &mut Choices<'_>) -> Vec<u8> {
    let word: &[u8] = match choices.below(6) {
        0 | 1 => b"GREETING",
        2 | 3 => b"MESSAGE ",
        4 => b"INCOMING 127.0.0.1:1 ",
        _ => b"",
    };
    let mut datagram = [word, choices.bytes(64)].concat();
    if choices.below(16) == 0 {
        datagram.resize(datagram.len() + MAX_TEXT_BYTES, b'x');
    }
    datagram
}

fn arrives(sent: &[u8], from: SocketAddr, text: &[u8]) {
    let incoming = Incoming::parse(sent).expect("a client understands it");
    assert_eq!((incoming.from.ip(), incoming.from.port()), (from.ip(), from.port()));
    assert_eq!(incoming.text, text);
    let shown = letschat::open_room::shown(&incoming);
    assert!(is_printable(&shown) && shown.starts_with("<From "), "{shown:?}");
}
