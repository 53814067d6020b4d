//! Thousands of connections that are silent or send a byte a second, and reconnect in waves when dropped. They
//! share the pre-login places, and users with a key still log in.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{is_full, quantile, short_or_full, tell};
use letschat_tests::pace::Pace;
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use letschat_tests::typist;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;
use rustls::ClientConnection;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::members::foreign_address;

/// The number of places before the login, as in the server.
const ANTECHAMBER_PLACES: usize = 256;

/// The descriptors beyond these places, for connections that are being opened or closed.
const MAX_MORE_DESCRIPTORS: usize = 64;

/// The number of source addresses. With fewer, the limit for each address would suffice.
const ADDRESSES: usize = 250;

/// The interval at which dropped connections are reopened, all at once. Without a pause the kernel's tables
/// would fill up before the server.
const WAVE_EVERY: Duration = Duration::from_secs(1);

/// The interval of logins.
const LOGIN_EVERY: Duration = Duration::from_millis(130);

/// One connection of this number is silent; the others send a byte a second.
const ONE_IS_MUTE_OF: usize = 2;

#[test]
fn thousands_who_say_nothing_do_not_keep_out_those_who_log_in() {
    let (connections, logins) = short_or_full((400, 20), (2_000, 300));
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let before = server.descriptors();
    let silent = Silent::start(server.address, connections);
    silent.wait_until_dropped(connections - ANTECHAMBER_PLACES);

    let (mut took, mut most) = (Vec::new(), 0);
    let mut pace = Pace::every(LOGIN_EVERY);
    for _ in 0..logins {
        pace.wait();
        alice.ok("leave", json!({}));
        let begin = Instant::now();
        alice.ok("login", json!({}));
        took.push(begin.elapsed());
        most = most.max(server.descriptors());
    }
    let dropped = silent.dropped();
    drop(silent);

    let held = most.saturating_sub(before);
    assert!(held <= ANTECHAMBER_PLACES + MAX_MORE_DESCRIPTORS, "{held} connections were kept");
    let (half, slow) = (quantile(&took, 0.5), quantile(&took, 0.99));
    let bar = if is_full() { Duration::from_secs(1) } else { Duration::from_secs(5) };
    assert!(slow <= bar, "one of a hundred logins took {slow:?}: {took:?}");
    tell(
        "silent connections",
        &format!(
            "{connections}, half of them a byte a second, opened again every second; {logins} logins by key"
        ),
        &format!(
            "{held} kept at most, {dropped} dropped and opened again; \
             logins: median {half:.0?}, p99 {slow:.0?}"
        ),
    );
}

/// Connections that a thread keeps open.
struct Silent {
    dropped: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Silent {
    fn start(server: SocketAddr, connections: usize) -> Silent {
        let (dropped, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let crowd = Crowd::new(server, connections, dropped.clone());
        let ends = over.clone();
        let thread = Some(thread::spawn(move || crowd.run(&ends)));
        Silent { dropped, over, thread }
    }

    /// Returns the number of connections that the server has dropped.
    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }

    fn wait_until_dropped(&self, times: usize) {
        let until = Instant::now() + PATIENCE;
        while self.dropped() < times {
            assert!(Instant::now() < until, "only {} were dropped", self.dropped());
            thread::yield_now();
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Crowd {
    server: SocketAddr,
    epoll: OwnedFd,
    connections: Vec<Option<Slow>>,
    /// The start of a TLS handshake, sent byte by byte.
    hello: Vec<u8>,
    dropped: Arc<AtomicUsize>,
}

struct Slow {
    tcp: TcpStream,
    said: usize,
}

impl Crowd {
    fn new(server: SocketAddr, connections: usize, dropped: Arc<AtomicUsize>) -> Crowd {
        let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let connections = std::iter::repeat_with(|| None).take(connections).collect();
        Crowd { server, epoll, connections, hello: client_hello(), dropped }
    }

    fn run(mut self, over: &AtomicBool) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(self.connections.len());
        let mut next_wave = Instant::now();
        while !over.load(Ordering::Relaxed) {
            if next_wave <= Instant::now() {
                next_wave += WAVE_EVERY;
                self.open_missing();
                self.say_a_byte();
            }
            events.clear();
            let glance = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&glance));
            for event in &events {
                self.look_at(event.data.u64() as usize);
            }
        }
    }

    fn open_missing(&mut self) {
        for number in 0..self.connections.len() {
            if self.connections[number].is_none() {
                self.connections[number] = self.open(number).ok();
            }
        }
    }

    fn open(&self, number: usize) -> io::Result<Slow> {
        let source: Ipv4Addr = foreign_address(number % ADDRESSES);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // The connection closes with a reset, which leaves nothing behind in the kernel.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        match socket.connect(&self.server.into()) {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => {
                return Err(error);
            }
            _ => {}
        }
        epoll::add(&self.epoll, &socket, EventData::new_u64(number as u64), EventFlags::IN)?;
        Ok(Slow { tcp: socket.into(), said: 0 })
    }

    /// Handles a connection that the server has closed or has sent data on.
    fn look_at(&mut self, number: usize) {
        let Some(slow) = &mut self.connections[number] else { return };
        match slow.tcp.read(&mut [0; 256]) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => {
                self.connections[number] = None;
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn say_a_byte(&mut self) {
        for slow in self.connections.iter_mut().skip(1).step_by(ONE_IS_MUTE_OF).flatten() {
            if let Some(byte) = self.hello.get(slow.said..=slow.said)
                && slow.tcp.write(byte).is_ok()
            {
                slow.said += 1;
            }
        }
    }
}

fn client_hello() -> Vec<u8> {
    let mut hello = Vec::new();
    let mut tls: ClientConnection = typist::tls();
    tls.write_tls(&mut hello).unwrap();
    hello
}
