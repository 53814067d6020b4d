//! The kernel's cost of one datagram to each client of a crowd: a bare loop of `sendmmsg`.
//!
//! The datagrams are as long as a broadcast's, and are sealed outside the measured time. As many
//! sockets as there are clients receive them, at the same pace. A thread receives and opens them as
//! the crowd does, so that they are equally awake.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use letschat_protocol::datagram::{Sealer, ToClient};
use letschat_protocol::dialogue::{Broadcast, SessionId};
use letschat_tests::pace::Pace;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use rustix::time::{ClockId, Timespec, clock_gettime};
use socket2::{Domain, Protocol, Socket, Type};

use crate::load::crowd::TEXT_BYTES;
use crate::load::datagrams::{Datagrams, EMPTY};
use crate::load::source;
use crate::programs::BenchResult;

/// Datagrams in one system call.
const BATCH: usize = 64;

/// The kernel's buffer size, as the server requests it.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

const EVENTS: usize = 1_024;
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Any key seals in the same time.
const KEY: [u8; 32] = [5; 32];

/// Sends rounds of datagrams to this many sockets at this interval. Returns the processor time of
/// each datagram in microseconds, one value for each round.
pub(crate) fn measure(
    receivers: usize,
    rounds: usize,
    interval: Duration,
    ipv6: bool,
) -> BenchResult<Vec<f64>> {
    let sender = sending_socket(ipv6)?;
    let port = sender.local_addr()?.port();
    let open = |number: usize| {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Datagrams::open(source(number), to, SessionId(number as u64), (&KEY, &KEY))
    };
    let mut sockets = (0..receivers).map(open).collect::<io::Result<Vec<Datagrams>>>()?;
    let mut destinations = sockets
        .iter()
        .enumerate()
        .map(|(number, datagrams)| {
            let address = datagrams.socket.local_addr()?;
            let sealer = Sealer::new(SessionId(number as u64), &KEY);
            Ok((sealer, through(address, ipv6).into()))
        })
        .collect::<io::Result<Vec<(Sealer, SocketAddrAny)>>>()?;

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&mut sockets, &is_over));
        let mut pace = Pace::every(interval);
        let costs = (0..rounds).map(|round| {
            pace.wait();
            send(&sender, &mut destinations, round as u64)
        });
        let costs = costs.collect::<io::Result<Vec<f64>>>();
        is_over.store(true, Ordering::Relaxed);
        if let Ok(received) = receiving.join() {
            received?;
        }
        Ok(costs?)
    })
}

fn sending_socket(ipv6: bool) -> io::Result<UdpSocket> {
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    let address = match ipv6 {
        true => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        false => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    };
    if ipv6 {
        socket.set_only_v6(false)?;
    }
    socket.set_send_buffer_size(BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn through(address: SocketAddr, ipv6: bool) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if ipv6 => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        address => address,
    }
}

/// Sends one datagram to each socket. Only the system calls are measured.
fn send(
    socket: &UdpSocket,
    destinations: &mut [(Sealer, SocketAddrAny)],
    number: u64,
) -> io::Result<f64> {
    let datagrams: Vec<Vec<u8>> =
        destinations.iter_mut().map(|(sealer, _)| sealer.seal(&broadcast(number))).collect();
    let slices: Vec<[IoSlice<'_>; 1]> =
        datagrams.iter().map(|datagram| [IoSlice::new(datagram)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        destinations.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<MMsgHdr<'_>> = slices
        .iter()
        .zip(destinations.iter())
        .zip(&mut controls)
        .map(|((slice, (_, to)), control)| MMsgHdr::new_with_addr(to, slice, control))
        .collect();

    let begin = processor_time();
    for batch in messages.chunks_mut(BATCH) {
        let mut rest = batch;
        while !rest.is_empty() {
            let sent = sendmmsg(socket, rest, SendFlags::empty())?;
            rest = &mut rest[sent..];
        }
    }
    let spent = processor_time() - begin;
    Ok(spent.as_secs_f64() * 1e6 / destinations.len() as f64)
}

fn broadcast(number: u64) -> ToClient {
    let sender = "member00000".parse().expect("letters and digits are a username");
    let entry = Broadcast { number, sender, time_ms: number, text: "x".repeat(TEXT_BYTES) };
    ToClient::Broadcast { entry, own: false }
}

/// Receives datagrams from all sockets and opens them.
fn receive(sockets: &mut [Datagrams], is_over: &AtomicBool) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, datagrams) in sockets.iter().enumerate() {
        let token = EventData::new_u64(number as u64);
        epoll::add(&epoll, &datagrams.socket, token, EventFlags::IN)?;
    }
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
    let mut buffer = EMPTY;
    while !is_over.load(Ordering::Relaxed) {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&POLL))?;
        for event in &events {
            std::hint::black_box(sockets[event.data.u64() as usize].receive(&mut buffer));
        }
    }
    Ok(())
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}
