//! A client's session, with a server and peers that may send anything at any time.
//!
//! The driver's guarantees hold: nothing arrives over a closed link, and each dial has one result. The
//! input chooses everything else.

mod dialogue;
mod files;
mod mail;
mod meetings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use letschat_core::session::{
    Account, AccountError, Backlog, Dial, Displayed, Effect, Input, LinkId, LogPosition, Now,
    PeerLoss, Reply as Told, Request, RequestId, Session, SessionConfig, Status, Unreached,
};
use letschat_core::view::{SessionState, View};
use letschat_protocol::datagram::ToClient;
use letschat_protocol::devices::DeviceName;
use letschat_protocol::dialogue::{FromServer, ReplyAssembler, Secret};
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::groups::GroupId;
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey};
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::username::Username;

use self::files::FileThreads;
use self::mail::Disk;
use crate::choices::Choices;

const NAMES: &[&str] = &["alice", "bob", "carol"];

/// Checks that the events agree with the session's status.
fn agrees(told: &SessionState, status: &Status) {
    assert_eq!(told.link.name(), status.state);
    assert_eq!(told.username.as_ref().map(|name| name.to_string()), status.username);
    let requests: Vec<String> = told.requests.iter().map(|name| name.to_string()).collect();
    assert_eq!(requests, status.requests);
    let chats: Vec<(&str, &str)> =
        told.chats.iter().map(|(with, state)| (with.as_str(), state.name())).collect();
    let open = status.chats.iter().filter(|chat| chat.state != "calling");
    assert_eq!(chats, open.map(|chat| (chat.with.as_str(), chat.state)).collect::<Vec<_>>());
}

/// The maximum number of consecutive ticks. After a suspend of the machine several deadlines may have
/// passed.
const MAX_TICKS: usize = 8;

/// Runs the input.
pub fn run(bytes: &[u8]) {
    let mut world = World::new(Choices::new(bytes));
    while !world.choices.is_over() && !world.is_finished {
        world.step();
    }
}

#[derive(PartialEq, Eq)]
enum ServerLink {
    Down,
    Dialled,
    Up,
}

struct World<'a> {
    choices: Choices<'a>,
    session: Session,
    now: Now,
    server: ServerLink,
    assembler: ReplyAssembler,
    account_asked: Option<Option<Username>>,
    /// The username of the last opened account.
    account: Option<Username>,
    has_datagrams: bool,
    dialled: BTreeSet<LinkId>,
    links: BTreeSet<LinkId>,
    arrived: u64,
    chats: Vec<ChatId>,
    /// The last group of which a roster was delivered.
    group: Option<GroupId>,
    requests: u64,
    unanswered: BTreeMap<RequestId, Request>,
    /// The events not yet displayed.
    waiting: VecDeque<Displayed>,
    is_finished: bool,
    disk: Disk,
    files: FileThreads,
    /// The attempts that want a meeting and have no answer.
    wanted: Vec<Dial>,
    /// The views of a front end that subscribed at the start, and of one that subscribed later.
    view: View,
    late_view: View,
}

fn key(n: usize) -> PublicKey {
    Identity::from_seed(&[n as u8 + 1; 32]).public_key()
}

impl<'a> World<'a> {
    fn new(mut choices: Choices<'a>) -> World<'a> {
        let (classroom, was_met) = (choices.flip(), choices.flip());
        let config = SessionConfig {
            server: "localhost:4400".into(),
            port: 4401,
            detach_on_chat: false,
            tries: None,
            return_after_idle: true,
            known_server: was_met.then(|| Fingerprint::of_spki(b"fuzz")),
            device_name: DeviceName::like("fuzz"),
            classroom,
            seed: 7,
        };
        World {
            choices,
            session: Session::new(config),
            now: Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 },
            server: ServerLink::Down,
            assembler: ReplyAssembler::default(),
            account_asked: None,
            account: None,
            has_datagrams: false,
            dialled: BTreeSet::new(),
            links: BTreeSet::new(),
            arrived: 0,
            chats: vec![ChatId(1)],
            group: None,
            requests: 0,
            unanswered: BTreeMap::new(),
            waiting: VecDeque::new(),
            is_finished: false,
            disk: Disk::default(),
            files: FileThreads::default(),
            wanted: Vec::new(),
            view: View::default(),
            late_view: View::default(),
        }
    }

    fn step(&mut self) {
        match self.choices.below(16) {
            0 | 1 => self.request(),
            14 => self.mail(),
            15 => self.file_news(),
            2 => self.reach_server(),
            3..=5 => self.server_says(),
            6 => self.answer_account(),
            7 => self.datagram(),
            8 if self.choices.below(4) == 0 => self.meet(),
            8 => self.meet_peer(),
            9 | 10 => self.peer_says(),
            11 => self.display(),
            12 => self.fall_behind(),
            _ => self.pass_time(),
        }
    }

    fn display(&mut self) {
        if let Some(displayed) = self.waiting.pop_front() {
            self.handle(Input::Displayed(displayed));
        }
    }

    fn fall_behind(&mut self) {
        let all = [Backlog::None, Backlog::Peers, Backlog::Full];
        let backlog = all[self.choices.below(all.len())];
        self.handle(Input::Backlog(backlog));
    }

    fn name(&mut self) -> Username {
        self.choices.one(NAMES).unwrap_or_default().parse().expect("a valid name")
    }

    fn who(&mut self) -> Option<String> {
        match self.choices.below(4) {
            0 => None,
            1 => Some(self.choices.text(12)),
            _ => Some(self.name().to_string()),
        }
    }

    fn request(&mut self) {
        let who = self.who();
        let somebody = who.clone().unwrap_or_else(|| "127.0.0.2:4401".into());
        let (password, on) = (Secret("correct horse battery".into()), self.choices.flip());
        let request = match self.choices.below(27) {
            0 => Request::SignUp { username: somebody, repeated: password.clone(), password },
            1 => Request::ChangePassword {
                repeated: password.clone(),
                new: password.clone(),
                password,
            },
            2 | 3 => Request::Login { username: who, password: on.then_some(password), take: on },
            4 => Request::Leave,
            19 => Request::Reach,
            22 | 23 => self.group_request(),
            24 | 25 => self.file_request(),
            20 | 21 => Request::Send { to: somebody, text: self.choices.text(100) },
            5 => Request::Detach,
            6 => Request::List,
            7 => Request::Watch(on),
            8 | 9 => Request::Connect { who: somebody, force: on, switch: on },
            10 => Request::Approve(who),
            11 => Request::Deny(who),
            12 => Request::Cancel(who),
            13 => Request::Say { to: who, text: self.choices.text(100) },
            14 => Request::Disconnect(who),
            15 => Request::Broadcast(self.choices.text(100)),
            16 => Request::Verify { who: somebody, matches: on },
            17 => Request::Block { who: somebody, on },
            18 => [Request::Switch(somebody.clone()), Request::Trust(somebody)][usize::from(on)]
                .clone(),
            _ => [Request::Status, Request::Blocked, Request::Deny(None), Request::Quit]
                [self.choices.below(4)]
            .clone(),
        };
        self.requests += 1;
        let id = RequestId(self.requests);
        self.unanswered.insert(id, request.clone());
        self.handle(Input::Request { id, request });
    }

    fn reach_server(&mut self) {
        match self.server {
            ServerLink::Down => {}
            ServerLink::Up => {
                self.server = ServerLink::Down;
                self.handle(Input::ServerLost);
            }
            ServerLink::Dialled if self.choices.below(4) > 0 => {
                self.server = ServerLink::Up;
                self.assembler = ReplyAssembler::default();
                let fingerprint = Fingerprint::of_spki(b"fuzz");
                let address = SocketAddr::from(([127, 0, 0, 1], 4400));
                self.handle(Input::ServerSecured {
                    server: "server".into(),
                    fingerprint,
                    binding: [9; 32],
                    address,
                });
            }
            ServerLink::Dialled => {
                self.server = ServerLink::Down;
                let found = Fingerprint::of_spki(b"other");
                let why = match self.choices.below(4) {
                    0 => Unreached::Folder("it is away".into()),
                    1 => Unreached::KeyUnknown { found },
                    2 => Unreached::KeyChanged { known: Fingerprint::of_spki(b"fuzz"), found },
                    _ => Unreached::NoServer("nothing answers".into()),
                };
                self.handle(Input::ServerUnreached(why));
            }
        }
    }

    fn server_says(&mut self) {
        if self.server != ServerLink::Up {
            return;
        }
        let said = match self.choices.below(4) {
            0 => FromServer::Notice(self.notice()),
            1 => return self.server_says_bytes(),
            _ => FromServer::Reply(self.reply()),
        };
        self.handle(Input::Server(said));
    }

    fn server_says_bytes(&mut self) {
        let mut decoder = Decoder::new();
        decoder.extend(self.choices.bytes(200));
        decoder.extend(b"\n");
        while let Ok(Some(frame)) = decoder.next(Mode::Frame) {
            if let Ok(Some(said)) = self.assembler.take(&frame)
                && self.server == ServerLink::Up
            {
                self.handle(Input::Server(said));
            }
        }
    }

    fn answer_account(&mut self) {
        let Some(asked) = self.account_asked.take() else { return };
        let username = match asked {
            Some(username) => username,
            None => self.name(),
        };
        self.account = Some(username.clone());
        let result = match self.choices.below(6) {
            0 => Err(AccountError::InUse(username)),
            1 => Err(AccountError::NotOne(vec![username])),
            2 => Err(AccountError::Folder("it is away".into())),
            _ => Ok(Account {
                username,
                identity: Arc::new(Identity::from_seed(&[200; 32])),
                has_key: self.choices.flip(),
                peers: BTreeMap::new(),
                blocked: BTreeSet::new(),
                position: LogPosition { epoch: 1, through: self.choices.below(3) as u64 },
                mail: self.disk.stored(),
            }),
        };
        self.handle(Input::Account(result));
    }

    fn datagram(&mut self) {
        if self.has_datagrams {
            let message = match self.choices.below(3) {
                0 => ToClient::Challenge(self.choices.number()),
                1 => ToClient::Head(self.choices.number()),
                _ => ToClient::Broadcast { entry: self.broadcast(), own: self.choices.flip() },
            };
            self.handle(Input::Datagram(message));
        }
    }

    fn meet_peer(&mut self) {
        let dialled: Vec<LinkId> = self.dialled.iter().copied().collect();
        let why = [PeerLoss::Unreachable, PeerLoss::WrongKey, PeerLoss::Broken, PeerLoss::Protocol];
        let why = why[self.choices.below(4)];
        match (self.choices.below(4), self.choices.one(&dialled)) {
            (0 | 1, Some(link)) => {
                self.dialled.remove(&link);
                self.links.insert(link);
                self.handle(Input::PeerDialled { link });
            }
            (2, Some(link)) => {
                self.dialled.remove(&link);
                self.handle(Input::PeerLost { link, why });
            }
            (3, _) if !self.links.is_empty() => {
                let link = self.link();
                self.links.remove(&link);
                self.handle(Input::PeerLost { link, why });
            }
            _ => {
                self.arrived += 1;
                let link = LinkId::arrived(self.arrived);
                self.links.insert(link);
                let from = SocketAddr::from(([127, 0, 0, 2], 45_000));
                let key = key(self.choices.below(3));
                self.handle(Input::PeerArrived { link, key, from });
            }
        }
    }

    /// Chooses one of the links.
    fn link(&mut self) -> LinkId {
        let links: Vec<LinkId> = self.links.iter().copied().collect();
        self.choices.one(&links).expect("there is one")
    }

    fn peer_says(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let link = self.link();
        let chat = self.choices.one(&self.chats).unwrap_or(ChatId(2));
        let number = self.choices.number();
        let message = match self.choices.below(16) {
            12 | 13 => PeerMessage::Deliver { body: self.signed_body() },
            14 => PeerMessage::Delivered { id: self.some_message() },
            15 => {
                let id = self.some_file();
                [PeerMessage::Here { port: 1 }, PeerMessage::Knock, PeerMessage::Get { id }]
                    [self.choices.below(3)]
                .clone()
            }
            0 => PeerMessage::Call { chat: ChatId(u128::from(number)), from: self.name() },
            1 => PeerMessage::Resume { chat, received: number },
            2 => PeerMessage::Ringing,
            3 => PeerMessage::Approve,
            4 => PeerMessage::Open,
            5 => PeerMessage::Resumed { received: number },
            6 => PeerMessage::Refuse(self.choices.one(Refusal::ALL).unwrap_or(Refusal::Busy)),
            7 | 8 => PeerMessage::Message { number: number.max(1), text: self.choices.text(50) },
            9 => PeerMessage::Acknowledge { through: number },
            10 => [PeerMessage::Ping, PeerMessage::Pong][self.choices.below(2)].clone(),
            _ => PeerMessage::Bye,
        };
        self.handle(Input::Peer { link, message });
    }

    fn pass_time(&mut self) {
        let passed = self.choices.milliseconds();
        self.now.boot_ms += passed;
        self.now.wall_ms = self.choices.number() >> 8;
        for _ in 0..MAX_TICKS {
            self.handle(Input::Tick);
            if self.session.next_deadline().is_none_or(|due| due > self.now.boot_ms) {
                return;
            }
        }
        panic!("what was due is still due after {MAX_TICKS} ticks");
    }

    fn handle(&mut self, input: Input) {
        // A front end that subscribes now must see the same state as one that subscribed at the start.
        if self.choices.below(8) == 0 {
            self.late_view = self.view.clone();
        }
        let mut status = None;
        for effect in self.session.handle(self.now, input) {
            match &effect {
                Effect::Tell(event) | Effect::Display(event, _) => {
                    self.view.apply(event);
                    self.late_view.apply(event);
                }
                Effect::Answer { result: Ok(Told::Status(told)), .. } => {
                    status = Some(Told::Status(told.clone()));
                }
                _ => {}
            }
            self.carry_out(effect);
        }
        assert_eq!(self.view, self.late_view);
        assert!(self.view.requests.keys().eq(&self.view.session.requests));
        assert_eq!(self.view.session.phase, self.session.phase());
        assert_eq!(&self.view.session.typing, self.session.typing());
        if let Some(Told::Status(status)) = status {
            agrees(&self.view.session, &status);
        }
        self.answer_disk();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::DialServer => {
                assert!(self.server == ServerLink::Down, "one link to the server at a time");
                self.server = ServerLink::Dialled;
            }
            Effect::SendServer(_) => {
                assert!(self.server == ServerLink::Up, "nothing is said to nobody");
            }
            Effect::CloseServer => self.server = ServerLink::Down,
            Effect::OpenAccount { username, .. } => self.account_asked = Some(username),
            Effect::CloseAccount => {
                self.account_asked = None;
                self.disk.close();
            }
            Effect::OpenDatagrams { .. } => self.has_datagrams = true,
            Effect::CloseDatagrams => self.has_datagrams = false,
            Effect::Datagram(_) => assert!(self.has_datagrams, "there are keys for it"),
            Effect::DialPeer { link, .. } => {
                assert!(self.dialled.insert(link), "a link is dialled once");
            }
            Effect::SendPeer { link, message } => {
                assert!(self.links.contains(&link), "nothing is said over a link that is gone");
                if let PeerMessage::Call { chat, .. } = message {
                    self.chats.push(chat);
                }
            }
            Effect::ClosePeer { link } => {
                // The link may have just ended.
                self.links.remove(&link);
                self.dialled.remove(&link);
                self.files.closed(link);
            }
            Effect::Answer { id, .. } => {
                assert!(self.unanswered.remove(&id).is_some(), "a request is answered once");
            }
            Effect::History { request, .. } => {
                assert!(self.unanswered.remove(&request).is_some(), "the driver answers it");
            }
            Effect::Finished => {
                assert!(self.unanswered.is_empty(), "{:?} had no answer", self.unanswered);
                self.is_finished = true;
            }
            Effect::Commit { .. } | Effect::Seal { .. } | Effect::MakePrekey { .. } => {
                self.disk.ask(effect);
            }
            Effect::Display(_, displayed) => self.waiting.push_back(displayed),
            Effect::ReadFile { .. }
            | Effect::FetchFile(_)
            | Effect::StopFetch(_)
            | Effect::ServeFile { .. } => self.files.note(effect),
            Effect::ForgetHashes(_) | Effect::DeletePart(_) => {}
            Effect::Meet { dial, .. } => self.met(dial),
            Effect::Attend { .. } => {}
            Effect::Save(_) | Effect::Tell(_) => {}
        }
    }
}
