//! Runs a session: hands it what happens, one input at a time, and does what it wants, in order.
//!
//! Everything is on one thread. Nothing here waits for the network or for a front end, so the
//! queue of occurrences always drains; files are small and written on the spot.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver as Queue, Sender};
use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use futures_lite::FutureExt as _;

use crate::account::AccountFolder;
use crate::client::{Config, Ended, View};
use crate::clock;
use crate::event::Event;
use crate::net::datagrams::Datagrams;
use crate::net::peer_link::PeerLink;
use crate::net::receiver::Receiver;
use crate::net::server_link::{ServerLink, Target};
use crate::net::tls::{Exported, PeerTls};
use crate::net::{Occurrence, QUEUE_LENGTH};
use crate::session::{
    Birth, Failure, Input, LinkId, LogPosition, Reply, Request, RequestId, Session,
};
use crate::trust::KnownServers;

mod effects;
mod inputs;

/// Links to peers that may be open at once; further ones come to nothing.
const MAX_PEER_LINKS: usize = 256;

/// The boot clock runs on while the machine sleeps, and timers do not: after a sleep a deadline is
/// noticed at most this late.
const LONGEST_WAIT_MS: u64 = 60_000;

/// Something that a front end wants, and where the answer goes.
pub(crate) struct Order {
    pub(crate) request: Request,
    pub(crate) answer: Sender<Result<Reply, Failure>>,
}

/// What a driver needs to begin.
pub(crate) struct Driver {
    birth: Birth,
    config: Config,
    view: Arc<View>,
    orders: Queue<Order>,
    events: Sender<Event>,
}

impl Driver {
    pub(crate) fn new(
        birth: Birth,
        config: Config,
        view: Arc<View>,
        orders: Queue<Order>,
        events: Sender<Event>,
    ) -> Driver {
        Driver { birth, config, view, orders, events }
    }

    /// Runs the session to its end, on this thread.
    pub(crate) fn run(self, listener: TcpListener) -> Ended {
        let executor = LocalExecutor::new();
        async_io::block_on(executor.run(async {
            match Running::begin(self, &executor, listener) {
                Ok(running) => running.run().await,
                Err(_) => Ended::Failed,
            }
        }))
    }
}

/// A session and everything around it.
struct Running<'a> {
    executor: &'a LocalExecutor<'static>,
    session: Session,
    config: Config,
    target: Rc<Target>,
    view: Arc<View>,
    events: Sender<Event>,

    orders: Queue<Order>,
    /// Whether the last handle is gone and the session has been told to quit.
    abandoned: bool,
    occurrences: Queue<Occurrence>,
    /// Cloned into every task that has something to tell.
    queue: Sender<Occurrence>,
    /// Inputs that an effect was answered with on the spot.
    at_once: VecDeque<Input>,
    answers: HashMap<RequestId, Sender<Result<Reply, Failure>>>,
    last_request: u64,

    server: Option<ServerLink>,
    /// Counts the links to the server; what an earlier one tells is dropped.
    server_generation: u64,
    /// Of the present link, once it is secured.
    secured: Option<(SocketAddr, Exported)>,
    datagrams: Option<Datagrams>,

    receiver: Receiver,
    account: Option<(AccountFolder, PeerTls)>,
    /// Counts the opened accounts; arrivals for an earlier one are dropped.
    account_generation: u64,
    position: Option<UnsavedPosition>,

    peers: HashMap<LinkId, PeerLink>,
    arrived: u64,
    /// Links that let out their last words. Kept, since dropping a task cancels it.
    closing: VecDeque<Task<()>>,
    ended: Option<Ended>,
}

/// A log position that is not on disk yet.
struct UnsavedPosition {
    position: LogPosition,
    due_boot_ms: u64,
}

/// Why the loop goes on.
enum Wake {
    Order(Order),
    /// No front end holds a handle any more.
    Abandoned,
    Occurrence(Occurrence),
    Deadline,
}

impl<'a> Running<'a> {
    fn begin(
        driver: Driver,
        executor: &'a LocalExecutor<'static>,
        listener: TcpListener,
    ) -> io::Result<Running<'a>> {
        let Driver { birth, config, view, orders, events } = driver;
        let (queue, occurrences) = async_channel::bounded(QUEUE_LENGTH);
        let target = Target {
            address: config.server.clone(),
            known: KnownServers::in_folder(&config.data_folder),
            may_accept: config.accept_new,
        };
        Ok(Running {
            executor,
            session: Session::new(birth),
            config,
            target: Rc::new(target),
            view,
            events,
            orders,
            abandoned: false,
            occurrences,
            at_once: VecDeque::new(),
            answers: HashMap::new(),
            last_request: 0,
            server: None,
            server_generation: 0,
            secured: None,
            datagrams: None,
            receiver: Receiver::start(executor, listener, queue.clone())?,
            account: None,
            account_generation: 0,
            position: None,
            peers: HashMap::new(),
            arrived: 0,
            closing: VecDeque::new(),
            ended: None,
            queue,
        })
    }

    async fn run(mut self) -> Ended {
        let ended = loop {
            if let Some(ended) = self.ended {
                break ended;
            }
            let input = match self.at_once.pop_front() {
                Some(input) => Some(input),
                None => match self.wait().await {
                    Wake::Order(order) => Some(self.note_order(order)),
                    Wake::Abandoned => Some(self.abandon()),
                    Wake::Occurrence(occurrence) => self.note(occurrence),
                    Wake::Deadline => self.note_deadline(),
                },
            };
            if let Some(input) = input {
                self.handle(input);
            }
        };
        self.save_position();
        // Each is bounded by a timeout of its own.
        for task in self.closing {
            task.await;
        }
        ended
    }

    fn handle(&mut self, input: Input) {
        let effects = self.session.handle(clock::now(), input);
        // Before the effects: who gets an answer finds the state that it speaks of.
        self.view.show(self.session.phase(), self.session.has_current_chat());
        for effect in effects {
            self.perform(effect);
        }
    }

    /// The deadline comes first, so that no flood of input can hold it up.
    async fn wait(&self) -> Wake {
        let deadline = async {
            match self.next_deadline() {
                Some(boot_ms) => {
                    let left_ms = boot_ms.saturating_sub(clock::now().boot_ms);
                    let left_ms = left_ms.min(LONGEST_WAIT_MS);
                    Timer::after(Duration::from_millis(left_ms)).await;
                    Wake::Deadline
                }
                None => pending().await,
            }
        };
        let order = async {
            match self.orders.recv().await {
                Ok(order) => Wake::Order(order),
                Err(_) if !self.abandoned => Wake::Abandoned,
                Err(_) => pending().await,
            }
        };
        let occurrence = async {
            match self.occurrences.recv().await {
                Ok(occurrence) => Wake::Occurrence(occurrence),
                Err(_) => pending().await,
            }
        };
        deadline.or(order).or(occurrence).await
    }

    fn next_deadline(&self) -> Option<u64> {
        let position = self.position.as_ref().map(|unsaved| unsaved.due_boot_ms);
        self.session.next_deadline().into_iter().chain(position).min()
    }
}
