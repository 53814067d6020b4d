//! The handle through which a program drives a client.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use async_channel::Sender;
use event_listener::Event as Wakeup;
use letschat_protocol::devices::DeviceName;
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::username::Username;

use crate::account;
use crate::address::ServiceAddress;
use crate::driver::{Driver, FromFrontEnd};
use crate::events::Subscription;
use crate::net::receiver;
use crate::net::server_link::bound_to;
use crate::private_file;
use crate::settling::settling;
use crate::trust::KnownServers;
use letschat_core::failure::Failure;
use letschat_core::session::{Effect, Phase, Reply, Request, SessionConfig, Typing};
use letschat_core::view::View;

/// The most requests that may wait for the session. Beyond that front ends wait.
const MAX_WAITING_REQUESTS: usize = 64;

/// The config of a client.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server, or the servers of a cluster.
    pub server: ServiceAddress,
    /// The folder of keys and state. A missing one is created, for its owner alone.
    pub data_folder: PathBuf,
    /// True to accept a server off loopback whose key was never seen, with a notice.
    pub accept_new: bool,
    /// The preferred port of the receiver. If it is taken, a free one is used.
    pub peer_port: u16,
    /// The address of the receiver, or `None` for all addresses of this machine.
    pub peer_listen: Option<IpAddr>,
    /// True to leave the server as soon as a chat opens.
    pub detach_on_chat: bool,
    /// The number of tries for a server that is busy or absent, or `None` for the schedule's.
    pub tries: Option<u32>,
    /// True to come back without a request after an idle timeout.
    pub return_after_idle: bool,
    /// The name of this device, or `None` for the host's.
    pub device_name: Option<DeviceName>,
    /// The folder for received files. A missing one is created when it is needed.
    pub downloads: PathBuf,
    /// The history of messages, if one is wanted.
    pub history: Option<HistoryConfig>,
    /// The part in a classroom, for a client of one.
    pub classroom: Option<Classroom>,
}

/// The config of a history of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryConfig {
    /// The days for which messages are kept, if that is limited.
    pub days: Option<u32>,
}

/// The part of a client in a classroom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classroom {
    /// The local port of connections to the server.
    pub server_port: u16,
}

impl Classroom {
    /// Opens the receiver at the very port that the user chose, and checks the other one.
    fn listen(&self, config: &Config) -> Result<TcpListener, StartError> {
        let taken = |port| move |source| StartError::Port { port, source };
        bound_to(self.server_port, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .map_err(taken(self.server_port))?;
        receiver::listen_on(config.peer_listen, config.peer_port).map_err(taken(config.peer_port))
    }
}

impl Config {
    /// Returns the account to log in to without being told. It is the only free one that this
    /// machine has for the server. The server must have been met before, at this or another
    /// loopback address.
    pub fn only_account(&self) -> Option<Username> {
        account::only_one(&self.data_folder, &self.known_server()?)
    }

    /// Returns the key of the server, if it was met before.
    fn known_server(&self) -> Option<Fingerprint> {
        let known = KnownServers::in_folder(&self.data_folder);
        // An unreadable list is reported when the server is dialled.
        known.expected_of(&self.server).ok().flatten()
    }
}

/// The reason for which a client could not start.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder can't be made or used.
    #[error("the data folder {path} can't be used: {source}")]
    DataFolder { path: PathBuf, source: io::Error },
    /// No port could be opened for peers.
    #[error("no port can be opened for peers: {0}")]
    Receiver(#[source] io::Error),
    /// A port that the user chose can't be used.
    #[error("port {port} can't be used: {source}")]
    Port { port: u16, source: io::Error },
    /// The system has no thread for the client.
    #[error("the client's thread can't be started: {0}")]
    Thread(#[source] io::Error),
}

/// The reason for which a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// [`Request::Quit`] was carried out.
    Quit,
    /// The program has a fault.
    Failed,
}

/// The handle of a client that runs on its own thread. It may be cloned. When the last clone is
/// dropped, the client quits.
#[derive(Debug, Clone)]
pub struct Client {
    requests: Sender<FromFrontEnd>,
    shared: Arc<Shared>,
}

/// The session's state as seen from other threads.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    view: Mutex<View>,
    ended: OnceLock<Ended>,
    end: Wakeup,
}

/// Creates the data folder if it is missing.
///
/// # Errors
///
/// The folder can't be created or written to.
pub fn make_data_folder(path: &Path) -> Result<(), StartError> {
    private_file::create_usable_folder(path)
        .map_err(|source| StartError::DataFolder { path: path.to_owned(), source })
}

/// Returns the name of this host, as that of a device.
fn host_name() -> DeviceName {
    let system = rustix::system::uname();
    DeviceName::like(&system.nodename().to_string_lossy())
}

impl Client {
    /// Starts a client on its own thread. It opens its receiver and waits for requests. It does not
    /// dial the server before a request needs it.
    pub fn start(config: Config) -> Result<Client, StartError> {
        make_data_folder(&config.data_folder)?;
        let listener = match &config.classroom {
            None => receiver::listen(config.peer_listen, config.peer_port)
                .map_err(StartError::Receiver)?,
            Some(classroom) => classroom.listen(&config)?,
        };
        let port = listener.local_addr().map_err(StartError::Receiver)?.port();
        let session_config = SessionConfig {
            server: config.server.to_string(),
            port,
            detach_on_chat: config.detach_on_chat,
            tries: config.tries,
            return_after_idle: config.return_after_idle,
            known_server: config.known_server(),
            device_name: config.device_name.clone().unwrap_or_else(host_name),
            classroom: config.classroom.is_some(),
            seed: fastrand::u64(..),
        };

        let (requests, queue) = async_channel::bounded(MAX_WAITING_REQUESTS);
        let shared = Arc::new(Shared::default());
        let guard = EndGuard(shared.clone());
        let driver = Driver::new(session_config, config, shared.clone(), queue);
        let run = async move || guard.release(driver.run(listener).await);
        thread::Builder::new()
            .name("session".into())
            .spawn(move || async_io::block_on(settling(run())))
            .map_err(StartError::Thread)?;
        Ok(Client { requests, shared })
    }

    /// Sends a request to the session. The future is ready when the request is done or has failed.
    pub fn request(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Reply, Failure>> + Send + 'static + use<> {
        let requests = self.requests.clone();
        async move {
            let (answer, answered) = async_channel::bounded(1);
            requests
                .send(FromFrontEnd::Request(request, answer))
                .await
                .map_err(|_| Failure::Ended)?;
            // A request that comes too late is dropped with its end of the channel.
            answered.recv().await.unwrap_or(Err(Failure::Ended))
        }
    }

    /// Returns the state of the client and every event after it. A message counts as displayed once
    /// all subscribers have confirmed it. The events before the first subscription are in its view
    /// alone.
    ///
    /// # Errors
    ///
    /// [`Failure::Ended`]: the client has ended.
    pub fn subscribe(
        &self,
    ) -> impl Future<Output = Result<Subscription, Failure>> + Send + 'static + use<> {
        let requests = self.requests.clone();
        async move {
            let (answer, answered) = async_channel::bounded(1);
            let wish = FromFrontEnd::Subscribe(answer);
            requests.send(wish).await.map_err(|_| Failure::Ended)?;
            answered.recv().await.map_err(|_| Failure::Ended)
        }
    }

    /// Reads the view, which includes events that no front end has read yet. The session waits
    /// meanwhile.
    pub fn read_view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.shared.lock())
    }

    /// Returns the phase that commands are checked against.
    pub fn phase(&self) -> Phase {
        self.read_view(|view| view.session.phase)
    }

    /// Returns the meaning of a typed line that is not marked as a command.
    pub fn typing(&self) -> Typing {
        self.read_view(|view| view.session.typing.clone())
    }

    /// Waits until the client has ended. Every event has been sent by then.
    pub fn finished(&self) -> impl Future<Output = Ended> + Send + 'static + use<> {
        let shared = self.shared.clone();
        async move {
            loop {
                let end = shared.end.listen();
                if let Some(ended) = shared.ended.get() {
                    return *ended;
                }
                end.await;
            }
        }
    }
}

impl Shared {
    /// Applies the events among these effects to the view.
    pub(crate) fn apply(&self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Tell(event) | Effect::Display(event, _) = effect {
                self.lock().apply(event);
            }
        }
    }

    pub(crate) fn view(&self) -> View {
        self.lock().clone()
    }

    /// Locks the view. No code panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, ended: Ended) {
        // Only the first end counts.
        let _ = self.ended.set(ended);
        self.end.notify(usize::MAX);
    }
}

/// A guard that reports the end of the client even if its thread panics.
struct EndGuard(Arc<Shared>);

impl EndGuard {
    fn release(self, ended: Ended) {
        self.0.end(ended);
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.end(Ended::Failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Events, Told};
    use futures_lite::future::block_on;
    use std::path::Path;

    /// Returns the config of a client of an absent server.
    fn config(folder: &Path) -> Config {
        Config {
            server: "127.0.0.1:1".parse().unwrap(),
            data_folder: folder.join("made"),
            accept_new: false,
            peer_port: 0,
            peer_listen: None,
            detach_on_chat: false,
            tries: Some(1),
            return_after_idle: false,
            device_name: None,
            downloads: folder.join("downloads"),
            history: None,
            classroom: None,
        }
    }

    fn start(folder: &Path) -> (Client, Events) {
        let client = Client::start(config(folder)).unwrap();
        let subscription = block_on(client.subscribe()).unwrap();
        (client, subscription.events)
    }

    #[test]
    fn a_client_starts_answers_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (client, events) = start(folder.path());
        assert_eq!(client.typing(), Typing::Commands);
        assert_eq!(client.phase(), Phase::Offline);
        let status = block_on(client.request(Request::Status)).unwrap();
        assert!(matches!(status, Reply::Status(status) if status.port != 0));

        block_on(client.request(Request::Quit)).unwrap();
        assert_eq!(block_on(client.finished()), Ended::Quit);
        while block_on(events.recv()).is_ok() {}
        let failure = block_on(client.request(Request::Status)).unwrap_err();
        assert_eq!(failure, Failure::Ended);
    }

    #[test]
    fn a_client_that_nobody_holds_quits() {
        let folder = tempfile::tempdir().unwrap();
        let (client, events) = start(folder.path());
        let finished = client.finished();
        drop(client);
        assert_eq!(block_on(finished), Ended::Quit);
        drop(events);
    }

    #[test]
    fn a_front_end_that_wants_no_events_gets_answers_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (client, events) = start(folder.path());
        drop(events);
        let login = Request::Login { username: Some("alice".into()), password: None, take: false };
        assert!(block_on(client.request(login)).is_err());
        assert!(block_on(client.request(Request::Status)).is_ok());
    }

    #[test]
    fn view_of_any_subscription_becomes_that_of_the_client() {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::start(config(folder.path())).unwrap();
        let mut subscriptions = Vec::new();
        for name in ["alice", "bob", "carol"] {
            subscriptions.push(block_on(client.subscribe()).unwrap());
            let login = client.request(Request::Login {
                username: Some(name.into()),
                password: None,
                take: false,
            });
            subscriptions.push(block_on(client.subscribe()).unwrap());
            assert!(block_on(login).is_err());
        }
        let last = block_on(client.subscribe()).unwrap().view;
        client.read_view(|view| assert_eq!(last, *view));
        for Subscription { mut view, events } in subscriptions {
            while let Ok(Told { event, .. }) = events.try_recv() {
                view.apply(&event);
            }
            assert_eq!(view, last);
        }
    }

    #[test]
    fn client_whose_session_fails_is_no_more() {
        let shared = Arc::new(Shared::default());
        let client = Client { requests: async_channel::bounded(1).0, shared: shared.clone() };
        drop(EndGuard(shared));
        assert_eq!(block_on(client.finished()), Ended::Failed);
        assert_eq!(block_on(client.request(Request::Status)).unwrap_err(), Failure::Ended);
    }

    #[test]
    fn two_clients_in_one_folder_have_two_ports() {
        let folder = tempfile::tempdir().unwrap();
        let port = |client: &Client| match block_on(client.request(Request::Status)) {
            Ok(Reply::Status(status)) => status.port,
            other => panic!("{other:?}"),
        };
        let (one, _events) = start(folder.path());
        let (other, _events) = start(folder.path());
        assert_ne!(port(&one), port(&other));
    }

    #[test]
    fn a_data_folder_that_is_a_file_is_a_start_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("made"), "").unwrap();
        let config = config(folder.path());
        assert!(matches!(Client::start(config), Err(StartError::DataFolder { .. })));
    }
}
