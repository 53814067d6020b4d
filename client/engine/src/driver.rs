//! Runs a session: passes it inputs one at a time, and carries out its effects in order.
//!
//! Everything is on one thread. Nothing here waits for the network or for a front end, so messages
//! of the server are always read. Those of peers are not while the front end is behind (see
//! [`telling`]): their links stop reading. Files are small and written without a task of their own.

use std::cell::Cell;
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
use letschat_protocol::identity::PublicKey;

use crate::client::{Config, Ended, Shared};
use crate::events::Subscription;
use crate::files::Transfer;
use crate::net::datagrams::Datagrams;
use crate::net::peer_link::PeerLink;
use crate::net::receiver::Receiver;
use crate::net::server_link::{ServerLink, Target};
use crate::net::{Occurrence, QUEUE_LENGTH};
use crate::trust::KnownServers;
use letschat_core::event::Event;
use letschat_core::failure::Failure;
use letschat_core::files::TransferId;
use letschat_core::session::{
    Displayed, Input, LinkId, LogPosition, Reply, Request, RequestId, Session, SessionConfig,
};
use letschat_flags::clock;

mod alarm;
mod effects;
mod files;
mod history;
mod inputs;
mod mail;
mod telling;

use alarm::Alarm;
use mail::OpenAccount;
use telling::Telling;

/// The most open links to peers. Further ones fail.
const MAX_PEER_LINKS: usize = 256;

/// The inputs handled in a row. Then the links, which are on the same thread, have a turn to send.
const INPUTS_AT_ONCE: u64 = 64;

/// A message of a front end, and the channel of its answer.
pub(crate) enum FromFrontEnd {
    Request(Request, Sender<Result<Reply, Failure>>),
    Subscribe(Sender<Subscription>),
}

/// A driver that has not started.
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

    /// Runs the session to its end, on the polling thread.
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

/// A running session and everything around it.
struct Running<'a> {
    executor: &'a LocalExecutor<'static>,
    session: Session,
    config: Config,
    target: Rc<Target>,
    shared: Arc<Shared>,
    telling: Telling,

    requests: RequestQueue,
    /// True once the last handle is gone and the session has been told to quit.
    abandoned: bool,
    alarm: Alarm,
    /// The number of looks for an input, for a fair order of their sources.
    looks: u64,
    /// Occurrences from the server.
    occurrences: Queue<Occurrence>,
    /// The sender for tasks of the server link, which clone it.
    queue: Sender<Occurrence>,
    /// Occurrences from peers. They are not read while the front end is behind.
    peer_occurrences: Queue<Occurrence>,
    /// The sender for tasks of peer links, which clone it.
    peer_queue: Sender<Occurrence>,
    /// Inputs that answer an effect without a wait.
    at_once: VecDeque<Input>,
    answers: HashMap<RequestId, Sender<Result<Reply, Failure>>>,
    last_request: u64,
    /// Answers and events for front ends, in order. They are sent after the links have sent: waking
    /// a front end preempts this thread, and the network would wait.
    words: VecDeque<ForFrontEnd>,

    server: Option<ServerLink>,
    /// The number of links to the server so far. Occurrences of earlier ones are dropped.
    server_generation: u64,
    /// The address and keys of the present link, once it is secured.
    secured: Option<(SocketAddr, DatagramKeys)>,
    datagrams: Option<Datagrams>,

    receiver: Receiver,
    account: Option<OpenAccount>,
    /// The number of opened accounts so far. Arrivals for earlier ones are dropped.
    account_generation: u64,
    position: Option<UnsavedPosition>,

    peers: HashMap<LinkId, PeerLink>,
    arrived: u64,
    /// The meetings that peers have asked for, with their keys.
    attending: Vec<(PublicKey, Task<()>)>,
    /// The attempts to fetch files.
    fetching: HashMap<TransferId, Transfer>,
    /// The links over which files are sent.
    serving: HashMap<LinkId, Transfer>,
    /// Closed links that are still sending. They are kept, since dropping a task cancels it.
    closing: VecDeque<Task<()>>,
    ended: Option<Ended>,
}

/// A log position that is not on disk yet.
struct UnsavedPosition {
    position: LogPosition,
    due_boot_ms: u64,
}

/// An answer or event for a front end.
enum ForFrontEnd {
    Answer(Sender<Result<Reply, Failure>>, Result<Reply, Failure>),
    Event(Event, Option<Displayed>),
}

/// The queue of front ends' requests. Late requests fail, since their channel is dropped.
struct RequestQueue(Queue<FromFrontEnd>);

impl Drop for RequestQueue {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

/// The reason for which the loop continues.
enum Wake {
    /// An answer to an effect that needed no wait.
    AtOnce(Input),
    FrontEnd(FromFrontEnd),
    /// No front end holds a handle any more.
    Abandoned,
    Occurrence(Occurrence),
    Deadline,
    /// The front end has displayed an event.
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
            service: config.server.clone(),
            last: Cell::new(0),
            known: KnownServers::in_folder(&config.data_folder),
            may_accept: config.accept_new,
            local_port: config.classroom.as_ref().map(|classroom| classroom.server_port),
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
            attending: Vec::new(),
            fetching: HashMap::new(),
            serving: HashMap::new(),
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
            // A request after a display must find it noted. Between messages of peers an occasional
            // look is enough.
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
        // Each task is bounded by a timeout.
        for task in self.closing {
            task.await;
        }
        ended
    }

    /// Lets the links send first, and then tells the front ends.
    async fn let_links_go_first(&mut self) {
        future::yield_now().await;
        self.tell_front_ends();
    }

    fn handle(&mut self, input: Input) {
        let effects = self.session.handle(clock::now(), input);
        // The view is updated first, so that it matches the state when a request is answered.
        self.shared.apply(&effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    /// Returns the next event that needs no wait. The deadline comes first, so that no flood of
    /// input can delay it. Front ends and links then take turns.
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

    /// Waits for the first event.
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
