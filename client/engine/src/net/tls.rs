//! Whom a link is with. TLS 1.3 throughout, without resumption.
//!
//! The server shows an X.509 certificate, of which only the key matters: no authority vouches for
//! it, the client remembers it (see [`trust`](crate::trust)). Peers show raw public keys (RFC 7250)
//! on both sides. Every verifier here also checks the signature over the handshake; without that a
//! key would prove nothing, since anybody can show anybody's public key.

use std::sync::Arc;

use letschat_protocol::datagram::DatagramKey;
use letschat_protocol::identity::{
    ChannelBinding, EXPORTER_CONTEXT_LOGIN, EXPORTER_CONTEXT_TO_CLIENT, EXPORTER_CONTEXT_TO_SERVER,
    EXPORTER_LABEL, Fingerprint, Identity, PublicKey,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, ParsedCertificate,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName,
    Error, ServerConfig, ServerConnection, SignatureScheme, version,
};

use crate::clock::TlsClock;

/// What both sides of a server link can export, and nobody else.
pub(crate) struct Exported {
    /// What a login signature is bound to.
    pub(crate) binding: ChannelBinding,
    /// Seals datagrams to the server.
    pub(crate) to_server: DatagramKey,
    /// Opens datagrams from the server.
    pub(crate) to_client: DatagramKey,
}

/// For a link to a server whose key is judged after the handshake and before the first word.
pub(crate) fn server_link_config() -> Arc<ClientConfig> {
    let verifier = Arc::new(AnyServerKey(provider().signature_verification_algorithms));
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .expect("the provider has all of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.time_provider = Arc::new(TlsClock);
    config.enable_sni = false;
    Arc::new(config)
}

/// The name that TLS wants and nothing depends on: it is neither sent nor compared.
pub(crate) fn unused_name() -> ServerName<'static> {
    ServerName::try_from("letschat").expect("one label of letters is a name")
}

/// The fingerprint of the key that the server proved to have.
pub(crate) fn server_fingerprint(connection: &ClientConnection) -> Option<Fingerprint> {
    let certificate = connection.peer_certificates()?.first()?;
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Fingerprint::of_spki(&parsed.subject_public_key_info()))
}

/// Draws the keys of a session (RFC 5705). Fails only before the handshake's end.
pub(crate) fn export(connection: &ClientConnection) -> Result<Exported, Error> {
    let draw =
        |context: &[u8]| connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(context));
    Ok(Exported {
        binding: draw(EXPORTER_CONTEXT_LOGIN)?,
        to_server: draw(EXPORTER_CONTEXT_TO_SERVER)?,
        to_client: draw(EXPORTER_CONTEXT_TO_CLIENT)?,
    })
}

/// One account's key, as links to peers use it.
#[derive(Clone)]
pub(crate) struct PeerTls {
    own: Arc<CertifiedKey>,
}

impl PeerTls {
    /// Fails only if TLS can't use the key.
    pub(crate) fn new(identity: &Identity) -> Result<PeerTls, Error> {
        let private = PrivateKeyDer::Pkcs8(identity.to_pkcs8().to_vec().into());
        let signer = provider().key_provider.load_private_key(private)?;
        let public = CertificateDer::from(identity.public_key().to_spki());
        Ok(PeerTls { own: Arc::new(CertifiedKey::new(vec![public], signer)) })
    }

    /// For a link that is dialled to somebody who must have this key.
    pub(crate) fn dialler(&self, expected: PublicKey) -> Arc<ClientConfig> {
        let own = AlwaysResolvesClientRawPublicKeys::new(self.own.clone());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .expect("the provider has all of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ExactPeerKey::new(expected)))
            .with_client_cert_resolver(Arc::new(own));
        config.resumption = Resumption::disabled();
        config.time_provider = Arc::new(TlsClock);
        config.enable_sni = false;
        Arc::new(config)
    }

    /// For links that arrive: from whom, is for the session to judge.
    pub(crate) fn receiver(&self) -> Arc<ServerConfig> {
        let own = AlwaysResolvesServerRawPublicKeys::new(self.own.clone());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .expect("the provider has all of TLS 1.3")
            .with_client_cert_verifier(Arc::new(AnyPeerKey::new()))
            .with_cert_resolver(Arc::new(own));
        config.send_tls13_tickets = 0;
        config.time_provider = Arc::new(TlsClock);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Arc::new(config)
    }
}

/// The key that the other side of an arrived link proved to have.
pub(crate) fn arrived_key(connection: &ServerConnection) -> Option<PublicKey> {
    PublicKey::from_spki(connection.peer_certificates()?.first()?).ok()
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

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Takes any certificate whose key signed the handshake.
#[derive(Debug)]
struct AnyServerKey(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyServerKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        ParsedCertificate::try_from(end_entity).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Takes one raw public key alone.
#[derive(Debug)]
struct ExactPeerKey {
    expected: PublicKey,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ExactPeerKey {
    fn new(expected: PublicKey) -> ExactPeerKey {
        ExactPeerKey { expected, algorithms: provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for ExactPeerKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if peer_key(end_entity)? == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_with_raw_key(message, key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Takes any raw Ed25519 public key.
#[derive(Debug)]
struct AnyPeerKey {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyPeerKey {
    fn new() -> AnyPeerKey {
        AnyPeerKey { algorithms: provider().signature_verification_algorithms }
    }
}

impl ClientCertVerifier for AnyPeerKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        peer_key(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_with_raw_key(message, key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn peer_key(spki: &CertificateDer<'_>) -> Result<PublicKey, Error> {
    PublicKey::from_spki(spki).map_err(|_| CertificateError::BadEncoding.into())
}

fn verify_with_raw_key(
    message: &[u8],
    key: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = SubjectPublicKeyInfoDer::from(key.as_ref());
    verify_tls13_signature_with_raw_key(message, &spki, signature, algorithms)
}

fn only_tls13() -> Error {
    Error::General("only TLS 1.3 is spoken here".into())
}
