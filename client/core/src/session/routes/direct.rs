//! Over the link of an open chat: numbered, acknowledged, and sent again after a break.

use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::username::Username;

use crate::failure::Failure;
use crate::session::chat::Path;
use crate::session::delivery::Full;
use crate::session::{Effect, Now, Session};

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
    let author = session.own_key().ok_or(Failure::ChatEnding)?;
    let chat = session.chats.get_mut(to).ok_or(Failure::ChatEnding)?;
    let pushed = chat.delivery.push(text.to_owned());
    let number = pushed.map_err(|Full| Failure::TooManyUnconfirmed)?;
    chat.unconfirmed_since_ms.get_or_insert(now.boot_ms);
    let id = MessageId::in_chat(chat.id, &author, number);
    if let Path::Direct(link) = chat.path {
        session.effects.extend(chat.acknowledgement(link));
        let message = PeerMessage::Message { number, text: text.to_owned() };
        session.effects.push(Effect::SendPeer { link, message });
    }
    Ok((id, number))
}
