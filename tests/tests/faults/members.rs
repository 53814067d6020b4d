//! Accounts that exist before the server starts, and lightweight clients for them. Thousands of sign-ups
//! would only measure password hashing.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use letschat_protocol::datagram::{Opener, Sealer, ToClient, ToServer};
use letschat_protocol::dialogue::SessionId;
use letschat_protocol::identity::{
    EXPORTER_CONTEXT_TO_CLIENT, EXPORTER_CONTEXT_TO_SERVER, Identity,
};
use letschat_protocol::limits::MAX_DATAGRAM_BYTES;
use letschat_server::settings::StoreLocation;
use letschat_server::store::sqlite::Sqlite;
use letschat_server::store::{Store as _, password};
use letschat_tests::client::PASSWORD;
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

/// The creation time of the accounts, in milliseconds. Any time will do.
const MADE_MS: u64 = 1_700_000_000_000;

/// A folder in memory. These tests neither simulate power cuts nor measure the disk.
const QUICK_DISK: &str = "/dev/shm";

/// The interval at which a receiving thread checks for its end.
const GLANCE: Duration = Duration::from_millis(100);

/// Room for the datagrams that arrive while a listener's thread is not scheduled.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Starts a server with `count` members, numbered from 0.
pub(crate) fn server_with_members(count: usize, flags: &[&str]) -> TestServer {
    let data = tempfile::tempdir_in(QUICK_DISK).or_else(|_| tempfile::tempdir()).unwrap();
    make_accounts(&data, count);
    TestServer::start_in(data, flags)
}

fn make_accounts(data: &TempDir, count: usize) {
    let StoreLocation::Sqlite(path) = StoreLocation::in_folder(data.path()) else {
        panic!("the default store is no file");
    };
    let mut store = Sqlite::open(&path).unwrap();
    let phc = password::hash(PASSWORD).unwrap();
    for number in 0..count {
        let username = name(number).parse().unwrap();
        store.create_account(&username, &phc, MADE_MS).unwrap();
        store.add_key(&username, &identity(number).public_key(), MADE_MS).unwrap();
    }
}

/// Returns the member's username.
pub(crate) fn name(number: usize) -> String {
    format!("member{number:05}")
}

/// Returns the member's key.
fn identity(number: usize) -> Identity {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Identity::from_seed(&seed)
}

/// Returns the n-th loopback address for a crowd. Honest users have other addresses.
pub(crate) fn foreign_address(number: usize) -> Ipv4Addr {
    const PER_NETWORK: usize = 250;
    Ipv4Addr::new(127, 0, (100 + number / PER_NETWORK) as u8, (1 + number % PER_NETWORK) as u8)
}

/// Connects over TCP from this address.
pub(crate) fn connect_from(source: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.into()
}

/// A member logged in by key, without UDP.
pub(crate) struct Member {
    pub(crate) typist: Typist,
    session: SessionId,
}

impl Member {
    pub(crate) fn log_in(server: &TestServer, number: usize, tcp: TcpStream) -> Member {
        let mut typist = Typist::over(tcp).says_hello();
        let welcome = typist.logs_in_by_key(server, &name(number), &identity(number));
        let session = u64::from_str_radix(welcome.split(' ').nth(2).unwrap(), 16).unwrap();
        Member { typist, session: SessionId(session) }
    }

    /// Registers for datagrams and starts to receive them.
    pub(crate) fn listen(self, server: SocketAddr) -> Listener {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).unwrap();
        socket.connect(&server.into()).unwrap();
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(GLANCE)).unwrap();
        let sealer = Sealer::new(self.session, &self.typist.exported(EXPORTER_CONTEXT_TO_SERVER));
        let opener = Opener::new(&self.typist.exported(EXPORTER_CONTEXT_TO_CLIENT));
        let heard = Arc::new(Heard::default());
        let receiving = Receiving { socket, sealer, opener, heard: heard.clone() };
        let thread = Some(thread::spawn(move || receiving.run()));
        Listener { heard, thread, _typist: self.typist }
    }
}

/// The number at the start of a broadcast's text, and its arrival time.
pub(crate) type Arrival = (usize, Instant);

/// A member that records broadcasts by UDP.
pub(crate) struct Listener {
    heard: Arc<Heard>,
    thread: Option<JoinHandle<()>>,
    /// Keeps the member logged in while it lives.
    _typist: Typist,
}

/// The state that a listener shares with its thread.
#[derive(Default)]
struct Heard {
    state: Mutex<State>,
    more: Condvar,
    over: AtomicBool,
}

#[derive(Default)]
struct State {
    /// True once the server knows that datagrams reach it.
    is_reached: bool,
    arrivals: Vec<Arrival>,
}

impl Listener {
    /// Waits until the server sends to it over UDP.
    pub(crate) fn wait_until_reached(&self) {
        drop(self.wait("no datagram reaches it", |state| state.is_reached));
    }

    /// Waits for this number of broadcasts.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Arrival> {
        self.wait("a broadcast is missing", |state| state.arrivals.len() >= count).arrivals.clone()
    }

    fn wait(&self, otherwise: &str, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = self.heard.state.lock().unwrap();
        let waited = self.heard.more.wait_timeout_while(state, PATIENCE, |state| !holds(state));
        let (state, result) = waited.unwrap();
        assert!(!result.timed_out(), "{otherwise}; {} came", state.arrivals.len());
        state
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.heard.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Receiving {
    socket: UdpSocket,
    sealer: Sealer,
    opener: Opener,
    heard: Arc<Heard>,
}

impl Receiving {
    fn run(mut self) {
        self.send(&ToServer::KeepAlive);
        let mut bytes = [0; MAX_DATAGRAM_BYTES];
        while !self.heard.over.load(Ordering::Relaxed) {
            match self.socket.recv(&mut bytes) {
                Ok(length) => self.take(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The server has ended.
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, datagram: &[u8]) {
        match self.opener.open(datagram) {
            Some(ToClient::Challenge(token)) => self.send(&ToServer::Answer(token)),
            Some(ToClient::Head(_)) => self.note(|state| state.is_reached = true),
            Some(ToClient::Broadcast { entry, .. }) => {
                let now = Instant::now();
                let number = entry.text.split(' ').next().and_then(|number| number.parse().ok());
                self.note(|state| state.arrivals.extend(number.map(|number| (number, now))));
            }
            None => {}
        }
    }

    fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.heard.state.lock().unwrap());
        self.heard.more.notify_all();
    }

    fn send(&mut self, message: &ToServer) {
        let _ = self.socket.send(&self.sealer.seal(message));
    }
}

/// Returns the process's resident memory in KiB, and its peak since [`forget_peak`].
pub(crate) fn resident_kib(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

pub(crate) fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}
