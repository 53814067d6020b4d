//! Idle and silent clients, and their deadlines.

use super::*;

/// Logs in Alice, who is idle after ten minutes.
fn alice() -> (TestHub, ConnectionId) {
    let mut server = TestHub::new(Settings { idle_ms: 600_000, ..Settings::default() }, 0, "");
    let (alice, _) = server.member("alice", "10.0.0.1");
    (server, alice)
}

impl TestHub {
    /// Sends this request once a minute, besides keep-alives.
    fn minutes(&mut self, id: ConnectionId, request: &Request, count: u32) -> Vec<Effect> {
        let mut effects = Vec::new();
        for _ in 0..count {
            effects.extend(self.pass(60_000));
            effects.extend(self.say(id, request).iter().cloned());
        }
        effects
    }
}

fn is_let_go(effects: &[Effect], id: ConnectionId) -> bool {
    notices(effects, id).contains(&Notice::Closing(Closing::Idle))
}

#[test]
fn what_a_program_says_by_itself_is_no_activity() {
    for request in [Request::Ping, Request::Replay { from: 1 }] {
        let (mut server, alice) = alice();
        assert!(!closes(&server.minutes(alice, &request, 9), alice), "{request:?}");
        assert!(is_let_go(&server.minutes(alice, &request, 1), alice), "{request:?}");
    }
}

#[test]
fn every_command_of_the_user_is_activity() {
    let secret = || letschat_protocol::dialogue::Secret("weak".into());
    for request in [
        Request::Active,
        Request::List { after: None },
        Request::Watch(false),
        Request::Connect { who: "-nobody".into() },
        Request::ChangePassword { password: secret(), new: secret(), repeated: secret() },
        Request::Help,
    ] {
        let (mut server, alice) = alice();
        assert!(!closes(&server.minutes(alice, &request, 20), alice), "{request:?}");
        assert!(is_let_go(&server.minutes(alice, &Request::Ping, 10), alice), "{request:?}");
    }
}

#[test]
fn a_broadcast_is_activity_of_sender_and_receivers() {
    let (mut server, alice) = alice();
    let (bob, _) = server.member("bob", "10.0.0.2");
    for _ in 0..20 {
        for person in [alice, bob] {
            assert!(!closes(&server.minutes(person, &Request::Ping, 1), person));
        }
        server.say(alice, &Request::Broadcast { text: "hi".into() });
        server.committed();
    }
    server.say(bob, &Request::Ping);
    let mut effects = Vec::new();
    for _ in 0..5 {
        effects.extend(server.minutes(alice, &Request::Ping, 1));
        effects.extend(server.minutes(bob, &Request::Ping, 1));
    }
    assert!(is_let_go(&effects, alice) && is_let_go(&effects, bob));
}

#[test]
fn udp_works_on_when_a_broadcast_puts_the_idle_deadline_off() {
    let (mut server, alice) = alice();
    let (bob, welcome) = server.member("bob", "10.0.0.1");
    server.prove_udp(&welcome);
    let (session, from) = (welcome.session, UDP.parse().unwrap());
    for second in 0..700 {
        server.pass(1_000);
        if second % 20 == 0 {
            server.put(Input::Datagram { session, from, message: ToServer::KeepAlive });
            server.say(bob, &Request::Ping);
            server.say(alice, &Request::Ping);
        }
        if second == 300 {
            server.say(alice, &Request::Broadcast { text: "hi".into() });
            server.committed();
        }
    }
    let page = server.put(Input::Operator(Operator::List { after: None })).to_vec();
    let [Effect::Answer(OperatorAnswer::Sessions(page))] = page.as_slice() else {
        panic!("{page:?}")
    };
    assert_eq!(page.sessions.len(), 2);
    // His UDP counts as working.
    let at = SessionPlace::Here { idle_ms: 399_000, datagrams: true };
    assert_eq!(page.sessions[1].at, at);
}

#[test]
fn an_absurd_limit_lets_nobody_go() {
    let mut server = TestHub::new(Settings { idle_ms: u64::MAX, ..Settings::default() }, 0, "");
    let (alice, _) = server.member("alice", "10.0.0.1");
    assert!(!closes(&server.minutes(alice, &Request::Ping, 1_000), alice));
}

#[test]
fn two_missed_keep_alives_end_a_program_but_no_person() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    let effects = server.pass(124_000);
    assert!(!closes(&effects, alice));
    let effects = server.pass(2_000);
    assert_eq!(notices(&effects, alice), [Notice::Closing(Closing::Silent)]);
    assert!(closes(&effects, alice));
}
