//! The people's reactions to answers and events, which go into their histories.

use std::collections::BTreeSet;

use letschat_core::codes::{FailureCode, LinkEnd, NoticeCode};
use letschat_core::conversation::{ConversationId, MessageState, Via};
use letschat_core::event::{self, Event as Told, GroupChange, RequestKind};
use letschat_core::failure::Failure;
use letschat_core::session::{Reply, Request, RequestId};
use letschat_protocol::devices::DeviceCode;
use letschat_protocol::dialogue::Closing;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use crate::classroom::line_of;
use crate::history::{ChatHistory, Heard, Own};
use crate::people::{Act, Person};
use crate::server::fingerprint;
use crate::world::{Event, Plan, World};

impl World {
    pub(crate) fn answered(
        &mut self,
        person: usize,
        id: RequestId,
        result: Result<Reply, Failure>,
    ) {
        self.note(format_args!("person {person} is answered {result:?}"));
        let request = self.people[person].open_requests.remove(&id);
        let request = request.expect("a request is answered exactly once");
        self.people[person].answered += 1;
        if let Some(text) = line_of(&request).filter(|_| self.plan == Plan::Classroom) {
            self.people[person].history.class.answered(text, &result);
        }
        match (request, result) {
            (Request::SignUp { .. }, Ok(_)) => self.at(50, Event::Act { person, act: Act::LogIn }),
            (Request::SignUp { .. }, Err(failure)) => {
                let act =
                    if failure.code() == FailureCode::NameTaken { Act::LogIn } else { Act::SignUp };
                self.at(2_000, Event::Act { person, act });
            }
            (Request::Login { .. }, Err(_)) => {
                self.at(5_000, Event::Act { person, act: Act::LogIn });
            }
            // The list has changed meanwhile, or the link was lost. The new device asks again.
            (Request::ApproveDevice(code), Err(failure))
                if failure.code() != FailureCode::NoSuchDevice =>
            {
                let act = Act::ApproveDevice(code.parse().unwrap());
                self.at(5_000, Event::Act { person, act });
            }
            // The list has to be shown again after a login.
            (Request::Trust(_), Err(_)) if !self.people[person].is_listed() => {
                self.at(5_000, Event::Act { person, act: Act::TrustOwnList });
            }
            (Request::Leave | Request::Detach | Request::Cancel(_), Ok(_)) => {
                let back = 1_000 + self.random.u64(0..20_000);
                self.at(back, Event::Act { person, act: Act::LogIn });
            }
            (Request::Broadcast(text) | Request::Say { text, .. }, Ok(Reply::Broadcast { .. })) => {
                self.people[person].history.acknowledged.insert(text);
            }
            (
                Request::Say { text, .. } | Request::Send { text, .. },
                Ok(Reply::Sent { to, via: Via::Direct, .. }),
            ) => {
                let to: Username = to.parse().unwrap();
                self.people[person].chat(&to).sent.push(text);
            }
            (
                request @ (Request::Group { .. } | Request::Approve(_) | Request::Deny(_)),
                result,
            ) => {
                self.group_answered(person, request, result.is_ok());
            }
            _ => {}
        }
    }

    pub(crate) fn told(&mut self, person: usize, told: Told) {
        self.note(format_args!("person {person} is told {told:?}"));
        let who = &mut self.people[person];
        match told {
            Told::Broadcast { from, number, text, time_ms, .. } => {
                who.history.shown.push((number, from, time_ms, text));
            }
            Told::Message { conversation: ConversationId::Everyone, from, id, text, .. } => {
                who.history.class.shown(from, id, text);
            }
            Told::MessageState {
                conversation: ConversationId::Everyone, id, to, state, ..
            } => {
                who.history.class.state_told(id, to.expect("each is told apart"), state);
            }
            Told::Message {
                conversation: ConversationId::Group(label),
                from,
                id,
                text,
                own,
                device,
                via,
                ..
            } => match own && device.is_none() {
                true => self.said_in_group(person, &label, id, text),
                false => who.history.groups.heard.push(Heard { from, id, via }),
            },
            Told::MessageState {
                conversation: ConversationId::Group(_), id, to, state, ..
            } => {
                let to = to.expect("each is told apart");
                who.history.groups.state_told(id, &to, state);
            }
            Told::GroupChanged { change: GroupChange::Created, .. } => self.founded(person),
            Told::Message { device: Some(_), id, .. } => {
                who.history.copies.insert(id);
            }
            Told::Message { own: true, id, conversation, text, via, .. } => {
                let to = conversation.person().expect("it is to a person").clone();
                let state = match via {
                    Via::Outbox => MessageState::Waiting,
                    Via::Direct | Via::Server | Via::Peer => MessageState::Sent,
                };
                let written_ms = self.now.boot_ms;
                let (store, wall_ms) = (&self.server.store, self.now.wall_ms);
                let reachable: BTreeSet<PublicKey> = store.devices(&who.name, wall_ms).collect();
                let others = who.other_devices().filter(|device| reachable.contains(device));
                let devices = store.devices(&to, wall_ms).chain(others).collect();
                let list = store.device_list(&who.name);
                let is_by_listed = list.is_some_and(|list| list.contains(&who.public_key()));
                let own = Own { to, text, written_ms, devices, is_by_listed, via, state };
                let earlier = who.history.own.insert(id, own);
                assert!(earlier.is_none(), "an id names one message");
            }
            Told::Message { from, id, text, via, .. } => {
                if via == Via::Direct {
                    who.chat(&from).received.push(text);
                }
                who.history.heard.push(Heard { from, id, via });
            }
            Told::MessageState { id, state, .. } => {
                // The client may have been killed between the record and the event.
                if let Some(own) = who.history.own.get_mut(&id) {
                    let is_over = matches!(
                        own.state,
                        MessageState::Delivered | MessageState::Failed | MessageState::Expired
                    );
                    assert!(!is_over, "{} is {state:?} after {:?}", own.text, own.state);
                    own.state = state;
                }
            }
            Told::ChatOpened { with, .. } => {
                who.history.opened += 1;
                who.history.chats.entry(with).or_default().push(ChatHistory::default());
            }
            Told::ChatResumed { .. } => who.history.resumed += 1,
            Told::ChatClosed { with, undelivered, .. } => {
                let chat = who.chat(&with);
                chat.undelivered = undelivered;
                chat.closed = true;
            }
            Told::LoggedIn { .. } => who.history.returned += 1,
            Told::State(state) => {
                // A decision on another device's request leaves this one open, and it ends by itself in the end.
                let strangers = who.history.strangers.iter_mut();
                for (from, decided) in strangers.filter(|(_, decided)| decided.is_none()) {
                    let is_open = state.requests.contains(from);
                    *decided = (!is_open).then_some(self.now.boot_ms);
                }
            }
            Told::Request { group: Some(label), .. } => self.invited(person, label),
            Told::Request { from, kind, .. } => {
                if kind == RequestKind::Message {
                    who.history.strangers.insert(from.clone(), None);
                }
                let act = match self.chance(85) {
                    true => Act::Approve(from),
                    false => Act::Deny(from),
                };
                let after = self.random.u64(100..9_000);
                self.at(after, Event::Act { person, act });
            }
            // Another device of the account has begun its list.
            Told::Notice { code: NoticeCode::DeviceListReplaced, .. } => {
                let after = self.random.u64(100..9_000);
                self.at(after, Event::Act { person, act: Act::TrustOwnList });
            }
            Told::DeviceWaiting { key, name: Some(_), .. } => {
                let asks = |other: &&Person| event::fingerprint(&other.public_key()) == key;
                let other = self.people.iter().find(asks).expect("the server adds no device");
                let code = DeviceCode::of(&fingerprint(), &other.name, &other.public_key());
                let after = self.random.u64(100..9_000);
                self.at(after, Event::Act { person, act: Act::ApproveDevice(code) });
            }
            Told::Error { code: FailureCode::Lost | FailureCode::Terminated, .. } => {
                panic!("person {person} did not come back alone: {told:?}");
            }
            // After any other final error the user tries again.
            Told::Error { .. } => self.at(5_000, Event::Act { person, act: Act::LogIn }),
            // The server's checks cover the time of this.
            Told::Disconnected { reason: LinkEnd::Closed(Closing::Idle), .. }
                if self.plan == Plan::LongAfter => {}
            Told::Disconnected {
                reason:
                    LinkEnd::Closed(
                        Closing::Idle
                        | Closing::Penalty
                        | Closing::Kicked
                        | Closing::Replaced
                        | Closing::Flood
                        | Closing::NotReading,
                    ),
                ..
            } => {
                panic!("person {person} was thrown out without a reason: {told:?}");
            }
            _ => {}
        }
    }
}

impl Person {
    fn chat(&mut self, with: &Username) -> &mut ChatHistory {
        let chats = self.history.chats.get_mut(with);
        chats
            .and_then(|chats| chats.last_mut())
            .expect("a message or an end belongs to an open chat")
    }
}
