//! A TLS connection that sends lines, as a person or another program would.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use letschat_protocol::dialogue::{Credentials, PROGRAM};
use letschat_protocol::frame::{Decoder, Frame, Mode};
use letschat_protocol::identity::{EXPORTER_CONTEXT_LOGIN, EXPORTER_LABEL, Identity};
use letschat_protocol::signing::LoginStatement;
use letschat_protocol::tls::unused_name;
use rustls::{ClientConnection, StreamOwned};

use crate::client::PASSWORD;
use crate::programs::PATIENCE;
use crate::server::TestServer;

/// A port without a listener, for users who get no calls.
pub const NO_RECEIVER: u16 = 9;

/// A connection that sends and reads lines.
pub struct Typist {
    /// The connection.
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    decoder: Decoder,
    /// All lines read so far.
    pub heard: Vec<String>,
}

impl Typist {
    /// Connects to a server.
    pub fn connect(server: SocketAddr) -> Typist {
        Typist::over(TcpStream::connect(server).unwrap())
    }

    /// Connects over this TCP connection.
    pub fn over(tcp: TcpStream) -> Typist {
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let stream = StreamOwned::new(tls(), tcp);
        Typist { stream, decoder: Decoder::new(), heard: Vec::new() }
    }

    /// Sends a line. Returns false if the connection has failed.
    pub fn tries_to_type(&mut self, line: &str) -> bool {
        let line = format!("{line}\n");
        self.stream.write_all(line.as_bytes()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Sends a line.
    pub fn types(&mut self, line: &str) {
        self.sends(format!("{line}\n").as_bytes());
    }

    /// Sends bytes unchanged.
    pub fn sends(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// Returns the next frame, or `None` when the server has closed.
    pub fn next_frame(&mut self) -> Option<Frame> {
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

    /// Waits for a line that starts like this.
    pub fn expects(&mut self, beginning: &str) -> String {
        loop {
            let Some(frame) = self.next_frame() else {
                panic!("the server closed before {beginning:?}: {:?}", self.heard);
            };
            if frame.as_line().starts_with(beginning) {
                return frame.as_line().to_owned();
            }
        }
    }

    /// Returns everything read, with words joined that a row had broken.
    pub fn put_together(&self) -> String {
        self.heard.join("\n").replace("\n*   ", "")
    }

    /// Waits for a word, which may be broken across rows.
    pub fn hears(&mut self, word: &str) {
        while !self.put_together().contains(word) {
            assert!(self.next_frame().is_some(), "no {word:?} in {:?}", self.heard);
        }
    }

    /// Waits until the server closes.
    pub fn expects_end(&mut self) {
        while self.next_frame().is_some() {}
    }

    /// Says HELLO as a person, signs up and logs in.
    pub fn joins(server: SocketAddr, name: &str) -> Typist {
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
    pub fn joins_as_program(server: &TestServer, name: &str, port: u16) -> Typist {
        Typist::joins_with_key(server, name, &Identity::generate().unwrap(), port)
    }

    /// Signs up and logs in as a program with this key.
    pub fn joins_with_key(
        server: &TestServer,
        name: &str,
        identity: &Identity,
        port: u16,
    ) -> Typist {
        let mut typist = Typist::greeted_as_program(server.address);
        let payload = format!("{PASSWORD}\n{PASSWORD}");
        typist.types(&format!("SIGNUP {name} +{}\n{payload}", payload.len()));
        typist.expects("201 ");
        let credentials = typist.credentials(&server.fingerprint, name, identity, port);
        typist.types(&format!("LOGIN {name} {credentials} +{}\n{PASSWORD}", PASSWORD.len()));
        typist.expects("230 ");
        typist
    }

    /// Connects and says HELLO as a program.
    pub fn greeted_as_program(server: SocketAddr) -> Typist {
        Typist::connect(server).says_hello()
    }

    /// Waits for the greeting and says HELLO as a program.
    pub fn says_hello(mut self) -> Typist {
        self.expects("220 ");
        self.types(&format!("HELLO {PROGRAM}"));
        self.expects("300 ");
        self
    }

    /// Logs in with a key that the account has. Returns the server's welcome.
    pub fn logs_in_by_key(
        &mut self,
        server: &TestServer,
        name: &str,
        identity: &Identity,
    ) -> String {
        let credentials = self.credentials(&server.fingerprint, name, identity, NO_RECEIVER);
        self.types(&format!("KEY {name} {credentials}"));
        self.expects("230 ")
    }

    /// Tries a password. Returns false if the connection has failed.
    pub fn tries_password(&mut self, fingerprint: &str, name: &str, password: &str) -> bool {
        let identity = Identity::generate().unwrap();
        let credentials = self.credentials(fingerprint, name, &identity, NO_RECEIVER);
        let length = password.len();
        self.tries_to_type(&format!("LOGIN {name} {credentials} +{length}\n{password}"))
    }

    /// Returns the keying material that both ends export (RFC 5705).
    pub fn exported(&self, context: &[u8]) -> [u8; 32] {
        let tls = &self.stream.conn;
        tls.export_keying_material([0; 32], EXPORTER_LABEL, Some(context)).unwrap()
    }

    /// Returns the TCP connection.
    pub fn tcp(&self) -> &TcpStream {
        &self.stream.sock
    }

    /// Returns the TLS state and the TCP connection, for a test that handles them itself.
    pub fn into_parts(self) -> (ClientConnection, TcpStream) {
        (self.stream.conn, self.stream.sock)
    }

    /// Returns a key, and the proof that this end of the connection has it.
    pub fn credentials(
        &self,
        fingerprint: &str,
        name: &str,
        identity: &Identity,
        port: u16,
    ) -> Credentials {
        let binding = self.exported(EXPORTER_CONTEXT_LOGIN);
        let (server, username) = (fingerprint.parse().unwrap(), name.parse().unwrap());
        let statement = LoginStatement { server: &server, username: &username, binding: &binding };
        let (key, signature) = (identity.public_key(), identity.sign(&statement));
        Credentials { key, signature, port, take: false }
    }
}

/// Returns a TLS client without a handshake that accepts any server.
pub fn tls() -> ClientConnection {
    ClientConnection::new(letschat_protocol::tls::client(), unused_name()).unwrap()
}
