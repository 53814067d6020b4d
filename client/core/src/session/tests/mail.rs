//! Messages in envelopes: the session against a server, a disk and an engine that the tests play.

use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::dialogue::{AccountKeys, DeviceKeys, Outcome, Posted};
use letschat_protocol::envelope::OpenError;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::{PREKEY_VALID_MS, PrekeyPublic, SignedPrekey, Suite};

use super::*;
use crate::conversation::{MessageState, Via};
use crate::event::RequestKind;
use crate::mail::{Arrived, Held, Outgoing, Received, Stage, StoredMail, StoredPrekey};

mod classroom;
mod faults;
mod files;
mod peering;
mod receiving;
mod sending;

/// The account's file and the engine's sealing, in memory.
#[derive(Debug, Default)]
pub(super) struct Disk {
    mail: StoredMail,
    /// True while nothing can be written.
    is_full: bool,
    /// The bodies that were sealed.
    sealed: Vec<Body>,
}

impl Disk {
    pub(super) fn stored(&self) -> StoredMail {
        self.mail.clone()
    }

    /// Returns the bodies that were sealed.
    pub(super) fn sealed(&self) -> &[Body] {
        &self.sealed
    }

    /// Answers an effect as the engine does.
    pub(super) fn answer(&mut self, effect: &Effect) -> Option<Input> {
        let full = || String::from("the disk is full");
        Some(match effect {
            Effect::Commit { commit, .. } if self.is_full => {
                Input::Committed { commit: *commit, result: Err(full()) }
            }
            Effect::Commit { commit, changes } => {
                changes.iter().for_each(|change| self.mail.apply(change));
                Input::Committed { commit: *commit, result: Ok(()) }
            }
            Effect::Seal { body, .. } => {
                self.sealed.push((**body).clone());
                Input::Sealed(Some(vec![7; 100]))
            }
            Effect::MakePrekey { .. } if self.is_full => Input::PrekeyMade(None),
            Effect::MakePrekey { created_ms, until_ms } => {
                let key = PrekeyPublic([self.mail.prekeys.len() as u8 + 1; 32]);
                let (created_ms, until_ms, published) = (*created_ms, *until_ms, None);
                let prekey = StoredPrekey { key, created_ms, until_ms, published };
                self.mail.prekeys.push(prekey);
                Input::PrekeyMade(Some(prekey))
            }
            _ => return None,
        })
    }
}

/// The time until which the played server keeps envelopes.
const UNTIL_MS: u64 = 1_763_700_000_000 + 14 * 24 * 60 * 60 * 1_000;

fn server_key() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

/// A played peer with one device.
struct Peer {
    name: &'static str,
    seed: u8,
}

const BOB: Peer = Peer { name: "bob", seed: 2 };
/// Somebody else with bob's name.
const OTHER_BOB: Peer = Peer { name: "bob", seed: 12 };

impl Peer {
    fn identity(&self) -> Identity {
        Identity::from_seed(&[self.seed; 32])
    }

    /// Returns the item of a reply to KEYS for this peer.
    fn keys(&self, until_ms: u64) -> DeviceKeys {
        let (identity, prekey) = (self.identity(), PrekeyPublic([9; 32]));
        let account = name(self.name);
        DeviceKeys {
            device: identity.public_key(),
            prekey: SignedPrekey::sign(&identity, &server_key(), &account, prekey, until_ms),
            used_ms: None,
        }
    }

    fn body(&self, place: Place, content: Content) -> Body {
        Body {
            suite: Suite::X25519,
            sender: name(self.name),
            device: self.identity().public_key(),
            list: DeviceListRef::default(),
            recipients: vec![name("alice")],
            conversation: "alice".into(),
            place,
            time_ms: 5,
            content,
        }
    }

    fn text(&self, number: u64, text: &str) -> Body {
        self.body(Place::Sequence(number), Content::Text(text.into()))
    }
}

impl TestSession {
    pub(super) fn send(&mut self, to: &str, text: &str) -> (RequestId, Vec<Effect>) {
        self.ask(Request::Send { to: to.into(), text: text.into() })
    }

    /// Answers KEYS.
    fn answer_keys(&mut self, listed: &[DeviceKeys]) -> Vec<Effect> {
        let reply = AccountKeys { devices: listed.to_vec(), ..AccountKeys::default() }.to_reply();
        self.put(Input::Server(FromServer::Reply(reply)))
    }

    fn answer_keys_of(&mut self, peer: &Peer) -> Vec<Effect> {
        let until_ms = self.now.wall_ms + PREKEY_VALID_MS;
        self.answer_keys(&[peer.keys(until_ms)])
    }

    /// Answers POST.
    fn answer_post(&mut self, peer: &Peer, outcome: Outcome) -> Vec<Effect> {
        let (recipient, device) = (name(peer.name), peer.identity().public_key());
        let item = Posted { recipient, device, outcome }.to_string();
        let reply = ServerReply::long(Code::Ok, [item], format!("{UNTIL_MS} 1"));
        self.put(Input::Server(FromServer::Reply(reply)))
    }

    /// Sends a text to a peer whose keys have to be fetched.
    fn post(&mut self, peer: &Peer, text: &str, outcome: Outcome) -> (RequestId, Vec<Effect>) {
        let (id, _) = self.send(peer.name, text);
        self.answer_keys_of(peer);
        (id, self.answer_post(peer, outcome))
    }

    /// Delivers an envelope.
    fn mail(&mut self, number: u64, sender: &str, opened: Result<Body, OpenError>) -> Vec<Effect> {
        let sender = name(sender);
        self.put(Input::Mail(Box::new(Arrived { number, sender, bytes: 700, opened })))
    }

    fn mail_of(&mut self, peer: &Peer, number: u64, body: Body) -> Vec<Effect> {
        self.mail(number, peer.name, Ok(body))
    }

    /// Answers an acknowledgement, and lets time pass until the next one can go.
    fn answer_acknowledgement(&mut self) -> Vec<Effect> {
        self.server(Code::Ok, "1");
        self.now.boot_ms += 50;
        self.put(Input::Tick)
    }

    /// Lets time pass until the server is dialled. Nobody else is reached.
    fn wait_for_dial(&mut self) {
        loop {
            let effects = self.wait();
            for (link, _) in peering::dials(&effects) {
                self.put(Input::PeerLost { link, why: PeerLoss::Unreachable });
            }
            if effects.iter().any(|effect| matches!(effect, Effect::DialServer)) {
                return;
            }
        }
    }

    /// Ends the process and starts another one with the same disk, logged in.
    pub(super) fn crash(&mut self) {
        let mut next = TestSession::new(None);
        next.now = self.now;
        next.disk = std::mem::take(&mut self.disk);
        let peers = self.session.peers();
        next.ask(log_in(Some("alice")));
        next.reach();
        next.open_account_with(peers, true);
        next.welcome();
        *self = next;
    }
}

/// Returns the states that were told of own messages.
fn states(effects: &[Effect]) -> Vec<(MessageState, Option<FailureCode>)> {
    let state = |event: &&Event| match event {
        Event::MessageState { state, code, .. } => Some((*state, *code)),
        _ => None,
    };
    told(effects).iter().filter_map(state).collect()
}

/// Returns the texts of others that were told.
fn shown(effects: &[Effect]) -> Vec<&str> {
    let mut texts = Vec::new();
    for event in told(effects) {
        if let Event::Message { own: false, text, .. } = event {
            texts.push(text.as_str());
        }
    }
    texts
}

/// Returns the numbers of the acknowledged deliveries.
fn acknowledged(effects: &[Effect]) -> Vec<u64> {
    let numbers = |effect: &Effect| match effect {
        Effect::SendServer(ServerRequest::Acknowledge { numbers }) => Some(numbers.clone()),
        _ => None,
    };
    effects.iter().filter_map(numbers).flatten().collect()
}

/// Returns the state and code of the answer to a request to send.
fn sent(effects: &[Effect], id: RequestId) -> (MessageState, Option<FailureCode>) {
    match answer(effects, id).unwrap().as_ref().unwrap() {
        Reply::Sent { state, code, .. } => (*state, *code),
        reply => panic!("{reply:?}"),
    }
}

fn notices(effects: &[Effect]) -> Vec<NoticeCode> {
    told(effects)
        .into_iter()
        .filter_map(|event| match event {
            Event::Notice { code, .. } => Some(*code),
            _ => None,
        })
        .collect()
}
