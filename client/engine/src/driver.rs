//! Runs a session: hands it what happens, one input at a time, and does what it wants, in order.
//!
//! Everything is on one thread. Nothing here waits for the network or for a front end, so what comes
//! from the server is always taken. What comes from peers is not while the front end is behind (see
//! [`telling`]); their links then stop reading. Files are small and written on the spot.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use async_channel::{Receiver as Queue, Sender, TryRecvError};
use async_executor::{LocalExecutor, Task};
use futures_lite::FutureExt as _;
use futures_lite::future;
use letschat_protocol::datagram::DatagramKeys;

use crate::account::AccountFolder;
use crate::client::{Config, Ended, Shared};
use crate::events::Subscription;
use crate::net::datagrams::Datagrams;
use crate::net::peer_link::PeerLink;
use crate::net::receiver::Receiver;
use crate::net::server_link::{ServerLink, Target};
use crate::net::tls::PeerTls;
use crate::net::{Occurrence, QUEUE_LENGTH};
use crate::trust::KnownServers;
use letschat_core::event::Event;
use letschat_core::failure::Failure;
use letschat_core::session::{
    Displayed, Input, LinkId, LogPosition, Reply, Request, RequestId, Session, SessionConfig,
};
use letschat_flags::clock;

mod alarm;
mod effects;
mod inputs;
mod telling;

use alarm::Alarm;
use telling::Telling;

/// Links to peers that may be open at once; further ones come to nothing.
const MAX_PEER_LINKS: usize = 256;

/// Inputs that are handled one after the other. Then the links have a turn, which let out what the
/// session said and are on the same thread.
const INPUTS_AT_ONCE: u64 = 64;

/// Something from a front end, and the channel of the answer.
pub(crate) enum FromFrontEnd {
    Request(Request, Sender<Result<Reply, Failure>>),
    Subscribe(Sender<Subscription>),
}

/// What a driver needs to begin.
pub(crate) struct Driver {
    session_config: SessionConfig,
    config: Config,
    shared: Arc<Shared>,
    requests: Queue<FromFrontEnd>,
}

impl Driver {
    pub(crate) fn new(
        session_config: SessionConfig,
        config: Config,
        shared: Arc<Shared>,
        requests: Queue<FromFrontEnd>,
    ) -> Driver {
        Driver { session_config, config, shared, requests }
    }

    /// Runs the session to its end, on the thread that polls this.
    pub(crate) async fn run(self, listener: TcpListener) -> Ended {
        let executor = LocalExecutor::new();
        let session = async {
            match Running::begin(self, &executor, listener) {
                Ok(running) => running.run().await,
                Err(_) => Ended::Failed,
            }
        };
        executor.run(session).await
    }
}

/// A session and everything around it.
struct Running<'a> {
    executor: &'a LocalExecutor<'static>,
    session: Session,
    config: Config,
    target: Rc<Target>,
    shared: Arc<Shared>,
    telling: Telling,

    requests: RequestQueue,
    /// Whether the last handle is gone and the session has been told to quit.
    abandoned: bool,
    alarm: Alarm,
    /// How often an input was looked for, so that all have their turn.
    looks: u64,
    /// From the server.
    occurrences: Queue<Occurrence>,
    /// Cloned into every task that tells of the server.
    queue: Sender<Occurrence>,
    /// From peers. Not taken while the front end is behind.
    peer_occurrences: Queue<Occurrence>,
    /// Cloned into every task that tells of a peer.
    peer_queue: Sender<Occurrence>,
    /// Inputs that an effect was answered with on the spot.
    at_once: VecDeque<Input>,
    answers: HashMap<RequestId, Sender<Result<Reply, Failure>>>,
    last_request: u64,
    /// For front ends, in order. They are told when the links have let out what was said before:
    /// whoever is told something takes the processor at once, and what is to go far would wait.
    words: VecDeque<ForFrontEnd>,

    server: Option<ServerLink>,
    /// Counts the links to the server; what an earlier one tells is dropped.
    server_generation: u64,
    /// Of the present link, once it is secured.
    secured: Option<(SocketAddr, DatagramKeys)>,
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

/// Something for a front end.
enum ForFrontEnd {
    Answer(Sender<Result<Reply, Failure>>, Result<Reply, Failure>),
    Event(Event, Option<Displayed>),
}

/// What front ends want. Those who come too late are told so by the end of the channel that their
/// answer was to come over.
struct RequestQueue(Queue<FromFrontEnd>);

impl Drop for RequestQueue {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

/// Why the loop goes on.
enum Wake {
    /// What an effect was answered with on the spot.
    AtOnce(Input),
    FrontEnd(FromFrontEnd),
    /// No front end holds a handle any more.
    Abandoned,
    Occurrence(Occurrence),
    Deadline,
    /// The front end has displayed something.
    Displayed,
}

impl<'a> Running<'a> {
    fn begin(
        driver: Driver,
        executor: &'a LocalExecutor<'static>,
        listener: TcpListener,
    ) -> io::Result<Running<'a>> {
        let Driver { session_config, config, shared, requests } = driver;
        let (queue, occurrences) = async_channel::bounded(QUEUE_LENGTH);
        let (peer_queue, peer_occurrences) = async_channel::bounded(QUEUE_LENGTH);
        let target = Target {
            address: config.server.clone(),
            known: KnownServers::in_folder(&config.data_folder),
            may_accept: config.accept_new,
        };
        Ok(Running {
            executor,
            session: Session::new(session_config),
            config,
            target: Rc::new(target),
            shared,
            telling: Telling::default(),
            requests: RequestQueue(requests),
            abandoned: false,
            alarm: Alarm::default(),
            looks: 0,
            occurrences,
            at_once: VecDeque::new(),
            answers: HashMap::new(),
            last_request: 0,
            words: VecDeque::new(),
            server: None,
            server_generation: 0,
            secured: None,
            datagrams: None,
            receiver: Receiver::start(executor, listener, peer_queue.clone())?,
            account: None,
            account_generation: 0,
            position: None,
            peers: HashMap::new(),
            arrived: 0,
            closing: VecDeque::new(),
            ended: None,
            queue,
            peer_occurrences,
            peer_queue,
        })
    }

    async fn run(mut self) -> Ended {
        let ended = loop {
            if let Some(ended) = self.ended {
                break ended;
            }
            let wake = match self.at_hand() {
                Some(wake) => wake,
                None if self.words.is_empty() => self.wait().await,
                None => {
                    self.let_links_go_first().await;
                    continue;
                }
            };
            // Whoever quits after a display finds it noted. Between messages of peers it is enough to look
            // now and then.
            let is_occurrence = matches!(wake, Wake::AtOnce(_) | Wake::Occurrence(_));
            if !is_occurrence || self.telling.has_news() {
                self.note_displayed();
            }
            let input = match wake {
                Wake::AtOnce(input) => Some(input),
                Wake::FrontEnd(wish) => self.note_wish(wish),
                Wake::Abandoned => Some(self.abandon()),
                Wake::Occurrence(occurrence) => self.note(occurrence),
                Wake::Deadline => self.note_deadline(),
                Wake::Displayed => None,
            };
            if let Some(input) = input {
                self.handle(input);
            }
            if self.looks.is_multiple_of(INPUTS_AT_ONCE) {
                self.let_links_go_first().await;
            }
        };
        self.save_position();
        self.tell_front_ends();
        // Each is bounded by a timeout of its own.
        for task in self.closing {
            task.await;
        }
        ended
    }

    /// The links send what was said, then front ends are told.
    async fn let_links_go_first(&mut self) {
        future::yield_now().await;
        self.tell_front_ends();
    }

    fn handle(&mut self, input: Input) {
        let effects = self.session.handle(clock::now(), input);
        // Before the effects: who gets an answer finds the state that it speaks of.
        self.shared.apply(&effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    /// What there is without a wait. The deadline comes first, so that no flood of input can hold
    /// it up; then front ends and links take turns, so that neither can hold up the other.
    fn at_hand(&mut self) -> Option<Wake> {
        if let Some(input) = self.at_once.pop_front() {
            return Some(Wake::AtOnce(input));
        }
        if self.next_deadline().is_some_and(|due_ms| due_ms <= clock::now().boot_ms) {
            return Some(Wake::Deadline);
        }
        self.looks += 1;
        match self.looks % 3 {
            0 => self
                .wish_at_hand()
                .or_else(|| self.server_at_hand().or_else(|| self.peer_at_hand())),
            1 => self
                .server_at_hand()
                .or_else(|| self.peer_at_hand().or_else(|| self.wish_at_hand())),
            _ => self
                .peer_at_hand()
                .or_else(|| self.wish_at_hand().or_else(|| self.server_at_hand())),
        }
    }

    fn wish_at_hand(&self) -> Option<Wake> {
        match self.requests.0.try_recv() {
            Ok(wish) => Some(Wake::FrontEnd(wish)),
            Err(TryRecvError::Closed) if !self.abandoned => Some(Wake::Abandoned),
            Err(_) => None,
        }
    }

    fn server_at_hand(&self) -> Option<Wake> {
        self.occurrences.try_recv().ok().map(Wake::Occurrence)
    }

    fn peer_at_hand(&self) -> Option<Wake> {
        if self.telling.holds_peers() {
            return None;
        }
        self.peer_occurrences.try_recv().ok().map(Wake::Occurrence)
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self) -> Wake {
        self.alarm.set(self.next_deadline());
        let deadline = async {
            self.alarm.rung().await;
            Wake::Deadline
        };
        let wish = async {
            match self.requests.0.recv().await {
                Ok(wish) => Wake::FrontEnd(wish),
                Err(_) if !self.abandoned => Wake::Abandoned,
                Err(_) => pending().await,
            }
        };
        let next = async |occurrences: &Queue<Occurrence>| match occurrences.recv().await {
            Ok(occurrence) => Wake::Occurrence(occurrence),
            Err(_) => pending().await,
        };
        let peers = async {
            if self.telling.holds_peers() {
                return pending().await;
            }
            next(&self.peer_occurrences).await
        };
        let displayed = async {
            self.telling.confirmed().await;
            Wake::Displayed
        };
        deadline.or(wish).or(next(&self.occurrences)).or(peers).or(displayed).await
    }

    fn next_deadline(&self) -> Option<u64> {
        let position = self.position.as_ref().map(|unsaved| unsaved.due_boot_ms);
        let look = self.telling.next_look();
        self.session.next_deadline().into_iter().chain(position).chain(look).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_that_comes_too_late_is_not_left_waiting() {
        let (requests, queue) = async_channel::bounded(1);
        let (answer, answered) = async_channel::bounded(1);
        assert!(requests.try_send(FromFrontEnd::Request(Request::Status, answer)).is_ok());
        drop(RequestQueue(queue));
        assert!(matches!(answered.try_recv(), Err(TryRecvError::Closed)));
    }
}
