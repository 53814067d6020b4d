//! Hundreds of members that stop reading and have no UDP, while broadcasts continue. Their queues are
//! bounded, they are dropped, and the others notice nothing.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use letschat_protocol::limits::MAX_BROADCAST_BYTES;
use letschat_tests::form::{is_full, quantile, short_or_full, tell};
use letschat_tests::pace::Pace;
use letschat_tests::server::TestServer;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use socket2::{Domain, Socket, Type};

use crate::members::{
    Listener, Member, foreign_address, forget_peak, resident_kib, server_with_members,
};

/// The size of a client's outbox, as in docs/PROTOCOL.md.
const OUTBOX_KIB: u64 = 96;
/// The allowance for the server's other growth: mainly the broadcast log, and unused allocations.
const SLACK_KIB: u64 = 6 * 1_024;
/// The time without progress after which a client is dropped.
const STALL: Duration = Duration::from_secs(10);
/// The allowed time until all buffers are full and that is noticed.
const FILLING: Duration = Duration::from_secs(15);

/// The requested receive buffer of a slow reader. The kernel raises it to its minimum.
const RECEIVE_BUFFER_BYTES: usize = 1;

/// The number of users that read.
const LISTENERS: usize = 10;
/// The number of users that broadcast in turn. None exceeds the rate limit.
const SENDERS: usize = 4;
/// The interval of broadcasts.
const BROADCAST_EVERY: Duration = Duration::from_millis(20);

/// A run without slow readers and one with them.
struct Pair {
    without: Seen,
    with: Seen,
}

/// The measurements of one run.
struct Seen {
    /// The latency of each broadcast for each listener.
    delays: Vec<Duration>,
    grown_kib: u64,
    /// The time until the last slow reader was dropped.
    dropped_after: Duration,
}

#[test]
fn who_stops_reading_is_dropped_and_nobody_else_notices() {
    let (slow, runs) = short_or_full((40, 1), (500, 5));
    let pairs: Vec<Pair> = (0..runs).map(|_| Pair { without: run(0), with: run(slow) }).collect();
    for Pair { with, .. } in &pairs {
        let most_kib = OUTBOX_KIB * slow as u64 + SLACK_KIB;
        assert!(with.grown_kib <= most_kib, "it grew by {} KiB", with.grown_kib);
        let after = with.dropped_after;
        assert!(after <= STALL + FILLING, "the last was dropped after {after:?}");
    }
    let mut beyond: Vec<(f64, Duration, Duration)> = pairs.iter().map(Pair::compared).collect();
    beyond.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (over_bar, without, with) = beyond[beyond.len() / 2];
    if is_full() {
        assert!(over_bar <= 1.0, "p99 was {without:?} without them and {with:?} with them");
    } else {
        assert!(with <= Duration::from_secs(2), "p99 was {with:?} with them");
    }
    let most = |of: fn(&Seen) -> u64| pairs.iter().map(|pair| of(&pair.with)).max().unwrap();
    tell(
        "slow readers",
        &format!("{slow} that stop reading, 50 broadcasts of 900 bytes a second, {runs} times"),
        &format!(
            "dropped after {:.1} s at most; {} MiB more at most; \
             p99 of the others {without:.1?} without them, {with:.1?} with them",
            most(|seen| seen.dropped_after.as_millis() as u64) as f64 / 1_000.0,
            most(|seen| seen.grown_kib) / 1_024,
        ),
    );
}

impl Pair {
    /// Returns the p99 with slow readers relative to the limit, the p99 without them, and the p99 with
    /// them.
    fn compared(&self) -> (f64, Duration, Duration) {
        let (without, with) =
            (quantile(&self.without.delays, 0.99), quantile(&self.with.delays, 0.99));
        let allowed = without.mul_f64(1.5).max(without + Duration::from_millis(10));
        (with.as_secs_f64() / allowed.as_secs_f64(), without, with)
    }
}

fn run(slow: usize) -> Seen {
    let all = SENDERS + LISTENERS + slow;
    let places = all.to_string();
    let flags = ["--broadcast-burst", "100000", "--places", &places];
    let server = server_with_members(all, &flags);
    let log_in = |number: usize, tcp: TcpStream| Member::log_in(&server, number, tcp);
    let from_here = || TcpStream::connect(server.address).unwrap();
    let senders: Vec<Member> = (0..SENDERS).map(|number| log_in(number, from_here())).collect();
    let listeners: Vec<Listener> = (SENDERS..SENDERS + LISTENERS)
        .map(|number| log_in(number, from_here()).listen(server.address))
        .collect();
    listeners.iter().for_each(Listener::wait_until_reached);
    let slow: Vec<Member> = (0..slow)
        .map(|number| {
            log_in(SENDERS + LISTENERS + number, small_connection(number, server.address))
        })
        .collect();
    flow(&server, senders, &listeners, &slow)
}

/// Opens a connection with the smallest receive buffer.
fn small_connection(number: usize, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).unwrap();
    socket.bind(&SocketAddr::from((foreign_address(number), 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.into()
}

/// Sends broadcasts until all slow readers are dropped, and for a minimum time.
fn flow(
    server: &TestServer,
    mut senders: Vec<Member>,
    listeners: &[Listener],
    slow: &[Member],
) -> Seen {
    let pid = server.process.pid();
    forget_peak(pid);
    let (before_kib, _) = resident_kib(pid);
    let (begin, mut sent, mut dropped_after) = (Instant::now(), Vec::new(), Duration::ZERO);
    let (mut remaining, mut pace) = (slow.len(), Pace::every(BROADCAST_EVERY));
    while remaining > 0 || begin.elapsed() < short_or_full(STALL / 2, STALL + FILLING / 2) {
        pace.wait();
        let sender = &mut senders[sent.len() % SENDERS];
        let text = format!("{} {}", sent.len(), "x".repeat(MAX_BROADCAST_BYTES));
        sent.push(Instant::now());
        let text = &text[..MAX_BROADCAST_BYTES];
        sender.typist.types(&format!("BROADCAST +{MAX_BROADCAST_BYTES}\n{text}"));
        sender.typist.expects("250 ");
        if remaining > 0 {
            remaining = slow.iter().filter(|member| is_connected(member)).count();
            dropped_after = begin.elapsed();
            assert!(dropped_after <= 6 * STALL, "{remaining} are not dropped");
        }
    }
    let (_, most_kib) = resident_kib(pid);
    let arrivals = listeners.iter().flat_map(|listener| listener.wait_for(sent.len()));
    let delays = arrivals.map(|(number, at)| at.duration_since(sent[number])).collect();
    Seen { delays, grown_kib: most_kib.saturating_sub(before_kib), dropped_after }
}

/// Returns true if the server has not closed the connection. It reads no data.
fn is_connected(member: &Member) -> bool {
    let mut socket = [PollFd::from_borrowed_fd(member.typist.tcp().as_fd(), PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut socket, Some(&now)).unwrap() == 0
}
