//! An approved peer that speaks the peer protocol by hand and can break its rules.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::ops::RangeInclusive;

use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::Identity;
use letschat_protocol::peer::{ChatId, PeerMessage};
use letschat_protocol::tls;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::client::TestClient;
use crate::programs::PATIENCE;
use crate::server::TestServer;
use crate::typist::{NO_RECEIVER, Typist};

/// The id of its chats.
const CHAT: ChatId = ChatId(7);

/// A logged-in user without a client.
pub struct Rogue {
    name: String,
    identity: Identity,
    /// Keeps the rogue logged in while it lives.
    typist: Typist,
}

/// A link from a rogue to a receiver.
pub struct RogueLink {
    stream: StreamOwned<ClientConnection, TcpStream>,
    decoder: Decoder,
}

impl Rogue {
    /// Signs up and logs in.
    pub fn join(server: &TestServer, name: &str) -> Rogue {
        let identity = Identity::generate().unwrap();
        let typist = Typist::joins_with_key(server, name, &identity, NO_RECEIVER);
        Rogue { name: name.to_owned(), identity, typist }
    }

    /// Asks the server for an introduction, and calls.
    pub fn calls(&mut self, who: &str) -> RogueLink {
        self.typist.types(&format!("CONNECT {who}"));
        // The words are CODE NAME ADDRESS PORT KEY.
        let introduction = self.typist.expects("250 ");
        let words: Vec<&str> = introduction.split(' ').collect();
        let (host, port): (IpAddr, u16) = (words[2].parse().unwrap(), words[3].parse().unwrap());
        let mut link = RogueLink::dial(SocketAddr::new(host, port), &self.identity);
        link.says([PeerMessage::Call { chat: CHAT, from: self.name.parse().unwrap() }]);
        link
    }

    /// Calls, and has the call approved.
    pub fn chats_with(&mut self, who: &mut TestClient) -> RogueLink {
        let mut link = self.calls(&who.name);
        who.wait_event_with("request", "from", &self.name);
        let id = who.tell("approve", json!({"who": self.name}));
        link.is_approved();
        who.reply(id);
        link
    }
}

impl RogueLink {
    /// Dials a receiver.
    pub fn dial(to: SocketAddr, identity: &Identity) -> RogueLink {
        let tcp = TcpStream::connect(to).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let own = tls::raw_key(identity.public_key(), identity).unwrap();
        let tls = ClientConnection::new(tls::dialler(own, None), tls::unused_name()).unwrap();
        RogueLink { stream: StreamOwned::new(tls, tcp), decoder: Decoder::new() }
    }

    /// Waits for the approval and opens the chat.
    pub fn is_approved(&mut self) {
        self.waits_for(&PeerMessage::Approve);
        self.says([PeerMessage::Open]);
    }

    /// Sends messages unchanged.
    pub fn says(&mut self, messages: impl IntoIterator<Item = PeerMessage>) {
        let mut bytes = Vec::new();
        messages.into_iter().for_each(|message| message.to_frame().encode(&mut bytes));
        self.stream.write_all(&bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// Returns the peer's next message, or `None` when it has closed.
    pub fn hears(&mut self) -> Option<PeerMessage> {
        let mut bytes = [0; 4_096];
        loop {
            if let Some(frame) = self.decoder.next(Mode::Frame).unwrap() {
                return Some(PeerMessage::from_frame(&frame).unwrap());
            }
            match self.stream.read(&mut bytes) {
                Ok(count @ 1..) => self.decoder.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing comes"),
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// Waits until the peer sends this message.
    pub fn waits_for(&mut self, wanted: &PeerMessage) {
        while self.hears().unwrap_or_else(|| panic!("it closed before {wanted:?}")) != *wanted {}
    }

    /// Sends messages, numbered from `first`, until the peer closes.
    pub fn floods_without_end(mut self, first: u64) {
        let mut bytes = Vec::new();
        for number in first.. {
            PeerMessage::Message { number, text: "x".into() }.to_frame().encode(&mut bytes);
            if number % 512 == 0 {
                let sent = self.stream.write_all(&bytes).and_then(|()| self.stream.flush());
                if sent.is_err() {
                    return;
                }
                bytes.clear();
            }
        }
    }

    /// Sends messages with these numbers as fast as possible.
    pub fn floods(&mut self, numbers: RangeInclusive<u64>, text: &str) {
        let numbers: Vec<u64> = numbers.collect();
        for some in numbers.chunks(512) {
            let text = text.to_owned();
            self.says(
                some.iter().map(|&number| PeerMessage::Message { number, text: text.clone() }),
            );
        }
    }
}
