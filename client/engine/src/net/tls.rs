//! One account's key in TLS. The accepted protocols are in [`letschat_protocol::tls`].

use std::sync::Arc;

use letschat_protocol::identity::{Identity, PublicKey};
use letschat_protocol::tls;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, Error, ServerConfig};

/// One account's key, for links to peers.
#[derive(Clone)]
pub(crate) struct PeerTls {
    own: Arc<CertifiedKey>,
}

impl PeerTls {
    /// Builds the TLS configs. Fails only if TLS can't use the key.
    pub(crate) fn new(identity: &Identity) -> Result<PeerTls, Error> {
        Ok(PeerTls { own: tls::raw_key(identity.public_key(), identity)? })
    }

    /// Returns the config to dial a peer that must have this key.
    pub(crate) fn dialler(&self, expected: PublicKey) -> Arc<ClientConfig> {
        tls::dialler(self.own.clone(), Some(expected))
    }

    /// Returns the config for links that arrive. The session judges their keys.
    pub(crate) fn receiver(&self) -> Arc<ServerConfig> {
        tls::receiver(self.own.clone())
    }
}

/// Returns true if a handshake failed because of the other side's key: it is another one, or not of
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
