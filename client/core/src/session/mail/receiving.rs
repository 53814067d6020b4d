//! Others' messages in envelopes, and requests to receive them.

use letschat_protocol::body::{Body, Content};
use letschat_protocol::dialogue::Request as ServerRequest;
use letschat_protocol::envelope::OpenError;
use letschat_protocol::files::FileInfo;
use letschat_protocol::files::name::FileName;
use letschat_protocol::groups::GroupId;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::printable::is_blank;
use letschat_protocol::username::Username;

use super::arrivals::{Arrival, ChatProgress, Delivery, Verdict, released};
use super::commits::After;
use super::shown::Shown;
use crate::conversation::{ConversationId, Via};
use crate::event::{Event, KeyState, RequestKind, fingerprint};
use crate::failure::Failure;
use crate::mail::{Arrived, Held, MailChange, OwedReceipt, Stream};
use crate::notice::Notice;
use crate::session::server::Expected;
use crate::session::{Displayed, Effect, Session};
use crate::watermark::MAX_NUMBER;

/// The shortest interval of notices about mail. A hostile sender can cause many.
const NOTICE_INTERVAL_MS: u64 = 60_000;
/// The most envelopes that wait for a chat's display.
const MAX_IN_CHATS: usize = 256;

/// A message from the server or from its author, opened if it could be.
#[derive(Debug, Clone)]
pub(in crate::session) struct Incoming {
    pub(super) delivery: Delivery,
    /// The author, or the account that posted an envelope which could not be opened.
    pub(super) sender: Username,
    pub(super) bytes: usize,
    pub(super) opened: Result<Body, OpenError>,
}

impl Incoming {
    /// Returns the size of the message.
    pub(in crate::session) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns true for an envelope from the server.
    pub(in crate::session) fn is_from_server(&self) -> bool {
        matches!(self.delivery, Delivery::Server(_))
    }
}

impl Session {
    /// Handles an envelope from the server.
    pub(in crate::session) fn mail_arrived(&mut self, mail: Arrived) {
        let Arrived { number, sender, bytes, opened } = mail;
        self.take_in(Incoming { delivery: Delivery::Server(number), sender, bytes, opened });
    }

    /// Handles a message. Whatever it holds, its delivery is acknowledged in the end, so that it holds up nothing.
    pub(in crate::session) fn take_in(&mut self, mail: Incoming) {
        if self.account.opened().is_none() {
            return;
        }
        let is_blocked = self.account.is_blocked(&mail.sender);
        let waits =
            !is_blocked && mail.opened.as_ref().is_ok_and(|body| self.park_mail(&mail, body));
        if !waits {
            self.judge_mail(&mail);
        }
    }

    /// Handles a message whose author's devices are known as well as they can be.
    pub(in crate::session) fn judge_mail(&mut self, mail: &Incoming) {
        // A person who is blocked stays in the groups of both.
        let is_of_group =
            |body: &Body| matches!(body.content, Content::Roster(_) | Content::Wish(..));
        if self.account.is_blocked(&mail.sender) && !mail.opened.as_ref().is_ok_and(is_of_group) {
            return self.acknowledge(vec![mail.delivery]);
        }
        match mail.opened.clone() {
            Ok(body) => self.body_arrived(mail, body),
            Err(why) => self.refuse_mail(mail, why),
        }
    }

    fn body_arrived(&mut self, mail: &Incoming, body: Body) {
        self.compare_lists(&body);
        if self.account.name() == Some(&body.sender) {
            return self.own_copy_arrived(mail, &body);
        }
        match body.content.clone() {
            Content::Receipt(ids) => {
                let is_trusted = self.is_trusted_device(&body.sender, &body.device);
                let settled = match is_trusted {
                    true => self.delivered(&body.sender, &ids, Via::Server),
                    false => Vec::new(),
                };
                match settled.is_empty() {
                    true => self.acknowledge(vec![mail.delivery]),
                    false => self.mail.arrivals.settle(settled, mail.delivery, self.cx.now_ms()),
                }
            }
            Content::Text(text) => self.text_arrived(mail, &body, text, None),
            Content::File(name, file) => {
                let name = FileName::reduced(&name).to_string();
                self.text_arrived(mail, &body, name, Some(file));
            }
            Content::Roster(roster) => self.roster_arrived(mail, &body.sender, &roster),
            Content::Wish(group, wish, roster) => {
                self.wish_arrived(mail, (&body.sender, body.device), (group, wish, roster));
            }
            // Only a device of the own account is heard about people.
            Content::People(_) => self.refuse_mail(mail, OpenError::NotAddressed),
            Content::Unknown(_) => {
                self.notify_of_mail(&mail.sender, Notice::NewerVersion(body.sender));
                self.acknowledge(vec![mail.delivery]);
            }
        }
    }

    /// Handles a text, or the offer of a file with this name.
    fn text_arrived(&mut self, mail: &Incoming, body: &Body, text: String, file: Option<FileInfo>) {
        let (stream, number) = Stream::of(body);
        let is_countable = (1..=MAX_NUMBER).contains(&number);
        let group = body.conversation.parse::<GroupId>().ok();
        let conversation = match group {
            Some(group) => match self.group_of(mail, body, &group) {
                Some(conversation) => Some(conversation),
                None => return,
            },
            None => self.conversation_of(mail, body),
        };
        // Nobody offers a file to a class, where everybody would fetch it.
        let is_fit = |conversation: &ConversationId| {
            let has_files = *conversation != ConversationId::Everyone || file.is_none();
            is_countable && !is_blank(&text) && has_files
        };
        let conversation = conversation.filter(is_fit);
        let Some(conversation) = conversation else {
            return self.refuse_mail(mail, OpenError::NotAddressed);
        };
        let chat = self.chats.progress(&body.sender, &stream);
        // An author who delivers it is told by the acknowledgement.
        let receipt_to = match mail.delivery {
            Delivery::Server(_) => Some(&body.sender),
            Delivery::Peer(..) => None,
        };
        let delivery = (mail.delivery, receipt_to);
        let is_known =
            group.is_some() || self.account.key_state(&body.sender, &body.device).is_known();
        if is_known && group.is_none() {
            // Earlier ones may wait although their device is known by now, and this one among them.
            self.release_held(&body.sender);
        }
        match self.mail.arrivals.judge((&stream, number), delivery, chat) {
            Verdict::Recorded => return self.arrived_again(mail, body),
            Verdict::Pending => return,
            Verdict::InChat => return self.mail_in_chat(mail),
            Verdict::New => {}
        }
        if !is_known {
            return self.hold(mail, body, (stream, number), (text, file));
        }
        let count = self.mail.arrivals.missing_before(&stream, number);
        // Messages to everyone skip people whom the author did not know, so gaps are normal.
        if count > 0 && !stream.is_chat() && conversation != ConversationId::Everyone {
            let from = body.sender.clone();
            self.notify_of_mail(&mail.sender, Notice::MessagesMissing { from, count });
        }
        let arrival = Arrival {
            stream,
            number,
            id: body.message_id(),
            deliveries: vec![mail.delivery],
            bytes: mail.bytes,
            receipt_to: receipt_to.cloned(),
            was_held: false,
        };
        self.display(
            arrival,
            Shown {
                from: body.sender.clone(),
                conversation,
                text,
                file,
                sent_ms: body.time_ms,
                time_ms: self.cx.wall_ms(),
                via: mail.delivery.via(),
                own: false,
                device: None,
            },
        );
    }

    /// Returns the conversation of an arriving body, as this user sees it. Only the clients of a classroom write to
    /// everyone, and only straight.
    fn conversation_of(&self, mail: &Incoming, body: &Body) -> Option<ConversationId> {
        let own = self.account.name().map(Username::as_str);
        let is_straight = matches!(mail.delivery, Delivery::Peer(..));
        match body.conversation.parse().ok()? {
            ConversationId::Everyone if is_straight && self.cx.config().classroom => {
                Some(ConversationId::Everyone)
            }
            _ if own == Some(body.conversation.as_str()) => {
                Some(ConversationId::Person(body.sender.clone()))
            }
            _ => None,
        }
    }

    /// Handles a message that was displayed before. If it came another way then, its author may not know that.
    fn arrived_again(&mut self, mail: &Incoming, body: &Body) {
        let mut changes = Vec::new();
        let is_from_server = matches!(mail.delivery, Delivery::Server(_));
        if is_from_server && self.is_trusted_device(&body.sender, &body.device) {
            let owed = OwedReceipt { to: body.sender.clone(), id: body.message_id() };
            if self.mail.posting.owe(owed.clone()) {
                changes.push(MailChange::Owed(owed));
            }
        }
        self.commit_and_acknowledge(changes, vec![mail.delivery]);
    }

    /// Keeps an envelope until front ends have displayed its message for the chat.
    fn mail_in_chat(&mut self, mail: &Incoming) {
        // The next login delivers others again.
        if self.mail.in_chats.len() < MAX_IN_CHATS {
            self.mail.in_chats.push(mail.clone());
        }
    }

    /// Handles the kept envelopes again, since front ends have displayed messages of a chat.
    pub(in crate::session) fn handle_mail_in_chats(&mut self) {
        for mail in std::mem::take(&mut self.mail.in_chats) {
            self.take_in(mail);
        }
    }

    /// Returns true for a text of an open chat that came in an envelope before: its author has ended the chat, and
    /// the link was slower.
    pub(in crate::session) fn came_in_envelope(
        &self,
        from: &Username,
        message: &PeerMessage,
    ) -> bool {
        let PeerMessage::Message { number, .. } = message else {
            return false;
        };
        let stream = self.chats.stream(from);
        stream.is_some_and(|stream| self.mail.arrivals.has(&stream, *number))
    }

    pub(super) fn display(&mut self, arrival: Arrival, shown: Shown) {
        let (id, device) = (arrival.id, arrival.stream.device);
        let count = self.mail.arrivals.tell(arrival);
        if let Some(file) = shown.file {
            let from = (shown.from.clone(), device);
            let name = FileName::reduced(&shown.text);
            self.file_offered(id, shown.conversation.clone(), from, (name, file));
        }
        self.cx.push(Effect::Display(shown.into_event(id), Displayed::Mail { count }));
    }

    /// Notes that the front ends have displayed all messages up to this count.
    pub(in crate::session) fn mail_displayed(&mut self, count: u64) {
        self.mail.arrivals.displayed(count, self.cx.now_ms());
    }

    /// Notes that the front ends have displayed the messages of an ended chat up to this number.
    pub(in crate::session) fn displayed_in_ended_chat(&mut self, chat: u64, number: u64) {
        if let Some(change) = self.mail.arrivals.displayed_in_chat(chat, number) {
            self.commit(vec![change], After::Nothing);
        }
    }

    /// Notes the end of a direct chat: its author may send its unconfirmed messages again in envelopes.
    pub(in crate::session) fn note_ended_chat(&mut self, stream: Stream, progress: ChatProgress) {
        if self.account.opened().is_none() {
            return;
        }
        let changes = self.mail.arrivals.chat_ended(stream, progress);
        if !changes.is_empty() {
            self.commit(changes, After::Nothing);
        }
    }

    /// Records the displayed messages. Their acknowledgement follows.
    pub(super) fn record_displayed(&mut self) {
        let (mut changes, owed, deliveries) = self.mail.arrivals.record();
        for owed in owed {
            if self.mail.posting.owe(owed.clone()) {
                changes.push(MailChange::Owed(owed));
            }
        }
        self.commit_and_acknowledge(changes, deliveries);
    }

    /// Drops a message that is not shown.
    pub(in crate::session) fn drop_mail(&mut self, mail: &Incoming) {
        self.acknowledge(vec![mail.delivery]);
    }

    /// Acknowledges deliveries. The server then deletes its own.
    pub(super) fn acknowledge(&mut self, deliveries: Vec<Delivery>) {
        let mut numbers = Vec::new();
        for delivery in deliveries {
            match delivery {
                Delivery::Server(number) => numbers.push(number),
                Delivery::Peer(link, id) => self.acknowledge_to_peer(link, id),
            }
        }
        // Otherwise the next login delivers them again.
        if self.server.is_logged_in() && !numbers.is_empty() {
            self.mail.acknowledging.add(numbers);
            self.acknowledge_next();
        }
    }

    /// Sends the next acknowledgement, if one can be sent now.
    pub(super) fn acknowledge_next(&mut self) {
        if let Some(numbers) = self.mail.acknowledging.begin(self.cx.now_ms()) {
            let request = ServerRequest::Acknowledge { numbers };
            self.server.ask(&mut self.cx, request, Expected::Acknowledged);
        }
    }

    /// Handles the server's answer to an acknowledgement.
    pub(in crate::session) fn acknowledgement_answered(&mut self, is_done: bool) {
        let (now_ms, jitter) = (self.cx.now_ms(), self.cx.jitter());
        self.mail.acknowledging.answered(is_done, now_ms, jitter);
        self.acknowledge_next();
    }

    /// Drops an envelope that can't be shown, and tells the user.
    pub(super) fn refuse_mail(&mut self, mail: &Incoming, why: OpenError) {
        self.notify_of_mail(&mail.sender, Notice::MailRefused { from: mail.sender.clone(), why });
        self.acknowledge(vec![mail.delivery]);
    }

    /// Tells the user what is wrong with the mail of a person. That of strangers goes unnoticed, as their messages do.
    pub(super) fn notify_of_mail(&mut self, from: &Username, notice: Notice) {
        let now_ms = self.cx.now_ms();
        if self.account.known_key(from).is_none() {
            return;
        }
        if self.mail.noticed_ms.is_none_or(|last| last + NOTICE_INTERVAL_MS <= now_ms) {
            self.mail.noticed_ms = Some(now_ms);
            self.cx.notify(notice);
        }
    }
}

/// Messages of people whom the user has not approved.
impl Session {
    /// Holds a message until the user approves its author. One beyond the limits is dropped.
    fn hold(
        &mut self,
        mail: &Incoming,
        body: &Body,
        (stream, number): (Stream, u64),
        (text, file): (String, Option<FileInfo>),
    ) {
        if let Some(held) = self.mail.held.get(&stream, number) {
            // The record may have failed the last time.
            let changes = vec![MailChange::Held(held.clone())];
            return self.commit_and_acknowledge(changes, vec![mail.delivery]);
        }
        let from = body.sender.clone();
        let held = Held {
            id: body.message_id(),
            from: from.clone(),
            stream,
            number,
            text,
            file,
            sent_ms: body.time_ms,
            time_ms: self.cx.wall_ms(),
        };
        let first = self.mail.held.device(&from);
        let (is_first, is_in_its_list) = (first.is_none(), self.are_in_one_list(&held, first));
        if !self.mail.held.add(held.clone(), is_in_its_list) {
            return self.acknowledge(vec![mail.delivery]);
        }
        if is_first {
            self.tell_held_request(&held);
        }
        self.commit_and_acknowledge(vec![MailChange::Held(held)], vec![mail.delivery]);
    }

    /// Tells the requests of all held messages.
    pub(super) fn tell_held_requests(&mut self) {
        for held in self.mail.held.firsts().cloned().collect::<Vec<_>>() {
            self.tell_held_request(&held);
        }
    }

    fn tell_held_request(&mut self, held: &Held) {
        let key = self.account.key_state(&held.from, &held.stream.device);
        if key == KeyState::Changed {
            self.account.note_offer(&held.from, held.stream.device);
        }
        self.cx.tell(Event::Request {
            from: held.from.clone(),
            kind: RequestKind::Message,
            group: None,
            address: None,
            fingerprint: fingerprint(&held.stream.device),
            key,
            time_ms: held.time_ms,
        });
    }

    /// Approves the author of held messages, and shows these.
    pub(in crate::session) fn approve_messages(&mut self, who: &Username) -> Result<(), Failure> {
        let Some(device) = self.mail.held.device(who) else {
            return Ok(());
        };
        if self.account.key_state(who, &device) == KeyState::Changed {
            // It may be a new device all the same, if the server was busy when the message came.
            self.look_up(who);
            return Err(self.account.show_offer(who, device, false));
        }
        self.pin(who, device);
        self.share_person(who);
        self.release_held(who);
        Ok(())
    }

    /// Shows the held messages of a person if they come from the known key.
    pub(in crate::session) fn release_held(&mut self, who: &Username) {
        let device = self.mail.held.device(who);
        if !device.is_some_and(|device| self.account.key_state(who, &device).is_known()) {
            return;
        }
        for held in self.mail.held.take(who) {
            if !self.account.key_state(who, &held.stream.device).is_known() {
                // Its device has been removed since.
                self.mail.held.add(held, true);
                continue;
            }
            let arrival = released(&held);
            let Held { from, text, file, sent_ms, time_ms, .. } = held;
            let conversation = ConversationId::Person(from.clone());
            let (via, own, device) = (Via::Server, false, None);
            self.display(
                arrival,
                Shown { from, conversation, text, file, sent_ms, time_ms, via, own, device },
            );
        }
    }

    /// Returns true if a stranger's list has the device of a message and the one of which a message is held.
    fn are_in_one_list(&self, held: &Held, first: Option<PublicKey>) -> bool {
        let offered = self.account.offered(&held.from).zip(first);
        offered.is_some_and(|(list, first)| {
            list.contains(&first) && list.contains(&held.stream.device)
        })
    }

    /// Drops the held messages of a person. Returns false if there are none.
    pub(in crate::session) fn deny_messages(&mut self, who: &Username) -> bool {
        let denied = self.mail.held.take(who);
        let mut changes = Vec::new();
        for held in &denied {
            changes.push(MailChange::Released(held.id));
            changes.extend(self.mail.arrivals.skip(&held.stream, held.number));
        }
        if let Some(first) = denied.first() {
            self.account.withdraw_offer(who, first.stream.device);
            self.commit(changes, After::Nothing);
        }
        !denied.is_empty()
    }
}
