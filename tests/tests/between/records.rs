//! A relay that alters one TLS record.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The time within which a record must be followed by another. Without one, dropping or swapping it would
/// only look like a delay.
const FOLLOWS: Duration = Duration::from_millis(400);

/// The content type of a `change_cipher_spec`, which TLS 1.3 ignores (RFC 8446, appendix D.4).
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;

/// The length of a record's header: its type, two bytes of version and two of length.
const HEADER: usize = 5;

/// The direction of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the dialler.
    There,
    /// To the dialler.
    Back,
}

/// Both directions.
pub(crate) const WAYS: [Way; 2] = [Way::There, Way::Back];

/// Returns every kind of change, with this number of flipped bits.
pub(crate) fn changes(flips: u32) -> Vec<Change> {
    let flips = (0..flips).map(|n| Change::Flip(f64::from(n) / f64::from(flips - 1)));
    let others = [Change::Drop, Change::Repeat, Change::Swap, Change::CutAfter, Change::CutWithin];
    others.into_iter().chain(flips).collect()
}

/// A change to a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// It is dropped; later records arrive.
    Drop,
    /// It arrives twice.
    Repeat,
    /// It arrives after the next record.
    Swap,
    /// One bit is flipped, at this fraction of the record's length.
    Flip(f64),
    /// It arrives, and then the connection ends without TLS's close_notify.
    CutAfter,
    /// Its first half arrives, and then the connection ends.
    CutWithin,
}

/// The record to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The next record.
    Next,
    /// The record after this number of others, on a connection that starts later.
    Number(usize),
}

/// A planned change to one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) way: Way,
    pub(crate) which: Which,
    pub(crate) change: Change,
}

/// A relay that listens at one address and forwards to another.
pub(crate) struct Between {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    from: IpAddr,
    state: Mutex<State>,
}

impl Between {
    /// Forwards connections at `at` with the source address `from`.
    pub(crate) fn start(at: SocketAddr, to: SocketAddr, from: IpAddr) -> Between {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { to, from, state: Mutex::default() };
        let shared = Arc::new(shared);
        let accepting = shared.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // If nobody listens there, the dialler sees its connection close.
                let _ = accepting.clone().pass_on(near);
            }
        });
        Between { address, shared }
    }

    /// Plans a change to a record.
    pub(crate) fn plan(&self, plan: Plan) {
        self.shared.state.lock().unwrap().begin(Some(plan));
    }

    /// Returns the type of the changed record and drops the plan. `None` means that no record fitted it.
    pub(crate) fn done(&self) -> Option<u8> {
        self.shared.state.lock().unwrap().begin(None)
    }
}

impl Shared {
    fn pass_on(self: Arc<Self>, near: TcpStream) -> io::Result<()> {
        let far = connect_from(self.from, self.to)?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let ways = [(Way::There, near.try_clone()?, far.try_clone()?), (Way::Back, far, near)];
        for (way, from, to) in ways {
            let shared = self.clone();
            thread::spawn(move || {
                // An error closes both sides. An end of stream closes one direction, as a half-close.
                if shared.pump(way, &from, &to).is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                }
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        Ok(())
    }

    fn pump(&self, way: Way, from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut number = 0;
        while let Some(mut record) = read_record(from)? {
            let change = self.take(way, number);
            number += 1;
            let Some((change, round)) = change else {
                to.write_all(&record)?;
                continue;
            };
            // Recorded before the record is sent, so that a test that sees its effect also sees this.
            let kind = record[0];
            let is_done = || self.state.lock().unwrap().note(round, kind);
            match change {
                Change::Repeat => {
                    is_done();
                    to.write_all(&[&record[..], &record].concat())?;
                }
                Change::Flip(share) => {
                    is_done();
                    flip(&mut record, share);
                    to.write_all(&record)?;
                }
                Change::CutAfter | Change::CutWithin => {
                    is_done();
                    let whole = record.len();
                    let end = if change == Change::CutAfter { whole } else { whole / 2 };
                    return to.write_all(&record[..end]);
                }
                Change::Drop | Change::Swap => {
                    let Some(next) = self.next(from, (way, change), round)? else {
                        to.write_all(&record)?;
                        continue;
                    };
                    number += 1;
                    let (first, last) = match (is_done(), change) {
                        // The plan was dropped while the record was held back.
                        (false, _) => (record, Some(next)),
                        (true, Change::Swap) => (next, Some(record)),
                        (true, _) => (next, None),
                    };
                    to.write_all(&first)?;
                    to.write_all(&last.unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    /// Returns the record after a held-back one. If none follows, the plan applies to a later record.
    fn next(
        &self,
        from: &TcpStream,
        (way, change): (Way, Change),
        round: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        from.set_read_timeout(Some(FOLLOWS))?;
        let is_there = from.peek(&mut [0]);
        from.set_read_timeout(None)?;
        match is_there {
            Ok(1..) => read_record(from),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let mut state = self.state.lock().unwrap();
                if state.round == round {
                    state.plan = Some(Plan { way, which: Which::Next, change });
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the change for this record, if the plan is for it.
    fn take(&self, way: Way, number: usize) -> Option<(Change, u64)> {
        let mut state = self.state.lock().unwrap();
        let fits = |which| which == Which::Next || which == Which::Number(number);
        let taken = state.plan.take_if(|plan| plan.way == way && fits(plan.which));
        taken.map(|plan| (plan.change, state.round))
    }
}

/// The plan and its outcome.
#[derive(Default)]
struct State {
    /// The number of plans so far, including empty ones. A record held back for an earlier plan is sent
    /// unchanged.
    round: u64,
    plan: Option<Plan>,
    /// The content type of the changed record.
    done: Option<u8>,
}

impl State {
    /// Replaces the plan. Returns the content type of the record that the last one changed.
    fn begin(&mut self, plan: Option<Plan>) -> Option<u8> {
        self.round += 1;
        self.plan = plan;
        self.done.take()
    }

    /// Records the change unless the plan has been replaced. Returns true if it was recorded.
    fn note(&mut self, round: u64, kind: u8) -> bool {
        let is_current = self.round == round;
        if is_current {
            self.done = Some(kind);
        }
        is_current
    }
}

/// Connects from an address. Others may later listen at the chosen port, so the kernel may choose that of an
/// earlier connection to the same address; then it tries another.
fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    loop {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        match socket.connect(&to.into()) {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {}
            connected => return connected.map(|()| socket.into()),
        }
    }
}

/// Flips a bit. It spares the second byte of the version, which readers ignore (RFC 8446, section 5.1). It
/// spares the length, since a reader would only wait for more bytes.
fn flip(record: &mut [u8], share: f64) {
    let places = record.len() - HEADER + 2;
    let place = ((places - 1) as f64 * share) as usize;
    let at = if place < 2 { place } else { place + HEADER - 2 };
    record[at] ^= 0x10;
}

/// Reads a record; `None` at the end of the stream.
fn read_record(mut from: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut record = vec![0; HEADER];
    if from.read(&mut record[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut record[1..])?;
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(HEADER + length, 0);
    from.read_exact(&mut record[HEADER..])?;
    Ok(Some(record))
}
