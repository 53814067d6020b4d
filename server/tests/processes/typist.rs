//! A TLS connection by which lines are typed, as a person or a program of another make would.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use letschat_protocol::dialogue::{Credentials, PROGRAM};
use letschat_protocol::frame::{Decoder, Frame, Mode};
use letschat_protocol::identity::{
    EXPORTER_CONTEXT_LOGIN, EXPORTER_LABEL, Identity, LoginStatement,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::client::PASSWORD;
use crate::programs::PATIENCE;
use crate::server::TestServer;

/// Types lines and reads lines.
pub(crate) struct Typist {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    decoder: Decoder,
    pub(crate) heard: Vec<String>,
}

impl Typist {
    pub(crate) fn connect(server: SocketAddr) -> Typist {
        Typist::over(TcpStream::connect(server).unwrap())
    }

    /// The same over a connection that is there.
    pub(crate) fn over(tcp: TcpStream) -> Typist {
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        let name = ServerName::try_from("letschat-server").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = StreamOwned::new(tls, tcp);
        Typist { stream, decoder: Decoder::new(), heard: Vec::new() }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.sends(format!("{line}\n").as_bytes());
    }

    /// Sends bytes as they are.
    pub(crate) fn sends(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next frame, or `None` when the server closed.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        let until = Instant::now() + PATIENCE;
        let mut bytes = [0; 4_096];
        loop {
            if let Some(frame) = self.decoder.next(Mode::Frame).unwrap() {
                self.heard.push(frame.as_line().to_owned());
                return Some(frame);
            }
            assert!(Instant::now() < until, "nothing more came after {:?}", self.heard);
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.decoder.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("nothing more came after {:?}", self.heard)
                }
                Err(_) => return None,
            }
        }
    }

    /// Waits for a line that begins like this.
    pub(crate) fn expects(&mut self, beginning: &str) -> String {
        loop {
            let Some(frame) = self.next_frame() else {
                panic!("the server closed before {beginning:?}: {:?}", self.heard);
            };
            if frame.as_line().starts_with(beginning) {
                return frame.as_line().to_owned();
            }
        }
    }

    /// Waits for the server to close.
    pub(crate) fn expects_end(&mut self) {
        while self.next_frame().is_some() {}
    }

    /// Says HELLO as a person, signs up and logs in.
    pub(crate) fn joins(server: SocketAddr, name: &str) -> Typist {
        let mut typist = Typist::connect(server);
        typist.expects("220 ");
        for (line, answer) in [
            ("HELLO", "300 "),
            ("SIGNUP", "331 "),
            (name, "332 "),
            (PASSWORD, "333 "),
            (PASSWORD, "201 "),
            ("LOGIN", "331 "),
            (name, "332 "),
            (PASSWORD, "230 "),
        ] {
            typist.types(line);
            typist.expects(answer);
        }
        typist
    }

    /// Says HELLO as a program, signs up, and logs in with a receiver at this port.
    pub(crate) fn joins_as_program(server: &TestServer, name: &str, port: u16) -> Typist {
        let mut typist = Typist::greeted_as_program(server.address);
        let payload = format!("{PASSWORD}\n{PASSWORD}");
        typist.types(&format!("SIGNUP {name} +{}\n{payload}", payload.len()));
        typist.expects("201 ");
        let credentials = typist.credentials(server, name, port);
        typist.types(&format!("LOGIN {name} {credentials} +{}\n{PASSWORD}", PASSWORD.len()));
        typist.expects("230 ");
        typist
    }

    /// Says HELLO as a program and no more.
    pub(crate) fn greeted_as_program(server: SocketAddr) -> Typist {
        let mut typist = Typist::connect(server);
        typist.expects("220 ");
        typist.types(&format!("HELLO {PROGRAM}"));
        typist.expects("300 ");
        typist
    }

    /// A new key, and the proof that this connection's end has it.
    pub(crate) fn credentials(&self, server: &TestServer, name: &str, port: u16) -> Credentials {
        let tls = &self.stream.conn;
        let context = Some(EXPORTER_CONTEXT_LOGIN);
        let binding = tls.export_keying_material([0; 32], EXPORTER_LABEL, context).unwrap();
        let (server, username) = (server.fingerprint.parse().unwrap(), name.parse().unwrap());
        let statement = LoginStatement { server: &server, username: &username, binding: &binding };
        let identity = Identity::generate().unwrap();
        let (key, signature) = (identity.public_key(), identity.sign_login(&statement));
        Credentials { key, signature, port, take: false }
    }
}

/// Takes any server for the right one: these tests are about what it says.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}
