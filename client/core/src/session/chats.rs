//! What happens to open chats: messages, breaks, the end.

use letschat_protocol::dialogue::Request as ServerRequest;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::limits::{ACTIVITY_REPORT_MS, MAX_MESSAGE_BYTES};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::printable::is_blank;
use letschat_protocol::username::Username;

use super::chat::{Chat, Ending, Path, Redial};
use super::delivery::Arrival;
use super::routes::Sent;
use super::server::Expected;
use super::{Backlog, Displayed, Effect, LinkId, LinkUse, Now, Reply, RequestId, Session, Typing};
use crate::codes::ChatEnd;
use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::{Event, fingerprint};
use crate::failure::{Among, Failure, Text};

/// An end waits this long for the last confirmations.
const ENDING_MS: u64 = 3_000;

/// What those do with whom a chat is open.
impl Session {
    /// Both sides agreed. With `switch` the chat becomes current.
    pub(super) fn open_chat(
        &mut self,
        now: Now,
        who: &Username,
        chat: Chat,
        waiting: Vec<RequestId>,
        switch: bool,
    ) {
        if self.chats.contains_key(who) {
            // They called anew, so they have forgotten the old one.
            self.close_chat(who, ChatEnd::Replaced);
        }
        if let Some(link) = chat.link() {
            self.links.serve(link, LinkUse::Chat(who.clone()));
        }
        let state = self.key_state(who, &chat.key);
        self.pin(who, chat.key);
        let print = fingerprint(&chat.key);
        self.bells.remove(who);
        self.opened += 1;
        self.chats.insert(who.clone(), Chat { count: self.opened, ..chat });
        self.hold_chat(now, who);
        self.tell(Event::ChatOpened { with: who.clone(), fingerprint: print.clone(), key: state });
        self.opened_for_typing(who, switch);
        for id in waiting {
            let with = who.to_string();
            self.answer(id, Reply::Chat { with, fingerprint: print.clone(), key: state });
        }
        self.report_activity(now);
        if self.config.detach_on_chat {
            self.leave_server();
        }
    }

    /// A chat that opens while the front end is behind is not read either.
    fn hold_chat(&mut self, now: Now, who: &Username) {
        let is_held = self.backlog != Backlog::None;
        if let Some(chat) = self.chats.get_mut(who).filter(|_| is_held) {
            chat.hold(now, true);
        }
    }

    pub(super) fn say(&mut self, now: Now, id: RequestId, to: Option<String>, text: String) {
        let who = match self.meant_chat(to.as_deref()) {
            Ok(who) => who,
            Err(failure) => return self.fail(id, failure),
        };
        if is_blank(&text) {
            return self.fail(id, Failure::Blank(Text::Message));
        }
        if text.len() > MAX_MESSAGE_BYTES {
            let (limit, bytes) = (MAX_MESSAGE_BYTES, text.len());
            return self.fail(id, Failure::TextTooLong { text: Text::Message, limit, bytes });
        }
        match self.send_to(now, &who, &text) {
            Err(failure) => self.fail(id, failure),
            Ok(Sent { id: message_id, number, via }) => {
                let (to, state) = (who.to_string(), MessageState::Sent);
                self.answer(id, Reply::Sent { to, number, message_id, state, via });
                self.report_activity(now);
            }
        }
    }

    pub(super) fn switch(&mut self, id: RequestId, to: &str) {
        match Session::choose(Among::Chatting, Some(to), self.chats.keys()) {
            Ok(who) => {
                self.typing = Typing::Chat(who);
                self.answer(id, Reply::Done {});
            }
            Err(_) => self.fail(id, Failure::NoChatWithThem),
        }
    }

    /// What the other side of a chat says.
    pub(super) fn chat_said(
        &mut self,
        now: Now,
        who: &Username,
        link: LinkId,
        message: PeerMessage,
    ) {
        let Some(chat) = self.chats.get_mut(who) else {
            return self.close_link(link);
        };
        chat.heard(now);
        let under =
            matches!(chat.path, Path::Broken { redial: Redial::Under(under) } if under == link);
        match message {
            PeerMessage::Resumed { received } if under => self.resumed(now, who, link, received),
            PeerMessage::Refuse(Refusal::Over) if under => self.close_chat(who, ChatEnd::Lost),
            PeerMessage::Refuse(_) if under => self.link_broke(now, who, link),
            _ if under => self.link_broke(now, who, link),
            PeerMessage::Message { number, text } => self.message(now, who, number, text),
            PeerMessage::Acknowledge { through } => self.acknowledged(now, who, through),
            PeerMessage::Ping => {
                self.effects.push(Effect::SendPeer { link, message: PeerMessage::Pong });
            }
            PeerMessage::Pong => {}
            PeerMessage::Bye => self.close_chat(who, ChatEnd::PeerEnded),
            // Our confirmation came too late: the other side has given up.
            PeerMessage::Refuse(_) => self.close_chat(who, ChatEnd::Lost),
            _ => self.close_chat(who, ChatEnd::Protocol),
        }
    }

    fn message(&mut self, now: Now, who: &Username, number: u64, text: String) {
        let is_blocked = self.is_blocked(who);
        let Some(chat) = self.chats.get_mut(who) else {
            return;
        };
        match chat.delivery.receive(number) {
            Arrival::Gap => return self.close_chat(who, ChatEnd::Protocol),
            // Our acknowledgement was lost with an earlier link, or is still to come.
            Arrival::Again => chat.owe_acknowledgement(now),
            // Said while the chat with them was being ended.
            Arrival::Next if is_blocked => {}
            Arrival::Next => {
                let displayed = Displayed::Message { chat: chat.count, number };
                let event = Event::Message {
                    from: who.clone(),
                    number,
                    text,
                    time_ms: now.wall_ms,
                    conversation: ConversationId::Person(who.clone()),
                    id: MessageId::in_chat(chat.id, &chat.key, number),
                    own: false,
                    via: Via::Direct,
                };
                self.effects.push(Effect::Display(event, displayed));
            }
        }
        self.report_activity(now);
    }

    fn acknowledged(&mut self, now: Now, who: &Username, through: u64) {
        let Some(chat) = self.chats.get_mut(who) else {
            return;
        };
        let Some(confirmed) = chat.delivery.confirm(through) else {
            return self.close_chat(who, ChatEnd::Protocol);
        };
        let waiting = chat.delivery.waiting() > 0;
        chat.unconfirmed_since_ms = waiting.then_some(now.boot_ms);
        let (id, is_ending) = (chat.id, chat.ending.is_some());
        self.tell_state(who, id, confirmed, MessageState::Delivered);
        if !waiting && is_ending {
            self.close_chat(who, ChatEnd::Ended);
        }
    }

    pub(super) fn link_broke(&mut self, now: Now, who: &Username, link: LinkId) {
        self.close_link(link);
        let jitter = self.random.f64();
        let Some(chat) = self.chats.get_mut(who) else {
            return;
        };
        if chat.link() != Some(link) {
            return;
        }
        chat.pinged_ms = None;
        // Taking up the chat says how far we have come.
        chat.acknowledgement_due_ms = None;
        let was_whole = matches!(chat.path, Path::Direct(_));
        let wait_ms = chat.broke(now, jitter);
        let redial = if chat.caller { Redial::At(now.boot_ms + wait_ms) } else { Redial::Theirs };
        chat.path = Path::Broken { redial };
        if was_whole {
            self.tell(Event::ChatInterrupted { with: who.clone() });
        }
    }

    fn redial(&mut self, who: &Username) {
        let link = self.links.next();
        let Some(chat) = self.chats.get_mut(who) else {
            return;
        };
        let (Path::Broken { .. }, Some(to)) = (chat.path, chat.receiver) else {
            return;
        };
        chat.path = Path::Broken { redial: Redial::Under(link) };
        let key = chat.key;
        self.links.serve(link, LinkUse::Chat(who.clone()));
        self.effects.push(Effect::DialPeer { link, to, key });
    }

    /// The link is there again: says how far we have come.
    pub(super) fn resume_chat(&mut self, now: Now, who: &Username, link: LinkId) {
        let Some(chat) = self.chats.get_mut(who) else {
            return self.close_link(link);
        };
        chat.heard(now);
        let message = PeerMessage::Resume { chat: chat.id, received: chat.delivery.acknowledge() };
        self.effects.push(Effect::SendPeer { link, message });
    }

    /// The other side said how far it has come.
    fn resumed(&mut self, now: Now, who: &Username, link: LinkId, received: u64) {
        let Some(chat) = self.chats.get_mut(who) else {
            return;
        };
        chat.path = Path::Direct(link);
        chat.whole_since_ms = now.boot_ms;
        chat.acknowledgement_due_ms = None;
        let Some(confirmed) = chat.delivery.confirm(received) else {
            return self.close_chat(who, ChatEnd::Protocol);
        };
        chat.heard(now);
        let id = chat.id;
        let waiting = chat.delivery.waiting() > 0;
        chat.unconfirmed_since_ms = waiting.then_some(now.boot_ms);
        for (number, text) in chat.delivery.unconfirmed() {
            let message = PeerMessage::Message { number, text: text.clone() };
            self.effects.push(Effect::SendPeer { link, message });
        }
        self.tell(Event::ChatResumed { with: who.clone() });
        self.tell_state(who, id, confirmed, MessageState::Delivered);
        if !waiting && self.chats.get(who).is_some_and(|chat| chat.ending.is_some()) {
            self.close_chat(who, ChatEnd::Ended);
        }
    }

    /// A caller takes up a chat over a new link.
    pub(super) fn resumed_by_peer(
        &mut self,
        now: Now,
        link: LinkId,
        key: PublicKey,
        id: ChatId,
        received: u64,
    ) {
        let ours = |chat: &Chat| chat.id == id && chat.key == key && !chat.caller;
        let who = self.chats.iter().find(|(_, chat)| ours(chat)).map(|(who, _)| who.clone());
        let Some(who) = who else {
            return self.refuse(link, Refusal::Over);
        };
        self.arrived.remove(&link);
        let jitter = self.random.f64();
        let Some(chat) = self.chats.get_mut(&who) else {
            return;
        };
        let older = chat.link();
        if older.is_some() {
            chat.broke(now, jitter);
        }
        if chat.is_given_up(now) {
            self.refuse(link, Refusal::Over);
            return self.close_chat(&who, ChatEnd::Lost);
        }
        let message = PeerMessage::Resumed { received: chat.delivery.acknowledge() };
        if let Some(older) = older {
            // The caller noticed the break first.
            self.close_link(older);
            self.tell(Event::ChatInterrupted { with: who.clone() });
        }
        self.links.serve(link, LinkUse::Chat(who.clone()));
        self.effects.push(Effect::SendPeer { link, message });
        self.resumed(now, &who, link, received);
    }

    pub(super) fn disconnect(&mut self, now: Now, id: RequestId, who: Option<String>) {
        match self.meant_chat(who.as_deref()) {
            Ok(who) => self.end_chat(now, &who, Some(id)),
            Err(failure) => {
                // The user wanted the end that has come already.
                if let Typing::Over(over) = self.typing.clone()
                    && who.is_none_or(|who| who.eq_ignore_ascii_case(over.as_str()))
                {
                    self.accept_end(&over);
                }
                self.fail(id, failure);
            }
        }
    }

    /// The chat that the user means: the named one, or the current one. Without either none is
    /// meant, even if just one is left: text never goes where the user has not pointed.
    fn meant_chat(&self, who: Option<&str>) -> Result<Username, Failure> {
        match (who, self.current()) {
            (None, Some(current)) => Ok(current.clone()),
            (Some(who), _) => Session::choose(Among::Chatting, Some(who), self.chats.keys())
                .map_err(|_| Failure::NoChatWithThem),
            (None, None) if self.chats.is_empty() => Err(Failure::NoChat),
            (None, None) => Err(Failure::CurrentChatOver),
        }
    }

    /// Ends a chat, once what was said is confirmed or a moment has passed.
    pub(super) fn end_chat(&mut self, now: Now, who: &Username, id: Option<RequestId>) {
        let Some(chat) = self.chats.get_mut(who) else {
            return;
        };
        let until_ms = now.boot_ms + ENDING_MS;
        let ending = chat.ending.get_or_insert(Ending { until_ms, waiting: Vec::new() });
        ending.waiting.extend(id);
        let can_confirm = matches!(chat.path, Path::Direct(_));
        if chat.delivery.waiting() == 0 || !can_confirm {
            self.close_chat(who, ChatEnd::Ended);
        }
    }

    pub(super) fn end_chats(&mut self, now: Now) {
        let all: Vec<Username> = self.chats.keys().cloned().collect();
        for who in all {
            self.end_chat(now, &who, None);
        }
    }

    /// The end of a chat: says so to the peer where it can, and names what was not delivered.
    fn close_chat(&mut self, who: &Username, reason: ChatEnd) {
        let Some(mut chat) = self.chats.remove(who) else {
            return;
        };
        if let Some(link) = chat.link() {
            if matches!(chat.path, Path::Direct(_)) && reason != ChatEnd::PeerEnded {
                self.effects.extend(chat.acknowledgement(link));
                self.effects.push(Effect::SendPeer { link, message: PeerMessage::Bye });
            }
            self.close_link(link);
        }
        self.closed_for_typing(who, reason == ChatEnd::Ended || chat.ending.is_some());
        if let Some(failed) = chat.delivery.unconfirmed_numbers() {
            self.tell_state(who, chat.id, failed, MessageState::Failed);
        }
        let undelivered = chat.delivery.into_undelivered();
        self.tell(Event::ChatClosed { with: who.clone(), reason, undelivered });
        for id in chat.ending.into_iter().flat_map(|ending| ending.waiting) {
            self.answer(id, Reply::Done {});
        }
    }

    /// Tells the server that the user is active, now and then.
    pub(super) fn report_activity(&mut self, now: Now) {
        let due = self.reported_ms.is_none_or(|last| last + ACTIVITY_REPORT_MS <= now.boot_ms);
        if due && self.server.is_logged_in() {
            self.reported_ms = Some(now.boot_ms);
            self.ask_server(now, ServerRequest::Active, Expected::Active);
        }
    }

    pub(super) fn tick_chats(&mut self, now: Now) {
        let due: Vec<Username> = self
            .chats
            .iter()
            .filter(|(_, chat)| chat.due_ms().is_some_and(|due| due <= now.boot_ms))
            .map(|(who, _)| who.clone())
            .collect();
        for who in due {
            self.chat_due(now, &who);
        }
    }

    fn chat_due(&mut self, now: Now, who: &Username) {
        let Some(chat) = self.chats.get_mut(who) else {
            return;
        };
        if chat.ending.as_ref().is_some_and(|ending| ending.until_ms <= now.boot_ms) {
            return self.close_chat(who, ChatEnd::Ended);
        }
        let acknowledgement_is_due =
            chat.acknowledgement_due_ms.is_some_and(|due_ms| due_ms <= now.boot_ms);
        let is_held = chat.held_pong_ms.is_some();
        match chat.path {
            Path::Direct(link) if acknowledgement_is_due => {
                self.effects.extend(chat.acknowledgement(link));
            }
            Path::Direct(link) if is_held => {
                let pong = chat.held_pong(now);
                self.effects.extend(pong.map(|message| Effect::SendPeer { link, message }));
            }
            Path::Broken { .. } if is_held => drop(chat.held_pong(now)),
            Path::Direct(link) if chat.life_due_ms() <= now.boot_ms => {
                if chat.pinged_ms.is_some() {
                    return self.link_broke(now, who, link);
                }
                chat.pinged_ms = Some(now.boot_ms);
                self.effects.push(Effect::SendPeer { link, message: PeerMessage::Ping });
            }
            Path::Direct(_) => {}
            Path::Broken { .. } if chat.is_given_up(now) => self.close_chat(who, ChatEnd::Lost),
            Path::Broken { redial: Redial::At(at) } if at <= now.boot_ms => self.redial(who),
            Path::Broken { .. } => {}
        }
    }
}
