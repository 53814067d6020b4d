//! A relay that ends TLS on both sides with its own keys and reads the traffic.

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

/// The TLS identities that the relay shows to the dialler and to the listener.
pub(crate) struct Faces {
    pub(crate) to_dialler: Arc<ServerConfig>,
    to_listener: Arc<ClientConfig>,
}

impl Faces {
    /// Returns the identities of a server with its own certificate, and of a client.
    pub(crate) fn of_a_server() -> Faces {
        let made = generate_simple_self_signed(vec!["server".into()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let to_dialler = tls::server(made.cert.der().clone(), key).unwrap();
        Faces { to_dialler, to_listener: tls::client() }
    }

    /// Returns the identities of peers that show these public keys but have another private key.
    pub(crate) fn of_peers(to_dialler: PublicKey, to_listener: PublicKey) -> Faces {
        let shown = |key| tls::raw_key(key, &own_identity()).unwrap();
        Faces {
            to_dialler: tls::receiver(shown(to_dialler)),
            to_listener: tls::dialler(shown(to_listener), None),
        }
    }
}

/// Returns the relay's own key pair.
pub(crate) fn own_identity() -> Identity {
    Identity::from_seed(&[7; 32])
}

/// A running relay.
pub(crate) struct Swapper {
    pub(crate) address: SocketAddr,
    overheard: Arc<Mutex<Overheard>>,
}

/// The text that the relay could read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overheard {
    /// The number of ended connections, whose text is complete.
    pub(crate) connections: usize,
    pub(crate) of_dialler: Vec<u8>,
    pub(crate) of_listener: Vec<u8>,
}

impl Swapper {
    /// Listens at `at` and dials `to`.
    pub(crate) fn start(at: SocketAddr, to: SocketAddr, faces: Faces) -> Swapper {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let overheard = Arc::new(Mutex::new(Overheard::default()));
        let (faces, heard) = (Arc::new(faces), overheard.clone());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let (faces, heard) = (faces.clone(), heard.clone());
                thread::spawn(move || {
                    // An error means that one side refused the relay's key.
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

/// Connects to both sides independently, since one may refuse the relay's key and the other accept it.
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
            // The relay calls under the name that it claims.
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
