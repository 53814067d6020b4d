//! The ways by which a message reaches a person. Each has a row in the table and a file.

mod direct;

use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::{Reply, Session};
use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::Event;
use crate::failure::Failure;

/// A function that sends a text over an open route. It returns the message's id and its number in
/// the chat.
type SendText = fn(&mut Session, &Username, &str) -> Result<(MessageId, u64), Failure>;

/// A way to a person.
struct Route {
    via: Via,
    /// Returns true if the route leads to this person now.
    is_open: fn(&Session, &Username) -> bool,
    send: SendText,
}

/// The routes in the order in which they are tried. A message takes the first open one.
const ROUTES: &[Route] =
    &[Route { via: Via::Direct, is_open: direct::is_open, send: direct::send }];

impl Session {
    /// Sends a text to a person by the best route, and tells it as an own message.
    pub(super) fn send_to(&mut self, to: &Username, text: &str) -> Result<Reply, Failure> {
        let open = ROUTES.iter().find(|route| (route.is_open)(self, to));
        let route = open.ok_or(Failure::ChatEnding)?;
        let (id, number) = (route.send)(self, to, text)?;
        if let Some(from) = self.account.name().cloned() {
            let time_ms = self.cx.wall_ms();
            self.cx.tell(Event::Message {
                from,
                number,
                text: text.to_owned(),
                time_ms,
                conversation: ConversationId::Person(to.clone()),
                id,
                own: true,
                via: route.via,
            });
        }
        let (to, state) = (to.to_string(), MessageState::Sent);
        Ok(Reply::Sent { to, number, message_id: id, state, via: route.via })
    }
}
