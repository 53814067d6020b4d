//! The open chats, and the current one.

use std::collections::BTreeMap;

use letschat_protocol::groups::GroupName;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::account::AccountState;
use super::calls::Proposal;
use super::chat::{Chat, Ended, Unconfirmed};
use super::context::Context;
use super::links::LinkUse;
use super::mail::ChatProgress;
use super::{ChatStatus, LinkId, Reply, RequestId, Session, Typing, choose};
use crate::codes::ChatEnd;
use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::{Event, KeyState, fingerprint};
use crate::failure::{Among, Failure};
use crate::mail::Stream;
use crate::notice::Notice;
use crate::view::ChatState;

/// The open chats, by person.
#[derive(Debug, Default)]
pub(super) struct Chats {
    open: BTreeMap<Username, Chat>,
    /// The number of chats opened so far. It keeps a confirmation for one chat from counting for
    /// another.
    opened: u64,
    typing: Typing,
    /// True while nothing is read from the links, since the front end is behind.
    is_held: bool,
    /// The chats that have ended and are not reported yet.
    ended: Vec<Ended>,
}

impl Chats {
    /// Returns no chats. Typed lines first mean this.
    pub(super) fn new(typing: Typing) -> Chats {
        Chats { typing, ..Chats::default() }
    }

    pub(super) fn typing(&self) -> &Typing {
        &self.typing
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn names(&self) -> Vec<Username> {
        self.open.keys().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns true if messages to this person are accepted.
    pub(super) fn is_open(&self, who: &Username) -> bool {
        self.open.get(who).is_some_and(|chat| !chat.is_ending())
    }

    /// Returns the key of a peer with whom a chat is open.
    pub(super) fn key(&self, who: &Username) -> Option<PublicKey> {
        self.open.get(who).map(Chat::key)
    }

    pub(super) fn states(&self) -> impl Iterator<Item = (&Username, ChatState)> {
        self.open.iter().map(|(who, chat)| (who, chat.state()))
    }

    pub(super) fn statuses(
        &self,
        cx: &Context,
        account: &AccountState,
    ) -> impl Iterator<Item = ChatStatus> {
        self.open.iter().map(|(who, chat)| {
            let is_current = self.typing.chat() == Some(who);
            chat.status(cx, is_current, account.key_state(who, &chat.key()))
        })
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.open.values().filter_map(Chat::due_ms).min()
    }

    /// Opens a chat that both sides have agreed on.
    pub(super) fn open(
        &mut self,
        cx: &mut Context,
        who: &Username,
        agreed: Proposal,
        author: PublicKey,
        key: KeyState,
    ) {
        cx.links.serve(agreed.link, LinkUse::Chat(who.clone()));
        self.opened += 1;
        let mut chat = Chat::new(who, &agreed, author, self.opened, cx.now_ms());
        if self.is_held {
            // A chat that opens while the front end is behind is held as well.
            chat.hold(cx.now_ms(), true);
        }
        let reply = chat.reply(key);
        self.open.insert(who.clone(), chat);
        let fingerprint = fingerprint(&agreed.key);
        let link = cx.links.path(agreed.link);
        cx.tell(Event::ChatOpened { with: who.clone(), fingerprint, key, link });
        self.typing.opened(cx, who, agreed.switch);
        for id in agreed.waiting {
            cx.answer(id, reply.clone());
        }
    }

    /// Answers a request for a chat that is open already. Returns false if it is not.
    pub(super) fn go_to(
        &mut self,
        cx: &mut Context,
        account: &AccountState,
        id: RequestId,
        who: &Username,
        switch: bool,
    ) -> bool {
        let Some(chat) = self.open.get(who) else {
            return false;
        };
        cx.notify(Notice::ChatOpen(who.clone()));
        self.typing.opened(cx, who, switch);
        cx.answer(id, chat.reply(account.key_state(who, &chat.key())));
        true
    }

    /// Makes a conversation the current one.
    pub(super) fn switch(&mut self, to: ConversationId) {
        self.typing = match to {
            ConversationId::Person(who) => Typing::Chat(who),
            ConversationId::Group(label) => Typing::Group(label),
            ConversationId::Everyone => Typing::Everyone,
        };
    }

    /// Notes that the user is not in a group any more.
    pub(super) fn left_group(&mut self, label: &GroupName) {
        if self.typing == Typing::Group(label.clone()) {
            self.typing = Typing::Commands;
        }
    }

    /// Makes the conversation with a person whose messages were approved the current one, unless another is.
    pub(super) fn go_on_with(&mut self, who: &Username) {
        if self.typing == Typing::Commands {
            self.typing = Typing::Chat(who.clone());
        }
    }

    /// Returns the progress of the chat that this stream is of.
    pub(super) fn progress(&self, with: &Username, stream: &Stream) -> Option<ChatProgress> {
        let chat = self.open.get(with).filter(|chat| chat.stream() == *stream)?;
        Some(chat.progress())
    }

    /// Returns the stream of the other side's messages in the open chat.
    pub(super) fn stream(&self, with: &Username) -> Option<Stream> {
        self.open.get(with).map(Chat::stream)
    }

    /// Returns the chats that have ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    fn named(&self, who: &str) -> Result<Username, Failure> {
        let chosen = choose(Among::Chatting, Some(who), self.open.keys());
        chosen.map_err(|_| Failure::NoChatWith(who.to_owned()))
    }

    /// Returns the current conversation. If there is none, it fails even if just one chat is left, so that text never
    /// goes astray.
    pub(super) fn current(&self) -> Result<ConversationId, Failure> {
        match self.typing.conversation() {
            Some(current) => Ok(current),
            None if self.open.is_empty() => Err(Failure::NoChat),
            None => Err(Failure::NoConversation),
        }
    }

    /// Sends a message. Returns its id and its number.
    pub(super) fn send(
        &mut self,
        cx: &mut Context,
        to: &Username,
        text: &str,
    ) -> Result<(MessageId, u64), Failure> {
        self.open.get_mut(to).ok_or(Failure::ChatEnding)?.send(cx, text)
    }

    /// Handles a message of the other side of a chat. Returns true if it was a text.
    pub(super) fn hear(
        &mut self,
        cx: &mut Context,
        who: &Username,
        link: LinkId,
        message: PeerMessage,
        is_hidden: bool,
    ) -> bool {
        let Some(chat) = self.open.get_mut(who) else {
            cx.close(link);
            return false;
        };
        let is_message =
            matches!(message, PeerMessage::Message { .. }) && !chat.is_resuming_on(link);
        let end = chat.hear(cx, link, message, is_hidden);
        self.close_if(cx, who, end);
        is_message && end.is_none()
    }

    /// Notes that the front end has displayed a message and all before it in its chat. Returns false
    /// if the chat has ended.
    pub(super) fn displayed(&mut self, cx: &Context, count: u64, number: u64) -> bool {
        let chat = self.open.values_mut().find(|chat| chat.is_number(count));
        chat.map(|chat| chat.displayed(cx.now_ms(), number)).is_some()
    }

    /// Holds all links, so that nothing is read from them, or releases them.
    pub(super) fn hold(&mut self, cx: &Context, is_held: bool) {
        if !(self.is_held && is_held) {
            self.open.values_mut().for_each(|chat| chat.hold(cx.now_ms(), is_held));
        }
        self.is_held = is_held;
    }

    pub(super) fn link_broke(&mut self, cx: &mut Context, who: &Username, link: LinkId) {
        match self.open.get_mut(who) {
            Some(chat) => chat.link_broke(cx, link),
            None => cx.close(link),
        }
    }

    /// Resumes a chat over a link that is up again.
    pub(super) fn resume(&mut self, cx: &mut Context, who: &Username, link: LinkId) {
        match self.open.get_mut(who) {
            Some(chat) => chat.resume(cx, link),
            None => cx.close(link),
        }
    }

    /// Handles a caller's request to resume a chat over a new link.
    pub(super) fn resumed_by_peer(
        &mut self,
        cx: &mut Context,
        (link, key): (LinkId, &PublicKey),
        id: ChatId,
        received: u64,
    ) {
        let found = self.open.iter_mut().find(|(_, chat)| chat.is_resumed_by(id, key));
        let Some((who, chat)) = found else {
            return cx.refuse(link, Refusal::Over);
        };
        let (who, end) = (who.clone(), chat.resumed_by_peer(cx, link, received));
        self.close_if(cx, &who, end);
    }

    pub(super) fn disconnect(&mut self, cx: &mut Context, id: RequestId, who: Option<&str>) {
        let is_current =
            |name: &Username| who.is_none_or(|who| who.eq_ignore_ascii_case(name.as_str()));
        let has_no_chat = match &self.typing {
            Typing::Commands => false,
            Typing::Chat(current) => is_current(current) && !self.open.contains_key(current),
            Typing::Group(current) => {
                let is_it = |who: &str| who.parse::<GroupName>().as_ref() == Ok(current);
                who.is_none_or(is_it)
            }
            Typing::Everyone => who.is_none(),
        };
        if has_no_chat {
            // Leaving the conversation is all.
            self.typing = Typing::Commands;
            return cx.answer(id, Reply::Done {});
        }
        let current = || match self.current()? {
            ConversationId::Person(who) => Ok(who),
            ConversationId::Group(_) | ConversationId::Everyone => Err(Failure::NoConversation),
        };
        match who.map_or_else(current, |who| self.named(who)) {
            Ok(who) => self.end(cx, &who, Some(id)),
            Err(failure) => cx.fail(id, failure),
        }
    }

    /// Ends a chat once all messages are confirmed or a moment has passed.
    pub(super) fn end(&mut self, cx: &mut Context, who: &Username, id: Option<RequestId>) {
        let end = self.open.get_mut(who).and_then(|chat| chat.end(cx.now_ms(), id));
        self.close_if(cx, who, end);
    }

    pub(super) fn end_all(&mut self, cx: &mut Context) {
        for who in self.open.keys().cloned().collect::<Vec<_>>() {
            self.end(cx, &who, None);
        }
    }

    fn close_if(&mut self, cx: &mut Context, who: &Username, end: Option<ChatEnd>) {
        if let Some(reason) = end {
            self.close(cx, who, reason);
        }
    }

    /// Closes a chat, if there is one, and tells the other side if possible.
    pub(super) fn close(&mut self, cx: &mut Context, who: &Username, reason: ChatEnd) {
        if let Some(mut chat) = self.open.remove(who) {
            chat.hang_up(cx, reason);
            self.typing.closed(who, reason == ChatEnd::Ended || chat.is_ending());
            self.ended.push(chat.into_ended(reason));
        }
    }

    pub(super) fn tick(&mut self, cx: &mut Context) {
        let is_due = |chat: &Chat| chat.due_ms().is_some_and(|due| due <= cx.now_ms());
        let due = self.open.iter().filter(|(_, chat)| is_due(chat)).map(|(who, _)| who.clone());
        for who in due.collect::<Vec<_>>() {
            let end = self.open.get_mut(&who).and_then(|chat| chat.tick(cx));
            self.close_if(cx, &who, end);
        }
    }
}

impl Session {
    /// Opens a chat that both sides have agreed on.
    pub(super) fn open_chat(&mut self, who: &Username, agreed: Proposal) {
        let Some(author) = self.account.key() else {
            self.cx.close(agreed.link);
            return self.cx.fail_all(agreed.waiting, &Failure::NotLoggedIn);
        };
        // If a chat is open, they called again, so they have forgotten it.
        self.chats.close(&mut self.cx, who, ChatEnd::Replaced);
        self.note_ended_chats();
        let state = self.pin(who, agreed.key);
        if state == KeyState::New {
            self.share_person(who);
        }
        if let Some(receiver) = agreed.receiver
            && !self.cx.links.is_met(agreed.link)
        {
            self.account.locate(&mut self.cx, who, agreed.key, receiver);
        }
        self.requests.forget_bell(who);
        self.chats.open(&mut self.cx, who, agreed, author, state);
        self.release_held(who);
        self.server.report_activity(&mut self.cx);
        if self.cx.config().detach_on_chat {
            self.leave_server();
        }
    }

    /// Reports the chats that have ended. Their unconfirmed messages take the next route.
    pub(super) fn note_ended_chats(&mut self) {
        for ended in self.chats.take_ended() {
            let Ended { with, reason, stream, progress, unconfirmed, waiting, .. } = ended;
            let mut undelivered = Vec::new();
            for Unconfirmed { id, place, text } in unconfirmed {
                if !self.hand_over(&with, place, id, &text) {
                    self.cx.tell(Event::MessageState {
                        conversation: ConversationId::Person(with.clone()),
                        id,
                        to: None,
                        state: MessageState::Failed,
                        via: Via::Direct,
                        code: None,
                        is_news: false,
                    });
                    undelivered.push(text);
                }
            }
            self.note_ended_chat(stream, progress);
            self.cx.tell(Event::ChatClosed { with, reason, undelivered });
            for id in waiting {
                self.cx.answer(id, Reply::Done {});
            }
        }
    }

    /// Makes a conversation the current one: that of an open chat, or with a person who is known.
    pub(super) fn switch(&mut self, to: &str) -> Result<Reply, Failure> {
        let unknown = || Failure::NoChatWith(to.to_owned());
        let who: ConversationId = to.parse().map_err(|_| unknown())?;
        let who = match who {
            ConversationId::Person(who) => who,
            ConversationId::Group(label) => {
                let group = self.groups.joined(&label);
                group.ok_or_else(|| Failure::NoSuchGroup(to.to_owned()))?;
                self.chats.switch(ConversationId::Group(label));
                return Ok(Reply::Done {});
            }
            ConversationId::Everyone => {
                self.chats.switch(ConversationId::Everyone);
                return Ok(Reply::Done {});
            }
        };
        let is_known = self.chats.is_open(&who)
            || self.account.known_key(&who).is_some()
            || self.server.has_listed(self.account.name(), to);
        is_known.then_some(()).ok_or_else(unknown)?;
        self.chats.switch(ConversationId::Person(who));
        Ok(Reply::Done {})
    }
}
