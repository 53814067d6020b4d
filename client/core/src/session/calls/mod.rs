//! Asking for a chat and being asked.
//!
//! The server introduces both sides; the caller dials, proves its key in the handshake and calls.
//! The other side's user approves; the caller confirms that it is still there; only then is the
//! chat open. When two call each other, that is approval on both sides, and the link that the
//! lower fingerprint dialled is the one that stays.

mod asked;
mod bell;

pub(in crate::session) use bell::Bell;

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::dialogue::{Introduction, Request as ServerRequest};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::asking::is_at;
use super::chat::Chat;
use super::server::{Expected, ListFor};
use super::{Effect, LinkId, LinkUse, Now, PeerLoss, Reply, Request, RequestId, Session};
use crate::codes::RequestEnd;
use crate::event::{Event, KeyState};
use crate::failure::{Among, Cancel, Failure};
use crate::notice::Notice;

/// A user approves within this time.
pub(in crate::session) const APPROVAL_MS: u64 = 60_000;
/// The asking side waits a little longer, so that the other side's answer comes first.
const APPROVAL_SLACK_MS: u64 = 10_000;

/// One's own request for a chat.
#[derive(Debug)]
pub(in crate::session) struct Call {
    phase: CallPhase,
    waiting: Vec<RequestId>,
    due_ms: Option<u64>,
    /// The user was told that the other side is being asked.
    ringing: bool,
    /// The other side calls too, over this link: used if one's own comes to nothing.
    parked: Option<(LinkId, ChatId)>,
    /// Whether the chat becomes current when it opens.
    switch: bool,
}

#[derive(Debug)]
enum CallPhase {
    /// The server is being asked.
    Introducing,
    /// The other side is being dialled, then asked.
    Calling { chat: ChatId, link: LinkId, to: Introduction },
}

/// Somebody else's request for a chat.
#[derive(Debug)]
pub(in crate::session) struct Asked {
    link: LinkId,
    chat: ChatId,
    key: PublicKey,
    /// From where; `None` if the user called as well.
    from: Option<IpAddr>,
    receiver: Option<SocketAddr>,
    phase: AskedPhase,
    waiting: Vec<RequestId>,
    due_ms: u64,
    /// Whether the chat becomes current when it opens: the user asked for it as well.
    switch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedPhase {
    /// The user has not said anything.
    Ringing,
    /// The user approved; the caller has to confirm.
    Approved,
}

/// A link that arrived and is not understood yet.
#[derive(Debug)]
pub(in crate::session) struct Arrived {
    key: PublicKey,
    from: SocketAddr,
    /// It called by this name, and its introduction is awaited.
    called: Option<(ChatId, Username)>,
    due_ms: u64,
}

/// The server vouches for somebody.
#[derive(Debug)]
pub(in crate::session) struct Introduced {
    who: Introduction,
    until_ms: u64,
}

impl Call {
    fn new(id: RequestId, switch: bool) -> Call {
        let (phase, waiting) = (CallPhase::Introducing, vec![id]);
        Call { phase, waiting, due_ms: None, ringing: false, parked: None, switch }
    }

    pub(in crate::session) fn due_ms(&self) -> Option<u64> {
        self.due_ms
    }

    pub(in crate::session) fn key(&self) -> Option<PublicKey> {
        match &self.phase {
            CallPhase::Introducing => None,
            CallPhase::Calling { to, .. } => Some(to.key),
        }
    }
}

impl Asked {
    pub(in crate::session) fn due_ms(&self) -> u64 {
        self.due_ms
    }
}

impl Arrived {
    pub(in crate::session) fn due_ms(&self) -> u64 {
        self.due_ms
    }
}

impl Session {
    pub(in crate::session) fn connect(
        &mut self,
        now: Now,
        id: RequestId,
        who: String,
        force: bool,
        switch: bool,
    ) {
        if let Ok(name) = who.parse::<Username>()
            && self.is_under_way(now, id, &name, switch)
        {
            return;
        }
        if !self.server.is_logged_in() {
            return self.ask_when_back(now, id, Request::Connect { who, force, switch });
        }
        if let Ok(name) = who.parse()
            && self.is_blocked(&name)
        {
            return self.fail(id, Failure::Blocked(name));
        }
        if who.is_empty() || who.contains(char::is_whitespace) {
            return self.fail(id, Failure::WhomToCall);
        }
        if !force && self.names_oneself(&who) {
            return self.fail(id, Failure::CallsOneself);
        }
        if force || self.listed_as(&who).is_some() {
            return self.ask_connect(now, id, &who, switch);
        }
        // The last list may be old: only a fresh one is worth a warning.
        self.ask_list(now, ListFor::Connect(id, who, switch));
    }

    /// Goes on with what there is already: their request, a chat, or one's own request. `false` if there is
    /// nothing.
    fn is_under_way(&mut self, now: Now, id: RequestId, who: &Username, switch: bool) -> bool {
        if let Some(asked) = self.asked.get_mut(who) {
            asked.switch |= switch;
            self.approve(now, id, Some(who.to_string()));
        } else if let Some(chat) = self.chats.get(who) {
            let reply = chat.reply(self);
            self.tell(Event::notice(Notice::ChatOpen(who.clone())));
            self.opened_for_typing(who, switch);
            self.answer(id, reply);
        } else if let Some(call) = self.calls.get_mut(who) {
            call.switch |= switch;
            call.waiting.push(id);
        } else {
            return false;
        }
        true
    }

    pub(in crate::session) fn ask_connect(
        &mut self,
        now: Now,
        id: RequestId,
        who: &str,
        switch: bool,
    ) {
        let request = ServerRequest::Connect { who: who.to_owned() };
        let Ok(name) = who.parse::<Username>() else {
            let who = who.to_owned();
            return self.ask_server(now, request, Expected::ConnectAddress(id, who, switch));
        };
        if self.is_blocked(&name) {
            return self.fail(id, Failure::Blocked(name));
        }
        // While the list was on its way, they may have called themselves.
        if self.is_under_way(now, id, &name, switch) {
            return;
        }
        self.calls.insert(name.clone(), Call::new(id, switch));
        self.ask_server(now, request, Expected::Connect(name));
    }

    /// The server does not introduce us.
    pub(in crate::session) fn refuse_connect(&mut self, who: &Username, why: Failure) {
        if let Some(call) = self.calls.get(who)
            && matches!(call.phase, CallPhase::Introducing)
        {
            self.end_call(who, &why);
        }
    }

    /// An address turned out to be somebody's.
    pub(in crate::session) fn granted_address(
        &mut self,
        now: Now,
        id: RequestId,
        asked: &str,
        introduction: Introduction,
        switch: bool,
    ) {
        let who = introduction.username.clone();
        if !is_at(asked, introduction.receiver) || Some(&who) == self.own_name() {
            return self.fail(id, Failure::OtherPerson);
        }
        if self.is_blocked(&who) {
            return self.fail(id, Failure::Blocked(who));
        }
        if !self.is_under_way(now, id, &who, switch) {
            self.calls.insert(who.clone(), Call::new(id, switch));
            self.granted_connect(now, &who, introduction);
        }
    }

    /// The server introduces us: the other side is dialled, if its key is the known one.
    pub(in crate::session) fn granted_connect(
        &mut self,
        now: Now,
        who: &Username,
        to: Introduction,
    ) {
        if to.username != *who {
            return self.refuse_connect(who, Failure::OtherPerson);
        }
        let Some(call) = self.calls.get(who) else {
            return; // cancelled meanwhile
        };
        if !matches!(call.phase, CallPhase::Introducing) {
            return;
        }
        if self.key_state(who, &to.key) == KeyState::Changed {
            let why = self.show_offer(who, to.key);
            return self.end_call(who, &why);
        }
        self.offered.remove(who);
        let to = Introduction { receiver: self.server.scoped(to.receiver), ..to };
        let chat = ChatId(self.random.u128(..));
        let link = self.links.next();
        self.links.serve(link, LinkUse::Call(who.clone()));
        self.effects.push(Effect::DialPeer { link, to: to.receiver, key: to.key });
        if let Some(call) = self.calls.get_mut(who) {
            call.phase = CallPhase::Calling { chat, link, to };
            call.due_ms = Some(now.boot_ms + APPROVAL_MS + APPROVAL_SLACK_MS);
        }
    }

    pub(in crate::session) fn say_call(&mut self, who: &Username, link: LinkId) {
        let Some(Call { phase: CallPhase::Calling { chat, .. }, .. }) = self.calls.get(who) else {
            return;
        };
        let chat = *chat;
        let Some(from) = self.own_name().cloned() else {
            return;
        };
        self.effects.push(Effect::SendPeer { link, message: PeerMessage::Call { chat, from } });
    }

    /// What the other side of one's own call says.
    pub(in crate::session) fn call_answered(
        &mut self,
        now: Now,
        who: &Username,
        message: PeerMessage,
    ) {
        match message {
            PeerMessage::Ringing => {
                let told = self.calls.get_mut(who).map(|call| &mut call.ringing);
                if told.is_none_or(|told| std::mem::replace(told, true)) {
                    return;
                }
                self.tell(Event::notice(Notice::Ringing(who.clone())));
            }
            PeerMessage::Ping | PeerMessage::Pong => {}
            PeerMessage::Approve => {
                let Some(call) = self.calls.remove(who) else {
                    return;
                };
                let CallPhase::Calling { chat, link, to } = call.phase else {
                    return;
                };
                if let Some((parked, _)) = call.parked {
                    self.close_link(parked);
                }
                self.effects.push(Effect::SendPeer { link, message: PeerMessage::Open });
                let chat = Chat::new(who, chat, to.key, Some(to.receiver), true, link, now);
                self.open_chat(now, who, chat, call.waiting, call.switch);
            }
            PeerMessage::Refuse(why) => {
                let why = match why {
                    Refusal::Denied => Failure::Denied(who.clone()),
                    Refusal::NoAnswer => Failure::NoAnswer(who.clone()),
                    Refusal::Busy => Failure::PeerBusy(who.clone()),
                    Refusal::Unknown | Refusal::Over => Failure::NotIntroduced(who.clone()),
                };
                self.call_failed(now, who, &why);
            }
            _ => self.call_failed(now, who, &Failure::OutOfTurn),
        }
    }

    /// One's own link came to nothing; the other side's may do.
    pub(in crate::session) fn call_failed(&mut self, now: Now, who: &Username, why: &Failure) {
        let parked = self.calls.get_mut(who).and_then(|call| call.parked.take());
        let Some((link, chat)) = parked else {
            return self.end_call(who, why);
        };
        let Some(call) = self.calls.remove(who) else {
            return;
        };
        let CallPhase::Calling { link: own, to, .. } = call.phase else {
            return;
        };
        self.close_link(own);
        let from = (to.key, Some(to.receiver));
        self.accept_in_turn(now, who, link, chat, from, (call.waiting, call.switch));
    }

    pub(in crate::session) fn call_lost(&mut self, now: Now, who: &Username, why: PeerLoss) {
        let name = who.clone();
        let why = match why {
            PeerLoss::Unreachable => Failure::Unreachable(name),
            PeerLoss::WrongKey => Failure::WrongKey(name),
            PeerLoss::Broken => Failure::HungUp(name),
            PeerLoss::Protocol => Failure::OtherLanguage(name),
        };
        self.call_failed(now, who, &why);
    }

    pub(in crate::session) fn end_call(&mut self, who: &Username, why: &Failure) {
        let Some(call) = self.calls.remove(who) else {
            return;
        };
        if let CallPhase::Calling { link, .. } = call.phase {
            self.close_link(link);
        }
        if let Some((link, _)) = call.parked {
            self.close_link(link);
        }
        for id in call.waiting {
            self.fail(id, why.clone());
        }
    }

    pub(in crate::session) fn cancel(&mut self, id: RequestId, who: Option<String>) {
        let is_called =
            |who: &str| who.parse().is_ok_and(|who: Username| self.calls.contains_key(&who));
        if !who.as_deref().is_some_and(is_called) && self.cancel_connecting(who.as_deref()) {
            return self.answer(id, Reply::Done {});
        }
        if who.is_none() && self.calls.is_empty() {
            return match self.cancel_trying() {
                true => self.answer(id, Reply::Done {}),
                false => self.fail(id, Failure::NothingToCancel),
            };
        }
        match Session::choose(Among::Called, who.as_deref(), self.calls.keys()) {
            Ok(who) => {
                self.end_call(&who, &Failure::Cancelled(Cancel::Withdrawn));
                self.answer(id, Reply::Done {});
            }
            Err(failure) => self.fail(id, failure),
        }
    }

    fn fail_all(&mut self, ids: Vec<RequestId>, why: &Failure) {
        for id in ids {
            self.fail(id, why.clone());
        }
    }

    /// Ends every request, one's own and others'.
    pub(in crate::session) fn end_calls(&mut self) {
        let own: Vec<Username> = self.calls.keys().cloned().collect();
        for who in own {
            self.end_call(&who, &Failure::Cancelled(Cancel::Quitting));
        }
        let others: Vec<Username> = self.asked.keys().cloned().collect();
        for who in others {
            self.turn_down(&who, Refusal::NoAnswer);
        }
        let unanswered = self.arrived.keys().chain(self.ignored.keys());
        for link in unanswered.copied().collect::<Vec<LinkId>>() {
            self.close_link(link);
        }
    }

    pub(in crate::session) fn tick_calls(&mut self, now: Now) {
        let due = |due: u64| due <= now.boot_ms;
        let calls: Vec<Username> = self
            .calls
            .iter()
            .filter(|(_, call)| call.due_ms.is_some_and(due))
            .map(|(who, _)| who.clone())
            .collect();
        for who in calls {
            self.end_call(&who, &Failure::NoAnswer(who.clone()));
        }
        let asked: Vec<Username> = self
            .asked
            .iter()
            .filter(|(_, asked)| due(asked.due_ms))
            .map(|(who, _)| who.clone())
            .collect();
        for who in asked {
            self.turn_down(&who, Refusal::NoAnswer);
            self.tell(Event::RequestEnded { from: who, reason: RequestEnd::NoAnswer });
        }
        let arrived: Vec<LinkId> =
            self.arrived.iter().filter(|(_, one)| due(one.due_ms)).map(|(link, _)| *link).collect();
        for link in arrived {
            self.refuse(link, Refusal::Unknown);
        }
    }
}
