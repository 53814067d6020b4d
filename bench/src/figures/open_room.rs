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

/// The crowd that the bar is set for.
const MOST_CLIENTS: usize = 1_000;

/// Messages in a second.
const A_SECOND: usize = 20;

/// Greetings that find room in any socket.
const AT_ONCE: usize = 50;

/// The time in which the last datagrams have to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

const EVENTS: usize = 1_024;
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Ends the text of a message that counts.
const COUNTED: u8 = b'x';

/// Compares streams of messages to a crowd with runs of the baseline, in turns.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let plan = &bench.plan;
    let clients = plan.largest().min(MOST_CLIENTS);
    let interval = Duration::from_secs(1) / A_SECOND as u32;
    let room = RoomProcess::start(bench)?;
    let crowd = gather(&room, clients)?;
    // The room has an IPv6 socket wherever the machine has IPv6.
    let ipv6 = UdpSocket::bind("[::1]:0").is_ok();
    let (mut costs, mut bare, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.turns {
        let stream = stream(&room, &crowd, plan.stream, interval)?;
        costs.push(stream.cost_us);
        lost.push(stream.lost_percent);
        let rounds = sendmmsg::measure(clients, plan.bare_rounds(), interval, ipv6)?;
        bare.push(Samples::new(rounds).median());
    }

    let row = |what, samples, unit| Row::median_of(FIGURE, what, &samples, unit);
    let ratios = Samples::ratios(&costs, &bare);
    let rows = vec![
        row("open room, CPU a delivery, to bare sendmmsg", ratios, "x").judged(Bar::AtMost(1.3)),
        row("open room, CPU a delivery", Samples::new(costs), "us"),
        // Dropped datagrams cost less, so a loss must not look like a gain.
        Row::new(FIGURE, "open room, datagrams lost: most", Samples::new(lost).most(), "%")
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
        // The port is free again when the room asks for it.
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
        // Fails if it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many clients who have greeted. The first one speaks.
fn gather(room: &RoomProcess, clients: usize) -> BenchResult<Vec<UdpSocket>> {
    let mut crowd: Vec<UdpSocket> = Vec::with_capacity(clients);
    for number in 0..clients {
        let socket = UdpSocket::bind((source(number), 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(room.address)?;
        socket.send(&ToRoom::Greeting.to_bytes())?;
        crowd.push(socket);
        if number % AT_ONCE == 0 || number + 1 == clients {
            // When the copy is here, the room has taken all that was sent before.
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
    cost_us: f64,
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
    let begin = room.cpu_time()?;
    let mut pace = Pace::every(interval);
    for _ in 0..messages {
        pace.wait();
        speaker.send(message)?;
    }
    let until = Instant::now() + PATIENCE;
    while received.load(Ordering::Relaxed) < expected && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    let count = received.load(Ordering::Relaxed);
    let spent = room.cpu_time()? - begin;
    Ok(Stream {
        cost_us: spent.as_secs_f64() * 1e6 / count.max(1) as f64,
        lost_percent: 100.0 * (expected - count.min(expected)) as f64 / expected as f64,
    })
}

/// Takes datagrams off all sockets and counts those that count.
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
