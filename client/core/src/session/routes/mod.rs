//! The ways by which a message reaches a person: a row of the table, and a file, for each.

mod direct;

use std::ops::RangeInclusive;

use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::ChatId;
use letschat_protocol::username::Username;

use super::{Now, Session};
use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::Event;
use crate::failure::Failure;

/// Sends a text over an open route. Returns the message's id and its place in the chat.
type SendText = fn(&mut Session, Now, &Username, &str) -> Result<(MessageId, u64), Failure>;

/// A way to a person.
struct Route {
    via: Via,
    /// Returns true if the route leads to this person now.
    is_open: fn(&Session, &Username) -> bool,
    send: SendText,
}

/// The routes in the order in which they are tried. A message takes the first that is open.
const ROUTES: &[Route] =
    &[Route { via: Via::Direct, is_open: direct::is_open, send: direct::send }];

/// A message that a route has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) id: MessageId,
    /// Its place in the chat.
    pub(super) number: u64,
    pub(super) via: Via,
}

impl Session {
    /// Sends a text to a person by the best route, and tells it as an own message.
    pub(super) fn send_to(&mut self, now: Now, to: &Username, text: &str) -> Result<Sent, Failure> {
        let open = ROUTES.iter().find(|route| (route.is_open)(self, to));
        let Some(route) = open else {
            return Err(Failure::ChatEnding);
        };
        let (id, number) = (route.send)(self, now, to, text)?;
        if let Some(from) = self.own_name().cloned() {
            self.tell(Event::Message {
                from,
                number,
                text: text.to_owned(),
                time_ms: now.wall_ms,
                conversation: ConversationId::Person(to.clone()),
                id,
                own: true,
                via: route.via,
            });
        }
        Ok(Sent { id, number, via: route.via })
    }

    /// Tells what has become of own messages of a chat.
    pub(super) fn tell_state(
        &mut self,
        to: &Username,
        chat: ChatId,
        numbers: RangeInclusive<u64>,
        state: MessageState,
    ) {
        let Some(author) = self.own_key() else { return };
        for number in numbers {
            let id = MessageId::in_chat(chat, &author, number);
            let conversation = ConversationId::Person(to.clone());
            self.tell(Event::MessageState { conversation, id, state, via: Via::Direct });
        }
    }
}
