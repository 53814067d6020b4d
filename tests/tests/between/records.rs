//! Passes TLS records on, and does something to one of them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A record that nothing follows within this time can't be dropped or swapped so that it shows: to
/// whoever waits it is only late.
const FOLLOWS: Duration = Duration::from_millis(400);

/// The content type of a `change_cipher_spec`, which TLS 1.3 throws away unread (RFC 8446,
/// appendix D.4).
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;

/// A record begins with its type, two bytes of version and two of length.
const HEADER: usize = 5;

/// Which way a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From who dialled.
    There,
    /// To who dialled.
    Back,
}

/// Both.
pub(crate) const WAYS: [Way; 2] = [Way::There, Way::Back];

/// Everything that can be done to a record, with bits flipped in so many places.
pub(crate) fn changes(flips: u32) -> Vec<Change> {
    let flips = (0..flips).map(|n| Change::Flip(f64::from(n) / f64::from(flips - 1)));
    let others = [Change::Drop, Change::Repeat, Change::Swap, Change::CutAfter, Change::CutWithin];
    others.into_iter().chain(flips).collect()
}

/// What is done to a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// It never arrives; those after it do.
    Drop,
    /// It arrives twice.
    Repeat,
    /// The next one overtakes it.
    Swap,
    /// A bit of it is another, at this share of its bytes from the type to the last.
    Flip(f64),
    /// It arrives, and then the connection ends without TLS's farewell.
    CutAfter,
    /// The first half of it arrives, and then the connection ends.
    CutWithin,
}

/// Which record of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Whichever comes next.
    Next,
    /// So many go before it, on a connection that begins later.
    Number(usize),
}

/// A plan for one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) way: Way,
    pub(crate) which: Which,
    pub(crate) change: Change,
}

/// Listens at one address and passes on to another.
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
    /// Passes on what comes to `at` as if from `from`.
    pub(crate) fn start(at: SocketAddr, to: SocketAddr, from: IpAddr) -> Between {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { to, from, state: Mutex::default() };
        let shared = Arc::new(shared);
        let accepting = shared.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Who is not there can't be passed on to; the dialler sees that.
                let _ = accepting.clone().pass_on(near);
            }
        });
        Between { address, shared }
    }

    /// From now on lies in wait for a record.
    pub(crate) fn plan(&self, plan: Plan) {
        self.shared.state.lock().unwrap().begin(Some(plan));
    }

    /// The type of the record to which it was done; `None` if none came that fits the plan, which
    /// is dropped.
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
                // A connection that breaks is broken on both sides; one that ends, as it ended.
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
            // Before anything comes of it, so that who sees that also sees this.
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
                        // It was given up while the record was held back.
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

    /// The record after one that is held back. If none comes the plan is for another.
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

    /// What is to be done to this record, once.
    fn take(&self, way: Way, number: usize) -> Option<(Change, u64)> {
        let mut state = self.state.lock().unwrap();
        let fits = |which| which == Which::Next || which == Which::Number(number);
        let taken = state.plan.take_if(|plan| plan.way == way && fits(plan.which));
        taken.map(|plan| (plan.change, state.round))
    }
}

/// What is planned, and what came of it.
#[derive(Default)]
struct State {
    /// Counts the plans, those to do nothing among them: who still holds a record back for an earlier
    /// one lets it go.
    round: u64,
    plan: Option<Plan>,
    /// The content type of the record to which it was done.
    done: Option<u8>,
}

impl State {
    /// Begins anew. What was done before.
    fn begin(&mut self, plan: Option<Plan>) -> Option<u8> {
        self.round += 1;
        self.plan = plan;
        self.done.take()
    }

    /// Whether it still is to be done; if so, it counts as done.
    fn note(&mut self, round: u64, kind: u8) -> bool {
        let is_current = self.round == round;
        if is_current {
            self.done = Some(kind);
        }
        is_current
    }
}

/// Somebody may come to listen at the port that the connection is given; so that they can, it may
/// be given one that an earlier connection to the same place still has, and is given another then.
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

/// Flips a bit. Not in the second byte of the version, which whoever reads must ignore (RFC 8446,
/// section 5.1), nor in the length: whoever waits for bytes that never come is only kept waiting.
fn flip(record: &mut [u8], share: f64) {
    let places = record.len() - HEADER + 2;
    let place = ((places - 1) as f64 * share) as usize;
    let at = if place < 2 { place } else { place + HEADER - 2 };
    record[at] ^= 0x10;
}

/// `None` at the end.
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
