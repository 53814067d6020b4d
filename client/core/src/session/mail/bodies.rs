//! The bodies of own messages and receipts, and the ids of their envelopes.

use letschat_protocol::body::{Body, Content, DeviceListRef, Person, Place};
use letschat_protocol::envelope::EnvelopeId;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::Suite;
use letschat_protocol::username::Username;

use crate::mail::Outgoing;
use crate::session::Account;

/// The account that signs, and its device list.
type Author<'a> = (&'a Account, DeviceListRef);

/// Returns the id of a message's envelope.
pub(super) fn envelope_id(message: &Outgoing) -> EnvelopeId {
    EnvelopeId(u128::from_be_bytes(message.id.to_bytes()))
}

/// Returns the body of a message for its recipient.
pub(super) fn text_body(author: Author<'_>, message: &Outgoing) -> Body {
    let conversation = message.conversation.to_string();
    let (place, content) = (message.place, Content::Text(message.text.clone()));
    body(author, &message.to, conversation, (place, message.time_ms), content)
}

/// Returns the body of a receipt.
pub(super) fn receipt_body(
    author: Author<'_>,
    to: &Username,
    ids: Vec<MessageId>,
    time_ms: u64,
) -> Body {
    let content = Content::Receipt(ids);
    body(author, to, to.to_string(), (Place::Sequence(0), time_ms), content)
}

/// Returns the body that tells the account's other devices about people.
pub(super) fn people_body(author: Author<'_>, people: Vec<Person>, time_ms: u64) -> Body {
    let own = author.0.username.clone();
    let place = (Place::Sequence(0), time_ms);
    body(author, &own, own.to_string(), place, Content::People(people))
}

fn body(
    (account, list): Author<'_>,
    to: &Username,
    conversation: String,
    (place, time_ms): (Place, u64),
    content: Content,
) -> Body {
    Body {
        suite: Suite::X25519,
        sender: account.username.clone(),
        device: account.identity.public_key(),
        list,
        recipients: vec![to.clone()],
        conversation,
        place,
        time_ms,
        content,
    }
}
