//! All clients, their sockets and their deadlines, on one thread.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use letschat_core::session::Request;
use letschat_flags::clock::now;
use letschat_protocol::envelope::Recipient;
use letschat_protocol::tls;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use super::client::{Behaviour, Client, SharedByClients, socket_of};
use super::datagrams::{Buffer, EMPTY};
use super::tally::Tally;
use crate::accounts::Member;
use crate::letters::Letter;

/// The number of events per round.
const EVENTS: usize = 1_024;

/// The epoll token of the bell.
const BELL: u64 = u64::MAX;

/// The number of concurrent logins while the crowd gathers: well below the server's limit.
const AT_ONCE: usize = 64;

/// The length of every broadcast's text.
pub(crate) const TEXT_BYTES: usize = 200;

/// A request to the crowd's thread.
pub(super) enum CrowdRequest {
    Act(Box<dyn FnOnce(&mut Crowd) + Send>),
    Watch(Watch),
    End,
}

/// A pending wait for a condition.
pub(super) struct Watch {
    pub(super) holds: Box<dyn Fn(&Crowd) -> bool + Send>,
    pub(super) since: SyncSender<Instant>,
}

/// All clients, with their shared state.
pub(crate) struct Crowd {
    around: SharedByClients,
    bell: Arc<OwnedFd>,
    clients: Vec<Client>,
    /// The clients' deadlines, kept in sync with `Client::deadline_ms`.
    deadlines: BTreeSet<(u64, usize)>,
    /// The clients that wait for their login. `entering` holds those that are logging in.
    outside: VecDeque<usize>,
    entering: BTreeSet<usize>,
    watch: Option<Watch>,
    buffer: Box<Buffer>,
    pub(crate) tally: Tally,
}

impl Crowd {
    pub(super) fn new(servers: Vec<SocketAddr>, bell: Arc<OwnedFd>) -> io::Result<Crowd> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*bell, EventData::new_u64(BELL), EventFlags::IN)?;
        Ok(Crowd {
            around: SharedByClients { epoll, servers, tls: tls::client() },
            bell,
            clients: Vec::new(),
            deadlines: BTreeSet::new(),
            outside: VecDeque::new(),
            entering: BTreeSet::new(),
            watch: None,
            buffer: Box::new(EMPTY),
            tally: Tally::default(),
        })
    }

    /// Adds clients, which log in by key, a few at a time.
    pub(crate) fn gather(&mut self, members: impl IntoIterator<Item = Member>) {
        for member in members {
            let number = self.clients.len();
            self.clients.push(Client::new(number, member, self.around.server_of(number)));
            self.outside.push_back(number);
        }
        self.let_in();
    }

    /// Adds clients that log in by password, leave at once, and start again.
    pub(crate) fn come_and_go(&mut self, members: impl IntoIterator<Item = Member>) {
        for member in members {
            let number = self.clients.len();
            let mut client = Client::new(number, member, self.around.server_of(number));
            client.course = Behaviour::ComeAndGo;
            self.clients.push(client);
            self.log_in(number);
        }
    }

    /// Stops the coming and going: those clients stay.
    pub(crate) fn stay(&mut self) {
        self.clients.iter_mut().for_each(|client| client.course = Behaviour::Stay);
    }

    /// Lets a client send the next broadcast.
    pub(crate) fn broadcast(&mut self, sender: usize) {
        let number = self.tally.send();
        let text = format!("{number} {}", "x".repeat(TEXT_BYTES));
        self.request(sender, Request::Broadcast(text[..TEXT_BYTES].to_owned()));
    }

    /// Lets a client send a user's request.
    pub(crate) fn request(&mut self, number: usize, request: Request) {
        self.step(number, |client, around, tally| client.request(request, around, tally));
    }

    /// Lets a client post envelopes, one at a time.
    pub(crate) fn post(&mut self, number: usize, letters: Vec<Letter>) {
        self.step(number, |client, around, tally| client.post(letters, around, tally));
    }

    /// Lets a client ask for the devices of an account.
    pub(crate) fn ask_keys(&mut self, number: usize, name: String) {
        self.step(number, |client, around, tally| client.ask_keys(name, around, tally));
    }

    /// Returns a client's device, if it has a prekey.
    pub(crate) fn recipient(&self, number: usize) -> Option<Recipient> {
        self.clients[number].recipient()
    }

    /// Serves the crowd until the request to end.
    pub(super) fn run(mut self, orders: &Receiver<CrowdRequest>) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            let timeout = self.until_next_deadline();
            // An interrupted wait counts as one without events.
            let _ = epoll::wait(&self.around.epoll, spare_capacity(&mut events), timeout.as_ref());
            for event in &events {
                match event.data.u64() {
                    BELL => {
                        if self.obey(orders).is_none() {
                            return;
                        }
                    }
                    token => self.socket_is_ready(token),
                }
            }
            self.tick();
            self.look_at_watch();
        }
    }

    /// Carries out the requests. Returns `None` for the end.
    fn obey(&mut self, orders: &Receiver<CrowdRequest>) -> Option<()> {
        // This fails only if the bell did not ring.
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        for order in orders.try_iter() {
            match order {
                CrowdRequest::Act(act) => act(self),
                CrowdRequest::Watch(watch) => self.watch = Some(watch),
                CrowdRequest::End => return None,
            }
        }
        Some(())
    }

    fn socket_is_ready(&mut self, token: u64) {
        let (number, socket) = socket_of(token);
        let Crowd { around, clients, tally, buffer, .. } = self;
        clients[number].is_ready(socket, buffer, around, tally);
        self.after_step(number);
    }

    fn tick(&mut self) {
        let now_ms = now().boot_ms;
        while let Some((due, number)) = self.deadlines.first().copied()
            && due <= now_ms
        {
            self.step(number, Client::tick);
        }
    }

    fn log_in(&mut self, number: usize) {
        let by_password = self.clients[number].course == Behaviour::ComeAndGo;
        self.step(number, |client, around, tally| client.log_in(by_password, around, tally));
    }

    /// Keeps a few logins under way while clients are waiting.
    fn let_in(&mut self) {
        while self.entering.len() < AT_ONCE
            && let Some(number) = self.outside.pop_front()
        {
            self.entering.insert(number);
            self.log_in(number);
        }
    }

    fn step(&mut self, number: usize, act: impl FnOnce(&mut Client, &SharedByClients, &mut Tally)) {
        act(&mut self.clients[number], &self.around, &mut self.tally);
        self.after_step(number);
    }

    fn after_step(&mut self, number: usize) {
        self.reschedule(number);
        let client = &self.clients[number];
        if !client.is_logged_in {
            return;
        }
        if client.course == Behaviour::ComeAndGo {
            self.request(number, Request::Leave);
            self.log_in(number);
        }
        if !self.entering.is_empty() && self.entering.remove(&number) {
            self.let_in();
        }
    }

    fn reschedule(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let due = client.next_deadline();
        if due == client.deadline_ms {
            return;
        }
        if let Some(old) = std::mem::replace(&mut client.deadline_ms, due) {
            self.deadlines.remove(&(old, number));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, number));
        }
    }

    fn until_next_deadline(&self) -> Option<Timespec> {
        let (due, _) = self.deadlines.first()?;
        // Round up: a deadline within this millisecond has not passed yet.
        let left_ms = (due + 1).saturating_sub(now().boot_ms) as i64;
        Some(Timespec { tv_sec: left_ms / 1_000, tv_nsec: left_ms % 1_000 * 1_000_000 })
    }

    fn look_at_watch(&mut self) {
        if let Some(watch) = self.watch.take() {
            match (watch.holds)(self) {
                // The waiting thread may have given up.
                true => drop(watch.since.send(Instant::now())),
                false => self.watch = Some(watch),
            }
        }
    }
}
