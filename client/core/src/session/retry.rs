//! What a client does after its link to the server ended, and when.
//!
//! | reason | what the client does |
//! |---|---|
//! | link lost, server terminated, silent, not reading | comes back, on the schedule [`SOON`] |
//! | busy, no server found | tries again on the schedule [`LATER`], then gives up and asks |
//! | idle | waits for its user, whose next request logs in again by key; comes back at once if it was asked to |
//! | kicked, penalty, replaced, wrong answers, too slow, flood | waits for its user |
//! | key changed, key unknown, login refused | stops and explains: no link ended, so nothing is tried |

use letschat_protocol::dialogue::Closing;

use super::backoff::{Backoff, LATER, SOON};
use crate::codes::LinkEnd;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Back as soon as possible, for as long as it takes.
    Return,
    /// A few tries, then the user is asked.
    TryLater,
    /// Nothing until the user wants it.
    WaitForUser,
}

impl LinkEnd {
    /// The table above.
    pub(super) fn action(self, return_after_idle: bool) -> Action {
        match self {
            LinkEnd::Lost => Action::Return,
            LinkEnd::NoServer => Action::TryLater,
            LinkEnd::Closed(closing) => match closing {
                Closing::Terminated | Closing::Silent | Closing::NotReading => Action::Return,
                Closing::Busy => Action::TryLater,
                Closing::Idle if return_after_idle => Action::Return,
                Closing::Idle
                | Closing::Replaced
                | Closing::Kicked
                | Closing::Penalty
                | Closing::WrongAnswers
                | Closing::TooSlow
                | Closing::Flood => Action::WaitForUser,
            },
        }
    }
}

/// The rows of failures of the link to the server. Each kind of action has its own row, so that a
/// server that fails in two ways by turns does not keep beginning anew.
#[derive(Debug, Default)]
pub(super) struct Retries {
    returns: Backoff,
    later: Backoff,
}

impl Retries {
    /// Notes a failure. Returns the number of the next attempt, from 1, and the wait before it;
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

    /// Notes that a login has ended that was up since then.
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
