//! Stands between two programs, for TCP and UDP, and breaks the network as it is told.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// What becomes of what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// All goes through.
    Fine,
    /// Nothing goes through, and nobody says so.
    BlackHole,
    /// Connections break, and new ones are cut at once.
    Broken,
}

/// What becomes of datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datagrams {
    Pass,
    Twice,
    Blocked,
}

/// A relay that listens at one address and passes on to another.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    /// Connections go out from here, so that the other side sees this address.
    from: IpAddr,
    weather: Mutex<Weather>,
    changed: Condvar,
    streams: Mutex<Vec<TcpStream>>,
    datagrams: Mutex<Datagrams>,
    /// What came to be passed on by UDP, in this order.
    captured: Mutex<Vec<Vec<u8>>>,
}

/// So many datagrams are kept for who wants to see them.
const MAX_CAPTURED: usize = 10_000;

impl Relay {
    /// Passes what comes to `at` (port 0: any) on to `to`, as if from `from`.
    pub(crate) fn start(at: SocketAddr, to: SocketAddr, from: IpAddr) -> Relay {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        let shared = Arc::new(Shared {
            to,
            from,
            weather: Mutex::new(Weather::Fine),
            changed: Condvar::new(),
            streams: Mutex::new(Vec::new()),
            datagrams: Mutex::new(Datagrams::Pass),
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

    /// From now on it is like this.
    pub(crate) fn weather(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap() = weather;
        self.shared.changed.notify_all();
        if weather == Weather::Broken {
            for stream in self.shared.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    pub(crate) fn datagrams(&self, datagrams: Datagrams) {
        *self.shared.datagrams.lock().unwrap() = datagrams;
    }

    /// The datagrams that came to be passed on so far, as somebody on the way sees them.
    pub(crate) fn captured(&self) -> Vec<Vec<u8>> {
        self.shared.captured.lock().unwrap().clone()
    }
}

impl Shared {
    fn pass_on(self: Arc<Self>, near: TcpStream) {
        if *self.weather.lock().unwrap() == Weather::Broken {
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
        for (from, to) in [there, (far, near)] {
            let shared = self.clone();
            thread::spawn(move || shared.pump(from, to));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count) = from.read(&mut bytes) {
            let weather = self.weather.lock().unwrap();
            let weather =
                self.changed.wait_while(weather, |weather| *weather == Weather::BlackHole).unwrap();
            if count == 0 || *weather == Weather::Broken || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    /// Each sender gets a socket of its own towards the other side.
    fn pass_datagrams(self: Arc<Self>, near: &UdpSocket) {
        let mut far_sides: Vec<(SocketAddr, UdpSocket)> = Vec::new();
        let mut bytes = [0; 2_048];
        while let Ok((count, from)) = near.recv_from(&mut bytes) {
            self.capture(&bytes[..count]);
            let known = far_sides.iter().position(|(sender, _)| *sender == from);
            let index = known.unwrap_or_else(|| {
                let far = UdpSocket::bind((self.from, 0)).unwrap();
                far.connect(self.to).unwrap();
                far.set_read_timeout(Some(Duration::from_secs(600))).unwrap();
                self.pass_back(far.try_clone().unwrap(), near.try_clone().unwrap(), from);
                far_sides.push((from, far));
                far_sides.len() - 1
            });
            for _ in 0..self.copies() {
                let _ = far_sides[index].1.send(&bytes[..count]);
            }
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
        thread::spawn(move || {
            let mut bytes = [0; 2_048];
            while let Ok(count) = far.recv(&mut bytes) {
                for _ in 0..shared.copies() {
                    let _ = near.send_to(&bytes[..count], to);
                }
            }
        });
    }

    fn copies(&self) -> usize {
        match *self.datagrams.lock().unwrap() {
            Datagrams::Pass => 1,
            Datagrams::Twice => 2,
            Datagrams::Blocked => 0,
        }
    }
}

fn connect_from(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}
