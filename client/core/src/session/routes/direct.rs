//! The route over the link of an open chat: messages are numbered, acknowledged, and sent again
//! after a break.

use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::failure::Failure;
use crate::session::Session;

pub(super) fn is_open(session: &Session, to: &Username) -> bool {
    session.chats.is_open(to)
}

/// Sends a text. Returns the message's id and its number in the chat.
pub(super) fn send(
    session: &mut Session,
    to: &Username,
    text: &str,
) -> Result<(MessageId, u64), Failure> {
    session.chats.send(&mut session.cx, to, text)
}
