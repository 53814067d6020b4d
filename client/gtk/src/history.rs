//! The history as the window uses it: searches, and older messages of a conversation.

use letschat_core::conversation::ConversationId;
use letschat_core::failure::Failure;
use letschat_core::history::{HistoryAction, Older};
use letschat_core::session::{Reply, Request};
use letschat_core::view::RecentMessage;
use letschat_protocol::message_id::MessageId;

use crate::live::Live;
use crate::timeline::MAX_SHOWN;

/// The older messages that are loaded at once.
const PAGE: usize = 200;

/// The entries of a full list that are left for messages that come.
const LEFT_FOR_NEW: usize = 1_000;

impl Live {
    /// Does something about the history.
    pub(crate) async fn ask_history(&self, action: HistoryAction) -> Result<Reply, Failure> {
        self.client().request(Request::History(action)).await
    }

    /// Loads messages before the first one of a conversation: some, or all back to one of them.
    pub(crate) async fn load_older(&self, with: &ConversationId, back_to: Option<MessageId>) {
        let timeline = self.timeline(Some(with.clone()));
        let room = (MAX_SHOWN as usize).saturating_sub(LEFT_FOR_NEW + timeline.len());
        let most = if back_to.is_some() { room } else { room.min(PAGE) };
        if most == 0 || !timeline.begin_loading() {
            return;
        }
        let wanted = Older { with: with.clone(), before: timeline.first_message(), back_to, most };
        let older = match self.ask_history(HistoryAction::Older(wanted)).await {
            Ok(Reply::Found { messages, .. }) => messages,
            // Without a history there is nothing older.
            _ => Vec::new(),
        };
        let has_all = older.is_empty();
        let older = older.into_iter().filter_map(|found| found.into_message());
        // If another account is open now, nobody sees this timeline any more.
        timeline.prepend(&older.collect::<Vec<RecentMessage>>());
        timeline.end_loading(has_all);
    }
}
