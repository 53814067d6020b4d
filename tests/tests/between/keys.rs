//! Ends TLS at both sides with keys of its own, and reads along.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_lite::future::{block_on, or, zip};
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use futures_rustls::{TlsAcceptor, TlsConnector};
use letschat_protocol::identity::{Identity, PublicKey};
use letschat_protocol::tls;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ServerConfig};

/// As whom it shows itself, to who dials and to who listens.
pub(crate) struct Faces {
    pub(crate) to_dialler: Arc<ServerConfig>,
    to_listener: Arc<ClientConfig>,
}

impl Faces {
    /// A server with a certificate of its own, and a client.
    pub(crate) fn of_a_server() -> Faces {
        let made = generate_simple_self_signed(vec!["server".into()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let to_dialler = tls::server(made.cert.der().clone(), key).unwrap();
        Faces { to_dialler, to_listener: tls::client() }
    }

    /// A peer on both sides, who shows these public keys and has another private one.
    pub(crate) fn of_peers(to_dialler: PublicKey, to_listener: PublicKey) -> Faces {
        let shown = |key| tls::raw_key(key, &own_identity()).unwrap();
        Faces {
            to_dialler: tls::receiver(shown(to_dialler)),
            to_listener: tls::dialler(shown(to_listener), None),
        }
    }
}

/// Its own key pair.
pub(crate) fn own_identity() -> Identity {
    Identity::from_seed(&[7; 32])
}

/// Sits on a way.
pub(crate) struct Swapper {
    pub(crate) address: SocketAddr,
    overheard: Arc<Mutex<Overheard>>,
}

/// What it could read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overheard {
    /// Connections that are over, all said.
    pub(crate) connections: usize,
    pub(crate) of_dialler: Vec<u8>,
    pub(crate) of_listener: Vec<u8>,
}

impl Swapper {
    /// Answers at `at`, and dials `to`.
    pub(crate) fn start(at: SocketAddr, to: SocketAddr, faces: Faces) -> Swapper {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let overheard = Arc::new(Mutex::new(Overheard::default()));
        let (faces, heard) = (Arc::new(faces), overheard.clone());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let (faces, heard) = (faces.clone(), heard.clone());
                thread::spawn(move || {
                    // Whom it is not believed by ends it.
                    let _ = block_on(sit_between(near, to, &faces, &heard));
                    lock(&heard).connections += 1;
                });
            }
        });
        Swapper { address, overheard }
    }

    pub(crate) fn overheard(&self) -> Overheard {
        lock(&self.overheard).clone()
    }
}

fn lock(heard: &Mutex<Overheard>) -> std::sync::MutexGuard<'_, Overheard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both sides by themselves: who is not believed by one may be by the other.
async fn sit_between(
    near: std::net::TcpStream,
    to: SocketAddr,
    faces: &Faces,
    heard: &Mutex<Overheard>,
) -> io::Result<()> {
    let near = async_net::TcpStream::try_from(near)?;
    let far = async_net::TcpStream::connect(to).await?;
    let (near, far) = zip(
        TlsAcceptor::from(faces.to_dialler.clone()).accept(near),
        TlsConnector::from(faces.to_listener.clone()).connect(tls::unused_name(), far),
    )
    .await;
    match (near, far) {
        (Ok(near), Ok(far)) => {
            let ((from_near, to_near), (from_far, to_far)) =
                (futures_lite::io::split(near), futures_lite::io::split(far));
            let there = copy(from_near, to_far, |bytes| lock(heard).of_dialler.extend(bytes));
            let back = copy(from_far, to_near, |bytes| lock(heard).of_listener.extend(bytes));
            or(there, back).await
        }
        (Ok(near), _) => {
            let nowhere = futures_lite::io::sink();
            copy(near, nowhere, |bytes| lock(heard).of_dialler.extend(bytes)).await
        }
        (_, Ok(mut far)) => {
            // It calls, as the one whom it pretends to be.
            far.write_all(format!("CALL {:032x} alice\n", 1).as_bytes()).await?;
            far.flush().await?;
            let nowhere = futures_lite::io::sink();
            copy(far, nowhere, |bytes| lock(heard).of_listener.extend(bytes)).await
        }
        (Err(error), Err(_)) => Err(error),
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    hear: impl Fn(&[u8]),
) -> io::Result<()> {
    let mut bytes = [0; 4_096];
    loop {
        match from.read(&mut bytes).await? {
            0 => return Ok(()),
            count => {
                hear(&bytes[..count]);
                to.write_all(&bytes[..count]).await?;
                to.flush().await?;
            }
        }
    }
}
