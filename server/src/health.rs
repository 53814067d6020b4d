//! `letschat-server health`: checks that a server answers, for container health checks.
//!
//! It reads only the greeting, so it takes no place and tries no login. A full server is healthy.

use std::fmt;
use std::io;
use std::time::Duration;

use async_io::Timer;
use async_net::TcpStream;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use futures_rustls::TlsConnector;
use letschat_protocol::limits::MAX_LINE_BYTES;
use letschat_protocol::printable::Printable;
use letschat_protocol::tls;

/// The timeout from the first packet to the greeting.
const PATIENCE: Duration = Duration::from_secs(3);

/// The reason why a server is unhealthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    #[error("nobody answers at {0}: {1}")]
    Nobody(String, io::Error),
    #[error("no greeting came from {0} within {secs} s", secs = PATIENCE.as_secs())]
    Silent(String),
    #[error("what answers at {0} is no letschat-server: {1}")]
    Stranger(String, String),
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
    let tcp = TcpStream::connect(address).await.map_err(nobody)?;
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
