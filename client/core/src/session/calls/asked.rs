//! Being asked: who it is, what the user says, and two who call each other.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::dialogue::Introduction;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::{APPROVAL_MS, Arrived, Asked, AskedPhase, CallPhase, Introduced};
use crate::codes::RequestEnd;
use crate::crowd::{gives_way, network};
use crate::event::{Event, KeyState, fingerprint};
use crate::failure::{Among, Failure, Withdrawal};
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
/// Links that arrived and are not understood yet, at most. Beyond that the oldest of the address
/// with the most gives way.
const MAX_ARRIVED: usize = 64;
/// Introductions that are remembered, at most: of one user, and in all. Beyond that the oldest gives
/// way, so that nobody who is introduced again and again keeps others out.
const MAX_INTRODUCED_OF_ONE: usize = 4;
const MAX_INTRODUCED: usize = 256;

/// What those do whom the user can approve or deny.
impl Session {
    /// The server vouches for somebody who is about to call.
    pub(in crate::session) fn introduced(&mut self, now: Now, who: Introduction) {
        let (key, name) = (who.key, who.username.clone());
        self.introduced.retain(|one| one.until_ms > now.boot_ms && one.who.key != key);
        let of_one = self.introduced.iter().filter(|one| one.who.username == name).count();
        if of_one >= MAX_INTRODUCED_OF_ONE
            && let Some(oldest) = self.introduced.iter().position(|one| one.who.username == name)
        {
            self.introduced.remove(oldest);
        }
        if self.introduced.len() >= MAX_INTRODUCED {
            self.introduced.pop_front();
        }
        let until_ms = now.boot_ms + INTRODUCED_MS;
        self.introduced.push_back(Introduced { who, until_ms });
        let waiting = self.arrived.iter().find_map(|(link, arrived)| {
            let called = arrived.called.clone().filter(|_| arrived.key == key)?;
            Some((*link, called))
        });
        if let Some((link, (chat, from))) = waiting {
            self.called(now, link, chat, from);
        }
    }

    pub(in crate::session) fn peer_arrived(
        &mut self,
        now: Now,
        link: LinkId,
        key: PublicKey,
        from: SocketAddr,
    ) {
        if self.account.is_none() {
            return self.effects.push(Effect::ClosePeer { link });
        }
        let due_ms = now.boot_ms + FIRST_WORD_MS;
        self.arrived.insert(link, Arrived { key, from, called: None, due_ms });
        if self.arrived.len() > MAX_ARRIVED {
            // Links are numbered as they arrive, so they are in order of age.
            let oldest = gives_way(self.arrived.values().map(|one| one.from.ip()));
            let oldest = oldest.and_then(|index| self.arrived.keys().nth(index).copied());
            oldest.into_iter().for_each(|link| self.refuse(link, Refusal::Busy));
        }
    }

    pub(in crate::session) fn newcomer_said(
        &mut self,
        now: Now,
        link: LinkId,
        message: PeerMessage,
    ) {
        let Some(arrived) = self.arrived.get(&link) else {
            return;
        };
        match message {
            PeerMessage::Call { chat, from } if arrived.called.is_none() => {
                self.called(now, link, chat, from);
            }
            PeerMessage::Resume { chat, received } => {
                let key = arrived.key;
                self.resumed_by_peer(now, link, key, chat, received);
            }
            PeerMessage::Ping | PeerMessage::Pong => {}
            _ => self.close_link(link),
        }
    }

    /// Somebody calls. Who it is, the server or one's own memory says, by the key. The caller's own
    /// word has to agree: a server can't pass a caller off as somebody else.
    fn called(&mut self, now: Now, link: LinkId, chat: ChatId, name: Username) {
        let Some(arrived) = self.arrived.get_mut(&link) else {
            return;
        };
        let (key, from) = (arrived.key, arrived.from);
        let is_valid = |one: &&Introduced| one.who.key == key && one.until_ms > now.boot_ms;
        let introduced = self.introduced.iter().find(is_valid).map(|one| one.who.clone());
        let is_remembered = || {
            let peers = self.account.as_ref().map(|account| &account.peers);
            peers.and_then(|peers| peers.get(&name)).is_some_and(|known| known.key == key)
        };
        let receiver = match introduced {
            Some(who) if who.username == name => Some(who.receiver),
            _ if is_remembered() => None,
            Some(_) => return self.refuse(link, Refusal::Unknown),
            None => {
                arrived.called = Some((chat, name));
                arrived.due_ms = now.boot_ms + INTRODUCTION_WAIT_MS;
                return;
            }
        };
        if self.calls.contains_key(&name) {
            return self.both_call(now, &name, link, chat, key, receiver);
        }
        self.arrived.remove(&link);
        self.ring(now, name, link, chat, key, receiver, from);
    }

    /// Whether there is room for one more request, perhaps because an older one gives way: that of
    /// the address with the most, unless that is the newcomer's own.
    fn make_room_to_ask(&mut self, from: IpAddr) -> bool {
        if self.asked.len() < MAX_ASKED {
            return true;
        }
        let mut by_age: Vec<(u64, IpAddr, Username)> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.phase == AskedPhase::Ringing)
            .filter_map(|(who, asked)| Some((asked.due_ms, asked.from?, who.clone())))
            .collect();
        by_age.sort();
        let addresses = by_age.iter().map(|(_, address, _)| *address).chain([from]);
        let oldest = gives_way(addresses).and_then(|index| by_age.get(index));
        let Some((_, _, who)) =
            oldest.filter(|(_, address, _)| network(*address) != network(from)).cloned()
        else {
            return false;
        };
        self.turn_down(&who, Refusal::Busy);
        self.tell(Event::RequestEnded { from: who, reason: RequestEnd::NoAnswer });
        true
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
        // Before the look at the blocked: `busy` must not give a block away.
        if !self.may_ring(now, &who) {
            return self.refuse(link, Refusal::Busy);
        }
        if self.is_blocked(&who) {
            return self.ignore(now, link);
        }
        if let Some(older) = self.asked.remove(&who) {
            self.close_link(older.link);
            self.fail_all(older.waiting, &Failure::Withdrawn(Withdrawal::CalledAnew));
        }
        if !self.make_room_to_ask(from.ip()) {
            return self.refuse(link, Refusal::Busy);
        }
        let state = self.key_state(&who, &key);
        if state == KeyState::Changed {
            self.note_offer(&who, key);
        }
        self.links.serve(link, LinkUse::Asked(who.clone()));
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
            from: Some(from.ip()),
            receiver,
            phase: AskedPhase::Ringing,
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
            self.links.serve(link, LinkUse::Asked(who.clone()));
            if let Some((older, _)) = older {
                self.close_link(older);
            }
            return;
        }
        let Some(call) = self.calls.remove(who) else {
            return;
        };
        if let CallPhase::Calling { link: own, .. } = call.phase {
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
        self.links.serve(link, LinkUse::Asked(who.clone()));
        self.effects.push(Effect::SendPeer { link, message: PeerMessage::Approve });
        let asked = Asked {
            link,
            chat,
            key,
            from: None,
            receiver,
            phase: AskedPhase::Approved,
            waiting,
            due_ms: now.boot_ms + OPENING_MS,
            switch,
        };
        self.asked.insert(who.clone(), asked);
    }

    pub(in crate::session) fn approve(&mut self, now: Now, id: RequestId, who: Option<String>) {
        let who = match Session::choose(Among::Asking, who.as_deref(), self.asked.keys()) {
            Ok(who) => who,
            Err(failure) => return self.fail(id, failure),
        };
        let Some(key) = self.asked.get(&who).map(|asked| asked.key) else {
            return;
        };
        if self.key_state(&who, &key) == KeyState::Changed {
            let why = self.show_offer(&who, key);
            return self.fail(id, why);
        }
        let Some(asked) = self.asked.get_mut(&who) else {
            return;
        };
        asked.waiting.push(id);
        if asked.phase == AskedPhase::Ringing {
            asked.phase = AskedPhase::Approved;
            asked.due_ms = now.boot_ms + OPENING_MS;
            let link = asked.link;
            self.effects.push(Effect::SendPeer { link, message: PeerMessage::Approve });
        }
    }

    pub(in crate::session) fn deny(&mut self, id: RequestId, who: Option<String>) {
        match Session::choose(Among::Asking, who.as_deref(), self.asked.keys()) {
            Ok(who) => {
                self.turn_down(&who, Refusal::Denied);
                self.answer(id, Reply::Done {});
            }
            Err(failure) => self.fail(id, failure),
        }
    }

    pub(in crate::session) fn turn_down(&mut self, who: &Username, why: Refusal) {
        if let Some(asked) = self.asked.remove(who) {
            self.withdraw_offer(who, asked.key);
            self.refuse(asked.link, why);
            self.fail_all(asked.waiting, &Failure::Withdrawn(Withdrawal::Over));
        }
    }

    pub(in crate::session) fn asker_said(
        &mut self,
        now: Now,
        who: &Username,
        message: PeerMessage,
    ) {
        match message {
            PeerMessage::Ping | PeerMessage::Pong => {}
            PeerMessage::Open => {
                let approved = self.asked.get(who).is_some_and(|a| a.phase == AskedPhase::Approved);
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

    /// Says no, and closes the link.
    pub(in crate::session) fn refuse(&mut self, link: LinkId, why: Refusal) {
        self.effects.push(Effect::SendPeer { link, message: PeerMessage::Refuse(why) });
        self.close_link(link);
    }

    /// Whoever asked hung up.
    pub(in crate::session) fn asker_gone(&mut self, who: &Username) {
        if let Some(asked) = self.asked.remove(who) {
            self.withdraw_offer(who, asked.key);
            self.close_link(asked.link);
            let why = Failure::Withdrawn(Withdrawal::HungUp(who.clone()));
            self.fail_all(asked.waiting, &why);
            self.tell(Event::RequestEnded { from: who.clone(), reason: RequestEnd::Withdrawn });
        }
        if let Some(call) = self.calls.get_mut(who)
            && let Some((link, _)) = call.parked.take()
        {
            self.close_link(link);
        }
    }
}
