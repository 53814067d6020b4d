//! Requests for chats, in both directions.
//!
//! The server introduces both sides. The caller dials, proves its key in the handshake and calls.
//! The other side's user approves, and the caller confirms that it is still there. Only then is the
//! chat open. When two call each other, that is approval on both sides, and the link that the lower
//! fingerprint dialled stays.
//!
//! * `own` – the user's own requests
//! * `requests` – others' requests; `bell` limits how often one rings, `introductions` says who may

mod bell;
mod introductions;
mod own;
mod requests;

use std::net::SocketAddr;

use letschat_protocol::dialogue::{Introduction, Request as ServerRequest};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::server::{Expected, ListFor, is_at};
use super::{LinkId, PeerLoss, Reply, Request, RequestId, Session};
use crate::event::KeyState;
use crate::failure::{Cancel, Failure};
pub(in crate::session) use own::Calls;
pub(in crate::session) use requests::Requests;

/// The time in which a user approves.
const APPROVAL_MS: u64 = 60_000;

/// A proposed chat.
#[derive(Debug)]
pub(in crate::session) struct Proposal {
    pub(in crate::session) id: ChatId,
    /// The other side's key.
    pub(in crate::session) key: PublicKey,
    pub(in crate::session) receiver: Option<SocketAddr>,
    /// True if this side proposed it.
    pub(in crate::session) caller: bool,
    pub(in crate::session) link: LinkId,
    /// The user's requests that are answered once the chat is open.
    pub(in crate::session) waiting: Vec<RequestId>,
    /// True if the chat becomes current when it opens.
    pub(in crate::session) switch: bool,
}

/// The user's own calls.
impl Session {
    pub(super) fn connect(&mut self, id: RequestId, who: String, force: bool, switch: bool) {
        if let Ok(name) = who.parse::<Username>()
            && self.is_under_way(id, &name, switch)
        {
            return;
        }
        if !self.server.is_logged_in() {
            let request = Request::Connect { who, force, switch };
            return self.server.ask_when_back(&mut self.cx, &self.account, id, request);
        }
        if let Ok(name) = who.parse()
            && self.account.is_blocked(&name)
        {
            return self.cx.fail(id, Failure::Blocked(name));
        }
        if who.is_empty() || who.contains(char::is_whitespace) {
            return self.cx.fail(id, Failure::WhomToCall);
        }
        let own = self.account.name();
        if !force && self.server.names_oneself(&self.cx, own, &who) {
            return self.cx.fail(id, Failure::CallsOneself);
        }
        if force || self.server.has_listed(own, &who) {
            return self.ask_connect(id, &who, switch);
        }
        // The last list may be outdated. Only a fresh one justifies a warning.
        self.server.ask_list(&mut self.cx, ListFor::Connect(id, who, switch));
    }

    /// Continues with an existing request or chat with this person. Returns false if there is none.
    fn is_under_way(&mut self, id: RequestId, who: &Username, switch: bool) -> bool {
        if self.requests.want(who, switch) {
            self.approve(id, Some(who.as_str()));
            return true;
        }
        self.chats.go_to(&mut self.cx, &self.account, id, who, switch)
            || self.calls.join(&mut self.cx, who, id, switch)
    }

    pub(super) fn ask_connect(&mut self, id: RequestId, who: &str, switch: bool) {
        let request = ServerRequest::Connect { who: who.to_owned() };
        let Ok(name) = who.parse::<Username>() else {
            let expected = Expected::ConnectAddress(id, who.to_owned(), switch);
            return self.server.ask(&mut self.cx, request, expected);
        };
        if self.account.is_blocked(&name) {
            return self.cx.fail(id, Failure::Blocked(name));
        }
        // They may have called while the list was on its way.
        if self.is_under_way(id, &name, switch) {
            return;
        }
        self.calls.begin(name.clone(), id, switch);
        self.server.ask(&mut self.cx, request, Expected::Connect(name));
    }

    /// Handles the server's refusal to introduce the two sides.
    pub(super) fn refuse_connect(&mut self, who: &Username, why: &Failure) {
        self.calls.refuse(&mut self.cx, who, why);
    }

    /// Handles the server's answer to an address: the user who has it.
    pub(super) fn granted_address(
        &mut self,
        id: RequestId,
        asked: &str,
        introduction: Introduction,
        switch: bool,
    ) {
        let who = introduction.username.clone();
        if !is_at(asked, introduction.receiver) || Some(&who) == self.account.name() {
            return self.cx.fail(id, Failure::OtherPerson);
        }
        if self.account.is_blocked(&who) {
            return self.cx.fail(id, Failure::Blocked(who));
        }
        if !self.is_under_way(id, &who, switch) {
            self.calls.begin(who.clone(), id, switch);
            self.granted_connect(&who, introduction);
        }
    }

    /// Handles an introduction by the server: dials the other side if its key is the known one.
    pub(super) fn granted_connect(&mut self, who: &Username, to: Introduction) {
        if to.username != *who {
            return self.refuse_connect(who, &Failure::OtherPerson);
        }
        if !self.calls.is_introducing(who) {
            return; // cancelled meanwhile
        }
        if !self.park_introduction(who, &to) {
            self.introduction_judged(who, to);
        }
    }

    /// Dials an introduced person whose devices are known as well as they can be.
    pub(super) fn introduction_judged(&mut self, who: &Username, to: Introduction) {
        if !self.calls.is_introducing(who) {
            return; // cancelled meanwhile
        }
        if self.account.key_state(who, &to.key) == KeyState::Changed {
            return self.refuse_introduction(who, &to);
        }
        self.account.forget_offer(who);
        let to = Introduction { receiver: self.server.scoped(to.receiver), ..to };
        self.calls.dial(&mut self.cx, who, to);
    }

    /// Ends the call to a person who was introduced with an unknown key.
    pub(super) fn refuse_introduction(&mut self, who: &Username, to: &Introduction) {
        let why = self.account.show_offer(who, to.key, false);
        self.calls.end(&mut self.cx, who, &why);
    }

    /// Calls over a link that was dialled and is up now.
    pub(super) fn say_call(&mut self, who: &Username, link: LinkId) {
        if let Some(own) = self.account.name() {
            self.calls.call(&mut self.cx, who, link, own.clone());
        }
    }

    /// Handles a message of the called side.
    pub(super) fn call_answered(&mut self, who: &Username, message: PeerMessage) {
        let why = match message {
            PeerMessage::Ringing => return self.calls.ring(&mut self.cx, who),
            PeerMessage::Ping | PeerMessage::Pong => return,
            PeerMessage::Approve => {
                if let Some(agreed) = self.calls.approved(&mut self.cx, who) {
                    self.open_chat(who, agreed);
                }
                return;
            }
            PeerMessage::Refuse(Refusal::Denied) => Failure::Denied(who.clone()),
            PeerMessage::Refuse(Refusal::NoAnswer) => Failure::NoAnswer(who.clone()),
            PeerMessage::Refuse(Refusal::Busy) => Failure::PeerBusy(who.clone()),
            PeerMessage::Refuse(Refusal::Unknown | Refusal::Over) => {
                Failure::NotIntroduced(who.clone())
            }
            _ => Failure::OutOfTurn,
        };
        self.call_failed(who, &why);
    }

    pub(super) fn call_lost(&mut self, who: &Username, why: PeerLoss) {
        let name = who.clone();
        let why = match why {
            PeerLoss::Unreachable => Failure::Unreachable(name),
            PeerLoss::WrongKey => Failure::WrongKey(name),
            PeerLoss::Broken => Failure::HungUp(name),
            PeerLoss::Protocol => Failure::OtherLanguage(name),
        };
        self.call_failed(who, &why);
    }

    /// Handles a failed call. If the other side calls too, that call is accepted.
    fn call_failed(&mut self, who: &Username, why: &Failure) {
        if let Some(theirs) = self.calls.fail(&mut self.cx, who, why) {
            self.requests.accept(&mut self.cx, who, theirs);
        }
    }

    /// Withdraws an own request, or stops trying to reach the server.
    pub(super) fn cancel(&mut self, who: Option<&str>) -> Result<Reply, Failure> {
        let is_called =
            |who: &str| who.parse().is_ok_and(|who: Username| self.calls.contains(&who));
        if !who.is_some_and(is_called) && self.server.cancel_connecting(&mut self.cx, who) {
            return Ok(Reply::Done {});
        }
        if who.is_none() && self.calls.is_empty() {
            let was_trying = self.cancel_trying();
            return was_trying.then_some(Reply::Done {}).ok_or(Failure::NothingToCancel);
        }
        let who = self.calls.choose(who)?;
        self.calls.end(&mut self.cx, &who, &Failure::Cancelled(Cancel::Withdrawn));
        Ok(Reply::Done {})
    }
}

/// Others' calls.
impl Session {
    /// Notes the introduction of a peer who is about to call.
    pub(super) fn introduced(&mut self, who: Introduction) {
        let key = who.key;
        self.requests.introduce(self.cx.now_ms(), who);
        if let Some((link, chat, from)) = self.cx.links.awaiting(&key) {
            self.called(link, chat, from);
        }
    }

    pub(super) fn peer_arrived(&mut self, link: LinkId, key: PublicKey, from: SocketAddr) {
        if self.account.opened().is_none() {
            return self.cx.close(link);
        }
        if let Some(oldest) = self.cx.links.arrive(self.cx.now_ms(), link, key, from) {
            self.cx.refuse(oldest, Refusal::Busy);
        }
    }

    /// Handles a message on a link that has arrived and has no purpose yet.
    pub(super) fn newcomer_said(&mut self, link: LinkId, message: PeerMessage) {
        let Some(arrived) = self.cx.links.arrived(link) else {
            return;
        };
        match message {
            PeerMessage::Call { chat, from } if arrived.called.is_none() => {
                self.called(link, chat, from);
            }
            PeerMessage::Resume { chat, received } => {
                let key = arrived.key;
                self.chats.resumed_by_peer(&mut self.cx, (link, &key), chat, received);
            }
            PeerMessage::Deliver { body } => {
                let key = arrived.key;
                self.delivery_arrived(link, key, &body);
            }
            PeerMessage::Here { port } => {
                let (key, mut receiver) = (arrived.key, arrived.from);
                receiver.set_port(port);
                if !self.cx.links.is_met(link) {
                    self.person_is_here(link, key, receiver);
                }
            }
            PeerMessage::Get { id } => {
                let key = arrived.key;
                self.file_asked_for(link, key, id);
            }
            PeerMessage::Knock => {
                self.cx.close(link);
                self.server.knocked(&mut self.cx);
            }
            PeerMessage::Ping | PeerMessage::Pong => {}
            _ => self.cx.close(link),
        }
    }

    /// Handles a call. The server or the known keys say whose key this is. The caller's claimed
    /// name has to agree, so that a server can't pass one user off as another.
    fn called(&mut self, link: LinkId, id: ChatId, name: Username) {
        let now_ms = self.cx.now_ms();
        let Some(arrived) = self.cx.links.arrived(link) else {
            return;
        };
        let key = arrived.key;
        match self.requests.introduction(now_ms, &key) {
            Some(who) if who.username == name => {}
            _ if self.account.key_state(&name, &key).is_known() => {}
            Some(_) => return self.cx.refuse(link, Refusal::Unknown),
            None => return self.cx.links.await_introduction(now_ms, link, (id, name)),
        }
        if !self.park_call(&name, &key, (link, id)) {
            self.call_judged(link, id, name);
        }
    }

    /// Handles a call of a person whose devices are known as well as they can be.
    pub(super) fn call_judged(&mut self, link: LinkId, id: ChatId, name: Username) {
        let Some(arrived) = self.cx.links.arrived(link) else {
            return;
        };
        let (key, from) = (arrived.key, arrived.from);
        let introduction = self.requests.introduction(self.cx.now_ms(), &key);
        let receiver = introduction.map(|who| who.receiver);
        let (caller, waiting, switch) = (false, Vec::new(), false);
        let proposal = Proposal { id, key, receiver, caller, link, waiting, switch };
        if self.calls.contains(&name) {
            return self.both_call(&name, proposal);
        }
        self.requests.ring(&mut self.cx, &mut self.account, name, proposal, from);
    }

    /// Resolves two calls at the same moment. The lower fingerprint's link stays. That side keeps
    /// the other call as a fallback, and the higher one accepts.
    fn both_call(&mut self, who: &Username, theirs: Proposal) {
        if self.account.key_state(who, &theirs.key) == KeyState::Changed {
            return self.cx.close(theirs.link);
        }
        let own = self.account.key().map(|key| key.fingerprint());
        if own < Some(theirs.key.fingerprint()) {
            return self.calls.park(&mut self.cx, who, theirs);
        }
        if let Some(theirs) = self.calls.give_way(&mut self.cx, who, theirs) {
            self.requests.accept(&mut self.cx, who, theirs);
        }
    }

    /// Approves a request for a chat, for messages, or for both. The user's request is answered when
    /// the chat is open.
    pub(super) fn approve(&mut self, id: RequestId, who: Option<&str>) {
        let result = match self.choose_invitation(who) {
            Ok(None) => match self.try_to_approve(id, who) {
                Ok(()) => return,
                Err(why) => Err(why),
            },
            Ok(Some(label)) => self.approve_group(&label),
            Err(why) => Err(why),
        };
        self.cx.reply(id, result);
    }

    fn try_to_approve(&mut self, id: RequestId, who: Option<&str>) -> Result<(), Failure> {
        let who = self.choose_asking(who)?;
        if !self.requests.contains(&who) {
            self.approve_messages(&who)?;
            self.chats.go_on_with(&who);
            self.cx.answer(id, Reply::Done {});
            return Ok(());
        }
        // The chat may not come about, and the user has approved the person in any case.
        if self.mail.held_device(&who) == self.requests.key(&who) {
            self.approve_messages(&who)?;
        }
        self.requests.approve(&mut self.cx, &mut self.account, id, &who)
    }

    /// Handles a message of a peer who requests a chat.
    pub(super) fn asker_said(&mut self, who: &Username, message: PeerMessage) {
        match message {
            PeerMessage::Ping | PeerMessage::Pong => {}
            PeerMessage::Open => match self.requests.confirmed(who) {
                Some(agreed) => self.open_chat(who, agreed),
                None => self.asker_gone(who),
            },
            _ => self.asker_gone(who),
        }
    }

    /// Handles the end of the link of a peer who requested a chat.
    pub(super) fn asker_gone(&mut self, who: &Username) {
        self.requests.gone(&mut self.cx, &mut self.account, who);
        self.calls.unpark(&mut self.cx, who);
    }
}
