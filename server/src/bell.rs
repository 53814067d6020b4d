//! The bell of a cluster: its servers ring each other through Valkey or Redis, so that what is new need not wait for the
//! next second.
//!
//! Nothing is kept there, and a ring may be lost: every server asks the database once a second in any case.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use letschat_protocol::dialogue::Secret;
use redis::{
    Client, Connection, ConnectionInfo, IntoConnectionInfo as _, RedisError, TlsCertificates,
};

use crate::hub::Input;
use crate::net::Event;
use crate::store::cluster::ServerName;

/// The timeout of connecting, and of each command.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest wait for a ring before the connection is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// The pause after a failure.
const REST: Duration = Duration::from_secs(1);

/// The pause after the end of a connection that had worked for longer than [`REST`].
const SHORT_REST: Duration = Duration::from_millis(20);

/// A Valkey or Redis server, written as `redis://[USER@]HOST[:PORT][/NUMBER]`, or with `rediss` for TLS. `Display` omits
/// the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BellLocation {
    url: String,
    /// The password. It is not a part of the text, which others can read.
    pub password: Option<Secret>,
    /// The certificate authorities for TLS as PEM, instead of the system's.
    pub authority: Option<Vec<u8>>,
}

/// A text that names no such server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BellLocationError {
    /// The text has another form.
    #[error("expected redis://[USER@]HOST[:PORT][/NUMBER], or rediss:// with TLS")]
    Form,
    /// The text holds a password.
    #[error(
        "a password does not belong there, where others can read it; give it in \
         LETSCHAT_SERVER_CLUSTER_PASSWORD or by --cluster-password-file"
    )]
    Password,
}

impl FromStr for BellLocation {
    type Err = BellLocationError;

    fn from_str(text: &str) -> Result<BellLocation, BellLocationError> {
        let is_url = text.starts_with("redis://") || text.starts_with("rediss://");
        let info = text.into_connection_info().map_err(|_| BellLocationError::Form)?;
        match info.redis_settings().password() {
            _ if !is_url => Err(BellLocationError::Form),
            Some(_) => Err(BellLocationError::Password),
            None => Ok(BellLocation { url: text.to_owned(), password: None, authority: None }),
        }
    }
}

impl fmt::Display for BellLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl BellLocation {
    fn client(&self) -> Result<Client, RedisError> {
        let mut info: ConnectionInfo = self.url.as_str().into_connection_info()?;
        if let Some(Secret(password)) = &self.password {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
        match &self.authority {
            None => Client::open(info),
            Some(authority) => {
                let root_cert = Some(authority.clone());
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
        }
    }
}

/// A running bell. Its threads end with the server's queue of events.
#[derive(Debug)]
pub(crate) struct Bell {
    ring: Sender<()>,
    is_heard: Arc<AtomicBool>,
}

impl Bell {
    /// Starts the bell of a database's servers.
    ///
    /// # Errors
    ///
    /// Fails if the system can't start a thread.
    pub(crate) fn start(
        location: BellLocation,
        database: &str,
        name: &ServerName,
        events: Sender<Event>,
    ) -> io::Result<Bell> {
        // Rings that come together are one.
        let (ring, rings) = async_channel::bounded(1);
        let is_heard = Arc::new(AtomicBool::new(false));
        let channel = format!("letschat {database}");
        let rope = Rope { location, channel, name: name.clone(), is_heard: is_heard.clone() };
        let ringing = rope.clone();
        thread::Builder::new().name("ringing".into()).spawn(move || ringing.ring_all(&rings))?;
        thread::Builder::new().name("listening".into()).spawn(move || rope.listen(&events))?;
        Ok(Bell { ring, is_heard })
    }

    /// Returns true while rings are heard.
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Relaxed)
    }

    /// Tells the other servers that there is something new.
    pub(crate) fn ring(&self) {
        // If one waits already, that is enough.
        let _ = self.ring.try_send(());
    }
}

/// The parts that both threads need.
#[derive(Debug, Clone)]
struct Rope {
    location: BellLocation,
    channel: String,
    name: ServerName,
    is_heard: Arc<AtomicBool>,
}

impl Rope {
    fn connect(&self) -> Result<Connection, RedisError> {
        let connection = self.location.client()?.get_connection_with_timeout(PATIENCE)?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// Rings as often as asked, until nobody can ask any more.
    fn ring_all(&self, rings: &Receiver<()>) {
        let mut connection = None;
        while rings.recv_blocking().is_ok() {
            if let Err(error) = self.ring(&mut connection) {
                connection = None;
                tracing::debug!(%error, "the bell can't be rung");
                thread::sleep(REST);
            }
        }
    }

    fn ring(&self, connection: &mut Option<Connection>) -> Result<(), RedisError> {
        let mut ready = match connection.take() {
            Some(ready) => ready,
            None => {
                let fresh = self.connect()?;
                fresh.set_read_timeout(Some(PATIENCE))?;
                fresh
            }
        };
        redis::cmd("PUBLISH").arg(&self.channel).arg(self.name.as_str()).exec(&mut ready)?;
        *connection = Some(ready);
        Ok(())
    }

    /// Passes on the rings of other servers, until the queue of events is closed.
    fn listen(&self, events: &Sender<Event>) {
        let mut is_told = false;
        while !events.is_closed() {
            let begin = Instant::now();
            let heard = self.listen_once(events);
            self.is_heard.store(false, Ordering::Relaxed);
            let rest = if heard.is_ok() && begin.elapsed() > REST { SHORT_REST } else { REST };
            match heard {
                Err(error) if !is_told => {
                    is_told = true;
                    let (place, error) = (&self.location, reason(&error));
                    tracing::warn!(%place, %error, "the bell that --cluster names is silent; news of other servers takes up to a second");
                }
                Err(_) => {}
                Ok(()) => is_told = false,
            }
            thread::sleep(rest);
        }
    }

    /// Listens on one connection. Fails if it hears nothing at all; its later end is no failure.
    fn listen_once(&self, events: &Sender<Event>) -> Result<(), RedisError> {
        let mut connection = self.connect()?;
        let mut listening = connection.as_pubsub();
        listening.set_read_timeout(Some(PATIENCE))?;
        listening.subscribe(&self.channel)?;
        // The bell may refuse the channel without a word here, as one that wants a password does.
        self.ring(&mut None)?;
        listening.get_message()?;
        tracing::info!(place = %self.location, "the bell works");
        self.is_heard.store(true, Ordering::Relaxed);
        listening.set_read_timeout(Some(LOOK))?;
        // Somebody may have rung before.
        let mut is_rung = true;
        while !is_rung || events.send_blocking(Event::Input(Input::Rung)).is_ok() {
            is_rung = false;
            match listening.get_message() {
                Ok(message) => {
                    is_rung = message.get_payload_bytes() != self.name.as_str().as_bytes();
                }
                Err(error) if error.is_io_error() && !events.is_closed() => {
                    // A timeout or a signal. The other side may have gone without a word.
                    self.is_heard.store(false, Ordering::Relaxed);
                    if listening.ping::<redis::Value>().is_err() {
                        break;
                    }
                    self.is_heard.store(true, Ordering::Relaxed);
                }
                Err(_) => break,
            }
        }
        Ok(())
    }
}

/// Returns the reason of a failure in one line.
fn reason(error: &RedisError) -> String {
    if error.is_timeout() {
        return "it does not answer in time".into();
    }
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_holds_no_password() {
        for text in ["redis://valkey.example", "redis://chat@10.0.0.1:6380/2", "rediss://valkey"] {
            let location: BellLocation = text.parse().unwrap();
            assert_eq!(location.to_string(), text);
        }
        let error = "redis://chat:secret@valkey".parse::<BellLocation>().unwrap_err();
        assert_eq!(error, BellLocationError::Password);
        for text in ["valkey:6379", "http://valkey", "unix:/run/valkey", ""] {
            assert_eq!(text.parse::<BellLocation>(), Err(BellLocationError::Form), "{text}");
        }
    }
}
