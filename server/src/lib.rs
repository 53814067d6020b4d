//! The server of Let's Chat. It tracks who is online, relays broadcasts, introduces clients to each
//! other, and keeps sealed envelopes for devices that are away. Chats don't pass through it.
//!
//! * [`Server`] – starts and stops everything
//! * [`settings`] – the operator's settings
//! * [`hub`] – every decision, as a pure value: inputs in, effects out
//! * [`store`] – accounts, broadcasts and envelopes, kept by threads of their own
//! * `net` – sockets, TLS, datagrams: thin tasks that move bytes
//! * [`open_room`] – a chat room in clear text over UDP, instead of all the others
//! * [`clients_file`] – the file of a classroom's clients
//! * `classroom` – that file's writer, the server's screen, and the knocks after a restart
//! * `bell` – how the servers of a cluster ring each other
//! * `metrics` – the state of the server for its monitoring, over HTTP
//! * `driver` – the one task that runs the hub and carries its effects out
//! * `record` – the hub's records as lines of the log
//! * [`reserved_names`] – names that are refused at sign-up
//! * `runtime` – the executor: a thread per core, and the handling of panics
//! * `data_folder` – the server's files and the locks on them
//!
//! # Invariants
//!
//! * Only the hub decides, and one task runs it, so that events have one order.
//! * The hub's task never waits for a client, a disk or a hash. They wait for it at a bounded
//!   queue.
//! * A client that does not read fills its own outbox and loses its own connection.
//! * Every queue, buffer and wait has a bound, stated where it is defined.
//! * Two servers never share a data folder, and outside of a cluster never a store.
//!
//! # Deliberately absent
//!
//! * The text of messages between people: it passes through the server only in sealed envelopes.
//! * TLS 1.2, session tickets and client certificates.
//! * Passwords in memory for longer than their hashing takes, and passwords in a log.
//! * Global state: several servers can run in one process, as in the tests.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bell;
mod classroom;
pub mod clients_file;
mod data_folder;
mod driver;
pub mod hub;
mod metrics;
mod net;
pub mod open_room;
mod record;
pub mod reserved_names;
mod runtime;
pub mod settings;
pub mod store;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use async_channel::{Receiver, Sender};
use async_executor::Task;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use futures_lite::future;
use futures_rustls::TlsAcceptor;
use letschat_protocol::identity::Fingerprint;

use bell::Bell;
use classroom::Classroom;
use clients_file::ClientEntry;
pub use data_folder::make as make_data_folder;
use data_folder::{DataFolder, LockError};
use driver::{Driver, Links, QUEUE_EVENTS};
use hub::{Hub, Input, Operator, OperatorAnswer, ServerInstance, Shown};
use letschat_flags::clock;
use metrics::Monitoring;
use net::Event;
use net::datagrams::Datagrams;
use net::listener::Listener;
use net::ports::Ports;
use net::relay::{RelayTimeouts, Relays};
use net::tls::Credentials;
pub use net::tls::{TlsError, stored_fingerprint};
use runtime::Runtime;
pub use settings::ServerSettings;
use settings::{CLIENTS_FILE, ClusterSettings, MetricsAddress, StoreLocation};
use store::mysql::Mysql;
use store::service::StoreService;
use store::sqlite::{Lock, Sqlite};
use store::{Store, StoreError};

// The model of shared tables is that of the simulation, which knows this crate by its name.
#[cfg(test)]
extern crate self as letschat_server;

/// A running server. Dropping it ends it at once without notifying clients. To shut down properly,
/// [stop](Operator::Stop) it first.
pub struct Server {
    address: SocketAddr,
    fingerprint: Fingerprint,
    controls: Controls,
    shown: Receiver<Shown>,
    /// The port of the metrics, if they have one.
    metrics_port: Option<SocketAddr>,
    // Fields drop in this order: first the running parts, then the locks that exclude other
    // servers.
    _monitoring: Option<Monitoring>,
    _driver: Option<Task<()>>,
    _runtime: Runtime,
    _data_folder: DataFolder,
    _store_lock: Option<Lock>,
}

/// A handle of the operator on a running server. It may outlive the server.
#[derive(Clone)]
pub struct Controls {
    events: Sender<Event>,
    stopped: Receiver<Infallible>,
}

/// The reason why a server could not start.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder can't be created or used.
    #[error("can't use the data folder {path}: {source}; --data chooses another")]
    Folder { path: PathBuf, source: io::Error },
    /// Another server holds the data folder or the store.
    #[error(
        "another server is using {0}; stop that one, or choose otherwise with --data or --store"
    )]
    InUse(PathBuf),
    /// There is no usable key or certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store can't be opened or read.
    #[error("can't use the database {location}: {source}; --store chooses another")]
    Store { location: Box<StoreLocation>, source: StoreError },
    /// The store belongs to a cluster that this server can't join.
    #[error("can't use the database {location}: {source}")]
    Cluster { location: Box<StoreLocation>, source: StoreError },
    /// Another program uses the port.
    #[error("port {0} is taken by another program; choose another one with --port")]
    PortTaken(u16),
    /// The address is not one of this machine.
    #[error("{0} is no address of this machine; choose one that is with --listen")]
    NotHere(IpAddr),
    /// The address can't be listened on.
    #[error("can't listen on {address}, which --listen and --port choose: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    /// The metrics can't be offered there.
    #[error("can't offer the metrics at {address}: {source}; --metrics chooses another place")]
    Metrics { address: MetricsAddress, source: io::Error },
    /// The file of a classroom's clients has other content.
    #[error(
        "{0} has no line ID ADDRESS PORT and would be replaced; --clients-file chooses another"
    )]
    NoClientsFile(PathBuf),
    /// The system provides no threads, no random numbers or no sockets.
    #[error("the system refused what a server needs: {0}")]
    System(#[from] io::Error),
}

impl Server {
    /// Starts a server. It accepts connections as soon as this returns.
    pub fn start(settings: ServerSettings) -> Result<Server, StartError> {
        raise_descriptor_limit();
        let folder = &settings.data_folder;
        let data_folder = DataFolder::open(folder).map_err(|error| lock_error(folder, error))?;
        let Credentials { config, fingerprint } = Credentials::load_or_make(&data_folder)?;
        let (mut store, store_lock) = open_store(&settings, &fingerprint)?;
        let log = store.load_log().map_err(|error| store_error(&settings.store, error))?;
        let ports = open_ports(settings.listen, settings.port)?;

        let (events, inbox) = async_channel::bounded(QUEUE_EVENTS);
        let answers = events.clone();
        let store = StoreService::start(store, move |answer| {
            // This blocks one store thread while the queue is full. The queue is closed only when
            // the server stops, and then nobody needs the answer.
            let _ = answers.send_blocking(Event::Input(Input::Stored(answer)));
        })?;

        let runtime = Runtime::start()?;
        let spawner = runtime.spawner();
        let instance = ServerInstance {
            fingerprint,
            udp_port: ports.address.port(),
            boot_id: boot_id()?,
            seed: random()?,
        };
        let known = known_clients(&settings)?;
        let mut hub = Hub::new(settings.hub, instance, log, clock::now());
        let bell = match (settings.cluster, &settings.store) {
            (Some(ClusterSettings { name, bell }), StoreLocation::Mysql(database)) => {
                let bell = Bell::start(bell, &database.database, &name, events.clone())?;
                hub = hub.in_cluster(name);
                Some(bell)
            }
            _ => None,
        };
        hub.restore_clients(known.iter().flatten().cloned());
        let listener = Listener::new(ports.tcp)?.run(events.clone());
        let path = settings.clients_file;
        let (classroom, shown) =
            Classroom::start(known.as_deref(), path, ports.address, &spawner, &events);
        let monitoring = settings.metrics.map(|address| {
            let started = Monitoring::start(&address, &spawner, events.clone());
            started.map_err(|source| StartError::Metrics { address, source })
        });
        let monitoring = monitoring.transpose()?;
        let (stopping, stopped) = async_channel::bounded(1);
        let driver = Driver {
            hub,
            events: inbox,
            links: Links::new(TlsAcceptor::from(config), spawner.clone(), events.clone()),
            datagrams: Datagrams::start(ports.udp, &spawner, events.clone())?,
            store,
            classroom,
            relays: Relays::new(settings.relay_rates, RelayTimeouts::default()),
            bell,
            measuring: None,
            listener: spawner.essential("the task that accepts connections", listener),
            operating: None,
            stopped: stopping,
        };
        Ok(Server {
            address: ports.address,
            fingerprint,
            controls: Controls { events, stopped },
            shown,
            metrics_port: monitoring.as_ref().and_then(|monitoring| monitoring.port),
            _monitoring: monitoring,
            _driver: spawner.essential("the hub's task", driver.run()),
            _runtime: runtime,
            _data_folder: data_folder,
            _store_lock: store_lock,
        })
    }

    /// Returns the address of the TCP and UDP ports.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the fingerprint of the server's key, which clients remember.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the port of the metrics, if they have one.
    pub fn metrics_port(&self) -> Option<SocketAddr> {
        self.metrics_port
    }

    /// Returns another handle on the server.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// Returns the lines for the screen of a classroom's server. They end when the server has
    /// stopped. Lines that nobody takes are dropped.
    pub fn shown(&self) -> Receiver<Shown> {
        self.shown.clone()
    }

    /// Carries out a command of the operator: see [`Controls::operate`].
    pub async fn operate(&self, operator: Operator) -> Option<OperatorAnswer> {
        self.controls.operate(operator).await
    }

    /// Returns when the server has stopped and the last bytes are sent. Never returns unless the
    /// server was told to [stop](Operator::Stop).
    pub async fn stopped(&self) {
        self.controls.stopped().await;
    }
}

impl Controls {
    /// Carries out a command of the operator and returns its answer. [`Operator::Stop`] and a
    /// stopped server give none.
    pub async fn operate(&self, operator: Operator) -> Option<OperatorAnswer> {
        let answered = async {
            let (answer, answers) = async_channel::bounded(1);
            self.events.send(Event::Operated { operator, answer }).await.ok()?;
            answers.recv().await.ok()
        };
        let stopped = async {
            self.stopped().await;
            None
        };
        future::or(answered, stopped).await
    }

    async fn stopped(&self) {
        // Nothing is ever sent here: the close of the channel is the signal.
        let _ = self.stopped.recv().await;
    }
}

/// Returns the clients of the last run, or `None` outside of a classroom. Fails if the operator named a file that is
/// something else: it would be replaced.
fn known_clients(settings: &ServerSettings) -> Result<Option<Vec<ClientEntry>>, StartError> {
    if !settings.hub.classroom {
        return Ok(None);
    }
    let path = &settings.clients_file;
    let (clients, is_other) = classroom::read_clients(path, settings.hub.places);
    let is_named = *path != settings.data_folder.join(CLIENTS_FILE);
    match is_named && is_other {
        true => Err(StartError::NoClientsFile(path.clone())),
        false => Ok(Some(clients)),
    }
}

fn lock_error(path: &Path, error: LockError) -> StartError {
    let path = path.to_owned();
    match error {
        LockError::Taken => StartError::InUse(path),
        LockError::Io(source) => StartError::Folder { path, source },
    }
}

fn store_error(location: &StoreLocation, source: StoreError) -> StartError {
    let location = Box::new(location.clone());
    match source {
        StoreError::Cluster(_) => StartError::Cluster { location, source },
        source => StartError::Store { location, source },
    }
}

/// Opens the store. SQLite's file is locked first, so that a second server changes nothing in it.
/// MySQL has a lock of its own.
fn open_store(
    settings: &ServerSettings,
    fingerprint: &Fingerprint,
) -> Result<(Box<dyn Store>, Option<Lock>), StartError> {
    let location = &settings.store;
    let failed = |error| store_error(location, error);
    match location {
        StoreLocation::Sqlite(path) => {
            let lock = Lock::take(path).map_err(|error| match error {
                StoreError::InUse(_) => StartError::InUse(path.clone()),
                error => failed(error),
            })?;
            Ok((Box::new(Sqlite::open(path).map_err(failed)?), Some(lock)))
        }
        StoreLocation::Mysql(database) => {
            let opened = match &settings.cluster {
                None => Mysql::open(database),
                Some(cluster) => Mysql::join(database, cluster.name.clone(), fingerprint),
            };
            Ok((Box::new(opened.map_err(failed)?), None))
        }
    }
}

fn open_ports(listen: Option<IpAddr>, port: u16) -> Result<Ports, StartError> {
    Ports::open(listen, port).map_err(|source| match (source.kind(), listen) {
        (io::ErrorKind::AddrInUse, _) => StartError::PortTaken(port),
        (io::ErrorKind::AddrNotAvailable, Some(address)) => StartError::NotHere(address),
        _ => {
            let address = listen.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
            StartError::Listen { address: SocketAddr::new(address, port), source }
        }
    })
}

/// Raises the soft limit of descriptors, since each connection needs one. The usual 1,024 is for
/// old programs.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit of descriptors stays at {:?}: {error}", limit.current);
    }
}

/// Returns an id of this boot of the machine. If the system tells none, each start gets its own,
/// and broadcasts are then dated by the wall clock.
fn boot_id() -> io::Result<u64> {
    let Ok(text) = std::fs::read("/proc/sys/kernel/random/boot_id") else {
        return Ok(u64::from_ne_bytes(random()?));
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_ref()[..8]);
    Ok(u64::from_be_bytes(bytes))
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("no random numbers are to be had"))?;
    Ok(bytes)
}
