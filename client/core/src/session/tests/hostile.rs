//! Servers and peers that lie, or take places that are meant for others.

use letschat_protocol::datagram::ToClient;

use super::*;

fn introduce(client: &mut TestSession, who: &str, key: PublicKey) -> Vec<Effect> {
    let receiver = "10.0.0.66:4401".parse().unwrap();
    client.notice(Notice::Introduction(Introduction { username: name(who), receiver, key }))
}

/// Returns the n-th of many keys.
fn some_key(n: u32) -> PublicKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&n.to_be_bytes());
    Identity::from_seed(&seed).public_key()
}

fn rings(effects: &[Effect]) -> bool {
    told(effects).iter().any(|event| matches!(event, Event::Request { .. }))
}

/// Introduces a peer, who connects from this address and calls.
fn calls_from(client: &mut TestSession, who: &str, n: u32, from: &str) -> Vec<Effect> {
    introduce(client, who, some_key(n));
    let link = LinkId::arrived(u64::from(n));
    client.put(Input::PeerArrived { link, key: some_key(n), from: from.parse().unwrap() });
    let message = PeerMessage::Call { chat: ChatId(u128::from(n)), from: name(who) };
    client.put(Input::Peer { link, message })
}

fn refused(effects: &[Effect], why: Refusal) -> Option<LinkId> {
    effects.iter().find_map(|effect| match effect {
        Effect::SendPeer { link, message } if *message == PeerMessage::Refuse(why) => Some(*link),
        _ => None,
    })
}

/// Lets a peer call on a new link and hang up at once. Returns true if the call rang.
fn rings_and_hangs_up(client: &mut TestSession, who: &str, seed: u8) -> bool {
    let (link, effects) = client.called_by(who, seed);
    client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    assert!(rings(&effects) || refused(&effects, Refusal::Busy) == Some(link), "{effects:?}");
    rings(&effects)
}

#[test]
fn caller_who_withdraws_again_and_again_rings_rarely() {
    let mut client = TestSession::logged_in();
    let mut in_a_minute = 0;
    for _ in 0..6_000 {
        in_a_minute += u32::from(rings_and_hangs_up(&mut client, "mallory", 66));
        client.now.boot_ms += 10;
    }
    assert!((10..=20).contains(&in_a_minute), "{in_a_minute}");
    assert!(rings_and_hangs_up(&mut client, "bob", 2), "nobody else is kept out");
}

#[test]
fn caller_who_withdraws_rings_again_a_second_later() {
    let mut client = TestSession::logged_in();
    for _ in 0..2 {
        assert!(rings_and_hangs_up(&mut client, "bob", 2), "the first is heard at once");
        assert!(rings_and_hangs_up(&mut client, "bob", 2), "the second as well");
        assert!(!rings_and_hangs_up(&mut client, "bob", 2), "and the next is too soon");
        client.now.boot_ms += 1_000;
        assert!(rings_and_hangs_up(&mut client, "bob", 2));
        client.now.boot_ms += 60_000;
    }
}

#[test]
fn blocked_caller_is_turned_away_like_any_other() {
    let answers = |is_blocked: bool| {
        let mut client = TestSession::logged_in();
        client.ask(Request::Block { who: "mallory".into(), on: is_blocked });
        let mut answers = Vec::new();
        for _ in 0..20 {
            let (link, effects) = client.called_by("mallory", 66);
            client.put(Input::PeerLost { link, why: PeerLoss::Broken });
            answers.push(refused(&effects, Refusal::Busy));
            client.now.boot_ms += 300;
        }
        answers
    };
    assert_eq!(answers(true), answers(false));
}

#[test]
fn chats_that_open_do_not_count_against_a_caller() {
    let mut client = TestSession::logged_in();
    for _ in 0..100 {
        let link = client.chat_with("bob", 2);
        client.put(Input::Peer { link, message: PeerMessage::Bye });
    }
}

#[test]
fn callers_who_are_remembered_are_few() {
    let mut client = TestSession::logged_in();
    for n in 0..1_000 {
        rings_and_hangs_up(&mut client, &format!("mallory{n}"), 66);
    }
    assert!(client.session.requests.remembered()[0] <= 256);
}

#[test]
fn introductions_of_one_user_keep_nobody_else_out() {
    let mut client = TestSession::logged_in();
    let receiver = "10.0.0.2:4401".parse().unwrap();
    let bob = Introduction { username: name("bob"), receiver, key: key(2) };
    client.notice(Notice::Introduction(bob));
    for n in 0..1_000 {
        introduce(&mut client, "mallory", some_key(n));
    }
    let link = LinkId::arrived(99);
    client.put(Input::PeerArrived { link, key: key(2), from: receiver });
    let message = PeerMessage::Call { chat: ChatId(99), from: name("bob") };
    assert!(rings(&client.put(Input::Peer { link, message })), "he was introduced before all that");
    assert!(rings(&client.called_by("carol", 3).1), "she was introduced after it");
}

#[test]
fn of_many_introductions_the_oldest_gives_way() {
    let mut client = TestSession::logged_in();
    for n in 0..1_000 {
        introduce(&mut client, &format!("mallory{n}"), some_key(n));
    }
    assert!(client.session.requests.remembered()[1] <= 256);
    assert!(rings(&client.called_by("bob", 2).1));
}

#[test]
fn silent_links_of_one_address_keep_nobody_else_out() {
    let mut client = TestSession::logged_in();
    let arrive = |client: &mut TestSession, n: u64, from: &str| {
        let key = some_key(n as u32);
        let from = from.parse().unwrap();
        client.put(Input::PeerArrived { link: LinkId::arrived(n), key, from })
    };
    for n in 1_000..1_064 {
        assert!(arrive(&mut client, n, "10.0.0.66:50000").is_empty());
    }
    introduce(&mut client, "bob", some_key(1));
    let effects = arrive(&mut client, 1, "10.0.0.2:50000");
    assert_eq!(refused(&effects, Refusal::Busy), Some(LinkId::arrived(1_000)), "the oldest");
    for n in 2_000..2_200 {
        arrive(&mut client, n, "10.0.0.66:50000");
    }
    assert_eq!(client.session.cx.links.newcomers().len(), 64);
    let call = PeerMessage::Call { chat: ChatId(1), from: name("bob") };
    assert!(rings(&client.put(Input::Peer { link: LinkId::arrived(1), message: call })));
}

#[test]
fn requests_of_one_address_keep_nobody_else_out() {
    let mut client = TestSession::logged_in();
    for n in 0..16 {
        assert!(rings(&calls_from(&mut client, &format!("mallory{n}"), n, "10.0.0.66:50000")));
    }
    let effects = calls_from(&mut client, "mallory16", 16, "10.0.0.66:50000");
    assert_eq!(refused(&effects, Refusal::Busy), Some(LinkId::arrived(16)), "theirs are enough");
    assert!(!rings(&effects));
    assert!(rings(&calls_from(&mut client, "bob", 17, "10.0.0.2:50000")));
    assert_eq!(client.session.requests.names().count(), 16);
}

/// Answers a login with this name.
fn welcome(client: &mut TestSession, who: &str) -> Vec<Effect> {
    let address = "10.0.0.1".parse().unwrap();
    let (epoch, head, udp_port) = (1, 0, 4400);
    let username = name(who);
    let welcome = Welcome { username, session: SessionId(1), epoch, head, udp_port, address };
    client.put(Input::Server(FromServer::Reply(welcome.to_reply())))
}

#[test]
fn login_as_somebody_else_is_not_believed() {
    let mut client = TestSession::new(None);
    let (id, _) = client.ask(log_in(Some("alice")));
    client.reach();
    client.open_account();
    let effects = welcome(&mut client, "mallory");
    assert_eq!(code(&effects, id), "malformed");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::CloseServer)));
    assert_eq!(client.session.phase(), Phase::Offline);
    assert_eq!(client.session.next_deadline(), None, "it is not tried again");

    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    client.wait();
    client.reach();
    let effects = welcome(&mut client, "mallory");
    let is_told =
        |event: &&Event| matches!(event, Event::Error { code: FailureCode::Malformed, .. });
    assert!(told(&effects).iter().any(is_told), "{effects:?}");
    assert_eq!(client.session.next_deadline(), None, "it is not tried again");
}

#[test]
fn sign_up_leads_to_a_login_by_the_name_asked_for() {
    for made in ["bob", "mallory", ""] {
        let mut client = TestSession::new(None);
        let password = Secret("a fine passphrase".into());
        let repeated = password.clone();
        let username = "Bob".to_owned();
        let (id, _) = client.ask(Request::SignUp { username, password, repeated });
        client.reach();
        let effects = client.server(Code::SignedUp, &format!("{made} has an account now"));
        let expected = Reply::SignedUp { username: "bob".into() };
        assert_eq!(answer(&effects, id), Some(&Ok(expected)), "{made}");
    }
}

#[test]
fn somebody_else_than_asked_for_is_not_dialled() {
    let asked = ["bob", "10.0.0.2", "10.0.0.2:4401", "::ffff:10.0.0.2", "[fe80::2]:4401", "?"];
    for who in asked {
        let mut client = TestSession::logged_in();
        let (id, _) = client.ask(Request::Connect { who: who.into(), force: true, switch: true });
        let introduced = format!("mallory 10.0.0.66 4401 {} introduced", key(9));
        let effects = client.server(Code::Ok, &introduced);
        assert_eq!(code(&effects, id), "malformed", "{who}");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::DialPeer { .. })));
    }
    for who in ["10.0.0.2", "10.0.0.2:4401", "::ffff:10.0.0.2", "[::ffff:10.0.0.2]:4401"] {
        let mut client = TestSession::logged_in();
        client.ask(Request::Connect { who: who.into(), force: true, switch: true });
        let effects = client.server(Code::Ok, &format!("bob 10.0.0.2 4401 {} hello", key(2)));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::DialPeer { .. })), "{who}");
    }
}

#[test]
fn caller_is_not_passed_off_as_somebody_else() {
    let mut client = TestSession::logged_in();
    let call = |client: &mut TestSession, n: u64| {
        let link = LinkId::arrived(n);
        let from = "10.0.0.2:50000".parse().unwrap();
        client.put(Input::PeerArrived { link, key: key(2), from });
        let message = PeerMessage::Call { chat: ChatId(1), from: name("bob") };
        client.put(Input::Peer { link, message })
    };
    introduce(&mut client, "carol", key(2));
    let effects = call(&mut client, 1);
    assert_eq!(refused(&effects, Refusal::Unknown), Some(LinkId::arrived(1)), "{effects:?}");
    assert!(!rings(&effects));
    introduce(&mut client, "bob", key(2));
    assert!(rings(&call(&mut client, 2)));
}

#[test]
fn absurd_numbers_of_a_server_do_no_harm() {
    for number in [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX] {
        let mut client = TestSession::logged_in();
        let entry =
            |number, time_ms| Broadcast { number, sender: name("bob"), time_ms, text: "a".into() };
        for time_ms in [0, u64::MAX] {
            for number in [number, number.wrapping_add(1), number.wrapping_sub(1)] {
                client.notice(Notice::Broadcast { entry: entry(number, time_ms), own: false });
                client.put(Input::Datagram(ToClient::Head(number)));
                client.now.boot_ms += 60;
                client.put(Input::Tick);
                client.server(Code::Ok, &format!("{number} {number} replaying"));
                client.notice(Notice::Replayed { through: number });
            }
        }
        let mut client = TestSession::logged_in();
        client.notice(Notice::Crowd { joined: number, left: number });
        let (id, _) = client.ask(Request::Broadcast("hello".into()));
        let effects = client.server(Code::Ok, &format!("{number} {number}"));
        assert!(answer(&effects, id).unwrap().is_ok());
    }
}

#[test]
fn absurd_numbers_of_a_peer_end_the_chat_at_most() {
    for number in [2, u64::MAX - 1, u64::MAX] {
        let lies = [
            PeerMessage::Message { number, text: "a".into() },
            PeerMessage::Acknowledge { through: number },
            PeerMessage::Resumed { received: number },
        ];
        for message in lies {
            let mut client = TestSession::logged_in();
            let link = client.chat_with("bob", 2);
            let effects = client.put(Input::Peer { link, message });
            let over = |event: &&Event| {
                matches!(event, Event::ChatClosed { reason: ChatEnd::Protocol, .. })
            };
            assert!(told(&effects).iter().any(over), "{effects:?}");
        }
        let mut client = TestSession::logged_in();
        client.chat_with("bob", 2);
        let link = LinkId::arrived(99);
        client.put(Input::PeerArrived { link, key: key(2), from: "10.0.0.2:1".parse().unwrap() });
        let message = PeerMessage::Resume { chat: ChatId(1), received: number };
        let effects = client.put(Input::Peer { link, message });
        let over = |event: &&Event| matches!(event, Event::ChatClosed { .. });
        assert!(told(&effects).iter().any(over), "{effects:?}");
    }
}

#[test]
fn link_local_peer_is_dialled_on_the_link_to_the_server() {
    let cases = [
        ("[fe80::1%7]:4400", "fe80::2", "[fe80::2%7]:4401"),
        ("[fe80::1%7]:4400", "2001:db8::2", "[2001:db8::2]:4401"),
        ("[fe80::1%7]:4400", "10.0.0.2", "10.0.0.2:4401"),
        ("10.0.0.100:4400", "fe80::2", "[fe80::2]:4401"),
    ];
    for (server, told, dialled) in cases {
        let mut client = TestSession::new(None);
        client.ask(log_in(Some("alice")));
        let fingerprint = Fingerprint::of_spki(b"server");
        let address = server.parse().unwrap();
        client.put(Input::ServerSecured {
            server: "there:4400".into(),
            fingerprint,
            binding: [0; 32],
            address,
        });
        client.server(Code::Ready, "say HELLO");
        client.server(Code::WhichWay, "log in or sign up?");
        client.open_account();
        welcome(&mut client, "alice");
        client.server(Code::UnknownCommand, "no lists");
        client.server(Code::Ok, "published");
        client.ask(Request::Connect { who: "bob".into(), force: true, switch: true });
        let effects = client.server(Code::Ok, &format!("bob {told} 4401 {} introduced", key(2)));
        let expected: std::net::SocketAddr = dialled.parse().unwrap();
        let dials =
            |effect: &Effect| matches!(effect, Effect::DialPeer { to, .. } if *to == expected);
        assert!(effects.iter().any(dials), "{server} {told}: {effects:?}");
    }
}
