//! A relay that alters every datagram.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::records::Way;

/// The treatment of a datagram. The treatments are used in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives unchanged.
    Passed,
    /// One bit is flipped.
    Flipped,
    /// The last byte is missing.
    Shortened,
    /// One byte is added.
    Lengthened,
    /// It arrives twice.
    Twice,
    /// An older datagram arrives in its place, and again after it.
    Older,
    /// It arrives after the next one.
    Late,
    /// Its counter is changed to an earlier or later one.
    Renumbered,
}

/// The treatments in order. Some datagrams pass, so that news of missing broadcasts gets through.
const FATES: [Fate; 14] = [
    Fate::Passed,
    Fate::Flipped,
    Fate::Flipped,
    Fate::Passed,
    Fate::Shortened,
    Fate::Lengthened,
    Fate::Passed,
    Fate::Twice,
    Fate::Older,
    Fate::Flipped,
    Fate::Late,
    Fate::Passed,
    Fate::Renumbered,
    Fate::Flipped,
];

/// The offset of the counter, after the session id. Both are unencrypted.
const COUNTER_AT: usize = 8;

/// A relay that tampers with one client's datagrams.
pub(crate) struct Tamperer {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    has_begun: AtomicBool,
    /// The client's last known address.
    client: Mutex<Option<SocketAddr>>,
    /// The number of altered datagrams in each direction.
    played: Mutex<[u64; 2]>,
}

/// The state of one direction.
struct Lane {
    way: Way,
    random: fastrand::Rng,
    turn: usize,
    older: Vec<Vec<u8>>,
    held: Option<Vec<u8>>,
    shared: Arc<Shared>,
}

impl Tamperer {
    /// Relays traffic between `at` and `to`, with the source address `from`. At first it changes nothing.
    pub(crate) fn start(at: SocketAddr, to: SocketAddr, from: IpAddr, seed: u64) -> Tamperer {
        let near = Arc::new(UdpSocket::bind(at).unwrap());
        let far = Arc::new(UdpSocket::bind((from, 0)).unwrap());
        far.connect(to).unwrap();
        let shared = Arc::new(Shared::default());
        let lane = |way| Lane {
            way,
            random: fastrand::Rng::with_seed(seed),
            turn: 0,
            older: Vec::new(),
            held: None,
            shared: shared.clone(),
        };
        let (mut there, mut back) = (lane(Way::There), lane(Way::Back));
        let (inside, outside, known) = (near.clone(), far.clone(), shared.clone());
        thread::spawn(move || {
            let mut bytes = [0; 2_048];
            while let Ok((count, from)) = inside.recv_from(&mut bytes) {
                *known.client.lock().unwrap() = Some(from);
                for datagram in there.handle(&bytes[..count]) {
                    let _ = outside.send(&datagram);
                }
            }
        });
        let known = shared.clone();
        thread::spawn(move || {
            let mut bytes = [0; 2_048];
            while let Ok(count) = far.recv(&mut bytes) {
                let to = *known.client.lock().unwrap();
                for datagram in back.handle(&bytes[..count]) {
                    let _ = near.send_to(&datagram, to.unwrap());
                }
            }
        });
        Tamperer { shared }
    }

    /// Starts to alter datagrams.
    pub(crate) fn begin(&self) {
        self.shared.has_begun.store(true, Ordering::SeqCst);
    }

    /// Returns the number of altered datagrams to the server and from it.
    pub(crate) fn played(&self) -> [u64; 2] {
        *self.shared.played.lock().unwrap()
    }
}

impl Lane {
    /// Returns the datagrams to send in place of this one.
    fn handle(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        if !self.shared.has_begun.load(Ordering::SeqCst) {
            return vec![datagram.to_vec()];
        }
        let fate = FATES[self.turn % FATES.len()];
        self.turn += 1;
        if fate != Fate::Passed {
            self.shared.played.lock().unwrap()[self.way as usize] += 1;
        }
        self.older.push(datagram.to_vec());
        let mut changed = datagram.to_vec();
        let last = changed.len() - 1;
        let mut arriving = match fate {
            Fate::Passed => vec![changed],
            Fate::Twice => vec![changed.clone(), changed],
            Fate::Older => {
                let older = self.older[self.random.usize(..self.older.len())].clone();
                vec![older.clone(), changed, older]
            }
            Fate::Late => {
                self.held = Some(changed);
                return Vec::new();
            }
            Fate::Flipped => {
                changed[self.random.usize(..=last)] ^= 1 << self.random.u8(..8);
                vec![changed]
            }
            Fate::Shortened => vec![changed[..last].to_vec()],
            Fate::Lengthened => vec![[&changed[..], b"x"].concat()],
            Fate::Renumbered => {
                let number = self.random.u8(..);
                let mut other = changed.clone();
                other[COUNTER_AT + 7] = number;
                changed[COUNTER_AT + 6] ^= number | 1;
                vec![other, changed]
            }
        };
        arriving.extend(self.held.take());
        arriving
    }
}
