//! Over the link of an open chat: numbered, acknowledged, and sent again after a break.

use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::username::Username;

use crate::codes::FailureCode;
use crate::session::chat::Path;
use crate::session::delivery::Full;
use crate::session::{Effect, Failure, Now, Session};

pub(super) fn is_open(session: &Session, to: &Username) -> bool {
    session.chats.get(to).is_some_and(|chat| chat.ending.is_none())
}

/// Returns the message's id and its place in the chat.
pub(super) fn send(
    session: &mut Session,
    now: Now,
    to: &Username,
    text: &str,
) -> Result<(MessageId, u64), Failure> {
    let no_chat = || Failure::new(FailureCode::NoChat, "That chat is over.");
    let author = session.own_key().ok_or_else(no_chat)?;
    let chat = session.chats.get_mut(to).ok_or_else(no_chat)?;
    let number = chat.delivery.push(text.to_owned()).map_err(|Full| {
        let why = "Too many messages wait to be confirmed; say it again in a moment.";
        Failure::new(FailureCode::TooManyUnconfirmed, why)
    })?;
    chat.unconfirmed_since_ms.get_or_insert(now.boot_ms);
    let id = MessageId::in_chat(chat.id, &author, number);
    if let Path::Direct(link) = chat.path {
        session.effects.extend(chat.acknowledgement(link));
        let message = PeerMessage::Message { number, text: text.to_owned() };
        session.effects.push(Effect::SendPeer { link, message });
    }
    Ok((id, number))
}
