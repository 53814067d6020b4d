//! The meaning of a typed line that is not marked as a command.

use letschat_protocol::groups::GroupName;
use letschat_protocol::username::Username;

use super::context::Context;
use crate::conversation::ConversationId;
use crate::notice::Notice;

/// The meaning of a typed line without a `/`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Typing {
    /// It is a command, since no chat is current.
    #[default]
    Commands,
    /// It is a text for this person, over an open chat or by another route.
    Chat(Username),
    /// It is a text for a group.
    Group(GroupName),
    /// It is a text for everyone.
    Everyone,
}

impl Typing {
    /// Returns the person whom the line is for.
    pub fn chat(&self) -> Option<&Username> {
        match self {
            Typing::Commands | Typing::Group(_) | Typing::Everyone => None,
            Typing::Chat(with) => Some(with),
        }
    }

    /// Returns the conversation that the line is for.
    pub fn conversation(&self) -> Option<ConversationId> {
        match self {
            Typing::Commands => None,
            Typing::Chat(with) => Some(ConversationId::Person(with.clone())),
            Typing::Group(label) => Some(ConversationId::Group(label.clone())),
            Typing::Everyone => Some(ConversationId::Everyone),
        }
    }

    /// Notes that a chat opened. It becomes current if its user asked for that, or if lines are
    /// commands. Otherwise the user may be typing for somebody else.
    pub(super) fn opened(&mut self, cx: &mut Context, who: &Username, switch: bool) {
        let is_elsewhere = *self != Typing::Commands && self.chat() != Some(who);
        if is_elsewhere {
            if !switch {
                return;
            }
            cx.notify(Notice::CurrentChat(who.clone()));
        }
        *self = Typing::Chat(who.clone());
    }

    /// Notes that a chat closed. If the user did not end it, they may be typing for it: the text takes
    /// the next route.
    pub(super) fn closed(&mut self, who: &Username, by_user: bool) {
        if by_user && self.chat() == Some(who) {
            *self = Typing::Commands;
        }
    }
}
