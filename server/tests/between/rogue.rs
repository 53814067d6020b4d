//! A peer that is approved and then does as it likes: it speaks the peer protocol by hand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use letschat_protocol::frame::{Decoder, Frame, Mode};
use letschat_protocol::identity::Identity;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::client::TestClient;
use crate::keys::peer_client_config;
use crate::programs::PATIENCE;
use crate::server::TestServer;
use crate::typist::Typist;

/// Its chats have this name.
const CHAT: u128 = 7;

/// A member without a client.
pub(crate) struct Rogue {
    name: String,
    identity: Identity,
    /// As long as it lives the rogue is logged in.
    typist: Typist,
}

/// A link of a rogue's to somebody's receiver.
pub(crate) struct RogueLink {
    stream: StreamOwned<ClientConnection, TcpStream>,
    decoder: Decoder,
}

impl Rogue {
    /// Signs up and logs in.
    pub(crate) fn join(server: &TestServer, name: &str) -> Rogue {
        let identity = Identity::generate().unwrap();
        let typist = Typist::joins_with_key(server, name, &identity);
        Rogue { name: name.to_owned(), identity, typist }
    }

    /// Has itself introduced to somebody, and calls.
    pub(crate) fn calls(&mut self, who: &str) -> RogueLink {
        self.typist.types(&format!("CONNECT {who}"));
        // NAME ADDRESS PORT KEY
        let introduction = self.typist.expects("250 ");
        let words: Vec<&str> = introduction.split(' ').collect();
        let (host, port): (IpAddr, u16) = (words[2].parse().unwrap(), words[3].parse().unwrap());
        let host = if host.is_loopback() { host } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let mut link = RogueLink::dial(SocketAddr::new(host, port), &self.identity);
        link.sends(&format!("CALL {CHAT:032x} {}\n", self.name));
        link
    }

    /// Calls, and is approved.
    pub(crate) fn chats_with(&mut self, who: &mut TestClient) -> RogueLink {
        let mut link = self.calls(&who.name);
        who.wait_event_with("request", "from", &self.name);
        let id = who.tell("approve", json!({"who": self.name}));
        link.is_approved();
        who.reply(id);
        link
    }
}

impl RogueLink {
    fn dial(to: SocketAddr, identity: &Identity) -> RogueLink {
        let tcp = TcpStream::connect(to).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("letschat").unwrap();
        let tls = ClientConnection::new(Arc::new(peer_client_config(identity)), name).unwrap();
        RogueLink { stream: StreamOwned::new(tls, tcp), decoder: Decoder::new() }
    }

    /// Waits for the approval, and opens the chat.
    pub(crate) fn is_approved(&mut self) {
        while self.next_frame().expect("it is approved").as_line() != "APPROVE" {}
        self.sends("OPEN\n");
    }

    pub(crate) fn sends(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next frame, or `None` when the other side closed.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        let mut bytes = [0; 4_096];
        loop {
            if let Some(frame) = self.decoder.next(Mode::Frame).unwrap() {
                return Some(frame);
            }
            match self.stream.read(&mut bytes) {
                Ok(count @ 1..) => self.decoder.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing comes"),
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// Sends messages with these numbers as fast as they are taken, each with this text.
    pub(crate) fn floods(&mut self, numbers: std::ops::RangeInclusive<u64>, text: &str) {
        let numbers: Vec<u64> = numbers.collect();
        for some in numbers.chunks(512) {
            let lines = some.iter().map(|n| format!("MESSAGE {n} +{}\n{text}\n", text.len()));
            self.sends(&lines.collect::<String>());
        }
    }

    /// Waits until everything up to this message is acknowledged.
    pub(crate) fn waits_for_acknowledgement(&mut self, number: u64) {
        loop {
            let frame = self.next_frame().expect("the link is up");
            if frame.as_line() == format!("ACK {number}") {
                return;
            }
        }
    }
}
