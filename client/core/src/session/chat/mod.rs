//! An open chat: its path, its messages and its deadlines. `breaks` resumes it over a new link.
//!
//! A chat outlives its links. When a link breaks, the side that called dials again for a minute
//! under the same approval, and both sides continue where they were. A minute after the first of
//! several breaks the chat is over too, unless a link lived for a while between them.

mod breaks;

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use letschat_protocol::body::Place;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};
use letschat_protocol::username::Username;

use crate::codes::ChatEnd;
use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::{Event, KeyState, fingerprint};
use crate::failure::Failure;
use crate::mail::{Stream, StreamSource};
use crate::session::backoff::Backoff;
use crate::session::calls::Proposal;
use crate::session::context::Context;
use crate::session::delivery::{Arrival, Delivery, Full};
use crate::session::mail::ChatProgress;
use crate::session::{ChatStatus, Displayed, Effect, LinkId, Reply, RequestId};
use crate::view::ChatState;

/// The silence after which the other side is asked for a sign of life.
const QUIET_MS: u64 = 20_000;
/// The same while messages are unconfirmed.
const UNCONFIRMED_MS: u64 = 4_000;
/// The longest delay of an acknowledgement, unless another message carries it earlier. The display
/// itself may be noticed as much later.
const ACKNOWLEDGEMENT_DELAY_MS: u64 = 10;
/// The wait for a sign of life, after which the link counts as broken.
const PONG_MS: u64 = 8_000;
/// The wait for the last confirmations when a chat ends.
const ENDING_MS: u64 = 3_000;

/// An approved and opened chat. If a method returns a [`ChatEnd`], the caller has to close the
/// chat.
#[derive(Debug)]
pub(in crate::session) struct Chat {
    with: Username,
    id: ChatId,
    /// The number of this chat in this run.
    count: u64,
    /// The user's own key.
    author: PublicKey,
    key: PublicKey,
    receiver: Option<SocketAddr>,
    /// True if this side called, and so dials again.
    caller: bool,
    path: Path,
    /// The time at which the present link, or the last one, resumed the chat.
    whole_since_ms: u64,
    /// The failures in a row: short-lived links and failed dials.
    backoff: Backoff,
    delivery: Delivery,
    /// The time at which something last arrived, and that of the ping sent since, if any.
    heard_ms: u64,
    pinged_ms: Option<u64>,
    /// The time at which the oldest unconfirmed message was sent on this link.
    unconfirmed_since_ms: Option<u64>,
    /// The deadline of the owed acknowledgement, if any. Any other message carries it earlier.
    acknowledgement_due_ms: Option<u64>,
    /// The time of the next sign of life, while the front end is behind and nothing is read from
    /// the link. The other side's silence can't be judged meanwhile.
    held_pong_ms: Option<u64>,
    ending: Option<Ending>,
}

/// The path of messages to the other side. A relay would be another variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Direct(LinkId),
    /// The link broke.
    Broken {
        redial: Redial,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redial {
    /// The other side has to dial.
    Theirs,
    At(u64),
    /// A link is being dialled, or waits for the other side's answer.
    Under(LinkId),
}

#[derive(Debug)]
struct Ending {
    until_ms: u64,
    waiting: Vec<RequestId>,
}

impl Chat {
    /// Returns a chat that both sides have agreed on.
    pub(in crate::session) fn new(
        with: &Username,
        agreed: &Proposal,
        author: PublicKey,
        count: u64,
        now_ms: u64,
    ) -> Chat {
        Chat {
            with: with.clone(),
            id: agreed.id,
            count,
            author,
            key: agreed.key,
            receiver: agreed.receiver,
            caller: agreed.caller,
            path: Path::Direct(agreed.link),
            whole_since_ms: now_ms,
            backoff: Backoff::default(),
            delivery: Delivery::default(),
            heard_ms: now_ms,
            pinged_ms: None,
            unconfirmed_since_ms: None,
            acknowledgement_due_ms: None,
            held_pong_ms: None,
            ending: None,
        }
    }

    pub(in crate::session) fn key(&self) -> PublicKey {
        self.key
    }

    /// Returns true for the chat of this run that has this number.
    pub(in crate::session) fn is_number(&self, count: u64) -> bool {
        self.count == count
    }

    /// Returns true if the other side may resume the chat by this name and with this key.
    pub(in crate::session) fn is_resumed_by(&self, id: ChatId, key: &PublicKey) -> bool {
        self.id == id && self.key == *key && !self.caller
    }

    pub(in crate::session) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Returns true if the link is up, as far as is known.
    fn is_whole(&self) -> bool {
        matches!(self.path, Path::Direct(_))
    }

    pub(in crate::session) fn reply(&self, key: KeyState) -> Reply {
        Reply::Chat { with: self.with.to_string(), fingerprint: fingerprint(&self.key), key }
    }

    pub(in crate::session) fn state(&self) -> ChatState {
        match self.path {
            Path::Direct(_) => ChatState::Open,
            Path::Broken { .. } => ChatState::Interrupted,
        }
    }

    pub(in crate::session) fn status(
        &self,
        cx: &Context,
        current: bool,
        key: KeyState,
    ) -> ChatStatus {
        let link = match self.path {
            Path::Direct(link) => Some(cx.links.path(link)),
            Path::Broken { .. } => None,
        };
        ChatStatus {
            with: self.with.to_string(),
            state: self.state().name(),
            current,
            unconfirmed: self.delivery.waiting(),
            key,
            link,
        }
    }

    /// Returns the chat's next deadline.
    pub(in crate::session) fn due_ms(&self) -> Option<u64> {
        let ending = self.ending.as_ref().map(|ending| ending.until_ms);
        let path = match (self.path, self.held_pong_ms) {
            (_, Some(pong)) => pong,
            (Path::Direct(_), None) => self.life_due_ms(),
            (Path::Broken { redial: Redial::At(at) }, None) => at.min(self.given_up_ms()),
            (Path::Broken { .. }, None) => self.given_up_ms(),
        };
        ending.into_iter().chain(self.acknowledgement_due_ms).chain([path]).min()
    }

    /// Returns the time at which a sign of life is requested or, after that, counts as missing.
    fn life_due_ms(&self) -> u64 {
        if let Some(pinged) = self.pinged_ms {
            return pinged + PONG_MS;
        }
        let quiet = self.heard_ms + QUIET_MS;
        let unconfirmed =
            self.unconfirmed_since_ms.map(|since| since.max(self.heard_ms) + UNCONFIRMED_MS);
        unconfirmed.map_or(quiet, |unconfirmed| unconfirmed.min(quiet))
    }

    /// Handles the deadlines that are due.
    pub(in crate::session) fn tick(&mut self, cx: &mut Context) -> Option<ChatEnd> {
        let now_ms = cx.now_ms();
        if self.ending.as_ref().is_some_and(|ending| ending.until_ms <= now_ms) {
            return Some(ChatEnd::Ended);
        }
        let acknowledgement_is_due = self.acknowledgement_due_ms.is_some_and(|due| due <= now_ms);
        match self.path {
            Path::Direct(_) if acknowledgement_is_due => self.acknowledge(cx),
            _ if self.held_pong_ms.is_some() => self.send_held_pong(cx),
            Path::Direct(link) if self.life_due_ms() <= now_ms => {
                if self.pinged_ms.is_some() {
                    self.link_broke(cx, link);
                } else {
                    self.pinged_ms = Some(now_ms);
                    cx.send(link, PeerMessage::Ping);
                }
            }
            Path::Direct(_) => {}
            Path::Broken { .. } if self.is_given_up(now_ms) => return Some(ChatEnd::Lost),
            Path::Broken { redial: Redial::At(at) } if at <= now_ms => self.redial(cx),
            Path::Broken { .. } => {}
        }
        None
    }

    fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        self.pinged_ms = None;
    }
}

/// A chat that has ended.
#[derive(Debug)]
pub(in crate::session) struct Ended {
    pub(in crate::session) with: Username,
    pub(in crate::session) reason: ChatEnd,
    /// The stream of the other side's messages, and how far it came.
    pub(in crate::session) stream: Stream,
    pub(in crate::session) progress: ChatProgress,
    /// The own messages that were never confirmed, oldest first.
    pub(in crate::session) unconfirmed: Vec<Unconfirmed>,
    /// The user's requests that wait for the end.
    pub(in crate::session) waiting: Vec<RequestId>,
}

/// An own message of a chat that was never confirmed.
#[derive(Debug)]
pub(in crate::session) struct Unconfirmed {
    pub(in crate::session) id: MessageId,
    pub(in crate::session) place: Place,
    pub(in crate::session) text: String,
}

/// The messages of a chat.
impl Chat {
    /// Returns the stream of the other side's messages.
    pub(in crate::session) fn stream(&self) -> Stream {
        Stream { device: self.key, source: StreamSource::Chat(self.id) }
    }

    /// Returns how far the other side's messages came.
    pub(in crate::session) fn progress(&self) -> ChatProgress {
        let (received, displayed) = self.delivery.progress();
        ChatProgress { count: self.count, received, displayed }
    }

    /// Sends a text. Returns its id and its number.
    pub(in crate::session) fn send(
        &mut self,
        cx: &mut Context,
        text: &str,
    ) -> Result<(MessageId, u64), Failure> {
        let pushed = self.delivery.push(text.to_owned());
        let number = pushed.map_err(|Full| Failure::TooManyUnconfirmed)?;
        self.unconfirmed_since_ms.get_or_insert(cx.now_ms());
        if let Path::Direct(link) = self.path {
            self.acknowledge(cx);
            cx.send(link, PeerMessage::Message { number, text: text.to_owned() });
        }
        Ok((MessageId::in_chat(self.id, &self.author, number), number))
    }

    /// Handles a message of the other side. A hidden text is not shown.
    pub(in crate::session) fn hear(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        message: PeerMessage,
        is_hidden: bool,
    ) -> Option<ChatEnd> {
        self.heard(cx.now_ms());
        if self.is_resuming_on(link) {
            match message {
                PeerMessage::Resumed { received } => return self.resumed(cx, link, received),
                PeerMessage::Refuse(Refusal::Over) => return Some(ChatEnd::Lost),
                _ => self.link_broke(cx, link),
            }
            return None;
        }
        match message {
            PeerMessage::Message { number, text } => self.receive(cx, number, text, is_hidden),
            PeerMessage::Acknowledge { through } => {
                let Some(confirmed) = self.confirm(cx, through) else {
                    return Some(ChatEnd::Protocol);
                };
                self.tell_state(cx, confirmed, MessageState::Delivered);
                self.end_if_done()
            }
            PeerMessage::Ping => {
                cx.send(link, PeerMessage::Pong);
                None
            }
            PeerMessage::Pong => None,
            // The other side may give up before it has our confirmation.
            PeerMessage::Bye | PeerMessage::Refuse(_) => Some(ChatEnd::PeerEnded),
            _ => Some(ChatEnd::Protocol),
        }
    }

    fn receive(
        &mut self,
        cx: &mut Context,
        number: u64,
        text: String,
        is_hidden: bool,
    ) -> Option<ChatEnd> {
        match self.delivery.receive(number) {
            Arrival::Gap => return Some(ChatEnd::Protocol),
            // The acknowledgement was lost with an earlier link, or is still to be sent.
            Arrival::Again => self.owe_acknowledgement(cx.now_ms()),
            // The person was blocked, or has ended the chat and sent the text in an envelope as well.
            Arrival::Next if is_hidden => {}
            Arrival::Next => {
                let displayed = Displayed::Message { chat: self.count, number };
                let id = MessageId::in_chat(self.id, &self.key, number);
                let event = Event::Message {
                    from: self.with.clone(),
                    number: Some(number),
                    text,
                    time_ms: cx.wall_ms(),
                    sent_ms: cx.wall_ms(),
                    conversation: ConversationId::Person(self.with.clone()),
                    id,
                    own: false,
                    device: None,
                    via: Via::Direct,
                };
                cx.push(Effect::Display(event, displayed));
            }
        }
        None
    }

    /// Notes that the front end has displayed everything up to this number.
    pub(in crate::session) fn displayed(&mut self, now_ms: u64, number: u64) {
        self.delivery.display(number);
        self.owe_acknowledgement(now_ms);
    }

    /// Sets the deadline of the next acknowledgement.
    fn owe_acknowledgement(&mut self, now_ms: u64) {
        if !self.is_whole() {
            // The resumption acknowledges as well.
            return;
        }
        let delay_ms = if self.delivery.owes_much() { 0 } else { ACKNOWLEDGEMENT_DELAY_MS };
        let due = now_ms + delay_ms;
        self.acknowledgement_due_ms =
            Some(self.acknowledgement_due_ms.map_or(due, |earlier| earlier.min(due)));
    }

    /// Sends the acknowledgement that is owed, if any.
    fn acknowledge(&mut self, cx: &mut Context) {
        if let Path::Direct(link) = self.path
            && self.acknowledgement_due_ms.take().is_some()
        {
            cx.send(link, PeerMessage::Acknowledge { through: self.delivery.acknowledge() });
        }
    }

    /// Handles the other side's acknowledgement up to this number. Returns the numbers that it
    /// confirms, or `None` if the number was never sent.
    fn confirm(&mut self, cx: &Context, through: u64) -> Option<RangeInclusive<u64>> {
        let confirmed = self.delivery.confirm(through)?;
        let is_waiting = self.delivery.waiting() > 0;
        self.unconfirmed_since_ms = is_waiting.then_some(cx.now_ms());
        Some(confirmed)
    }

    /// Reports the new state of own messages.
    fn tell_state(&self, cx: &mut Context, numbers: RangeInclusive<u64>, state: MessageState) {
        for number in numbers {
            let conversation = ConversationId::Person(self.with.clone());
            let id = MessageId::in_chat(self.id, &self.author, number);
            let via = Via::Direct;
            cx.tell(Event::MessageState {
                conversation,
                id,
                to: None,
                state,
                via,
                code: None,
                is_news: false,
            });
        }
    }
}

/// The end of a chat.
impl Chat {
    /// Ends the chat once all messages are confirmed or a moment has passed.
    pub(in crate::session) fn end(
        &mut self,
        now_ms: u64,
        id: Option<RequestId>,
    ) -> Option<ChatEnd> {
        let until_ms = now_ms + ENDING_MS;
        let ending = self.ending.get_or_insert(Ending { until_ms, waiting: Vec::new() });
        ending.waiting.extend(id);
        let can_confirm = self.is_whole() && self.delivery.waiting() > 0;
        (!can_confirm).then_some(ChatEnd::Ended)
    }

    fn end_if_done(&self) -> Option<ChatEnd> {
        (self.is_ending() && self.delivery.waiting() == 0).then_some(ChatEnd::Ended)
    }

    /// Closes the link, and says goodbye if the other side does not know of the end.
    pub(in crate::session) fn hang_up(&mut self, cx: &mut Context, reason: ChatEnd) {
        let Some(link) = self.link() else { return };
        if self.is_whole() && reason != ChatEnd::PeerEnded {
            self.acknowledge(cx);
            cx.send(link, PeerMessage::Bye);
        }
        cx.close(link);
    }

    /// Ends the chat for good.
    pub(in crate::session) fn into_ended(self, reason: ChatEnd) -> Ended {
        let unconfirmed = self.delivery.unconfirmed().map(|(number, text)| Unconfirmed {
            id: MessageId::in_chat(self.id, &self.author, number),
            place: Place::Chat { chat: self.id, number },
            text: text.clone(),
        });
        Ended {
            reason,
            stream: self.stream(),
            progress: self.progress(),
            unconfirmed: unconfirmed.collect(),
            waiting: self.ending.map(|ending| ending.waiting).unwrap_or_default(),
            with: self.with,
        }
    }
}
