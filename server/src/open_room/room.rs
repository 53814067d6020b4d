//! The room as a value: datagrams in, effects out. It has no sockets.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::open_room::{Incoming, ToRoom, is_near};

/// The most addresses whose refusal is logged. Further refusals are silent, so that the log can't
/// be flooded.
const MAX_REFUSED: usize = 1_024;

/// The room's state: everybody who has greeted.
#[derive(Debug, Default)]
pub struct Room {
    /// True if the room greets public addresses too.
    is_public: bool,
    clients: HashMap<SocketAddr, Option<IpAddr>>,
    refused: HashSet<IpAddr>,
}

/// The effect of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing happens.
    Nothing,
    /// The sender is registered, perhaps again.
    Greeted,
    /// The sender is refused, for the first time from its address.
    Refused,
    /// This datagram goes to all [clients](Room::clients).
    Send(Vec<u8>),
}

/// A client, and the source address of datagrams to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address.
    pub to: SocketAddr,
    /// The room's address that datagrams have to name as their source, or `None` if the route
    /// chooses it.
    pub source: Option<IpAddr>,
}

impl Room {
    /// Returns an empty room. A public one greets every address, others only near ones.
    pub fn new(is_public: bool) -> Room {
        Room { is_public, ..Room::default() }
    }

    /// Handles a datagram from this address, in which IPv4 is not mapped to IPv6.
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8]) -> Effect {
        match ToRoom::parse(datagram) {
            // Nothing can be sent to port 0.
            _ if from.port() == 0 => Effect::Nothing,
            Some(ToRoom::Greeting) if self.is_public || is_near(from.ip()) => {
                self.clients.entry(from).or_default();
                Effect::Greeted
            }
            Some(ToRoom::Greeting) => self.refuse(from.ip()),
            Some(ToRoom::Message(text)) if self.clients.contains_key(&from) => {
                Effect::Send(Incoming { from, text }.to_bytes())
            }
            Some(ToRoom::Message(_)) | None => Effect::Nothing,
        }
    }

    /// Records the source that datagrams to a client have to name.
    pub fn set_source(&mut self, client: SocketAddr, source: Option<IpAddr>) {
        if let Some(known) = self.clients.get_mut(&client) {
            *known = source;
        }
    }

    /// Returns all clients, in no particular order.
    pub fn clients(&self) -> impl Iterator<Item = Client> {
        self.clients.iter().map(|(to, source)| Client { to: *to, source: *source })
    }

    fn refuse(&mut self, ip: IpAddr) -> Effect {
        let is_new = self.refused.len() < MAX_REFUSED && self.refused.insert(ip);
        if is_new { Effect::Refused } else { Effect::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn addresses(room: &Room) -> Vec<SocketAddr> {
        let mut addresses: Vec<SocketAddr> = room.clients().map(|client| client.to).collect();
        addresses.sort();
        addresses
    }

    #[test]
    fn message_goes_to_all_who_ever_greeted_the_sender_included() {
        let (mut room, alice, bob) = (Room::new(false), address("127.0.0.1:1"), address("[::1]:2"));
        for client in [alice, bob, alice] {
            assert_eq!(room.receive(client, b"GREETING"), Effect::Greeted);
        }
        let sent = room.receive(alice, b"MESSAGE hello");
        assert_eq!(sent, Effect::Send(b"INCOMING 127.0.0.1:1 hello".to_vec()));
        assert_eq!(
            room.receive(bob, b"MESSAGE hi\n"),
            Effect::Send(b"INCOMING [::1]:2 hi".to_vec())
        );
        assert_eq!(addresses(&room), [alice, bob]);
    }

    #[test]
    fn everything_else_is_ignored() {
        let (mut room, alice) = (Room::new(false), address("127.0.0.1:1"));
        room.receive(alice, b"GREETING");
        let long = vec![b'x'; 65_507];
        let long_message = [b"MESSAGE ", &long[..]].concat();
        for datagram in
            [&b""[..], b"\xff\0garbage", b"INCOMING 127.0.0.1:1 x", &long, &long_message]
        {
            assert_eq!(room.receive(alice, datagram), Effect::Nothing);
        }
        // A different port is a different sender.
        assert_eq!(room.receive(address("127.0.0.1:2"), b"MESSAGE hi"), Effect::Nothing);
        assert_eq!(room.receive(address("127.0.0.1:0"), b"GREETING"), Effect::Nothing);
        assert_eq!(addresses(&room), [alice]);
    }

    #[test]
    fn public_address_is_refused_and_that_is_told_once() {
        let (mut room, far) = (Room::new(false), address("192.0.2.1:5"));
        assert_eq!(room.receive(far, b"GREETING"), Effect::Refused);
        assert_eq!(room.receive(far, b"GREETING"), Effect::Nothing);
        assert_eq!(room.receive(address("192.0.2.1:6"), b"GREETING"), Effect::Nothing);
        assert_eq!(room.receive(far, b"MESSAGE hi"), Effect::Nothing);
        assert_eq!(room.receive(address("[2001:db8::1]:5"), b"GREETING"), Effect::Refused);
        assert_eq!(room.clients().count(), 0);
    }

    #[test]
    fn refusals_that_are_remembered_have_a_bound() {
        let mut room = Room::new(false);
        let refused = (0..10_000_u32).filter(|number| {
            let ip = std::net::Ipv4Addr::from_bits(0x0800_0000 + number);
            room.receive((ip, 5).into(), b"GREETING") == Effect::Refused
        });
        assert_eq!(refused.count(), MAX_REFUSED);
    }

    #[test]
    fn public_room_greets_everybody() {
        let (mut room, far) = (Room::new(true), address("192.0.2.1:5"));
        assert_eq!(room.receive(far, b"GREETING"), Effect::Greeted);
        let sent = room.receive(far, b"MESSAGE hi");
        assert_eq!(sent, Effect::Send(b"INCOMING 192.0.2.1:5 hi".to_vec()));
    }

    #[test]
    fn client_takes_as_much_memory_as_the_documents_say() {
        // docs/OPERATING.md: these, and one byte, in a table that is between 7/16 and 7/8 full.
        assert_eq!(size_of::<(SocketAddr, Option<IpAddr>)>(), 52);
    }
}
