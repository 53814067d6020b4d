//! The task that runs the hub: one input at a time, then everything that it wants done, in order.
//!
//! It waits for nothing but the next event. Connections, datagrams and the store take what they
//! are given without a wait or refuse it at once, so nothing slow can hold up the hub.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::Task;
use async_io::Timer;
use futures_lite::future;
use futures_rustls::TlsAcceptor;
use letschat_protocol::datagram::DatagramKeys;

use crate::hub::{ConnectionId, Effect, Hub, Input, Operator, OperatorAnswer};
use crate::net::Event;
use crate::net::accept_limit::PreLoginPlace;
use crate::net::connection::{Connection, Timeouts};
use crate::net::datagrams::Datagrams;
use crate::net::listener::Arrival;
use crate::net::outbox::Outbox;
use crate::net::stream::Stream;
use crate::record;
use crate::runtime::Spawner;
use crate::store::service::{self, StoreService};
use crate::store::{StoreAnswer, StoreRequest};
use letschat_flags::clock;
use letschat_protocol::clock::Now;

/// Events that may wait for the hub. Who brings one more waits; a datagram is dropped.
pub(crate) const QUEUE_EVENTS: usize = 4096;

/// How long stopping may take, from the operator's word to the last byte.
const STOP_MS: u64 = 3_000;

/// The boot clock runs on while the machine sleeps, and timers do not: after a sleep a deadline is
/// noticed at most this late.
const LONGEST_WAIT_MS: u64 = 60_000;

/// The hub with everything that it acts on.
pub(crate) struct Driver {
    pub(crate) hub: Hub,
    pub(crate) events: Receiver<Event>,
    pub(crate) links: Links,
    pub(crate) datagrams: Datagrams,
    pub(crate) store: StoreService,
    pub(crate) listener: Option<Task<()>>,
    /// Where the answer goes while the hub handles what the operator wants.
    pub(crate) operating: Option<Sender<OperatorAnswer>>,
    /// Closed when all is over, by being dropped.
    pub(crate) stopped: Sender<Infallible>,
}

/// Whether the hub runs on after an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunState {
    Running,
    Stopped,
}

impl Driver {
    /// Runs until the operator has had the server stopped and the last bytes are out.
    pub(crate) async fn run(mut self) {
        let stop_by = self.serve().await;
        self.say_farewell(stop_by).await;
        // The store's threads may be waiting to put in an answer that nobody needs any more.
        self.events.close();
        let store = self.store;
        let stopping = smol::unblock(move || store.stop());
        // The log of broadcasts is committed by now; a hash that still runs is not worth a wait.
        future::or(stopping, wait_until(stop_by)).await;
        drop(self.stopped);
    }

    /// Serves until the hub has said all, and says by when everything must be over.
    async fn serve(&mut self) -> u64 {
        let mut stop_by = None;
        let mut backlog = VecDeque::new();
        loop {
            let now = clock::now();
            if stop_by.is_some_and(|by| by <= now.boot_ms) {
                tracing::warn!("not everything was finished within {} s", STOP_MS / 1_000);
                return now.boot_ms;
            }
            let input = match backlog.pop_front() {
                Some(input) => input,
                None => match self.next_input(stop_by).await {
                    Some(input) => input,
                    None => continue,
                },
            };
            let now = clock::now();
            if matches!(input, Input::Operator(Operator::Stop)) {
                stop_by.get_or_insert(now.boot_ms + STOP_MS);
            }
            if self.step(now, input, &mut backlog) == RunState::Stopped {
                return stop_by.unwrap_or(now.boot_ms + STOP_MS);
            }
        }
    }

    /// The next input, or `None` when it is time to look at the clock again.
    async fn next_input(&mut self, stop_by: Option<u64>) -> Option<Input> {
        let now_ms = clock::now().boot_ms;
        let deadline = self.hub.next_deadline();
        if deadline.is_some_and(|deadline| deadline <= now_ms) {
            return Some(Input::Tick);
        }
        let latest = now_ms + LONGEST_WAIT_MS;
        let until = latest.min(deadline.unwrap_or(latest)).min(stop_by.unwrap_or(latest));
        let event = async { self.events.recv().await.ok() };
        let event = future::or(event, async {
            wait_until(until).await;
            None
        });
        match event.await? {
            Event::Input(input) => Some(input),
            Event::Operated { operator, answer } => {
                self.operating = Some(answer);
                Some(Input::Operator(operator))
            }
            Event::Arrived(arrival) => self.links.add(arrival),
            Event::Secured { connection, binding, keys } => {
                self.links.table.get_mut(&connection)?.keys = Some(keys);
                Some(Input::Secured { connection, binding })
            }
        }
    }

    /// What the hub brings about at once goes to the backlog, before all that waits in the queue.
    fn step(&mut self, now: Now, input: Input, backlog: &mut VecDeque<Input>) -> RunState {
        let gone = match &input {
            Input::Gone { connection, .. } => Some(*connection),
            _ => None,
        };
        let mut state = RunState::Running;
        for effect in self.hub.handle(now, input) {
            match effect {
                Effect::Store(request) => {
                    backlog.extend(self.ask_store(request).map(Input::Stored));
                }
                Effect::Stopped => state = RunState::Stopped,
                effect => self.carry_out(effect),
            }
        }
        // What has no answer now has none.
        self.operating = None;
        if let Some(connection) = gone {
            self.links.table.remove(&connection);
        }
        state
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { connection, bytes } => {
                self.links.with(connection, |outbox| outbox.send(&bytes));
            }
            Effect::Read { connection, mode } => {
                self.links.with(connection, |outbox| outbox.ask_for_line(mode));
            }
            Effect::TellWhenDrained { connection } => {
                self.links.with(connection, Outbox::tell_when_drained);
            }
            Effect::Close { connection } => {
                self.links.with(connection, Outbox::close);
                // Whoever does not hang up stands there for a moment more, but in nobody's way.
                if let Some(link) = self.links.table.get_mut(&connection) {
                    link.place = None;
                }
            }
            Effect::LoggedIn { connection } => {
                let link = self.links.table.get_mut(&connection);
                if let Some(place) = link.and_then(|link| link.place.take()) {
                    place.log_in();
                }
            }
            Effect::OpenDatagrams { session, connection } => {
                let link = self.links.table.get_mut(&connection);
                if let Some(keys) = link.and_then(|link| link.keys.take()) {
                    self.datagrams.open(session, &keys);
                }
            }
            Effect::CloseDatagrams { session } => self.datagrams.close(session),
            Effect::Datagram { to, message } => self.datagrams.send(to, &message),
            Effect::CancelStore { connection } => self.store.cancel(connection),
            Effect::Answer(answer) => {
                if let Some(operating) = self.operating.take() {
                    // Who asked may have gone; else there is room: one was asked, one is answered.
                    let _ = operating.try_send(answer);
                }
            }
            Effect::Record(record) => record::write(&record, |id| self.links.peer(id)),
            // Answered by the caller, which has what they need.
            Effect::Store(_) | Effect::Stopped => {}
        }
    }

    /// Asks, or answers itself if the store's queue is full.
    fn ask_store(&self, request: StoreRequest) -> Option<StoreAnswer> {
        self.store.submit(request).err().and_then(|request| service::unavailable(&request))
    }

    /// Takes no more connections and sees the last bytes of those there are out.
    async fn say_farewell(&mut self, stop_by: u64) {
        self.listener = None;
        self.links.table.values().for_each(|link| link.outbox.close());
        while !self.links.table.is_empty() {
            let event = async { self.events.recv().await.ok() };
            let too_long = async {
                wait_until(stop_by).await;
                None
            };
            match future::or(event, too_long).await {
                Some(Event::Input(Input::Gone { connection, .. })) => {
                    self.links.table.remove(&connection);
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}

async fn wait_until(boot_ms: u64) {
    let left = boot_ms.saturating_sub(clock::now().boot_ms);
    Timer::after(Duration::from_millis(left)).await;
}

/// The connections there are, from their arrival until their end was handled.
pub(crate) struct Links {
    table: HashMap<ConnectionId, Link>,
    next_id: u64,
    acceptor: TlsAcceptor,
    spawner: Spawner,
    events: Sender<Event>,
}

struct Link {
    peer: SocketAddr,
    outbox: Arc<Outbox>,
    keys: Option<DatagramKeys>,
    /// Held until the login, or until the hub closes the connection.
    place: Option<PreLoginPlace>,
    _task: Task<()>,
}

impl Links {
    pub(crate) fn new(acceptor: TlsAcceptor, spawner: Spawner, events: Sender<Event>) -> Links {
        Links { table: HashMap::new(), next_id: 1, acceptor, spawner, events }
    }

    /// Names the connection and starts its task.
    fn add(&mut self, arrival: Arrival) -> Option<Input> {
        let Arrival { stream, peer, local, place } = arrival;
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        let outbox = Arc::new(Outbox::default());
        let connection = Connection {
            id,
            outbox: outbox.clone(),
            events: self.events.clone(),
            timeouts: Timeouts::default(),
        };
        let task =
            self.spawner.spawn(connection.run(Stream::new(stream), self.acceptor.clone()))?;
        let link = Link { peer, outbox, keys: None, place: Some(place), _task: task };
        self.table.insert(id, link);
        Some(Input::Accepted { connection: id, peer, local })
    }

    /// What is wanted of somebody who has gone is wanted of nobody.
    fn with(&self, connection: ConnectionId, instruct: impl FnOnce(&Outbox)) {
        if let Some(link) = self.table.get(&connection) {
            instruct(&link.outbox);
        }
    }

    fn peer(&self, connection: ConnectionId) -> Option<SocketAddr> {
        self.table.get(&connection).map(|link| link.peer)
    }
}
