//! The meaning of a typed line that is not marked as a command.

use letschat_protocol::username::Username;

use super::context::Context;
use crate::notice::Notice;

/// The meaning of a typed line without a `/`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Typing {
    /// It is a command, since no chat is current.
    #[default]
    Commands,
    /// It is a text for this chat.
    Chat(Username),
    /// It goes nowhere, since this current chat ended by no act of the user.
    Over(Username),
}

impl Typing {
    /// Returns the chat that the line is meant for, open or over.
    pub fn chat(&self) -> Option<&Username> {
        match self {
            Typing::Commands => None,
            Typing::Chat(with) | Typing::Over(with) => Some(with),
        }
    }

    /// Returns the open chat that the line goes to.
    pub(super) fn current(&self) -> Option<&Username> {
        match self {
            Typing::Chat(with) => Some(with),
            Typing::Commands | Typing::Over(_) => None,
        }
    }

    /// Notes that a chat opened. It becomes current if its user asked for that, or if lines are
    /// commands. Otherwise the user may be typing for another chat, open or over.
    pub(super) fn opened(&mut self, cx: &mut Context, who: &Username, switch: bool) {
        if self.chat().is_some_and(|before| before != who) {
            if !switch {
                return;
            }
            cx.notify(Notice::CurrentChat(who.clone()));
        }
        *self = Typing::Chat(who.clone());
    }

    /// Notes that a chat closed. If the user did not end it, they may be typing for it, and learn
    /// of its end from a failure.
    pub(super) fn closed(&mut self, who: &Username, by_user: bool) {
        if self.current() == Some(who) {
            *self = match by_user {
                true => Typing::Commands,
                false => Typing::Over(who.clone()),
            };
        }
    }

    /// Notes that the user knows of this chat's end. Typed lines are commands again.
    pub(super) fn accept_end(&mut self, who: &Username) {
        if matches!(self, Typing::Over(over) if over == who) {
            *self = Typing::Commands;
        }
    }
}
