//! The socket of an open room's client.
//!
//! Greetings are not confirmed, so the client repeats them with a growing interval, and before each
//! message. A restarted room knows its clients again within the longest interval.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use async_io::{Async, Timer};
use event_listener::Event as Wakeup;
use futures_lite::FutureExt as _;
use letschat_protocol::open_room::{Incoming, MAX_FROM_ROOM_BYTES, MAX_TEXT_BYTES, ToRoom};
use socket2::SockRef;

use letschat_engine::address::ServerAddress;

/// The first interval between greetings. It doubles each time.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);

/// The longest interval between greetings. It keeps a NAT mapping alive (RFC 4787, section 4.3).
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);

/// The time in which an address can refuse a greeting, if the host has further ones.
const REFUSAL: Duration = Duration::from_millis(100);

/// The time that a message waits for its own copy before the next one is sent. This paces thousands of lines to the
/// room's speed, so that they do not overflow its socket.
const ECHO: Duration = Duration::from_millis(100);

/// The backoff after an error of the socket itself.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The requested size of the socket's buffers, in bytes. The system may grant less.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The link to a room.
pub(super) struct Link {
    socket: Async<UdpSocket>,
    /// The address as written by the user.
    room: String,
    /// The last message, until its copy arrives.
    awaited: RefCell<Option<Vec<u8>>>,
    echo: Wakeup,
    /// True after the system reported that no room listens, until a message arrives.
    is_refused: Cell<bool>,
}

/// A received event.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message, as the line to show.
    Said(String),
    /// No room listens there. Reported once until a message arrives.
    Nobody(String),
}

/// A line that is too long for a message.
#[derive(Debug, thiserror::Error)]
#[error("A line of more than {MAX_TEXT_BYTES} bytes was not sent.")]
pub(super) struct TooLong;

impl Link {
    /// Resolves the host and greets the room at the first address that does not refuse.
    pub(super) async fn open(room: &ServerAddress) -> io::Result<Link> {
        let addresses = async_net::resolve((room.host.as_str(), room.port)).await?;
        let mut opened = Err(ErrorKind::AddrNotAvailable.into());
        for address in &addresses {
            match connect(*address) {
                Ok(socket) => {
                    send(&socket, &ToRoom::Greeting).await;
                    let is_refused = addresses.len() > 1 && is_refused(&socket).await;
                    opened = Ok(socket);
                    if !is_refused {
                        break;
                    }
                }
                Err(error) if opened.is_err() => opened = Err(error),
                Err(_) => {}
            }
        }
        let (awaited, echo, is_refused) = (RefCell::default(), Wakeup::new(), Cell::default());
        Ok(Link { socket: opened?, room: room.to_string(), awaited, echo, is_refused })
    }

    /// Repeats the greeting forever.
    pub(super) async fn greet(&self) {
        for interval in intervals() {
            Timer::after(interval).await;
            self.send(&ToRoom::Greeting).await;
        }
    }

    /// Sends a line, and waits briefly for its copy from the room.
    pub(super) async fn say(&self, line: &str) -> Result<(), TooLong> {
        let text = line.trim_end_matches(['\r', '\n', '\0']).as_bytes();
        if text.len() > MAX_TEXT_BYTES {
            return Err(TooLong);
        }
        let heard = self.echo.listen();
        self.awaited.replace(Some(text.to_vec()));
        self.send(&ToRoom::Greeting).await;
        self.send(&ToRoom::Message(text)).await;
        let expired = async {
            Timer::after(ECHO).await;
        };
        heard.or(expired).await;
        self.awaited.take();
        Ok(())
    }

    /// Waits for a message.
    pub(super) async fn hear(&self) -> Heard {
        // One byte more than allowed, so that a longer datagram is seen to be too long.
        let mut buffer = vec![0; MAX_FROM_ROOM_BYTES + 1];
        loop {
            match self.socket.recv(&mut buffer).await {
                Ok(length) if length <= MAX_FROM_ROOM_BYTES => {
                    if let Some(incoming) = Incoming::parse(&buffer[..length]) {
                        self.is_refused.set(false);
                        if self.awaited.borrow().as_deref() == Some(incoming.text) {
                            self.echo.notify(usize::MAX);
                        }
                        return Heard::Said(super::shown(&incoming));
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    if !self.is_refused.replace(true) {
                        return Heard::Nobody(self.room.clone());
                    }
                }
                Err(_) => drop(Timer::after(BACK_OFF).await),
            }
        }
    }

    /// Returns true if the system reports that no room listens.
    pub(super) fn is_nobody_there(&self) -> bool {
        self.is_refused.get()
    }

    async fn send(&self, datagram: &ToRoom<'_>) {
        send(&self.socket, datagram).await;
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::Said(line) => f.write_str(line),
            Heard::Nobody(room) => {
                write!(f, "No open room answers at {room}; greeting it again until one does.")
            }
        }
    }
}

fn intervals() -> impl Iterator<Item = Duration> {
    iter::successors(Some(FIRST_INTERVAL), |last| Some((*last * 2).min(LONGEST_INTERVAL)))
}

/// Creates a socket that receives from this address only.
fn connect(address: SocketAddr) -> io::Result<Async<UdpSocket>> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // A smaller buffer is sufficient.
    let _ = SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES);
    socket.connect(address)?;
    Async::new(socket)
}

async fn is_refused(socket: &Async<UdpSocket>) -> bool {
    let answer = async { socket.peek(&mut [0]).await.err() };
    let expired = async {
        Timer::after(REFUSAL).await;
        None
    };
    answer.or(expired).await.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Sends a datagram. An ICMP refusal of an earlier datagram makes one send fail, so it is repeated.
async fn send(socket: &Async<UdpSocket>, datagram: &ToRoom<'_>) {
    let bytes = datagram.to_bytes();
    if let Err(error) = socket.send(&bytes).await
        && error.kind() == ErrorKind::ConnectionRefused
    {
        let _ = socket.send(&bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_become_rarer_and_never_end() {
        let seconds: Vec<f64> = intervals().take(9).map(|wait| wait.as_secs_f64()).collect();
        assert_eq!(seconds, [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
    }
}
