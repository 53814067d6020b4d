//! The bodies of own messages and receipts, and the ids of their envelopes.

use letschat_protocol::body::{Body, Content, DeviceListRef, Person, Place};
use letschat_protocol::envelope::EnvelopeId;
use letschat_protocol::groups::GroupId;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::Suite;
use letschat_protocol::username::Username;

use crate::conversation::ConversationId;
use crate::mail::{Outgoing, StoredGroup};
use crate::session::Account;
use crate::session::account::AccountState;
use crate::session::groups::Groups;

/// The account that signs, and its device list.
type Author<'a> = (&'a Account, DeviceListRef);

/// Returns the id of a message's envelope.
pub(super) fn envelope_id(message: &Outgoing) -> EnvelopeId {
    EnvelopeId(u128::from_be_bytes(message.id.to_bytes()))
}

/// Returns the body of a message for its recipients, or `None` if there are none any more.
pub(super) fn message_body(
    account: &Account,
    state: &AccountState,
    groups: &Groups,
    message: &Outgoing,
) -> Option<Body> {
    let author = (account, state.own_reference());
    match &message.conversation {
        ConversationId::Group(label) => {
            let (id, group) = groups.called(label)?;
            group_body(author, message, id, group)
        }
        ConversationId::Person(_) | ConversationId::Everyone => Some(text_body(author, message)),
    }
}

fn content(message: &Outgoing) -> Content {
    match message.file {
        Some(file) => Content::File(message.text.clone(), file),
        None => Content::Text(message.text.clone()),
    }
}

fn text_body(author: Author<'_>, message: &Outgoing) -> Body {
    let conversation = message.conversation.to_string();
    let (place, content) = (message.place, content(message));
    body(author, vec![message.to.clone()], conversation, (place, message.time_ms), content)
}

/// Returns the body of a message for the other members of a group, or `None` if there are none.
fn group_body(
    author: Author<'_>,
    message: &Outgoing,
    id: &GroupId,
    group: &StoredGroup,
) -> Option<Body> {
    let Place::Sequence(sequence) = message.place else {
        return None;
    };
    let (own, roster) = (&author.0.username, &group.roster);
    let others: Vec<Username> =
        roster.roster().joined().filter(|who| *who != own).cloned().collect();
    let place = Place::Group { sequence, roster: roster.reference() };
    let content = content(message);
    let body = body(author, others, id.to_string(), (place, message.time_ms), content);
    (!body.recipients.is_empty()).then_some(body)
}

/// Returns a body about a group.
pub(super) fn letter_body(
    author: Author<'_>,
    to: Vec<Username>,
    content: Content,
    time_ms: u64,
) -> Body {
    let conversation = to.first().map(Username::to_string).unwrap_or_default();
    body(author, to, conversation, (Place::Sequence(0), time_ms), content)
}

/// Returns the body of a receipt.
pub(super) fn receipt_body(
    author: Author<'_>,
    to: &Username,
    ids: Vec<MessageId>,
    time_ms: u64,
) -> Body {
    let content = Content::Receipt(ids);
    body(author, vec![to.clone()], to.to_string(), (Place::Sequence(0), time_ms), content)
}

/// Returns the body that tells the account's other devices about people.
pub(super) fn people_body(author: Author<'_>, people: Vec<Person>, time_ms: u64) -> Body {
    let own = author.0.username.clone();
    let place = (Place::Sequence(0), time_ms);
    let conversation = own.to_string();
    body(author, vec![own], conversation, place, Content::People(people))
}

fn body(
    (account, list): Author<'_>,
    recipients: Vec<Username>,
    conversation: String,
    (place, time_ms): (Place, u64),
    content: Content,
) -> Body {
    Body {
        suite: Suite::X25519,
        sender: account.username.clone(),
        device: account.identity.public_key(),
        list,
        recipients,
        conversation,
        place,
        time_ms,
        content,
    }
}
