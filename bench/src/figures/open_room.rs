//! The processor time of an open room for each datagram that reaches a client.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use letschat_protocol::open_room::ToRoom;
use letschat_tests::pace::Pace;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use crate::baselines::sendmmsg;
use crate::load::crowd::TEXT_BYTES;
use crate::load::source;
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row, of_crowd};
use crate::run::Bench;
use crate::statistics::Samples;

const FIGURE: &str = "open_room";

/// The crowd size of the target.
const MOST_CLIENTS: usize = 1_000;

/// Messages per second.
const A_SECOND: usize = 20;

/// The number of greetings that fit into any socket buffer.
const AT_ONCE: usize = 50;

/// The timeout of the last datagrams.
const PATIENCE: Duration = Duration::from_secs(5);

const EVENTS: usize = 1_024;
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The end of a counted message's text.
const COUNTED: u8 = b'x';

/// Sends messages to a crowd, between two runs of the baseline.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let plan = &bench.plan;
    let clients = plan.largest().min(MOST_CLIENTS);
    let interval = Duration::from_secs(1) / A_SECOND as u32;
    let rounds = (plan.stream / 4).max(1);
    let room = RoomProcess::start(bench)?;
    let crowd = gather(&room, clients)?;
    // The room has an IPv6 socket on every machine with IPv6.
    let ipv6 = UdpSocket::bind("[::1]:0").is_ok();
    let mut bare = sendmmsg::measure(clients, rounds, interval, ipv6)?;
    let stream = stream(&room, &crowd, plan.stream, interval)?;
    bare.extend(sendmmsg::measure(clients, rounds, interval, ipv6)?);

    let bare = Samples::new(bare);
    let rows = vec![
        Row::new(
            FIGURE,
            "open room, CPU a delivery, to bare sendmmsg",
            stream.whole_us / bare.median(),
            "x",
        )
        .with_spread(
            stream.seconds_us.least() / bare.most(),
            stream.seconds_us.most() / bare.least(),
        )
        .judged(Bar::AtMost(1.3)),
        Row::new(FIGURE, "open room, CPU a delivery", stream.whole_us, "us")
            .with_spread(stream.seconds_us.least(), stream.seconds_us.most()),
        // Dropped datagrams cost less, so losing them must not look like an improvement.
        Row::new(FIGURE, "open room, datagrams lost", stream.lost_percent, "%")
            .judged(Bar::AtMost(1.0)),
    ];
    Ok(of_crowd(rows, clients, true))
}

/// A running room. Killed when it is dropped.
struct RoomProcess {
    child: Child,
    address: SocketAddr,
}

impl RoomProcess {
    fn start(bench: &Bench) -> BenchResult<RoomProcess> {
        // The port is free again when the room binds it.
        let port = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.local_addr()?.port();
        let mut child = Command::new(&bench.programs.server)
            .args(["--config", "/dev/null", "--log", "warn", "open-room", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let room = RoomProcess { child, address: (Ipv4Addr::LOCALHOST, port).into() };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim_end() {
            "Server Initialized..." => Ok(room),
            _ => Err(Failed("the open room does not start".into()).into()),
        }
    }

    fn cpu_time(&self) -> BenchResult<Duration> {
        Ok(process::cpu_time(self.child.id())?)
    }
}

impl Drop for RoomProcess {
    fn drop(&mut self) {
        // This fails only if the room has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens sockets for clients that have greeted. The first one sends the messages.
fn gather(room: &RoomProcess, clients: usize) -> BenchResult<Vec<UdpSocket>> {
    let mut crowd: Vec<UdpSocket> = Vec::with_capacity(clients);
    for number in 0..clients {
        let socket = UdpSocket::bind((source(number), 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(room.address)?;
        socket.send(&ToRoom::Greeting.to_bytes())?;
        crowd.push(socket);
        if number % AT_ONCE == 0 || number + 1 == clients {
            // When the copy arrives, the room has handled all earlier datagrams.
            crowd[0].send(&ToRoom::Message(b"is everybody there?").to_bytes())?;
            crowd[0].recv(&mut [0; 1_024])?;
        }
    }
    for socket in &crowd {
        socket.set_nonblocking(true)?;
    }
    Ok(crowd)
}

struct Stream {
    whole_us: f64,
    /// The cost in each second.
    seconds_us: Samples,
    lost_percent: f64,
}

fn stream(
    room: &RoomProcess,
    crowd: &[UdpSocket],
    messages: usize,
    interval: Duration,
) -> BenchResult<Stream> {
    let message = ToRoom::Message(&[COUNTED; TEXT_BYTES]).to_bytes();
    let (received, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(crowd, &received, &is_over));
        let spoken = speak(room, &crowd[0], &message, messages, interval, &received, crowd.len());
        is_over.store(true, Ordering::Relaxed);
        if let Ok(ended) = receiving.join() {
            ended?;
        }
        spoken
    })
}

fn speak(
    room: &RoomProcess,
    speaker: &UdpSocket,
    message: &[u8],
    messages: usize,
    interval: Duration,
    received: &AtomicU64,
    clients: usize,
) -> BenchResult<Stream> {
    let expected = (messages * clients) as u64;
    let cost = |spent: Duration, count: u64| spent.as_secs_f64() * 1e6 / count.max(1) as f64;
    let begin = room.cpu_time()?;
    let (mut last, mut last_count, mut seconds) = (begin, 0, Vec::new());
    let mut pace = Pace::every(interval);
    for number in 1..=messages {
        pace.wait();
        speaker.send(message)?;
        if number % A_SECOND == 0 {
            let (now, count) = (room.cpu_time()?, received.load(Ordering::Relaxed));
            seconds.push(cost(now - last, count - last_count));
            (last, last_count) = (now, count);
        }
    }
    let until = Instant::now() + PATIENCE;
    while received.load(Ordering::Relaxed) < expected && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    let count = received.load(Ordering::Relaxed);
    let whole_us = cost(room.cpu_time()? - begin, count);
    if seconds.is_empty() {
        seconds.push(whole_us);
    }
    let lost_percent = 100.0 * (expected - count.min(expected)) as f64 / expected as f64;
    Ok(Stream { whole_us, seconds_us: Samples::new(seconds), lost_percent })
}

/// Receives from all sockets and counts the counted messages.
fn receive(crowd: &[UdpSocket], received: &AtomicU64, is_over: &AtomicBool) -> std::io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, socket) in crowd.iter().enumerate() {
        epoll::add(&epoll, socket, EventData::new_u64(number as u64), EventFlags::IN)?;
    }
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
    let mut buffer = [0; 1_024];
    while !is_over.load(Ordering::Relaxed) {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&POLL))?;
        for event in &events {
            if let Ok(length) = crowd[event.data.u64() as usize].recv(&mut buffer)
                && buffer[..length].last() == Some(&COUNTED)
            {
                received.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}
