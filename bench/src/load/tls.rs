//! How the clients speak TLS: as people's do, TLS 1.3 with whoever has the server's key.

use std::sync::Arc;

use letschat_protocol::datagram::DatagramKey;
use letschat_protocol::identity::{
    ChannelBinding, EXPORTER_CONTEXT_LOGIN, EXPORTER_CONTEXT_TO_CLIENT, EXPORTER_CONTEXT_TO_SERVER,
    EXPORTER_LABEL, Fingerprint,
};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, version,
};

/// What is known when the handshake is done.
pub(super) struct Secured {
    pub(super) fingerprint: Fingerprint,
    pub(super) binding: ChannelBinding,
    pub(super) to_server: DatagramKey,
    pub(super) to_client: DatagramKey,
}

/// For all clients.
pub(super) fn config() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyServer(provider.signature_verification_algorithms));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// A connection that has yet to shake hands.
pub(super) fn connection(config: Arc<ClientConfig>) -> Result<ClientConnection, Error> {
    // A name is wanted, though it is neither sent nor compared.
    let name =
        ServerName::try_from("letschat").map_err(|error| Error::General(error.to_string()))?;
    ClientConnection::new(config, name)
}

/// Draws what both ends know after the handshake (RFC 5705).
pub(super) fn secured(connection: &ClientConnection) -> Result<Secured, Error> {
    let draw =
        |context: &[u8]| connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(context));
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.ok_or(Error::NoCertificatesPresented)?;
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(Secured {
        fingerprint: Fingerprint::of_spki(&parsed.subject_public_key_info()),
        binding: draw(EXPORTER_CONTEXT_LOGIN)?,
        to_server: draw(EXPORTER_CONTEXT_TO_SERVER)?,
        to_client: draw(EXPORTER_CONTEXT_TO_CLIENT)?,
    })
}

/// Takes any key that signed the handshake, as a client does at first sight. The signature is
/// verified, since people's clients take that time too.
#[derive(Debug)]
struct AnyServer(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyServer {
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
        Err(Error::General("only TLS 1.3 is spoken here".into()))
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
