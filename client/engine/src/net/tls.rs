//! One account's key in TLS. What is accepted is in [`letschat_protocol::tls`].

use std::sync::Arc;

use letschat_protocol::identity::{Identity, PublicKey};
use letschat_protocol::tls;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, Error, ServerConfig};

/// One account's key, as links to peers use it.
#[derive(Clone)]
pub(crate) struct PeerTls {
    own: Arc<CertifiedKey>,
}

impl PeerTls {
    /// Fails only if TLS can't use the key.
    pub(crate) fn new(identity: &Identity) -> Result<PeerTls, Error> {
        Ok(PeerTls { own: tls::raw_key(identity.public_key(), identity)? })
    }

    /// For a link that is dialled to somebody who must have this key.
    pub(crate) fn dialler(&self, expected: PublicKey) -> Arc<ClientConfig> {
        tls::dialler(self.own.clone(), Some(expected))
    }

    /// For links that arrive: from whom, is for the session to judge.
    pub(crate) fn receiver(&self) -> Arc<ServerConfig> {
        tls::receiver(self.own.clone())
    }
}

/// Whether a handshake failed because the other side is somebody else: another key, or none of
/// the kind that peers have.
pub(crate) fn is_somebody_else(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(
            Error::InvalidCertificate(_)
                | Error::PeerIncompatible(_)
                | Error::PeerMisbehaved(_)
                | Error::InvalidMessage(_)
                | Error::AlertReceived(_)
        )
    )
}
