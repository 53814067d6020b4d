//! The state of the server for its monitoring, over HTTP on this machine.
//!
//! * `/livez` – whether the server's task runs
//! * `/readyz` – whether the server can be used: its port and its database. It also tells of a silent bell, without which
//!   everything works
//! * `/metrics` – counters and gauges, in the text format of Prometheus (see [`text`])
//!
//! Everybody on this machine may ask at a port; a socket in the file system is for its owner. One question to the hub is
//! under way at a time, and its answer is used for a second. Few connections are served at a time, and one that says
//! nothing ends soon.

mod http;
mod socket;
mod text;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_executor::Task;
use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, FutureExt as _};
use smol::lock::Mutex;

use crate::hub::Metrics;
use crate::net::Event;
use crate::runtime::Spawner;
use crate::store::service::Histogram;
use http::{Request, Response};
use socket::SocketFile;

/// The most connections that are served at a time. The oldest makes room for a new one.
const MAX_CONNECTIONS: usize = 32;

/// The age up to which a report is used again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The longest wait for the hub, which itself waits less for the database.
const PATIENCE: Duration = Duration::from_secs(3);

/// The time for the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(2);

/// The time for a whole request and its response.
const EXCHANGE_PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes behind a request that are read and dropped. If the server closed with bytes unread, the client might
/// not get the response.
const MAX_DROPPED_BYTES: u64 = 64 * 1_024;

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

/// The state of all parts of the server.
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
    /// The port, if it is one.
    pub(crate) port: Option<SocketAddr>,
    _socket: Option<SocketFile>,
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
                let (listener, file) = SocketFile::bind(path)?;
                (Listener::Socket(Async::new_nonblocking(listener)?), Some(file), None)
            }
        };
        let source = Arc::new(Source { events, life: Mutex::default(), reports: Mutex::default() });
        let task = serve(listener, source, spawner.clone());
        Ok(Monitoring { port, _socket: socket, _task: spawner.spawn(task) })
    }
}

enum Listener {
    Port(Async<TcpListener>),
    Socket(Async<UnixListener>),
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Says that nothing more is sent.
    fn end_sending(&self) -> io::Result<()>;
}

impl Stream for Async<TcpStream> {
    fn end_sending(&self) -> io::Result<()> {
        self.get_ref().shutdown(Shutdown::Write)
    }
}

impl Stream for Async<UnixStream> {
    fn end_sending(&self) -> io::Result<()> {
        self.get_ref().shutdown(Shutdown::Write)
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Listener::Port(listener) => Box::new(listener.accept().await?.0),
            Listener::Socket(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn serve(listener: Listener, source: Arc<Source>, spawner: Spawner) {
    // A task that is dropped ends.
    let mut served: VecDeque<Task<()>> = VecDeque::with_capacity(MAX_CONNECTIONS);
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
            // A reader that does not get its answer asks again.
            let _ = source.serve(stream).await;
        });
        served.retain(|task| !task.is_finished());
        if served.len() == MAX_CONNECTIONS {
            served.pop_front();
        }
        served.extend(task);
    }
}

/// The source of the answers.
struct Source {
    events: Sender<Event>,
    life: Mutex<Asked<()>>,
    reports: Mutex<Asked<Arc<Report>>>,
}

/// A question to the driver: the one that is under way, and the last outcome.
struct Asked<T> {
    pending: Option<Receiver<T>>,
    last: Option<(Instant, Option<T>)>,
}

impl<T> Default for Asked<T> {
    fn default() -> Asked<T> {
        Asked { pending: None, last: None }
    }
}

impl<T: Clone> Asked<T> {
    /// Returns the answer of the last second, or asks. Whoever asks may be dropped at any time: the next one goes on to
    /// wait for the same answer.
    async fn answer(
        &mut self,
        events: &Sender<Event>,
        event: impl FnOnce(Sender<T>) -> Event,
    ) -> Option<T> {
        if let Some((when, last)) = &self.last
            && when.elapsed() < MAX_AGE
        {
            return last.clone();
        }
        if self.pending.is_none() {
            let (answer, answers) = async_channel::bounded(1);
            // A full queue is as good as no answer.
            if events.try_send(event(answer)).is_ok() {
                self.pending = Some(answers);
            }
        }
        let answered = async {
            let answer = self.pending.as_ref()?.recv().await.ok();
            Some(answer)
        };
        let late = async {
            Timer::after(PATIENCE).await;
            None
        };
        let ended = answered.or(late).await;
        if ended.is_some() {
            self.pending = None;
        }
        let outcome = ended.flatten();
        self.last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

impl Source {
    /// Reads a request, and answers it.
    async fn serve(&self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        let exchange = async {
            let head = http::read_request(&mut stream);
            let (response, is_head) = match within(HEAD_PATIENCE, head).await? {
                Ok(Request { path, is_head }) => (self.answer(&path).await, is_head),
                Err(refusal) => (refusal, false),
            };
            stream.write_all(&response.to_bytes(is_head)).await?;
            stream.end_sending()?;
            let rest = &mut (&mut stream).take(MAX_DROPPED_BYTES);
            futures_lite::io::copy(rest, &mut futures_lite::io::sink()).await.map(drop)
        };
        within(EXCHANGE_PATIENCE, exchange).await
    }

    async fn answer(&self, path: &str) -> Response {
        let silent = || Response::not_ready("the server does not answer\n".into());
        match path {
            "/livez" => match self.life.lock().await.answer(&self.events, Event::Alive).await {
                Some(()) => Response::ok("alive\n".into()),
                None => silent(),
            },
            "/readyz" => self.report().await.map_or_else(silent, |report| readiness(&report)),
            "/metrics" => {
                let text = self.report().await.map(|report| text::render(&report));
                text.map_or_else(silent, Response::ok)
            }
            _ => Response::not_found(),
        }
    }

    async fn report(&self) -> Option<Arc<Report>> {
        self.reports.lock().await.answer(&self.events, Event::Measure).await
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = async {
        Timer::after(time).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    work.or(late).await
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
}
