//! The state of the server for its monitoring, over HTTP on this machine.
//!
//! * `/livez` – whether the server's task runs
//! * `/readyz` – whether the server can be used: its port and its database. A bell that is silent is told, and no
//!   reason not to use the server
//! * `/metrics` – counters and gauges, in the text format of Prometheus (see [`text`])
//!
//! Everybody on this machine may ask at a port; a socket in the file system is for its owner. The hub is asked at most
//! once a second, and few connections are served at a time, so that no reader costs others anything.

mod http;
mod text;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Sender;
use async_executor::Task;
use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncWrite, AsyncWriteExt as _, FutureExt as _};
use smol::lock::Mutex;

use crate::hub::Metrics;
use crate::net::Event;
use crate::runtime::Spawner;
use crate::store::service::Histogram;
use http::{Request, Response};

/// The most connections that are served at a time. The oldest makes room for a new one.
const MAX_CONNECTIONS: usize = 8;

/// The age up to which a report is used again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The longest wait for the hub. The database has its own, shorter timeouts.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time for a whole request and its response.
const EXCHANGE_PATIENCE: Duration = Duration::from_secs(10);

/// The pause after a failure to accept.
const BACK_OFF: Duration = Duration::from_millis(200);

/// The place where the monitoring asks: `127.0.0.1:PORT`, `[::1]:PORT`, or the path of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A port of this machine's loopback.
    Port(SocketAddr),
    /// A socket in the file system.
    Socket(PathBuf),
}

/// A text that names no such place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 127.0.0.1:PORT, [::1]:PORT or the path of a socket: metrics are for this machine"
)]
pub struct NotAMetricsAddress;

impl FromStr for MetricsAddress {
    type Err = NotAMetricsAddress;

    fn from_str(text: &str) -> Result<MetricsAddress, NotAMetricsAddress> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().to_canonical().is_loopback() => {
                Ok(MetricsAddress::Port(address))
            }
            Err(_) if text.contains('/') => Ok(MetricsAddress::Socket(text.into())),
            _ => Err(NotAMetricsAddress),
        }
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricsAddress::Port(address) => address.fmt(f),
            MetricsAddress::Socket(path) => path.display().fmt(f),
        }
    }
}

/// What all parts of the server tell.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) hub: Metrics,
    /// The events that wait for the driver.
    pub(crate) waiting_events: usize,
    /// The requests that wait for the store.
    pub(crate) waiting_requests: usize,
    /// The time that steps of the store took, by their names.
    pub(crate) latencies: BTreeMap<&'static str, Histogram>,
    pub(crate) relayed_bytes: u64,
    /// True while the bell is heard, or `None` without a cluster.
    pub(crate) is_bell_heard: Option<bool>,
}

/// The running monitoring. Dropping it ends it, and removes its socket from the file system.
pub(crate) struct Monitoring {
    socket: Option<PathBuf>,
    /// The port, if it is one.
    pub(crate) port: Option<SocketAddr>,
    _task: Option<Task<()>>,
}

impl Monitoring {
    /// Listens, and answers until it is dropped.
    pub(crate) fn start(
        address: &MetricsAddress,
        spawner: &Spawner,
        events: Sender<Event>,
    ) -> io::Result<Monitoring> {
        let (listener, socket, port) = match address {
            MetricsAddress::Port(address) => {
                let listener = Async::<TcpListener>::bind(*address)?;
                let port = listener.get_ref().local_addr()?;
                (Listener::Port(listener), None, Some(port))
            }
            MetricsAddress::Socket(path) => {
                let listener = Async::new_nonblocking(bind_for_owner(path)?)?;
                (Listener::Socket(listener), Some(path.clone()), None)
            }
        };
        let source =
            Arc::new(Source { events, last_alive: Mutex::default(), last: Mutex::default() });
        let task = serve(listener, source, spawner.clone());
        Ok(Monitoring { socket, port, _task: spawner.spawn(task) })
    }
}

impl Drop for Monitoring {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            // Somebody may have removed it before.
            let _ = fs::remove_file(socket);
        }
    }
}

/// Binds a socket that its owner alone can use. It takes the place of one at which nobody listens.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    if fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // Under its name it is never open to others.
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    // One of an earlier process with this number.
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    let renamed = fs::set_permissions(&new, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = renamed {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

enum Listener {
    Port(Async<TcpListener>),
    Socket(Async<UnixListener>),
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Listener::Port(listener) => Box::new(listener.accept().await?.0),
            Listener::Socket(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn serve(listener: Listener, source: Arc<Source>, spawner: Spawner) {
    // The oldest connection makes room for a new one. A task that is dropped ends.
    let mut served = VecDeque::with_capacity(MAX_CONNECTIONS);
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection to the metrics");
                Timer::after(BACK_OFF).await;
                continue;
            }
        };
        let source = source.clone();
        let task = spawner.spawn(async move {
            // Whether the reader has got it is its own concern.
            let _ = source.serve(stream).await;
        });
        if served.len() == MAX_CONNECTIONS {
            served.pop_front();
        }
        served.push_back(task);
    }
}

/// The source of the answers.
struct Source {
    events: Sender<Event>,
    last_alive: Mutex<Option<Instant>>,
    last: Mutex<Option<(Instant, Arc<Report>)>>,
}

impl Source {
    /// Reads a request, and answers it.
    async fn serve(&self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        let exchange = async {
            let (response, is_head) = match http::read_request(&mut stream).await? {
                Ok(Request { path, is_head }) => (self.answer(&path).await, is_head),
                Err(refusal) => (refusal, false),
            };
            stream.write_all(&response.to_bytes(is_head)).await?;
            stream.close().await
        };
        let late = async {
            Timer::after(EXCHANGE_PATIENCE).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        exchange.or(late).await
    }

    async fn answer(&self, path: &str) -> Response {
        match path {
            "/livez" => match self.is_alive().await {
                true => Response::ok("alive\n".into()),
                false => Response::not_ready("the server does not answer\n".into()),
            },
            "/readyz" => match self.report().await {
                Some(report) => readiness(&report),
                None => Response::not_ready("the server does not answer\n".into()),
            },
            "/metrics" => match self.report().await {
                Some(report) => Response::ok(text::render(&report)),
                None => Response::not_ready("the server does not answer\n".into()),
            },
            _ => Response::not_found(),
        }
    }

    /// Returns true if the driver takes an event, or has lately.
    async fn is_alive(&self) -> bool {
        let mut last = self.last_alive.lock().await;
        if last.is_some_and(|when| when.elapsed() < MAX_AGE) {
            return true;
        }
        let (answer, answers) = async_channel::bounded(1);
        let answered = async {
            self.events.send(Event::Alive(answer)).await.is_ok() && answers.recv().await.is_ok()
        };
        let late = async {
            Timer::after(PATIENCE).await;
            false
        };
        let is_alive = answered.or(late).await;
        *last = is_alive.then(Instant::now);
        is_alive
    }

    /// Returns a report, which may be a second old.
    async fn report(&self) -> Option<Arc<Report>> {
        let mut last = self.last.lock().await;
        if let Some((when, report)) = &*last
            && when.elapsed() < MAX_AGE
        {
            return Some(report.clone());
        }
        let (answer, answers) = async_channel::bounded(1);
        let answered = async {
            self.events.send(Event::Measure(answer)).await.ok()?;
            answers.recv().await.ok()
        };
        let late = async {
            Timer::after(PATIENCE).await;
            None
        };
        let report = answered.or(late).await?;
        *last = Some((Instant::now(), report.clone()));
        Some(report)
    }
}

/// Returns whether the server can be used. It listens, or it would have ended.
fn readiness(report: &Report) -> Response {
    let database = if report.hub.mailbox.is_some() { "ok" } else { "does not answer" };
    let mut text = format!("listening: ok\ndatabase: {database}\n");
    if let Some(is_heard) = report.is_bell_heard {
        text.push_str(if is_heard { "bell: ok\n" } else { "bell: silent\n" });
    }
    if report.hub.mailbox.is_some() { Response::ok(text) } else { Response::not_ready(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_for_this_machine() {
        for text in ["127.0.0.1:9400", "[::1]:0", "/run/metrics.sock", "./metrics.sock"] {
            assert_eq!(text.parse::<MetricsAddress>().unwrap().to_string(), text);
        }
        for text in ["0.0.0.0:9400", "[::]:9400", "192.0.2.1:9400", "9400", "localhost:9400", ""] {
            assert_eq!(text.parse::<MetricsAddress>(), Err(NotAMetricsAddress), "{text}");
        }
    }

    #[test]
    fn socket_is_for_its_owner_and_takes_an_old_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.sock");
        for _ in 0..2 {
            // The second one finds what the first has left.
            let _listener = bind_for_owner(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let taken = bind_for_owner(&path).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody's file").unwrap();
        assert_eq!(bind_for_owner(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
