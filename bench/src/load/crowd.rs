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
use letschat_protocol::tls;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use super::client::{Behaviour, Client, SharedByClients, socket_of};
use super::datagrams::{Buffer, EMPTY};
use super::tally::Tally;
use crate::accounts::Member;

/// Sockets looked at in one round.
const EVENTS: usize = 1_024;

/// Names the bell in what the kernel reports.
const BELL: u64 = u64::MAX;

/// Logins under way while the crowd gathers: well below what the server lets wait.
const AT_ONCE: usize = 64;

/// The bytes of every broadcast's text.
pub(crate) const TEXT_BYTES: usize = 200;

/// What the crowd's thread is asked.
pub(super) enum CrowdRequest {
    Act(Box<dyn FnOnce(&mut Crowd) + Send>),
    Watch(Watch),
    End,
}

/// Somebody who waits until something holds.
pub(super) struct Watch {
    pub(super) holds: Box<dyn Fn(&Crowd) -> bool + Send>,
    pub(super) since: SyncSender<Instant>,
}

/// The clients.
pub(crate) struct Crowd {
    around: SharedByClients,
    bell: Arc<OwnedFd>,
    clients: Vec<Client>,
    /// When which client falls due, kept in step with `Client::deadline_ms`.
    deadlines: BTreeSet<(u64, usize)>,
    /// Those who are to log in, in turn, and how many are doing so.
    outside: VecDeque<usize>,
    entering: BTreeSet<usize>,
    watch: Option<Watch>,
    buffer: Box<Buffer>,
    pub(crate) tally: Tally,
}

impl Crowd {
    pub(super) fn new(server: SocketAddr, bell: Arc<OwnedFd>) -> io::Result<Crowd> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*bell, EventData::new_u64(BELL), EventFlags::IN)?;
        Ok(Crowd {
            around: SharedByClients { epoll, server, tls: tls::client() },
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

    /// Lets these join, and log in by key a few at a time.
    pub(crate) fn gather(&mut self, members: impl IntoIterator<Item = Member>) {
        for member in members {
            let number = self.clients.len();
            self.clients.push(Client::new(number, member, self.around.server));
            self.outside.push_back(number);
        }
        self.let_in();
    }

    /// Lets these come and go: log in by password, leave at once, and so on.
    pub(crate) fn come_and_go(&mut self, members: impl IntoIterator<Item = Member>) {
        for member in members {
            let number = self.clients.len();
            let mut client = Client::new(number, member, self.around.server);
            client.course = Behaviour::ComeAndGo;
            self.clients.push(client);
            self.log_in(number);
        }
    }

    /// Lets those who come and go stay.
    pub(crate) fn stay(&mut self) {
        self.clients.iter_mut().for_each(|client| client.course = Behaviour::Stay);
    }

    /// Lets a client send the next broadcast.
    pub(crate) fn broadcast(&mut self, sender: usize) {
        let number = self.tally.send();
        let text = format!("{number} {}", "x".repeat(TEXT_BYTES));
        self.request(sender, Request::Broadcast(text[..TEXT_BYTES].to_owned()));
    }

    /// Lets a client ask for everything that a user can.
    pub(crate) fn request(&mut self, number: usize, request: Request) {
        self.step(number, |client, around, tally| client.request(request, around, tally));
    }

    /// Serves the crowd until its end is ordered.
    pub(super) fn run(mut self, orders: &Receiver<CrowdRequest>) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            let timeout = self.until_next_deadline();
            // Interrupted is as good as nothing.
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

    /// Carries out what is ordered. `None`: the end.
    fn obey(&mut self, orders: &Receiver<CrowdRequest>) -> Option<()> {
        // It fails only if the bell does not ring.
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

    /// Keeps a few logins under way while there are some who are outside.
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
        // A millisecond has begun before it is over.
        let left_ms = (due + 1).saturating_sub(now().boot_ms) as i64;
        Some(Timespec { tv_sec: left_ms / 1_000, tv_nsec: left_ms % 1_000 * 1_000_000 })
    }

    fn look_at_watch(&mut self) {
        if let Some(watch) = self.watch.take() {
            match (watch.holds)(self) {
                // Whoever waited may have given up.
                true => drop(watch.since.send(Instant::now())),
                false => self.watch = Some(watch),
            }
        }
    }
}
