//! The sentences for the states of own messages.

use letschat_core::codes::FailureCode;
use letschat_core::conversation::{MessageState, Via};
use letschat_core::view::RecentMessage;

/// Returns a sentence about the state of an own message.
pub(crate) fn message_state(to: &str, state: MessageState, code: Option<FailureCode>) -> String {
    state_of("message", to, state, code)
}

/// Returns a sentence about the state of an own message, which is a `what`.
pub(crate) fn state_of(
    what: &str,
    to: &str,
    state: MessageState,
    code: Option<FailureCode>,
) -> String {
    let why = code.map(|code| why_waiting(to, code));
    match (state, why) {
        (MessageState::Sent, _) => format!("Your {what} to {to} has been sent."),
        (MessageState::Kept, _) => {
            format!("The server keeps your {what} for {to} and delivers it later.")
        }
        (MessageState::Delivered, _) => format!("{to} has received your {what}."),
        (MessageState::Expired, _) => {
            format!("{to} did not confirm a message in time, so that it may not have arrived.")
        }
        (MessageState::Failed, why) => {
            format!("Your {what} to {to} will not arrive: {}.", why.unwrap_or_default())
        }
        (MessageState::Waiting, Some(why)) => {
            format!("Your {what} to {to} waits on this machine: {why}.")
        }
        (MessageState::Waiting, None) => {
            format!("Your {what} to {to} waits on this machine until the server is reached.")
        }
    }
}

/// Returns the reason for which a message waits or has failed, as a clause.
fn why_waiting(to: &str, code: FailureCode) -> String {
    match code {
        FailureCode::UnknownUser => "nobody has that name here".into(),
        FailureCode::Blocked => format!("you have blocked {to}"),
        FailureCode::MailboxFull => format!("{to}'s mailbox is full"),
        FailureCode::NoDevice => {
            format!("{to} has no client that takes messages, or has not been here for 60 days")
        }
        FailureCode::KeyChanged => {
            format!("{to}'s key is not the one you know; ask them, then `/trust {to}` sends it")
        }
        FailureCode::KeysInvalid => {
            format!("the server's keys of {to} are not signed by {to}; do not trust this server")
        }
        FailureCode::StoreUnavailable => "the server's database does not answer".into(),
        FailureCode::UnknownCommand => "this server is too old to keep messages".into(),
        code => format!("{code}"),
    }
}

/// Returns the mark behind a message: the state of an own one, and the way by which it went if that is another one than
/// before.
pub fn mark(message: &RecentMessage, is_other_way: bool) -> String {
    let state = match (message.state.filter(|_| message.own), message.via) {
        (Some(MessageState::Waiting), _) | (None, Via::Outbox) => "(waiting)",
        (Some(MessageState::Sent), _) => "(sent)",
        (Some(MessageState::Kept), _) => "(kept for them)",
        (Some(MessageState::Delivered), _) => "\u{2713}",
        (Some(MessageState::Expired), _) => "(expired)",
        (Some(MessageState::Failed), _) => "(failed)",
        (None, _) => "",
    };
    let way = match message.via {
        _ if !is_other_way => "",
        Via::Direct => "(direct)",
        Via::Server => "(by the server)",
        Via::Peer => "(without the server)",
        Via::Outbox => "",
    };
    [state, way].into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>().join(" ")
}
