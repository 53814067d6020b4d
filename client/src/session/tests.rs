//! The session by itself, driven by hand: what the simulation does not single out.

use std::collections::BTreeSet;
use std::sync::Arc;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Broadcast, Closing, FromServer, Introduction, Notice, Reply as ServerReply,
    Request as ServerRequest, Secret, SessionId, Welcome,
};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};

use super::*;
use crate::event::Event;

mod acknowledgements;
mod broadcasts;
mod typing;

/// A session of alice's, with its effects at hand.
struct Stage {
    session: Session,
    now: Now,
    requests: u64,
    links: u64,
}

fn key(seed: u8) -> PublicKey {
    Identity::from_seed(&[seed; 32]).public_key()
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

impl Stage {
    fn new(tries: Option<u32>) -> Stage {
        let birth = Birth {
            server: "there:4400".into(),
            port: 4401,
            detach_on_chat: false,
            tries,
            return_after_idle: false,
            seed: 1,
        };
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        Stage { session: Session::new(birth), now, requests: 0, links: 0 }
    }

    fn logged_in() -> Stage {
        let mut stage = Stage::new(None);
        let (id, effects) = stage.ask(log_in(Some("alice")));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::DialServer)));
        let effects = stage.come_in();
        assert!(answer(&effects, id).unwrap().is_ok());
        stage
    }

    fn put(&mut self, input: Input) -> Vec<Effect> {
        self.session.handle(self.now, input)
    }

    fn ask(&mut self, request: Request) -> (RequestId, Vec<Effect>) {
        self.requests += 1;
        let id = RequestId(self.requests);
        (id, self.put(Input::Request { id, request }))
    }

    fn server(&mut self, code: Code, line: &str) -> Vec<Effect> {
        self.put(Input::Server(FromServer::Reply(ServerReply::new(code, line))))
    }

    fn notice(&mut self, notice: Notice) -> Vec<Effect> {
        self.put(Input::Server(FromServer::Notice(notice)))
    }

    /// Lets time pass until the next deadline.
    fn wait(&mut self) -> Vec<Effect> {
        let due = self.session.next_deadline().expect("something is due");
        self.now.boot_ms = self.now.boot_ms.max(due);
        self.put(Input::Tick)
    }

    /// The server answers a dial, up to its question.
    fn reach(&mut self) -> Vec<Effect> {
        let fingerprint = Fingerprint::of_spki(b"server");
        let address = "10.0.0.100:4400".parse().unwrap();
        self.put(Input::ServerSecured { fingerprint, binding: [0; 32], address });
        self.server(Code::Ready, "say HELLO");
        self.server(Code::WhichWay, "log in or sign up?")
    }

    fn open_account(&mut self) -> Vec<Effect> {
        self.put(Input::Account(Ok(Account {
            username: name("alice"),
            identity: Arc::new(Identity::from_seed(&[1; 32])),
            has_key: true,
            peers: BTreeMap::new(),
            blocked: BTreeSet::new(),
            position: LogPosition::default(),
        })))
    }

    /// The server answers a dial and lets alice in.
    fn come_in(&mut self) -> Vec<Effect> {
        let effects = self.reach();
        if effects.iter().any(|effect| matches!(effect, Effect::OpenAccount { .. })) {
            self.open_account();
        }
        let welcome = Welcome {
            username: name("alice"),
            session: SessionId(1),
            epoch: 1,
            head: 0,
            udp_port: 4400,
            address: "10.0.0.1".parse().unwrap(),
        };
        self.put(Input::Server(FromServer::Reply(welcome.to_reply())))
    }

    /// Somebody is introduced, arrives and calls; the link is returned.
    fn called_by(&mut self, who: &str, seed: u8) -> (LinkId, Vec<Effect>) {
        let receiver = format!("10.0.0.{seed}:4401").parse().unwrap();
        let introduction = Introduction { username: name(who), receiver, key: key(seed) };
        self.notice(Notice::Introduction(introduction));
        self.links += 1;
        let link = LinkId::arrived(self.links);
        self.put(Input::PeerArrived { link, key: key(seed), from: receiver });
        let chat = ChatId(u128::from(self.links));
        let message = PeerMessage::Call { chat, from: name(who) };
        (link, self.put(Input::Peer { link, message }))
    }

    /// A chat with somebody who called.
    fn chat_with(&mut self, who: &str, seed: u8) -> LinkId {
        let (link, _) = self.called_by(who, seed);
        let (id, _) = self.ask(Request::Approve(Some(who.into())));
        let effects = self.put(Input::Peer { link, message: PeerMessage::Open });
        assert!(answer(&effects, id).unwrap().is_ok());
        // The first activity is reported.
        self.server(Code::Ok, "noted");
        link
    }

    /// A request to connect to somebody whom the list has, up to the server's answer.
    fn connecting_to(&mut self, who: &str, seed: u8) -> RequestId {
        let (id, _) = self.ask(Request::Connect { who: who.into(), force: true, switch: true });
        let introduced = format!("{who} 10.0.0.{seed} 4401 {} introduced", key(seed));
        self.server(Code::Ok, &introduced);
        id
    }
}

fn log_in(username: Option<&str>) -> Request {
    Request::Login { username: username.map(str::to_owned), password: None, take: false }
}

fn answer(effects: &[Effect], wanted: RequestId) -> Option<&Result<Reply, Failure>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Answer { id, result } if *id == wanted => Some(result),
        _ => None,
    })
}

fn code(effects: &[Effect], id: RequestId) -> &'static str {
    answer(effects, id).unwrap().as_ref().unwrap_err().code
}

fn told(effects: &[Effect]) -> Vec<&Event> {
    let mut all = Vec::new();
    for effect in effects {
        if let Effect::Tell(event) = effect {
            all.push(event);
        }
    }
    all
}

fn asks_server(effects: &[Effect], wanted: impl Fn(&ServerRequest) -> bool) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::SendServer(request) if wanted(request)))
}

fn closes_account(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::CloseAccount))
}

#[test]
fn text_never_moves_to_another_chat_by_itself() {
    let mut stage = Stage::logged_in();
    let bob = stage.chat_with("bob", 2);
    stage.chat_with("carol", 3);
    stage.put(Input::Peer { link: bob, message: PeerMessage::Bye });
    let (id, effects) = stage.ask(Request::Say { to: None, text: "for bob only".into() });
    assert_eq!(code(&effects, id), "no_chat");
    let (id, effects) = stage.ask(Request::Disconnect(None));
    assert_eq!(code(&effects, id), "no_chat");
    stage.ask(Request::Switch("carol".into()));
    let (id, effects) = stage.ask(Request::Say { to: None, text: "for carol".into() });
    assert!(answer(&effects, id).unwrap().is_ok());
}

#[test]
fn a_server_that_is_full_after_an_outage_is_tried_as_often_as_any_full_one() {
    let mut stage = Stage::logged_in();
    stage.put(Input::ServerLost);
    for _ in 0..6 {
        stage.wait();
        let effects = stage.put(Input::ServerUnreached(Unreached::NoServer("refused".into())));
        assert!(matches!(told(&effects)[..], [Event::Retrying { .. }]), "{effects:?}");
    }
    for attempt in 1..=5 {
        stage.wait();
        let fingerprint = Fingerprint::of_spki(b"server");
        let address = "10.0.0.100:4400".parse().unwrap();
        stage.put(Input::ServerSecured { fingerprint, binding: [0; 32], address });
        let effects = stage.server(Code::Busy, "All places are taken.");
        let retrying =
            |event: &&Event| matches!(event, Event::Retrying { attempt: n, .. } if *n == attempt);
        assert!(told(&effects).iter().any(retrying), "attempt {attempt}: {effects:?}");
    }
}

#[test]
fn a_return_that_is_slowed_down_is_tried_again() {
    let mut stage = Stage::logged_in();
    stage.put(Input::ServerLost);
    stage.wait();
    stage.reach();
    let effects = stage.server(Code::SlowDown, "too many wrong answers from your address");
    assert!(told(&effects).iter().any(|event| matches!(event, Event::Retrying { .. })));
    stage.wait();
    stage.come_in();
    assert_eq!(stage.session.phase(), Phase::LoggedIn);
}

#[test]
fn the_account_stays_open_while_somebody_is_being_asked_or_asks() {
    let mut stage = Stage::logged_in();
    let id = stage.connecting_to("bob", 2);
    let (_, effects) = stage.ask(Request::Detach);
    assert!(!closes_account(&effects));
    let link = LinkId::dialled(1);
    stage.put(Input::PeerDialled { link });
    let effects = stage.put(Input::Peer { link, message: PeerMessage::Approve });
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(stage.session.peers().len(), 1, "bob is remembered");
    let effects = stage.put(Input::Peer { link, message: PeerMessage::Bye });
    assert!(closes_account(&effects), "and now nobody needs it");
}

#[test]
fn nobody_becomes_somebody_else_while_peers_know_them_by_the_old_name() {
    let mut stage = Stage::logged_in();
    stage.called_by("bob", 2);
    stage.ask(Request::Detach);
    let (id, effects) = stage.ask(log_in(Some("mallory")));
    assert_eq!(code(&effects, id), "already_logged_in");
}

#[test]
fn a_peer_that_calls_anew_when_detached_finds_the_account_open() {
    let mut stage = Stage::logged_in();
    stage.chat_with("bob", 2);
    let (again, _) = stage.called_by("bob", 2);
    stage.ask(Request::Detach);
    stage.ask(Request::Approve(Some("bob".into())));
    let effects = stage.put(Input::Peer { link: again, message: PeerMessage::Open });
    assert!(told(&effects).iter().any(|event| matches!(event, Event::ChatOpened { .. })));
    assert!(!closes_account(&effects));
}

#[test]
fn who_calls_while_we_look_for_them_is_approved() {
    let mut stage = Stage::logged_in();
    let (id, effects) =
        stage.ask(Request::Connect { who: "bob".into(), force: false, switch: true });
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::List { .. })));
    let (link, _) = stage.called_by("bob", 2);
    let page = ServerReply::long(Code::Ok, ["bob 10.0.0.2 4401".to_owned()], "1 end".to_owned());
    let effects = stage.put(Input::Server(FromServer::Reply(page)));
    let approved = |effect: &Effect| matches!(effect, Effect::SendPeer { link: to, message: PeerMessage::Approve } if *to == link);
    assert!(effects.iter().any(approved), "{effects:?}");
    let effects = stage.put(Input::Peer { link, message: PeerMessage::Open });
    assert!(answer(&effects, id).unwrap().is_ok());
}

#[test]
fn an_introduction_that_makes_no_sense_ends_the_call() {
    let mut stage = Stage::logged_in();
    for _ in 0..2 {
        let (id, _) = stage.ask(Request::Connect { who: "bob".into(), force: true, switch: true });
        let effects = stage.server(Code::Ok, "nonsense");
        assert_eq!(code(&effects, id), "malformed");
    }
}

#[test]
fn a_call_without_introduction_is_turned_away_after_a_while_and_asks_nobody() {
    let mut stage = Stage::logged_in();
    let link = LinkId::arrived(9);
    let from = "10.0.0.9:50000".parse().unwrap();
    stage.put(Input::PeerArrived { link, key: key(9), from });
    let call = PeerMessage::Call { chat: ChatId(9), from: name("bob") };
    assert!(told(&stage.put(Input::Peer { link, message: call })).is_empty());
    stage.now.boot_ms += 5_000;
    let effects = stage.put(Input::Tick);
    let refused = PeerMessage::Refuse(Refusal::Unknown);
    let says =
        |effect: &Effect| matches!(effect, Effect::SendPeer { message, .. } if *message == refused);
    assert!(effects.iter().any(says) && told(&effects).is_empty(), "{effects:?}");
}

#[test]
fn messages_before_the_approval_are_never_shown() {
    let mut stage = Stage::logged_in();
    let (link, effects) = stage.called_by("bob", 2);
    assert!(matches!(told(&effects)[..], [Event::Request { .. }]));
    let message = PeerMessage::Message { number: 1, text: "let me in".into() };
    let effects = stage.put(Input::Peer { link, message });
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::Message { .. })));
    let (link, _) = stage.called_by("carol", 3);
    let effects = stage.put(Input::Peer { link, message: PeerMessage::Open });
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::ChatOpened { .. })));
}

#[test]
fn a_request_goes_unanswered_after_a_minute_and_both_are_told() {
    let mut stage = Stage::logged_in();
    let (link, _) = stage.called_by("bob", 2);
    stage.now.boot_ms += 60_000;
    let effects = stage.put(Input::Tick);
    let refused = PeerMessage::Refuse(Refusal::NoAnswer);
    assert!(effects.iter().any(|effect| {
        matches!(effect, Effect::SendPeer { link: to, message } if *to == link && *message == refused)
    }));
    assert!(told(&effects).iter().any(|event| matches!(event, Event::RequestEnded { .. })));
}

#[test]
fn cancel_stops_a_login_at_any_of_its_steps() {
    let steps: [fn(&mut Stage); 3] = [
        |_| {},
        |stage| {
            stage.reach();
        },
        |stage| {
            stage.reach();
            stage.open_account();
        },
    ];
    for step in steps {
        let mut stage = Stage::new(None);
        let (login, _) = stage.ask(log_in(Some("alice")));
        step(&mut stage);
        let (id, effects) = stage.ask(Request::Cancel(None));
        assert_eq!(code(&effects, login), "cancelled");
        assert!(answer(&effects, id).unwrap().is_ok());
        assert!(stage.session.next_deadline().is_none(), "nothing goes on");
    }
}

#[test]
fn a_sign_up_that_waits_behind_a_refused_login_has_its_turn() {
    let mut stage = Stage::new(None);
    let (login, _) = stage.ask(log_in(Some("alice")));
    stage.reach();
    stage.open_account();
    let password = Secret("a fine passphrase".into());
    let sign_up =
        Request::SignUp { username: "bob".into(), password: password.clone(), repeated: password };
    let (id, _) = stage.ask(sign_up);
    let effects = stage.server(Code::KeyRefused, "not known here");
    assert_eq!(code(&effects, login), "key_refused");
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::SignUp { .. })));
    assert!(answer(&stage.server(Code::SignedUp, "bob has an account"), id).unwrap().is_ok());
}

#[test]
fn who_arrived_at_an_account_that_was_closed_reaches_nobody() {
    let mut stage = Stage::logged_in();
    let receiver = "10.0.0.2:4401".parse().unwrap();
    let introduction = Introduction { username: name("bob"), receiver, key: key(2) };
    stage.notice(Notice::Introduction(introduction));
    let link = LinkId::arrived(1);
    stage.put(Input::PeerArrived { link, key: key(2), from: receiver });
    let (_, effects) = stage.ask(Request::Leave);
    let closes =
        |effect: &Effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link);
    assert!(effects.iter().any(closes));
    let call = PeerMessage::Call { chat: ChatId(1), from: name("bob") };
    assert!(told(&stage.put(Input::Peer { link, message: call })).is_empty());
}

#[test]
fn leaving_is_not_told_as_a_loss() {
    let mut stage = Stage::logged_in();
    let (list, _) = stage.ask(Request::List);
    let (_, effects) = stage.ask(Request::Leave);
    assert_eq!(code(&effects, list), "cancelled");
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::Disconnected { .. })));
    assert!(closes_account(&effects));
}

#[test]
fn after_a_penalty_nothing_is_tried_until_the_user_wants_it() {
    let mut stage = Stage::logged_in();
    let (id, _) = stage.ask(Request::Connect { who: "nobody".into(), force: true, switch: true });
    let effects = stage.server(Code::Nobody, "Nobody is here by that name or address.");
    assert_eq!(code(&effects, id), "nobody");
    let effects = stage.notice(Notice::Closing(Closing::Penalty));
    assert!(
        told(&effects)
            .iter()
            .any(|event| matches!(event, Event::Disconnected { reason: "penalty", .. }))
    );
    assert!(stage.session.next_deadline().is_none());
}

#[test]
fn quitting_answers_everything_and_ends() {
    let mut stage = Stage::logged_in();
    stage.chat_with("bob", 2);
    let call = stage.connecting_to("carol", 3);
    let (list, _) = stage.ask(Request::List);
    let (quit, effects) = stage.ask(Request::Quit);
    for id in [call, list] {
        assert!(answer(&effects, id).unwrap().is_err());
    }
    assert!(answer(&effects, quit).unwrap().is_ok());
    assert!(matches!(effects.last(), Some(Effect::Finished)), "{effects:?}");
}

#[test]
fn quitting_waits_for_the_last_message_but_not_for_ever() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("bob", 2);
    stage.ask(Request::Say { to: None, text: "bye".into() });
    let (quit, effects) = stage.ask(Request::Quit);
    assert!(answer(&effects, quit).is_none());
    let mut slow = effects;
    while answer(&slow, quit).is_none() {
        slow = stage.wait();
    }
    let undelivered = |event: &&Event| matches!(event, Event::ChatClosed { undelivered, .. } if undelivered == &["bye"]);
    assert!(told(&slow).iter().any(undelivered) || stage.session.peers().is_empty(), "{link:?}");
}

#[test]
fn cancel_stops_a_sign_up_that_is_at_the_server() {
    let mut stage = Stage::new(None);
    let password = Secret("correct horse".into());
    let sign_up =
        Request::SignUp { username: "bob".into(), password: password.clone(), repeated: password };
    let (signing_up, _) = stage.ask(sign_up);
    assert!(asks_server(&stage.reach(), |request| matches!(request, ServerRequest::SignUp { .. })));
    let (id, effects) = stage.ask(Request::Cancel(None));
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(code(&effects, signing_up), "cancelled");
}

#[test]
fn cancel_withdraws_a_request_for_which_the_server_is_still_being_asked() {
    let asked = |who: &str, force| Request::Connect { who: who.into(), force, switch: true };
    for (who, force, named) in [
        ("bob", false, None),
        ("bob", false, Some("Bob")),
        ("10.0.0.2", false, None),
        ("10.0.0.2", true, Some("10.0.0.2")),
    ] {
        let mut stage = Stage::logged_in();
        let (connecting, _) = stage.ask(asked(who, force));
        let (id, effects) = stage.ask(Request::Cancel(named.map(str::to_owned)));
        assert!(answer(&effects, id).unwrap().is_ok(), "{who}");
        assert_eq!(code(&effects, connecting), "cancelled", "{who}");
        let effects = stage.server(Code::Ok, "0 end");
        assert!(effects.is_empty(), "{who}: {effects:?}");
    }
}

#[test]
fn the_requests_of_somebody_blocked_wait_for_an_answer_that_does_not_come() {
    let mut stage = Stage::logged_in();
    let (id, effects) = stage.ask(Request::Block { who: "Mallory".into(), on: true });
    assert!(answer(&effects, id).unwrap().is_ok());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Save(Save::Blocked))));
    let says = |effects: &[Effect], wanted: PeerMessage, to: LinkId| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::SendPeer { link, message } if *link == to && *message == wanted)
        })
    };
    let (link, effects) = stage.called_by("mallory", 3);
    assert!(told(&effects).is_empty(), "{effects:?}");
    assert!(says(&effects, PeerMessage::Ringing, link), "as anybody's would");
    stage.now.boot_ms += 60_000;
    let effects = stage.put(Input::Tick);
    assert!(says(&effects, PeerMessage::Refuse(Refusal::NoAnswer), link), "{effects:?}");
    assert!(told(&effects).is_empty(), "{effects:?}");

    let (id, effects) =
        stage.ask(Request::Connect { who: "mallory".into(), force: true, switch: true });
    assert_eq!(code(&effects, id), "blocked");
    stage.ask(Request::Block { who: "mallory".into(), on: false });
    let (_, effects) = stage.called_by("mallory", 3);
    assert!(matches!(told(&effects)[..], [Event::Request { .. }]));
}

#[test]
fn many_requests_of_somebody_blocked_are_not_kept() {
    let mut stage = Stage::logged_in();
    stage.ask(Request::Block { who: "mallory".into(), on: true });
    let busy = |effect: &Effect| {
        matches!(effect, Effect::SendPeer { message: PeerMessage::Refuse(Refusal::Busy), .. })
    };
    let mut turned_away = 0;
    for _ in 0..20 {
        let (_, effects) = stage.called_by("mallory", 3);
        turned_away += effects.iter().filter(|effect| busy(effect)).count();
    }
    assert_eq!(turned_away, 4, "sixteen wait");
}

#[test]
fn what_somebody_blocked_says_while_the_chat_ends_is_not_shown() {
    let mut stage = Stage::logged_in();
    let link = stage.chat_with("mallory", 3);
    stage.ask(Request::Say { to: Some("mallory".into()), text: "goodbye".into() });
    stage.ask(Request::Block { who: "mallory".into(), on: true });
    let message = PeerMessage::Message { number: 1, text: "one more thing".into() };
    let effects = stage.put(Input::Peer { link, message });
    assert!(told(&effects).is_empty(), "{effects:?}");
}

#[test]
fn to_block_somebody_ends_what_there_is_with_them() {
    let mut stage = Stage::logged_in();
    stage.chat_with("mallory", 3);
    let (calling, _) = stage.called_by("trudy", 4);
    let (_, effects) = stage.ask(Request::Block { who: "mallory".into(), on: true });
    let says_goodbye =
        |effect: &Effect| matches!(effect, Effect::SendPeer { message: PeerMessage::Bye, .. });
    assert!(effects.iter().any(says_goodbye), "{effects:?}");
    let (_, effects) = stage.ask(Request::Block { who: "trudy".into(), on: true });
    let hangs_up =
        |effect: &Effect| matches!(effect, Effect::ClosePeer { link } if *link == calling);
    assert!(effects.iter().any(hangs_up), "{effects:?}");
}

#[test]
fn only_a_user_of_the_server_is_blocked_by_name_and_nobody_blocks_themselves() {
    let mut stage = Stage::new(None);
    let (id, effects) = stage.ask(Request::Block { who: "mallory".into(), on: true });
    assert_eq!(code(&effects, id), "not_logged_in");
    let mut stage = Stage::logged_in();
    for (who, expected) in [("alice", "yourself"), ("a b", "bad_arguments")] {
        let (id, effects) = stage.ask(Request::Block { who: who.into(), on: true });
        assert_eq!(code(&effects, id), expected, "{who}");
    }
}

#[test]
fn a_change_of_password_is_the_servers_to_judge() {
    let mut stage = Stage::logged_in();
    let secret = |text: &str| Secret(text.into());
    let change = |new: &str| Request::ChangePassword {
        password: secret("correct horse"),
        new: secret(new),
        repeated: secret(new),
    };
    let (id, effects) = stage.ask(change("two\nlines"));
    assert_eq!(code(&effects, id), "password_weak");
    for (reply, expected) in [(Code::WrongPassword, Some("wrong_password")), (Code::Ok, None)] {
        let (id, effects) = stage.ask(change("other horse"));
        let asked =
            |request: &ServerRequest| matches!(request, ServerRequest::ChangePassword { .. });
        assert!(asks_server(&effects, asked));
        let effects = stage.server(reply, "so be it");
        let answer = answer(&effects, id).unwrap().as_ref();
        assert_eq!(answer.err().map(|failure| failure.code), expected);
    }
}
