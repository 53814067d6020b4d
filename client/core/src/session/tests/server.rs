//! The link to the server: logging in, coming back, leaving.

use super::*;

#[test]
fn full_server_after_an_outage_is_tried_like_any_full_one() {
    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    for _ in 0..6 {
        client.wait();
        let effects = client.put(Input::ServerUnreached(Unreached::NoServer("refused".into())));
        assert!(matches!(told(&effects)[..], [Event::Retrying { .. }]), "{effects:?}");
    }
    for attempt in 1..=5 {
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
        let retrying =
            |event: &&Event| matches!(event, Event::Retrying { attempt: n, .. } if *n == attempt);
        assert!(told(&effects).iter().any(retrying), "attempt {attempt}: {effects:?}");
    }
}

#[test]
fn server_of_the_list_that_was_reached_is_named() {
    let mut client = TestSession::logged_in();
    assert_eq!(client.session.status().server, "reached:4400");
    client.put(Input::ServerLost);
    client.wait();
    client.put(Input::ServerSecured {
        server: "other:4400".into(),
        fingerprint: Fingerprint::of_spki(b"server"),
        binding: [0; 32],
        address: "10.0.0.101:4400".parse().unwrap(),
    });
    let effects = client.server(Code::Ready, "say HELLO");
    let is_named =
        |event: &&Event| matches!(event, Event::Connected { server, .. } if server == "other:4400");
    assert!(told(&effects).iter().any(is_named), "{effects:?}");
}

#[test]
fn a_return_that_is_slowed_down_is_tried_again() {
    let mut client = TestSession::logged_in();
    client.put(Input::ServerLost);
    client.wait();
    client.reach();
    let effects = client.server(Code::SlowDown, "too many wrong answers from your address");
    assert!(told(&effects).iter().any(|event| matches!(event, Event::Retrying { .. })));
    client.wait();
    client.come_in();
    assert_eq!(client.session.phase(), Phase::LoggedIn);
}

#[test]
fn nobody_changes_names_while_peers_know_the_old_one() {
    let mut client = TestSession::logged_in();
    client.called_by("bob", 2);
    client.ask(Request::Detach);
    let (id, effects) = client.ask(log_in(Some("mallory")));
    assert_eq!(code(&effects, id), "already_logged_in");
}

#[test]
fn cancel_stops_a_login_at_any_of_its_steps() {
    let steps: [fn(&mut TestSession); 3] = [
        |_| {},
        |client| {
            client.reach();
        },
        |client| {
            client.reach();
            client.open_account();
        },
    ];
    for step in steps {
        let mut client = TestSession::new(None);
        let (login, _) = client.ask(log_in(Some("alice")));
        step(&mut client);
        let (id, effects) = client.ask(Request::Cancel(None));
        assert_eq!(code(&effects, login), "cancelled");
        assert!(answer(&effects, id).unwrap().is_ok());
        assert!(client.session.next_deadline().is_none(), "nothing goes on");
    }
}

#[test]
fn a_sign_up_that_waits_behind_a_refused_login_has_its_turn() {
    let mut client = TestSession::new(None);
    let (login, _) = client.ask(log_in(Some("alice")));
    client.reach();
    client.open_account();
    let password = Secret("a fine passphrase".into());
    let sign_up =
        Request::SignUp { username: "bob".into(), password: password.clone(), repeated: password };
    let (id, _) = client.ask(sign_up);
    let effects = client.server(Code::KeyRefused, "not known here");
    assert_eq!(code(&effects, login), "key_refused");
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::SignUp { .. })));
    assert!(answer(&client.server(Code::SignedUp, "bob has an account"), id).unwrap().is_ok());
}

#[test]
fn leaving_is_not_told_as_a_loss() {
    let mut client = TestSession::logged_in();
    let (list, _) = client.ask(Request::List);
    let (_, effects) = client.ask(Request::Leave);
    assert_eq!(code(&effects, list), "cancelled");
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::Disconnected { .. })));
    assert!(closes_account(&effects));
}

#[test]
fn after_a_penalty_nothing_is_tried_until_the_user_wants_it() {
    let mut client = TestSession::logged_in();
    let (id, _) = client.ask(Request::Connect { who: "nobody".into(), force: true, switch: true });
    let effects = client.server(Code::Nobody, "Nobody is here by that name or address.");
    assert_eq!(code(&effects, id), "nobody");
    let effects = client.notice(Notice::Closing(Closing::Penalty));
    assert!(told(&effects).iter().any(|event| matches!(
        event,
        Event::Disconnected { reason: LinkEnd::Closed(Closing::Penalty), .. }
    )));
    assert!(client.session.next_deadline().is_none());
}

#[test]
fn cancel_stops_a_sign_up_that_is_at_the_server() {
    let mut client = TestSession::new(None);
    let password = Secret("correct horse".into());
    let sign_up =
        Request::SignUp { username: "bob".into(), password: password.clone(), repeated: password };
    let (signing_up, _) = client.ask(sign_up);
    assert!(asks_server(&client.reach(), |request| matches!(
        request,
        ServerRequest::SignUp { .. }
    )));
    let (id, effects) = client.ask(Request::Cancel(None));
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(code(&effects, signing_up), "cancelled");
}

#[test]
fn a_change_of_password_is_the_servers_to_judge() {
    let mut client = TestSession::logged_in();
    let secret = |text: &str| Secret(text.into());
    let change = |new: &str| Request::ChangePassword {
        password: secret("correct horse"),
        new: secret(new),
        repeated: secret(new),
    };
    let (id, effects) = client.ask(change("two\nlines"));
    assert_eq!(code(&effects, id), "password_weak");
    for (reply, expected) in [(Code::WrongPassword, Some("wrong_password")), (Code::Ok, None)] {
        let (id, effects) = client.ask(change("other horse"));
        let asked =
            |request: &ServerRequest| matches!(request, ServerRequest::ChangePassword { .. });
        assert!(asks_server(&effects, asked));
        let effects = client.server(reply, "so be it");
        let answer = answer(&effects, id).unwrap().as_ref();
        assert_eq!(answer.err().map(|failure| failure.code().name()), expected);
    }
}

#[test]
fn reaching_is_answered_by_the_link_or_its_first_failure() {
    let mut client = TestSession::new(None);
    let (first, _) = client.ask(Request::Reach);
    let effects = client.put(Input::ServerUnreached(Unreached::NoServer("refused".into())));
    assert_eq!(code(&effects, first), "no_server");
    assert!(client.session.next_deadline().is_none(), "it is not tried again");
    let (second, _) = client.ask(Request::Reach);
    assert!(answer(&client.reach(), second).unwrap().is_ok());
    let (third, effects) = client.ask(Request::Reach);
    assert!(answer(&effects, third).unwrap().is_ok());

    let mut client = TestSession::new(None);
    let (reaching, _) = client.ask(Request::Reach);
    let (id, effects) = client.ask(Request::Cancel(None));
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(code(&effects, reaching), "cancelled");
}
