//! Tests of the session alone, driven by hand, for cases that the simulation does not single out.

use std::collections::BTreeSet;
use std::sync::Arc;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Broadcast, Closing, FromServer, Introduction, Notice, Reply as ServerReply,
    Request as ServerRequest, Secret, SessionId, Welcome,
};
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey, Signature};
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};

use super::*;
use crate::codes::{ChatEnd, FailureCode, LinkEnd, NoticeCode};
use crate::event::{Event, KeyState};

mod acknowledgements;
mod backlog;
mod blocking;
mod broadcasts;
mod calls;
mod chats;
mod devices;
mod groups;
mod hostile;
mod idle;
mod keys;
mod loops;
mod mail;
mod meetings;
mod server;
mod typing;

/// Alice's session, with its effects at hand.
struct TestSession {
    session: Session,
    now: Now,
    requests: u64,
    links: u64,
    disk: mail::Disk,
    /// The server's answer to a prekey.
    prekeys: Code,
}

fn key(seed: u8) -> PublicKey {
    Identity::from_seed(&[seed; 32]).public_key()
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

impl TestSession {
    fn new(tries: Option<u32>) -> TestSession {
        TestSession::with(tries, None, false)
    }

    fn with(tries: Option<u32>, known_server: Option<Fingerprint>, classroom: bool) -> TestSession {
        let config = SessionConfig {
            server: "there:4400".into(),
            port: 4401,
            detach_on_chat: false,
            tries,
            return_after_idle: false,
            known_server,
            device_name: DeviceName::like("laptop"),
            classroom,
            seed: 1,
        };
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        let (session, disk) = (Session::new(config), mail::Disk::default());
        TestSession { session, now, requests: 0, links: 0, disk, prekeys: Code::Ok }
    }

    fn logged_in() -> TestSession {
        let mut client = TestSession::new(None);
        let (id, effects) = client.ask(log_in(Some("alice")));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::DialServer)));
        let effects = client.come_in();
        assert!(answer(&effects, id).unwrap().is_ok());
        client
    }

    /// Handles an input. Events are confirmed as displayed at once.
    fn put(&mut self, input: Input) -> Vec<Effect> {
        self.put_with(input, true)
    }

    fn put_undisplayed(&mut self, input: Input) -> Vec<Effect> {
        self.put_with(input, false)
    }

    /// Handles an input, and answers the effects that need no network, in their order.
    fn put_with(&mut self, input: Input, displays: bool) -> Vec<Effect> {
        let mut effects = self.session.handle(self.now, input);
        let mut done = 0;
        while done < effects.len() {
            let answer = match &effects[done] {
                Effect::Display(_, displayed) if displays => Some(Input::Displayed(*displayed)),
                effect => self.disk.answer(effect),
            };
            done += 1;
            if let Some(input) = answer {
                effects.extend(self.session.handle(self.now, input));
            }
        }
        effects
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

    /// Answers a dial as the server, up to its question.
    fn reach(&mut self) -> Vec<Effect> {
        let fingerprint = Fingerprint::of_spki(b"server");
        let address = "10.0.0.100:4400".parse().unwrap();
        self.put(Input::ServerSecured {
            server: "reached:4400".into(),
            fingerprint,
            binding: [0; 32],
            address,
        });
        self.server(Code::Ready, "say HELLO");
        self.server(Code::WhichWay, "log in or sign up?")
    }

    fn open_account(&mut self) -> Vec<Effect> {
        self.open_account_with(BTreeMap::new(), true)
    }

    fn open_account_with(
        &mut self,
        peers: BTreeMap<Username, KnownPeer>,
        has_key: bool,
    ) -> Vec<Effect> {
        self.put(Input::Account(Ok(Account {
            username: name("alice"),
            identity: Arc::new(Identity::from_seed(&[1; 32])),
            has_key,
            peers,
            blocked: BTreeSet::new(),
            position: LogPosition::default(),
            mail: self.disk.stored(),
        })))
    }

    /// Answers a dial as the server and lets alice in.
    fn come_in(&mut self) -> Vec<Effect> {
        let effects = self.reach();
        if effects.iter().any(|effect| matches!(effect, Effect::OpenAccount { .. })) {
            self.open_account();
        }
        self.welcome()
    }

    fn welcome(&mut self) -> Vec<Effect> {
        let welcome = Welcome {
            username: name("alice"),
            session: SessionId(1),
            epoch: 1,
            head: 0,
            udp_port: 4400,
            address: "10.0.0.1".parse().unwrap(),
        };
        let mut effects = self.put(Input::Server(FromServer::Reply(welcome.to_reply())));
        // Most tests are about one device of each account.
        if asks_server(&effects, |request| matches!(request, ServerRequest::Devices { .. })) {
            effects.extend(self.server(Code::UnknownCommand, "no lists"));
        }
        if asks_server(&effects, |request| matches!(request, ServerRequest::Prekey(_))) {
            effects.extend(self.server(self.prekeys, "published"));
        }
        effects
    }

    /// Introduces a peer, who connects and calls. Returns the link.
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

    /// Opens a chat with a peer who called.
    fn chat_with(&mut self, who: &str, seed: u8) -> LinkId {
        let (link, _) = self.called_by(who, seed);
        let (id, _) = self.ask(Request::Approve(Some(who.into())));
        let effects = self.put(Input::Peer { link, message: PeerMessage::Open });
        assert!(answer(&effects, id).unwrap().is_ok());
        // The first activity is reported.
        self.server(Code::Ok, "noted");
        link
    }

    /// Requests to connect to a user in the list, up to the server's answer.
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
    answer(effects, id).unwrap().as_ref().unwrap_err().code().name()
}

/// Returns the events for programs.
fn told(effects: &[Effect]) -> Vec<&Event> {
    let mut all = Vec::new();
    for effect in effects {
        match effect {
            Effect::Tell(event) | Effect::Display(event, _) if !event.is_for_views() => {
                all.push(event);
            }
            _ => {}
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
