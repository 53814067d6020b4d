//! One client: its session, and the handling of the session's effects.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use letschat_core::event::Event;
use letschat_core::mail::{MailChange, StoredMail, StoredPrekey};
use letschat_core::session::{
    Account, Effect, Input, LogPosition, Phase, Reply, Request, RequestId, Session, SessionConfig,
    Unreached,
};
use letschat_flags::clock::now;
use letschat_protocol::datagram::{DatagramKeys, ToClient};
use letschat_protocol::devices::DeviceName;
use letschat_protocol::dialogue::{FromServer, Notice};
use letschat_protocol::envelope::Recipient;
use letschat_protocol::sealing::Prekey;
use letschat_protocol::tls::Exported;
use rustix::event::epoll;
use rustls::ClientConfig;

use super::correspondence::Correspondence;
use super::datagrams::{Buffer, Datagrams};
use super::link::{Link, News};
use super::source;
use super::tally::Tally;
use crate::accounts::{Member, password};
use crate::letters::Letter;

/// The receiver port that every client announces. It gets no calls.
const PEER_PORT: u16 = 4401;

/// The state that all clients share.
pub(super) struct SharedByClients {
    pub(super) epoll: OwnedFd,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) tls: Arc<ClientConfig>,
}

impl SharedByClients {
    /// Returns the server of a client: they take turns.
    pub(super) fn server_of(&self, number: usize) -> SocketAddr {
        self.servers[number % self.servers.len()]
    }
}

/// One of a client's two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Socket {
    Link,
    Datagrams,
}

/// A client's behaviour after its login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// The client stays.
    Stay,
    /// The client leaves and logs in again by password.
    ComeAndGo,
}

/// The part of a client that sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Session,
    Correspondence,
}

pub(super) struct Client {
    number: usize,
    member: Member,
    source: Ipv4Addr,
    session: Session,
    link: Option<Link>,
    keys: Option<DatagramKeys>,
    datagrams: Option<Datagrams>,
    /// The account's file.
    mail: StoredMail,
    correspondence: Correspondence,
    /// The parts that await the server's next replies, in order.
    askers: VecDeque<Asker>,
    requests: u64,
    /// Pending requests for the list, with their start.
    lists: HashMap<RequestId, Instant>,
    pub(super) course: Behaviour,
    pub(super) is_logged_in: bool,
    is_proven: bool,
    /// The deadline by which the crowd has sorted this client.
    pub(super) deadline_ms: Option<u64>,
}

impl Client {
    pub(super) fn new(number: usize, member: Member, server: SocketAddr) -> Client {
        let config = SessionConfig {
            server: server.to_string(),
            port: PEER_PORT,
            detach_on_chat: false,
            tries: None,
            return_after_idle: false,
            known_server: None,
            device_name: DeviceName::like("bench"),
            classroom: false,
            seed: number as u64,
        };
        Client {
            number,
            member,
            source: source(number),
            session: Session::new(config),
            link: None,
            keys: None,
            datagrams: None,
            mail: StoredMail::default(),
            correspondence: Correspondence::default(),
            askers: VecDeque::new(),
            requests: 0,
            lists: HashMap::new(),
            course: Behaviour::Stay,
            is_logged_in: false,
            is_proven: false,
            deadline_ms: None,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.session.next_deadline()
    }

    /// Sends a user's request to the session.
    pub(super) fn request(
        &mut self,
        request: Request,
        around: &SharedByClients,
        tally: &mut Tally,
    ) {
        self.requests += 1;
        let id = RequestId(self.requests);
        if request == Request::List {
            self.lists.insert(id, Instant::now());
        }
        self.handle(Input::Request { id, request }, around, tally);
    }

    /// Logs in, by key or by password.
    pub(super) fn log_in(
        &mut self,
        by_password: bool,
        around: &SharedByClients,
        tally: &mut Tally,
    ) {
        let request = Request::Login {
            username: Some(self.member.username.to_string()),
            password: by_password.then(password),
            take: false,
        };
        self.request(request, around, tally);
    }

    /// Handles a socket that is readable or writable.
    pub(super) fn is_ready(
        &mut self,
        socket: Socket,
        buffer: &mut Buffer,
        around: &SharedByClients,
        tally: &mut Tally,
    ) {
        match socket {
            Socket::Link => self.link_is_ready(around, tally),
            Socket::Datagrams => {
                let datagram = self.datagrams.as_mut().and_then(|open| open.receive(buffer));
                if let Some(message) = datagram {
                    self.note_proven(&message, tally);
                    self.handle(Input::Datagram(message), around, tally);
                }
            }
        }
    }

    /// Handles the client's deadline.
    pub(super) fn tick(&mut self, around: &SharedByClients, tally: &mut Tally) {
        self.handle(Input::Tick, around, tally);
    }

    fn link_is_ready(&mut self, around: &SharedByClients, tally: &mut Tally) {
        // The readiness of an earlier link does not concern this one.
        let Some(link) = &mut self.link else { return };
        let mut news = Vec::new();
        let result = link.advance(&mut news);
        let was_secured = link.is_secured;
        for news in news {
            match news {
                News::Said(said) => self.server_said(said, around, tally),
                News::Secured(fingerprint, Exported { binding, keys }) => {
                    self.keys = Some(keys);
                    let address = around.server_of(self.number);
                    let input = Input::ServerSecured {
                        server: address.to_string(),
                        fingerprint,
                        binding,
                        address,
                    };
                    self.handle(input, around, tally);
                }
            }
        }
        match result {
            Ok(()) => self.correspond(around, tally),
            Err(error) if self.link.take().is_some() => {
                let input = match was_secured {
                    true => Input::ServerLost,
                    false => unreached(&error),
                };
                self.handle(input, around, tally);
            }
            // The session has closed it already.
            Err(_) => {}
        }
    }

    /// Passes a message of the server to the part that it is for.
    fn server_said(&mut self, said: FromServer, around: &SharedByClients, tally: &mut Tally) {
        let asker = match &said {
            FromServer::Reply(_) => self.askers.pop_front(),
            _ => None,
        };
        match said {
            FromServer::Notice(Notice::Mail(mail)) => self.correspondence.delivered(&mail, tally),
            FromServer::Reply(reply) if asker == Some(Asker::Correspondence) => {
                self.correspondence.answered(&reply, tally);
            }
            said => self.handle(Input::Server(said), around, tally),
        }
    }

    /// Posts envelopes, one at a time.
    pub(super) fn post(
        &mut self,
        letters: Vec<Letter>,
        around: &SharedByClients,
        tally: &mut Tally,
    ) {
        self.correspondence.post(letters);
        self.correspond(around, tally);
    }

    /// Asks for the devices of an account.
    pub(super) fn ask_keys(&mut self, name: String, around: &SharedByClients, tally: &mut Tally) {
        self.correspondence.look_up(name);
        self.correspond(around, tally);
    }

    /// Returns this device, if it has a prekey.
    pub(super) fn recipient(&self) -> Option<Recipient> {
        let Member { username, identity } = &self.member;
        let prekey = self.mail.prekeys.last()?.key;
        Some(Recipient { username: username.clone(), device: identity.public_key(), prekey })
    }

    /// Sends the requests about envelopes that can be sent now.
    fn correspond(&mut self, around: &SharedByClients, tally: &mut Tally) {
        while self.is_logged_in
            && let Some(link) = &mut self.link
            && let Some(request) = self.correspondence.next_request(tally)
        {
            self.askers.push_back(Asker::Correspondence);
            // An error will show when the socket is read.
            let _ = link.send(&request);
        }
        self.watch_link(around);
    }

    fn handle(&mut self, input: Input, around: &SharedByClients, tally: &mut Tally) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.session.handle(now(), input) {
                inputs.extend(self.perform(effect, around, tally));
            }
        }
        self.note_phase(tally);
    }

    /// Carries out an effect of the session. Some are answered at once.
    fn perform(
        &mut self,
        effect: Effect,
        around: &SharedByClients,
        tally: &mut Tally,
    ) -> Option<Input> {
        match effect {
            Effect::DialServer => {
                tally.dials += 1;
                return self.dial(around).err().map(|error| unreached(&error));
            }
            Effect::SendServer(request) => {
                self.askers.push_back(Asker::Session);
                // An error will show when the socket is read.
                let _ = self.link.as_mut().map(|link| link.send(&request));
                self.watch_link(around);
            }
            Effect::CloseServer => {
                if let Some(link) = self.link.take() {
                    link.close();
                }
            }
            Effect::OpenAccount { .. } => return Some(Input::Account(Ok(self.account()))),
            Effect::Commit { commit, changes } => {
                for change in &changes {
                    self.mail.apply(change);
                    let is_published = matches!(change, MailChange::Published { .. });
                    tally.mail.published += usize::from(is_published);
                }
                return Some(Input::Committed { commit, result: Ok(()) });
            }
            Effect::MakePrekey { created_ms, until_ms } => {
                return Some(self.make_prekey(created_ms, until_ms));
            }
            Effect::Seal { .. } => return Some(Input::Sealed(None)),
            // Nobody in the crowd offers or wants a file, or a history.
            Effect::History { .. }
            | Effect::ReadFile { .. }
            | Effect::ForgetHashes(_)
            | Effect::FetchFile(_)
            | Effect::StopFetch(_)
            | Effect::DeletePart(_)
            | Effect::ServeFile { .. } => {}
            Effect::OpenDatagrams { session, port } => {
                let server = SocketAddr::new(around.server_of(self.number).ip(), port);
                let keys = self.keys.as_ref().map(|keys| (&keys.to_server, &keys.to_client));
                let opened = keys.map(|keys| Datagrams::open(self.source, server, session, keys));
                self.datagrams = opened.and_then(Result::ok);
                if let Some(datagrams) = &self.datagrams {
                    let token = token(self.number, Socket::Datagrams);
                    note_failure(add(around, &datagrams.socket, token), tally);
                }
            }
            Effect::CloseDatagrams => self.datagrams = None,
            Effect::Datagram(message) => {
                if let Some(datagrams) = &mut self.datagrams {
                    datagrams.send(&message);
                }
            }
            Effect::Answer { id, result } => {
                let asked = self.lists.remove(&id);
                match (result, asked) {
                    (Ok(Reply::Users { .. }), Some(asked)) => tally.lists.push(asked.elapsed()),
                    (Ok(_), _) => {}
                    (Err(failure), _) => tally.failures.push(failure.to_string()),
                }
            }
            Effect::Display(Event::Broadcast { text, over, .. }, displayed) => {
                tally.show(&text, over);
                return Some(Input::Displayed(displayed));
            }
            Effect::Tell(Event::LoggedIn { .. }) => tally.logins += 1,
            // These clients show nothing else, and call no peers.
            Effect::CloseAccount
            | Effect::Save(_)
            | Effect::Tell(_)
            | Effect::Display(..)
            | Effect::DialPeer { .. }
            | Effect::SendPeer { .. }
            | Effect::ClosePeer { .. }
            | Effect::Meet { .. }
            | Effect::Attend { .. }
            | Effect::Finished => {}
        }
        None
    }

    fn dial(&mut self, around: &SharedByClients) -> io::Result<()> {
        let server = around.server_of(self.number);
        let link = Link::dial(self.source, server, around.tls.clone())?;
        self.link = Some(link);
        // The server greets before it is asked.
        self.askers = VecDeque::from([Asker::Session]);
        self.correspondence.link_ended();
        self.watch_link(around);
        Ok(())
    }

    /// Makes a prekey. Its private half is dropped, since these clients open no envelopes.
    fn make_prekey(&mut self, created_ms: u64, until_ms: u64) -> Input {
        let made = Prekey::generate().ok().map(|prekey| {
            let key = prekey.public();
            StoredPrekey { key, created_ms, until_ms, published: None }
        });
        self.mail.prekeys.extend(made);
        Input::PrekeyMade(made)
    }

    fn account(&self) -> Account {
        Account {
            username: self.member.username.clone(),
            identity: self.member.identity.clone(),
            has_key: true,
            peers: BTreeMap::new(),
            blocked: BTreeSet::new(),
            position: LogPosition::default(),
            mail: self.mail.clone(),
        }
    }

    /// Updates the link's registration with epoll if its interest has changed.
    fn watch_link(&mut self, around: &SharedByClients) {
        let number = self.number;
        let Some(link) = &mut self.link else { return };
        let wanted = link.wanted();
        if wanted == link.watched {
            return;
        }
        let token = token(number, Socket::Link);
        let result = match link.watched.is_empty() {
            true => epoll::add(&around.epoll, &link.tcp, token, wanted),
            false => epoll::modify(&around.epoll, &link.tcp, token, wanted),
        };
        if result.is_ok() {
            link.watched = wanted;
        }
    }

    fn note_phase(&mut self, tally: &mut Tally) {
        let is_logged_in = self.session.phase() == Phase::LoggedIn;
        if is_logged_in && !self.is_logged_in {
            tally.logged_in += 1;
        }
        if !is_logged_in && self.is_logged_in {
            tally.logged_in -= 1;
            tally.proven -= usize::from(std::mem::take(&mut self.is_proven));
        }
        self.is_logged_in = is_logged_in;
    }

    fn note_proven(&mut self, message: &ToClient, tally: &mut Tally) {
        if matches!(message, ToClient::Head(_)) && !self.is_proven && self.is_logged_in {
            self.is_proven = true;
            tally.proven += 1;
        }
    }
}

/// Encodes a socket as an epoll token.
pub(super) fn token(number: usize, socket: Socket) -> epoll::EventData {
    epoll::EventData::new_u64((number as u64) << 1 | u64::from(socket == Socket::Datagrams))
}

/// Decodes a [`token`].
pub(super) fn socket_of(token: u64) -> (usize, Socket) {
    let socket = if token & 1 == 1 { Socket::Datagrams } else { Socket::Link };
    ((token >> 1) as usize, socket)
}

fn add(around: &SharedByClients, socket: impl AsFd, token: epoll::EventData) -> io::Result<()> {
    Ok(epoll::add(&around.epoll, socket, token, epoll::EventFlags::IN)?)
}

fn note_failure(result: io::Result<()>, tally: &mut Tally) {
    if let Err(error) = result {
        tally.failures.push(error.to_string());
    }
}

fn unreached(error: &io::Error) -> Input {
    Input::ServerUnreached(Unreached::NoServer(error.to_string()))
}
