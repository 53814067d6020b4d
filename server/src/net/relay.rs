//! Relays: what comes over one connection goes out over another.
//!
//! The two clients speak TLS with each other inside, so that the server passes on records that it can't read. It passes
//! on nothing else: a relay is no way to reach other services through the server. Each direction has a pipe of
//! bounded size, and both share their limits.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::io::Cursor;
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, FutureExt as _};

use crate::hub::LinkEnd;

/// The bytes that wait between two connections in one direction.
const PIPE_BYTES: usize = 64 * 1024;

/// The size of a read.
const READ_BYTES: usize = 16 * 1024;

/// How far the limit of the rate may be exceeded for a moment.
const BURST: Duration = Duration::from_millis(100);

/// The bytes of a TLS record before its content: type, version and length (RFC 8446, section 5.1).
const RECORD_HEADER_BYTES: usize = 5;

/// The longest content of a record (RFC 8446, section 5.2).
const MAX_RECORD_BYTES: usize = (1 << 14) + 256;

/// The limits of the relays' rates, in bytes per second.
#[derive(Debug, Clone, Copy)]
pub struct RelayRates {
    /// Of one relay, in both directions together.
    pub each: u64,
    /// Of all relays together.
    pub all: u64,
}

impl Default for RelayRates {
    fn default() -> RelayRates {
        RelayRates { each: 4_000_000, all: 32_000_000 }
    }
}

/// The timeouts of a relay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayTimeouts {
    /// The time without a byte in either direction. Clients in a chat send PING earlier.
    pub(crate) idle: Duration,
    /// The time in which a client takes what is sent to it.
    pub(crate) stall: Duration,
}

impl Default for RelayTimeouts {
    fn default() -> RelayTimeouts {
        RelayTimeouts { idle: Duration::from_secs(90), stall: Duration::from_secs(30) }
    }
}

/// A limit of bytes per second.
struct Rate {
    per_second: u64,
    /// The time at which everything that has passed would have passed at this rate.
    passed_at: Mutex<Instant>,
}

impl Rate {
    fn new(per_second: u64) -> Rate {
        Rate { per_second, passed_at: Mutex::new(Instant::now()) }
    }

    /// Counts so many bytes. Returns the time to wait before the next.
    fn pass(&self, bytes: usize) -> Duration {
        let now = Instant::now();
        let time = Duration::from_secs_f64(bytes as f64 / self.per_second as f64);
        // No panic happens under this lock.
        let mut passed_at = self.passed_at.lock().unwrap_or_else(PoisonError::into_inner);
        *passed_at = (*passed_at).max(now) + time;
        passed_at.saturating_duration_since(now).saturating_sub(BURST)
    }
}

/// The limits of all relays.
pub(crate) struct Relays {
    each: u64,
    all: Arc<Rate>,
    timeouts: RelayTimeouts,
    /// The bytes that all relays have passed on.
    bytes: Arc<AtomicU64>,
}

/// The limits and the activity of a relay, shared by its two ends.
struct Shared {
    begun: Instant,
    /// The time of the last byte, in milliseconds since the begin.
    active_ms: AtomicU64,
    rate: Rate,
    all: Arc<Rate>,
    timeouts: RelayTimeouts,
    bytes: Arc<AtomicU64>,
}

/// One connection's end of a relay.
pub(crate) struct RelayEnd {
    incoming: piper::Reader,
    outgoing: piper::Writer,
    shared: Arc<Shared>,
}

impl Relays {
    pub(crate) fn new(rates: RelayRates, timeouts: RelayTimeouts) -> Relays {
        let (all, bytes) = (Arc::new(Rate::new(rates.all)), Arc::default());
        Relays { each: rates.each, all, timeouts, bytes }
    }

    /// Returns the number of bytes that have been passed on.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the two ends of a new relay.
    pub(crate) fn begin(&self) -> [RelayEnd; 2] {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            active_ms: AtomicU64::new(0),
            rate: Rate::new(self.each),
            all: self.all.clone(),
            timeouts: self.timeouts,
            bytes: self.bytes.clone(),
        });
        let (one, to_one) = piper::pipe(PIPE_BYTES);
        let (other, to_other) = piper::pipe(PIPE_BYTES);
        [
            RelayEnd { incoming: one, outgoing: to_other, shared: shared.clone() },
            RelayEnd { incoming: other, outgoing: to_one, shared },
        ]
    }
}

impl RelayEnd {
    /// Passes on what comes over this connection and what comes for it, until either side ends or is idle. The bytes
    /// `ahead` have come already.
    pub(crate) async fn carry(
        self,
        ahead: Vec<u8>,
        stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> LinkEnd {
        let RelayEnd { incoming, outgoing, shared } = self;
        let (reader, writer) = futures_lite::io::split(stream);
        let reader = Cursor::new(ahead).chain(reader);
        let from_client = async { end_of(shared.receive(reader, outgoing).await) };
        let to_client = async { end_of(shared.send(incoming, writer).await) };
        shared.idle().or(to_client).or(from_client).await
    }
}

fn end_of(result: io::Result<()>) -> LinkEnd {
    match result {
        Ok(()) => LinkEnd::Ended,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => LinkEnd::NotReading,
        Err(_) => LinkEnd::Failed,
    }
}

impl Shared {
    /// Passes on the records of a client at the allowed rate.
    async fn receive(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut pipe: piper::Writer,
    ) -> io::Result<()> {
        let (mut buffer, mut records) = (vec![0; READ_BYTES], Records::default());
        loop {
            let length = client.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            if !records.are_continued_by(&buffer[..length]) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.active_ms.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
            self.bytes.fetch_add(length as u64, Ordering::Relaxed);
            if pipe.write_all(&buffer[..length]).await.is_err() {
                // The other side has ended. What it has sent before still goes to this client.
                return pending().await;
            }
            let wait = self.rate.pass(length).max(self.all.pass(length));
            if !wait.is_zero() {
                Timer::after(wait).await;
            }
        }
    }

    /// Sends what comes for a client.
    async fn send(
        &self,
        mut pipe: piper::Reader,
        mut client: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let length = pipe.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let sent = async {
                client.write_all(&buffer[..length]).await?;
                client.flush().await
            };
            let stalled = async {
                Timer::after(self.timeouts.stall).await;
                Err(io::ErrorKind::TimedOut.into())
            };
            sent.or(stalled).await?;
        }
    }

    /// Returns when no byte has come from either side for long.
    async fn idle(&self) -> LinkEnd {
        loop {
            let active = Duration::from_millis(self.active_ms.load(Ordering::Relaxed));
            match (active + self.timeouts.idle).checked_sub(self.begun.elapsed()) {
                Some(left) if !left.is_zero() => drop(Timer::after(left).await),
                _ => return LinkEnd::Ended,
            }
        }
    }
}

/// The position in a stream of TLS records.
#[derive(Default)]
struct Records {
    header: [u8; RECORD_HEADER_BYTES],
    /// The bytes of the header that have come.
    known: usize,
    /// The bytes of the content that have not come.
    left: usize,
}

impl Records {
    /// Returns true if the stream with these further bytes has the form of TLS records.
    fn are_continued_by(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                (self.left, bytes) = (self.left - skipped, &bytes[skipped..]);
                continue;
            }
            self.header[self.known] = *first;
            (self.known, bytes) = (self.known + 1, rest);
            if self.known == RECORD_HEADER_BYTES {
                let [kind, major, _, high, low] = self.header;
                (self.known, self.left) = (0, usize::from(u16::from_be_bytes([high, low])));
                if !(20..=23).contains(&kind) || major != 3 || self.left > MAX_RECORD_BYTES {
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: usize) -> Vec<u8> {
        let mut record = vec![kind, 3, 3];
        record.extend((length as u16).to_be_bytes());
        record.resize(RECORD_HEADER_BYTES + length, 9);
        record
    }

    #[test]
    fn records_are_passed_on_however_they_are_cut() {
        let stream = [record(22, 300), record(20, 1), record(23, MAX_RECORD_BYTES)].concat();
        for size in [1, 2, 5, 7, 1_000, stream.len()] {
            let mut records = Records::default();
            assert!(stream.chunks(size).all(|piece| records.are_continued_by(piece)), "{size}");
        }
    }

    #[test]
    fn nothing_else_is_passed_on() {
        let too_long = record(23, MAX_RECORD_BYTES + 1);
        let other_version = [23, 2, 3, 0, 1, 9];
        for stream in [b"GET / HTTP/1.1\r\n".as_slice(), &too_long, &record(24, 1), &other_version]
        {
            let stream = [&record(22, 10), stream].concat();
            assert!(!Records::default().are_continued_by(&stream), "{:?}", &stream[15..20]);
        }
    }

    #[test]
    fn rate_is_kept_after_a_burst() {
        let rate = Rate::new(1_000_000);
        assert_eq!(rate.pass(90_000), Duration::ZERO);
        let wait = rate.pass(1_000_000);
        assert!((900..1_000).contains(&wait.as_millis()), "{wait:?}");
    }
}
