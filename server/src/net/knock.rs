//! KNOCK: a hint to a client that the server is back.
//!
//! The server dials the client's receiver like a peer, with a key that it generates at each start.
//! The client does not trust the hint: it dials the server that it knows.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_io::Timer;
use async_net::TcpStream;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use letschat_protocol::identity::Identity;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::tls;

/// The timeout of a knock: connecting, the TLS handshake and the message.
const KNOCK_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The time after the message in which the client may hang up first.
const LINGER: Duration = Duration::from_millis(500);

/// A dialler with a key of its own.
#[derive(Clone)]
pub(crate) struct Knocker(TlsConnector);

impl Knocker {
    /// Generates the key.
    pub(crate) fn new() -> io::Result<Knocker> {
        let own = Identity::generate().map_err(io::Error::other)?;
        let shown = tls::raw_key(own.public_key(), &own).map_err(io::Error::other)?;
        Ok(Knocker(TlsConnector::from(tls::dialler(shown, None))))
    }

    /// Knocks at an address.
    ///
    /// # Errors
    ///
    /// Fails with [`io::ErrorKind::ConnectionRefused`] if nobody listens there, and with another kind
    /// if no client answers in time or as it should.
    pub(crate) async fn knock(&self, receiver: SocketAddr) -> io::Result<()> {
        let too_long = async {
            Timer::after(KNOCK_TIMEOUT).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let stream = self.say(receiver).or(too_long).await?;
        hang_up(stream).await;
        Ok(())
    }

    async fn say(&self, receiver: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(receiver).await?;
        let mut stream = self.0.connect(tls::unused_name(), stream).await?;
        stream.write_all(&PeerMessage::Knock.to_frame().to_bytes()).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

/// Closes a link after its message. The client may hang up first, since a reset could overtake the
/// message.
async fn hang_up(mut stream: TlsStream<TcpStream>) {
    let hung_up = async {
        // Sends close_notify. Ignores errors: the message is already sent.
        let _ = stream.close().await;
        let _ = stream.read(&mut [0]).await;
    };
    let linger = async {
        Timer::after(LINGER).await;
    };
    hung_up.or(linger).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_net::TcpListener;
    use futures_lite::future;
    use futures_rustls::TlsAcceptor;

    #[test]
    fn client_hears_a_knock_and_then_the_end() {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let receiver = listener.local_addr().unwrap();
            let client = Identity::generate().unwrap();
            let shown = tls::raw_key(client.public_key(), &client).unwrap();
            let acceptor = TlsAcceptor::from(tls::receiver(shown));
            let heard = async {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = acceptor.accept(stream).await.unwrap();
                assert!(tls::arrived_key(stream.get_ref().1).is_some());
                let mut heard = String::new();
                // An end without close_notify would be an error.
                stream.read_to_string(&mut heard).await.unwrap();
                heard
            };
            let knocker = Knocker::new().unwrap();
            let (knocked, heard) = future::zip(knocker.knock(receiver), heard).await;
            knocked.unwrap();
            assert_eq!(heard, "KNOCK\n");
            drop(listener);
            let refused = knocker.knock(receiver).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn silent_receiver_times_out() {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let receiver = listener.local_addr().unwrap();
            let knocked = Knocker::new().unwrap().knock(receiver).await;
            assert_eq!(knocked.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }
}
