//! The route over the link of an open chat: messages are numbered, acknowledged, and sent again
//! after a break.

use letschat_protocol::username::Username;

use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::Event;
use crate::session::{Reply, RequestId, Session};

pub(super) fn is_open(session: &Session, to: &Username) -> bool {
    session.chats.is_open(to)
}

/// Sends a text, and tells it as an own message.
pub(super) fn send(session: &mut Session, request: RequestId, to: &Username, text: String) {
    let (id, number) = match session.chats.send(&mut session.cx, to, &text) {
        Ok(sent) => sent,
        Err(why) => return session.cx.fail(request, why),
    };
    let (number, via) = (Some(number), Via::Direct);
    if let Some(from) = session.account.name().cloned() {
        let time_ms = session.cx.wall_ms();
        session.cx.tell(Event::Message {
            from,
            number,
            text,
            time_ms,
            sent_ms: time_ms,
            conversation: ConversationId::Person(to.clone()),
            id,
            own: true,
            device: None,
            via,
        });
    }
    let (to, state) = (to.to_string(), MessageState::Sent);
    let (code, file) = (None, None);
    session.cx.answer(request, Reply::Sent { to, number, message_id: id, state, via, code, file });
}
