//! Where a typed line goes that is not marked as a command.

use letschat_protocol::username::Username;

use super::context::Context;
use crate::notice::Notice;

/// What a typed line without a `/` means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Typing {
    /// It is a command: no chat is current.
    #[default]
    Commands,
    /// It is said in this chat.
    Chat(Username),
    /// It goes nowhere: this chat was current, and ended by no act of the user.
    Over(Username),
}

impl Typing {
    /// The chat that the line is meant for, over or not.
    pub fn chat(&self) -> Option<&Username> {
        match self {
            Typing::Commands => None,
            Typing::Chat(with) | Typing::Over(with) => Some(with),
        }
    }

    /// The chat that plain text goes to.
    pub(super) fn current(&self) -> Option<&Username> {
        match self {
            Typing::Chat(with) => Some(with),
            Typing::Commands | Typing::Over(_) => None,
        }
    }

    /// A chat opened. It becomes current if its user asked for that, or if lines are commands. While lines go
    /// to another chat, or nowhere since that is over, its user may be typing for that one.
    pub(super) fn opened(&mut self, cx: &mut Context, who: &Username, switch: bool) {
        if self.chat().is_some_and(|before| before != who) {
            if !switch {
                return;
            }
            cx.notify(Notice::CurrentChat(who.clone()));
        }
        *self = Typing::Chat(who.clone());
    }

    /// A chat closed. Its user may be typing for it, and learns from a failure that it is over, unless it
    /// was the user who ended it.
    pub(super) fn closed(&mut self, who: &Username, by_user: bool) {
        if self.current() == Some(who) {
            *self = match by_user {
                true => Typing::Commands,
                false => Typing::Over(who.clone()),
            };
        }
    }

    /// The user knows that this chat is over: typed lines are commands again.
    pub(super) fn accept_end(&mut self, who: &Username) {
        if matches!(self, Typing::Over(over) if over == who) {
            *self = Typing::Commands;
        }
    }
}
