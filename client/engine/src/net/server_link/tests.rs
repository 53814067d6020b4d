//! Tests of the server link with a TLS server that does what each test needs.

use super::*;
use crate::net::QUEUE_LENGTH;
use futures_lite::future::{block_on, zip};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use futures_rustls::TlsAcceptor;
use futures_rustls::server::TlsStream as Accepted;
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::FromServer;
use letschat_protocol::identity::{
    EXPORTER_CONTEXT_LOGIN, EXPORTER_CONTEXT_TO_CLIENT, EXPORTER_CONTEXT_TO_SERVER, EXPORTER_LABEL,
};
use rcgen::{KeyPair, PublicKeyData as _, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use std::net::Ipv4Addr;
use tempfile::TempDir;

/// A listener with its own certificate, and a client's folder.
struct World {
    executor: LocalExecutor<'static>,
    listener: async_net::TcpListener,
    tls: TlsAcceptor,
    fingerprint: Fingerprint,
    folder: TempDir,
}

type Occurrences = async_channel::Receiver<Occurrence>;

impl World {
    fn new() -> World {
        let made = generate_simple_self_signed(vec!["server".into()]).unwrap();
        let key: &KeyPair = &made.signing_key;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = tls::server(made.cert.der().clone(), private).unwrap();
        World {
            executor: LocalExecutor::new(),
            listener: block_on(async_net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap(),
            fingerprint: Fingerprint::of_spki(&key.subject_public_key_info()),
            tls: TlsAcceptor::from(config),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn target(&self, given: Option<Fingerprint>) -> Target {
        let address = ServerAddress::new("localhost", self.address().port()).unwrap();
        Target {
            service: ServerAddress { fingerprint: given, ..address }.into(),
            last: Cell::new(0),
            known: KnownServers::in_folder(self.folder.path()),
            may_accept: false,
            local_port: None,
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn dial(&self, given: Option<Fingerprint>) -> (ServerLink, Occurrences) {
        let target = self.target(given);
        let (queue, occurrences) = async_channel::bounded(QUEUE_LENGTH);
        (ServerLink::dial(&self.executor, 7, Rc::new(target), queue), occurrences)
    }

    async fn accept(&self) -> io::Result<Accepted<TcpStream>> {
        let (stream, _) = self.listener.accept().await.unwrap();
        self.tls.accept(stream).await
    }

    /// Returns a link that is secured on both sides.
    async fn linked(&self) -> (ServerLink, Occurrences, Accepted<TcpStream>, Secured) {
        let (link, occurrences) = self.dial(None);
        let (accepted, occurrence) = zip(self.accept(), occurrences.recv()).await;
        let Ok(Occurrence::ServerSecured(7, secured)) = occurrence else { panic!() };
        (link, occurrences, accepted.unwrap(), *secured)
    }

    fn run<T>(&self, test: impl Future<Output = T>) -> T {
        block_on(self.executor.run(test))
    }
}

/// Returns addresses of the first server.
fn at_first(addresses: Vec<SocketAddr>) -> Vec<(usize, SocketAddr)> {
    addresses.into_iter().map(|address| (0, address)).collect()
}

async fn input(occurrences: &Occurrences) -> Input {
    match occurrences.recv().await.unwrap() {
        Occurrence::Server(7, input) => input,
        _ => panic!("not about the server"),
    }
}

#[test]
fn ends_draw_the_same_keys_and_the_servers_is_remembered() {
    let world = World::new();
    world.run(async {
        let (_link, _occurrences, accepted, secured) = world.linked().await;
        assert_eq!(secured.fingerprint, world.fingerprint);
        assert_eq!(secured.verdict, Verdict::FirstSight);
        let draw = |context| {
            let connection = accepted.get_ref().1;
            connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(context)).unwrap()
        };
        assert_eq!(draw(EXPORTER_CONTEXT_LOGIN), secured.keys.binding);
        assert_eq!(draw(EXPORTER_CONTEXT_TO_SERVER), secured.keys.keys.to_server);
        assert_eq!(draw(EXPORTER_CONTEXT_TO_CLIENT), secured.keys.keys.to_client);
        let (_link, _occurrences, _accepted, secured) = world.linked().await;
        assert_eq!(secured.verdict, Verdict::Known);
    });
}

#[test]
fn a_server_with_another_key_hears_nothing() {
    let world = World::new();
    let expected = Fingerprint::of_spki(b"another");
    world.run(async {
        let (_link, occurrences) = world.dial(Some(expected));
        let (accepted, unreached) = zip(world.accept(), input(&occurrences)).await;
        let found = world.fingerprint;
        let changed = Unreached::KeyChanged { known: expected, found };
        assert!(matches!(unreached, Input::ServerUnreached(why) if why == changed));
        let mut heard = Vec::new();
        let _ = accepted.unwrap().read_to_end(&mut heard).await;
        assert_eq!(heard, b"");
    });
}

#[test]
fn words_flow_both_ways_and_the_last_ones_arrive_before_the_end() {
    let world = World::new();
    world.run(async {
        let (link, occurrences, mut accepted, _) = world.linked().await;
        accepted.write_all(b"250-one\n250 two\n").await.unwrap();
        accepted.flush().await.unwrap();
        let Input::Server(FromServer::Reply(reply)) = input(&occurrences).await else { panic!() };
        assert_eq!((reply.code, reply.lines.len()), (Code::Ok, 2));

        link.send(&Request::Hello);
        link.send(&Request::Quit);
        let closing = link.close();
        let mut heard = String::new();
        // An end without the one of TLS would be an error here.
        accepted.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "HELLO letschat/1\nQUIT\n");
        drop(accepted);
        closing.await;
    });
}

#[test]
fn an_end_or_nonsense_is_a_lost_link_told_once() {
    for nonsense in [None, Some(&b"HTTP/1.1 400 Bad Request\r\n"[..]), Some(b"999 what\n250 x\n")] {
        let world = World::new();
        world.run(async {
            let (_link, occurrences, mut accepted, _) = world.linked().await;
            if let Some(nonsense) = nonsense {
                accepted.write_all(nonsense).await.unwrap();
                accepted.flush().await.unwrap();
            } else {
                drop(accepted);
            }
            assert!(matches!(input(&occurrences).await, Input::ServerLost));
            // The task held the only sender.
            assert!(occurrences.recv().await.is_err());
        });
    }
}

#[test]
fn what_does_not_answer_as_a_server_is_none() {
    let world = World::new();
    world.run(async {
        let (_link, occurrences) = world.dial(None);
        let talk = async {
            let (mut stream, _) = world.listener.accept().await.unwrap();
            stream.write_all(b"220 clear text\r\n").await.unwrap();
            stream
        };
        let (_stream, unreached) = zip(talk, input(&occurrences)).await;
        let reason = Unreached::NoServer("what answers there does not speak TLS 1.3".into());
        assert!(matches!(unreached, Input::ServerUnreached(why) if why == reason));
    });
}

#[test]
fn a_dial_that_is_called_off_tells_nothing() {
    let world = World::new();
    world.run(async {
        // Nobody accepts, so the handshake stays under way.
        let (link, occurrences) = world.dial(None);
        link.close().await;
        assert!(occurrences.recv().await.is_err());
    });
}

/// Returns a listener whose connections are accepted by the kernel and never answered.
fn silent_listener() -> std::net::TcpListener {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// Returns an address where nobody listens.
fn dead_address() -> SocketAddr {
    silent_listener().local_addr().unwrap()
}

#[test]
fn last_address_is_reached_behind_silent_and_dead_ones() {
    let world = World::new();
    let silent = [silent_listener(), silent_listener(), silent_listener()];
    let mut addresses = silent.each_ref().map(|one| one.local_addr().unwrap()).to_vec();
    addresses.extend([dead_address(), world.address()]);
    world.run(async {
        let target = world.target(None);
        let (accepted, reached) = zip(world.accept(), reach(&target, &at_first(addresses))).await;
        accepted.unwrap();
        let Ok((_, secured)) = reached else { panic!("it was not reached") };
        assert_eq!(secured.address, world.address());
        assert_eq!(secured.fingerprint, world.fingerprint);
    });
}

#[test]
fn address_with_another_key_gives_way_to_the_right_one() {
    let (world, other) = (World::new(), World::new());
    world.run(async {
        let target = world.target(Some(world.fingerprint));
        let addresses = vec![other.address(), world.address()];
        let accepted = zip(other.accept(), world.accept());
        let (accepted, reached) = zip(accepted, reach(&target, &at_first(addresses))).await;
        let mut heard = Vec::new();
        let _ = accepted.0.unwrap().read_to_end(&mut heard).await;
        assert_eq!(heard, b"", "nothing is said to a stranger");
        assert!(reached.is_ok_and(|(_, secured)| secured.fingerprint == world.fingerprint));
    });
}

#[test]
fn another_key_is_told_whatever_else_failed() {
    let world = World::new();
    let (known, found) = (Fingerprint::of_spki(b"another"), world.fingerprint);
    for addresses in [[world.address(), dead_address()], [dead_address(), world.address()]] {
        world.run(async {
            let target = world.target(Some(known));
            let (_, reached) =
                zip(world.accept(), reach(&target, &at_first(addresses.to_vec()))).await;
            assert_eq!(reached.err(), Some(Unreached::KeyChanged { known, found }));
        });
    }
}

#[test]
fn foreign_server_of_a_list_ends_no_tries_at_the_others() {
    let world = World::new();
    let known = Fingerprint::of_spki(b"another");
    let service = format!("{},{}#{known}", world.address(), dead_address());
    let target = Target { service: service.parse().unwrap(), ..world.target(None) };
    let ways = [(0, world.address()), (1, dead_address())];
    let (_, reached) = world.run(zip(world.accept(), reach(&target, &ways)));
    let (foreign, found) = (world.address(), world.fingerprint);
    let why =
        format!("{foreign} has the key {found} instead of {known}, and no other server answers");
    assert_eq!(reached.err(), Some(Unreached::NoServer(why)));
}

#[test]
fn name_without_addresses_is_not_reached() {
    let world = World::new();
    let reached = world.run(reach(&world.target(None), &[]));
    let why = "the name has no address".to_owned();
    assert_eq!(reached.err(), Some(Unreached::NoServer(why)));
}
