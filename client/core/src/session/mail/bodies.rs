//! The bodies of own messages and receipts, and the ids of their envelopes.

use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::envelope::EnvelopeId;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::Suite;
use letschat_protocol::username::Username;

use crate::mail::Outgoing;
use crate::session::Account;

/// Returns the id of a message's envelope.
pub(super) fn envelope_id(message: &Outgoing) -> EnvelopeId {
    EnvelopeId(u128::from_be_bytes(message.id.to_bytes()))
}

/// Returns the body of a message for its recipient.
pub(super) fn text_body(account: &Account, message: &Outgoing) -> Body {
    let conversation = message.conversation.to_string();
    let (place, content) = (message.place, Content::Text(message.text.clone()));
    body(account, &message.to, conversation, (place, message.time_ms), content)
}

/// Returns the body of a receipt.
pub(super) fn receipt_body(
    account: &Account,
    to: &Username,
    ids: Vec<MessageId>,
    time_ms: u64,
) -> Body {
    let content = Content::Receipt(ids);
    body(account, to, to.to_string(), (Place::Sequence(0), time_ms), content)
}

fn body(
    account: &Account,
    to: &Username,
    conversation: String,
    (place, time_ms): (Place, u64),
    content: Content,
) -> Body {
    Body {
        suite: Suite::X25519,
        sender: account.username.clone(),
        device: account.identity.public_key(),
        list: DeviceListRef::default(),
        recipients: vec![to.clone()],
        conversation,
        place,
        time_ms,
        content,
    }
}
