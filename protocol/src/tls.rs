//! TLS for both programs (feature `tls`): version 1.3 alone, without resumption and tickets.
//!
//! A server presents an X.509 certificate, of which only the key matters: no authority signs it,
//! and clients remember the key. Peers present raw public keys (RFC 7250) on both sides. Every
//! verifier checks the signature over the handshake, because anybody can present somebody else's
//! public key.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature,
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
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, ConfigBuilder, ConnectionCommon,
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, ServerConnection,
    SignatureScheme, WantsVerifier, version,
};

use crate::datagram::DatagramKeys;
use crate::identity::{
    ChannelBinding, EXPORTER_CONTEXT_LOGIN, EXPORTER_CONTEXT_TO_CLIENT, EXPORTER_CONTEXT_TO_SERVER,
    EXPORTER_LABEL, Fingerprint, Identity, PublicKey,
};

/// Returns the config of a server with this certificate.
///
/// # Errors
///
/// Fails if the key is not the certificate's, or of a kind that TLS can't use.
pub fn server(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, Error> {
    let config = tls13(ServerConfig::builder_with_details(provider(), Arc::new(NoTime)))
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(without_tickets(config))
}

/// Returns the config of a client that accepts any server key: the caller checks
/// [`server_fingerprint`].
pub fn client() -> Arc<ClientConfig> {
    let verifier = Arc::new(Verifier::new(Accepted::AnyCertificate));
    let config = tls13(ClientConfig::builder_with_details(provider(), Arc::new(NoTime)))
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    without_resumption(config)
}

/// Returns the config for dialling a peer with the expected key, or with any key for `None`.
pub fn dialler(own: Arc<CertifiedKey>, expected: Option<PublicKey>) -> Arc<ClientConfig> {
    let accepted = expected.map_or(Accepted::AnyPeer, Accepted::Peer);
    let config = tls13(ClientConfig::builder_with_details(provider(), Arc::new(NoTime)))
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(accepted)))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(own)));
    without_resumption(config)
}

/// Returns the config for links from peers with any key: the caller checks [`arrived_key`].
pub fn receiver(own: Arc<CertifiedKey>) -> Arc<ServerConfig> {
    let config = tls13(ServerConfig::builder_with_details(provider(), Arc::new(NoTime)))
        .with_client_cert_verifier(Arc::new(Verifier::new(Accepted::AnyPeer)))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(own)));
    without_tickets(config)
}

/// Returns a raw public key to present to peers, with the private key that signs for it.
///
/// # Errors
///
/// Fails if TLS can't use the private key.
pub fn raw_key(shown: PublicKey, private: &Identity) -> Result<Arc<CertifiedKey>, Error> {
    let private = PrivateKeyDer::Pkcs8(private.to_pkcs8().to_vec().into());
    let signer = provider().key_provider.load_private_key(private)?;
    let shown = CertificateDer::from(shown.to_spki());
    Ok(Arc::new(CertifiedKey::new(vec![shown], signer)))
}

/// Returns the server name that the TLS library requires. It is neither sent nor compared.
pub fn unused_name() -> ServerName<'static> {
    ServerName::try_from("letschat").expect("one label of letters is a name")
}

/// Returns the fingerprint of the server's proven key.
pub fn server_fingerprint(connection: &ClientConnection) -> Option<Fingerprint> {
    fingerprint(connection.peer_certificates()?.first()?).ok()
}

/// Returns the fingerprint of a certificate's key.
///
/// # Errors
///
/// Fails if it is no X.509 certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Result<Fingerprint, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(Fingerprint::of_spki(&parsed.subject_public_key_info()))
}

/// Returns the proven key of the peer on an incoming link.
pub fn arrived_key(connection: &ServerConnection) -> Option<PublicKey> {
    PublicKey::from_spki(connection.peer_certificates()?.first()?).ok()
}

/// The values that only the two ends of a server link can export.
pub struct Exported {
    /// The channel binding of a login signature.
    pub binding: ChannelBinding,
    /// The keys that seal datagrams.
    pub keys: DatagramKeys,
}

/// Exports the keys of a session (RFC 5705).
///
/// # Errors
///
/// Fails if the handshake is not complete.
pub fn export<Data>(connection: &ConnectionCommon<Data>) -> Result<Exported, Error> {
    let draw =
        |context: &[u8]| connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(context));
    Ok(Exported {
        binding: draw(EXPORTER_CONTEXT_LOGIN)?,
        keys: DatagramKeys {
            to_server: draw(EXPORTER_CONTEXT_TO_SERVER)?,
            to_client: draw(EXPORTER_CONTEXT_TO_CLIENT)?,
        },
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn tls13<Side: rustls::ConfigSide>(
    builder: ConfigBuilder<Side, rustls::WantsVersions>,
) -> ConfigBuilder<Side, WantsVerifier> {
    builder.with_protocol_versions(&[&version::TLS13]).expect("the provider has all of TLS 1.3")
}

fn without_resumption(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Arc::new(config)
}

/// Disables tickets and resumption: a session that can be resumed needs a secret that outlives it.
fn without_tickets(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}

/// A constant time for TLS. Nothing depends on it: no certificate expires, and no session is
/// resumed. The clock of rustls panics before 1970.
#[derive(Debug)]
struct NoTime;

impl TimeProvider for NoTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::ZERO))
    }
}

/// The keys that a verifier accepts.
#[derive(Debug, Clone, Copy)]
enum Accepted {
    /// Any key in an X.509 certificate.
    AnyCertificate,
    /// Any raw Ed25519 key.
    AnyPeer,
    /// This raw Ed25519 key alone.
    Peer(PublicKey),
}

/// A verifier that accepts a key which is allowed and signed the handshake.
#[derive(Debug)]
struct Verifier {
    accepted: Accepted,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(accepted: Accepted) -> Verifier {
        Verifier { accepted, algorithms: provider().signature_verification_algorithms }
    }

    fn judge(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let key = || PublicKey::from_spki(shown).map_err(|_| CertificateError::BadEncoding.into());
        match self.accepted {
            Accepted::AnyCertificate => ParsedCertificate::try_from(shown).map(drop),
            Accepted::AnyPeer => key().map(drop),
            Accepted::Peer(expected) if key()? == expected => Ok(()),
            Accepted::Peer(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.has_raw_key() {
            let spki = SubjectPublicKeyInfoDer::from(shown.as_ref());
            verify_tls13_signature_with_raw_key(message, &spki, signature, &self.algorithms)
        } else {
            verify_tls13_signature(message, shown, signature, &self.algorithms)
        }
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        match self.has_raw_key() {
            true => vec![SignatureScheme::ED25519],
            false => self.algorithms.supported_schemes(),
        }
    }

    fn has_raw_key(&self) -> bool {
        !matches!(self.accepted, Accepted::AnyCertificate)
    }
}

fn only_tls13() -> Error {
    Error::General("only TLS 1.3 is spoken here".into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(shown).map(|()| ServerCertVerified::assertion())
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
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.has_raw_key()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(shown).map(|()| ClientCertVerified::assertion())
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
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.has_raw_key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::NamedGroup;
    use rustls::crypto::SupportedKxGroup;
    use rustls::pki_types::PrivatePkcs8KeyDer;

    fn server_config() -> Arc<ServerConfig> {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        server(certificate.der().clone(), key.into()).unwrap()
    }

    fn peer() -> Arc<CertifiedKey> {
        let identity = Identity::generate().unwrap();
        raw_key(identity.public_key(), &identity).unwrap()
    }

    /// Shakes hands in memory. Returns the group of the key exchange.
    fn negotiated(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> NamedGroup {
        let mut client = ClientConnection::new(client, unused_name()).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut &bytes[..]).unwrap();
            server.process_new_packets().unwrap();
            bytes.clear();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut &bytes[..]).unwrap();
            client.process_new_packets().unwrap();
        }
        let groups =
            [client.negotiated_key_exchange_group(), server.negotiated_key_exchange_group()];
        let [ours, theirs] = groups.map(|group| group.map(SupportedKxGroup::name).unwrap());
        assert_eq!(ours, theirs);
        ours
    }

    #[test]
    fn current_programs_exchange_keys_with_ml_kem() {
        let hybrid = NamedGroup::X25519MLKEM768;
        assert_eq!(negotiated(client(), server_config()), hybrid);
        assert_eq!(negotiated(dialler(peer(), None), receiver(peer())), hybrid);
    }

    #[test]
    fn older_programs_exchange_keys_with_x25519() {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        let verifier = Arc::new(Verifier::new(Accepted::AnyCertificate));
        let older = tls13(ClientConfig::builder_with_details(Arc::new(provider), Arc::new(NoTime)))
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        assert_eq!(negotiated(Arc::new(older), server_config()), NamedGroup::X25519);
    }
}
