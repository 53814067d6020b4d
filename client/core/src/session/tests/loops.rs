//! Servers and peers that try to keep the client busy. Each loop backs off or ends.

use std::cell::Cell;

use letschat_protocol::datagram::ToClient;

use super::*;

const TEN_MINUTES_MS: u64 = 600_000;

/// A function that ends a link to the server.
type Ending = fn(&mut TestSession) -> Vec<Effect>;

const ENDINGS: [Ending; 4] = [
    |client| client.notice(Notice::Closing(Closing::Terminated)),
    |client| client.notice(Notice::Closing(Closing::Silent)),
    |client| client.put(Input::ServerLost),
    // A reply without a request.
    |client| client.server(Code::Ok, "250"),
];

fn retry(effects: &[Effect]) -> Option<(u32, u64)> {
    told(effects).into_iter().find_map(|event| match event {
        Event::Retrying { attempt, in_ms, .. } => Some((*attempt, *in_ms)),
        _ => None,
    })
}

#[test]
fn server_that_ends_each_login_at_once_is_tried_rarely() {
    for ending in ENDINGS {
        let mut client = TestSession::logged_in();
        let (begin_ms, mut logins) = (client.now.boot_ms, 0);
        while client.now.boot_ms < begin_ms + TEN_MINUTES_MS {
            ending(&mut client);
            client.wait();
            client.come_in();
            assert_eq!(client.session.phase(), Phase::LoggedIn);
            logins += 1;
        }
        assert!((10..60).contains(&logins), "{logins} logins in ten minutes");
    }
}

#[test]
fn login_that_lives_ends_the_row_of_failures() {
    let mut client = TestSession::logged_in();
    for attempt in 1..=5 {
        assert_eq!(retry(&client.put(Input::ServerLost)).map(|(n, _)| n), Some(attempt));
        client.wait();
        client.come_in();
    }
    client.now.boot_ms += 10_000;
    let retry = retry(&client.put(Input::ServerLost));
    assert!(retry.is_some_and(|(attempt, in_ms)| attempt == 1 && in_ms <= 600), "{retry:?}");
}

#[test]
fn server_that_is_full_and_lost_by_turns_is_given_up() {
    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    for _ in 0..6 {
        client.wait();
        let fingerprint = Fingerprint::of_spki(b"server");
        let address = "10.0.0.100:4400".parse().unwrap();
        client.put(Input::ServerSecured {
            server: "there:4400".into(),
            fingerprint,
            binding: [0; 32],
            address,
        });
        let effects = client.server(Code::Busy, "All places are taken.");
        if told(&effects)
            .iter()
            .any(|event| matches!(event, Event::Error { code: FailureCode::Busy, .. }))
        {
            return;
        }
        client.wait();
        client.come_in();
        client.put(Input::ServerLost);
    }
    panic!("it was never given up");
}

/// Opens a chat that alice called for, without a server. Returns the link.
fn calling_alone(client: &mut TestSession) -> LinkId {
    client.connecting_to("bob", 2);
    let link = LinkId::dialled(1);
    client.put(Input::PeerDialled { link });
    client.put(Input::Peer { link, message: PeerMessage::Approve });
    client.ask(Request::Detach);
    link
}

fn dialled(effects: &[Effect]) -> Option<LinkId> {
    effects.iter().find_map(|effect| match effect {
        Effect::DialPeer { link, .. } => Some(*link),
        _ => None,
    })
}

fn is_lost(effects: &[Effect]) -> bool {
    told(effects)
        .iter()
        .any(|event| matches!(event, Event::ChatClosed { reason: ChatEnd::Lost, .. }))
}

/// Redials the peer of a chat until it is over, with these answers of the peer. Returns the number
/// of dials.
fn dials_until_lost(peer: impl Fn(&mut TestSession, LinkId) -> Vec<Effect>) -> usize {
    let mut client = TestSession::logged_in();
    let link = calling_alone(&mut client);
    let (begin_ms, mut dials) = (client.now.boot_ms, 0);
    let mut effects = client.put(Input::PeerLost { link, why: PeerLoss::Broken });
    while !is_lost(&effects) {
        if let Some(link) = dialled(&effects) {
            dials += 1;
            client.put(Input::PeerDialled { link });
            effects = peer(&mut client, link);
        } else {
            effects = client.wait();
        }
        assert!(dials < 100, "the chat goes on, and so do the dials");
    }
    assert!(client.now.boot_ms - begin_ms <= 70_000, "a minute after the first break");
    dials
}

#[test]
fn peer_that_resumes_and_cuts_is_dialled_a_few_times() {
    let lost = |link| Input::PeerLost { link, why: PeerLoss::Broken };
    let resumes = |client: &mut TestSession, link| {
        client.put(Input::Peer { link, message: PeerMessage::Resumed { received: 0 } })
    };
    let dials = dials_until_lost(|client, link| {
        resumes(client, link);
        client.put(lost(link))
    });
    assert!((5..20).contains(&dials), "{dials} dials");
    let dials = dials_until_lost(|client, link| {
        resumes(client, link);
        client.now.boot_ms += 9_000;
        client.put(lost(link))
    });
    assert!((3..20).contains(&dials), "{dials} dials");
}

#[test]
fn peer_that_cuts_or_refuses_each_resume_is_dialled_a_few_times() {
    let dials = dials_until_lost(|client, link| {
        client.put(Input::PeerLost { link, why: PeerLoss::Broken })
    });
    assert!((5..20).contains(&dials), "{dials} dials");
    let refusal = PeerMessage::Refuse(Refusal::Busy);
    let dials =
        dials_until_lost(|client, link| client.put(Input::Peer { link, message: refusal.clone() }));
    assert!((5..20).contains(&dials), "{dials} dials");
}

#[test]
fn chat_whose_links_live_a_while_outlives_many_breaks() {
    let mut client = TestSession::logged_in();
    let mut link = calling_alone(&mut client);
    for _ in 0..50 {
        client.now.boot_ms += 10_000;
        let effects = client.put(Input::PeerLost { link, why: PeerLoss::Broken });
        link = dialled(&effects).expect("the first dial is made at once");
        client.put(Input::PeerDialled { link });
        let message = PeerMessage::Resumed { received: 0 };
        let effects = client.put(Input::Peer { link, message });
        assert!(told(&effects).iter().any(|event| matches!(event, Event::ChatResumed { .. })));
    }
}

#[test]
fn peer_that_resumes_again_and_again_is_given_up() {
    for cuts in [true, false] {
        let mut client = TestSession::logged_in();
        let mut link = client.chat_with("bob", 2);
        let chat = ChatId(1);
        let mut resumes = 0;
        loop {
            let lost = Input::PeerLost { link, why: PeerLoss::Broken };
            let mut effects = if cuts { client.put(lost) } else { Vec::new() };
            link = LinkId::arrived(1_000 + resumes);
            let from = "10.0.0.2:4401".parse().unwrap();
            client.put(Input::PeerArrived { link, key: key(2), from });
            let message = PeerMessage::Resume { chat, received: 0 };
            effects.extend(client.put(Input::Peer { link, message }));
            resumes += 1;
            if is_lost(&effects) {
                break;
            }
            assert!(resumes < 1_000, "the chat goes on");
        }
        assert!((10..50).contains(&resumes), "{resumes} times");
    }
}

/// Counts the requested replays in ten minutes with a server that gives these answers.
fn replays(answer: impl Fn(&mut TestSession)) -> usize {
    let mut client = TestSession::logged_in();
    let entry = |number| Broadcast { number, sender: name("bob"), time_ms: 1, text: "a".into() };
    let (begin_ms, mut count) = (client.now.boot_ms, 0);
    client.notice(Notice::Broadcast { entry: entry(100), own: false });
    while client.now.boot_ms < begin_ms + TEN_MINUTES_MS {
        let effects = client.wait();
        if asks_server(&effects, |request| matches!(request, ServerRequest::Replay { .. })) {
            count += 1;
            answer(&mut client);
        }
        if asks_server(&effects, |request| *request == ServerRequest::Ping) {
            client.server(Code::Ok, "0 pong");
        }
    }
    count
}

#[test]
fn replay_that_ends_below_the_head_is_asked_for_rarely() {
    let below = replays(|client| {
        client.server(Code::Ok, "1 100 replaying");
        client.notice(Notice::Replayed { through: 0 });
    });
    assert!((5..60).contains(&below), "{below} replays");
    let refused = replays(|client| {
        client.server(Code::SlowDown, "not now");
        client.notice(Notice::Broadcast {
            entry: Broadcast { number: 200, sender: name("bob"), time_ms: 1, text: "a".into() },
            own: false,
        });
    });
    assert!((5..60).contains(&refused), "{refused} replays");
}

#[test]
fn head_that_grows_and_brings_nothing_is_followed_rarely() {
    let head = Cell::new(100);
    let count = replays(|client| {
        client.server(Code::Ok, "1 100 replaying");
        client.notice(Notice::Replayed { through: head.get() });
        head.set(head.get() + 1);
        client.put(Input::Datagram(ToClient::Head(head.get())));
    });
    assert!((5..60).contains(&count), "{count} replays");
}

#[test]
fn replay_that_brings_something_is_soon_followed() {
    let mut client = TestSession::logged_in();
    for number in (2..200).step_by(2) {
        let entry = Broadcast { number, sender: name("bob"), time_ms: number, text: "a".into() };
        client.notice(Notice::Broadcast { entry: entry.clone(), own: false });
        // The client waits only for datagrams that were overtaken.
        client.now.boot_ms += 60;
        let effects = client.put(Input::Tick);
        assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Replay { .. })));
        client.server(Code::Ok, &format!("1 {number} replaying"));
        let entry = Broadcast { number: number - 1, time_ms: number - 1, ..entry };
        client.notice(Notice::Broadcast { entry, own: false });
        client.notice(Notice::Replayed { through: number });
    }
}

/// Asks for the list of a server that sends these pages. Returns the code of the failure, and the
/// number of requested pages.
fn failed_list(page: impl Fn(u64) -> (Vec<String>, String), pause_ms: u64) -> (&'static str, u64) {
    let mut client = TestSession::logged_in();
    let (id, mut effects) = client.ask(Request::List);
    let mut pages = 0;
    while asks_server(&effects, |request| matches!(request, ServerRequest::List { .. })) {
        pages += 1;
        client.now.boot_ms += pause_ms;
        let (listed, last) = page(pages);
        let reply = ServerReply::long(Code::Ok, listed, last);
        effects = client.put(Input::Server(FromServer::Reply(reply)));
    }
    (code(&effects, id), pages)
}

#[test]
fn list_whose_pages_do_not_advance_fails() {
    let bob = || vec!["bob 10.0.0.2 4401".to_owned()];
    let same = failed_list(|_| (bob(), "1 more after bob".into()), 0);
    assert_eq!(same, ("malformed", 2));
    let back = failed_list(|page| (bob(), format!("1 more after a{}", 9 - page)), 0);
    assert_eq!(back, ("malformed", 2));
    let empty = failed_list(|page| (Vec::new(), format!("0 more after a{page:09}")), 0);
    assert_eq!(empty, ("malformed", 1));
    let nonsense = failed_list(|page| (vec!["?".into()], format!("1 more after a{page:09}")), 0);
    assert_eq!(nonsense, ("malformed", 1));
}

#[test]
fn list_that_does_not_end_fails() {
    let page =
        |page| (vec![format!("a{page:09} 10.0.0.2 4401")], format!("1 more after a{page:09}"));
    let (code, pages) = failed_list(page, 0);
    assert!(code == "malformed" && pages <= 1_000, "{code} after {pages} pages");
    let (code, pages) = failed_list(page, 20_000);
    assert!(code == "malformed" && pages <= 10, "{code} after {pages} slow pages");
}
