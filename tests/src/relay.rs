//! A relay between two programs, for TCP and UDP, that can break the network.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::client::TestClient;
use crate::server::TestServer;

/// The condition of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkCondition {
    /// Everything passes.
    Fine,
    /// Nothing passes, without an error.
    BlackHole,
    /// Connections break, and new ones are closed at once.
    Broken,
}

/// The treatment of datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagrams {
    /// All pass.
    Pass,
    /// Each is duplicated.
    Twice,
    /// None passes.
    Blocked,
    /// 30 % are lost, 10 % doubled and 20 % overtaken by the next, by this seed.
    Rough(u64),
}

/// The cuts to come.
#[derive(Default)]
struct Cuts {
    /// The bytes between two cuts.
    bytes: u64,
    /// The carried bytes at the next one.
    next: u64,
    left: u32,
    /// The condition after the last one.
    then: Option<LinkCondition>,
}

/// The delay of a datagram that the next one may overtake.
const HELD: Duration = Duration::from_millis(50);

/// A relay that listens at one address and forwards to another.
pub struct Relay {
    /// The address to connect to.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    /// The source address of outgoing connections, which the other side sees.
    from: IpAddr,
    weather: Mutex<LinkCondition>,
    changed: Condvar,
    streams: Mutex<Vec<TcpStream>>,
    datagrams: Mutex<Datagrams>,
    /// The bytes that TCP connections have carried from the far side to the near one.
    carried: AtomicU64,
    cuts: Mutex<Cuts>,
    /// The number of lanes so far. It seeds each direction of each client.
    lanes: AtomicU64,
    /// The UDP datagrams received, in order.
    captured: Mutex<Vec<Vec<u8>>>,
}

/// The maximum number of captured datagrams.
const MAX_CAPTURED: usize = 10_000;

impl Relay {
    /// Forwards traffic from `at` (port 0: any) to `to`, with the source address `from`.
    pub fn start(at: SocketAddr, to: SocketAddr, from: IpAddr) -> Relay {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        let shared = Arc::new(Shared {
            to,
            from,
            weather: Mutex::new(LinkCondition::Fine),
            changed: Condvar::new(),
            streams: Mutex::new(Vec::new()),
            datagrams: Mutex::new(Datagrams::Pass),
            carried: AtomicU64::new(0),
            cuts: Mutex::default(),
            lanes: AtomicU64::new(0),
            captured: Mutex::default(),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepting.clone().pass_on(stream);
            }
        });
        let passing = shared.clone();
        thread::spawn(move || passing.pass_datagrams(&udp));
        Relay { address, shared }
    }

    /// Starts a relay for a server, at another address with the same port, for TCP and UDP.
    pub fn before(server: &TestServer, near: &str, seen_as: &str) -> Relay {
        let at = SocketAddr::new(near.parse().unwrap(), server.address.port());
        Relay::start(at, server.address, seen_as.parse().unwrap())
    }

    /// Starts a client that connects through the relay, signs it up and logs it in.
    pub fn join(&self, server: &TestServer, name: &str) -> TestClient {
        let location = format!("{}#{}", self.address, server.fingerprint);
        let mut client = TestClient::start_at(&location, name, &[]);
        client.sign_up_and_log_in();
        client
    }

    /// Sets the condition of the link.
    pub fn weather(&self, weather: LinkCondition) {
        *self.shared.weather.lock().unwrap() = weather;
        self.shared.changed.notify_all();
        if weather == LinkCondition::Broken {
            for stream in self.shared.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Cuts all TCP connections each time that they have carried so many further bytes from the far side, so many times.
    /// After the last cut, new connections have this condition.
    pub fn cut_every(&self, bytes: u64, times: u32, then: LinkCondition) {
        let next = self.carried() + bytes;
        *self.shared.cuts.lock().unwrap() = Cuts { bytes, next, left: times, then: Some(then) };
    }

    /// Returns the number of cuts that are still to come.
    pub fn cuts_left(&self) -> u32 {
        self.shared.cuts.lock().unwrap().left
    }

    /// Returns the bytes that TCP connections have carried from the far side to the near one.
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }

    /// Sets the treatment of datagrams.
    pub fn datagrams(&self, datagrams: Datagrams) {
        *self.shared.datagrams.lock().unwrap() = datagrams;
    }

    /// Returns the datagrams received so far, as an observer on the path sees them.
    pub fn captured(&self) -> Vec<Vec<u8>> {
        self.shared.captured.lock().unwrap().clone()
    }
}

impl Shared {
    fn pass_on(self: Arc<Self>, near: TcpStream) {
        if *self.weather.lock().unwrap() == LinkCondition::Broken {
            return;
        }
        let Ok(far) = connect_from(self.from, self.to) else {
            return;
        };
        for stream in [&near, &far] {
            stream.set_nodelay(true).unwrap();
            self.streams.lock().unwrap().push(stream.try_clone().unwrap());
        }
        let there = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let back = (far, near);
        for ((from, to), is_back) in [(there, false), (back, true)] {
            let shared = self.clone();
            thread::spawn(move || shared.pump(from, to, is_back));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, is_back: bool) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count) = from.read(&mut bytes) {
            let weather = self.weather.lock().unwrap();
            let weather = self
                .changed
                .wait_while(weather, |weather| *weather == LinkCondition::BlackHole)
                .unwrap();
            if count == 0
                || *weather == LinkCondition::Broken
                || to.write_all(&bytes[..count]).is_err()
            {
                break;
            }
            drop(weather);
            if is_back {
                let count = count as u64;
                self.note_carried(self.carried.fetch_add(count, Ordering::Relaxed) + count);
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    /// Cuts all connections if they have carried enough.
    fn note_carried(&self, carried: u64) {
        let mut cuts = self.cuts.lock().unwrap();
        if cuts.left == 0 || carried < cuts.next {
            return;
        }
        cuts.left -= 1;
        cuts.next = carried + cuts.bytes;
        if let Some(then) = cuts.then.filter(|_| cuts.left == 0) {
            *self.weather.lock().unwrap() = then;
        }
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Forwards datagrams. Each sender gets its own socket to the other side.
    fn pass_datagrams(self: Arc<Self>, near: &UdpSocket) {
        let mut far_sides: HashMap<SocketAddr, (UdpSocket, Lane)> = HashMap::new();
        let mut bytes = [0; 2_048];
        near.set_read_timeout(Some(HELD)).unwrap();
        loop {
            let Ok((count, from)) = near.recv_from(&mut bytes) else {
                for (far, lane) in far_sides.values_mut() {
                    lane.let_go(|bytes| drop(far.send(bytes)));
                }
                continue;
            };
            self.capture(&bytes[..count]);
            let (far, lane) = far_sides.entry(from).or_insert_with(|| {
                let far = UdpSocket::bind((self.from, 0)).unwrap();
                far.connect(self.to).unwrap();
                self.pass_back(far.try_clone().unwrap(), near.try_clone().unwrap(), from);
                (far, self.lane())
            });
            lane.pass(self.fates(), &bytes[..count], |bytes| drop(far.send(bytes)));
        }
    }

    fn capture(&self, datagram: &[u8]) {
        let mut captured = self.captured.lock().unwrap();
        if captured.len() < MAX_CAPTURED {
            captured.push(datagram.to_vec());
        }
    }

    fn pass_back(self: &Arc<Self>, far: UdpSocket, near: UdpSocket, to: SocketAddr) {
        let shared = self.clone();
        let mut lane = self.lane();
        far.set_read_timeout(Some(HELD)).unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 2_048];
            let send = |bytes: &[u8]| drop(near.send_to(bytes, to));
            loop {
                match far.recv(&mut bytes) {
                    Ok(count) => lane.pass(shared.fates(), &bytes[..count], send),
                    // Nobody listens there at the moment.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    Err(_) => lane.let_go(send),
                }
            }
        });
    }

    fn lane(&self) -> Lane {
        let number = self.lanes.fetch_add(1, Ordering::Relaxed);
        Lane { number, random: None, held: None }
    }

    fn fates(&self) -> Datagrams {
        *self.datagrams.lock().unwrap()
    }
}

/// One direction of one client's datagrams.
struct Lane {
    number: u64,
    random: Option<fastrand::Rng>,
    /// The datagram that the next one will overtake.
    held: Option<Vec<u8>>,
}

impl Lane {
    fn pass(&mut self, datagrams: Datagrams, bytes: &[u8], send: impl Fn(&[u8])) {
        let copies = match datagrams {
            Datagrams::Pass => 1,
            Datagrams::Twice => 2,
            Datagrams::Blocked => 0,
            Datagrams::Rough(seed) => {
                let random =
                    self.random.get_or_insert_with(|| fastrand::Rng::with_seed(seed ^ self.number));
                let (fate, is_overtaken) = (random.u8(..100), random.u8(..100) < 20);
                if fate >= 30 && is_overtaken && self.held.is_none() {
                    self.held = Some(bytes.to_vec());
                    return;
                }
                match fate {
                    0..30 => 0,
                    30..40 => 2,
                    _ => 1,
                }
            }
        };
        for _ in 0..copies {
            send(bytes);
        }
        self.let_go(send);
    }

    fn let_go(&mut self, send: impl Fn(&[u8])) {
        if let Some(held) = self.held.take() {
            send(&held);
        }
    }
}

fn connect_from(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}
