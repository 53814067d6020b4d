//! Peer links over loopback and over a stream that is no socket.

use super::*;
use crate::net::receiver::{Receiver, listen};
use crate::net::{Arrival, QUEUE_LENGTH};
use futures_lite::future::{block_on, zip};
use letschat_protocol::identity::Identity;
use std::net::Ipv4Addr;

struct Side {
    identity: Identity,
    tls: PeerTls,
}

fn side(seed: u8) -> Side {
    let identity = Identity::from_seed(&[seed; 32]);
    Side { tls: PeerTls::new(&identity).unwrap(), identity }
}

type Occurrences = async_channel::Receiver<Occurrence>;

/// Starts a receiver on a free port.
fn receive(
    executor: &LocalExecutor<'static>,
    side: &Side,
) -> (Receiver, Sender<Occurrence>, Occurrences, SocketAddr) {
    let listener = listen(None, 0).unwrap();
    let address = (Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()).into();
    let (queue, occurrences) = async_channel::bounded(QUEUE_LENGTH);
    let mut receiver = Receiver::start(executor, listener, queue.clone()).unwrap();
    receiver.open(1, side.tls.clone());
    (receiver, queue, occurrences, address)
}

async fn admit_one(
    executor: &LocalExecutor<'static>,
    receiver: &mut Receiver,
    occurrences: &Occurrences,
) {
    match occurrences.recv().await.unwrap() {
        Occurrence::Connected(stream, from) => receiver.admit(executor, stream, from),
        _ => panic!("nobody connected"),
    }
}

async fn peer_input(occurrences: &Occurrences) -> Input {
    match occurrences.recv().await.unwrap() {
        Occurrence::Peer(_, input) => input,
        _ => panic!("not about a peer link"),
    }
}

fn dial(
    executor: &LocalExecutor<'static>,
    from: &Side,
    to: SocketAddr,
    key: PublicKey,
) -> (PeerLink, Occurrences) {
    let (queue, occurrences) = async_channel::bounded(QUEUE_LENGTH);
    let link = LinkId::dialled(1);
    let target = |_| Target::at(to, key, from.tls.clone());
    (PeerLink::dial(executor, link, target, queue), occurrences)
}

#[test]
fn both_sides_learn_the_others_key_and_messages_flow_both_ways() {
    let executor = LocalExecutor::new();
    let (alice, bob) = (side(1), side(2));
    let (mut receiver, queue, arrivals, address) = receive(&executor, &bob);
    let (caller, called) = dial(&executor, &alice, address, bob.identity.public_key());
    block_on(executor.run(async {
        admit_one(&executor, &mut receiver, &arrivals).await;
        assert!(matches!(peer_input(&called).await, Input::PeerDialled { .. }));
        let Occurrence::Arrived(1, arrival) = arrivals.recv().await.unwrap() else { panic!() };
        let Arrival { stream, key, from, met } = *arrival;
        assert_eq!(met, None);
        assert_eq!(key, alice.identity.public_key());
        assert_eq!(from.ip(), Ipv4Addr::LOCALHOST);

        let callee = PeerLink::arrived(&executor, LinkId::arrived(1), stream, queue);
        let hello = PeerMessage::Message { number: 1, text: "grüße\n\x1b".repeat(1_000) };
        caller.send(&hello);
        callee.send(&PeerMessage::Ringing);
        let heard = peer_input(&arrivals).await;
        assert!(matches!(heard, Input::Peer { message, .. } if message == hello));
        let heard = peer_input(&called).await;
        assert!(matches!(heard, Input::Peer { message: PeerMessage::Ringing, .. }));

        // The last messages arrive before the end, and only the other side is told of the end.
        callee.send(&PeerMessage::Bye);
        let closing = callee.close();
        let heard = peer_input(&called).await;
        assert!(matches!(heard, Input::Peer { message: PeerMessage::Bye, .. }));
        let lost = peer_input(&called).await;
        assert!(matches!(lost, Input::PeerLost { why: PeerLoss::Broken, .. }));
        drop(caller);
        closing.await;
    }));
}

#[test]
fn somebody_with_another_key_is_not_taken_for_the_peer() {
    let executor = LocalExecutor::new();
    let (alice, mallory) = (side(1), side(3));
    let (mut receiver, _queue, arrivals, address) = receive(&executor, &mallory);
    let expected = side(2).identity.public_key();
    let (_caller, called) = dial(&executor, &alice, address, expected);
    block_on(executor.run(async {
        admit_one(&executor, &mut receiver, &arrivals).await;
        let lost = peer_input(&called).await;
        assert!(matches!(lost, Input::PeerLost { why: PeerLoss::WrongKey, .. }), "{lost:?}");
    }));
}

#[test]
fn nobody_is_received_while_no_account_is_open() {
    let executor = LocalExecutor::new();
    let (alice, bob) = (side(1), side(2));
    let (mut receiver, _queue, arrivals, address) = receive(&executor, &bob);
    receiver.close();
    let (_caller, called) = dial(&executor, &alice, address, bob.identity.public_key());
    block_on(executor.run(async {
        admit_one(&executor, &mut receiver, &arrivals).await;
        let lost = peer_input(&called).await;
        assert!(matches!(lost, Input::PeerLost { why: PeerLoss::Unreachable, .. }), "{lost:?}");
    }));
}

#[test]
fn silent_connections_keep_nobody_out() {
    let executor = LocalExecutor::new();
    let (alice, bob) = (side(1), side(2));
    let (mut receiver, _queue, arrivals, address) = receive(&executor, &bob);
    block_on(executor.run(async {
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(address).await.unwrap());
            admit_one(&executor, &mut receiver, &arrivals).await;
        }
        let (_caller, called) = dial(&executor, &alice, address, bob.identity.public_key());
        admit_one(&executor, &mut receiver, &arrivals).await;
        let dialled = peer_input(&called).await;
        assert!(matches!(dialled, Input::PeerDialled { .. }), "{dialled:?}");
    }));
}

#[test]
fn nobody_listens() {
    let executor = LocalExecutor::new();
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let (_caller, called) = dial(&executor, &side(1), address, side(2).identity.public_key());
    block_on(executor.run(async {
        let lost = peer_input(&called).await;
        assert!(matches!(lost, Input::PeerLost { why: PeerLoss::Unreachable, .. }), "{lost:?}");
    }));
}

#[test]
fn what_is_no_message_ends_the_link_as_such() {
    let (alice, bob) = (side(1), side(2));
    let executor = LocalExecutor::new();
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let (one, other) = (async_io::Async::new(one).unwrap(), async_io::Async::new(other).unwrap());
    let (queue, occurrences) = async_channel::bounded(QUEUE_LENGTH);
    block_on(executor.run(async {
        // A pair of sockets without addresses, like the two sides of a relay.
        let (ours, theirs) = zip(
            secure_as_dialler(one, &alice.tls, bob.identity.public_key()),
            secure_as_receiver(other, &bob.tls),
        )
        .await;
        let (mut ours, (theirs, key)) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(key, alice.identity.public_key());
        let _link = PeerLink::arrived(&executor, LinkId::arrived(1), theirs, queue);
        futures_lite::AsyncWriteExt::write_all(&mut ours, b"GET / HTTP/1.1\n").await.unwrap();
        futures_lite::AsyncWriteExt::flush(&mut ours).await.unwrap();
        let lost = peer_input(&occurrences).await;
        assert!(matches!(lost, Input::PeerLost { why: PeerLoss::Protocol, .. }), "{lost:?}");
    }));
}

#[test]
fn a_peer_that_does_not_read_is_a_broken_link() {
    let (alice, bob) = (side(1), side(2));
    let executor = LocalExecutor::new();
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let (one, other) = (async_io::Async::new(one).unwrap(), async_io::Async::new(other).unwrap());
    let (queue, occurrences) = async_channel::bounded(QUEUE_LENGTH);
    block_on(executor.run(async {
        let (ours, theirs) = zip(
            secure_as_dialler(one, &alice.tls, bob.identity.public_key()),
            secure_as_receiver(other, &bob.tls),
        )
        .await;
        let (ours, _unread) = (ours.unwrap(), theirs.unwrap());
        let link = PeerLink::arrived(&executor, LinkId::arrived(1), ours, queue);
        let message = PeerMessage::Message { number: 1, text: "x".repeat(16 * 1024) };
        for _ in 0..=OUTBOX_BYTES / (16 * 1024) {
            link.send(&message);
        }
        let lost = peer_input(&occurrences).await;
        assert!(matches!(lost, Input::PeerLost { why: PeerLoss::Broken, .. }), "{lost:?}");
    }));
}
