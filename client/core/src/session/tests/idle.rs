//! Users who were dropped as idle, and activity.

use letschat_protocol::limits::ACTIVITY_REPORT_MS;

use super::*;

fn away() -> TestSession {
    let mut client = TestSession::logged_in();
    let effects = client.notice(Notice::Closing(Closing::Idle));
    assert!(closes_account(&effects));
    assert!(matches!(
        told(&effects)[..],
        [Event::Disconnected { reason: LinkEnd::Closed(Closing::Idle), .. }]
    ));
    assert_eq!(client.session.phase(), Phase::Away);
    client
}

fn dials(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::DialServer))
}

#[test]
fn the_next_request_logs_in_by_key_and_is_carried_out() {
    let secret = || Secret("correct horse".into());
    let change = Request::ChangePassword { password: secret(), new: secret(), repeated: secret() };
    let connect = Request::Connect { who: "bob".into(), force: true, switch: true };
    for (request, asked) in [
        (Request::List, "LIST"),
        (Request::Watch(true), "WATCH"),
        (Request::Broadcast("hello".into()), "BROADCAST"),
        (change, "PASSWD"),
        (connect, "CONNECT"),
    ] {
        let mut client = away();
        let (id, effects) = client.ask(request);
        assert!(dials(&effects) && answer(&effects, id).is_none(), "{asked}: {effects:?}");
        let effects = client.come_in();
        let by_key = |event: &&Event| matches!(event, Event::LoggedIn { by: "key", .. });
        assert!(told(&effects).iter().any(by_key), "{asked}: {effects:?}");
        let verb = |request: &ServerRequest| request.to_frame().words().next() == Some(asked);
        assert!(asks_server(&effects, verb), "{asked}: {effects:?}");
        assert_eq!(client.session.phase(), Phase::LoggedIn);
    }
}

#[test]
fn several_requests_share_one_login_and_keep_their_order() {
    let mut client = away();
    let (_, effects) = client.ask(Request::Broadcast("one".into()));
    assert!(dials(&effects));
    let (id, effects) = client.ask(Request::Broadcast(String::new()));
    assert!(!dials(&effects));
    client.ask(Request::Broadcast("two".into()));
    let effects = client.come_in();
    let texts: Vec<&str> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::SendServer(ServerRequest::Broadcast { text }) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(code(&effects, id), "text_invalid");
}

#[test]
fn what_needs_no_server_does_not_log_in() {
    let mut client = away();
    for request in [Request::Status, Request::Blocked, Request::Say { to: None, text: "x".into() }]
    {
        let (id, effects) = client.ask(request);
        assert!(!dials(&effects) && answer(&effects, id).is_some(), "{effects:?}");
    }
}

#[test]
fn a_login_without_a_name_is_that_of_who_was_dropped() {
    let mut client = away();
    let (_, effects) = client.ask(log_in(None));
    assert!(dials(&effects));
    let effects = client.reach();
    let of_alice = |effect: &Effect| matches!(effect, Effect::OpenAccount { username, .. } if *username == Some(name("alice")));
    assert!(effects.iter().any(of_alice), "{effects:?}");
}

#[test]
fn a_return_that_fails_is_told_and_the_next_request_tries_again() {
    let mut client = away();
    let (id, _) = client.ask(Request::List);
    let found = Fingerprint::of_spki(b"other");
    let effects = client.put(Input::ServerUnreached(Unreached::KeyUnknown { found }));
    assert_eq!(code(&effects, id), "server_key_unknown");
    let (id, effects) = client.ask(Request::List);
    assert!(dials(&effects));
    let (_, effects) = client.ask(Request::Cancel(None));
    assert_eq!(code(&effects, id), "cancelled");
}

#[test]
fn requests_that_wait_for_the_return_are_bounded() {
    let mut client = away();
    let ids: Vec<_> = (0..100).map(|_| client.ask(Request::List)).collect();
    let refused = ids.iter().filter(|(id, effects)| answer(effects, *id).is_some());
    assert_eq!(refused.count(), 36);
}

#[test]
fn who_left_or_was_kicked_is_not_logged_in_again() {
    let mut left = away();
    left.ask(Request::Leave);
    let mut kicked = TestSession::logged_in();
    kicked.notice(Notice::Closing(Closing::Kicked));
    for mut client in [left, kicked] {
        let (id, effects) = client.ask(Request::List);
        assert_eq!(code(&effects, id), "not_logged_in");
        assert_eq!(client.session.phase(), Phase::Offline);
    }
}

#[test]
fn local_commands_are_reported_now_and_then() {
    let mut client = TestSession::logged_in();
    let reports =
        |effects: &[Effect]| asks_server(effects, |asked| *asked == ServerRequest::Active);
    assert!(reports(&client.ask(Request::Status).1));
    assert!(!reports(&client.ask(Request::Blocked).1));
    client.now.boot_ms += ACTIVITY_REPORT_MS;
    assert!(reports(&client.ask(Request::Blocked).1));
}
