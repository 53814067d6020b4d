//! Being asked: who it is, what the user says, and two who call each other.

use std::net::SocketAddr;

use letschat_protocol::dialogue::Introduction;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::{APPROVAL_MS, Arrived, Asked, AskedStage, Introduced, Stage, changed_key};
use crate::event::{Event, KeyState, fingerprint};
use crate::session::chat::Chat;
use crate::session::{Effect, LinkId, LinkUse, Now, Reply, RequestId, Session};

/// The caller confirms within this time.
const OPENING_MS: u64 = 10_000;
/// A call that comes before its introduction waits this long for it.
const INTRODUCTION_WAIT_MS: u64 = 5_000;
/// An introduction is good for this long.
const INTRODUCED_MS: u64 = 120_000;
/// A link that arrived says what it wants within this time.
const FIRST_WORD_MS: u64 = 10_000;
/// Requests that wait for the user at most.
const MAX_ASKED: usize = 16;
/// Links that arrived and introductions that are remembered, at most.
const MAX_ARRIVED: usize = 64;
const MAX_INTRODUCED: usize = 256;

/// What those do whom the user can approve or deny.
const ASKING: &str = "asks for a chat";

impl Session {
    /// The server vouches for somebody who is about to call.
    pub(in crate::session) fn introduced(&mut self, now: Now, who: Introduction) {
        self.introduced.retain(|_, introduced| introduced.until_ms > now.boot_ms);
        if self.introduced.len() >= MAX_INTRODUCED {
            return;
        }
        let key = who.key;
        let until_ms = now.boot_ms + INTRODUCED_MS;
        self.introduced.insert(key, Introduced { who, until_ms });
        let waiting = self.arrived.iter().find_map(|(link, arrived)| {
            let chat = arrived.called.filter(|_| arrived.key == key)?;
            Some((*link, chat))
        });
        if let Some((link, chat)) = waiting {
            self.called(now, link, chat);
        }
    }

    pub(in crate::session) fn peer_arrived(
        &mut self,
        now: Now,
        link: LinkId,
        key: PublicKey,
        from: SocketAddr,
    ) {
        if self.account.is_none() || self.arrived.len() >= MAX_ARRIVED {
            return self.effects.push(Effect::ClosePeer { link });
        }
        let due_ms = now.boot_ms + FIRST_WORD_MS;
        self.arrived.insert(link, Arrived { key, from, called: None, due_ms });
    }

    pub(super) fn newcomer_said(&mut self, now: Now, link: LinkId, message: PeerMessage) {
        let Some(arrived) = self.arrived.get(&link) else {
            return;
        };
        match message {
            PeerMessage::Call { chat, .. } if arrived.called.is_none() => {
                self.called(now, link, chat);
            }
            PeerMessage::Resume { chat, received } => {
                let key = arrived.key;
                self.resumed_by_peer(now, link, key, chat, received);
            }
            PeerMessage::Ping | PeerMessage::Pong => {}
            _ => self.close_link(link),
        }
    }

    /// Somebody calls. Who it is, the server or one's own memory says, by the key.
    fn called(&mut self, now: Now, link: LinkId, chat: ChatId) {
        let Some(arrived) = self.arrived.get_mut(&link) else {
            return;
        };
        let (key, from) = (arrived.key, arrived.from);
        let introduced = self.introduced.get(&key).filter(|one| one.until_ms > now.boot_ms);
        let by_server = introduced.map(|one| one.who.clone());
        let by_memory = || {
            let peers = &self.account.as_ref()?.peers;
            let (who, _) = peers.iter().find(|(_, known)| known.key == key)?;
            Some(who.clone())
        };
        let (who, receiver) = match by_server {
            Some(introduction) => (introduction.username, Some(introduction.receiver)),
            None => match by_memory() {
                Some(who) => (who, None),
                None => {
                    arrived.called = Some(chat);
                    arrived.due_ms = now.boot_ms + INTRODUCTION_WAIT_MS;
                    return;
                }
            },
        };
        if self.calls.contains_key(&who) {
            return self.both_call(now, &who, link, chat, key, receiver);
        }
        self.arrived.remove(&link);
        self.ring(now, who, link, chat, key, receiver, from);
    }

    #[allow(clippy::too_many_arguments)] // what is known of a call, each thing once
    fn ring(
        &mut self,
        now: Now,
        who: Username,
        link: LinkId,
        chat: ChatId,
        key: PublicKey,
        receiver: Option<SocketAddr>,
        from: SocketAddr,
    ) {
        if self.is_blocked(&who) {
            return self.ignore(now, link);
        }
        if let Some(older) = self.asked.remove(&who) {
            self.close_link(older.link);
            self.fail_all(older.waiting, "withdrawn", "They called anew; approve that.");
        }
        if self.asked.len() >= MAX_ASKED {
            self.effects
                .push(Effect::SendPeer { link, message: PeerMessage::Refuse(Refusal::Busy) });
            return self.close_link(link);
        }
        let state = self.key_state(&who, &key);
        if state == KeyState::Changed {
            self.offered.insert(who.clone(), key);
        }
        self.links.insert(link, LinkUse::Asked(who.clone()));
        self.effects.push(Effect::SendPeer { link, message: PeerMessage::Ringing });
        self.tell(Event::Request {
            from: who.clone(),
            address: from.ip().to_canonical().to_string(),
            fingerprint: fingerprint(&key),
            key: state,
            time_ms: now.wall_ms,
        });
        let asked = Asked {
            link,
            chat,
            key,
            receiver,
            stage: AskedStage::Ringing,
            waiting: Vec::new(),
            due_ms: now.boot_ms + APPROVAL_MS,
            switch: false,
        };
        self.asked.insert(who, asked);
    }

    /// Both call at the same moment. The lower fingerprint's link stays; the other is kept as a
    /// way out by the lower one, and accepted in turn by the higher one.
    fn both_call(
        &mut self,
        now: Now,
        who: &Username,
        link: LinkId,
        chat: ChatId,
        key: PublicKey,
        receiver: Option<SocketAddr>,
    ) {
        let own = self.account.as_ref().map(|account| account.identity.public_key().fingerprint());
        self.arrived.remove(&link);
        if self.key_state(who, &key) == KeyState::Changed {
            return self.close_link(link);
        }
        if own < Some(key.fingerprint()) {
            let older = match self.calls.get_mut(who) {
                Some(call) => call.parked.replace((link, chat)),
                None => None,
            };
            self.links.insert(link, LinkUse::Asked(who.clone()));
            if let Some((older, _)) = older {
                self.close_link(older);
            }
            return;
        }
        let Some(call) = self.calls.remove(who) else {
            return;
        };
        if let Stage::Calling { link: own, .. } = call.stage {
            self.close_link(own);
        }
        let wish = (call.waiting, call.switch);
        self.accept_in_turn(now, who, link, chat, (key, receiver), wish);
    }

    /// Approves a call because one called oneself.
    pub(super) fn accept_in_turn(
        &mut self,
        now: Now,
        who: &Username,
        link: LinkId,
        chat: ChatId,
        (key, receiver): (PublicKey, Option<SocketAddr>),
        (waiting, switch): (Vec<RequestId>, bool),
    ) {
        self.links.insert(link, LinkUse::Asked(who.clone()));
        self.effects.push(Effect::SendPeer { link, message: PeerMessage::Approve });
        let asked = Asked {
            link,
            chat,
            key,
            receiver,
            stage: AskedStage::Approved,
            waiting,
            due_ms: now.boot_ms + OPENING_MS,
            switch,
        };
        self.asked.insert(who.clone(), asked);
    }

    pub(in crate::session) fn approve(&mut self, now: Now, id: RequestId, who: Option<String>) {
        let who = match Session::choose(ASKING, who.as_deref(), self.asked.keys()) {
            Ok(who) => who,
            Err(failure) => return self.fail(id, failure.code, failure.message),
        };
        let Some(key) = self.asked.get(&who).map(|asked| asked.key) else {
            return;
        };
        if self.key_state(&who, &key) == KeyState::Changed {
            return self.fail(id, "key_changed", changed_key(&who));
        }
        let Some(asked) = self.asked.get_mut(&who) else {
            return;
        };
        asked.waiting.push(id);
        if asked.stage == AskedStage::Ringing {
            asked.stage = AskedStage::Approved;
            asked.due_ms = now.boot_ms + OPENING_MS;
            let link = asked.link;
            self.effects.push(Effect::SendPeer { link, message: PeerMessage::Approve });
        }
    }

    pub(in crate::session) fn deny(&mut self, id: RequestId, who: Option<String>) {
        match Session::choose(ASKING, who.as_deref(), self.asked.keys()) {
            Ok(who) => {
                self.turn_down(&who, Refusal::Denied);
                self.answer(id, Reply::Done {});
            }
            Err(failure) => self.fail(id, failure.code, failure.message),
        }
    }

    pub(in crate::session) fn turn_down(&mut self, who: &Username, why: Refusal) {
        if let Some(asked) = self.asked.remove(who) {
            let message = PeerMessage::Refuse(why);
            self.effects.push(Effect::SendPeer { link: asked.link, message });
            self.close_link(asked.link);
            self.fail_all(asked.waiting, "withdrawn", "The request is over.");
        }
    }

    pub(super) fn asker_said(&mut self, now: Now, who: &Username, message: PeerMessage) {
        match message {
            PeerMessage::Ping | PeerMessage::Pong => {}
            PeerMessage::Open => {
                let approved = self.asked.get(who).is_some_and(|a| a.stage == AskedStage::Approved);
                if !approved {
                    return self.asker_gone(who);
                }
                if let Some(asked) = self.asked.remove(who) {
                    let Asked { link, chat, key, receiver, waiting, switch, .. } = asked;
                    let chat = Chat::new(who, chat, key, receiver, false, link, now);
                    self.open_chat(now, who, chat, waiting, switch);
                }
            }
            _ => self.asker_gone(who),
        }
    }

    /// Whoever asked hung up.
    pub(in crate::session) fn asker_gone(&mut self, who: &Username) {
        if let Some(asked) = self.asked.remove(who) {
            self.close_link(asked.link);
            let message = format!("{who} hung up.");
            self.fail_all(asked.waiting, "withdrawn", &message);
            self.tell(Event::RequestEnded { from: who.clone(), reason: "withdrawn" });
        }
        if let Some(call) = self.calls.get_mut(who)
            && let Some((link, _)) = call.parked.take()
        {
            self.close_link(link);
        }
    }
}
