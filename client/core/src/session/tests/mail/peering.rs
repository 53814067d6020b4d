//! Messages straight to people while the server is away.

use super::*;

/// Returns the messages that were sent over links to peers.
pub(super) fn sent_to_peers(effects: &[Effect]) -> Vec<(LinkId, &PeerMessage)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::SendPeer { link, message } => Some((*link, message)),
            _ => None,
        })
        .collect()
}

pub(super) fn dials(effects: &[Effect]) -> Vec<(LinkId, SocketAddr)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::DialPeer { link, to, .. } => Some((*link, *to)),
            _ => None,
        })
        .collect()
}

/// Returns the bodies that were delivered over this link.
pub(super) fn delivered_over(effects: &[Effect], over: LinkId) -> Vec<Body> {
    let bodies = sent_to_peers(effects).into_iter().filter(|(link, _)| *link == over);
    bodies
        .filter_map(|(_, message)| match message {
            PeerMessage::Deliver { body } => Some(Body::verify(body, &server_key()).unwrap()),
            _ => None,
        })
        .collect()
}

/// Returns a client that has chatted with bob, and whose server is gone.
fn without_server() -> TestSession {
    let mut client = TestSession::logged_in();
    let bob = client.chat_with("bob", 2);
    client.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    client.put(Input::ServerLost);
    client
}

fn acknowledge(client: &mut TestSession, link: LinkId, body: &Body) -> Vec<Effect> {
    let message = PeerMessage::Delivered { id: body.message_id() };
    client.put(Input::Peer { link, message })
}

impl TestSession {
    /// Delivers a body as this peer over a new link.
    pub(super) fn delivery_of(&mut self, peer: &Peer, body: &Body) -> (LinkId, Vec<Effect>) {
        self.links += 1;
        let link = LinkId::arrived(self.links);
        let key = peer.identity().public_key();
        self.put(Input::PeerArrived { link, key, from: "10.0.0.9:9".parse().unwrap() });
        let body = body.sign(&peer.identity(), &server_key());
        (link, self.put(Input::Peer { link, message: PeerMessage::Deliver { body } }))
    }
}

#[test]
fn message_goes_straight_to_a_person_without_the_server() {
    let mut client = without_server();
    let (id, effects) = client.send("bob", "hello");
    let [(link, to)] = dials(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(to, "10.0.0.2:4401".parse().unwrap());
    assert!(answer(&effects, id).is_none(), "it is answered when it has arrived");
    let effects = client.put(Input::PeerDialled { link });
    let [body] = &delivered_over(&effects, link)[..] else { panic!("{effects:?}") };
    assert_eq!(body.content, Content::Text("hello".into()));
    let effects = acknowledge(&mut client, link, body);
    assert_eq!(sent(&effects, id), (MessageState::Delivered, None));
    assert_eq!(states(&effects), [(MessageState::Delivered, None)]);
    assert_eq!(client.disk.mail.outbox, []);
    let (_, effects) = client.send("bob", "again");
    assert_eq!(delivered_over(&effects, link).len(), 1, "the link is used again");
}

#[test]
fn person_who_is_not_reached_is_tried_again() {
    let mut client = without_server();
    let (id, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    let effects = client.put(Input::PeerLost { link, why: PeerLoss::Unreachable });
    assert_eq!(sent(&effects, id), (MessageState::Waiting, None));
    let mut effects = Vec::new();
    while dials(&effects).is_empty() {
        effects = client.wait();
    }
    let link = dials(&effects)[0].0;
    let effects = client.put(Input::PeerDialled { link });
    assert_eq!(delivered_over(&effects, link).len(), 1);
}

#[test]
fn person_without_a_known_address_waits_for_the_server() {
    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    let (id, effects) = client.send("carol", "hello");
    assert_eq!(sent(&effects, id), (MessageState::Waiting, None));
    assert_eq!(dials(&effects), []);
}

#[test]
fn delivery_without_an_answer_is_repeated() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    client.put(Input::PeerDialled { link });
    client.now.boot_ms += 30_000;
    let effects = client.put(Input::Tick);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link))
    );
    client.now.boot_ms += 1_000;
    let effects = client.put(Input::Tick);
    assert_eq!(dials(&effects).len(), 1);
}

#[test]
fn server_that_is_back_gets_what_was_not_acknowledged() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    let effects = client.put(Input::PeerDialled { link });
    let body = delivered_over(&effects, link).remove(0);
    client.wait_for_dial();
    let effects = client.come_in();
    let asks_keys = |request: &ServerRequest| matches!(request, ServerRequest::Keys { .. });
    assert!(!asks_server(&effects, asks_keys), "it may still be acknowledged");
    let effects = client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    assert!(asks_server(&effects, asks_keys));
    client.answer_keys_of(&BOB);
    assert_eq!(client.disk.sealed[0].message_id(), body.message_id());
}

#[test]
fn delivery_is_shown_recorded_and_then_acknowledged() {
    let mut client = without_server();
    let body = BOB.text(1, "hello");
    let (link, effects) = client.delivery_of(&BOB, &body);
    assert_eq!(shown(&effects), ["hello"]);
    assert_eq!(sent_to_peers(&effects), [], "it is not recorded yet");
    client.now.boot_ms += 10;
    let effects = client.put(Input::Tick);
    let id = body.message_id();
    assert_eq!(sent_to_peers(&effects), [(link, &PeerMessage::Delivered { id })]);
    assert_eq!(client.disk.mail.receipts, [], "the acknowledgement says it");
    let (link, effects) = client.delivery_of(&BOB, &body);
    assert_eq!(shown(&effects), Vec::<&str>::new());
    assert_eq!(sent_to_peers(&effects), [(link, &PeerMessage::Delivered { id })]);
}

#[test]
fn message_that_also_comes_through_the_server_is_shown_once() {
    let mut client = without_server();
    let body = BOB.text(1, "hello");
    client.delivery_of(&BOB, &body);
    client.wait_for_dial();
    client.come_in();
    let effects = client.mail_of(&BOB, 1, body.clone());
    assert_eq!(shown(&effects), Vec::<&str>::new());
    let owed = client.disk.mail.receipts.iter().map(|owed| owed.id).collect::<Vec<_>>();
    assert_eq!(owed, [body.message_id()], "its author may not know that it arrived");
}

#[test]
fn deliveries_of_others_are_refused() {
    let carol = Peer { name: "carol", seed: 3 };
    let posing = Body { sender: name("bob"), ..carol.text(1, "I am bob") };
    let for_dave = Body { recipients: vec![name("dave")], ..BOB.text(1, "hi, dave") };
    for (peer, body) in [(&carol, carol.text(1, "hi")), (&carol, posing), (&BOB, for_dave)] {
        let mut client = without_server();
        let (link, effects) = client.delivery_of(peer, &body);
        assert_eq!(sent_to_peers(&effects), [(link, &PeerMessage::Refuse(Refusal::Unknown))]);
        assert_eq!(shown(&effects), Vec::<&str>::new());
    }
    let mut client = without_server();
    client.ask(Request::Block { who: "bob".into(), on: true });
    let (link, effects) = client.delivery_of(&BOB, &BOB.text(1, "let me in"));
    assert_eq!(sent_to_peers(&effects), [(link, &PeerMessage::Refuse(Refusal::Denied))]);
}

#[test]
fn body_that_another_device_signed_is_refused() {
    let mut client = without_server();
    let link = client.delivery_of(&BOB, &BOB.text(1, "hello")).0;
    let forged = Body { device: OTHER_BOB.identity().public_key(), ..BOB.text(2, "forged") };
    let body = forged.sign(&OTHER_BOB.identity(), &server_key());
    let effects = client.put(Input::Peer { link, message: PeerMessage::Deliver { body } });
    assert_eq!(sent_to_peers(&effects), [(link, &PeerMessage::Refuse(Refusal::Unknown))]);
}

#[test]
fn refused_delivery_waits_and_is_not_repeated_at_once() {
    let mut client = without_server();
    let (id, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    client.put(Input::PeerDialled { link });
    let message = PeerMessage::Refuse(Refusal::Unknown);
    let effects = client.put(Input::Peer { link, message });
    assert_eq!(sent(&effects, id), (MessageState::Waiting, None));
    client.now.boot_ms += 59_000;
    assert_eq!(dials(&client.put(Input::Tick)), []);
    client.now.boot_ms += 1_000;
    assert_eq!(dials(&client.put(Input::Tick)).len(), 1);
}

#[test]
fn client_that_starts_without_the_server_delivers_its_outbox() {
    let mut earlier = without_server();
    earlier.send("bob", "hello");
    let mut client = TestSession::with(None, Some(server_key()), false);
    client.disk = std::mem::take(&mut earlier.disk);
    let (id, _) = client.ask(log_in(Some("alice")));
    let effects = client.put(Input::ServerUnreached(Unreached::NoServer("refused".into())));
    let seeks = |effect: &Effect| matches!(effect, Effect::OpenAccount { is_offline: true, .. });
    assert!(effects.iter().any(seeks), "{effects:?}");
    let effects = client.open_account_with(earlier.session.peers(), true);
    assert_eq!(code(&effects, id), "no_server");
    let [(link, _)] = dials(&effects)[..] else { panic!("{effects:?}") };
    let effects = client.put(Input::PeerDialled { link });
    assert_eq!(delivered_over(&effects, link).len(), 1);
    assert!(client.session.next_deadline().is_some(), "the server is tried again");
}

#[test]
fn known_person_who_is_back_gets_what_waits_where_they_are() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    client.put(Input::PeerLost { link, why: PeerLoss::Unreachable });
    let link = LinkId::arrived(77);
    let key = BOB.identity().public_key();
    client.put(Input::PeerArrived { link, key, from: "10.0.0.77:9".parse().unwrap() });
    let effects = client.put(Input::Peer { link, message: PeerMessage::Here { port: 4499 } });
    let [(_, to)] = dials(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(to, "10.0.0.77:4499".parse().unwrap());
}

#[test]
fn trusted_new_key_ends_deliveries_to_the_old_one() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    let effects = client.put(Input::PeerDialled { link });
    let body = delivered_over(&effects, link).remove(0);
    acknowledge(&mut client, link, &body);
    client.delivery_of(&OTHER_BOB, &OTHER_BOB.text(1, "a new device"));
    client.wait_for_dial();
    client.come_in();
    client.mail_of(&OTHER_BOB, 1, OTHER_BOB.text(1, "a new device"));
    client.ask(Request::Trust("bob".into()));
    client.put(Input::ServerLost);
    let (_, effects) = client.send("bob", "secret");
    assert_eq!(delivered_over(&effects, link), [], "the device with the old key");
}

#[test]
fn trusted_new_key_ends_a_dial_to_the_old_one() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "secret");
    let link = dials(&effects)[0].0;
    // Bob's new key comes through the server while the old device is dialled.
    while !client.wait().iter().any(|effect| matches!(effect, Effect::DialServer)) {}
    client.come_in();
    client.mail_of(&OTHER_BOB, 1, OTHER_BOB.text(1, "a new device"));
    client.ask(Request::Trust("bob".into()));
    client.put(Input::ServerLost);
    let effects = client.put(Input::PeerDialled { link });
    assert_eq!(delivered_over(&effects, link), [], "the device with the old key");
}

#[test]
fn block_ends_deliveries_once_the_link_is_lost() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    client.put(Input::PeerDialled { link });
    client.ask(Request::Block { who: "bob".into(), on: true });
    assert_eq!(client.disk.mail.outbox.len(), 1, "it may have arrived");
    let effects = client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    assert_eq!(states(&effects), [(MessageState::Failed, Some(FailureCode::Blocked))]);
    assert_eq!(client.disk.mail.outbox, []);
}

#[test]
fn stalled_front_end_repeats_no_deliveries() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    client.put(Input::PeerDialled { link });
    // Acknowledgements are not read while the front end is behind.
    client.put(Input::Backlog(Backlog::Peers));
    client.now.boot_ms += 300_000;
    let closes = |effect: &Effect| matches!(effect, Effect::ClosePeer { .. });
    assert!(!client.put(Input::Tick).iter().any(closes));
    client.put(Input::Backlog(Backlog::None));
    client.now.boot_ms += 29_000;
    assert!(!client.put(Input::Tick).iter().any(closes));
    client.now.boot_ms += 1_000;
    assert!(client.put(Input::Tick).iter().any(closes));
}

#[test]
fn address_is_told_before_the_first_message() {
    let mut client = without_server();
    let (_, effects) = client.send("bob", "hello");
    let link = dials(&effects)[0].0;
    let effects = client.put(Input::PeerDialled { link });
    let first = sent_to_peers(&effects).into_iter().next();
    assert_eq!(first, Some((link, &PeerMessage::Here { port: 4401 })));
}

#[test]
fn account_opened_offline_is_not_used_at_another_server() {
    let mut client = TestSession::with(None, Some(Fingerprint::of_spki(b"earlier")), false);
    client.ask(log_in(Some("alice")));
    client.put(Input::ServerUnreached(Unreached::NoServer("refused".into())));
    client.open_account();
    client.send("bob", "hello");
    client.wait_for_dial();
    // The user has named another key for this address.
    let effects = client.reach();
    let opens = |effect: &Effect| matches!(effect, Effect::OpenAccount { server, is_offline: false, .. } if *server == server_key());
    assert!(effects.iter().any(opens), "{effects:?}");
}
