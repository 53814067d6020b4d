//! `letschat-server health`: checks that a server answers, for container health checks.
//!
//! It reads only the greeting, so it takes no place and tries no login. A full server is healthy. Where the server has
//! metrics, it asks these instead, which also know of the database.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use async_io::Timer;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use futures_rustls::TlsConnector;
use letschat_protocol::limits::MAX_LINE_BYTES;
use letschat_protocol::printable::Printable;
use letschat_protocol::tls;
use letschat_server::settings::MetricsAddress;

/// The timeout from the first packet to the greeting.
const PATIENCE: Duration = Duration::from_secs(3);

/// The timeout of the metrics, which wait for the database. The check of a container has 5 s in all.
const READY_PATIENCE: Duration = Duration::from_secs(4);

/// The most bytes of their answer that are read.
const MAX_ANSWER_BYTES: u64 = 4_096;

/// The reason why a server is unhealthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    #[error("nobody answers at {0}: {1}")]
    Nobody(String, io::Error),
    #[error("no greeting came from {0} within {secs} s", secs = PATIENCE.as_secs())]
    Silent(String),
    #[error("what answers at {0} is no letschat-server: {1}")]
    Stranger(String, String),
    #[error("no answer came from {0} within {secs} s", secs = READY_PATIENCE.as_secs())]
    NoAnswer(String),
    #[error("the server is not ready: {0}")]
    NotReady(String),
}

/// Asks a server's metrics whether it is ready.
pub(crate) fn check_readiness(metrics: &MetricsAddress) -> Result<(), Unhealthy> {
    let place = metrics.to_string();
    let answer = match metrics {
        MetricsAddress::Port(address) => TcpStream::connect_timeout(address, PATIENCE)
            .and_then(|stream| readiness(&stream, |time| stream.set_read_timeout(time))),
        MetricsAddress::Socket(path) => UnixStream::connect(path)
            .and_then(|stream| readiness(&stream, |time| stream.set_read_timeout(time))),
    };
    let answer = answer.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Unhealthy::NoAnswer(place.clone()),
        _ => Unhealthy::Nobody(place.clone(), error),
    })?;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some("503") => Err(Unhealthy::NotReady(text.trim_end().replace('\n', ", "))),
        None => Err(Unhealthy::NoAnswer(place)),
        _ => Err(Unhealthy::Stranger(place, format!("it says {:?}", Printable(head).to_string()))),
    }
}

fn readiness<S>(
    mut stream: S,
    limit: impl Fn(Option<Duration>) -> io::Result<()>,
) -> io::Result<String>
where
    S: io::Read + io::Write,
{
    limit(Some(READY_PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(stream, MAX_ANSWER_BYTES), &mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Waits for the greeting of the server at HOST:PORT.
pub(crate) fn check(address: &str) -> Result<(), Unhealthy> {
    let late = async {
        Timer::after(PATIENCE).await;
        Err(Unhealthy::Silent(address.to_owned()))
    };
    smol::block_on(greeted(address).or(late))
}

async fn greeted(address: &str) -> Result<(), Unhealthy> {
    let nobody = |error| Unhealthy::Nobody(address.to_owned(), error);
    let stranger =
        |why: &dyn fmt::Display| Unhealthy::Stranger(address.to_owned(), why.to_string());
    let tcp = async_net::TcpStream::connect(address).await.map_err(nobody)?;
    // Any key is accepted, because nothing confidential is sent.
    let connecting = TlsConnector::from(tls::client()).connect(tls::unused_name(), tcp);
    let mut tls = connecting.await.map_err(|error| stranger(&error))?;

    let mut greeting = Vec::new();
    let mut byte = [0];
    while greeting.len() < MAX_LINE_BYTES && !greeting.ends_with(b"\n") {
        match tls.read(&mut byte).await {
            Ok(1..) => greeting.push(byte[0]),
            Ok(0) | Err(_) => break,
        }
    }
    let greeting = String::from_utf8_lossy(&greeting);
    if !is_well(&greeting) {
        return Err(stranger(&format_args!(
            "it says {:?}",
            Printable(greeting.trim()).to_string()
        )));
    }
    // Quit politely, so that the server's log shows no broken connection. A lost `QUIT` does no
    // harm.
    let _ = tls.write_all(b"QUIT\n").await;
    let _ = tls.close().await;
    Ok(())
}

/// Returns true for `220`, the greeting, and for any 4xx ("not now"), such as the `421` of a full
/// server.
fn is_well(greeting: &str) -> bool {
    let code = greeting.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    greeting.ends_with('\n') && (code == "220" || code.len() == 3 && code.starts_with('4'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_and_a_busy_server_are_well_and_nothing_else_is() {
        for greeting in ["220 letschat-server 1; say HELLO\n", "220\r\n", "421 All taken.\r\n"] {
            assert!(is_well(greeting), "{greeting:?}");
        }
        for other in ["", "\n", "220 unfinished", "2200 x\n", "500 no\n", "4 x\n", "HTTP/1.1 400\n"]
        {
            assert!(!is_well(other), "{other:?}");
        }
    }
}
