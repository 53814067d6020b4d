//! The client's reaction to the end of its link to the server.
//!
//! | reason | reaction |
//! |---|---|
//! | link lost, server terminated, silent, not reading, recheck | comes back, on the schedule [`SOON`] |
//! | busy, no server found | tries again on the schedule [`LATER`], then gives up and asks; in a classroom, comes for an absent server as above |
//! | idle | waits for its user, whose next request logs in again by key; comes back at once if it was asked to |
//! | kicked, penalty, replaced, wrong answers, too slow, flood, removed | waits for its user |
//! | key changed, key unknown, login refused | stops and explains: no link ended, so nothing is tried |

use letschat_protocol::dialogue::Closing;

use super::backoff::{Backoff, LATER, SOON};
use crate::codes::LinkEnd;

/// A reaction to the end of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Come back as soon as possible, without a limit.
    Return,
    /// Try a few times, then ask the user.
    TryLater,
    /// Wait for the user.
    WaitForUser,
}

impl LinkEnd {
    /// Returns the reaction by the table above.
    pub(super) fn action(self, return_after_idle: bool) -> Action {
        match self {
            LinkEnd::Lost => Action::Return,
            LinkEnd::NoServer => Action::TryLater,
            LinkEnd::Closed(closing) => match closing {
                Closing::Terminated | Closing::Silent | Closing::NotReading | Closing::Recheck => {
                    Action::Return
                }
                Closing::Busy => Action::TryLater,
                Closing::Idle if return_after_idle => Action::Return,
                Closing::Idle
                | Closing::Replaced
                | Closing::Kicked
                | Closing::Penalty
                | Closing::WrongAnswers
                | Closing::TooSlow
                | Closing::Removed
                | Closing::Flood => Action::WaitForUser,
            },
        }
    }
}

/// The rows of failures of the link to the server. Each action has its own row, so that a server
/// with alternating failures does not reset them.
#[derive(Debug, Default)]
pub(super) struct Retries {
    returns: Backoff,
    later: Backoff,
}

impl Retries {
    /// Notes a failure. Returns the number of the next attempt, from 1, and the wait before it, or
    /// `None` to give up.
    pub(super) fn fail(&mut self, now_ms: u64, action: Action, jitter: f64) -> Option<(u32, u64)> {
        let (backoff, schedule) = match action {
            Action::Return => (&mut self.returns, &SOON),
            Action::TryLater => (&mut self.later, &LATER),
            Action::WaitForUser => return None,
        };
        let wait_ms = backoff.fail(now_ms, schedule, jitter)?;
        Some((backoff.failures(), wait_ms))
    }

    /// Notes the end of a login and the time since which it was up.
    pub(super) fn login_ended(&mut self, now_ms: u64, up_since_ms: u64) {
        self.returns.lived(now_ms, up_since_ms);
        self.later.lived(now_ms, up_since_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_back_uninvited_after_a_penalty_or_a_kick() {
        let closed = [Closing::Penalty, Closing::Kicked, Closing::Replaced, Closing::Idle];
        for closing in closed {
            assert_eq!(LinkEnd::Closed(closing).action(false), Action::WaitForUser);
        }
        assert_eq!(LinkEnd::Closed(Closing::Idle).action(true), Action::Return);
    }
}
