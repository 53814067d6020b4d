//! The history as the window uses it: searches, and older messages of a conversation.

use std::collections::BTreeMap;
use std::time::Duration;

use adw::glib;
use letschat_core::conversation::ConversationId;
use letschat_core::failure::Failure;
use letschat_core::history::{HistoryAction, HistoryFailure, HistoryMessage, Older};
use letschat_core::session::{FoundMessage, Reply, Request};
use letschat_core::view::RecentMessage;
use letschat_protocol::message_id::MessageId;

use crate::live::Live;
use crate::timeline::MAX_SHOWN;

/// The number of older messages that are loaded at once.
const PAGE: usize = 200;

/// The interval of looks whether a load has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The number of entries of a full list that are left for messages that come.
const LEFT_FOR_NEW: usize = 1_000;

impl Live {
    /// Carries out an action about the history.
    pub(crate) async fn ask_history(&self, action: HistoryAction) -> Result<Reply, Failure> {
        self.client().request(Request::History(action)).await
    }

    /// Loads messages before the first one of a conversation: some, or all back to one of them.
    pub(crate) async fn load_older(&self, with: &ConversationId, back_to: Option<MessageId>) {
        let timeline = self.timeline(Some(with.clone()));
        while timeline.is_loading() {
            glib::timeout_future(LOOK).await;
        }
        let room = (MAX_SHOWN as usize).saturating_sub(LEFT_FOR_NEW + timeline.len());
        let most = if back_to.is_some() { room } else { room.min(PAGE) };
        let most_bytes = timeline.free_bytes();
        if most == 0 || most_bytes == 0 || !timeline.begin_loading() {
            return;
        }
        let before = timeline.first_message();
        let wanted = Older { with: with.clone(), before, back_to, most, most_bytes };
        let older = self.ask_history(HistoryAction::Older(wanted)).await;
        // The list may have lost its first entries meanwhile. Then there would be a gap.
        let is_next = timeline.first_message() == before;
        match older {
            Ok(Reply::Found { messages, .. }) if is_next => {
                let has_all = messages.is_empty();
                let messages = messages.into_iter().filter_map(FoundMessage::into_message);
                // If another account is open now, nobody sees this timeline any more.
                timeline.prepend(&messages.collect::<Vec<RecentMessage>>());
                timeline.end_loading(has_all);
            }
            Err(Failure::History(HistoryFailure::Off)) => timeline.end_loading(true),
            Ok(_) | Err(_) => timeline.end_loading(false),
        }
    }

    /// Adds messages of the history, which are older than those that have come.
    pub(crate) fn remember(&self, messages: &[HistoryMessage]) {
        let mut by_conversation: BTreeMap<&ConversationId, Vec<RecentMessage>> = BTreeMap::new();
        for HistoryMessage { conversation, message } in messages {
            by_conversation.entry(conversation).or_default().push(message.clone());
        }
        for (conversation, messages) in by_conversation {
            self.timeline(Some(conversation.clone())).prepend(&messages);
        }
        // It has been opened just now.
        self.for_each_timeline(|timeline| timeline.end_loading(false));
    }
}
