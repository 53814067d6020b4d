//! The task that runs the hub: it takes one input, then carries out all of its effects in order.
//!
//! It waits only for the next event. Connections, datagrams and the store either accept an effect
//! at once or refuse it, so nothing slow can block the hub.

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

use crate::bell::Bell;
use crate::classroom::Classroom;
use crate::hub::{ConnectionId, Effect, Hub, Input, Metrics, Operator, OperatorAnswer};
use crate::metrics::Report;
use crate::net::Event;
use crate::net::accept_limit::PreLoginPlace;
use crate::net::connection::{Connection, Timeouts};
use crate::net::datagrams::Datagrams;
use crate::net::listener::Arrival;
use crate::net::outbox::Outbox;
use crate::net::relay::Relays;
use crate::net::stream::Stream;
use crate::record;
use crate::runtime::Spawner;
use crate::store::service::{self, StoreService};
use crate::store::{StoreAnswer, StoreRequest};
use letschat_flags::clock;
use letschat_protocol::clock::Now;

/// The capacity of the event queue. Senders wait while it is full, but datagrams are dropped.
pub(crate) const QUEUE_EVENTS: usize = 4096;

/// The time from the operator's command to stop until the last byte is sent.
const STOP_MS: u64 = 3_000;

/// The longest wait for an event. The boot clock counts while the machine sleeps and timers don't,
/// so after a sleep a deadline is noticed at most this late.
const LONGEST_WAIT_MS: u64 = 60_000;

/// The hub and all the parts that carry out its effects.
pub(crate) struct Driver {
    pub(crate) hub: Hub,
    pub(crate) events: Receiver<Event>,
    pub(crate) links: Links,
    pub(crate) datagrams: Datagrams,
    pub(crate) store: StoreService,
    pub(crate) classroom: Classroom,
    pub(crate) relays: Relays,
    /// The bell of the cluster, if the server belongs to one.
    pub(crate) bell: Option<Bell>,
    pub(crate) listener: Option<Task<()>>,
    /// The monitoring, if it waits for a report. It asks for one at a time.
    pub(crate) measuring: Option<Sender<Arc<Report>>>,
    /// The channel for the answer to the operator's current command.
    pub(crate) operating: Option<Sender<OperatorAnswer>>,
    /// Dropped at the end of the shutdown, which closes the channel.
    pub(crate) stopped: Sender<Infallible>,
}

/// The hub's state after an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunState {
    Running,
    Stopped,
}

impl Driver {
    /// Runs until the operator stops the server and the last bytes are sent.
    pub(crate) async fn run(mut self) {
        let stop_by = self.serve().await;
        self.say_farewell(stop_by).await;
        // Closing the queue releases store threads that wait to deliver an answer.
        self.events.close();
        let store = self.store;
        let stopping = smol::unblock(move || store.stop());
        // The broadcast log is committed by now, and a running hash is not worth a wait.
        future::or(stopping, wait_until(stop_by)).await;
        future::or(self.classroom.finish(), wait_until(stop_by)).await;
        drop(self.stopped);
    }

    /// Serves until the hub has stopped. Returns the deadline of the shutdown.
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

    /// Returns the next input, or `None` when the clock has to be read again.
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
            Event::Alive(answer) => {
                // The asker may have gone, here and below.
                let _ = answer.try_send(());
                None
            }
            Event::Measure(answer) => {
                self.measuring = Some(answer);
                Some(Input::Measure)
            }
            Event::Arrived(arrival) => self.links.add(arrival),
            Event::Secured { connection, binding, keys } => {
                self.links.table.get_mut(&connection)?.keys = Some(keys);
                Some(Input::Secured { connection, binding })
            }
        }
    }

    /// Handles an input. Immediate answers go to the backlog, ahead of the event queue.
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
        // The command has been handled, so no answer can follow.
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
            Effect::Relay { connections } => {
                for (connection, end) in connections.into_iter().zip(self.relays.begin()) {
                    self.links.with(connection, |outbox| outbox.relay(end));
                }
            }
            Effect::Close { connection } => {
                self.links.with(connection, Outbox::close);
                // The connection may linger until the client hangs up, but without occupying a
                // place.
                if let Some(link) = self.links.table.get_mut(&connection) {
                    link.place = None;
                }
            }
            Effect::Admitted { connection } => {
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
            Effect::WriteClients(entries) => self.classroom.write(entries),
            Effect::Show(line) => self.classroom.show(line),
            Effect::Ring => self.bell.iter().for_each(Bell::ring),
            Effect::CancelStore { connection } => self.store.cancel(connection),
            Effect::Answer(answer) => {
                if let Some(operating) = self.operating.take() {
                    // A failure means that the asker has gone: the channel has room for the single
                    // answer.
                    let _ = operating.try_send(answer);
                }
            }
            Effect::Measured(metrics) => self.report(*metrics),
            Effect::Record(record) => record::write(&record, |id| self.links.peer(id)),
            // The caller handles these itself.
            Effect::Store(_) | Effect::Stopped => {}
        }
    }

    /// Answers the monitoring.
    fn report(&mut self, hub: Metrics) {
        let report = Arc::new(Report {
            hub,
            waiting_events: self.events.len(),
            waiting_requests: self.store.waiting(),
            latencies: self.store.latencies(),
            relayed_bytes: self.relays.bytes(),
            is_bell_heard: self.bell.as_ref().map(Bell::is_heard),
        });
        if let Some(asker) = self.measuring.take() {
            let _ = asker.try_send(report);
        }
    }

    /// Queues a request. Returns the answer `unavailable` if the store's queue is full.
    fn ask_store(&self, request: StoreRequest) -> Option<StoreAnswer> {
        self.store.submit(request).err().and_then(|request| service::unavailable(&request))
    }

    /// Stops accepting connections and waits until the others have sent their last bytes.
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

/// The open connections, from their arrival until their end has been handled.
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

    /// Assigns an id to the connection and starts its task.
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

    /// Instructs a connection. Does nothing if it has gone.
    fn with(&self, connection: ConnectionId, instruct: impl FnOnce(&Outbox)) {
        if let Some(link) = self.table.get(&connection) {
            instruct(&link.outbox);
        }
    }

    fn peer(&self, connection: ConnectionId) -> Option<SocketAddr> {
        self.table.get(&connection).map(|link| link.peer)
    }
}
