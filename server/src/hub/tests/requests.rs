//! Requests of logged-in clients.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Listed;

use super::*;

fn crowd(count: usize) -> (TestHub, ConnectionId) {
    let mut server = TestHub::new(Settings { places: 2_000, ..Settings::default() }, 0, "");
    let (alice, _) = server.member("alice", "10.0.0.1");
    for n in 0..count {
        server
            .member(&format!("{}{n:04}", "x".repeat(28)), "2001:db8:1111:2222:3333:4444:5555:6666");
    }
    (server, alice)
}

impl TestHub {
    fn asks_for_the_crowd(&mut self, alice: ConnectionId) -> Reply {
        let who = "2001:db8:1111:2222:3333:4444:5555:6666".into();
        let effects = self.say(alice, &Request::Connect { who }).to_vec();
        let mut bytes = Vec::new();
        let reply = replies(&effects, alice).remove(0);
        reply.encode(&mut bytes);
        assert!(bytes.len() < letschat_protocol::limits::MAX_PAGE_BYTES, "{} bytes", bytes.len());
        reply
    }
}

#[test]
fn many_clients_at_one_address_are_counted_and_some_named() {
    let (mut server, alice) = crowd(1_500);
    let reply = server.asks_for_the_crowd(alice);
    assert_eq!(reply.code, Code::Ambiguous);
    let (last, items) = reply.lines.split_last().unwrap();
    assert_eq!(items.len(), 50);
    assert!(items.iter().all(|item| Listed::parse(item).is_some()), "{items:?}");
    assert_eq!(
        last,
        "1500 share that address, of which these are the first 50; ask for one by name"
    );
}

#[test]
fn few_clients_at_one_address_are_all_named() {
    let (mut server, alice) = crowd(50);
    let reply = server.asks_for_the_crowd(alice);
    assert_eq!(reply.lines.len(), 51);
    assert!(reply.last_line().starts_with("several share that address"), "{reply:?}");
}

#[test]
fn absurd_limits_of_broadcasts_let_everything_through() {
    let limits = Settings {
        broadcast_burst: 1 << 31,
        broadcast_interval_ms: 1 << 33,
        ..Settings::default()
    };
    let mut server = TestHub::new(limits, 0, "");
    let (alice, _) = server.member("alice", "10.0.0.1");
    for _ in 0..10 {
        server.say(alice, &Request::Broadcast { text: "hi".into() });
        let effects = server.committed().to_vec();
        assert_eq!(replies(&effects, alice)[0].code, Code::Ok);
    }
}

#[test]
fn a_tab_is_no_reason_to_refuse_a_broadcast() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    server.say(alice, &Request::Broadcast { text: "a\tb".into() });
    let effects = server.committed().to_vec();
    assert_eq!(replies(&effects, alice)[0].code, Code::Ok);
}

#[test]
fn a_refused_broadcast_is_told_what_is_wrong_with_it() {
    let mut server = TestHub::empty();
    let (alice, _) = server.member("alice", "10.0.0.1");
    for (text, why) in [
        ("", "nothing to read"),
        ("\u{200b}\u{2800}", "nothing to read"),
        ("\t\t", "nothing to read"),
        ("a\u{7}", "control characters"),
        ("a\nb", "one line"),
    ] {
        let effects = server.say(alice, &Request::Broadcast { text: text.into() }).to_vec();
        let reply = replies(&effects, alice).remove(0);
        assert_eq!(reply.code, Code::TextInvalid);
        assert!(reply.last_line().contains(why), "{text:?}: {reply:?}");
    }
}
