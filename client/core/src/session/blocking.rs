//! Those whom the user does not want to hear of: their requests ring nowhere and their broadcasts
//! are not shown. They are not told; to them it is a request that nobody answers.

use letschat_protocol::peer::{PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::calls::APPROVAL_MS;
use super::{Effect, LinkId, Now, Reply, RequestId, Save, Session};
use crate::failure::{Cancel, Failure};

/// More than this is no list that a person keeps.
const MAX_BLOCKED: usize = 10_000;
/// Requests of theirs that are kept waiting at once.
const MAX_IGNORED: usize = 16;

impl Session {
    /// Blocks somebody or no longer; an open chat with them ends.
    pub(super) fn block(&mut self, now: Now, id: RequestId, who: &str, on: bool) {
        let Ok(who) = who.parse::<Username>() else {
            return self.fail(id, Failure::WhomToBlock);
        };
        let Some(account) = &mut self.account else {
            return self.fail_not_logged_in(id);
        };
        if on && who == account.username {
            return self.fail(id, Failure::BlocksOneself);
        }
        if on && account.blocked.len() >= MAX_BLOCKED {
            return self.fail(id, Failure::TooManyBlocked { limit: MAX_BLOCKED });
        }
        let changed = match on {
            true => account.blocked.insert(who.clone()),
            false => account.blocked.remove(&who),
        };
        if changed {
            self.effects.push(Effect::Save(Save::Blocked));
        }
        if on {
            self.turn_down(&who, Refusal::Denied);
            self.end_call(&who, &Failure::Cancelled(Cancel::Blocked));
            self.end_chat(now, &who, None);
        }
        let message = match (on, changed) {
            (true, true) => format!("{who} is blocked; `/block {who} off` takes it back."),
            (true, false) => format!("{who} was blocked already."),
            (false, true) => format!("{who} is blocked no more."),
            (false, false) => format!("{who} was not blocked."),
        };
        self.answer(id, Reply::Said { message });
    }

    /// Those who are blocked.
    pub(super) fn list_blocked(&mut self, id: RequestId) {
        let Some(account) = &self.account else {
            return self.fail_not_logged_in(id);
        };
        let blocked = account.blocked.iter().map(Username::to_string).collect();
        self.answer(id, Reply::Blocked { blocked });
    }

    /// Lets somebody who is blocked wait for an answer that does not come.
    pub(super) fn ignore(&mut self, now: Now, link: LinkId) {
        if self.ignored.len() >= MAX_IGNORED {
            return self.refuse(link, Refusal::Busy);
        }
        self.ignored.insert(link, now.boot_ms + APPROVAL_MS);
        self.effects.push(Effect::SendPeer { link, message: PeerMessage::Ringing });
    }

    pub(super) fn tick_ignored(&mut self, now: Now) {
        let due = |(link, due_ms): (&LinkId, &u64)| (*due_ms <= now.boot_ms).then_some(*link);
        let over: Vec<LinkId> = self.ignored.iter().filter_map(due).collect();
        for link in over {
            self.refuse(link, Refusal::NoAnswer);
        }
    }

    pub(super) fn is_blocked(&self, who: &Username) -> bool {
        self.account.as_ref().is_some_and(|account| account.blocked.contains(who))
    }
}
