//! The ways by which a message reaches a person. Each has a row in the table and a file.

mod direct;
mod envelope;

use letschat_protocol::limits::MAX_MESSAGE_BYTES;
use letschat_protocol::printable::is_blank;
use letschat_protocol::username::Username;

use super::server::check_broadcast;
use super::{Request, RequestId, Session};
use crate::conversation::ConversationId;
use crate::failure::{Failure, Text};

/// A function that sends a text over an open route, and answers the request.
type SendText = fn(&mut Session, RequestId, &Username, String);

/// A way to a person.
struct Route {
    /// Returns true if the route leads to this person now.
    is_open: fn(&Session, &Username) -> bool,
    send: SendText,
}

/// The routes in the order in which they are tried. A message takes the first open one. If a chat ends before a
/// message is confirmed, the message takes the next. Envelopes wait in the outbox until the server takes them, so
/// that this route is always open.
const ROUTES: &[Route] = &[
    Route { is_open: direct::is_open, send: direct::send },
    Route { is_open: envelope::is_open, send: envelope::send },
];

impl Session {
    /// Sends a text in the named or the current conversation.
    pub(super) fn say(&mut self, id: RequestId, to: Option<String>, text: String) {
        match to.map_or_else(|| self.chats.current().map(|who| who.to_string()), Ok) {
            Ok(to) => self.send(id, to, text),
            Err(why) => self.cx.fail(id, why),
        }
    }

    /// Sends a text to a person or to everyone.
    pub(super) fn send(&mut self, id: RequestId, to: String, text: String) {
        let who = match to.parse() {
            Ok(ConversationId::Everyone) => return self.send_to_everyone(id, text),
            Ok(ConversationId::Group(_))
                if self.account.name().is_none() && self.server.is_away() =>
            {
                let request = Request::Send { to, text };
                return self.server.ask_when_back(&mut self.cx, &self.account, id, request);
            }
            Ok(ConversationId::Group(label)) => {
                return match check(&text) {
                    Ok(()) => self.enqueue_for_group(id, &label, text.into()),
                    Err(why) => self.cx.fail(id, why),
                };
            }
            Ok(ConversationId::Person(who)) => who,
            Err(_) => return self.cx.fail(id, Failure::WhomToWrite),
        };
        if let Err(why) = check(&text) {
            return self.cx.fail(id, why);
        }
        let has_chat = direct::is_open(self, &who);
        if !has_chat && self.server.is_away() && !self.server.is_logged_in() {
            // Whoever was dropped as idle logs in again by writing.
            let request = Request::Send { to, text };
            return self.server.ask_when_back(&mut self.cx, &self.account, id, request);
        }
        if let Some(route) = ROUTES.iter().find(|route| (route.is_open)(self, &who)) {
            (route.send)(self, id, &who, text);
        }
    }

    /// Sends a text to everyone: by a broadcast or, in a classroom without its server, straight to each client.
    pub(super) fn send_to_everyone(&mut self, id: RequestId, text: String) {
        if !self.cx.config().classroom {
            return self.request(id, Request::Broadcast(text));
        }
        // A pasted line may have tabs, which a broadcast may not.
        let text = text.replace('\t', "    ");
        match check_broadcast(&text) {
            Err(why) => self.cx.fail(id, why),
            Ok(()) if !self.server.is_logged_in() => self.enqueue_for_everyone(id, &text),
            Ok(()) => {
                if let Some(text) = self.hold_talk(id, text) {
                    self.server.broadcast(&mut self.cx, id, text);
                }
            }
        }
    }
}

fn check(text: &str) -> Result<(), Failure> {
    if is_blank(text) {
        return Err(Failure::Blank(Text::Message));
    }
    if text.len() > MAX_MESSAGE_BYTES {
        let (limit, bytes) = (MAX_MESSAGE_BYTES, text.len());
        return Err(Failure::TextTooLong { text: Text::Message, limit, bytes });
    }
    Ok(())
}
