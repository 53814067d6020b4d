//! The handling of the session's effects.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_executor::Task;
use async_io::Timer;
use futures_lite::FutureExt as _;
use letschat_protocol::dialogue::{MeetingToken, SessionId};
use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::username::Username;

use super::mail::OpenAccount;
use super::{ForFrontEnd, MAX_PEER_LINKS, Running, UnsavedPosition};
use crate::account;
use crate::client::Ended;
use crate::mail_store::MailStore;
use crate::net::datagrams::Datagrams;
use crate::net::meeting::{self, Rendezvous};
use crate::net::peer_link::{PeerLink, Target};
use crate::net::server_link::ServerLink;
use crate::net::socket::Socket;
use crate::net::tls::PeerTls;
use crate::net::{Arrival, CLOSE_TIMEOUT, Occurrence};
use letschat_core::codes::FailureCode;
use letschat_core::event::{Event, Trouble};
use letschat_core::notice::Notice;
use letschat_core::session::{
    Account, AccountError, Dial, Effect, Input, LinkId, MeetingAnswer, PeerLoss, Save,
};
use letschat_flags::clock;

/// The most closed links that may still be sending. Beyond that the oldest are cut.
const MAX_CLOSING: usize = 64;

/// The most peers that are met at a time, before the user has heard of them.
const MAX_ATTENDING: usize = 8;

/// The longest delay until a new log position is on disk. A crash then repeats a few broadcasts,
/// but a write for each would cost a disk flush per broadcast.
const POSITION_DELAY_MS: u64 = 100;

impl Running<'_> {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::DialServer => self.dial_server(),
            Effect::SendServer(request) => {
                if let Some(server) = &self.server {
                    server.send(&request);
                }
            }
            Effect::CloseServer => self.close_server(),
            Effect::OpenAccount { server, username, is_offline } => {
                let top = &self.config.data_folder;
                let is_missing = |name: &Username| !account::has_key(top, &server, name);
                let result = match &username {
                    Some(name) if is_offline && is_missing(name) => {
                        Err(AccountError::NotOne(Vec::new()))
                    }
                    _ => self.open_account(&server, username),
                };
                self.at_once.push_back(Input::Account(result));
            }
            Effect::CloseAccount => self.close_account(),
            Effect::Save(save) => self.save(save),
            Effect::Commit { commit, changes } => self.commit(commit, &changes),
            Effect::Seal { body, recipients } => self.seal(&body, &recipients),
            Effect::MakePrekey { created_ms, until_ms } => {
                self.make_prekey(created_ms, until_ms);
            }
            Effect::OpenDatagrams { session, port } => self.open_datagrams(session, port),
            Effect::CloseDatagrams => self.datagrams = None,
            Effect::Datagram(message) => {
                if let Some(datagrams) = &mut self.datagrams {
                    datagrams.send(&message);
                }
            }
            Effect::DialPeer { link, to, key } => self.dial_peer(link, to, key),
            Effect::Meet { dial, answer } => self.meet(dial, answer),
            Effect::Attend { key, token, server } => self.attend(key, token, server),
            Effect::SendPeer { link, message } => {
                if let Some(peer) = self.peers.get(&link) {
                    peer.send(&message);
                }
            }
            Effect::ClosePeer { link } => {
                self.serving.remove(&link);
                if let Some(peer) = self.peers.remove(&link) {
                    self.let_out(peer.close());
                }
            }
            Effect::ReadFile { request, path } => self.read_file(request, path),
            Effect::History { request, action } => self.act_on_history(request, action),
            Effect::ForgetHashes(root) => self.forget_hashes(&root),
            Effect::FetchFile(file) => self.fetch_file(*file),
            Effect::StopFetch(transfer) => drop(self.fetching.remove(&transfer)),
            Effect::DeletePart(part) => Running::delete_part(part),
            Effect::ServeFile { link, path, info } => self.serve_file(link, path, info),
            Effect::Answer { id, result } => {
                if let Some(answer) = self.answers.remove(&id) {
                    self.words.push_back(ForFrontEnd::Answer(answer, result));
                }
            }
            Effect::Tell(event) => {
                self.note_for_history(&event);
                self.tell(event);
            }
            Effect::Display(event, displayed) => {
                self.note_for_history(&event);
                self.words.push_back(ForFrontEnd::Event(event, Some(displayed)));
            }
            Effect::Finished => self.ended = Some(Ended::Quit),
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.words.push_back(ForFrontEnd::Event(event, None));
    }

    /// Sends the queued answers and events to front ends. A message is in the history before it counts as displayed.
    pub(super) fn tell_front_ends(&mut self) {
        if self.words.is_empty() {
            return;
        }
        self.write_history();
        let now_ms = clock::now().boot_ms;
        for word in self.words.drain(..) {
            match word {
                // The receiver of the answer may have gone.
                ForFrontEnd::Answer(answer, result) => drop(answer.try_send(result)),
                ForFrontEnd::Event(event, displayed) => self.telling.tell(event, displayed, now_ms),
            }
        }
    }

    /// Reads the front end's confirmations and its backlog.
    pub(super) fn note_displayed(&mut self) {
        for displayed in self.telling.displayed() {
            self.handle(Input::Displayed(displayed));
        }
        if let Some(backlog) = self.telling.changed_backlog() {
            self.handle(Input::Backlog(backlog));
        }
        if let Some(count) = self.telling.take_dropped() {
            self.tell(Event::notice(Notice::EventsDropped { count }));
        }
    }

    pub(super) fn save_position(&mut self) {
        if let (Some(unsaved), Some(account)) = (self.position.take(), &self.account) {
            let result = account.folder.save_position(unsaved.position);
            self.tell_if_not_saved(result);
        }
    }

    fn dial_server(&mut self) {
        self.close_server();
        let (target, queue) = (self.target.clone(), self.queue.clone());
        let link = ServerLink::dial(self.executor, self.server_generation, target, queue);
        self.server = Some(link);
    }

    fn close_server(&mut self) {
        self.server_generation += 1;
        self.secured = None;
        if let Some(server) = self.server.take() {
            self.let_out(server.close());
        }
    }

    fn open_account(
        &mut self,
        server: &Fingerprint,
        username: Option<Username>,
    ) -> Result<Account, AccountError> {
        self.close_account();
        let top = &self.config.data_folder;
        let (mut account, folder) = account::open(top, server, username)?;
        let (mail, stored) = MailStore::open(top, &folder.mail_path())
            .map_err(|error| AccountError::Folder(format!("{error}.")))?;
        account.mail = stored;
        let tls = PeerTls::new(&account.identity).map_err(|error| {
            AccountError::Folder(format!("The account's key can't be used: {error}."))
        })?;
        self.receiver.open(self.account_generation, tls.clone());
        if let Some(why) = folder.lost_position.clone() {
            self.tell(Event::notice(Notice::PositionLost(why)));
        }
        let (username, identity) = (account.username.clone(), account.identity.clone());
        let server = *server;
        let open = Arc::new(());
        let history = self.open_history(&folder, &username);
        self.account =
            Some(OpenAccount { mail, history, folder, tls, server, username, identity, open });
        Ok(account)
    }

    fn close_account(&mut self) {
        self.save_position();
        self.close_history();
        self.account_generation += 1;
        self.receiver.close();
        self.attending.clear();
        self.account = None;
    }

    fn save(&mut self, save: Save) {
        let Some(OpenAccount { folder, .. }) = &self.account else {
            return;
        };
        let result = match save {
            Save::Identity => folder.save_identity(),
            Save::Peers(peers) => folder.save_peers(&peers),
            Save::Blocked(blocked) => folder.save_blocked(&blocked),
            Save::Position(position) => {
                let due_boot_ms = match &self.position {
                    Some(unsaved) => unsaved.due_boot_ms,
                    None => clock::now().boot_ms + POSITION_DELAY_MS,
                };
                self.position = Some(UnsavedPosition { position, due_boot_ms });
                Ok(())
            }
        };
        self.tell_if_not_saved(result);
    }

    fn tell_if_not_saved(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.tell_not_saved(error.to_string());
        }
    }

    /// Tells the user that a file of the account could not be written.
    pub(super) fn tell_not_saved(&mut self, why: String) {
        let folder = self.config.data_folder.display().to_string();
        let trouble = Trouble::NotSaved { folder, why };
        self.tell(Event::Error { code: FailureCode::NotSaved, trouble });
    }

    /// Opens the UDP socket. If that fails, the server's challenge stays unanswered and broadcasts
    /// come over TCP.
    fn open_datagrams(&mut self, session: SessionId, port: u16) {
        let Some((address, keys)) = &self.secured else {
            return;
        };
        let mut server = *address;
        server.set_port(port);
        let keys = (&keys.to_server, &keys.to_client);
        let (generation, queue) = (self.server_generation, self.queue.clone());
        let opened = Datagrams::open(self.executor, generation, server, session, keys, queue);
        self.datagrams = opened.ok();
    }

    fn dial_peer(&mut self, link: LinkId, to: SocketAddr, key: PublicKey) {
        match &self.account {
            Some(OpenAccount { tls, .. }) if self.peers.len() < MAX_PEER_LINKS => {
                let (tls, place) = (tls.clone(), self.meeting_place());
                let target = |meetings| Target { to, key, tls, place, meetings, wrap: Socket::new };
                let peer = PeerLink::dial(self.executor, link, target, self.peer_queue.clone());
                self.peers.insert(link, peer);
            }
            _ => {
                let why = PeerLoss::Unreachable;
                self.at_once.push_back(Input::PeerLost { link, why });
            }
        }
    }

    /// Returns the server of the present link, at which peers can be met.
    pub(super) fn meeting_place(&self) -> Option<Rendezvous> {
        let ((server, _), account) = (self.secured.as_ref()?, self.account.as_ref()?);
        Some(Rendezvous { server: *server, fingerprint: account.server })
    }

    /// Gives an attempt to reach a peer the answer to its wish for a meeting.
    fn meet(&self, dial: Dial, answer: MeetingAnswer) {
        match dial {
            Dial::Link(link) => {
                if let Some(peer) = self.peers.get(&link) {
                    peer.meet(answer);
                }
            }
            Dial::Transfer(transfer) => {
                if let Some(transfer) = self.fetching.get(&transfer) {
                    transfer.meet(answer);
                }
            }
        }
    }

    /// Meets a peer that has asked for it. An earlier meeting with it is over, except for its last bytes.
    fn attend(&mut self, key: PublicKey, token: MeetingToken, server: Option<SocketAddr>) {
        self.attending.retain(|(_, task)| !task.is_finished());
        let mut of_key = self.attending.iter().enumerate().filter(|(_, (one, _))| *one == key);
        if let (Some((oldest, _)), Some(_)) = (of_key.next(), of_key.next()) {
            drop(self.attending.remove(oldest));
        }
        let (Some(place), Some(account)) = (self.meeting_place(), &self.account) else {
            return;
        };
        if self.attending.len() >= MAX_ATTENDING {
            return;
        }
        let (generation, tls) = (self.account_generation, account.tls.clone());
        let (queue, target) = (self.peer_queue.clone(), self.target.clone());
        let task = self.executor.spawn(async move {
            let places = match server {
                Some(named) => place.elsewhere(named, target.addresses().await),
                None => vec![place],
            };
            let tell = async |stream, from, path| {
                let arrival = Box::new(Arrival { stream, key, from, met: Some(path) });
                // A closed queue means that the driver has ended.
                let _ = queue.send(Occurrence::Arrived(generation, arrival)).await;
            };
            // A failed meeting is of no interest to the user.
            let _ = meeting::attend(&places, token, key, &tls, tell).await;
        });
        self.attending.push((key, task));
    }

    /// Keeps a closed link's task until it has sent everything, or for a while.
    fn let_out(&mut self, link: Task<()>) {
        self.closing.retain(|task| !task.is_finished());
        if self.closing.len() == MAX_CLOSING {
            self.closing.pop_front();
        }
        let expired = async {
            Timer::after(CLOSE_TIMEOUT).await;
        };
        self.closing.push_back(self.executor.spawn(link.or(expired)));
    }
}
