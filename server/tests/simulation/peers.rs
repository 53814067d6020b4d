//! Links between clients, which keep their order and may break.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use letschat_core::session::{Input, LinkId, PeerLoss};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::PeerMessage;

use crate::faults::Hit;
use crate::world::{Event, World};

#[derive(Default)]
pub(crate) struct PeerWires {
    wires: BTreeMap<u64, PeerWire>,
    made: u64,
}

struct PeerWire {
    dialler: End,
    receiver: End,
    from: SocketAddr,
    key: PublicKey,
}

struct End {
    person: usize,
    link: LinkId,
    open: bool,
    /// The arrival time of the last frame sent to this end. Later frames don't overtake it.
    arrives_ms: u64,
    stalled_until_ms: u64,
}

impl PeerWires {
    /// Returns the id of a link that arrives and that is not simulated as a wire.
    pub(crate) fn arriving(&mut self) -> LinkId {
        self.made += 1;
        LinkId::arrived(self.made)
    }
}

impl World {
    pub(crate) fn dial_peer(
        &mut self,
        person: usize,
        link: LinkId,
        to: SocketAddr,
        expected: PublicKey,
    ) {
        let delay = self.latency();
        let there =
            self.people.iter().position(|other| other.address() == to.ip() && !other.is_down);
        let key_of = |world: &World, person: usize| world.people[person].public_key();
        let Some(other) = there.filter(|other| key_of(self, *other) == expected) else {
            let life = self.people[person].life;
            return self.at(delay, Event::PeerUnreachable { person, life, link });
        };
        self.peers.made += 1;
        let wire = self.peers.made;
        let end =
            |person, link| End { person, link, open: true, arrives_ms: 0, stalled_until_ms: 0 };
        let made = PeerWire {
            dialler: end(person, link),
            receiver: end(other, LinkId::arrived(wire)),
            from: SocketAddr::new(self.people[person].address(), 45_000),
            key: key_of(self, person),
        };
        self.peers.wires.insert(wire, made);
        self.at(delay, Event::PeerUp { wire });
    }

    pub(crate) fn peer_up(&mut self, wire: u64) {
        let Some(PeerWire { dialler, receiver, from, key }) = self.peers.wires.get(&wire) else {
            return;
        };
        if !dialler.open {
            return;
        }
        let (dialler, dialled) = (dialler.person, dialler.link);
        let arrived = Input::PeerArrived { link: receiver.link, key: *key, from: *from };
        let receiver = receiver.person;
        self.session(receiver, arrived);
        self.session(dialler, Input::PeerDialled { link: dialled });
    }

    pub(crate) fn peer_unreachable(&mut self, person: usize, life: u64, link: LinkId) {
        if life == self.people[person].life {
            self.session(person, Input::PeerLost { link, why: PeerLoss::Unreachable });
        }
    }

    /// Ends all links of a person whose client dies.
    pub(crate) fn hang_up_all_peers(&mut self, person: usize) {
        let ends = self.peers.wires.values().flat_map(|wire| [&wire.dialler, &wire.receiver]);
        let open: Vec<LinkId> =
            ends.filter(|end| end.person == person && end.open).map(|end| end.link).collect();
        for link in open {
            self.hang_up_peer(person, link);
        }
    }

    /// Finds the open end of a person's link.
    fn end_of(&self, person: usize, link: LinkId) -> Option<(u64, bool)> {
        let is = |end: &End| end.person == person && end.link == link && end.open;
        self.peers.wires.iter().find_map(|(id, wire)| {
            if is(&wire.dialler) {
                return Some((*id, true));
            }
            is(&wire.receiver).then_some((*id, false))
        })
    }

    fn arrival(&mut self, wire: u64, at_dialler: bool) -> Option<u64> {
        let delay = self.latency();
        let now = self.now.boot_ms;
        let wire = self.peers.wires.get_mut(&wire)?;
        let end = if at_dialler { &mut wire.dialler } else { &mut wire.receiver };
        end.arrives_ms = end.arrives_ms.max(now + delay);
        let (arrives_ms, stalled) = (end.arrives_ms, end.stalled_until_ms > now);
        if stalled {
            self.hit(Hit::PeerLinkStalled);
        }
        Some(arrives_ms)
    }

    pub(crate) fn say_to_peer(&mut self, person: usize, link: LinkId, message: PeerMessage) {
        let Some((wire, is_dialler)) = self.end_of(person, link) else {
            return;
        };
        if let Some(when) = self.arrival(wire, !is_dialler) {
            self.at_time(when, Event::PeerSaid { wire, to_dialler: !is_dialler, message });
        }
    }

    pub(crate) fn peer_said(&mut self, wire: u64, to_dialler: bool, message: PeerMessage) {
        let Some(there) = self.peers.wires.get(&wire) else {
            return;
        };
        let end = if to_dialler { &there.dialler } else { &there.receiver };
        if end.open {
            let (person, link) = (end.person, end.link);
            let message = PeerMessage::from_frame(&message.to_frame()).unwrap();
            self.session(person, Input::Peer { link, message });
        }
    }

    pub(crate) fn hang_up_peer(&mut self, person: usize, link: LinkId) {
        let Some((wire, is_dialler)) = self.end_of(person, link) else {
            return;
        };
        if let Some(there) = self.peers.wires.get_mut(&wire) {
            let end = if is_dialler { &mut there.dialler } else { &mut there.receiver };
            end.open = false;
        }
        if let Some(when) = self.arrival(wire, !is_dialler) {
            self.at_time(when, Event::PeerDown { wire, at_dialler: !is_dialler });
        }
    }

    pub(crate) fn peer_down(&mut self, wire: u64, at_dialler: bool) {
        let Some(there) = self.peers.wires.get_mut(&wire) else {
            return;
        };
        let end = if at_dialler { &mut there.dialler } else { &mut there.receiver };
        if std::mem::replace(&mut end.open, false) {
            let (person, link) = (end.person, end.link);
            self.session(person, Input::PeerLost { link, why: PeerLoss::Broken });
        }
    }

    fn some_open_wire(&mut self) -> Option<u64> {
        let open: Vec<u64> = self
            .peers
            .wires
            .iter()
            .filter(|(_, wire)| wire.dialler.open && wire.receiver.open)
            .map(|(id, _)| *id)
            .collect();
        (!open.is_empty()).then(|| open[self.random.usize(0..open.len())])
    }

    /// Breaks a link. Frames in transit are lost, and each side notices after a delay of its own.
    pub(crate) fn break_peer_link(&mut self) {
        let Some(wire) = self.some_open_wire() else {
            return;
        };
        self.hit(Hit::PeerLinkBroke);
        for at_dialler in [true, false] {
            let noticed = self.random.u64(1..15_000);
            self.at(noticed, Event::PeerDown { wire, at_dialler });
        }
        let never = u64::MAX / 2;
        if let Some(wire) = self.peers.wires.get_mut(&wire) {
            wire.dialler.arrives_ms = never;
            wire.receiver.arrives_ms = never;
        }
    }

    /// Stalls a link for a while without an error.
    pub(crate) fn stall_peer_link(&mut self) {
        let until_ms = self.now.boot_ms + self.random.u64(1_000..40_000);
        if let Some(wire) = self.some_open_wire()
            && let Some(wire) = self.peers.wires.get_mut(&wire)
        {
            for end in [&mut wire.dialler, &mut wire.receiver] {
                end.arrives_ms = end.arrives_ms.max(until_ms);
                end.stalled_until_ms = until_ms;
            }
        }
    }
}
